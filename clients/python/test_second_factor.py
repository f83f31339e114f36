"""Apps are linked by people who have a second factor."""

import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

from harness import Browser, ClientCase, PATIENCE, SERVER, program
from dropbox import DropboxOAuth2FlowNoRedirect

APP = "an-app-of-nobody"
STEP = 30
# Codes that an account may be asked for at once.
ATTEMPTS = 10
WRONG = "aaaa-aaaa-aaaa-aaaa"


class Device:
    """A linked device, which is where a second factor is turned on."""

    def __init__(self, email, home):
        self.home = home
        der = ssl.PEM_cert_to_DER_cert(SERVER.certificate.read_text())
        fingerprint = hashlib.sha256(der).hexdigest()
        self.run("login", SERVER.url, "--email", email, "--password-file", SERVER.password_file,
                 "--fingerprint", fingerprint, "--device-name", "a phone")

    def run(self, *words):
        """Runs `cairn` and returns what it says."""
        environment = {**os.environ, "CAIRN_HOME": str(self.home)}
        done = subprocess.run(
            [program(), *words, "--json"], stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=PATIENCE
        )
        if done.returncode != 0:
            raise AssertionError(f"{words} failed: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def turn_on(self):
        """Turns it on; the secret, the time step of the code that confirmed it, and the recovery codes."""
        begun = self.run("second-factor", "begin", "--password-file", SERVER.password_file)
        secret = base64.b32decode(begun["secret"])
        step = int(time.time()) // STEP
        confirmed = self.run("second-factor", "confirm", code_of(secret, step))
        return secret, step, confirmed["recovery_codes"]


def code_of(secret, step):
    """What an authenticator shows (RFC 6238)."""
    digest = hmac.new(secret, struct.pack(">Q", step), hashlib.sha1).digest()
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


class SecondFactor(ClientCase):
    def setUp(self):
        super().setUp()
        home = tempfile.TemporaryDirectory(prefix="cairn-clients-phone-")
        self.addCleanup(home.cleanup)
        self.secret, self.step, self.recovery = Device(self.email, home.name).turn_on()

    def begin(self):
        """Opens the page of an app and gives the password; the app's flow, the browser, and the page that asks for a code."""
        flow = DropboxOAuth2FlowNoRedirect(APP, use_pkce=True, token_access_type="offline")
        browser = Browser(self.email)
        self.addCleanup(browser.session.close)
        page = browser.open(flow.start())
        self.assertEqual(page.status_code, 200)
        self.assertIn('name="code"', page.text)
        return flow, browser, page

    def link(self, code):
        """Links an app with a code; what the app may call."""
        flow, browser, page = self.begin()
        page = browser.press(page, "code", code=code)
        self.assertEqual(page.status_code, 200, page.text)
        page = browser.press(page, "allow")
        linked = flow.finish(re.search(r'id="auth-code">([^<]*)<', page.text).group(1))
        return self.connect(linked.access_token)

    def assert_refused(self, code, status=403):
        _, browser, page = self.begin()
        page = browser.press(page, "code", code=code)
        self.assertEqual(page.status_code, status, page.text)
        self.assertIn('name="code"', page.text)
        return browser, page

    def test_a_code_lets_an_app_in_once(self):
        # The one after that by which it was turned on: a phone may be ahead that much.
        code = code_of(self.secret, self.step + 1)
        self.assertEqual(self.link(code).users_get_current_account().email, self.email)
        self.assert_refused(code)
        self.assert_refused(code_of(self.secret, self.step))

    def test_a_recovery_code_lets_an_app_in_once(self):
        self.assertEqual(len(self.recovery), ATTEMPTS)
        first, second = self.recovery[:2]
        self.assertEqual(self.link(first).users_get_current_account().email, self.email)
        self.assert_refused(first)
        # However it is typed.
        self.link(second.upper().replace("-", " "))

    def test_what_was_linked_before_stays_linked(self):
        self.assertEqual(self.client.users_get_current_account().email, self.email)

    def test_the_password_alone_allows_nothing(self):
        flow, browser, page = self.begin()
        refused = browser.press(page, "allow")
        self.assertEqual(refused.status_code, 403)
        self.assertNotIn('id="auth-code"', refused.text)
        self.assertNotIn('id="auth-code"', browser.session.get(flow.start(), timeout=PATIENCE).text)

    def test_guesses_are_slowed_down(self):
        # One was the code that turned it on.
        browser, page = self.assert_refused(WRONG)
        for _ in range(ATTEMPTS - 2):
            page = browser.press(page, "code", code=WRONG)
            self.assertEqual(page.status_code, 403)
        # Now a right one is not looked at either.
        page = browser.press(page, "code", code=self.recovery[0])
        self.assertEqual(page.status_code, 429)
        self.assertGreater(int(page.headers["retry-after"]), 60)
        self.assertIn('name="code"', page.text)
        # Apps that are linked go on, and so does everybody else.
        self.assertEqual(self.client.files_list_folder("").entries, [])
        somebody = Browser(SERVER.new_account())
        self.addCleanup(somebody.session.close)
        flow = DropboxOAuth2FlowNoRedirect(APP, use_pkce=True)
        self.assertTrue(flow.finish(somebody.allow(flow.start())).access_token)


if __name__ == "__main__":
    unittest.main()
