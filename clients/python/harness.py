"""Starts a server of its own and points Dropbox's SDK at it. Import this before `dropbox`, which reads its hosts once.

`CAIRN_BIN` names the program. Everything lies in a folder that goes at the end.
"""

import atexit
import html
import json
import os
import re
import selectors
import subprocess
import tempfile
import time
import unittest
from itertools import count
from pathlib import Path

import requests

PASSWORD = "correct horse battery staple"
# Seconds until something that should happen is said not to happen.
PATIENCE = 60


def until(what, look, patience=PATIENCE):
    """Asks `look` until it answers with something true, and returns that."""
    deadline = time.monotonic() + patience
    pause = 0.02
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


# What Dropbox's hosts are called by clients that cannot be told others.
HOSTS = [f"{name}.dropboxapi.com" for name in ("api", "content", "notify")]


class Server:
    """The real program on a free port of loopback, with TLS by a certificate of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.certificate = self.folder / "certificate.pem"
        self.key = self.folder / "key.pem"
        self.password_file = self.folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self.port = 0
        self._process = None
        self._numbers = count(1)
        self._make_certificate()

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self._process.pid

    @property
    def url(self):
        return f"https://{self.host}"

    def start(self):
        """Starts it, again on the port of the first time, and waits until it listens."""
        command = [program(), "serve", "--data", self.data, "--listen", self.host]
        command += ["--tls-cert", self.certificate, "--tls-key", self.key]
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment(),
            )
        self.port = int(re.search(rb":(\d+)\s*$", self._first_line()).group(1))

    def stop(self):
        """Ends it as an operator does, and waits until it has gone."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None

    def new_account(self):
        """Makes an account and returns its address."""
        email = f"person{next(self._numbers)}@example.org"
        self.admin("user", "add", email, "--password-file", self.password_file)
        return email

    def new_token(self, email, *scopes):
        """Makes a token of an account, with every scope unless some are named."""
        named = [word for scope in scopes for word in ("--scope", scope)]
        return self.admin("token", "create", email, *named)["token"]

    def admin(self, *words):
        """Runs `cairn admin` and returns what it says."""
        command = [program(), "admin", *words, "--data", self.data, "--json"]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=self._environment(), timeout=PATIENCE
        )
        if done.returncode != 0:
            raise AssertionError(f"{command} failed: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def log(self):
        """The last lines of its log."""
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-20:])

    def _environment(self):
        return {**os.environ, "CAIRN_HOME": str(self.folder / "home")}

    def _first_line(self):
        """What it prints when it listens."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(PATIENCE) else b""
        if not line:
            self.stop()
            raise AssertionError(f"the server does not start:\n{self.log()}")
        return line

    def _make_certificate(self):
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=cairn"
        names = ",".join(["IP:127.0.0.1"] + [f"DNS:{host}" for host in HOSTS])
        command += f" -addext subjectAltName={names} -keyout {self.key} -out {self.certificate}"
        subprocess.run(command.split(), check=True, stdin=subprocess.DEVNULL, capture_output=True)


def program():
    """The program that is tested."""
    path = os.environ.get("CAIRN_BIN")
    if not path:
        raise AssertionError("CAIRN_BIN is not set: run this as `cargo xtask clients`")
    return path


def _begin():
    folder = tempfile.TemporaryDirectory(prefix="cairn-clients-")
    # What is registered last is done first: the server has gone when its folder goes.
    atexit.register(folder.cleanup)
    server = Server(folder.name)
    server.start()
    atexit.register(server.stop)
    for name in ("API", "API_CONTENT", "API_NOTIFY", "WEB"):
        os.environ[f"DROPBOX_{name}_HOST"] = server.host
    os.environ["REQUESTS_CA_BUNDLE"] = str(server.certificate)
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    return server


SERVER = _begin()

# After the server, since it reads the environment.
import dropbox  # noqa: E402


class Browser:
    """A person who opens the pages of the server."""

    def __init__(self, email):
        self.email = email
        self.session = requests.Session()

    def open(self, url):
        """Opens the page that an app has sent the person to, and signs in."""
        page = self.session.get(url, timeout=PATIENCE)
        page.raise_for_status()
        return self.press(page, "sign-in", email=self.email, password=PASSWORD)

    def press(self, page, button, **fields):
        """Sends the page's form by one of its buttons; an answer to an app is not followed."""
        action = html.unescape(re.search(r'<form method="post" action="([^"]*)"', page.text).group(1))
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
        form = {name: html.unescape(value) for name, value in hidden}
        form.update(fields, action=button)
        answer = self.session.post(SERVER.url + action, data=form, allow_redirects=False, timeout=PATIENCE)
        location = answer.headers.get("location", "")
        if location.startswith("/"):
            return self.session.get(SERVER.url + location, timeout=PATIENCE)
        return answer

    def allow(self, url):
        """Lets an app have what it asks for, and returns the code that the page shows."""
        page = self.press(self.open(url), "allow")
        page.raise_for_status()
        return html.unescape(re.search(r'id="auth-code">([^<]*)<', page.text).group(1))


class ClientCase(unittest.TestCase):
    """A test with an account of its own, and a client with a token for it."""

    def setUp(self):
        self.email = SERVER.new_account()
        self.token = SERVER.new_token(self.email)
        self.client = self.connect(self.token)

    def connect(self, token=None, **options):
        """A client that fails at once where the server does, and is closed with the test."""
        client = dropbox.Dropbox(token, max_retries_on_error=0, **options)
        self.addCleanup(client.close)
        return client

    def refusal(self, call, *arguments, **options):
        """What the route answers instead of a result."""
        with self.assertRaises(dropbox.exceptions.ApiError) as raised:
            call(*arguments, **options)
        return raised.exception.error

    def tree(self):
        """All paths, with the content of files and `None` for folders."""
        found = {}
        page = self.client.files_list_folder("", recursive=True)
        while True:
            for entry in page.entries:
                is_file = isinstance(entry, dropbox.files.FileMetadata)
                found[entry.path_display] = self.content(entry.id) if is_file else None
            if not page.has_more:
                return found
            page = self.client.files_list_folder_continue(page.cursor)

    def content(self, path):
        """The bytes of a file."""
        return self.client.files_download(path)[1].content


def content_hash(content):
    """Dropbox's hash: of the hashes of blocks of 4 MiB."""
    from hashlib import sha256

    block = 4 << 20
    parts = [content[at : at + block] for at in range(0, len(content), block)]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()
