"""Answers to the question where a file is: which asset an address stands for, and nothing of a signature."""

import json
from pathlib import Path
from typing import Any

import pytest

from addon.wire.evidence import decompress
from tests.conftest import CAPTURES, needs_captures
from tests.receiving import ESTUARY, FILES, asset, download, png, receive
from tests.recording import FINISHED, Archive, archive_at, message, shown, v1

SIGNED = f"https://{FILES}/file-AbC?se=canary-se&sp=r&sv=2024&sr=b&sig=canary-sig%3D"


def urls(archive: Archive) -> list[dict[str, Any]]:
    return archive.rows("SELECT url, asset_id, name, size_bytes, conversation_id FROM asset_urls")


@pytest.mark.parametrize(
    ("answer", "known", "row"),
    [
        (
            {"status": "success", "download_url": SIGNED, "file_name": "tides.pdf", "file_size_bytes": 77},
            {"file_id": "file-AbC"},
            {"url": f"{FILES}/file-AbC", "asset_id": "file-AbC", "name": "tides.pdf", "size_bytes": 77, "conversation_id": None},
        ),
        (
            {"url": f"{ESTUARY}?id=file_1&ts=1&sig=canary-sig"},
            {"file_id": "file_1", "parameters": {"file_id": "file_1", "conversation_id": "talk"}},
            {"url": f"chatgpt.com{ESTUARY}?id=file_1", "asset_id": "file_1", "name": None, "size_bytes": None, "conversation_id": "talk"},
        ),
        (
            {"status": "success", "download_url": SIGNED, "file_name": None, "file_size_bytes": None, "metadata": None},
            {"file_id": "file-AbC"},
            {"url": f"{FILES}/file-AbC", "asset_id": "file-AbC", "name": None, "size_bytes": None, "conversation_id": None},
        ),
    ],
)  # fmt: skip
def test_an_answer_says_which_asset_an_address_stands_for(
    archive: Archive, answer: Any, known: dict[str, Any], row: dict[str, Any]
) -> None:
    stream = download(archive, answer, **known)
    assert stream is not None
    assert (stream["kind"], stream["name"], stream["state"]) == ("download", "file", "complete")
    assert urls(archive) == [row]


def test_the_signature_is_nowhere_and_the_id_is_kept(archive: Archive) -> None:
    download(archive, {"download_url": SIGNED, "b": f"{ESTUARY}?id=file_1&sig=canary-sig&st=canary-st"})
    body = decompress(archive.row("SELECT body FROM stream_bodies")["body"])
    assert json.loads(body) == {
        "download_url": f"https://{FILES}/file-AbC?redacted",
        "b": f"{ESTUARY}?id=file_1&redacted",
    }
    for row in archive.rows("SELECT * FROM asset_urls JOIN streams ON streams.id = stream_id"):
        assert "canary" not in str(row)


def test_an_error_is_kept_with_the_asset_and_the_exchange(archive: Archive) -> None:
    answer = {"status": "error", "error_code": "file_not_found", "error_message": "File not found"}
    stream = download(archive, answer)
    assert stream is not None
    assert (stream["state"], stream["error"]) == ("error", "the service has no such file (file_not_found)")
    assert asset(archive)["error"] == "file_not_found"
    download(archive, {"download_url": f"{ESTUARY}?id=file_1"}, stream_id="later")
    assert asset(archive)["error"] is None


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_a_sandbox_file_is_an_asset_of_the_message_it_was_asked_under(archive: Archive, order: tuple[int, ...]) -> None:
    def said() -> None:
        archive.record(
            v1(shown(message("M", "[tides](sandbox:/mnt/data/tides.png)", status=FINISHED))), stream_id="turn"
        )

    def answered() -> None:
        asked = {"conversation_id": "talk", "message_id": "M", "sandbox_path": "/mnt/data/tides.png"}
        answer = {"status": "success", "download_url": f"{ESTUARY}?id=file_zz&sig=canary", "file_name": "tides.png"}
        path = "/backend-api/conversation/talk/interpreter/download"
        download(archive, answer, name="interpreter", path=path, parameters=asked, stream_id="answer")

    def fetched() -> None:
        receive(archive, png(3, 2), identity="file_zz", stream_id="bytes")

    for step in order:
        [said, answered, fetched][step]()
    (row,) = archive.rows("SELECT * FROM assets")
    assert {key: row[key] for key in ("id", "pointer", "kind", "origin", "name", "mime_type", "conversation_id", "message_id", "stream_id")} == {
        "id": "sandbox:M/mnt/data/tides.png", "pointer": "sandbox:/mnt/data/tides.png", "kind": "image", "origin": "tool",
        "name": "tides.png", "mime_type": "image/png", "conversation_id": "talk", "message_id": "M", "stream_id": "bytes",
    }  # fmt: skip
    assert archive.row("SELECT asset_id, role FROM message_assets") == {"asset_id": row["id"], "role": "output"}


@pytest.mark.parametrize(
    "answer", [b"", b"not json", [], {}, {"download_url": 5}, {"download_url": "javascript:x"}, {"status": ["error"]}, b'{"download_url": "https://[::1/"}']
)  # fmt: skip
def test_an_answer_that_says_nothing_is_kept_as_it_came(archive: Archive, answer: Any) -> None:
    stream = download(archive, answer)
    assert stream is not None
    assert stream["state"] == "complete"
    assert (urls(archive), archive.count("assets"), archive.count("stream_bodies")) == ([], 0, 1)


@needs_captures
def test_real_answers_are_read(tmp_path: Path) -> None:
    answers = json.loads((CAPTURES / "files-download-20260424.json").read_text())
    with archive_at(tmp_path / "real.db") as archive:
        for answer in answers:
            identity = answer["download_url"].partition("id=")[2].partition("&")[0]
            download(archive, answer, file_id=identity)
        assert [(row["asset_id"], row["name"], row["size_bytes"]) for row in urls(archive)] == [
            ("file_000000002ca87246870a5face5cbfa35", None, None),
            ("file_00000000ace4724388be72cf8df3b7a5", "fae4f6a4-a4ad-48d0-9073-058c6199863e.png", 1796482),
        ]
