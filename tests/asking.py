"""Commands as people give them, in this process, and the archive that they ask."""

import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.cli import cli
from tests.recording import FINISHED, Archive, envelope, message, request, v0
from tests.test_summary_views import answer, image

TIDES = "Tides are the sea's answer to the **Moon**.\n\n- spring tides\n- neap tides"


def ask(database: Path, *arguments: str, code: int = 0, zone: str = "UTC") -> Result:
    """Give a command, in a time zone; what went wrong is a line, never a traceback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        patch.setenv("CHATGPT_CAPTURE_DB", str(database))
        time.tzset()
        done = CliRunner().invoke(cli, list(arguments))
    time.tzset()
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert done.exit_code == code, done.output
    return done


def fill(archive: Archive) -> None:
    """Two conversations: one with a branch, a source and hidden messages, one with a line of three images."""
    site = {"url": "https://example.org/moon", "title": "The Moon", "attribution": "Example"}
    mark = "\ue200cite\ue202turn0search0\ue201"
    cites = {"content_references": [{"type": "grouped_webpages", "matched_text": mark, "items": [site]}]}
    user = {"role": "user"}
    said = [
        message("system-1", "You are helpful.", author={"role": "system"}, status=FINISHED),
        message("user-1", "Why are there tides?", author=user, status=FINISHED, create_time=1_790_000_000),
        answer("answer-1", "Because.", metadata={"parent_id": "user-1", "model_slug": "gpt-5-5"}),
        answer("answer-2", TIDES + mark, create_time=1_790_000_010,
               metadata={"parent_id": "user-1", "model_slug": "gpt-5-5", **cites}),
    ]  # fmt: skip
    said[1]["metadata"] = {"parent_id": "system-1"}
    titled = {"type": "title_generation", "title": "Two tides a day", "conversation_id": "tides-talk"}
    archive.record(
        v0(*[envelope(one, "tides-talk") for one in said], titled, {"type": "novelty", "x": 1}),
        request("user-1"),
        stream_id="tides-stream",
    )
    call = message("call-1", '{"prompt": "a lighthouse"}', recipient="dalle.text2im", status=FINISHED,
                   content={"content_type": "code", "text": '{"prompt": "a lighthouse"}'})  # fmt: skip
    drawn = [
        image("image-1", "gen-one"),
        image("image-2", "gen-two", "gen-one"),
        image("image-3", "gen-three", "gen-two"),
    ]
    titled = {"type": "title_generation", "title": "A lighthouse 灯台", "conversation_id": "light-talk"}
    archive.record(
        v0(*[envelope(one, "light-talk") for one in (call, *drawn)], titled),
        request("user-2", "Draw a lighthouse"),
        stream_id="light-stream",
        started_at=1_790_000_100_000_000,
    )
