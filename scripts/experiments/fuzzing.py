"""The decoders under bytes that nobody wrote: coverage-guided, with atheris, in an environment of its own.

    scripts/fuzz                    ten minutes
    scripts/fuzz --seconds 60

The first bytes of an input choose what exchange it is, in which coding, how it is cut and when readers look; the rest
is its body. Whatever that is, nothing may raise, every record must be one that SQLite can hold, and what is read again
in other cuts must give the same messages.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["addon"]):
    from addon.captures import Capturing, Surroundings, capture_of
    from addon.exchange import Closing, Opening
    from addon.records import Message, Record

from scripts import scenes
from scripts.loopback.codings import encode

KINDS = (
    ("turn", True, ""), ("resume", True, ""), ("turn", False, ""), ("document", False, "conversation"),
    ("document", False, "textdocs"), ("document", False, "title"), ("list", False, "conversations"),
    ("list", False, "images"), ("list", False, "projects"), ("download", False, "file"), ("socket", False, ""),
    ("document", False, "turns"), ("document", False, "shared"), ("document", False, "init"),
)  # fmt: skip
CODINGS = ("identity", "gzip", "deflate", "deflate-raw", "br", "zstd", "gzip, br")
WORDS = (
    'data: ', 'event: delta', 'event: delta_encoding', '"v1"', '[DONE]', '"p":', '"o":', '"v":', '"c":',
    '"append"', '"patch"', '"add"', '"replace"', '"remove"', '"truncate"', '/message/content/parts/0',
    '/message', '/message/status', '"message":', '"id":', '"conversation_id":', '"type":', '"token":', '"eyJ',
    '\\\\ud83d', '"finished_successfully"', '"in_progress"', '"parts":', '"mapping":', '"items":',
    '"sediment://file_1"', '"thoughts"', '"metadata":', '"topic_id":', '"payload":', '"encoded_item":',
    '"conversation-turn-stream"', '"stream_item"', '"reply"', '"catchups":', '"offset":',
)  # fmt: skip
FOUND = Path(__file__).resolve().parent.parent.parent / ".fuzz"
"""Where inputs that broke something are written, and, in `corpus`, those that led somewhere new: the next run begins
with them."""

STARTED = 1_790_000_000_000_000


def opening(kind: str, streamed: bool, name: str, coding: str, identity: str) -> Opening:
    return Opening(
        stream_id=identity, source="live", kind=kind, streamed=streamed, host="chatgpt.com", path="/backend-api/x",
        method="GET" if kind in ("document", "list") else "POST", started_at=STARTED, name=name,
        parameters={"conversation_id": "k", "file_id": "file_1"}, status_code=101 if kind == "socket" else 200,
        content_type="text/event-stream" if streamed else "application/json", content_encoding=coding,
    )  # fmt: skip


def read(body: bytes, known: Opening, request: bytes, cut: int, *, looks: bool) -> list[Record]:
    """All records of one exchange, cut into chunks of so many bytes."""
    capture: Capturing = capture_of(known, request, Surroundings())
    records = capture.begin()
    chunks = [body[start : start + cut] for start in range(0, len(body), cut)]
    for number, chunk in enumerate(chunks):
        records += capture.feed(b"\0" + chunk if known.kind == "socket" else chunk, STARTED + number)
        if looks and capture.changed:
            records += capture.snapshot()
    records += capture.close(Closing("end"), STARTED + len(chunks))
    capture.summary()
    return records


def check(records: list[Record]) -> None:
    """Every value is one that SQLite takes."""
    for record in records:
        for field in fields(record):
            value: Any = getattr(record, field.name)
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, int):
                assert -(2**63) <= value < 2**63, (type(record).__name__, field.name)


def last_texts(records: list[Record]) -> dict[str, str | None]:
    """What each message says in the end."""
    return {record.id: record.text for record in records if isinstance(record, Message)}


def one_input(data: bytes) -> None:
    """One execution."""
    if len(data) < 4:
        return
    chosen, coding, cut, flags, body = data[0], data[1], data[2], data[3], data[4:]
    kind, streamed, name = KINDS[chosen % len(KINDS)]
    applied = CODINGS[coding % len(CODINGS)]
    # Half of the time the coding is what it says, else the bytes are taken for coded ones.
    wire = body if flags & 1 else encode(body, applied)
    known = opening(kind, streamed, name, applied.removesuffix("-raw"), "s")
    request, _, _ = body.partition(b"\n") if flags & 2 else (b"", b"", b"")
    records = read(wire, known, request, 1 + cut % 97 if kind != "socket" else 1 << 20, looks=bool(flags & 4))
    check(records)
    if kind == "turn" and streamed:
        assert last_texts(read(wire, known, request, 1 << 20, looks=False)) == last_texts(records)


def corpus(folder: Path) -> None:
    """A beginning: short scenes of every kind, in both encodings, and documents."""
    encodings: tuple[scenes.Encoding, ...] = ("v1", "v0")
    for number, (name, make) in enumerate(scenes.SCENES.items()):
        for encoding in encodings:
            body = make(8, seed=name, encoding=encoding).body
            (folder / f"{name}-{encoding}").write_bytes(bytes([0, number, 20, 4]) + body)
    document = b'{"conversation_id":"k","current_node":"a","mapping":{"a":{"id":"a","message":{"id":"a","author":'
    document += b'{"role":"user"},"content":{"content_type":"text","parts":["x"]}},"parent":null,"children":[]}}}'
    for kind in range(2, len(KINDS)):
        (folder / f"document-{kind}").write_bytes(bytes([kind, 0, 96, 0]) + document)
    socket = (
        b'[{"type":"message","topic_id":"conversation-turn-a","payload":{"type":"conversation-turn-stream","payload":'
    )
    socket += b'{"type":"stream-item","encoded_item":"event: delta\\ndata: {}\\n\\n"}}}]'
    (folder / "socket").write_bytes(bytes([10, 0, 96, 0]) + socket)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("input", nargs="?", type=Path, help="one input that was found, to be run once more")
    options = parser.parse_args()
    if options.input:
        one_input(options.input.read_bytes())
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (FOUND / "corpus").mkdir(parents=True, exist_ok=True)
        corpus(FOUND / "corpus")
        quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in WORDS)
        (folder / "words").write_text("".join(f'"{word}"\n' for word in quoted))
        arguments = [
            f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-dict={folder / 'words'}", "-timeout=30",
            "-rss_limit_mb=1000", "-max_len=8192", "-print_final_stats=1", f"-artifact_prefix={FOUND}/",
            str(FOUND / "corpus"),
        ]  # fmt: skip
        began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            atheris.Setup([sys.argv[0], *arguments], one_input)
        print(f"fuzzing for {options.seconds} s", flush=True)
        atheris.Fuzz()
        print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
