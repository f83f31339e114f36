"""Earlier states of files."""

import unittest

from harness import ClientCase
from dropbox.files import ListRevisionsMode, WriteMode


class Revisions(ClientCase):
    def setUp(self):
        super().setUp()
        self.states = [self.put(b"%d" % number) for number in range(4)]

    def put(self, content):
        return self.client.files_upload(content, "/file", mode=WriteMode.overwrite)

    def test_newest_first(self):
        found = self.client.files_list_revisions("/file")
        self.assertEqual([entry.rev for entry in found.entries], [state.rev for state in reversed(self.states)])
        self.assertFalse(found.is_deleted)

    def test_pages(self):
        first = self.client.files_list_revisions("/file", limit=3)
        self.assertEqual(len(first.entries), 3)
        self.assertTrue(first.has_more)
        rest = self.client.files_list_revisions("/file", before_rev=first.entries[-1].rev)
        self.assertEqual([entry.rev for entry in rest.entries], [self.states[0].rev])
        self.assertFalse(rest.has_more)

    def test_of_what_was_deleted(self):
        self.client.files_delete_v2("/file")
        for path, mode in (("/file", ListRevisionsMode.path), (self.states[0].id, ListRevisionsMode.id)):
            with self.subTest(path):
                found = self.client.files_list_revisions(path, mode=mode)
                self.assertTrue(found.is_deleted)
                self.assertEqual(found.entries[0].rev, self.states[-1].rev)
        self.client.files_restore("/file", found.entries[-1].rev)
        self.assertEqual(self.content(self.states[0].id), b"0")

    def test_errors(self):
        self.client.files_create_folder_v2("/folder")
        revisions = self.client.files_list_revisions
        self.assertTrue(self.refusal(revisions, "/none").get_path().is_not_found())
        self.assertTrue(self.refusal(revisions, "/folder").get_path().is_not_file())
        self.assertTrue(self.refusal(revisions, "/a//b").get_path().is_malformed_path())


class Restore(ClientCase):
    def test_an_earlier_state(self):
        first = self.client.files_upload(b"one", "/file")
        second = self.client.files_upload(b"two", "/file", mode=WriteMode.overwrite)
        restored = self.client.files_restore("/file", first.rev)
        self.assertEqual(restored.id, first.id)
        self.assertNotEqual(restored.rev, second.rev)
        self.assertEqual(self.content("/file"), b"one")
        self.assertEqual(self.content(f"rev:{second.rev}"), b"two")

    def test_what_was_deleted(self):
        put = self.client.files_upload(b"one", "/folder/file")
        self.client.files_delete_v2("/folder")
        restored = self.client.files_restore("/folder/file", put.rev)
        self.assertEqual(restored.id, put.id)
        self.assertEqual(self.tree(), {"/folder": None, "/folder/file": b"one"})

    def test_errors(self):
        put = self.client.files_upload(b"one", "/file")
        restore = self.client.files_restore
        self.assertTrue(self.refusal(restore, "/file", "0" * 32).is_invalid_revision())
        self.assertTrue(self.refusal(restore, "/a//b", put.rev).get_path_write().is_malformed_path())
        self.client.files_create_folder_v2("/folder")
        self.assertTrue(self.refusal(restore, "/folder", put.rev).get_path_lookup().is_not_file())


if __name__ == "__main__":
    unittest.main()
