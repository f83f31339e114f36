"""What pictures tell of themselves."""

import struct
import unittest
import zlib
from datetime import datetime

from harness import ClientCase
from dropbox.files import PhotoMetadata, WriteMode

ASCII, LONG, RATIONAL = 2, 4, 5


def tiff(tables):
    """EXIF as a camera writes it: a table of entries, and those that it points to, in the order of `tables`."""
    begins, at = [], 8
    for entries in tables:
        begins.append(at)
        at += 2 + 12 * len(entries) + 4
    head, tail = struct.pack("<2sHI", b"II", 42, 8), b""
    for entries in tables:
        head += struct.pack("<H", len(entries))
        for tag, kind, value in entries:
            if kind == LONG:
                count, data = 1, struct.pack("<I", begins[value])
            elif kind == ASCII:
                data = value.encode() + b"\0"
                count = len(data)
            else:
                data = b"".join(struct.pack("<II", *part) for part in value)
                count = len(value)
            if len(data) > 4:
                place = struct.pack("<I", at + len(tail))
                tail += data
            else:
                place = data.ljust(4, b"\0")
            head += struct.pack("<HHI", tag, kind, count) + place
        head += struct.pack("<I", 0)
    return head + tail


def png(width, height, exif=None):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" * (width + 1)) * height)
    extra = chunk(b"eXIf", exif) if exif else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Media(ClientCase):
    def media_info(self, path):
        return self.client.files_get_metadata(path, include_media_info=True).media_info

    def test_a_photograph(self):
        exif = tiff([
            [(0x8769, LONG, 1), (0x8825, LONG, 2)],
            [(0x9003, ASCII, "2026:07:01 12:30:00"), (0x9011, ASCII, "+02:00")],
            [
                (1, ASCII, "N"),
                (2, RATIONAL, [(52, 1), (30, 1), (0, 1)]),
                (3, ASCII, "W"),
                (4, RATIONAL, [(13, 1), (15, 1), (0, 1)]),
            ],
        ])
        put = self.client.files_upload(png(40, 30, exif), "/Photo.PNG")
        self.assertIsNone(put.media_info)
        photo = self.media_info("/photo.png").get_metadata()
        self.assertIsInstance(photo, PhotoMetadata)
        self.assertEqual((photo.dimensions.width, photo.dimensions.height), (40, 30))
        self.assertAlmostEqual(photo.location.latitude, 52.5)
        self.assertAlmostEqual(photo.location.longitude, -13.25)
        self.assertEqual(photo.time_taken, datetime(2026, 7, 1, 10, 30))
        # A former state tells of itself.
        self.client.files_upload(png(10, 10), "/Photo.PNG", mode=WriteMode.overwrite)
        self.assertEqual(self.media_info("/photo.png").get_metadata().dimensions.width, 10)
        self.assertEqual(self.media_info(f"rev:{put.rev}").get_metadata().dimensions.width, 40)

    def test_a_drawing_was_taken_nowhere(self):
        self.client.files_upload(png(3, 2), "/drawing.png")
        drawing = self.media_info("/drawing.png").get_metadata()
        self.assertEqual((drawing.location, drawing.time_taken), (None, None))

    def test_what_is_no_picture(self):
        self.client.files_upload(b"text", "/text.txt")
        self.client.files_upload(b"text", "/text.png")
        for path in ("/text.txt", "/text.png"):
            self.assertIsNone(self.media_info(path))
        listed = self.client.files_list_folder("", include_media_info=True)
        self.assertEqual([entry.media_info for entry in listed.entries], [None, None])


if __name__ == "__main__":
    unittest.main()
