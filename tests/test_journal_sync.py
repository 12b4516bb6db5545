import os
from pathlib import Path

import pytest

from addon.journal import Journal
from addon.journal_sync import JournalSync


def test_what_has_grown_is_flushed_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
    )
    written, sync = Journal(tmp_path, "w"), JournalSync(tmp_path)
    assert sync.sync() == 0
    stream = written.open(b"{}", b"", 1)
    assert (sync.sync(), flushed) == (1, ["w-000001.journal", tmp_path.name])
    written.append(stream, b"x", 2)
    assert (sync.sync(), sync.sync(), flushed[2:]) == (1, 0, ["w-000001.journal"])
    (tmp_path / "w-000001.journal").unlink()
    assert sync.sync() == 0


def test_a_folder_that_is_gone_flushes_nothing(tmp_path: Path) -> None:
    assert JournalSync(tmp_path / "gone").sync() == 0
