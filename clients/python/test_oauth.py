"""Apps are linked in the browser, and their tokens are renewed."""

import unittest
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import requests

from harness import Browser, ClientCase, PASSWORD, PATIENCE, SERVER
from dropbox import Dropbox, DropboxOAuth2Flow, DropboxOAuth2FlowNoRedirect, exceptions
from dropbox.files import ListRevisionsMode
from dropbox.oauth import BadStateException, NotApprovedException

# Any app that uses PKCE may ask without being registered.
APP = "an-app-of-nobody"
REDIRECT = "http://localhost:53682/"


class LinkCase(ClientCase):
    def setUp(self):
        super().setUp()
        self.browser = Browser(self.email)
        self.addCleanup(self.browser.session.close)

    def flow(self, **options):
        return DropboxOAuth2FlowNoRedirect(APP, use_pkce=True, token_access_type="offline", **options)

    def link(self, **options):
        flow = self.flow(**options)
        return flow.finish(self.browser.allow(flow.start()))


class Link(LinkCase):
    def test_a_code_is_shown_and_traded(self):
        result = self.link()
        client = self.connect(result.access_token)
        account = client.users_get_current_account()
        self.assertEqual((account.email, account.account_id), (self.email, result.account_id))
        self.assertGreater(result.expires_at, datetime.utcnow())
        self.assertTrue(result.refresh_token)
        client.files_upload(b"x", "/x")
        self.assertEqual(self.content("/x"), b"x")

    def test_a_wrong_password(self):
        url = self.flow().start()
        page = self.browser.session.get(url, timeout=PATIENCE)
        page = self.browser.press(page, "sign-in", email=self.email, password=PASSWORD + "!")
        self.assertEqual(page.status_code, 403)
        self.assertNotIn('id="auth-code"', page.text)
        page = self.browser.press(page, "sign-in", email=self.email, password=PASSWORD)
        self.assertEqual(page.status_code, 200)
        self.assertIn(self.email, page.text)

    def test_a_code_is_worth_something_once_and_to_whoever_asked(self):
        flow = self.flow()
        code = self.browser.allow(flow.start())
        with self.assertRaises(requests.HTTPError) as raised:
            self.flow().finish(code)
        self.assertEqual(raised.exception.response.json()["error"], "invalid_grant")
        flow = self.flow()
        code = self.browser.allow(flow.start())
        flow.finish(code)
        with self.assertRaises(requests.HTTPError) as raised:
            flow.finish(code)
        self.assertEqual(raised.exception.response.json()["error"], "invalid_grant")

    def test_fewer_scopes(self):
        result = self.link(scope=["account_info.read", "files.metadata.read"])
        self.assertEqual(set(result.scope.split()), {"account_info.read", "files.metadata.read"})
        client = self.connect(result.access_token)
        self.assertEqual(client.files_list_folder("").entries, [])
        with self.assertRaises(exceptions.AuthError) as raised:
            client.files_upload(b"x", "/x")
        self.assertTrue(raised.exception.error.is_missing_scope())

    def test_without_a_secret_pkce_is_needed(self):
        url = DropboxOAuth2FlowNoRedirect(APP, "a secret").start()
        page = requests.get(url, timeout=PATIENCE)
        self.assertEqual(page.status_code, 400)
        self.assertIn("PKCE", page.text)

    def test_an_app_that_listens_on_loopback(self):
        session = {}
        flow = DropboxOAuth2Flow(APP, REDIRECT, session, "csrf", use_pkce=True, token_access_type="offline")
        answer = self.browser.press(self.browser.open(flow.start("some state")), "allow")
        self.assertEqual(answer.status_code, 303)
        location = answer.headers["location"]
        self.assertTrue(location.startswith(REDIRECT))
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        with self.assertRaises(BadStateException):
            DropboxOAuth2Flow(APP, REDIRECT, {}, "csrf", use_pkce=True).finish(query)
        result = flow.finish(query)
        self.assertEqual(result.url_state, "some state")
        self.assertEqual(self.connect(result.access_token).users_get_current_account().email, self.email)

    def test_a_no_is_told_to_the_app(self):
        session = {}
        flow = DropboxOAuth2Flow(APP, REDIRECT, session, "csrf", use_pkce=True)
        answer = self.browser.press(self.browser.open(flow.start()), "deny")
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        with self.assertRaises(NotApprovedException):
            flow.finish({name: values[0] for name, values in query.items()})

    def test_a_registered_app_has_a_secret(self):
        redirect = "https://app.example.org/back"
        app = SERVER.admin("app", "add", "An app", "--redirect", redirect)
        session = {}
        flow = DropboxOAuth2Flow(app["key"], redirect, session, "csrf", consumer_secret=app["secret"])
        answer = self.browser.press(self.browser.open(flow.start()), "allow")
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        result = flow.finish({name: values[0] for name, values in query.items()})
        self.assertEqual(self.connect(result.access_token).users_get_current_account().email, self.email)
        stolen = DropboxOAuth2Flow(app["key"], "https://evil.example.org/", {}, "csrf", consumer_secret="x")
        self.assertEqual(requests.get(stolen.start(), timeout=PATIENCE).status_code, 400)


class Confined(LinkCase):
    """An app that is registered with a folder has that for its root."""

    def setUp(self):
        super().setUp()
        app = SERVER.admin("app", "add", "An app", "--folder", "Its folder")
        flow = DropboxOAuth2FlowNoRedirect(app["key"], consumer_secret=app["secret"])
        linked = flow.finish(self.browser.allow(flow.start()))
        self.app = self.connect(linked.access_token)

    def test_what_it_writes_lies_in_its_folder(self):
        put = self.app.files_upload(b"x", "/deeper/x")
        self.assertEqual(put.path_display, "/deeper/x")
        self.assertEqual(self.tree()["/Apps/Its folder/deeper/x"], b"x")
        paths = [entry.path_display for entry in self.app.files_list_folder("", recursive=True).entries]
        self.assertEqual(sorted(paths), ["/deeper", "/deeper/x"])

    def test_it_sees_nothing_else(self):
        outside = self.client.files_upload(b"x", "/outside")
        namespace = self.client.users_get_current_account().root_info.root_namespace_id
        names = ("/outside", outside.id, f"rev:{outside.rev}", f"ns:{namespace}/outside", "/../outside")
        for name in names:
            with self.subTest(name):
                error = self.refusal(self.app.files_download, name).get_path()
                self.assertTrue(error.is_not_found() or error.is_malformed_path())
        cursor = self.app.files_list_folder("", recursive=True).cursor
        self.client.files_upload(b"y", "/outside too")
        self.assertEqual(self.app.files_list_folder_continue(cursor).entries, [])
        self.client.files_delete_v2("/outside")
        error = self.refusal(self.app.files_list_revisions, outside.id, mode=ListRevisionsMode.id)
        self.assertTrue(error.get_path().is_not_found())


class Renewal(LinkCase):
    def test_an_expired_token_is_renewed(self):
        linked = self.link()
        expired = datetime.utcnow() - timedelta(hours=1)
        client = self.connect(
            linked.access_token,
            oauth2_refresh_token=linked.refresh_token,
            oauth2_access_token_expiration=expired,
            app_key=APP,
        )
        self.assertEqual(client.users_get_current_account().email, self.email)
        self.assertNotEqual(client._oauth2_access_token, linked.access_token)
        self.assertGreater(client._oauth2_access_token_expiration, datetime.utcnow())

    def test_a_refresh_token_is_enough(self):
        linked = self.link()
        client = self.connect(oauth2_refresh_token=linked.refresh_token, app_key=APP)
        self.assertEqual(client.files_list_folder("").entries, [])

    def test_a_renewed_token_may_do_less(self):
        linked = self.link()
        client = self.connect(
            oauth2_refresh_token=linked.refresh_token, app_key=APP, scope=["files.metadata.read"]
        )
        client.refresh_access_token(scope=["files.metadata.read"])
        self.assertEqual(client.files_list_folder("").entries, [])
        with self.assertRaises(exceptions.AuthError) as raised:
            client.users_get_space_usage()
        self.assertTrue(raised.exception.error.is_missing_scope())

    def test_a_revoked_link_is_not_renewed(self):
        linked = self.link()
        client = self.connect(
            linked.access_token,
            oauth2_refresh_token=linked.refresh_token,
            oauth2_access_token_expiration=linked.expires_at,
            app_key=APP,
        )
        client.auth_token_revoke()
        with self.assertRaises(exceptions.AuthError):
            client.users_get_current_account()
        with self.assertRaises(exceptions.AuthError) as raised:
            client.refresh_access_token()
        self.assertTrue(raised.exception.error.is_invalid_access_token())

    def test_another_app_cannot_renew(self):
        linked = self.link()
        client = Dropbox(oauth2_refresh_token=linked.refresh_token, app_key="another-app-of-nobody")
        self.addCleanup(client.close)
        with self.assertRaises(exceptions.AuthError) as raised:
            client.refresh_access_token()
        self.assertTrue(raised.exception.error.is_invalid_access_token())


if __name__ == "__main__":
    unittest.main()
