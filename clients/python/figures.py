"""What the public API costs: a large folder, many small uploads at once, one large file in pieces, a small picture of a
large one, a search in a large tree.

`CAIRN_BIN` names a release build. Run it with the interpreter that `cargo xtask clients python` made:

    CAIRN_BIN=target/release/cairn target/clients/python/bin/python clients/python/figures.py [ENTRIES [GIB [NAMES]]]
"""

import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import SERVER

import dropbox
from dropbox.files import CommitInfo, PathOrLink, SearchOptions, SearchOrderBy, UploadSessionCursor

SMALL_BYTES = 100_000
SMALL_COUNT = 1_000
AT_ONCE = 50
PIECE_BYTES = 8 << 20
# Folders that are copied as one change: as many as that can hold, about.
COPIED = 9_000
PATIENCE = 600


def main(entries, gib, names):
    token = SERVER.new_token(SERVER.new_account())
    client = dropbox.Dropbox(token, timeout=PATIENCE, max_retries_on_error=0)
    large_folder(client, entries)
    small_uploads(token)
    one_large_file(client, gib)
    thumbnail(client)
    # An account of its own: its tree holds the names and nothing else.
    token = SERVER.new_token(SERVER.new_account())
    large_tree(dropbox.Dropbox(token, timeout=PATIENCE, max_retries_on_error=0), names)


def large_folder(client, entries):
    for first in range(0, entries, 1_000):
        names = [f"/many/f{number:07d}" for number in range(first, min(entries, first + 1_000))]
        client.files_create_folder_batch(names)
    seconds = []
    page, took = timed(lambda: client.files_list_folder("/many", limit=2_000))
    seconds.append(took)
    while page.has_more:
        cursor = page.cursor
        page, took = timed(lambda: client.files_list_folder_continue(cursor))
        seconds.append(took)
    first, last = seconds[0] * 1e3, seconds[-1] * 1e3
    middle, most = statistics.median(seconds) * 1e3, max(seconds) * 1e3
    print(f"{entries:,} entries in one folder: {len(seconds)} pages; first {first:.0f} ms, last {last:.0f}, "
          f"median {middle:.0f}, longest {most:.0f}")
    found, took = timed(lambda: client.files_search_v2(f"f{entries - 1:07d}"))
    print(f"search for one name among them: {len(found.matches)} found, {took:.2f} s; {memory()}")


def small_uploads(token):
    content = random.randbytes(SMALL_BYTES - 8)
    session = dropbox.create_session(AT_ONCE)

    def upload(number):
        client = dropbox.Dropbox(token, session=session, timeout=PATIENCE, max_retries_on_error=0)
        client.files_upload(content + number.to_bytes(8, "big"), f"/small/{number}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        # A refused upload raises here.
        _, took = timed(lambda: list(pool.map(upload, range(SMALL_COUNT))))
    print(f"{SMALL_COUNT:,} uploads of {SMALL_BYTES:,} bytes, {AT_ONCE} at once: {took:.1f} s; {memory()}")


def one_large_file(client, gib):
    size = gib << 30
    session = client.files_upload_session_start(b"").session_id

    def send():
        for offset in range(0, size, PIECE_BYTES):
            client.files_upload_session_append_v2(random.randbytes(PIECE_BYTES), UploadSessionCursor(session, offset))

    _, sent = timed(send)
    cursor = UploadSessionCursor(session, size)
    _, finished = timed(lambda: client.files_upload_session_finish(b"", cursor, CommitInfo("/large")))
    stored = sum(path.stat().st_size for path in SERVER.data.rglob("*") if path.is_file())
    print(f"{gib} GiB in pieces of 8 MiB: sent in {sent:.1f} s, finished in {finished:.1f} s; "
          f"{stored / 2**30:.2f} GiB stored; {memory()}")


def thumbnail(client):
    for width, height in ((600, 400), (6_000, 4_000)):
        content = photograph(width, height)
        client.files_upload(content, f"/{width}.jpg")
        # The second time it is remembered.
        made = [timed(lambda: client.files_get_thumbnail_v2(PathOrLink.path(f"/{width}.jpg"))) for _ in range(2)]
        (_, answer), took = made[0]
        print(f"thumbnail of a JPEG of {width * height / 1e6:.2f} megapixels, {len(content) / 2**20:.1f} MiB: "
              f"{took:.2f} s, again {made[1][1] * 1e3:.0f} ms, {len(answer.content):,} bytes; {memory()}")


def large_tree(client, names):
    for first in range(0, COPIED, 1_000):
        client.files_create_folder_batch([f"/0/f{number:05d}" for number in range(first, first + 1_000)])
    _, took = timed(lambda: [client.files_copy_v2("/0", f"/{number}") for number in range(1, names // COPIED)])
    client.files_create_folder_v2("/0/f00000/needle")
    print(f"a tree of {names:,} folders, made by copies of {COPIED:,}: {took:.0f} s; {memory()}")
    for what, options in (
        ("its name", None),
        ("its name, the newest first", SearchOptions(order_by=SearchOrderBy.last_modified_time)),
    ):
        page, took = timed(lambda: client.files_search_v2("needle", options=options))
        found, seconds = len(page.matches), [took]
        while page.has_more:
            cursor = page.cursor
            page, took = timed(lambda: client.files_search_continue_v2(cursor))
            found += len(page.matches)
            seconds.append(took)
        print(f"search for one more by {what}: {found} found, {sum(seconds):.2f} s in {len(seconds)} calls, "
              f"the longest {max(seconds):.2f} s; {memory()}")


def photograph(width, height):
    """A baseline JPEG in colours, of blocks with a few frequencies each: as much work for a decoder as a photograph."""
    lengths = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1] + [0] * 7)
    # A table each of differences and of frequencies: 12 codes, in the order of their lengths.
    differences = bytes(range(12))
    frequencies = bytes([0x00, 0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x21, 0x22, 0x31, 0x41, 0xF0])
    codes, code = [], 0
    for length, count in enumerate(lengths, 1):
        for _ in range(count):
            codes.append(f"{code:0{length}b}")
            code += 1
        code <<= 1

    def value(number, size):
        return f"{number if number > 0 else number + (1 << size) - 1:0{size}b}"

    def block(rest):
        size = rest.randrange(1, 5)
        step = rest.choice([-1, 1]) * rest.randrange(1 << size - 1, 1 << size)
        # The difference goes up in one block and down in the next: brightness stays where it is.
        first, second = codes[size] + value(step, size), codes[size] + value(-step, size)
        waves = []
        for _ in range(2):
            wave = ""
            for _ in range(rest.randrange(4, 14)):
                kind = rest.choice([1, 1, 2, 3, 5, 6])
                amount = frequencies[kind] & 15
                wave += codes[kind] + value(rest.choice([-1, 1]) * rest.randrange(1 << amount - 1, 1 << amount), amount)
            waves.append(wave + codes[0])
        return first + waves[0] + second + waves[1]

    rest = random.Random(1)
    pairs = [block(rest) for _ in range(512)]
    flat = codes[0] + codes[0]
    # Sixteen by sixteen pixels: four blocks of brightness, one of each colour.
    units = -(-width // 16) * -(-height // 16)
    bits = "".join(rest.choice(pairs) + rest.choice(pairs) + flat + flat for _ in range(units))
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")

    def segment(mark, content):
        return bytes([0xFF, mark]) + (len(content) + 2).to_bytes(2, "big") + content

    sizes = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    frame = bytes([8]) + sizes + bytes([3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0])
    tables = b"".join(segment(0xC4, bytes([kind]) + lengths + values) for kind, values in ((0, differences), (16, frequencies)))
    order = bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
    quantities = segment(0xDB, bytes([0]) + bytes([8] * 64))
    return b"\xff\xd8" + quantities + segment(0xC0, frame) + tables + segment(0xDA, order) + scan + b"\xff\xd9"


def timed(work):
    started = time.monotonic()
    result = work()
    return result, time.monotonic() - started


def memory():
    """The server's greatest memory so far, where the system tells it."""
    status = Path(f"/proc/{SERVER.pid}/status")
    if not status.exists():
        return "memory not told"
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return f"server at most {int(peak.split()[1]) // 1024} MiB"


if __name__ == "__main__":
    wanted = [int(word) for word in sys.argv[1:]] + [100_000, 5, 1_000_000][len(sys.argv) - 1:]
    main(*wanted)
