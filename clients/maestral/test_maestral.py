"""Maestral, a sync client for Dropbox by somebody else, keeps a folder in sync with the server.

It is linked once; each test has files of its own.
"""

import os
import tempfile
import unittest
from pathlib import Path

from harness import Browser, SERVER, content_hash, until
import dropbox
from dropbox.files import FileMetadata, WriteMode

HOME = tempfile.TemporaryDirectory(prefix="cairn-maestral-")


def _settle():
    """Keeps Maestral's settings and state out of the home of whoever runs this. It reads these variables once."""
    folder = Path(HOME.name)
    names = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
    for name in names:
        os.environ[name] = str(folder / name.lower())
        (folder / name.lower()).mkdir(mode=0o700)
    unittest.addModuleCleanup(HOME.cleanup)


_settle()

from keyrings.alt.file import PlaintextKeyring  # noqa: E402
from maestral.main import Maestral  # noqa: E402


class Sync(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        email = SERVER.new_account()
        cls.remote = dropbox.Dropbox(SERVER.new_token(email))
        cls.addClassCleanup(cls.remote.close)
        cls.remote.files_upload(b"was there before", "/Before/Déjà vu.txt")
        cls.remote.files_create_folder_v2("/Before/Empty folder")
        cls.maestral = Maestral("cairn")
        cls.maestral.cred_storage.set_keyring_backend(PlaintextKeyring())
        browser = Browser(email)
        cls.addClassCleanup(browser.session.close)
        outcome = cls.maestral.link(browser.allow(cls.maestral.get_auth_url()))
        assert outcome == 0, f"linking ended with {outcome}"
        cls.local = Path(HOME.name) / "folder"
        cls.maestral.create_dropbox_directory(str(cls.local))
        cls.maestral.start_sync()
        cls.addClassCleanup(cls.maestral.stop_sync)

    def tearDown(self):
        self.assertEqual([error.title for error in self.maestral.sync_errors], [])
        self.assertEqual([str(error) for error in self.maestral.fatal_errors], [])

    def test_what_was_there_is_downloaded(self):
        self.await_local("Before/Déjà vu.txt", b"was there before")
        until("the empty folder", lambda: (self.local / "Before/Empty folder").is_dir())

    def test_a_new_local_file_is_uploaded(self):
        self.write("Up/né.txt", b"made here")
        self.await_remote("/Up/né.txt", b"made here")

    def test_a_local_file_of_several_pieces_is_uploaded(self):
        content = os.urandom(9_000_000)
        self.write("large", content)
        found = self.await_remote("/large")
        self.assertEqual(found.content_hash, content_hash(content))

    def test_edits_travel_both_ways(self):
        self.write("edited", b"one")
        put = self.await_remote("/edited", b"one")
        self.remote.files_upload(b"two from afar", "/edited", mode=WriteMode.update(put.rev))
        self.await_local("edited", b"two from afar")
        self.write("edited", b"three from here")
        found = self.await_remote("/edited", b"three from here")
        self.assertEqual(found.id, put.id)

    def test_renames_and_deletions_travel(self):
        self.write("folder/old name", b"stays the same")
        put = self.await_remote("/folder/old name", b"stays the same")
        os.rename(self.local / "folder/old name", self.local / "folder/new name")
        self.assertEqual(self.await_remote("/folder/new name").id, put.id)
        self.assertIsNone(self.at("/folder/old name"))
        self.remote.files_move_v2("/folder", "/moved folder")
        self.await_local("moved folder/new name", b"stays the same")
        os.remove(self.local / "moved folder/new name")
        until("the deletion", lambda: self.at("/moved folder/new name") is None)
        self.remote.files_delete_v2("/moved folder")
        until("the deletion of the folder", lambda: not (self.local / "moved folder").exists())

    def test_both_sides_edit(self):
        self.write("both.txt", b"one")
        put = self.await_remote("/both.txt", b"one")
        self.maestral.stop_sync()
        self.remote.files_upload(b"two from afar", "/both.txt", mode=WriteMode.update(put.rev))
        self.write("both.txt", b"two from here")
        self.maestral.start_sync()
        versions = {b"two from afar", b"two from here"}

        def all_local():
            return {path.read_bytes() for path in self.local.glob("both*.txt")}

        def all_remote():
            entries = self.remote.files_list_folder("").entries
            names = [entry.path_lower for entry in entries if entry.name.startswith("both")]
            return {self.remote.files_download(name)[1].content for name in names}

        until("both versions here", lambda: all_local() == versions)
        until("both versions on the server", lambda: all_remote() == versions)
        (copy,) = [path.name for path in self.local.glob("both?*.txt")]
        self.assertIn("conflict", copy)

    def test_the_server_is_started_again(self):
        self.write("restarted", b"one")
        put = self.await_remote("/restarted", b"one")
        SERVER.stop()
        self.write("restarted", b"two from here, with no server")
        until("Maestral sees that the server is gone", lambda: not self.maestral.connected)
        SERVER.start()
        until("Maestral sees the server again", lambda: self.maestral.connected)
        found = self.await_remote("/restarted", b"two from here, with no server")
        self.assertEqual(found.id, put.id)
        self.remote.files_upload(b"three from afar", "/restarted", mode=WriteMode.update(found.rev))
        self.await_local("restarted", b"three from afar")

    def write(self, name, content):
        path = self.local / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def at(self, path):
        """What the server has at a path."""
        try:
            return self.remote.files_get_metadata(path)
        except dropbox.exceptions.ApiError as error:
            if error.error.is_path() and error.error.get_path().is_not_found():
                return None
            raise

    def await_remote(self, path, content=None):
        """Waits until the server has a file, with that content if one is given."""

        def look():
            found = self.at(path)
            if not isinstance(found, FileMetadata):
                return None
            is_it = content is None or found.content_hash == content_hash(content)
            return found if is_it else None

        return until(f"{path} on the server", look)

    def await_local(self, name, content):
        def look():
            path = self.local / name
            return path.is_file() and path.read_bytes() == content

        until(f"{name} in the folder", look)


if __name__ == "__main__":
    unittest.main()
