"""Files: what is put, what is read, under all of their names."""

import os
import unicodedata
import unittest
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import requests

from harness import ClientCase, PATIENCE, SERVER, content_hash
from dropbox import exceptions, files
from dropbox.files import CommitInfo, WriteMode

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
# One that this server could have made, of nothing.
NO_REV = "0" * 32


class Upload(ClientCase):
    def test_a_new_file_says_all_about_itself(self):
        before = datetime.utcnow().replace(microsecond=0)
        put = self.client.files_upload(b"hello", "/Folder/Sub/Hello.TXT")
        self.assertEqual(put.name, "Hello.TXT")
        self.assertEqual(put.path_display, "/Folder/Sub/Hello.TXT")
        self.assertEqual(put.path_lower, "/folder/sub/hello.txt")
        self.assertEqual(put.size, 5)
        self.assertEqual(put.content_hash, content_hash(b"hello"))
        self.assertTrue(put.id.startswith("id:"))
        self.assertTrue(put.is_downloadable)
        self.assertGreaterEqual(put.server_modified, before)
        self.assertEqual(self.tree(), {"/Folder": None, "/Folder/Sub": None, "/Folder/Sub/Hello.TXT": b"hello"})

    def test_add(self):
        first = self.client.files_upload(b"one", "/a")
        again = self.client.files_upload(b"one", "/A")
        self.assertEqual((again.id, again.rev), (first.id, first.rev))
        error = self.refusal(self.client.files_upload, b"two", "/a")
        self.assertTrue(error.is_path())
        self.assertTrue(error.get_path().reason.is_conflict())
        self.assertTrue(error.get_path().reason.get_conflict().is_file())
        self.assertEqual(self.tree(), {"/a": b"one"})

    def test_strict_conflict(self):
        self.client.files_upload(b"one", "/a")
        error = self.refusal(self.client.files_upload, b"one", "/a", strict_conflict=True)
        self.assertTrue(error.get_path().reason.get_conflict().is_file())

    def test_autorename(self):
        self.client.files_upload(b"one", "/a.txt")
        names = [self.client.files_upload(b"two%d" % n, "/a.txt", autorename=True).name for n in range(2)]
        self.assertEqual(names, ["a (1).txt", "a (2).txt"])

    def test_overwrite(self):
        new = self.client.files_upload(b"one", "/a", mode=WriteMode.overwrite)
        over = self.client.files_upload(b"two", "/a", mode=WriteMode.overwrite)
        self.assertEqual(over.id, new.id)
        self.assertNotEqual(over.rev, new.rev)
        same = self.client.files_upload(b"two", "/a", mode=WriteMode.overwrite)
        self.assertEqual(same.rev, over.rev)
        self.assertEqual(self.content("/a"), b"two")

    def test_update(self):
        first = self.client.files_upload(b"one", "/a.txt")
        second = self.client.files_upload(b"two", "/a.txt", mode=WriteMode.update(first.rev))
        self.assertEqual(second.id, first.id)
        error = self.refusal(self.client.files_upload, b"three", "/a.txt", mode=WriteMode.update(first.rev))
        self.assertTrue(error.get_path().reason.get_conflict().is_file())
        beside = self.client.files_upload(b"three", "/a.txt", mode=WriteMode.update(first.rev), autorename=True)
        owner = self.email.split("@")[0]
        self.assertEqual(beside.name, f"a ({owner}'s conflicted copy).txt")
        self.assertEqual(self.content("/a.txt"), b"two")

    def test_update_of_what_is_gone(self):
        first = self.client.files_upload(b"one", "/a")
        self.client.files_delete_v2("/a")
        error = self.refusal(
            self.client.files_upload, b"two", "/a", mode=WriteMode.update(first.rev), strict_conflict=True
        )
        self.assertTrue(error.get_path().reason.is_conflict())
        self.client.files_upload(b"two", "/a", mode=WriteMode.update(first.rev))
        self.assertEqual(self.content("/a"), b"two")

    def test_a_folder_or_a_file_in_the_way(self):
        self.client.files_create_folder_v2("/folder")
        self.client.files_upload(b"x", "/file")
        for mode in (WriteMode.add, WriteMode.overwrite, WriteMode.update(NO_REV)):
            with self.subTest(mode):
                error = self.refusal(self.client.files_upload, b"y", "/folder", mode=mode)
                self.assertTrue(error.get_path().reason.get_conflict().is_folder())
        error = self.refusal(self.client.files_upload, b"y", "/file/below")
        self.assertTrue(error.get_path().reason.get_conflict().is_file_ancestor())

    def test_times_and_mute(self):
        when = datetime(2001, 2, 3, 4, 5, 6)
        put = self.client.files_upload(b"x", "/x", client_modified=when, mute=True)
        self.assertEqual(put.client_modified, when)
        self.assertEqual(self.client.files_get_metadata("/x").client_modified, when)
        self.assertGreater(put.server_modified, when)

    def test_content_hash_is_checked(self):
        self.client.files_upload(b"x", "/right", content_hash=content_hash(b"x"))
        error = self.refusal(self.client.files_upload, b"x", "/wrong", content_hash=content_hash(b"y"))
        self.assertTrue(error.is_content_hash_mismatch())
        self.assertEqual(self.tree(), {"/right": b"x"})

    def test_names_that_are_refused(self):
        for path in ("/a//b", "/a/", "/../x", "/./x", "/a\\b", "/" + "n" * 256):
            with self.subTest(path):
                reason = self.refusal(self.client.files_upload, b"x", path).get_path().reason
                self.assertTrue(reason.is_malformed_path())
        for name in (".DS_Store", "desktop.ini", "Thumbs.db", ".dropbox", ".dropbox.attr"):
            with self.subTest(name):
                reason = self.refusal(self.client.files_upload, b"x", f"/{name}").get_path().reason
                self.assertTrue(reason.is_disallowed_name())
        self.assertEqual(self.tree(), {})

    def test_a_refusal_is_heard_however_much_was_to_be_sent(self):
        content = bytes(20_000_000)
        for _ in range(5):
            error = self.refusal(self.client.files_upload, content, "/a//b")
            self.assertTrue(error.get_path().reason.is_malformed_path())
            self.assertEqual(self.client.files_list_folder("").entries, [])

    def test_more_than_one_request_takes(self):
        content = bytes(170 << 20)
        self.assertTrue(self.refusal(self.client.files_upload, content, "/large").is_payload_too_large())
        session = self.client.files_upload_session_start(b"").session_id
        cursor = files.UploadSessionCursor(session, 0)
        error = self.refusal(self.client.files_upload_session_append_v2, content, cursor)
        self.assertTrue(error.is_payload_too_large())
        self.assertEqual(self.tree(), {})

    def test_unusual_names(self):
        decomposed = unicodedata.normalize("NFD", "/Ångström/é.txt")
        names = ["/日本語/ファイル.txt", "/🎉 party 🎉", "/-x", "/.hidden", "/a:b*c?d\"e<f>g|h", "/ΣΑΣ", "/" + "n" * 255]
        for name in names + [decomposed]:
            with self.subTest(name):
                put = self.client.files_upload(name.encode(), name)
                composed = unicodedata.normalize("NFC", name)
                self.assertEqual(put.path_display, composed)
                self.assertEqual(put.path_lower, composed.lower())
                self.assertEqual(self.content(name), name.encode())
                self.assertEqual(self.client.files_get_metadata(composed.upper().lower()).id, put.id)

    def test_an_empty_file(self):
        put = self.client.files_upload(b"", "/empty")
        self.assertEqual((put.size, put.content_hash), (0, EMPTY))
        self.assertEqual(self.content("/empty"), b"")

    def test_a_large_file(self):
        content = os.urandom(30_000_000)
        put = self.client.files_upload(content, "/large")
        self.assertEqual((put.size, put.content_hash), (len(content), content_hash(content)))
        self.assertEqual(self.content("/large"), content)


class Metadata(ClientCase):
    def test_by_all_names(self):
        self.client.files_create_folder_v2("/Folder")
        put = self.client.files_upload(b"x", "/Folder/File")
        folder = self.client.files_get_metadata("/folder")
        self.assertIsInstance(folder, files.FolderMetadata)
        namespace = self.client.users_get_current_account().root_info.root_namespace_id
        names = ("/FOLDER/FILE", put.id, f"rev:{put.rev}", f"ns:{namespace}/Folder/File", f"{folder.id}/file")
        for name in names:
            with self.subTest(name):
                found = self.client.files_get_metadata(name)
                self.assertIsInstance(found, files.FileMetadata)
                self.assertEqual((found.id, found.path_display), (put.id, "/Folder/File"))

    def test_an_id_outlasts_moves_and_edits(self):
        put = self.client.files_upload(b"one", "/a")
        self.client.files_move_v2("/a", "/B/c")
        self.client.files_upload(b"two", "/B/c", mode=WriteMode.overwrite)
        found = self.client.files_get_metadata(put.id)
        self.assertEqual((found.path_display, found.size), ("/B/c", 3))
        self.assertEqual(self.content(f"rev:{put.rev}"), b"one")

    def test_what_was_deleted(self):
        self.client.files_upload(b"x", "/Folder/File")
        self.client.files_delete_v2("/Folder/File")
        found = self.client.files_get_metadata("/folder/file", include_deleted=True)
        self.assertIsInstance(found, files.DeletedMetadata)
        self.assertEqual(found.path_lower, "/folder/file")
        for path, wants_deleted in (("/Folder/File", False), ("/never was", True)):
            error = self.refusal(self.client.files_get_metadata, path, include_deleted=wants_deleted)
            self.assertTrue(error.get_path().is_not_found())

    def test_errors(self):
        for path in ("/none", "id:none", f"rev:{NO_REV}", "ns:4711000/x", "/none/below"):
            with self.subTest(path):
                error = self.refusal(self.client.files_get_metadata, path)
                self.assertTrue(error.is_path())
                self.assertTrue(error.get_path().is_not_found())
        self.assertTrue(self.refusal(self.client.files_get_metadata, "/a//b").get_path().is_malformed_path())
        namespace = self.client.users_get_current_account().root_info.root_namespace_id
        with self.assertRaises(exceptions.BadInputError):
            self.client.files_get_metadata(f"ns:{namespace}")


class TemporaryLink(ClientCase):
    def test_it_needs_no_token_and_shows_what_was_there(self):
        put = self.client.files_upload(b"one", "/file.txt")
        made = self.client.files_get_temporary_link("/file.txt")
        self.assertEqual(made.metadata.rev, put.rev)
        self.client.files_upload(b"two", "/file.txt", mode=WriteMode.overwrite)
        answer = requests.get(made.link, timeout=PATIENCE)
        self.assertEqual((answer.status_code, answer.content), (200, b"one"))
        part = requests.get(made.link, headers={"Range": "bytes=1-"}, timeout=PATIENCE)
        self.assertEqual((part.status_code, part.content), (206, b"ne"))
        self.assertGreaterEqual(requests.get(made.link[:-1], timeout=PATIENCE).status_code, 400)

    def test_errors(self):
        self.client.files_create_folder_v2("/folder")
        link = self.client.files_get_temporary_link
        self.assertTrue(self.refusal(link, "/none").get_path().is_not_found())
        self.assertTrue(self.refusal(link, "/folder").get_path().is_not_file())


class TemporaryUploadLink(ClientCase):
    def test_it_takes_one_file_without_a_token(self):
        commit = CommitInfo("/folder/file.txt", mode=WriteMode.add)
        link = self.client.files_get_temporary_upload_link(commit, duration=60).link
        octets = {"Content-Type": "application/octet-stream"}
        answer = requests.post(link, data=b"sent", headers=octets, timeout=PATIENCE)
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(answer.json(), {"content-hash": content_hash(b"sent")})
        again = requests.post(link, data=b"more", headers=octets, timeout=PATIENCE)
        self.assertEqual(again.status_code, 410)
        self.assertEqual(self.tree(), {"/folder": None, "/folder/file.txt": b"sent"})


class CopyReference(ClientCase):
    def test_there_and_back(self):
        put = self.client.files_upload(b"one", "/file")
        found = self.client.files_copy_reference_get("/file")
        self.assertEqual(found.metadata.rev, put.rev)
        self.client.files_delete_v2("/file")
        saved = self.client.files_copy_reference_save(found.copy_reference, "/copy")
        self.assertNotEqual(saved.metadata.id, put.id)
        self.assertEqual(self.tree(), {"/copy": b"one"})

    def test_errors(self):
        self.client.files_upload(b"one", "/file")
        save = self.client.files_copy_reference_save
        reference = self.client.files_copy_reference_get("/file").copy_reference
        self.assertTrue(self.refusal(save, "nonsense", "/copy").is_invalid_copy_reference())
        self.assertTrue(self.refusal(save, reference, "/file").get_path().get_conflict().is_file())
        get = self.client.files_copy_reference_get
        self.assertTrue(self.refusal(get, "/none").get_path().is_not_found())


class DownloadZip(ClientCase):
    def test_a_folder_with_all_below(self):
        contents = {"folder/é.txt": b"one", "folder/deeper/two": os.urandom(2_000_000), "folder/empty": b""}
        for name, content in contents.items():
            self.client.files_upload(content, f"/{name}")
        self.client.files_create_folder_v2("/folder/nothing in it")
        found, answer = self.client.files_download_zip("/folder")
        self.assertEqual(found.metadata.path_display, "/folder")
        with ZipFile(BytesIO(answer.content)) as archive:
            self.assertIsNone(archive.testzip())
            names = archive.namelist()
            read = {name: archive.read(name) for name in names if not name.endswith("/")}
        self.assertEqual(read, contents)
        self.assertIn("folder/nothing in it/", names)

    def test_to_file(self):
        self.client.files_upload(b"one", "/folder/file")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "archive.zip"
            self.client.files_download_zip_to_file(str(path), "/folder")
            with ZipFile(path) as archive:
                self.assertEqual(archive.read("folder/file"), b"one")

    def test_errors(self):
        self.client.files_upload(b"x", "/file")
        archive = self.client.files_download_zip
        self.assertTrue(self.refusal(archive, "/none").get_path().is_not_found())
        self.assertTrue(self.refusal(archive, "/file").get_path().is_not_folder())


class Download(ClientCase):
    def test_by_all_names(self):
        put = self.client.files_upload(b"one", "/Folder/é.txt")
        for name in ("/folder/É.TXT", put.id, f"rev:{put.rev}"):
            with self.subTest(name):
                found, response = self.client.files_download(name)
                self.assertEqual(response.content, b"one")
                self.assertEqual((found.path_display, found.rev), (put.path_display, put.rev))
        self.client.files_upload(b"two", "/Folder/é.txt", mode=WriteMode.overwrite)
        self.assertEqual(self.client.files_download("/Folder/é.txt", rev=put.rev)[1].content, b"one")
        self.client.files_delete_v2("/Folder")
        self.assertEqual(self.content(f"rev:{put.rev}"), b"one")

    def test_to_file(self):
        content = os.urandom(5_000_000)
        put = self.client.files_upload(content, "/file")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            found = self.client.files_download_to_file(str(path), "/file")
            self.assertEqual(found.rev, put.rev)
            self.assertEqual(path.read_bytes(), content)

    def test_errors(self):
        self.client.files_create_folder_v2("/folder")
        self.assertTrue(self.refusal(self.client.files_download, "/none").get_path().is_not_found())
        self.assertTrue(self.refusal(self.client.files_download, "/folder").get_path().is_not_file())
        self.assertTrue(self.refusal(self.client.files_download, "/a//b").get_path().is_malformed_path())

    def test_ranges(self):
        self.client.files_upload(b"0123456789", "/digits")
        cases = (
            ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
            ("bytes=3-5", 206, b"345", "bytes 3-5/10"),
            ("bytes=7-", 206, b"789", "bytes 7-9/10"),
            ("bytes=-2", 206, b"89", "bytes 8-9/10"),
            ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
            ("bytes=10-", 416, b"", "bytes */10"),
        )
        for wanted, status, content, found in cases:
            with self.subTest(wanted):
                answer = self.get("/digits", Range=wanted)
                self.assertEqual((answer.status_code, answer.content), (status, content))
                self.assertEqual(answer.headers["content-range"], found)
                self.assertIn('"rev"', answer.headers["dropbox-api-result"])

    def test_an_empty_file_has_no_ranges(self):
        self.client.files_upload(b"", "/empty")
        answer = self.get("/empty", Range="bytes=0-0")
        self.assertEqual((answer.status_code, answer.content), (200, b""))

    def test_what_is_known_is_not_sent(self):
        put = self.client.files_upload(b"x", "/x")
        tag = self.get("/x").headers["etag"]
        answer = self.get("/x", **{"If-None-Match": tag})
        self.assertEqual((answer.status_code, answer.content), (304, b""))
        self.client.files_upload(b"y", "/x", mode=WriteMode.update(put.rev))
        self.assertEqual(self.get("/x", **{"If-None-Match": tag}).content, b"y")

    def get(self, path, **headers):
        headers["Authorization"] = f"Bearer {self.token}"
        parameters = {"arg": f'{{"path": "{path}"}}'}
        url = f"{SERVER.url}/2/files/download"
        return requests.get(url, params=parameters, headers=headers, timeout=PATIENCE)


if __name__ == "__main__":
    unittest.main()
