"""The server's own description of its routes, against what it does: Schemathesis makes up calls from it, right and wrong ones,
and holds each answer to it."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from base64 import b64decode
from pathlib import Path

from harness import PATIENCE, SERVER, ClientCase

# After the server, since it reads the environment.
from dropbox.files import SearchOptions

# The least picture that there is.
PICTURE = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
]
# Examples of each route. The seed is fixed, so a failure comes again.
EXAMPLES = 6
SEED = 1
SECONDS = 400


class Document(ClientCase):
    def known(self):
        """What the account holds, by the names that arguments have for it."""
        folders = [self.client.files_create_folder_v2(f"/folder {number}").metadata for number in range(10)]
        file = self.client.files_upload(b"hello", "/folder 0/file.txt")
        # Many, since other calls delete and move them.
        pictures = [self.client.files_upload(PICTURE, f"/picture {number}.png") for number in range(20)]
        gone = self.client.files_upload(b"gone", "/gone.txt")
        self.client.files_delete_v2("/gone.txt")
        searched = self.client.files_search_v2("t", options=SearchOptions(max_results=1))
        sessions = self.client.files_upload_session_start_batch(50).session_ids
        paths = ["/folder 0/file.txt", "/gone.txt", f"rev:{file.rev}"]
        paths += [entry.id for entry in folders + pictures]
        return {
            "path": paths + [""] * 5,
            "from_path": paths,
            "to_path": [f"/to {number}" for number in range(200)],
            "rev": [file.rev, gone.rev],
            "cursor": [self.client.files_list_folder("").cursor, searched.cursor],
            "session_id": sessions,
            "offset": [0],
            "length": [0],
            "account_id": [self.client.users_get_current_account().account_id],
        }

    def seen(self):
        """Which routes have answered with what."""
        lines = (SERVER.folder / "server.log").read_text(errors="replace")
        found = set(re.findall(r'route="(/2/[^"]*)" status=([0-9]*)', lines))
        return {route: {status for known, status in found if known == route} for route, _ in found}

    def test_every_answer_is_as_described(self):
        folder = tempfile.TemporaryDirectory(prefix="cairn-schemathesis-")
        self.addCleanup(folder.cleanup)
        command = [Path(sys.executable).with_name("schemathesis"), "run", f"{SERVER.url}/2/cairn/openapi.json"]
        command += ["--header", f"Authorization: Bearer {self.token}", "--tls-verify", SERVER.certificate]
        command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
        command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--generation-deterministic"]
        command += ["--request-timeout", str(PATIENCE)]
        command += ["--continue-on-failure", "--no-color", "--warnings", "off"]
        # Else the token ends with the first of these.
        command += ["--exclude-path", "/2/auth/token/revoke"]
        here = Path(__file__).parent
        environment = {
            **os.environ,
            "CAIRN_KNOWN": json.dumps(self.known()),
            "PYTHONPATH": str(here),
            "SCHEMATHESIS_HOOKS": "hooks",
        }
        done = subprocess.run(
            command, cwd=folder.name, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}\n{SERVER.log()}")
        self.assertNotIn("ERROR", SERVER.log())
        print(done.stdout.splitlines()[-1], file=sys.stderr)
        # What was only ever refused has shown nothing of its results: `/check` always, others by chance.
        seen = self.seen()
        refused = {route for route, statuses in seen.items() if not statuses & {"200", "206"}}
        self.assertLess(len(refused), len(seen) // 4, refused)


if __name__ == "__main__":
    unittest.main()
