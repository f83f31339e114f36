"""Files are found by their names, and by what they hold."""

import io
import unittest
import zipfile

from harness import PATIENCE, SERVER, ClientCase, until
from dropbox import exceptions, files
from dropbox.files import FileStatus, SearchMatchFieldOptions, SearchOptions, SearchOrderBy


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

def archive(**parts):
    """An office document: parts by their names, a slash for each `__`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return packed.getvalue()


def pdf(stream):
    """A page with this stream, without a table of its objects."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + table
    return out + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


class SearchOfContents(ClientCase):
    """What files hold is indexed some seconds after they were uploaded."""

    def matches(self, query, **options):
        """Path and type of each match."""
        found, page = {}, self.client.files_search_v2(query, options=SearchOptions(**options))
        while True:
            for match in page.matches:
                found[match.metadata.get_metadata().path_display] = match.match_type._tag
            if not page.has_more:
                return found
            page = self.client.files_search_continue_v2(page.cursor)

    def found_within(self, query, *expected):
        """Waits until a query finds these, and nothing else."""
        until(f"{query} finds {expected}", lambda: sorted(self.matches(query)) == sorted(expected))

    def test_documents(self):
        documents = {
            "/plain.txt": "A zebra in a text".encode(),
            "/notes.md": "# Zebra".encode(),
            "/zebra.rs": b"fn zebra() {}",
            "/letter.docx": archive(word__document="<w:p><w:r><w:t>Dear ze</w:t></w:r><w:r><w:t>bra</w:t></w:r></w:p>"),
            "/table.xlsx": archive(xl__workbook="<w/>", xl__sharedStrings="<sst><si><t>zebra</t></si></sst>"),
            "/slides.pptx": archive(ppt__presentation="<p/>", ppt__slides__slide1="<a:p><a:t>zebra</a:t></a:p>"),
            "/letter.odt": archive(content="<office:text><text:p>zebra</text:p></office:text>"),
            "/paper.pdf": pdf(b"BT /F1 12 Tf 72 700 Td (A zebra on paper) Tj ET"),
        }
        for path, content in documents.items():
            self.client.files_upload(content, path)
        self.found_within("zebra", *documents)
        self.assertEqual(self.matches("zebra")["/zebra.rs"], "filename_and_content")
        self.assertEqual(self.matches("zebra")["/paper.pdf"], "file_content")
        self.assertEqual(self.matches("zebra", filename_only=True), {"/zebra.rs": "filename"})
        self.assertEqual(self.matches("zebra", max_results=1), self.matches("zebra"))
        self.assertEqual(list(self.matches("zebra paper")), ["/paper.pdf"])
        options = SearchMatchFieldOptions(include_highlights=True)
        (match,) = self.client.files_search_v2("paper", match_field_options=options).matches[:1]
        marked = [span.highlight_str for span in match.highlight_spans if span.is_highlighted]
        self.assertEqual(marked, ["paper"])

    def test_the_index_goes_on_after_a_restart(self):
        first = self.client.files_upload(b"a giraffe", "/a/one.txt")
        self.client.files_upload(b"a giraffe", "/b/two.txt")
        SERVER.stop()
        SERVER.start()
        self.found_within("giraffe", "/a/one.txt", "/b/two.txt")
        self.client.files_upload(b"an okapi", "/a/one.txt", mode=files.WriteMode.overwrite)
        self.client.files_move_v2("/b", "/c")
        self.found_within("giraffe", "/c/two.txt")
        SERVER.stop()
        SERVER.start()
        self.client.files_delete_v2("/c")
        self.client.files_restore("/a/one.txt", first.rev)
        self.found_within("giraffe", "/a/one.txt")
        self.found_within("okapi")

    def test_what_is_meant_to_harm(self):
        """Each makes the process that reads it fail, and nothing else."""
        hostile = {
            "/bomb.docx": archive(word__document="<w:t>okapi</w:t>" + "<w:x/>" * (2 << 20)),
            "/deep.docx": archive(word__document="<w:t>okapi</w:t>" + "<w:x>" * (1 << 20)),
            "/deep.pdf": pdf(b"[" * 200_000),
            "/deep dictionary.pdf": pdf(b"").replace(b"/Count 1", b"/Count " + b"<</A" * 200_000),
            "/cut.pdf": pdf(b"BT /F1 12 Tf (okapi) Tj ET")[:-200],
            "/cut.docx": archive(word__document="<w:t>okapi</w:t>")[:-10],
        }
        for path, content in hostile.items():
            self.client.files_upload(content, path)
        self.client.files_upload(b"an okapi", "/good.txt")
        until("the good one is found", lambda: "/good.txt" in self.matches("okapi"), 4 * PATIENCE)
        self.assertEqual(self.client.files_search_v2("good").matches[0].metadata.get_metadata().name, "good.txt")


if __name__ == "__main__":
    unittest.main()
