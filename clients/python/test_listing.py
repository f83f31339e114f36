"""Listings, the changes after them, and the wait for changes."""

import unittest
from concurrent.futures import ThreadPoolExecutor

import requests

from harness import ClientCase, PATIENCE, SERVER
from dropbox import exceptions, files
from dropbox.files import WriteMode


class Listing(ClientCase):
    def setUp(self):
        super().setUp()
        for path in ("/a/one", "/a/b/two", "/three"):
            self.client.files_upload(path.encode(), path)

    def paths(self, page):
        return [entry.path_display for entry in page.entries]

    def test_one_folder(self):
        page = self.client.files_list_folder("")
        self.assertEqual(sorted(self.paths(page)), ["/a", "/three"])
        self.assertFalse(page.has_more)
        kinds = {entry.name: type(entry) for entry in page.entries}
        self.assertEqual(kinds, {"a": files.FolderMetadata, "three": files.FileMetadata})

    def test_all_below(self):
        page = self.client.files_list_folder("", recursive=True)
        self.assertEqual(sorted(self.paths(page)), ["/a", "/a/b", "/a/b/two", "/a/one", "/three"])
        place = {path: at for at, path in enumerate(self.paths(page))}
        self.assertLess(place["/a"], place["/a/b"])
        self.assertLess(place["/a/b"], place["/a/b/two"])

    def test_a_folder_comes_with_what_is_below(self):
        page = self.client.files_list_folder("/A", recursive=True)
        self.assertEqual(self.paths(page)[0], "/a")
        self.assertEqual(sorted(self.paths(page)), ["/a", "/a/b", "/a/b/two", "/a/one"])

    def test_by_id_and_namespace(self):
        folder = self.client.files_get_metadata("/a").id
        self.assertEqual(sorted(self.paths(self.client.files_list_folder(folder))), ["/a/b", "/a/one"])
        namespace = self.client.users_get_current_account().root_info.root_namespace_id
        self.assertEqual(sorted(self.paths(self.client.files_list_folder(f"ns:{namespace}"))), ["/a", "/three"])

    def test_what_has_gone(self):
        self.client.files_upload(b"x", "/gone/file")
        self.client.files_upload(b"y", "/gone/kept")
        self.client.files_delete_v2("/gone/file")
        page = self.client.files_list_folder("/gone", include_deleted=True, limit=1)
        found = page.entries
        while page.has_more:
            page = self.client.files_list_folder_continue(page.cursor)
            found += page.entries
        kinds = {entry.name: type(entry) for entry in found}
        self.assertEqual(kinds, {"file": files.DeletedMetadata, "kept": files.FileMetadata})

    def test_pages(self):
        page = self.client.files_list_folder("", recursive=True, limit=1)
        found = self.paths(page)
        while page.has_more:
            page = self.client.files_list_folder_continue(page.cursor)
            self.assertLessEqual(len(page.entries), 2)
            found += self.paths(page)
        self.assertEqual(sorted(found), ["/a", "/a/b", "/a/b/two", "/a/one", "/three"])

    def test_what_happens_between_pages_is_not_missed(self):
        page = self.client.files_list_folder("", recursive=True, limit=1)
        self.client.files_upload(b"new", "/a/new")
        found = self.paths(page)
        while page.has_more:
            page = self.client.files_list_folder_continue(page.cursor)
            found += self.paths(page)
        found += self.paths(self.client.files_list_folder_continue(page.cursor))
        self.assertIn("/a/new", found)

    def test_errors(self):
        listed = self.client.files_list_folder
        self.assertTrue(self.refusal(listed, "/none").get_path().is_not_found())
        self.assertTrue(self.refusal(listed, "/three").get_path().is_not_folder())
        self.assertTrue(self.refusal(listed, "/a//b").get_path().is_malformed_path())
        latest = self.client.files_list_folder_get_latest_cursor
        self.assertTrue(self.refusal(latest, "/none").get_path().is_not_found())
        for call in (self.client.files_list_folder_continue, self.client.files_list_folder_longpoll):
            with self.assertRaises(exceptions.BadInputError):
                call("no cursor of ours")


class Changes(ClientCase):
    """Applies what `continue` says, as a client does that has nothing else to go by."""

    def setUp(self):
        super().setUp()
        self.known = {}
        self.cursor = self.client.files_list_folder_get_latest_cursor("", recursive=True).cursor

    def follow(self):
        while True:
            page = self.client.files_list_folder_continue(self.cursor)
            self.cursor = page.cursor
            for entry in page.entries:
                self.apply(entry)
            if not page.has_more:
                return

    def apply(self, entry):
        at = entry.path_lower
        if not isinstance(entry, files.FolderMetadata):
            self.known = {path: known for path, known in self.known.items() if not f"{path}/".startswith(f"{at}/")}
        if isinstance(entry, files.FileMetadata):
            self.known[at] = (entry.id, entry.rev, entry.path_display)
        elif isinstance(entry, files.FolderMetadata):
            self.known[at] = (entry.id, None, entry.path_display)

    def assertFollowed(self):
        """What is known is what a new listing shows."""
        self.follow()
        listed = {}
        for entry in self.client.files_list_folder("", recursive=True).entries:
            listed[entry.path_lower] = (entry.id, getattr(entry, "rev", None), entry.path_display)
        self.assertEqual(self.known, listed)
        self.assertEqual(self.client.files_list_folder_continue(self.cursor).entries, [])

    def test_every_kind_of_change(self):
        client = self.client
        steps = (
            lambda: client.files_upload(b"one", "/a/b/file"),
            lambda: client.files_upload(b"two", "/a/b/file", mode=WriteMode.overwrite),
            lambda: client.files_move_v2("/a", "/c"),
            lambda: client.files_move_v2("/c/b/file", "/file"),
            lambda: client.files_copy_v2("/c", "/d"),
            lambda: client.files_move_v2("/c", "/C"),
            lambda: client.files_delete_v2("/d"),
            lambda: client.files_delete_v2("/file"),
            lambda: client.files_create_folder_v2("/file/now a folder"),
            lambda: client.files_delete_v2("/file"),
            lambda: client.files_upload(b"a file again", "/FILE"),
        )
        for number, step in enumerate(steps):
            with self.subTest(number):
                step()
                self.assertFollowed()

    def test_many_changes_at_once(self):
        for number in range(30):
            self.client.files_upload(b"%d" % number, f"/{number % 5}/{number}")
        self.client.files_move_v2("/0", "/1/0")
        self.client.files_delete_v2("/2")
        self.assertFollowed()

    def test_one_folder_alone(self):
        self.client.files_create_folder_v2("/a/deeper")
        cursor = self.client.files_list_folder("/a").cursor
        self.client.files_upload(b"x", "/elsewhere")
        self.client.files_upload(b"x", "/a/deeper/x")
        self.client.files_upload(b"x", "/a/x")
        page = self.client.files_list_folder_continue(cursor)
        self.assertEqual([entry.path_display for entry in page.entries], ["/a/x"])

    def test_the_folder_is_gone_or_elsewhere(self):
        self.client.files_create_folder_v2("/gone")
        self.client.files_create_folder_v2("/moved")
        gone = self.client.files_list_folder("/gone").cursor
        moved = self.client.files_list_folder("/moved").cursor
        self.client.files_delete_v2("/gone")
        self.client.files_move_v2("/moved", "/elsewhere")
        proceed = self.client.files_list_folder_continue
        self.assertTrue(self.refusal(proceed, gone).get_path().is_not_found())
        self.assertTrue(self.refusal(proceed, moved).is_reset())


class LongPoll(ClientCase):
    def setUp(self):
        super().setUp()
        self.client.files_create_folder_v2("/folder")
        self.threads = ThreadPoolExecutor(1)
        self.addCleanup(self.threads.shutdown)

    def wait(self, cursor, timeout=PATIENCE):
        """Waits in another thread, with a client that has no token: the cursor is enough."""
        return self.threads.submit(self.connect("none").files_list_folder_longpoll, cursor, timeout)

    def latest(self, path=""):
        return self.client.files_list_folder_get_latest_cursor(path, recursive=True).cursor

    def test_what_has_happened_is_told_at_once(self):
        cursor = self.latest()
        self.client.files_upload(b"x", "/x")
        self.assertTrue(self.wait(cursor).result(PATIENCE).changes)

    def test_a_change_ends_the_wait(self):
        waiting = self.wait(self.latest("/folder"))
        self.client.files_upload(b"x", "/elsewhere")
        self.assertFalse(waiting.done())
        self.client.files_upload(b"x", "/folder/x")
        self.assertTrue(waiting.result(PATIENCE).changes)

    def test_a_wait_is_over(self):
        # The SDK asks for 30 s and more; the server takes less.
        url = f"{SERVER.url}/2/files/list_folder/longpoll"
        answer = requests.post(url, json={"cursor": self.latest(), "timeout": 1}, timeout=PATIENCE)
        self.assertEqual(answer.json(), {"changes": False})

    def test_it_ends_with_the_link(self):
        # Often, since the end of the link may come at any moment of the wait's beginning.
        for _ in range(20):
            app = self.connect(SERVER.new_token(self.email))
            waiting = self.wait(app.files_list_folder_get_latest_cursor("").cursor)
            app.auth_token_revoke()
            with self.assertRaises(exceptions.AuthError):
                waiting.result(PATIENCE / 4)


if __name__ == "__main__":
    unittest.main()
