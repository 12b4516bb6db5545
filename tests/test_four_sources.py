"""One exchange by four ways at once, in every order: live, in a document, in a HAR, in an export; then read again."""

import copy
import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from addon.captures import Surroundings, capture_of
from addon.exchange import Closing
from addon.importing import har
from addon.importing.export_reading import ExportReading
from addon.upkeep.reparse import reparse
from scripts import scenes
from scripts.scenes.documents import conversation_document
from scripts.scenes.scene import Json, Scene
from tests.importing import sent
from tests.recording import STARTED, Archive, archive_at, request
from tests.test_same_order import HOUR, empty  # noqa: F401 - a fixture

SCENES = {name: scenes.SCENES[name](12, seed=name) for name in scenes.SCENES}
SAID = {"emptied": "", "changed": "Quite other words."}
LATER = ("as it was", "emptied")
NOT_CUT: dict[str, float] = {}


def document_of(scene: Scene, later: str) -> Json:
    document = copy.deepcopy(conversation_document([scene]))
    if later in SAID:
        answer = document["mapping"][scene.answer_id]["message"]
        answer["content"] = {"content_type": "text", "parts": [SAID[later]]}
    return document


def happens(archive: Archive, source: str, scene: Scene, later: str, cut: dict[str, float]) -> None:
    prompt = request(scene.user_message_id, scene.texts[scene.user_message_id])
    document = document_of(scene, later)
    events = scene.events[: int(len(scene.events) * cut.get(source, 1))]
    if source == "stream":
        archive.record(b"", prompt, chunks=events, closing=Closing("cut" if source in cut else "end"))
    elif source == "document":
        about = {"conversation_id": scene.conversation_id}
        archive.load("conversation", document, at=STARTED + HOUR, parameters=about)
    elif source == "export":
        document["update_time"] = (STARTED + HOUR // 2) / 1e6
        reading = ExportReading("export:a", 0)
        archive.store.write([*reading.conversation(document, json.dumps(document)), *reading.close()])
    else:
        entry = sent("", b"".join(events))
        entry["request"]["postData"]["text"] = prompt.decode()
        exchange = har.exchange_of(entry, "har:a:0", 0)
        assert exchange is not None
        capture = capture_of(exchange.opening, exchange.request, Surroundings(legs=archive.legs))
        records = capture.begin()
        for at, chunk in exchange.body.chunks:
            records += capture.feed(chunk, at)
        archive.store.write([*records, *capture.close(Closing("end"), exchange.ended_at)])


def rows_after(
    database: Path, order: Sequence[str], scene: Scene, later: str, cut: dict[str, float]
) -> dict[str, list[str]]:
    """What is left of the messages; reading it again has changed nothing of it."""
    with archive_at(database) as archive:
        for source in order:
            happens(archive, source, scene, later, cut)
        before = archive.dump()
        report = reparse(database)
        assert (report.changed, report.bad) == (False, []), order
        assert archive.dump() == before
        kept = archive.rows(
            "SELECT id, text, status, parent_id, stream_id, source, first_seen_at, last_seen_at FROM messages"
        )
        versions = archive.rows(
            "SELECT m.id, v.text, v.reason FROM message_versions v JOIN messages m ON m.n = v.message_n"
        )
    return {"messages": sorted(map(str, kept)), "versions": sorted(map(str, versions))}


def assert_any_order(empty: Path, sources: Sequence[str], scene: Scene, later: str, cut: dict[str, float]) -> None:  # noqa: F811
    found = []
    for order in itertools.permutations(sources):
        path = empty.with_name("four.db")
        for companion in ("", "-wal", "-shm"):
            path.with_name(f"four.db{companion}").unlink(missing_ok=True)
        shutil.copy(empty, path)
        found.append(rows_after(path, order, scene, later, cut))
    assert all(rows == found[0] for rows in found)


ALL = ("stream", "document", "har", "export")


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("later", LATER)
def test_every_order_of_four_sources_gives_rows_that_reading_again_leaves(
    empty: Path,  # noqa: F811
    scene: Scene,
    later: str,
) -> None:
    assert_any_order(empty, ALL, scene, later, NOT_CUT)


def test_a_finished_answer_that_documents_change_is_told_alike_in_every_order(empty: Path) -> None:  # noqa: F811
    assert_any_order(empty, ALL, SCENES["plain"], "changed", NOT_CUT)


@pytest.mark.parametrize("cut", ["stream", "har"])
def test_an_exchange_recorded_twice_is_the_work_of_the_record_that_is_whole(empty: Path, cut: str) -> None:  # noqa: F811
    assert_any_order(empty, ("stream", "document", "har"), SCENES["plain"], "as it was", {cut: 0.5})
