"""Files are found by their names."""

import unittest

from harness import ClientCase
from dropbox import exceptions, files
from dropbox.files import FileStatus, SearchOptions, SearchOrderBy


class Search(ClientCase):
    def setUp(self):
        super().setUp()
        for path in ("/Reports/Annual report 2025.pdf", "/Reports/report.txt", "/Übung/REPORT Ähre.txt", "/other"):
            self.client.files_upload(path.encode(), path)

    def search(self, query, **options):
        """The paths of all pages."""
        page = self.client.files_search_v2(query, options=SearchOptions(**options) if options else None)
        found = []
        while True:
            found += [match.metadata.get_metadata().path_display for match in page.matches]
            if not page.has_more:
                return sorted(found)
            page = self.client.files_search_continue_v2(page.cursor)

    def test_every_word_must_stand_in_the_name(self):
        everything = ["/Reports", "/Reports/Annual report 2025.pdf", "/Reports/report.txt", "/Übung/REPORT Ähre.txt"]
        self.assertEqual(self.search("report"), everything)
        self.assertEqual(self.search("REPORT ähre"), ["/Übung/REPORT Ähre.txt"])
        self.assertEqual(self.search("report nothing"), [])

    def test_below_a_folder_and_by_extension(self):
        below = ["/Reports/Annual report 2025.pdf", "/Reports/report.txt"]
        self.assertEqual(self.search("report", path="/Reports"), below)
        self.assertEqual(self.search("report", file_extensions=["pdf"]), below[:1])

    def test_pages(self):
        self.assertEqual(self.search("report", max_results=1), self.search("report"))

    def test_errors(self):
        search = self.client.files_search_v2
        error = self.refusal(search, "x", options=SearchOptions(path="/none"))
        self.assertTrue(error.get_path().is_not_found())
        error = self.refusal(search, "x", options=SearchOptions(path="/other"))
        self.assertTrue(error.get_path().is_not_folder())
        both = SearchOptions(file_status=FileStatus.deleted, order_by=SearchOrderBy.last_modified_time)
        error = self.refusal(search, "x", options=both)
        self.assertTrue(error.is_invalid_argument())
        with self.assertRaises(exceptions.BadInputError):
            self.client.files_search_continue_v2("no cursor of ours")

    def test_the_newest_first(self):
        newest = self.client.files_upload(b"new", "/a new report")
        options = SearchOptions(order_by=SearchOrderBy.last_modified_time, max_results=1)
        page = self.client.files_search_v2("report", options=options)
        self.assertEqual(page.matches[0].metadata.get_metadata().id, newest.id)
        rest = self.client.files_search_continue_v2(page.cursor)
        self.assertNotEqual(rest.matches[0].metadata.get_metadata().id, newest.id)

    def test_what_was_deleted(self):
        self.client.files_delete_v2("/other")
        options = SearchOptions(file_status=FileStatus.deleted)
        (match,) = self.client.files_search_v2("other", options=options).matches
        found = match.metadata.get_metadata()
        self.assertIsInstance(found, files.DeletedMetadata)
        self.assertEqual(found.path_display, "/other")

    def test_what_is_found_is_described(self):
        (match,) = self.client.files_search_v2("other").matches
        self.assertIsInstance(match.metadata.get_metadata(), files.FileMetadata)
        self.assertEqual(match.metadata.get_metadata().size, len("/other"))


if __name__ == "__main__":
    unittest.main()
