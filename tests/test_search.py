"""What is typed finds what it should, whatever is typed."""

import contextlib
import sqlite3
from typing import Any

import pytest

from analysis.queries.search import MODELS, MOST, Question, find, models
from tests.recording import FINISHED, STARTED, Archive, envelope, message, v0


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
    "the 海 tide is high",
    "好",
    "良い",
]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("tide", {"m0", "m2", "m8"}),
        ("cafe", {"m1"}),
        ('"tide comes"', {"m0"}),
        ('"comes tide"', set()),
        ("tide high", {"m2", "m8"}),
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
        ("high 海 tide", {"m8"}),
        ("high 海 TÍDES", set()),
        ("力学", {"m4"}),
        ("怪", {"m3"}),
        ("ลง", {"m7"}),
        ("好", {"m9"}),
        ("良い", {"m10"}),
    ],
)  # fmt: skip
def test_words_find_messages(archive: Archive, words: str, ids: set[str]) -> None:
    assert set(found(archive, TEXTS, words)) == ids


def spoken(identity: str, *heard: str) -> dict[str, Any]:
    parts = [{"content_type": "audio_transcription", "text": text, "direction": "in"} for text in heard]
    content = {"content_type": "multimodal_text", "parts": [*parts, {"content_type": "audio_asset_pointer"}]}
    return message(identity, content=content, status=FINISHED, author={"role": "user"})


def test_what_was_said_aloud_is_found(archive: Archive) -> None:
    said = [
        spoken("A", "Is this a cuckoo?", "Or a tit?"),
        spoken("B", "这是什么鸟"),
        message("C", "Here", status=FINISHED),
    ]
    archive.record(v0(*map(envelope, said)))
    assert archive.row("SELECT text, transcript FROM messages WHERE id = 'A'") == {
        "text": "", "transcript": "Is this a cuckoo?\nOr a tit?"
    }  # fmt: skip
    with contextlib.closing(archive_of(archive, "No bird")) as db:
        for words, hit, piece in (
            ("cuckoo", "A", "cuckoo"),
            ("tit", "A", "tit"),
            ("鸟", "B", "鸟"),
            ("什么", "B", "什么"),
        ):
            (only,) = find(db, Question(words)).hits
            assert (only.id, [text for text, is_hit in only.snippet if is_hit]) == (hit, [piece])
    # What is said later takes the place of it in both indexes, and what is deleted leaves them.
    archive.record(v0(envelope(spoken("A", "It is a 麻雀"))), stream_id="later", clock=lambda _: STARTED + 60_000_000)
    with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
        db.execute("DELETE FROM messages WHERE id = 'B'")
    with contextlib.closing(archive_of(archive)) as db:
        assert [len(find(db, Question(words)).hits) for words in ("cuckoo", "麻雀", "雀", "鸟")] == [0, 1, 1, 0]


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
    assert found(archive, TEXTS, "tide", sort="new") == ["m8", "m2", "m0"]
    assert found(archive, TEXTS, "tide", sort="old") == ["m0", "m2", "m8"]


def test_hits_are_only_those_that_are_asked_for(archive: Archive) -> None:
    assert found(archive, TEXTS, "tide", model="gpt-1") == []
    assert found(archive, TEXTS, "tide", role="assistant", until="2023-11-14") == ["m0"]
    assert found(archive, TEXTS, "tide", since="2023-11-15", sort="old") == ["m2", "m8"]
    assert found(archive, TEXTS, "量子", model="gpt-0") == ["m4"]


def told_in_order(archive: Archive, days: list[int]) -> sqlite3.Connection:
    """An archive of messages that were written in this order and said on these days of 2023; every fifth has no day."""
    for n, day in enumerate(days):
        said = message(
            f"m{day:02}",
            "the tide 潮の満ち引き",
            author={"role": "user" if day % 2 else "assistant"},
            status=FINISHED,
            create_time=1_672_531_200 + 86_400 * day,
            metadata={"model_slug": f"gpt-{day % 3}"},
        )
        archive.record(v0(envelope(said)), stream_id=f"s{n}")
    db = sqlite3.connect(archive.path)
    db.row_factory = sqlite3.Row
    db.execute("UPDATE messages SET first_seen_at = created_at, created_at = NULL WHERE substr(id, 2) % 5 = 0")
    db.commit()
    return db


WRITTEN = [*range(10, 20), *range(30, 40), *range(10), *range(20, 30)]
"""Days, as an old export is taken in behind newer messages."""


@pytest.mark.parametrize(("most", "near"), [(20_000, 2000), (5, 2000), (5, 3), (5, 0)])
@pytest.mark.parametrize("words", ["tide", "潮", "満ち", "潮の満", "tide 潮の満ち"])
def test_all_hits_are_filtered_and_ordered_by_time_however_common_the_word_is(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, words: str, most: int, near: int
) -> None:
    monkeypatch.setattr("analysis.queries.search.MOST", most)
    monkeypatch.setattr("analysis.queries.search._NEAR", near)
    with contextlib.closing(told_in_order(archive, WRITTEN)) as db:

        def days(**asked: Any) -> list[int]:
            return [int(hit.id[1:]) for hit in find(db, Question(words, **asked)).hits]

        assert days(sort="new") == [*reversed(range(40))]
        assert days(sort="old", count=-1) == list(range(40))
        assert days(sort="new", count=4, skip=3) == [36, 35, 34, 33]
        assert days(sort="old", count=4, skip=8) == [8, 9, 10, 11]
        assert days(sort="new", count=9, skip=36) == [3, 2, 1, 0]
        assert days(sort="new", until="2023-01-04") == [3, 2, 1, 0]
        assert days(sort="old", since="2023-02-06", count=2) == [36, 37]
        assert sorted(days(until="2023-01-05")) == [0, 1, 2, 3, 4]
        assert sorted(days(role="user")) == list(range(1, 40, 2))
        assert days(model="gpt-1", sort="new", count=3) == [37, 34, 31]
        assert days(model="gpt-1", role="user", since="2023-02", sort="old") == [31, 37]
        few = find(db, Question(words, until="2023-01-04"))
        assert (few.total, few.more_than_counted) == (4, False)
        many = find(db, Question(words, since="2023-01-04"))
        assert (many.total, many.more_than_counted) == (min(37, most + 1), most == 5)


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
        assert (done.total, done.sort, done.more_than_counted, MOST) == (3, "rank", False, 20_000)
        assert models(db) == ["gpt-0", "gpt-1"]
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {MODELS}") if "messages" in row[3]]
        assert len(plan) == 2
        assert all(step.startswith("SEARCH messages USING COVERING INDEX messages_model_slug") for step in plan), plan
