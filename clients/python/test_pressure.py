"""What a server that is killed, or a connection that is cut, leaves behind: all of a change or nothing of it."""

import json
import os
import random
import signal
import socket
import ssl
import struct
import tempfile
import threading
import unittest
from itertools import count

import requests

from harness import PATIENCE, SERVER, ClientCase, Server, until

ROUNDS = 6
WRITERS = 4


class Calls:
    """Calls of a token, by plain HTTP."""

    def __init__(self, server, token):
        self.server = server
        self.session = requests.Session()
        # What the environment says is the certificate of another server.
        self.session.trust_env = False
        self.session.verify = str(server.certificate)
        self.session.headers["Authorization"] = f"Bearer {token}"

    def rpc(self, route, argument):
        answer = self.session.post(f"{self.server.url}/2/{route}", json=argument, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def bytes(self, route, argument, data=b""):
        headers = {"Dropbox-API-Arg": json.dumps(argument), "Content-Type": "application/octet-stream"}
        url = f"{self.server.url}/2/{route}"
        answer = self.session.post(url, data=data, headers=headers, timeout=PATIENCE)
        answer.raise_for_status()
        return answer

    def files(self):
        """Paths of all files with their contents."""
        page = self.rpc("files/list_folder", {"path": "", "recursive": True})
        entries = page["entries"]
        while page["has_more"]:
            page = self.rpc("files/list_folder/continue", {"cursor": page["cursor"]})
            entries += page["entries"]
        files = (entry for entry in entries if entry[".tag"] == "file")
        return {
            entry["path_display"]: self.bytes("files/download", {"path": f"rev:{entry['rev']}"}).content
            for entry in files
        }


class Killed(unittest.TestCase):
    """A server of its own, which dies."""

    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="cairn-clients-"))
        self.server = Server(folder)
        self.server.start()
        self.addCleanup(self.server.stop)
        self.token = self.server.new_token(self.server.new_account())
        self.numbers = count(1)
        # What a change puts where, once it is sent, and whether it was acknowledged.
        self.sent = []
        self.is_killed = False
        # What went wrong while the server lived.
        self.strange = []

    def change(self, calls, size):
        """Uploads two files by sessions and puts them, with a copy and a folder, in one change."""
        number = next(self.numbers)
        contents = [b"%d %d " % (number, part) + os.urandom(size) for part in range(2)]
        operations = [{".tag": "create_folder", "path": f"/{number}/empty"}]
        for part, content in enumerate(contents):
            start = calls.bytes("files/upload_session/start", {}, content[: size // 2]).json()
            cursor = {"session_id": start["session_id"], "offset": size // 2}
            calls.bytes("files/upload_session/append_v2", {"cursor": cursor, "close": True}, content[size // 2 :])
            source = {".tag": "upload_session", "session_id": start["session_id"], "offset": len(content)}
            operations.append({".tag": "put", "path": f"/{number}/{part}", "content": source})
        operations.append({".tag": "copy", "from_path": f"/{number}/0", "to_path": f"/copies/{number}"})
        puts = {f"/{number}/{part}": content for part, content in enumerate(contents)}
        record = {"puts": {**puts, f"/copies/{number}": contents[0]}, "is_done": False}
        self.sent.append(record)
        calls.rpc("cairn/files/commit", {"operations": operations})
        record["is_done"] = True

    def upload(self, calls, size):
        """Uploads one file."""
        number = next(self.numbers)
        content = b"%d " % number + os.urandom(size)
        record = {"puts": {f"/uploads/{number}": content}, "is_done": False}
        self.sent.append(record)
        calls.bytes("files/upload", {"path": f"/uploads/{number}"}, content)
        record["is_done"] = True

    def write(self, seed):
        """Changes until the server is gone."""
        dice = random.Random(seed)
        calls = Calls(self.server, self.token)
        try:
            while True:
                size = dice.choice([10, 20_000, 700_000])
                dice.choice([self.change, self.upload])(calls, size)
        except requests.RequestException as error:
            if not self.is_killed:
                self.strange.append(error)

    def test_all_or_nothing(self):
        dice = random.Random(7)
        for number in range(ROUNDS):
            writers = [threading.Thread(target=self.write, args=(f"{number} {n}",)) for n in range(WRITERS)]
            self.is_killed = False
            for writer in writers:
                writer.start()
            # Somewhere in the middle of what comes after the first of them is done.
            done = sum(record["is_done"] for record in self.sent)
            wanted = done + dice.randrange(1, 12)
            until("changes are made", lambda: sum(record["is_done"] for record in list(self.sent)) >= wanted)
            self.is_killed = True
            os.kill(self.server.pid, signal.SIGKILL)
            for writer in writers:
                writer.join(PATIENCE)
            self.assertEqual(self.strange, [])
            self.server.stop()
            self.server.start()
            self.check()

    def check(self):
        found = Calls(self.server, self.token).files()
        for record in self.sent:
            there = {path: found.pop(path) for path in record["puts"] if path in found}
            if record["is_done"] or there:
                self.assertEqual(there, record["puts"])
                record["is_done"] = True
        self.assertEqual(found, {}, "nobody has written that")


class Cut(ClientCase):
    """A connection that is cut within a body."""

    def send_part(self, route, argument, head, body):
        """Sends part of a call and goes."""
        context = ssl.create_default_context(cafile=str(SERVER.certificate))
        with socket.create_connection(("127.0.0.1", SERVER.port), timeout=PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
                lines = [
                    f"POST /2/{route} HTTP/1.1",
                    f"Host: {SERVER.host}",
                    f"Authorization: Bearer {self.token}",
                    f"Dropbox-API-Arg: {json.dumps(argument)}",
                    "Content-Type: application/octet-stream",
                    head,
                ]
                stream.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                # Without a farewell.
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def test_nothing_is_half_there(self):
        put = self.client.files_upload(b"whole", "/file")
        session = self.client.files_upload_session_start(b"begun").session_id
        cursor = {"session_id": session, "offset": 5}
        before = self.tree()
        part = os.urandom(3_000_000)
        overwrite = {"path": "/file", "mode": "overwrite"}
        for route, argument in (
            ("files/upload", {"path": "/new"}),
            ("files/upload", overwrite),
            ("files/upload_session/append_v2", {"cursor": cursor, "close": True}),
            ("files/upload_session/finish", {"cursor": cursor, "commit": overwrite}),
        ):
            for head, body in (
                ("Content-Length: 4000000", part),
                ("Transfer-Encoding: chunked", b"2dc6c0\r\n" + part + b"\r\n"),
            ):
                with self.subTest(route, head=head):
                    self.send_part(route, argument, head, body)
                    self.assertEqual(self.tree(), before)
        self.assertEqual(self.client.files_get_metadata("/file").rev, put.rev)
        # The session has what it had, and goes on.
        argument = {"cursor": cursor, "commit": {"path": "/new"}}
        answer = requests.post(
            f"{SERVER.url}/2/files/upload_session/finish",
            data=b" and ended",
            headers={
                "Authorization": f"Bearer {self.token}",
                "Dropbox-API-Arg": json.dumps(argument),
                "Content-Type": "application/octet-stream",
            },
            timeout=PATIENCE,
        )
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(self.tree(), {"/file": b"whole", "/new": b"begun and ended"})


if __name__ == "__main__":
    unittest.main()
