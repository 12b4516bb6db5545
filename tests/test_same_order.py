"""One conversation by every way in, in any order: which rows are left does not depend on what came first.

Its image goes through previews; a stream broke off on the way, documents and an export saw it at different hours, a list
shows it, its files pass. Only what says when something arrived here may differ, and the numbers that rows got by it.
"""

import copy
import itertools
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from addon.exchange import Closing
from addon.importing.export_reading import ExportReading
from scripts import scenes
from scripts.scenes.documents import conversation_document
from scripts.scenes.scene import Json
from tests.receiving import download, png, receive
from tests.recording import STARTED, TABLES, Archive, Row, archive_at, request

HOUR = 3_600_000_000
SCENE = scenes.image_answer("Draw the tide", "A low tide at dawn", "Here it is.", size=(30, 20), seed="order")
SEARCH = scenes.search_answer("Why?", "Because of the moon [1].", seed="sources", conversation_id=SCENE.conversation_id, parent_id=SCENE.answer_id)  # fmt: skip
(IMAGE,) = SCENE.images
PICTURE, SMALL = png(30, 20), png(15, 10)
NUMBERS = {"message_versions": "message_n", "message_assets": "message_n", "citations": "message_n"}
ARRIVED = {
    "conversations": {"source", "digest"},
    "messages": {"n", "revision"},
    "message_versions": {"revision", "replaced_at"},
    "image_generations": {"id"},
    "stream_bodies": {"arrivals"},
}

type Source = Callable[[Archive], None]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive to copy."""
    path = tmp_path_factory.mktemp("order") / "empty.db"
    Archive(path).store.close()
    return path


def whole(archive: Archive) -> None:
    archive.record(SCENE.body, request(SCENE.user_message_id, "Draw the tide"), chunks=SCENE.events, stream_id="whole")


def broken_off(archive: Archive) -> None:
    """An attempt before it, which the page tried again when the second preview had come."""
    seen = next(n for n, event in enumerate(SCENE.events) if IMAGE.previews[1].encode() in event) + 1
    archive.record(
        b"".join(SCENE.events[:seen]),
        request(SCENE.user_message_id, "Draw the tide"),
        stream_id="broken off",
        started_at=STARTED - HOUR,
        clock=lambda place: STARTED - HOUR + place,
        closing=Closing("cut"),
    )


def searched(archive: Archive) -> None:
    later = STARTED + HOUR
    asked = request(SEARCH.user_message_id, "Why?", conversation_id=SCENE.conversation_id)
    archive.record(SEARCH.body, asked, stream_id="searched", started_at=later, clock=lambda place: later + place)


def tree(*, preview: int | None = None, turns: Sequence[Any] = (SCENE, SEARCH)) -> Json:
    """The conversation as a document has it, its image still a preview where that is given."""
    document = copy.deepcopy(conversation_document(turns))
    message = document["mapping"][IMAGE.message_id]["message"]
    if preview is not None:
        message["status"] = "in_progress"
        part = message["content"]["parts"][0]
        part |= {"asset_pointer": IMAGE.previews[preview], "size_bytes": 0}
    document["moderation_results"] = [preview]
    return document


def _load(archive: Archive, told: Json, at: int) -> None:
    archive.load("conversation", told, at=at, parameters={"conversation_id": SCENE.conversation_id})


def document(archive: Archive) -> None:
    _load(archive, tree(), STARTED + 5 * HOUR)


def early_document(archive: Archive) -> None:
    """Loaded while the image was made."""
    _load(archive, tree(preview=0, turns=[SCENE]), STARTED - 2 * HOUR)


def _export(archive: Archive, told: Json, at: int, name: str) -> None:
    reading = ExportReading(f"export:{name}", at)
    archive.store.write([*reading.conversation(told, json.dumps(told)), *reading.close()])


def export(archive: Archive) -> None:
    _export(archive, tree() | {"update_time": (STARTED + 3 * HOUR) / 1e6}, 0, "late")


def early_export(archive: Archive) -> None:
    _export(archive, tree(preview=1, turns=[SCENE]) | {"update_time": (STARTED - 3 * HOUR) / 1e6}, 0, "early")


def files(archive: Archive) -> None:
    identity = IMAGE.pointer.removeprefix("sediment://")
    url = f"https://chatgpt.com/backend-api/estuary/content?id={identity}&sig=canary"
    download(archive, {"status": "success", "download_url": url, "file_name": "tide.png"}, file_id=identity)
    receive(archive, PICTURE, identity=identity)


def preview_file(archive: Archive) -> None:
    receive(archive, SMALL, identity=IMAGE.previews[0].removeprefix("sediment://"))


def listed(archive: Archive) -> None:
    item = {
        "asset_pointer": IMAGE.pointer,
        "conversation_id": SCENE.conversation_id,
        "message_id": IMAGE.message_id,
        "generation_id": IMAGE.gen_id,
        "width": 30,
        "height": 20,
        "title": "Low tide",
        "created_at": "2026-09-21T14:13:20Z",
    }
    archive.load("images", {"items": [item], "cursor": None}, kind="list", at=STARTED + 4 * HOUR)


SOURCES: tuple[Source, ...] = (
    whole, broken_off, searched, document, early_document, export, early_export, files, preview_file, listed,
)  # fmt: skip


def rows_after(empty: Path, order: Sequence[Source]) -> dict[str, list[str]]:
    """All that is left when these have happened, in no order, without what arrival says."""
    path = empty.with_name("read.db")
    shutil.copy(empty, path)
    shutil.rmtree(empty.with_name("read.db-media"), ignore_errors=True)
    with archive_at(path) as archive:
        for happens in order:
            happens(archive)
        tables = {table: archive.rows(f"SELECT * FROM {table}") for table in TABLES}
    names = {row["n"]: row["id"] for row in tables["messages"]}
    return {
        table: sorted(json.dumps(_told(table, row, names), default=repr) for row in rows)
        for table, rows in tables.items()
    }


def _told(table: str, row: Row, names: dict[int, str]) -> Row:
    left = {name: value for name, value in row.items() if name not in ARRIVED.get(table, ())}
    if table in NUMBERS:
        left[NUMBERS[table]] = names[row[NUMBERS[table]]]
    return left


def assert_equal(found: dict[str, list[str]], expected: dict[str, list[str]], order: Sequence[Source]) -> None:
    for table in TABLES:
        assert found[table] == expected[table], [happens.__name__ for happens in order]


@pytest.mark.parametrize(
    "chosen", [*itertools.combinations(SOURCES, 2)], ids=lambda two: " ".join(s.__name__ for s in two)
)
def test_of_two_sources_either_may_come_first(empty: Path, chosen: tuple[Source, ...]) -> None:
    first, last = (rows_after(empty, order) for order in (chosen, chosen[::-1]))
    assert_equal(first, last, chosen)


def test_any_order_of_all_sources_leaves_the_same_rows(empty: Path) -> None:
    """A hundred orders, two sources twice in each."""
    chance, expected = random.Random(7), rows_after(empty, SOURCES)
    for _ in range(100):
        order = chance.sample(SOURCES, len(SOURCES)) + chance.sample(SOURCES, 2)
        assert_equal(rows_after(empty, order), expected, order)


def test_any_order_of_three_sources_leaves_the_same_rows(empty: Path) -> None:
    for chosen in itertools.combinations((whole, broken_off, document, early_export, listed, files), 3):
        expected = rows_after(empty, chosen)
        for order in itertools.permutations(chosen):
            assert_equal(rows_after(empty, order), expected, order)
