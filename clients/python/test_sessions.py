"""Contents that come in several requests."""

import os
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import ClientCase, content_hash
from dropbox import files
from dropbox.files import (
    CommitInfo,
    UploadSessionAppendBatchArgEntry,
    UploadSessionCursor as Cursor,
    UploadSessionFinishArg,
    UploadSessionType,
    WriteMode,
)

BLOCK = 4 << 20


class Sequential(ClientCase):
    def start(self, content=b"", **options):
        return self.client.files_upload_session_start(content, **options).session_id

    def append(self, content, session, offset, **options):
        return self.client.files_upload_session_append_v2(content, Cursor(session, offset), **options)

    def finish(self, content, session, offset, path, **options):
        commit = CommitInfo(path, **options)
        return self.client.files_upload_session_finish(content, Cursor(session, offset), commit)

    def test_three_pieces(self):
        content = os.urandom(9_000_001)
        session = self.start(content[:BLOCK])
        self.append(content[BLOCK : 2 * BLOCK], session, BLOCK)
        put = self.finish(content[2 * BLOCK :], session, 2 * BLOCK, "/Folder/File")
        self.assertIsInstance(put, files.FileMetadata)
        self.assertEqual((put.path_display, put.size), ("/Folder/File", len(content)))
        self.assertEqual(put.content_hash, content_hash(content))
        self.assertEqual(self.content("/folder/file"), content)

    def test_nothing_at_all(self):
        session = self.start()
        self.append(b"", session, 0, close=True)
        self.assertEqual(self.finish(b"", session, 0, "/empty").size, 0)

    def test_wrong_offsets(self):
        session = self.start(b"12345")
        error = self.refusal(self.append, b"x", session, 4)
        self.assertTrue(error.is_incorrect_offset())
        self.assertEqual(error.get_incorrect_offset().correct_offset, 5)
        error = self.refusal(self.finish, b"x", session, 6, "/file").get_lookup_failed()
        self.assertEqual(error.get_incorrect_offset().correct_offset, 5)
        self.append(b"67", session, 5)
        self.assertEqual(self.finish(b"8", session, 7, "/file").size, 8)
        self.assertEqual(self.content("/file"), b"12345678")

    def test_closed(self):
        session = self.start(b"12345", close=True)
        self.assertTrue(self.refusal(self.append, b"x", session, 5).is_closed())
        self.assertEqual(self.finish(b"", session, 5, "/file").size, 5)

    def test_unknown(self):
        self.assertTrue(self.refusal(self.append, b"x", "no session", 0).is_not_found())
        error = self.refusal(self.finish, b"x", "no session", 0, "/file")
        self.assertTrue(error.get_lookup_failed().is_not_found())
        session = self.start(b"x")
        self.finish(b"", session, 1, "/file")
        self.assertTrue(self.refusal(self.append, b"x", session, 1).is_not_found())

    def test_hashes_are_checked_and_nothing_is_kept(self):
        error = self.refusal(self.start, b"x", content_hash=content_hash(b"y"))
        self.assertTrue(error.is_content_hash_mismatch())
        session = self.start(b"12345", content_hash=content_hash(b"12345"))
        error = self.refusal(self.append, b"67", session, 5, content_hash=content_hash(b"no"))
        self.assertTrue(error.is_content_hash_mismatch())
        self.append(b"67", session, 5, content_hash=content_hash(b"67"))
        cursor, commit = Cursor(session, 7), CommitInfo("/file")
        finish = self.client.files_upload_session_finish
        error = self.refusal(finish, b"8", cursor, commit, content_hash=content_hash(b"no"))
        self.assertTrue(error.is_content_hash_mismatch())
        finish(b"8", cursor, commit, content_hash=content_hash(b"8"))
        self.assertEqual(self.content("/file"), b"12345678")

    def test_a_refused_place_is_no_end(self):
        self.client.files_upload(b"other", "/file")
        session = self.start(b"content")
        error = self.refusal(self.finish, b"", session, 7, "/file")
        self.assertTrue(error.is_path())
        self.assertTrue(error.get_path().get_conflict().is_file())
        error = self.refusal(self.finish, b"", session, 7, "/a//b")
        self.assertTrue(error.get_path().is_malformed_path())
        self.assertEqual(self.finish(b"", session, 7, "/file", autorename=True).name, "file (1)")
        session = self.start(b"content")
        self.finish(b"", session, 7, "/file", mode=WriteMode.overwrite)
        self.assertEqual(self.content("/file"), b"content")


class Concurrent(ClientCase):
    def setUp(self):
        super().setUp()
        kind = UploadSessionType.concurrent
        self.session = self.client.files_upload_session_start(b"", session_type=kind).session_id

    def append(self, content, offset, **options):
        return self.client.files_upload_session_append_v2(content, Cursor(self.session, offset), **options)

    def finish(self, size, content=b""):
        return self.client.files_upload_session_finish(content, Cursor(self.session, size), CommitInfo("/file"))

    def test_pieces_in_any_order_at_once(self):
        content = os.urandom(3 * BLOCK + 5)
        starts = range(0, len(content), BLOCK)

        def send(start):
            piece = content[start : start + BLOCK]
            self.append(piece, start, close=start + BLOCK >= len(content))

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(send, reversed(starts)))
        put = self.finish(len(content))
        self.assertEqual(put.content_hash, content_hash(content))
        self.assertEqual(self.content("/file"), content)

    def test_errors_of_pieces(self):
        self.assertTrue(self.refusal(self.append, b"x", 1).is_concurrent_session_invalid_offset())
        self.assertTrue(self.refusal(self.append, b"x", 0).is_concurrent_session_invalid_data_size())

    def test_errors_of_start_and_finish(self):
        kind = UploadSessionType.concurrent
        start = self.client.files_upload_session_start
        error = self.refusal(start, b"x", session_type=kind)
        self.assertTrue(error.is_concurrent_session_data_not_allowed())
        error = self.refusal(start, b"", session_type=kind, close=True)
        self.assertTrue(error.is_concurrent_session_close_not_allowed())
        self.assertTrue(self.refusal(self.finish, 0).is_concurrent_session_not_closed())
        self.append(b"the end", BLOCK, close=True)
        size = BLOCK + 7
        self.assertTrue(self.refusal(self.finish, size, b"x").is_concurrent_session_data_not_allowed())
        self.assertTrue(self.refusal(self.finish, size).is_concurrent_session_missing_data())
        self.append(bytes(BLOCK), 0)
        self.assertEqual(self.finish(size).size, size)


class Batches(ClientCase):
    def start(self, number):
        return self.client.files_upload_session_start_batch(number).session_ids

    def test_the_largest_start_gives_each_a_session_of_its_own(self):
        self.assertEqual(len(set(self.start(1000))), 1000)

    def test_whole(self):
        contents = [b"one", b"", b"three"]
        sessions = self.start(len(contents))
        entries = [
            UploadSessionAppendBatchArgEntry(Cursor(session, 0), len(content), close=True)
            for session, content in zip(sessions, contents)
        ]
        body = b"".join(contents)
        appended = self.client.files_upload_session_append_batch(body, entries, content_hash=content_hash(body))
        self.assertTrue(all(entry.is_success() for entry in appended.entries))
        finish = [
            UploadSessionFinishArg(Cursor(session, len(content)), CommitInfo(f"/{number}"))
            for number, (session, content) in enumerate(zip(sessions, contents))
        ]
        done = self.client.files_upload_session_finish_batch_v2(finish)
        self.assertEqual([entry.get_success().path_display for entry in done.entries], ["/0", "/1", "/2"])
        self.assertEqual(self.tree(), {"/0": b"one", "/1": b"", "/2": b"three"})

    def test_errors_of_pieces(self):
        (session,) = self.start(1)
        append = self.client.files_upload_session_append_batch
        entry = UploadSessionAppendBatchArgEntry(Cursor(session, 0), 3)
        self.assertTrue(self.refusal(append, b"four", [entry]).is_length_mismatch())
        self.assertTrue(self.refusal(append, b"no", [entry]).is_length_mismatch())
        error = self.refusal(append, b"abc", [entry], content_hash=content_hash(b"abd"))
        self.assertTrue(error.is_content_hash_mismatch())
        entries = [
            UploadSessionAppendBatchArgEntry(Cursor("no session", 0), 1),
            UploadSessionAppendBatchArgEntry(Cursor(session, 5), 1),
            UploadSessionAppendBatchArgEntry(Cursor(session, 0), 1, close=True),
            UploadSessionAppendBatchArgEntry(Cursor(session, 1), 1),
        ]
        unknown, wrong, added, closed = append(b"abcd", entries).entries
        self.assertTrue(unknown.get_failure().is_not_found())
        self.assertEqual(wrong.get_failure().get_incorrect_offset().correct_offset, 0)
        self.assertTrue(added.is_success())
        self.assertTrue(closed.get_failure().is_closed())

    def test_errors_of_the_end(self):
        self.client.files_upload(b"other", "/there")
        closed, opened = self.start(2)
        entries = [UploadSessionAppendBatchArgEntry(Cursor(closed, 0), 3, close=True)]
        self.client.files_upload_session_append_batch(b"abc", entries)
        entries = [
            UploadSessionFinishArg(Cursor("no session", 0), CommitInfo("/a")),
            UploadSessionFinishArg(Cursor(opened, 0), CommitInfo("/b")),
            UploadSessionFinishArg(Cursor(closed, 2), CommitInfo("/c")),
            UploadSessionFinishArg(Cursor(closed, 3), CommitInfo("/there")),
        ]
        for batch in (self.finish_v2, self.finish_v1):
            with self.subTest(batch.__name__):
                unknown, not_closed, wrong, conflict = [entry.get_failure() for entry in batch(entries)]
                self.assertTrue(unknown.get_lookup_failed().is_not_found())
                self.assertTrue(not_closed.get_lookup_failed().is_not_closed())
                self.assertEqual(wrong.get_lookup_failed().get_incorrect_offset().correct_offset, 3)
                self.assertTrue(conflict.get_path().get_conflict().is_file())

    def test_one_that_is_done_when_it_answers(self):
        session = self.client.files_upload_session_start(b"abc", close=True).session_id
        (entry,) = self.finish_v1([UploadSessionFinishArg(Cursor(session, 3), CommitInfo("/a"))])
        self.assertEqual(entry.get_success().path_display, "/a")

    def finish_v1(self, entries):
        return self.client.files_upload_session_finish_batch(entries).get_complete().entries

    def finish_v2(self, entries):
        return self.client.files_upload_session_finish_batch_v2(entries).entries


if __name__ == "__main__":
    unittest.main()
