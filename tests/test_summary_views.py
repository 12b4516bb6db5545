"""The views that sum up say what is in the archive, of made up exchanges whose numbers are known."""

import contextlib
import sqlite3
import time
from typing import Any

import pytest

from analysis.clock import zone
from analysis.queries import open_archive
from analysis.queries.named import answers
from analysis.queries.usage import activity
from analysis.report.figures import figures, years
from tests.recording import FINISHED, STATUS, Archive, delta, envelope, message, request, shown, v0, v1


def answer(identity: str, text: str, **fields: Any) -> dict[str, Any]:
    said = {"status": FINISHED, "end_turn": True, "metadata": {"model_slug": "gpt-5-5"}, "create_time": 1_790_000_000}
    return message(identity, text, **{**said, **fields})


def image(identity: str, gen_id: str, parent: str | None = None) -> dict[str, Any]:
    part = {
        "content_type": "image_asset_pointer", "asset_pointer": f"sediment://file_{gen_id}", "width": 10, "height": 20,
        "metadata": {"dalle": {"gen_id": gen_id, "parent_gen_id": parent, "prompt": f"prompt of {gen_id}"}},
    }  # fmt: skip
    content = {"content_type": "multimodal_text", "parts": [part]}
    author = {"role": "tool", "name": "dalle.text2im"}
    return message(identity, author=author, content=content, status=FINISHED, create_time=1_790_000_050)


def test_a_conversation_is_summed_up(archive: Archive) -> None:
    hidden = message("S", "Be brief.", author={"role": "system"}, status=FINISHED)
    asked = message("U", "Why tides?", author={"role": "user"}, status=FINISHED, create_time=1_789_999_999)
    archive.record(v0(*map(envelope, (hidden, asked, image("I", "one"), answer("A", "The Moon.")))), request("U"))
    row = archive.row("SELECT * FROM conversation_summaries")
    assert {name: row[name] for name in ("id", "messages", "prompts", "images", "characters", "models", "live")} == {
        "id": "talk", "messages": 3, "prompts": 1, "images": 1, "characters": 19, "models": "gpt-5-5", "live": 0,
    }  # fmt: skip
    assert (row["first_prompt"], row["active_at"]) == ("Why tides?", "2026-09-21T14:14:10.000000Z")


def test_a_conversation_that_streams_is_live_and_one_without_messages_is_there(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "The tide")), done=False), look=lambda: True, closing=None)
    archive.record(v0(), stream_id="other", sent=request("U2", conversation_id="empty"))
    rows = archive.rows("SELECT id, messages, live, active_at IS NULL AS never FROM conversation_summaries ORDER BY id")
    assert rows == [
        {"id": "empty", "messages": 1, "live": 0, "never": 0},
        {"id": "talk", "messages": 1, "live": 1, "never": 0},
    ]


def test_images_stand_under_those_they_were_made_from(archive: Archive) -> None:
    made = [("one", None), ("two", "one"), ("three", "two"), ("other", "one"), ("late", "elsewhere")]
    archive.record(v0(*[envelope(image(f"M-{name}", name, parent)) for name, parent in made]))
    rows = archive.rows("SELECT gen_id, root_gen_id, depth FROM image_lineage ORDER BY root_gen_id, depth, gen_id")
    assert [tuple(row.values()) for row in rows] == [
        ("late", "late", 0), ("one", "one", 0), ("other", "one", 1), ("two", "one", 1), ("three", "one", 2),
    ]  # fmt: skip


def test_images_in_a_circle_are_left_out_of_the_lineage(archive: Archive) -> None:
    archive.record(v0(envelope(image("M1", "one", "two")), envelope(image("M2", "two", "one"))))
    assert archive.rows("SELECT * FROM image_lineage") == []


def test_models_are_counted_as_asked_for_and_as_served(archive: Archive) -> None:
    for number, (asked, served) in enumerate([("auto", "gpt-5-5"), ("auto", "gpt-5-5"), ("gpt-4", "gpt-5-mini")]):
        said = answer(f"A{number}", "12345", metadata={"model_slug": served})
        thought = message(f"T{number}", "", content={"content_type": "thoughts", "thoughts": []}, status=FINISHED,
                          metadata={"model_slug": served})  # fmt: skip
        archive.record(
            v0(envelope(thought), envelope(said, f"talk{number}")), request(f"U{number}", model=asked),
            stream_id=f"stream{number}",
        )  # fmt: skip
    query = "SELECT requested_model, model_slug, answers, conversations, characters FROM model_usage ORDER BY 1, 2"
    assert [tuple(row.values()) for row in archive.rows(query)] == [
        ("auto", "gpt-5-5", 2, 2, 10), ("gpt-4", "gpt-5-mini", 1, 1, 5),
    ]  # fmt: skip


def test_an_answer_of_no_conversation_counts_as_answer_and_in_no_conversation(archive: Archive) -> None:
    archive.record(v0(envelope(answer("A", "12345"), "talk"), envelope(answer("B", "123"), "other")))
    with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
        db.execute("UPDATE messages SET conversation_id = NULL WHERE id = 'B'")
    (usage,) = archive.rows("SELECT answers, conversations, characters FROM model_usage")
    assert tuple(usage.values()) == (2, 1, 8)


def test_the_time_to_the_first_token_is_that_of_answers_somebody_saw(archive: Archive) -> None:
    said = answer("A", "")
    archive.record(
        v1(shown({**said, "status": "in_progress"}), delta("/message/content/parts/0", "append", "The Moon."),
           delta(STATUS, "replace", FINISHED)),
        request("U"), clock=lambda _: 1_790_000_000_000_000 + 1_500_000,
    )  # fmt: skip
    assert archive.row("SELECT average_seconds_to_first_token AS s FROM model_usage") == {"s": 1.5}


def test_days_are_those_of_the_clock_of_who_asks(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """One day and one hour everywhere: in the view, the figures, the charts and the report."""
    said = message(
        "U", "Late", author={"role": "user"}, status=FINISHED, create_time=1_798_756_200
    )  # 31 December 2026, 22:30 UTC
    archive.record(v0(envelope(said), envelope(answer("A", "Later", create_time=1_798_756_260))))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert [row["day"] for row in archive.rows("SELECT day FROM daily_activity")] == ["2026-12-31"]
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert [row["day"] for row in archive.rows("SELECT day FROM daily_activity")] == ["2027-01-01"]
        with contextlib.closing(open_archive(archive.path)) as db:
            assert [row.period for row in activity(db, "month")] == ["2027-01"]
            assert answers(db, "prompts_per_day", since="2027-01-01", until="2027-01-01") == [
                {"day": "2027-01-01", "prompts": 1}
            ]
            assert answers(db, "prompts_per_day", until="2026-12-31") == []
            assert answers(db, "prompts_by_hour_weekday") == [{"weekday": 5, "hour": 7, "prompts": 1}]
            assert years(db) == (2027, 2027)
            year = figures(db, 2027)
            assert (year.hours, year.totals["prompts"], year.models) == (
                [{"weekday": 5, "hour": 7, "prompts": 1}], 1, [{"month": "2027-01", "model": "gpt-5-5", "answers": 1}]
            )  # fmt: skip
            assert figures(db, 2026).days == []
            assert zone() == "Asia/Tokyo"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_day_begins_at_the_quarter_of_an_hour_where_it_does(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"role": "user"}
    said = [
        message(f"U{n}", "Why?", author=user, status=FINISHED, create_time=1_798_740_000 + minute * 60)
        for n, minute in enumerate((14, 14, 16))  # 18:00 UTC and so many minutes: it is 23:45 in Kathmandu
    ]
    archive.record(v0(*map(envelope, said)))
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        days = archive.rows("SELECT day, prompts, conversations FROM daily_activity ORDER BY day")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [tuple(day.values()) for day in days] == [("2026-12-31", 2, 1), ("2027-01-01", 1, 1)]


def test_days_have_what_was_said_and_made_on_them(archive: Archive) -> None:
    day = 86_400
    said = [
        message("U1", "One", author={"role": "user"}, status=FINISHED, create_time=1_790_000_000 - day),
        answer("A1", "1", create_time=1_790_000_000 - day),
        message("U2", "Two", author={"role": "user"}, status=FINISHED, create_time=1_790_000_000),
        image("I", "one"),
        answer("A2", "2", create_time=1_790_000_060),
    ]
    archive.record(v0(*map(envelope, said)))
    assert [tuple(row.values()) for row in archive.rows("SELECT * FROM daily_activity ORDER BY day")] == [
        ("2026-09-20", 1, 1, 0, 1), ("2026-09-21", 1, 1, 1, 1),
    ]  # fmt: skip
