"""The SDK's own way with large files: in parts, several at once."""

import os
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import ClientCase, content_hash
from dropbox.exceptions import ApiError
from dropbox.file_transfer import (
    Bytes,
    BytesUpload,
    Downloader,
    DownloadOptions,
    Uploader,
    UploadOptions,
    download_file,
    upload_file,
)
from dropbox.files import CommitInfo


class Transfer(ClientCase):
    def test_there_and_back_in_parts(self):
        content = os.urandom(20_000_001)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            path.write_bytes(content)
            upload_file(self.client, str(path), CommitInfo("/file"))
            self.assertEqual(self.client.files_get_metadata("/file").content_hash, content_hash(content))
            path.unlink()
            download_file(self.client, "/file", str(path))
            self.assertEqual(path.read_bytes(), content)

    def test_there_and_back_in_parts_at_once(self):
        content = os.urandom(30_000_001)
        options = UploadOptions(parallel_uploads=4)
        sent = Uploader(self.client).upload(BytesUpload(content), CommitInfo("/file"), options)
        self.assertEqual(sent.metadata.content_hash, content_hash(content))
        target = Bytes()
        Downloader(self.client).download("/file", target, DownloadOptions(parallel_downloads=4))
        self.assertEqual(target.bytes(), content)

    def test_an_empty_file(self):
        uploader = Uploader(self.client)
        uploader.upload(BytesUpload(b""), CommitInfo("/empty"))
        target = Bytes()
        Downloader(self.client).download("/empty", target)
        self.assertEqual(target.bytes(), b"")

    def test_what_is_refused(self):
        with self.assertRaises(ApiError) as raised:
            Downloader(self.client).download("/none", Bytes())
        self.assertTrue(raised.exception.error.get_path().is_not_found())
        self.client.files_create_folder_v2("/folder")
        with self.assertRaises(ApiError) as raised:
            Uploader(self.client).upload(BytesUpload(b"x"), CommitInfo("/folder"))
        self.assertTrue(raised.exception.error.get_path().get_conflict().is_folder())


if __name__ == "__main__":
    unittest.main()
