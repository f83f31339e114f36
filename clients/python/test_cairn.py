"""The routes that Dropbox does not have, by plain HTTP."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import requests

from harness import PATIENCE, SERVER, ClientCase, content_hash


class CairnCase(ClientCase):
    def call(self, route, argument, status=200):
        """The answer of a route, or the error with its status."""
        answer = requests.post(
            f"{SERVER.url}/2/cairn/{route}",
            json=argument,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=PATIENCE,
        )
        self.assertEqual(answer.status_code, status, answer.text)
        return answer.json()


class Commit(CairnCase):
    def test_all_or_nothing(self):
        put = self.client.files_upload(b"one", "/old/file")
        session = self.client.files_upload_session_start(b"bytes", close=True)
        content = {".tag": "upload_session", "session_id": session.session_id, "offset": 5}
        operations = [
            {".tag": "create_folder", "path": "/new"},
            {".tag": "put", "path": "/new/uploaded", "content": content},
            {".tag": "move", "from_path": "/old/file", "to_path": "/new/file", "parent_rev": put.rev},
            {".tag": "delete", "path": "/old"},
            {".tag": "delete", "path": "/none"},
        ]
        before = self.tree()
        refused = self.call("files/commit", {"operations": operations}, 409)
        self.assertEqual(refused["error_summary"], "operation_failed/path_lookup/not_found/..")
        self.assertEqual(refused["error"]["index"], 4)
        self.assertEqual(self.tree(), before)
        done = self.call("files/commit", {"operations": operations[:4]})
        self.assertEqual(done["entries"][2]["id"], put.id)
        self.assertEqual(self.tree(), {"/new": None, "/new/uploaded": b"bytes", "/new/file": b"one"})


class Past(CairnCase):
    def test_a_folder_as_it_was(self):
        first = self.client.files_upload(b"one", "/folder/file")
        page = self.call("files/list_at", {"path": "", "at": {".tag": "time", "time": "2100-01-01T00:00:00Z"}})
        at = {".tag": "position", "position": page["as_of"]["position"]}
        self.client.files_delete_v2("/folder")
        page = self.call("files/list_at", {"path": "", "at": at, "recursive": True, "limit": 1})
        paths = [entry["path_display"] for entry in page["entries"]]
        while page["has_more"]:
            page = self.call("files/list_at/continue", {"cursor": page["cursor"]})
            paths += [entry["path_display"] for entry in page["entries"]]
        self.assertEqual(paths, ["/folder", "/folder/file"])
        found = self.call("files/get_metadata_at", {"path": "/folder/file", "at": at})
        self.assertEqual(found["metadata"]["rev"], first.rev)
        answer = requests.post(
            f"{SERVER.url}/2/cairn/files/download_at",
            headers={
                "Authorization": f"Bearer {self.token}",
                "Dropbox-API-Arg": json.dumps({"path": "/folder/file", "at": at}),
            },
            timeout=PATIENCE,
        )
        self.assertEqual(answer.content, b"one")
        at["position"] += 1_000_000
        refused = self.call("files/list_at", {"path": "", "at": at}, 409)
        self.assertEqual(refused["error_summary"], "at/not_yet/..")


class TreeHash(CairnCase):
    def test_equal_folders(self):
        self.client.files_upload(b"one", "/a/file")
        self.client.files_copy_v2("/a", "/b")
        a, b = (self.call("files/tree_hash", {"path": path}) for path in ("/a", "/b"))
        self.assertEqual((a[".tag"], a["hash"]), ("complete", b["hash"]))
        children = self.call("files/tree_hash", {"path": "", "children": True})["children"]
        self.assertEqual([child["hash"] for child in children], [a["hash"]] * 2)
        refused = self.call("files/tree_hash", {"path": "/a/file"}, 409)
        self.assertEqual(refused["error_summary"], "path/not_folder/..")


class Activity(CairnCase):
    def test_newest_first(self):
        self.client.files_upload(b"one", "/file")
        self.client.files_move_v2("/file", "/moved")
        page = self.call("activity", {"limit": 1})
        newest = page["entries"][0]
        self.assertEqual(newest["change"], {".tag": "moved"})
        self.assertEqual((newest["from_path_display"], newest["path_display"]), ("/file", "/moved"))
        self.assertTrue(newest["by"]["is_caller"])
        rest = self.call("activity/continue", {"cursor": page["cursor"]})
        self.assertEqual([entry["change"][".tag"] for entry in rest["entries"]], ["created"])
        self.assertFalse(rest["has_more"])


class Delta(CairnCase):
    def bytes_call(self, route, argument, data=b"", status=200):
        """The answer of a route whose argument stands in a header."""
        answer = requests.post(
            f"{SERVER.url}/2/cairn/files/{route}",
            data=data,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/octet-stream",
                "Dropbox-API-Arg": json.dumps(argument),
            },
            timeout=PATIENCE,
        )
        self.assertEqual(answer.status_code, status, answer.text[:1_000])
        return answer

    def test_an_edit_by_rdiff(self):
        old = os.urandom(3_000_000)
        put = self.client.files_upload(old, "/big")
        new = old[:1_000_000] + b"inserted" + old[1_000_100:] + old[500_000:600_000]
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "new").write_bytes(new)
        signature = self.bytes_call("signature", {"path": f"rev:{put.rev}"}).content
        (folder / "signature").write_bytes(signature)
        subprocess.run(["rdiff", "delta", "signature", "new", "delta"], cwd=folder, check=True, timeout=PATIENCE)
        delta = (folder / "delta").read_bytes()
        self.assertLess(len(signature) + len(delta), 60_000)
        argument = {
            "path": "/big",
            "mode": {".tag": "update", "update": put.rev},
            "base_rev": put.rev,
            "content_hash": content_hash(new),
        }
        refused = self.bytes_call("upload_delta", {**argument, "content_hash": content_hash(old)}, delta, 409)
        self.assertEqual(refused.json()["error_summary"], "content_hash_mismatch/..")
        refused = self.bytes_call("upload_delta", argument, delta[:-1], 409)
        self.assertEqual(refused.json()["error_summary"], "malformed_delta/..")
        self.assertEqual(self.client.files_get_metadata("/big").rev, put.rev)
        made = self.bytes_call("upload_delta", argument, delta).json()
        self.assertEqual((made["id"], made["size"]), (put.id, len(new)))
        self.assertEqual(self.content("/big"), new)


if __name__ == "__main__":
    unittest.main()
