"""What is asked of an archive is answered: rows that are right, in the order that is promised, page by page."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from addon.archive import APPLICATION_ID, VERSION
from analysis.queries import Unanswerable, open_archive, usage
from analysis.queries.archive import identify
from analysis.queries.conversations import (
    ConversationFilter,
    by_activity,
    conversation,
    conversations,
    last_conversation,
)
from analysis.queries.exchanges import event_types, events, exchange, exchange_events, last_exchange, raw_body
from analysis.queries.health import HealthFact, LossyRun, health, last_answer, open_runs, streaming, totals
from analysis.queries.images import ImageFilter, image, images, lineage
from analysis.queries.live import growing_messages, message_now, messages_after, newest_message
from analysis.queries.sources import cited_pages, cited_sites
from analysis.queries.threads import branch, cited, mentioned, messages
from analysis.queries.turns import turns
from analysis.queries.usage import activity, image_count, model_speeds, model_usage, table_sizes, tools
from scripts.big_archive import build
from tests.receiving import mention, png, receive
from tests.recording import FINISHED, STARTED, TEXT, Archive, Clock, delta, envelope, message, request, shown, v0, v1
from tests.test_summary_views import answer
from tests.test_summary_views import image as made


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queries") / "big.db"
    build(path, conversations=120, messages=4000, seed=11)
    return path


@pytest.fixture
def db(big: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_archive(big)) as db:
        yield db


@contextlib.contextmanager
def asking(archive: Archive) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_archive(archive.path)) as db:
        yield db


def said_by_user(identity: str, text: str, parent: str | None = None, **fields: Any) -> dict[str, Any]:
    metadata = {"parent_id": parent} if parent else {}
    return message(identity, text, author={"role": "user"}, status=FINISHED, metadata=metadata, **fields)


def all_at(moment: int) -> Clock:
    return lambda _: moment


# Opening


def database(path: Path, *, application_id: int = 0, version: int = 0) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute(f"PRAGMA application_id = {application_id}")
        db.execute(f"PRAGMA user_version = {version}")
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no archive"), (b"", "is empty"), (b"hello\n" * 99, "not an SQLite database")],
)
def test_what_is_no_archive_is_refused_in_a_line(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unanswerable, match=reason) as refused:
        open_archive(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(Unanswerable, match="is a directory"):
        open_archive(tmp_path)


@pytest.mark.parametrize(
    ("application_id", "version", "reason"),
    [
        (0, 0, "database of another program"),
        (7, 0, "database of another program"),
        (APPLICATION_ID, VERSION + 1, "newer version"),
        (APPLICATION_ID, VERSION - 1, "older version"),
    ],
)
def test_other_databases_are_refused(tmp_path: Path, application_id: int, version: int, reason: str) -> None:
    with pytest.raises(Unanswerable, match=reason):
        open_archive(database(tmp_path / "x.db", application_id=application_id, version=version))


def test_an_archive_is_opened_for_reading_only(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM messages")


def test_an_id_is_known_by_its_beginning(archive: Archive) -> None:
    for name in ("abc-1", "abc-2", "abd", "abc"):
        archive.record(v0(envelope(message("A", "x", status=FINISHED), name)), stream_id=name)
    with asking(archive) as db:
        assert identify(db, "conversations", "abd") == "abd"
        assert identify(db, "conversations", "abc-1") == "abc-1"
        assert identify(db, "conversations", "abc") == "abc"
        with pytest.raises(Unanswerable, match="“ab” begins more than one id: abc, abc-1, abc-2, abd"):
            identify(db, "conversations", "ab")
        for nothing in ("x", ""):
            with pytest.raises(Unanswerable, match="no conversation has an id that begins with"):
                identify(db, "conversations", nothing)


# Conversations


def test_conversations_come_page_by_page_each_once_the_last_active_first(db: sqlite3.Connection) -> None:
    everything = list(conversations(db))
    assert len(everything) == 120
    keys = [(row.active_at or "", row.id) for row in everything]
    assert keys == sorted(keys, reverse=True)
    paged, before = [], None
    while page := list(conversations(db, before=before, limit=50)):
        paged += page
        before = (page[-1].active_at or "", page[-1].id)
    assert paged == everything
    assert last_conversation(db) == everything[0].id
    assert conversation(db, everything[7].id) == everything[7]


def test_the_first_of_very_many_are_found_by_indexes_in_the_same_order(db: sqlite3.Connection) -> None:
    everything = [(row.id, row.active_at) for row in conversations(db)]
    assert list(by_activity(db)) == everything
    (identity, at) = everything[49]
    assert list(by_activity(db, (at or "", identity))) == everything[50:]


def test_a_conversation_is_as_active_as_its_newest_message(archive: Archive) -> None:
    archive.record(v0(envelope(answer("A", "old", create_time=1_790_000_000), "one")), stream_id="1")
    archive.record(v0(envelope(answer("A", "new", create_time=1_790_000_900), "two")), stream_id="2")
    archive.record(v0(envelope(answer("B", "newest", create_time=1_790_001_800), "one")), stream_id="3")
    with asking(archive) as db:
        assert [(row.id, row.active_at) for row in conversations(db)] == [
            ("one", "2026-09-21T14:43:20.000000Z"),
            ("two", "2026-09-21T14:28:20.000000Z"),
        ]


def test_conversations_are_filtered_by_what_they_are_and_hold(db: sqlite3.Connection) -> None:
    everything = list(conversations(db))

    def ids(**only: Any) -> set[str]:
        return {row.id for row in conversations(db, ConversationFilter(**only))}

    day = (everything[40].active_at or "")[:10]
    assert ids(since=day, until=day) == {row.id for row in everything if (row.active_at or "").startswith(day)}
    assert ids(model="gpt-4o") == {row.id for row in everything if "gpt-4o" in (row.models or "").split(", ")} != set()
    assert ids(gizmo="g-") == {row.id for row in everything if row.gizmo_id} != set()
    assert ids(with_images=True) == {row.id for row in everything if row.images} != set()


def test_conversations_are_found_by_their_title_and_by_what_was_said(archive: Archive) -> None:
    for number, (title, text) in enumerate([("Tides", "The Moon."), ("100%", "About tides"), ("Other", "None")]):
        titled = {"type": "title_generation", "title": title, "conversation_id": f"c{number}"}
        archive.record(v0(envelope(answer("A", text), f"c{number}"), titled), stream_id=str(number))
    with asking(archive) as db:

        def found(words: str) -> list[str]:
            return sorted(row.id for row in conversations(db, ConversationFilter(words=words)))

        assert found("tide") == ["c0"]
        assert found("tides") == ["c0", "c1"]
        assert found("%") == ["c1"]
        assert found('"') == []


# Threads


def test_a_branch_is_the_one_the_page_shows_or_the_one_through_a_message(archive: Archive) -> None:
    said = [
        said_by_user("U1", "Why?", create_time=1),
        answer("A1", "So.", metadata={"parent_id": "U1"}),
        answer("A2", "Or so.", metadata={"parent_id": "U1"}),
        said_by_user("U2", "And?", "A2"),
    ]
    archive.record(v0(*map(envelope, said)))
    with asking(archive) as db:
        shown_branch = branch(db, "talk")
        assert [step.id for step in shown_branch] == ["U1", "A2", "U2"]
        assert shown_branch[1].siblings == ("A1", "A2")
        assert [step.id for step in branch(db, "talk", "A1")] == ["U1", "A1"]
        assert [row.text for row in messages(db, [step.n for step in shown_branch])] == ["Why?", "Or so.", "And?"]
        assert branch(db, "nobody") == []


def test_a_long_branch_is_read_in_its_order(archive: Archive) -> None:
    said = [said_by_user(f"U{n}", f"text {n}", f"U{n - 1}" if n else None) for n in range(250)]
    archive.record(v0(*map(envelope, said)))
    with asking(archive) as db:
        numbers = [step.n for step in branch(db, "talk")]
        assert [row.text for row in messages(db, numbers)] == [f"text {n}" for n in range(250)]


def test_sources_and_files_stand_under_their_messages(archive: Archive) -> None:
    reference = {"type": "grouped_webpages", "items": [{"url": "https://example.org/moon", "title": "The Moon"}]}
    cites = answer("A", "The Moon.", metadata={"content_references": [reference], "model_slug": "gpt-5"})
    archive.record(v0(envelope(made("I", "one")), envelope(cites)))
    with asking(archive) as db:
        numbers = [step.n for step in branch(db, "talk", "A")] + [step.n for step in branch(db, "talk", "I")]
        ((source,),) = cited(db, numbers).values()
        assert (source.url, source.title) == ("https://example.org/moon", "The Moon")
        ((file,),) = mentioned(db, numbers).values()
        assert (file.role, file.asset_id, file.prompt, file.path) == ("output", "file_one", "prompt of one", None)


# Images


def test_images_come_page_by_page_the_newest_first(db: sqlite3.Connection) -> None:
    everything = list(images(db))
    assert len(everything) > 20
    paged, before = [], None
    while page := list(images(db, before=before, limit=7)):
        paged += page
        before = (page[-1].created_at or "", page[-1].id)
    assert paged == everything == sorted(everything, key=lambda row: (row.created_at, row.id), reverse=True)
    assert image(db, everything[3].id) == everything[3]
    of_one = ImageFilter(conversation_id=everything[0].conversation_id or "")
    assert {row.conversation_id for row in images(db, of_one)} == {everything[0].conversation_id}
    word = (everything[0].tool_prompt or "").split()[0].upper()
    assert everything[0] in list(images(db, ImageFilter(words=word)))
    assert list(images(db, ImageFilter(stored=True))) == []


def test_an_image_that_is_said_to_have_no_bytes_is_as_large_as_its_file(archive: Archive) -> None:
    mention(archive, size_bytes=0)
    with asking(archive) as db:
        assert [row.size_bytes for row in images(db)] == [None]
    receive(archive, png(4, 3))
    with asking(archive) as db:
        (row,) = images(db)
        assert row.size_bytes == len(png(4, 3))
        assert image(db, row.id) == row
    with contextlib.closing(sqlite3.connect(archive.path)) as writer, writer:
        writer.execute("UPDATE image_generations SET size_bytes = 7")
    with asking(archive) as db:
        assert [row.size_bytes for row in images(db)] == [7]


def test_a_line_is_told_from_its_first_image_whichever_is_asked_about(archive: Archive) -> None:
    line = [("one", None), ("two", "one"), ("three", "two"), ("other", "one")]
    archive.record(v0(*[envelope(made(f"M-{name}", name, parent)) for name, parent in line]))
    told = [(0, "one"), (1, "two"), (2, "three"), (1, "other")]
    with asking(archive) as db:
        for asked in ("one", "two", "three", "other"):
            assert [(row.depth, row.gen_id) for row in lineage(db, asked)] == told


def test_a_circle_of_images_is_gone_through_once(archive: Archive) -> None:
    archive.record(v0(envelope(made("M1", "one", "two")), envelope(made("M2", "two", "one"))))
    with asking(archive) as db:
        assert sorted(row.gen_id for row in lineage(db, "one")) == ["one", "two"]


# Live


def test_what_grows_is_seen_growing_and_ending(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "The tide")), done=False), look=lambda: True, closing=None)
    with asking(archive) as db:
        (growing,) = growing_messages(db)
        assert (growing.text, growing.live, streaming(db)) == ("The tide", 1, 1)
        assert messages_after(db, growing.n - 1) == [growing]
        assert newest_message(db) == growing.n
        archive.record(v1(shown(message("A", "The tide comes.", status=FINISHED))))
        assert growing_messages(db) == []
        ended = message_now(db, growing.n)
        assert ended is not None
        assert (ended.text, ended.live) == ("The tide comes.", 0)


# Exchanges


def test_an_exchange_has_its_facts_its_events_and_its_raw_body(archive: Archive) -> None:
    known = {"type": "title_generation", "title": "Tides", "conversation_id": "talk"}
    archive.record(v0(envelope(answer("A", "The Moon.")), known, {"type": "novelty"}), request("U"))
    with asking(archive) as db:
        identity = last_exchange(db)
        assert identity == "stream"
        row = exchange(db, "stream")
        assert row is not None
        assert (row.conversation_title, row.state, row.encoding, row.event_count) == ("Tides", "complete", "v0", 3)
        assert [(event.position, event.type) for event in exchange_events(db, "stream")] == [
            (1, "title_generation"), (2, "novelty"),
        ]  # fmt: skip
        assert [event.type for event in events(db)] == ["novelty", "title_generation"]
        assert [event.type for event in events(db, unrecognised=True)] == ["novelty"]
        assert [event.type for event in events(db, event_type="title_generation")] == ["title_generation"]
        assert [row[:3] for row in event_types(db)] == [("novelty", 0, 1), ("title_generation", 1, 1)]
        raw = raw_body(db, "stream")
        assert raw.body is not None
        assert raw.request is not None
        assert raw_body(db, "nobody") == (None, None, None, None)
        assert exchange(db, "nobody") is None
        (turn,) = turns(db)
        assert (turn.prompt, turn.answer) == ("Why are there tides?", "The Moon.")


# Figures


def test_figures_of_a_big_archive_agree_with_each_other(db: sqlite3.Connection) -> None:
    count = totals(db)
    assert (count.conversations, count.messages) == (120, 4000)
    answers = db.execute("""SELECT count(*) FROM messages WHERE role = 'assistant' AND visible = 1
                            AND content_type NOT IN ('thoughts', 'reasoning_recap')""").fetchone()[0]
    assert sum(row.answers for row in model_usage(db)) == answers
    for period in ("day", "week", "month", "year"):
        rows = activity(db, period)
        assert sum(row.answers for row in rows) == answers
        assert [row.period for row in rows] == sorted(row.period for row in rows)
        assert len({row.period for row in rows}) == len(rows) > 1
    one = activity(db, "day")[5].period
    assert [row.period for row in activity(db, "day", since=one, until=one)] == [one]
    assert sum(image_count(db).values()) == count.images > 0
    assert sum(row.calls for row in tools(db)) > 0
    assert last_answer(db) is not None
    assert open_runs(db) == []


def test_weeks_are_those_of_the_calendar_whatever_sqlite_there_is() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE daily_activity (day, prompts, answers, images, conversations)")
        for year in range(2015, 2031):
            for day in (date(year, 12, 25) + timedelta(days) for days in range(14)):
                db.execute("DELETE FROM daily_activity")
                db.execute("INSERT INTO daily_activity VALUES (?, 1, 2, 3, 4)", [day.isoformat()])
                iso = day.isocalendar()
                assert activity(db, "week") == [(f"{iso.year}-W{iso.week:02}", 1, 2, 3, 4)], day


def test_speeds_are_the_middle_and_the_ninetieth_of_a_hundred(archive: Archive) -> None:
    finished = [
        {"p": "/message/status", "o": "replace", "v": FINISHED},
        {"p": "/message/end_turn", "o": "replace", "v": True},
    ]
    for number in range(1, 11):
        said = message(f"A{number}", "", metadata={"model_slug": "gpt-5-5"})
        body = v1(shown(said), delta(TEXT, "append", "12345"), delta("", "patch", finished))
        archive.record(body, request(f"U{number}"), stream_id=f"s{number}", clock=all_at(STARTED + number * 1_000_000))
    with asking(archive) as db:
        (speed,) = model_speeds(db)
        assert (speed.answers, speed.seconds_to_first_token_p50, speed.seconds_to_first_token_p90) == (10, 5.0, 9.0)


def test_sources_are_counted_by_page_and_by_site(archive: Archive) -> None:
    def citing(identity: str, *urls: str) -> dict[str, Any]:
        items = [{"url": url, "title": url[-4:]} for url in urls]
        return answer(identity, "x", metadata={"content_references": [{"type": "grouped_webpages", "items": items}]})

    moon, sun = "https://example.org/moon", "https://Example.org/sun?x=/"
    archive.record(v0(envelope(citing("A", moon, sun)), envelope(citing("B", moon))))
    with asking(archive) as db:
        assert [(page.url, page.messages) for page in cited_pages(db)] == [(moon, 2), (sun, 1)]
        assert [tuple(site) for site in cited_sites(db)] == [("example.org", 2, 2)]
        assert [page.url for page in cited_pages(db, words="MOON")] == [moon]
        assert list(cited_pages(db, conversation_id="nobody")) == []


def test_the_most_cited_pages_are_the_first_of_all(db: sqlite3.Connection) -> None:
    for words in ("", "example 1"):
        every = list(cited_pages(db, words=words))
        assert len({page.messages for page in every}) > 1
        for limit in (0, 1, 7, len(every), len(every) + 5):
            assert list(cited_pages(db, words=words, limit=limit)) == every[:limit]


def test_a_large_table_is_measured_by_some_of_its_rows(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = usage._value_bytes(db, "messages", 4000)
    monkeypatch.setattr(usage, "_SAMPLE", 300)
    assert usage._value_bytes(db, "messages", 4000) not in (0, exact)
    assert usage._value_bytes(db, "messages", 4000) == pytest.approx(exact, rel=0.2)


def test_tables_are_measured(db: sqlite3.Connection) -> None:
    sizes = {size.name: size for size in table_sizes(db)}
    assert sizes["messages"].rows == sizes["messages_fts"].rows == 4000
    assert sizes["messages"].bytes > 4000 * 100
    assert list(sizes.values()) == sorted(sizes.values(), key=lambda size: (-size.bytes, size.name))
    assert "messages_fts_data" not in sizes


def test_what_asks_for_attention_has_words_for_one_and_for_several(db: sqlite3.Connection) -> None:
    view = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'capture_health'").fetchone()[0]
    facts = [re.search(r"'([a-z_]+)' AS name.* AS value, (.*) AS attention", fact) for fact in view.split("UNION ALL")]
    asking = [fact[1] for fact in facts if fact is not None and fact[2] != "0"]
    assert len(asking) >= 7
    for name in asking:
        one, several = (HealthFact(name, number, 1, None).told() for number in (1, 2000))
        assert (one[:2], several[:6], ":" in one + several) == ("1 ", "2,000 ", False)
    assert LossyRun("1-a", None, 2, 8000, 1).told() == "2 chunks were lost, 1 exchange was not captured"


def test_health_is_told(db: sqlite3.Connection) -> None:
    facts = {fact.name: fact for fact in health(db)}
    assert (
        facts["streams_complete"].value
        == db.execute("SELECT count(*) FROM streams WHERE state = 'complete'").fetchone()[0]
    )
