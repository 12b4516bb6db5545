"""One conversation seen by several exchanges: which rows are left does not depend on the order they are read in."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.answers.capture import Closing
from tests.recording import FINISHED, STARTED, Archive, archive_at, envelope, message, v0
from tests.test_documents import mapped, node, store

HOUR = 3_600_000_000
WORDS = "The Moon pulls the sea, twice a day, and so does the Sun."


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive to copy."""
    path = tmp_path_factory.mktemp("tree") / "empty.db"
    Archive(path).store.close()
    return path


@st.composite
def histories(draw: Any) -> list[tuple[str, int, str, str]]:
    """What the service says of an answer hour by hour: it grows, it is finished or stopped, it may change after that."""
    growth = [(WORDS[:length], "in_progress") for length in sorted(draw(st.lists(st.integers(1, 50), max_size=2)))]
    end = draw(st.sampled_from([(WORDS, FINISHED), (WORDS[:20], "finished_partial_completion"), ("", FINISHED)]))
    changes = [[], [("Another answer.", FINISHED)], [("", FINISHED)]]
    late = draw(st.sampled_from(changes[: 3 if end == (WORDS, FINISHED) else 2]))
    states = [*growth, end, *late]
    seen = draw(st.lists(st.integers(0, len(states) - 1), min_size=1, max_size=4, unique=True))
    # An answer streams only while it grows and to its end; a document may see it at any time.
    kinds = [draw(st.sampled_from(["stream", "document"])) if hour <= len(growth) else "document" for hour in seen]
    return [(kind, hour, *states[hour]) for kind, hour in zip(kinds, seen, strict=True)]


def read(archive: Archive, kind: str, hour: int, text: str, status: str) -> None:
    at, name = STARTED + hour * HOUR, f"{kind} {hour}"
    if kind == "document":
        placed = node("A", "U", status=status, content={"content_type": "text", "parts": [text]})
        store(archive, mapped(placed, node("U", "root"), current_node="A"), at, name)
        return
    said = message("A", text, status=status, metadata={"parent_id": "R"})
    archive.record(
        v0(envelope(said), done=status != "in_progress"), stream_id=name, clock=lambda _: at, closing=Closing("cut")
    )


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_the_tree_and_what_it_says_do_not_depend_on_the_order(
    empty: Path, history: list[tuple[str, int, str, str]]
) -> None:
    found = []
    for order in itertools.permutations(history):
        path = empty.with_name("read.db")
        shutil.copy(empty, path)
        with archive_at(path) as archive:
            for observation in (*order, *order[:1]):
                read(archive, *observation)
            rows = archive.rows("SELECT id, parent_id, text, status, live FROM messages ORDER BY id")
            said = {
                row["text"] for row in archive.rows("SELECT text FROM messages UNION SELECT text FROM message_versions")
            }
        assert all(any(kept.startswith(text) for kept in said) for _, _, text, _ in history)
        found.append(rows)
    assert all(rows == found[0] for rows in found)
