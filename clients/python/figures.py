"""What the public API costs: a large folder, many small uploads at once, one large file in pieces.

`CAIRN_BIN` names a release build. Run it with the interpreter that `cargo xtask clients python` made:

    CAIRN_BIN=target/release/cairn target/clients/python/bin/python clients/python/figures.py [ENTRIES [GIB]]
"""

import random
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import SERVER

import dropbox
from dropbox.files import CommitInfo, UploadSessionCursor

SMALL_BYTES = 100_000
SMALL_COUNT = 1_000
AT_ONCE = 50
PIECE_BYTES = 8 << 20
PATIENCE = 600


def main(entries, gib):
    token = SERVER.new_token(SERVER.new_account())
    client = dropbox.Dropbox(token, timeout=PATIENCE, max_retries_on_error=0)
    large_folder(client, entries)
    small_uploads(token)
    one_large_file(client, gib)


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
    wanted = [int(word) for word in sys.argv[1:]] + [100_000, 5][len(sys.argv) - 1:]
    main(*wanted)
