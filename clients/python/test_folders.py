"""Folders are made, and things are moved, copied and deleted: alone and in batches."""

import unittest

from harness import ClientCase
from dropbox import files
from dropbox.files import RelocationPath, WriteMode


class CreateFolder(ClientCase):
    def test_with_its_parents(self):
        made = self.client.files_create_folder_v2("/A/b/C").metadata
        self.assertIsInstance(made, files.FolderMetadata)
        self.assertEqual((made.name, made.path_display, made.path_lower), ("C", "/A/b/C", "/a/b/c"))
        self.assertEqual(self.tree(), {"/A": None, "/A/b": None, "/A/b/C": None})

    def test_errors(self):
        self.client.files_create_folder_v2("/folder")
        self.client.files_upload(b"x", "/file")
        create = self.client.files_create_folder_v2
        self.assertTrue(self.refusal(create, "/FOLDER").get_path().get_conflict().is_folder())
        self.assertTrue(self.refusal(create, "/file").get_path().get_conflict().is_file())
        self.assertTrue(self.refusal(create, "/file/below").get_path().get_conflict().is_file_ancestor())
        self.assertTrue(self.refusal(create, "/a//b").get_path().is_malformed_path())
        self.assertTrue(self.refusal(create, "/.dropbox.cache").get_path().is_disallowed_name())

    def test_autorename(self):
        self.client.files_create_folder_v2("/folder")
        self.assertEqual(self.client.files_create_folder_v2("/folder", autorename=True).metadata.name, "folder (1)")

    def test_batch(self):
        self.client.files_create_folder_v2("/there")
        for is_forced in (False, True):
            with self.subTest(force_async=is_forced):
                names = [f"/new {is_forced}", "/there", "/a//b"]
                launch = self.client.files_create_folder_batch(names, force_async=is_forced)
                new, there, malformed = launch.get_complete().entries
                self.assertEqual(new.get_success().metadata.path_display, f"/new {is_forced}")
                self.assertTrue(there.get_failure().get_path().get_conflict().is_folder())
                self.assertTrue(malformed.get_failure().get_path().is_malformed_path())


class Move(ClientCase):
    def test_a_file_keeps_its_id(self):
        put = self.client.files_upload(b"x", "/a")
        moved = self.client.files_move_v2("/a", "/New/Place/b").metadata
        self.assertIsInstance(moved, files.FileMetadata)
        self.assertEqual((moved.id, moved.path_display), (put.id, "/New/Place/b"))
        self.assertEqual(self.tree(), {"/New": None, "/New/Place": None, "/New/Place/b": b"x"})

    def test_a_folder_takes_all_along(self):
        self.client.files_upload(b"x", "/a/b/c")
        moved = self.client.files_move_v2("/a", "/d").metadata
        self.assertIsInstance(moved, files.FolderMetadata)
        self.assertEqual(self.tree(), {"/d": None, "/d/b": None, "/d/b/c": b"x"})

    def test_only_the_case_changes(self):
        put = self.client.files_upload(b"x", "/name/file")
        moved = self.client.files_move_v2("/name", "/NAME", autorename=True).metadata
        self.assertEqual(moved.path_display, "/NAME")
        self.assertEqual(self.client.files_get_metadata(put.id).path_display, "/NAME/file")

    def test_errors(self):
        self.client.files_upload(b"x", "/folder/file")
        self.client.files_upload(b"y", "/other")
        move = self.client.files_move_v2
        self.assertTrue(self.refusal(move, "/none", "/x").get_from_lookup().is_not_found())
        self.assertTrue(self.refusal(move, "/a//b", "/x").get_from_lookup().is_malformed_path())
        self.assertTrue(self.refusal(move, "/other", "/folder").get_to().get_conflict().is_folder())
        self.assertTrue(self.refusal(move, "/folder", "/other").get_to().get_conflict().is_file())
        self.assertTrue(self.refusal(move, "/folder", "/other/x").get_to().get_conflict().is_file_ancestor())
        self.assertTrue(self.refusal(move, "/other", "/a//b").get_to().is_malformed_path())
        self.assertTrue(self.refusal(move, "/other", "/.DS_Store").get_to().is_disallowed_name())
        self.assertTrue(self.refusal(move, "/folder", "/folder/below").is_cant_move_folder_into_itself())
        self.assertEqual(self.tree(), {"/folder": None, "/folder/file": b"x", "/other": b"y"})

    def test_autorename(self):
        self.client.files_upload(b"x", "/a.txt")
        self.client.files_upload(b"y", "/b.txt")
        moved = self.client.files_move_v2("/a.txt", "/b.txt", autorename=True).metadata
        self.assertEqual(moved.name, "b (1).txt")

    def test_batch(self):
        put = self.client.files_upload(b"x", "/a")
        entries = [RelocationPath("/a", "/b"), RelocationPath("/none", "/c")]
        moved, missing = self.client.files_move_batch_v2(entries).get_complete().entries
        self.assertEqual((moved.get_success().id, moved.get_success().path_display), (put.id, "/b"))
        error = missing.get_failure().get_relocation_error()
        self.assertTrue(error.get_from_lookup().is_not_found())


class Copy(ClientCase):
    def test_copies_have_ids_of_their_own(self):
        put = self.client.files_upload(b"x", "/a/file")
        copied = self.client.files_copy_v2("/a", "/b").metadata
        self.assertIsInstance(copied, files.FolderMetadata)
        copy = self.client.files_get_metadata("/b/file")
        self.assertNotEqual(copy.id, put.id)
        self.assertEqual(copy.content_hash, put.content_hash)
        self.client.files_upload(b"y", "/b/file", mode=WriteMode.overwrite)
        self.assertEqual(self.tree(), {"/a": None, "/a/file": b"x", "/b": None, "/b/file": b"y"})

    def test_errors(self):
        self.client.files_upload(b"x", "/folder/file")
        copy = self.client.files_copy_v2
        self.assertTrue(self.refusal(copy, "/none", "/x").get_from_lookup().is_not_found())
        self.assertTrue(self.refusal(copy, "/folder/file", "/folder").get_to().get_conflict().is_folder())
        self.assertTrue(self.refusal(copy, "/folder", "/folder/below").is_duplicated_or_nested_paths())

    def test_autorename(self):
        self.client.files_upload(b"x", "/a.txt")
        self.assertEqual(self.client.files_copy_v2("/a.txt", "/a.txt", autorename=True).metadata.name, "a (1).txt")

    def test_batch(self):
        self.client.files_upload(b"x", "/a")
        entries = [RelocationPath("/a", "/b"), RelocationPath("/a", "/a//b")]
        copied, malformed = self.client.files_copy_batch_v2(entries).get_complete().entries
        self.assertEqual(copied.get_success().path_display, "/b")
        error = malformed.get_failure().get_relocation_error()
        self.assertTrue(error.get_to().is_malformed_path())


class Delete(ClientCase):
    def test_what_was_there_is_described(self):
        put = self.client.files_upload(b"x", "/Folder/File")
        gone = self.client.files_delete_v2("/folder/file").metadata
        self.assertIsInstance(gone, files.FileMetadata)
        self.assertEqual((gone.id, gone.rev), (put.id, put.rev))
        gone = self.client.files_delete_v2("/folder").metadata
        self.assertIsInstance(gone, files.FolderMetadata)
        self.assertEqual(self.tree(), {})

    def test_only_a_revision_that_was_seen(self):
        first = self.client.files_upload(b"x", "/a")
        second = self.client.files_upload(b"y", "/a", mode=WriteMode.update(first.rev))
        error = self.refusal(self.client.files_delete_v2, "/a", parent_rev=first.rev)
        self.assertTrue(error.get_path_write().get_conflict().is_file())
        self.client.files_delete_v2("/a", parent_rev=second.rev)
        self.assertEqual(self.tree(), {})

    def test_errors(self):
        delete = self.client.files_delete_v2
        self.assertTrue(self.refusal(delete, "/none").get_path_lookup().is_not_found())
        self.assertTrue(self.refusal(delete, "/a//b").get_path_lookup().is_malformed_path())

    def test_batch(self):
        self.client.files_upload(b"x", "/a")
        entries = [files.DeleteArg("/a"), files.DeleteArg("/none")]
        gone, missing = self.client.files_delete_batch(entries).get_complete().entries
        self.assertEqual(gone.get_success().metadata.path_display, "/a")
        self.assertTrue(missing.get_failure().get_path_lookup().is_not_found())


class Jobs(ClientCase):
    def test_no_batch_is_under_way(self):
        checks = (
            self.client.files_create_folder_batch_check,
            self.client.files_delete_batch_check,
            self.client.files_copy_batch_check_v2,
            self.client.files_move_batch_check_v2,
            self.client.files_upload_session_finish_batch_check,
        )
        for check in checks:
            with self.subTest(check.__name__):
                self.assertTrue(self.refusal(check, "job").is_invalid_async_job_id())


class Tags(ClientCase):
    def tags(self, path):
        (told,) = self.client.files_tags_get([path]).paths_to_tags
        return [tag.get_user_generated_tag().tag_text for tag in told.tags]

    def test_they_are_given_and_taken_away(self):
        self.client.files_create_folder_v2("/tagged")
        self.client.files_tags_add("/tagged", "Red")
        self.client.files_tags_add("/tagged", "blue")
        self.assertEqual(self.tags("/tagged"), ["blue", "red"])
        self.client.files_tags_remove("/tagged", "red")
        self.assertEqual(self.tags("/tagged"), ["blue"])
        error = self.refusal(self.client.files_tags_remove, "/tagged", "red")
        self.assertTrue(error.is_tag_not_present())
        error = self.refusal(self.client.files_tags_add, "/none", "red")
        self.assertTrue(error.get_path().is_not_found())


if __name__ == "__main__":
    unittest.main()
