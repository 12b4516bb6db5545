"""The recorder's own steps, without a proxy: what it reads from a journal, and that it lets others run meanwhile."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from addon import yielding
from addon.files.media import MediaFolder
from addon.journal import Journal
from addon.recorder import Recorder
from addon.store.store import Store
from addon.yielding import Yielding
from tests.recording import STARTED, Archive, event, message, opening, request, shown


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
    Recorder(store, folder, "w", MediaFolder(tmp_path / "media"), Yielding()).step()
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
