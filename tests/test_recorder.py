"""The recorder's own steps, without a proxy: what it reads from a journal, and that it lets others run meanwhile."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

from addon import recorder, yielding
from addon.files.media import MediaFolder
from addon.journal import Journal, now
from addon.recorder import Recorder
from addon.store.store import Store
from addon.yielding import Yielding
from tests.recording import (
    ENDED,
    STARTED,
    TEXT,
    Archive,
    archive_at,
    delta,
    event,
    message,
    opening,
    request,
    shown,
    v1,
)


def test_it_lets_others_have_the_processor_after_each_record(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yields: list[int] = []
    monkeypatch.setattr(yielding, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(yielding, "_yield_processor", lambda: yields.append(1))
    folder = tmp_path / "inflight"
    folder.mkdir(mode=0o700)
    written = Journal(folder, "w")
    stream = written.open(opening(stream_id="streams-slowly").to_bytes(), request("asked"), STARTED)
    pieces = [event(shown(message("answer", f"Tides {number}"))) for number in range(300)]
    for number, piece in enumerate(pieces):
        written.append(stream, piece, STARTED + number)
    store = Store.open(archive.path)
    Recorder(store, folder, "w", MediaFolder(tmp_path / "media"), Yielding()).step(final=True)
    assert len(yields) > len(pieces)
    store.close()
    assert archive.message("answer")["text"] == "Tides 299"


def test_turns_are_long_enough_for_work_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    yields: list[float] = []
    monkeypatch.setattr(yielding, "_yield_processor", lambda: yields.append(time.monotonic()))
    between, ends = Yielding(), time.monotonic() + 0.1
    while time.monotonic() < ends:
        between()
    assert len(yields) > 5
    assert all(later - earlier >= yielding.TURN_SECONDS for earlier, later in pairwise(yields))


class Desk:
    """A recorder with a journal that a test writes, stepped by hand."""

    def __init__(self, folder: Path, kept: Archive) -> None:
        inflight = folder / "inflight"
        inflight.mkdir()
        self.archive = kept
        self.journal = Journal(inflight, "w")
        self.recorder = Recorder(kept.store, inflight, "w", MediaFolder(folder / "media"), Yielding())

    def open(self, name: str) -> int:
        about = opening(stream_id=name, started_at=now())
        return self.journal.open(about.to_bytes(), request(f"U {name}", conversation_id=name), about.started_at)

    def append(self, stream: int, chunk: bytes) -> None:
        self.journal.append(stream, chunk, now())

    def close(self, stream: int) -> None:
        self.journal.close(stream, json.dumps(asdict(ENDED)).encode(), now())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with archive_at(tmp_path / "chatgpt.db") as kept:
        yield Desk(tmp_path, kept)


def test_an_answer_is_shown_while_another_floods(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "ROUND_SECONDS", 0.0)  # one record a turn
    calm, flood = desk.open("calm"), desk.open("flood")
    desk.append(calm, v1(shown(message("A"), conversation_id="calm"), delta(TEXT, "append", "So"), done=False))
    for _ in range(100):
        desk.append(flood, event({"type": "message_marker"}))
    for _ in range(4):
        desk.recorder.step()
    assert desk.archive.message("A")["text"] == "So"
    assert desk.archive.count("events") < 10
    assert len(list((desk.archive.path.parent / "inflight").iterdir())) == 1
    desk.append(calm, event(b"[DONE]"))
    desk.close(calm)
    desk.close(flood)
    desk.recorder.step(final=True)
    assert desk.archive.count("events") == 100
    assert {desk.archive.stream(name)["state"] for name in ("calm", "flood")} == {"complete"}
    assert list((desk.archive.path.parent / "inflight").iterdir()) == []
