"""The notebook runs from top to bottom on an archive, changes nothing in it, and is kept without outputs."""

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.recording import archive_at
from tests.test_report import a_year

pytest.importorskip("duckdb", reason="scripts/setup --dev installs it")
pytest.importorskip("pyarrow", reason="scripts/setup --dev installs it")

NOTEBOOK = json.loads((ROOT / "analysis" / "archive.ipynb").read_text())


def test_every_cell_runs_and_the_archive_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with archive_at(tmp_path / "a.db") as archive:
        a_year(archive)
        before = archive.dump()
        monkeypatch.setenv("CHATGPT_CAPTURE_DB", str(archive.path))
        names: dict[str, object] = {}
        printed = []
        for cell in NOTEBOOK["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
                printed.append(capfd.readouterr().out)
        assert archive.dump() == before
    assert "messages" in printed[1]
    assert "Tides" in printed[2]
    assert "gpt-5-5" in printed[3]
    with pytest.raises(Exception, match="readonly"):
        names["db"].execute("DELETE FROM messages")  # type: ignore[attr-defined]


def test_it_is_kept_without_outputs() -> None:
    assert NOTEBOOK["nbformat"] == 4
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in NOTEBOOK["cells"])
