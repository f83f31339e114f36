"""rclone, which speaks by Dropbox's SDK for Go. Its hosts cannot be changed, so it is given a proxy that knows another way."""

import json
import os
import socket
import socketserver
import subprocess
import threading
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import ClientCase, HOSTS, PATIENCE, SERVER, content_hash


class Tunnel(socketserver.StreamRequestHandler):
    """Answers CONNECT for Dropbox's hosts with a way to the server, whatever the port, and refuses all others."""

    def handle(self):
        words = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass
        if words[0] != "CONNECT" or words[1].split(":")[0] not in HOSTS:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", SERVER.port)) as server:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=carry, args=(server, self.connection))
            back.start()
            carry(self.connection, server)
            back.join()


def carry(source, target):
    """Carries bytes until one side ends."""
    try:
        while block := source.recv(1 << 16):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # The other side has hung up: there is nothing to be carried any more.
        pass


class Proxy(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Rclone(ClientCase):
    def setUp(self):
        super().setUp()
        proxy = Proxy(("127.0.0.1", 0), Tunnel)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        folder = TemporaryDirectory(prefix="cairn-rclone-")
        self.addCleanup(folder.cleanup)
        self.local = Path(folder.name) / "local"
        self.local.mkdir()
        token = {"access_token": self.token, "token_type": "bearer", "expiry": "0001-01-01T00:00:00Z"}
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder.name,
            "RCLONE_CONFIG": str(Path(folder.name) / "rclone.conf"),
            "RCLONE_CONFIG_THERE_TYPE": "dropbox",
            "RCLONE_CONFIG_THERE_TOKEN": json.dumps(token),
            "RCLONE_DROPBOX_CHUNK_SIZE": "4M",
            "RCLONE_RETRIES": "1",
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.server_address[1]}",
            "SSL_CERT_FILE": str(SERVER.certificate),
        }
        Path(self.environment["RCLONE_CONFIG"]).touch()

    def rclone(self, *words, fails=False, **options):
        """Runs it and returns what it prints."""
        command = ["rclone", *map(str, words)]
        done = subprocess.run(command, env=self.environment, capture_output=True, timeout=PATIENCE, **options)
        self.assertEqual(done.returncode != 0, fails, done.stderr.decode())
        return done.stdout.decode()

    def write(self, name, content):
        path = self.local / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def fill(self):
        """A tree with unusual names, an empty file, and one of several parts."""
        contents = {"a.txt": b"one", "Ordner/é 🎉.txt": b"two", "Ordner/empty": b"", "large": os.urandom(9_000_001)}
        for name, content in contents.items():
            self.write(name, content)
        return {f"/{name}": content for name, content in contents.items()}

    def files(self):
        return {path: content for path, content in self.tree().items() if content is not None}

    def test_there_and_back(self):
        contents = self.fill()
        for mode in ("sync", "off"):
            with self.subTest(batch_mode=mode):
                where = f"there:{mode}"
                self.rclone("copy", self.local, where, "--dropbox-batch-mode", mode)
                self.assertEqual(self.content(f"/{mode}/large"), contents["/large"])
                self.rclone("check", self.local, where)
                back = self.local.parent / f"back {mode}"
                self.rclone("copy", where, back)
                read = {f"/{path.relative_to(back)}": path.read_bytes() for path in back.rglob("*") if path.is_file()}
                self.assertEqual(read, contents)

    def test_sync_makes_the_other_side_equal(self):
        contents = self.fill()
        self.rclone("sync", self.local, "there:")
        self.assertEqual(self.files(), contents)
        self.write("a.txt", b"one, edited")
        os.remove(self.local / "large")
        os.rename(self.local / "Ordner/empty", self.local / "Ordner/still empty")
        self.rclone("sync", self.local, "there:")
        expected = {"/a.txt": b"one, edited", "/Ordner/é 🎉.txt": b"two", "/Ordner/still empty": b""}
        self.assertEqual(self.files(), expected)

    def test_what_is_there_is_listed(self):
        self.fill()
        self.rclone("copy", self.local, "there:")
        listed = json.loads(self.rclone("lsjson", "--recursive", "--hash", "there:"))
        found = {entry["Path"]: entry for entry in listed}
        self.assertEqual(set(found), {"a.txt", "large", "Ordner", "Ordner/empty", "Ordner/é 🎉.txt"})
        self.assertEqual(found["a.txt"]["Hashes"]["dropbox"], content_hash(b"one"))
        self.assertTrue(found["Ordner"]["IsDir"])
        about = json.loads(self.rclone("about", "--json", "there:"))
        self.assertEqual(about["used"], self.client.users_get_space_usage().used)

    def test_moves_copies_and_deletions_happen_there(self):
        put = self.client.files_upload(b"x", "/folder/file")
        self.rclone("moveto", "there:folder/file", "there:elsewhere/new name")
        self.assertEqual(self.client.files_get_metadata("/elsewhere/new name").id, put.id)
        self.rclone("copyto", "there:elsewhere/new name", "there:copy")
        self.assertEqual(self.content("/copy"), b"x")
        self.rclone("mkdir", "there:made")
        self.rclone("rmdir", "there:made")
        self.rclone("rmdir", "there:elsewhere", fails=True)
        self.rclone("deletefile", "there:copy")
        self.rclone("purge", "there:elsewhere")
        self.assertEqual(self.files(), {})

    def test_a_stream_and_a_part(self):
        content = os.urandom(5_000_000)
        self.rclone("rcat", "there:stream", input=content)
        self.assertEqual(self.content("/stream"), content)
        self.client.files_upload(b"0123456789", "/digits")
        self.assertEqual(self.rclone("cat", "--offset", "3", "--count", "4", "there:digits"), "3456")


if __name__ == "__main__":
    unittest.main()
