"""What is typed finds what it should, whatever is typed."""

import contextlib
import sqlite3

import pytest

from analysis.search import MOST, Question, find, models
from tests.recording import FINISHED, Archive, envelope, message, v0


def archive_of(archive: Archive, *texts: str) -> sqlite3.Connection:
    """An archive in which each text is a message, named by its place."""
    for n, text in enumerate(texts):
        said = message(
            f"m{n}",
            text,
            status=FINISHED,
            create_time=1_700_000_000 + 86_400 * n,
            metadata={"model_slug": f"gpt-{n % 2}"},
        )
        archive.record(v0(envelope(said)), stream_id=f"s{n}")
    db = sqlite3.connect(f"file:{archive.path}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    return db


def found(archive: Archive, texts: list[str], words: str, **asked: str) -> list[str]:
    with contextlib.closing(archive_of(archive, *texts)) as db:
        return [hit.id for hit in find(db, Question(words, **asked)).hits]  # type: ignore[arg-type]


TEXTS = [
    "The tide comes in",
    "Tides of the café",
    "low TIDE, high tide",
    "量子纠缠很奇怪",
    "我学习量子力学",
    "古池や蛙飛びこむ",
    "한국어로 말해요",
    "น้ำขึ้นน้ำลง",
]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("tide", {"m0", "m2"}),
        ("cafe", {"m1"}),
        ('"tide comes"', {"m0"}),
        ('"comes tide"', set()),
        ("tide high", {"m2"}),
        ("量子纠缠", {"m3"}),
        ("量子", {"m3", "m4"}),
        ("学", {"m4"}),
        ("量子 学习", {"m4"}),
        ("蛙飛び", {"m5"}),
        ("국어", {"m6"}),
        ("ขึ้นน้ำ", {"m7"}),
        ("", set()),
        ("tide 量子", set()),
        ("学习 量子力学", {"m4"}),
    ],
)  # fmt: skip
def test_words_find_messages(archive: Archive, words: str, ids: set[str]) -> None:
    assert set(found(archive, TEXTS, words)) == ids


@pytest.mark.parametrize(
    "words",
    [
        '"',
        '""',
        "*",
        "tide*",
        "a AND",
        "NEAR(",
        "text:tide",
        "(",
        "-tide",
        "'",
        "%",
        "_",
        "\\",
        "\x00",
        "量%",
        "x" * 10_000,
        '" ' * 5_000,
        "tide OR moon",
        "^tide",
        "{}",
        "量" * 200,
        "😀",
    ],
)
def test_nothing_that_is_typed_is_syntax_or_an_error(archive: Archive, words: str) -> None:
    found(archive, TEXTS, words)


def test_the_best_come_first_and_the_newest_or_oldest_when_asked(archive: Archive) -> None:
    assert found(archive, TEXTS, "tide")[0] == "m2"
    assert found(archive, TEXTS, "tide", sort="new") == ["m2", "m0"]
    assert found(archive, TEXTS, "tide", sort="old") == ["m0", "m2"]


def test_hits_are_only_those_that_are_asked_for(archive: Archive) -> None:
    assert found(archive, TEXTS, "tide", model="gpt-1") == []
    assert found(archive, TEXTS, "tide", role="assistant", until="2023-11-14") == ["m0"]
    assert found(archive, TEXTS, "tide", since="2023-11-15") == ["m2"]
    assert found(archive, TEXTS, "量子", model="gpt-0") == ["m4"]


def test_a_hit_shows_where_it_was_found(archive: Archive) -> None:
    long = "before " * 100 + "the Café stands " + "after " * 100
    with contextlib.closing(archive_of(archive, long)) as db:
        (hit,) = find(db, Question("cafe")).hits
    assert [piece for piece, is_hit in hit.snippet if is_hit] == ["Café"]
    shown = "".join(piece for piece, _ in hit.snippet)
    assert shown.startswith("… before")
    assert shown.endswith("…")
    assert len(shown) < 400


def test_the_total_says_how_many_there_are(archive: Archive) -> None:
    with contextlib.closing(archive_of(archive, *TEXTS)) as db:
        done = find(db, Question("tide"))
        assert (done.total, done.sort, done.more_than_counted, MOST) == (2, "rank", False, 20_000)
        assert models(db) == ["gpt-0", "gpt-1"]
