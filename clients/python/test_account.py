"""Who somebody is, what a token may do, and which root paths begin at."""

import unittest

import requests

from harness import ClientCase, PATIENCE, SERVER
from dropbox import common, exceptions, users
from dropbox.auth import AuthError


class Account(ClientCase):
    def test_current_account(self):
        account = self.client.users_get_current_account()
        self.assertEqual(account.email, self.email)
        self.assertEqual(account.name.display_name, self.email.split("@")[0])
        self.assertEqual(len(account.account_id), 40)
        self.assertFalse(account.disabled)
        self.assertTrue(account.account_type.is_pro())
        self.assertIsInstance(account.root_info, common.UserRootInfo)
        self.assertEqual(account.root_info.root_namespace_id, account.root_info.home_namespace_id)

    def test_account_by_id(self):
        own = self.client.users_get_current_account().account_id
        self.assertEqual(self.client.users_get_account(own).email, self.email)
        batch = self.client.users_get_account_batch([own, own])
        self.assertEqual([account.account_id for account in batch], [own, own])
        nobody = "dbid:" + "A" * 35
        self.assertTrue(self.refusal(self.client.users_get_account, nobody).is_no_account())
        error = self.refusal(self.client.users_get_account_batch, [own, nobody])
        self.assertTrue(error.is_no_account())
        self.assertEqual(error.get_no_account(), nobody)

    def test_space_usage(self):
        before = self.client.users_get_space_usage()
        self.assertIsInstance(before, users.SpaceUsage)
        self.assertEqual(before.used, 0)
        self.assertGreater(before.allocation.get_individual().allocated, 0)
        self.client.files_upload(b"12345", "/five")
        self.assertEqual(self.client.users_get_space_usage().used, 5)

    def test_space_ends_at_the_quota(self):
        SERVER.admin("user", "quota", self.email, "1000")
        self.assertEqual(self.client.users_get_space_usage().allocation.get_individual().allocated, 1000)
        error = self.refusal(self.client.files_upload, bytes(1001), "/too much")
        self.assertTrue(error.get_path().reason.is_insufficient_space())
        self.client.files_upload(bytes(600), "/fits")
        error = self.refusal(self.client.files_copy_v2, "/fits", "/does not")
        self.assertTrue(error.is_insufficient_quota())

    def test_check_echoes(self):
        self.assertEqual(self.client.check_user(query="Grüße").result, "Grüße")

    def test_what_there_is_not_is_a_bad_request(self):
        with self.assertRaises(exceptions.BadInputError) as raised:
            self.client.files_export("/x")
        self.assertIn("Unknown API function", raised.exception.message)
        self.assertTrue(raised.exception.request_id)
        for call in (self.client.sharing_list_folders, self.client.file_requests_list_v2):
            with self.assertRaises(exceptions.BadInputError):
                call()

    def test_pages_of_other_origins_may_call(self):
        headers = {
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,dropbox-api-arg",
        }
        url = f"{SERVER.url}/2/files/upload"
        asked = requests.options(url, headers=headers, timeout=PATIENCE)
        self.assertTrue(asked.ok)
        self.assertEqual(asked.headers["access-control-allow-origin"], "*")
        allowed = asked.headers["access-control-allow-headers"].lower()
        for name in headers["Access-Control-Request-Headers"].split(","):
            self.assertIn(name, allowed)
        refused = requests.post(url, headers={"Origin": headers["Origin"]}, data=b"x", timeout=PATIENCE)
        self.assertEqual((refused.status_code, refused.headers["access-control-allow-origin"]), (401, "*"))


class Tokens(ClientCase):
    def test_unknown_token(self):
        with self.assertRaises(exceptions.AuthError) as raised:
            self.connect("cairn_" + "0" * 64).users_get_current_account()
        self.assertTrue(raised.exception.error.is_invalid_access_token())

    def test_revoked_token(self):
        other = self.connect(SERVER.new_token(self.email))
        self.client.auth_token_revoke()
        with self.assertRaises(exceptions.AuthError) as raised:
            self.client.files_list_folder("")
        self.assertTrue(raised.exception.error.is_invalid_access_token())
        self.assertEqual(other.users_get_current_account().email, self.email)

    def test_missing_scope(self):
        reader = self.connect(SERVER.new_token(self.email, "files.metadata.read"))
        self.assertEqual(reader.files_list_folder("").entries, [])
        with self.assertRaises(exceptions.AuthError) as raised:
            reader.files_upload(b"x", "/x")
        error = raised.exception.error
        self.assertIsInstance(error, AuthError)
        self.assertTrue(error.is_missing_scope())
        self.assertEqual(error.get_missing_scope().required_scope, "files.content.write")
        with self.assertRaises(exceptions.AuthError) as raised:
            reader.files_download("/x")
        self.assertEqual(raised.exception.error.get_missing_scope().required_scope, "files.content.read")

    def test_disabled_account(self):
        SERVER.admin("user", "disable", self.email)
        with self.assertRaises(exceptions.AuthError) as raised:
            self.client.users_get_current_account()
        self.assertTrue(raised.exception.error.is_user_suspended())
        SERVER.admin("user", "enable", self.email)

    def test_accounts_do_not_see_each_other(self):
        own = self.client.files_upload(b"mine", "/mine")
        stranger = self.connect(SERVER.new_token(SERVER.new_account()))
        for path in ("/mine", own.id, f"rev:{own.rev}", f"ns:{self.namespace()}/mine"):
            with self.subTest(path):
                error = self.refusal(stranger.files_get_metadata, path)
                self.assertTrue(error.get_path().is_not_found())
                error = self.refusal(stranger.files_download, path)
                self.assertTrue(error.get_path().is_not_found())

    def namespace(self):
        return self.client.users_get_current_account().root_info.root_namespace_id


class PathRoot(ClientCase):
    def setUp(self):
        super().setUp()
        self.namespace = self.client.users_get_current_account().root_info.root_namespace_id
        self.client.files_upload(b"x", "/x")

    def test_own_roots(self):
        roots = (
            common.PathRoot.home,
            common.PathRoot.root(self.namespace),
            common.PathRoot.namespace_id(self.namespace),
        )
        for root in roots:
            with self.subTest(root):
                rooted = self.client.with_path_root(root)
                self.assertEqual(rooted.files_get_metadata("/x").size, 1)
                self.assertEqual(rooted.files_download("/x")[1].content, b"x")

    def test_another_root_is_named(self):
        rooted = self.client.with_path_root(common.PathRoot.root("4711000"))
        with self.assertRaises(exceptions.PathRootError) as raised:
            rooted.files_get_metadata("/x")
        error = raised.exception.error
        self.assertTrue(error.is_invalid_root())
        self.assertEqual(error.get_invalid_root().root_namespace_id, self.namespace)

    def test_another_namespace_is_not_permitted(self):
        rooted = self.client.with_path_root(common.PathRoot.namespace_id("4711000"))
        with self.assertRaises(exceptions.PathRootError) as raised:
            rooted.files_get_metadata("/x")
        self.assertTrue(raised.exception.error.is_no_permission())


if __name__ == "__main__":
    unittest.main()
