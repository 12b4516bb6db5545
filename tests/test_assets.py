"""Bytes of files -> the media folder and `assets`, in whatever order messages, answers and bytes come."""

import errno
import hashlib
import itertools
import os
from pathlib import Path

import pytest

from addon.captures import Surroundings, capture_of
from addon.exchange import Closing
from addon.files.file_types import HEAD_BYTES
from addon.files.media import Incoming, MediaFolder
from scripts.loopback import encode
from tests.cuts import cuts
from tests.receiving import ESTUARY, FILES, asset, download, kept, mention, png, receive, stored, surroundings
from tests.recording import ENDED, FINISHED, STARTED, Archive, archive_at, message, opening, request, shown, v1

PICTURE = png(30, 20)
SMALL = png(15, 10)
DIGEST = hashlib.sha256(PICTURE).hexdigest()
PATH = f"{DIGEST[:2]}/{DIGEST}.png"
ESTUARY_1 = "https://chatgpt.com/backend-api/estuary/content?id=file_1&ts=496736&sig=canary"
TABLES = ("assets", "files", "asset_files", "asset_urls", "message_assets", "image_generations")


def tables(archive: Archive) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted((tuple(row.items()) for row in archive.rows(f"SELECT * FROM {table}")), key=str)
        for table in TABLES
    }


def test_an_image_arrives_and_is_joined_to_its_message_and_generation(archive: Archive) -> None:
    mention(archive, size_bytes=len(PICTURE), width=30, height=20)
    stream = receive(archive, PICTURE)
    assert stream is not None
    assert (stream["state"], stream["error"], stream["wire_bytes"]) == ("complete", None, len(PICTURE))
    row = asset(archive)
    assert row | {"downloaded_at": None} == {
        "id": "file_1", "pointer": "sediment://file_1", "kind": "image", "origin": "generated", "name": None,
        "mime_type": "image/png", "sha256": DIGEST, "path": PATH, "size_bytes": len(PICTURE), "width": 30, "height": 20,
        "stated_size_bytes": len(PICTURE), "stated_width": 30, "stated_height": 20, "variant": "original",
        "conversation_id": "talk", "message_id": "I", "downloaded_at": None, "stream_id": "asset file_1", "error": None,
    }  # fmt: skip
    assert row["downloaded_at"] == "2026-09-21T14:13:20.001000Z"
    assert stored(archive, row) == PICTURE
    assert kept(archive) == [PATH]
    picture = archive.row("SELECT asset_path, mime_type, variant, sha256 FROM image_gallery")
    assert picture == {"asset_path": PATH, "mime_type": "image/png", "variant": "original", "sha256": DIGEST}
    assert archive.rows("SELECT * FROM missing_files") == []


def test_an_image_without_bytes_is_told(archive: Archive) -> None:
    mention(archive)
    missing = archive.row("SELECT asset_id, kind, origin, message_id, stored_variant FROM missing_files")
    assert missing == {
        "asset_id": "file_1",
        "kind": "image",
        "origin": "generated",
        "message_id": "I",
        "stored_variant": None,
    }


def test_the_order_of_message_answers_and_bytes_never_shows(tmp_path: Path) -> None:
    """All orders of: the message, the answer that says where, the original, a smaller encoding, an error for it."""

    def say(archive: Archive) -> None:
        mention(archive, size_bytes=len(PICTURE), width=30, height=20)

    def answer(archive: Archive) -> None:
        url = f"https://{FILES}/secret-path?sig=canary"
        download(archive, {"status": "success", "download_url": url, "file_name": "user-1/tide.png"})

    def original(archive: Archive) -> None:
        receive(archive, PICTURE, identity=None, host=FILES, path="/secret-path", stream_id="original")

    def smaller(archive: Archive) -> None:
        receive(archive, SMALL, stream_id="smaller")

    def refusal(archive: Archive) -> None:
        download(archive, {"status": "error", "error_code": "file_not_found"}, stream_id="refused")

    found = []
    for number, order in enumerate(itertools.permutations([say, answer, original, smaller, refusal])):
        with archive_at(tmp_path / f"{number}.db") as archive:
            for happens in order:
                happens(archive)
            found.append(tables(archive))
            row = asset(archive)
            assert (row["name"], row["variant"], row["sha256"], row["error"]) == ("tide.png", "original", DIGEST, None)
            assert stored(archive, row) == PICTURE
    assert all(tables == found[0] for tables in found)
    assert len(found[0]["asset_files"]) == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "stated",
    [
        {"size_bytes": len(PICTURE)},
        {"width": 30, "height": 20},
        {"width": 20, "height": 30},  # on its side
        {"size_bytes": len(PICTURE), "width": 30, "height": 20},
    ],
)
def test_a_smaller_encoding_never_stands_in_for_the_original(
    archive: Archive, order: tuple[int, int], stated: dict[str, int]
) -> None:
    mention(archive, "sediment://file_1", **stated)
    receive(archive, [SMALL, PICTURE][order[0]])
    first = asset(archive)
    receive(archive, [SMALL, PICTURE][order[1]], stream_id="later")
    assert first["variant"] == ("original" if order[0] else "thumbnail")
    assert first["size_bytes"] == stated.get("size_bytes", len(PICTURE) if order[0] else None)
    row = asset(archive)
    assert (row["variant"], row["sha256"], row["size_bytes"]) == ("original", DIGEST, len(PICTURE))
    assert stored(archive, row) == PICTURE


def test_where_nothing_is_stated_the_largest_picture_is_the_original(archive: Archive) -> None:
    for number, picture in enumerate([SMALL, PICTURE, png(29, 20, b"x" * 1000)]):
        receive(archive, picture, stream_id=f"s{number}")
    row = asset(archive)
    assert (row["sha256"], row["width"], row["size_bytes"]) == (DIGEST, 30, len(PICTURE))
    assert (row["kind"], row["pointer"], row["origin"]) == ("image", None, None)


def test_the_thumbnail_of_an_asset_shows_it_until_the_asset_itself_comes(archive: Archive) -> None:
    mention(archive, width=30, height=20)
    receive(archive, SMALL, identity="file_1#thumbnail")
    assert asset(archive, "file_1#thumbnail")["variant"] == "thumbnail"
    assert [asset(archive)[key] for key in ("variant", "width", "mime_type")] == ["thumbnail", 30, "image/png"]
    assert archive.row("SELECT stored_variant FROM missing_files") == {"stored_variant": "thumbnail"}
    receive(archive, PICTURE)
    assert (asset(archive)["variant"], asset(archive)["sha256"]) == ("original", DIGEST)
    assert asset(archive, "file_1#thumbnail")["size_bytes"] == len(SMALL)


def test_what_storage_made_smaller_is_no_original(archive: Archive) -> None:
    stored_at = "/files/00000000-2ca8-7246-870a-5face5cbfa35"
    receive(archive, SMALL, identity=None, host="sdmntprx.oaiusercontent.com", path=stored_at + "/drvs/md/raw")
    assert asset(archive, "file_000000002ca87246870a5face5cbfa35")["variant"] == "thumbnail"
    receive(archive, SMALL, identity=None, host="sdmntprx.oaiusercontent.com", path=stored_at + "/raw", stream_id="s")
    assert asset(archive, "file_000000002ca87246870a5face5cbfa35")["variant"] == "original"


@pytest.mark.parametrize("written", ["file_1#p_3.jpg", "file_1*p_3.jpg", "file_1%23p_3.jpg"])
def test_an_id_with_a_sign_in_it_is_the_same_in_pointer_answer_and_url(archive: Archive, written: str) -> None:
    mention(archive, "sediment://file_1#p_3.jpg")
    download(archive, {"download_url": f"{ESTUARY}?id={written.replace('#', '*')}"}, file_id=written)
    receive(archive, PICTURE, identity=written)
    assert archive.rows("SELECT id, sha256 FROM assets") == [{"id": "file_1#p_3.jpg", "sha256": DIGEST}]
    assert archive.row("SELECT url FROM asset_urls")["url"] == f"chatgpt.com{ESTUARY}?id=file_1#p_3.jpg"


def test_the_same_file_under_two_urls_and_of_two_assets_is_stored_once(archive: Archive) -> None:
    receive(archive, PICTURE)
    receive(archive, PICTURE, identity=None, host=FILES, path="/file_1", stream_id="again")
    receive(archive, PICTURE, identity="file_2", stream_id="other")
    assert kept(archive) == [PATH]
    assert archive.rows("SELECT id, path FROM assets") == [
        {"id": "file_1", "path": PATH},
        {"id": "file_2", "path": PATH},
    ]
    assert archive.count("asset_files") == 2


def test_reading_the_same_again_changes_nothing(archive: Archive) -> None:
    def everything() -> None:
        mention(archive)
        download(archive, {"download_url": ESTUARY_1, "file_size_bytes": len(PICTURE)})
        receive(archive, PICTURE)
        receive(archive, SMALL, stream_id="smaller")

    everything()
    before = archive.dump(), kept(archive)
    everything()
    assert (archive.dump(), kept(archive)) == before


@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd", "deflate", "gzip, br"])
def test_content_codings_are_undone(archive: Archive, coding: str) -> None:
    receive(archive, encode(PICTURE, coding), content_encoding=coding)
    assert stored(archive, asset(archive)) == PICTURE


def test_a_coding_that_nobody_knows_is_taken_for_none(archive: Archive) -> None:
    receive(archive, PICTURE, content_encoding="UTF-8")
    assert stored(archive, asset(archive)) == PICTURE


def test_the_file_does_not_depend_on_how_the_body_is_cut(archive: Archive) -> None:
    body = encode(PICTURE, "gzip")
    for number, chunks in enumerate(cuts(body)):
        receive(archive, body, chunks=chunks, content_encoding="gzip", stream_id=f"s{number}")
    assert number > 20
    assert kept(archive) == [PATH]
    assert archive.row("SELECT count(*) AS n FROM streams WHERE state = 'complete'")["n"] == number + 1


@pytest.mark.parametrize(
    ("body", "known", "state", "error"),
    [
        (b"", {}, "error", "an empty body"),
        (b"<!doctype html><title>Just a moment", {}, "error", "an HTML page instead of a file"),
        (PICTURE[:50], {"content_length": len(PICTURE)}, "interrupted", f"cut after 50 bytes of {len(PICTURE)}"),
        (PICTURE[:50], {"closing": Closing("cut"), "content_length": None}, "interrupted", "cut after 50 bytes"),
        (PICTURE, {"closing": Closing("lost")}, "interrupted", f"cut after {len(PICTURE)} bytes of {len(PICTURE)}"),
        (PICTURE[:50], {"content_length": None}, "interrupted", "ends early, after 50 bytes"),
        (b"\x1f\x8b\x07nonsense", {"content_encoding": "gzip"}, "error", "content coding: Error -3 while decompressing data: unknown compression method"),
        (PICTURE, {"closing": Closing("end", lost_bytes=5)}, "error", "5 bytes could not be kept: the disk took nothing and memory was used up"),
    ],
)  # fmt: skip
def test_what_is_no_whole_file_is_not_stored_and_says_why(
    archive: Archive, body: bytes, known: dict[str, object], state: str, error: str
) -> None:
    stream = receive(archive, body, **known)  # type: ignore[arg-type]
    assert stream is not None
    assert (stream["state"], stream["error"]) == (state, error)
    assert kept(archive) == []
    assert archive.count("assets") == 0


def test_a_web_page_that_is_meant_to_be_saved_is_a_file(archive: Archive) -> None:
    receive(archive, b"<html>my report</html>", attachment=True)
    assert asset(archive)["path"].endswith(".html")


def test_a_file_beyond_the_limit_is_not_stored(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addon.files.asset_capture.MAX_FILE_BYTES", 1000)
    stream = receive(archive, b"x" * 1001, chunks=[b"x" * 500, b"x" * 501, b"more"], content_length=None)
    assert stream is not None
    assert (stream["state"], stream["error"]) == ("error", "the file exceeds 1000 bytes")
    assert (stream["wire_bytes"], kept(archive)) == (1005, [])
    receive(archive, b"x" * 1000)
    assert len(kept(archive)) == 1


def test_a_redirect_says_where_the_file_is(archive: Archive) -> None:
    location = "https://sdmntprx.oaiusercontent.com/a/b?sig=canary"
    stream = receive(archive, b"Found", status_code=302, location=location, content_length=5)
    assert stream is not None
    assert stream["state"] == "complete"
    assert kept(archive) == []
    receive(archive, PICTURE, identity=None, host="sdmntprx.oaiusercontent.com", path="/a/b")
    assert [row["id"] for row in archive.rows("SELECT id FROM assets WHERE sha256 IS NOT NULL")] == ["file_1"]


def test_bytes_at_an_address_that_nobody_explained_are_kept_under_it(archive: Archive) -> None:
    receive(archive, PICTURE, identity=None, host="x.oaiusercontent.com", path="/unheard/of")
    assert asset(archive, "x.oaiusercontent.com/unheard/of")["path"] == PATH
    download(archive, {"download_url": "https://x.oaiusercontent.com/unheard/of?sig=canary"})
    assert archive.rows("SELECT id, path FROM assets") == [{"id": "file_1", "path": PATH}]


def test_no_name_from_the_wire_becomes_part_of_a_path(archive: Archive) -> None:
    evil = "../../x.png"
    mention(archive, f"sediment://{evil}")
    download(archive, {"download_url": f"{ESTUARY}?id={evil}", "file_name": evil}, file_id=evil)
    receive(archive, PICTURE, identity=evil)
    receive(archive, SMALL, identity=None, host=FILES, path="/../../../etc/passwd", stream_id="s")
    assert asset(archive, evil)["path"] == PATH
    assert asset(archive, evil)["name"] == "x.png"
    small = hashlib.sha256(SMALL).hexdigest()
    assert kept(archive) == sorted([PATH, f"{small[:2]}/{small}.png"])
    assert {path.name.partition("-")[0] for path in archive.path.parent.iterdir()} == {"chatgpt.db"}


def test_a_full_disk_costs_the_file_and_nothing_else(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Incoming, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    media = MediaFolder(archive.path.with_name("chatgpt.db-media"))
    with monkeypatch.context() as patched:
        patched.setattr(Incoming, "write", full)
        stream = receive(archive, PICTURE, around=Surroundings(media=media))
    assert stream is not None
    assert (stream["state"], stream["error"]) == ("error", "the file could not be stored: no space left on device")
    assert media.take_missed()
    assert kept(archive) == []
    receive(archive, PICTURE, around=Surroundings(media=media))
    assert (kept(archive), media.take_missed()) == ([PATH], False)


def test_files_of_chats_that_are_not_captured_are_not_either(archive: Archive) -> None:
    mention(archive)
    for identity in ("file_1", "file_2"):
        download(archive, {"download_url": f"{ESTUARY}?id={identity}"}, file_id=identity, keep_temporary=False)
        receive(archive, PICTURE + identity.encode(), identity=identity, keep_temporary=False)
    assert [row["id"] for row in archive.rows("SELECT id FROM assets")] == ["file_1"]
    assert len(kept(archive)) == 1
    assert archive.count("streams") == 3


def test_without_a_media_folder_only_the_exchange_is_recorded(archive: Archive) -> None:
    stream = receive(archive, PICTURE, around=Surroundings())
    assert stream is not None
    assert (stream["state"], kept(archive), archive.count("assets")) == ("complete", [], 0)


def test_attachments_of_a_prompt_have_their_bytes_too(archive: Archive) -> None:
    said = message("U", "look", author={"role": "user"}, status=FINISHED)
    said["metadata"] = {
        "attachments": [{"id": "file-9", "name": "tide.png", "mime_type": "image/png", "size": len(PICTURE)}]
    }
    archive.record(v1(shown(said)), request("U"))
    receive(archive, PICTURE, identity=None, host=FILES, path="/file-9")
    row = archive.row("SELECT name, path, role FROM message_assets JOIN assets ON assets.id = asset_id")
    assert row == {"name": "tide.png", "path": PATH, "role": "attachment"}


def test_a_large_file_passes_in_constant_memory(archive: Archive) -> None:
    import tracemalloc

    piece = os.urandom(1024 * 1024)
    capture = capture_of(
        opening(kind="asset", streamed=False, path=ESTUARY, parameters={"id": "file_1"}), b"", surroundings(archive)
    )
    capture.feed(piece, STARTED)
    tracemalloc.start()
    for _ in range(200):
        capture.feed(piece, STARTED)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    archive.store.write(capture.close(ENDED, STARTED))
    assert most < 4 * HEAD_BYTES
    assert asset(archive)["size_bytes"] == 201 * 1024 * 1024


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_a_list_of_images_says_which_addresses_are_smaller_encodings(archive: Archive, order: tuple[int, ...]) -> None:
    item = {
        "asset_pointer": "sediment://file_1",
        "url": f"{ESTUARY}?id=file_1&sig=canary",
        "encodings": {
            "thumbnail": {"path": f"{ESTUARY}?id=file_t&sig=canary"},
            "source": {"path": f"{ESTUARY}?id=file_1"},
        },
    }

    def happens(step: int) -> None:
        if step == 0:
            archive.load("images", {"items": [item]}, stream_id="list")
        elif step == 1:
            receive(archive, SMALL, identity="file_t", stream_id="small")
        else:
            receive(archive, PICTURE, stream_id="whole")

    seen = []
    for step in order:
        happens(step)
        seen += [
            row["variant"] for row in archive.rows("SELECT variant FROM assets WHERE id = 'file_1' AND path <> ''")
        ]
    assert [row["id"] for row in archive.rows("SELECT id FROM assets")] == ["file_1"]
    assert (asset(archive)["variant"], asset(archive)["sha256"]) == ("original", DIGEST)
    assert archive.rows("SELECT url, derived FROM asset_urls") == [
        {"url": f"chatgpt.com{ESTUARY}?id=file_t", "derived": 1}
    ]
    assert "thumbnail" not in seen[seen.index("original") :]
