"""What is killed, cut, replaced or reloaded in mid-stream: nothing the client received is lost, nothing is twice."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from addon.archive import inflight_folder
from addon.wire.evidence import decompress
from scripts import loopback, scenes
from scripts.loopback.exchange import GARBLE
from tests.conftest import ADDON, ROOT, Capturing, capture, rows

TABLES = (
    "streams",
    "conversations",
    "messages",
    "message_versions",
    "events",
    "image_generations",
    "citations",
    "assets",
)


def dump(database: Path) -> dict[str, list[dict[str, Any]]]:
    return {table: rows(database, f"SELECT * FROM {table}") for table in TABLES}


def recorder_of(process_id: int) -> int:
    """The process id of the recorder that a mitmdump started."""
    if not Path("/proc").is_dir():
        pytest.skip("finding the recorder needs /proc")
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == process_id and b"addon.recorder" in command:
            return int(path.parent.name)
    raise AssertionError("no recorder is running")


def wait_until(database: Path, query: str, seconds: float = 10.0) -> list[dict[str, Any]]:
    deadline = time.monotonic() + seconds
    while not (found := rows(database, query)):
        assert time.monotonic() < deadline, query
        time.sleep(0.02)
    return found


def asking(running: Capturing, prompt: str) -> "tuple[threading.Thread, list[loopback.Received]]":
    received: list[loopback.Received] = []
    thread = threading.Thread(target=lambda: received.append(running.ask(prompt)))
    thread.start()
    return thread, received


def stored_body(database: Path) -> bytes:
    return decompress(rows(database, "SELECT body FROM stream_bodies")[0]["body"])


@pytest.fixture
def slow() -> scenes.Scene:
    return scenes.plain_answer("slow", scenes.prose(100, "5"), seed="slow")


def test_killing_mitmdump_loses_no_byte_that_the_client_received(tmp_path: Path, slow: scenes.Scene) -> None:
    with capture(tmp_path) as running:
        running.answers["slow"] = loopback.answer(slow.events, delay=0.02)
        thread, received = asking(running, "slow")
        running.wait("SELECT 1 FROM messages WHERE status = 'in_progress' AND length(text) > 40")
        running.proxy.stop(signal.SIGKILL)
        thread.join()
    stream = wait_until(running.database, "SELECT * FROM streams WHERE state <> 'streaming'", 5)[0]
    assert (stream["state"], stream["error"]) == ("interrupted", "the proxy was killed")
    client = received[0].body
    assert client
    assert stream["wire_bytes"] >= len(client)
    wait_until(running.database, "SELECT 1 FROM stream_bodies")
    assert client[-60:] in stored_body(running.database)
    assert running.drained()
    answer = rows(running.database, "SELECT * FROM messages WHERE role = 'assistant'")[0]
    assert slow.text.startswith(answer["text"])
    assert answer["live"] == 0


def test_a_killed_recorder_is_started_again_and_stores_everything_once(tmp_path: Path, slow: scenes.Scene) -> None:
    with capture(tmp_path) as running:
        running.answers["slow"] = loopback.answer(slow.events, coding="br", delay=0.02)
        thread, received = asking(running, "slow")
        for _ in range(2):
            running.wait("SELECT 1 FROM messages WHERE status = 'in_progress'")
            os.kill(recorder_of(running.proxy.process.pid), signal.SIGKILL)
            time.sleep(0.4)
        thread.join()
        assert received[0].body == b"".join(loopback.encode_chunks(slow.events, "br"))
        stream = running.wait("SELECT * FROM streams WHERE state <> 'streaming'")[0]
        assert stream["state"] == "complete"
        assert running.rows("SELECT text FROM messages WHERE id = ?", slow.answer_id) == [{"text": slow.text}]
        assert running.rows("SELECT * FROM message_versions") == []
        assert running.proxy.stop() == 0
        assert "starting it again" in running.log


def test_a_recorder_that_is_dead_when_mitmdump_stops_is_started_once_more(tmp_path: Path) -> None:
    scene = scenes.plain_answer("hello", "Good day.", seed="hello")
    with capture(tmp_path) as running:
        running.answers["hello"] = loopback.answer(scene.events)
        os.kill(recorder_of(running.proxy.process.pid), signal.SIGSTOP)
        assert running.ask("hello").body == scene.body
        os.kill(recorder_of(running.proxy.process.pid), signal.SIGKILL)
        assert running.proxy.stop() == 0
        assert running.rows("SELECT state FROM streams") == [{"state": "complete"}]
        assert not list(inflight_folder(running.database).iterdir())


def test_what_both_left_behind_is_adopted_at_the_next_start(tmp_path: Path, slow: scenes.Scene) -> None:
    with capture(tmp_path) as running:
        running.answers["slow"] = loopback.answer(slow.events, delay=0.02)
        thread, received = asking(running, "slow")
        running.wait("SELECT 1 FROM messages WHERE status = 'in_progress' AND length(text) > 40")
        recorder = recorder_of(running.proxy.process.pid)
        os.kill(recorder, signal.SIGSTOP)
        time.sleep(0.2)  # what comes now is in the journal only
        running.proxy.stop(signal.SIGKILL)
        os.kill(recorder, signal.SIGKILL)
        thread.join()
    assert len(list(inflight_folder(running.database).iterdir())) == 1
    with capture(tmp_path) as again:
        stream = again.wait("SELECT * FROM streams WHERE state <> 'streaming'")[0]
        assert stream["state"] == "interrupted"
        assert stream["wire_bytes"] >= len(received[0].body)
        assert again.drained()


def test_a_damaged_journal_is_read_as_far_as_it_can_be_and_kept(tmp_path: Path, slow: scenes.Scene) -> None:
    with capture(tmp_path) as running:
        running.answers["slow"] = loopback.answer(slow.events, delay=0.02)
        thread, _ = asking(running, "slow")
        running.wait("SELECT 1 FROM messages WHERE status = 'in_progress' AND length(text) > 40")
        recorder = recorder_of(running.proxy.process.pid)
        os.kill(recorder, signal.SIGSTOP)
        running.proxy.stop(signal.SIGKILL)
        os.kill(recorder, signal.SIGKILL)
        thread.join()
    (segment,) = inflight_folder(running.database).iterdir()
    data = segment.read_bytes()
    segment.write_bytes(data[:-1000] + b"not a record" + data[-1000:])
    with capture(tmp_path) as again:
        stream = again.wait("SELECT * FROM streams WHERE state <> 'streaming'")[0]
        assert (stream["state"], stream["error"]) == ("interrupted", "the proxy was killed")
        assert "is damaged; what could be read is stored, the file is kept" in again.proxy.wait_for_log(
            "is damaged;", 5
        )
        assert [path.name for path in inflight_folder(again.database).iterdir()] == [segment.name + ".kept"]


def test_a_stopped_recorder_does_not_hold_up_traffic(tmp_path: Path) -> None:
    scene = scenes.plain_answer("hello", scenes.prose(200, "1"), seed="hello")
    with capture(tmp_path) as running:
        running.answers["hello"] = loopback.answer(scene.events)
        recorder = recorder_of(running.proxy.process.pid)
        os.kill(recorder, signal.SIGSTOP)
        try:
            for http2 in (True, False):
                assert running.ask("hello", http2=http2).body == scene.body
        finally:
            os.kill(recorder, signal.SIGCONT)
        running.wait("SELECT 1 FROM streams WHERE state = 'complete'")


def test_the_recorder_lets_everything_else_go_first(tmp_path: Path) -> None:
    with capture(tmp_path) as running:
        recorder = recorder_of(running.proxy.process.pid)
        assert os.getpriority(os.PRIO_PROCESS, recorder) > os.getpriority(os.PRIO_PROCESS, running.proxy.process.pid)
        group = ""
        with contextlib.suppress(OSError):
            group = Path(f"/proc/{recorder}/autogroup").read_text()
        if "nice" not in group:
            pytest.skip("this kernel does not share the processors out among sessions")
        assert int(group.rpartition("nice ")[2]) > 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stopping_mitmdump_ends_open_streams_truthfully(tmp_path: Path, slow: scenes.Scene, sent: int) -> None:
    with capture(tmp_path) as running:
        running.answers["slow"] = loopback.answer(slow.events, delay=0.02)
        thread, _ = asking(running, "slow")
        running.wait("SELECT 1 FROM messages WHERE status = 'in_progress' AND length(text) > 40")
        assert running.proxy.stop(sent) == 0
        thread.join()
        stream = running.rows("SELECT state, error FROM streams")[0]
        assert stream == {"state": "interrupted", "error": "the proxy was stopped"}
        assert not list(inflight_folder(running.database).iterdir())


def test_reloading_the_script_in_mid_stream_loses_nothing(tmp_path: Path, slow: scenes.Scene) -> None:
    copy = tmp_path / "entry.py"
    copy.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom addon.adaptor import ChatGPTCapture\naddons = [ChatGPTCapture()]\n"
    )
    service_answers = {"slow": loopback.answer(slow.events, delay=0.03)}
    database = tmp_path / "chatgpt.db"
    with (
        loopback.Service(lambda request: service_answers["slow"]) as service,
        loopback.Proxy(service, confdir=tmp_path / "conf", scripts=[copy], options={"chatgpt_db": database}) as proxy,
    ):
        proxy.wait_for_log("capturing", 10)
        received: list[loopback.Received] = []
        thread = threading.Thread(target=lambda: received.append(loopback.send_turn(proxy.port, proxy.ca_path, "slow")))
        thread.start()
        wait_until(database, "SELECT 1 FROM messages WHERE status = 'in_progress'")
        os.utime(copy, (time.time() + 5, time.time() + 5))
        thread.join()
        assert received[0].body == slow.body
        assert sum("capturing" in line for line in proxy.log) == 2
        stream = wait_until(database, "SELECT * FROM streams WHERE state <> 'streaming'")[0]
        assert stream["state"] == "complete"
        assert loopback.send_turn(proxy.port, proxy.ca_path, "slow").body == slow.body
        wait_until(database, "SELECT 1 FROM streams WHERE state = 'complete' GROUP BY state HAVING count(*) = 2")
        assert proxy.stop() == 0


def test_a_saved_flow_gives_the_same_rows_and_twice_changes_nothing(tmp_path: Path) -> None:
    saved = tmp_path / "saved.flow"
    with capture(tmp_path, args=["-w", str(saved)]) as running:
        for name, make in scenes.SCENES.items():
            scene = make(30, seed=name)
            running.answers[name] = loopback.answer(scene.events, coding="zstd")
            running.ask(name)
        assert running.proxy.stop() == 0
    live = dump(running.database)
    again = tmp_path / "again"
    again.mkdir()
    read(saved, again / "chatgpt.db")
    once = dump(again / "chatgpt.db")
    assert len(once["messages"]) == len(live["messages"]) > 20
    for table in TABLES:
        assert comparable(once[table]) == comparable(live[table]), table
    untimed = (
        "SELECT first_event_at, first_token_at FROM streams UNION SELECT first_token_at, completed_at FROM messages"
    )
    assert [list(row.values()) for row in rows(again / "chatgpt.db", untimed)] == [[None, None]]
    read(saved, again / "chatgpt.db")
    assert dump(again / "chatgpt.db") == once


def comparable(table: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows without the clock and the source."""
    return sorted(
        tuple(
            (key, str(value))
            for key, value in row.items()
            if not key.endswith("_at") and key not in ("source", "n", "message_n", "id")
        )
        for row in table
    )


def read(saved: Path, database: Path) -> None:
    mitmdump = Path(sys.executable).with_name("mitmdump")
    settings = ["--set", f"chatgpt_db={database}", "--set", f"confdir={database.parent}"]
    command = [str(mitmdump), "-nr", str(saved), "-s", str(ADDON), *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exchanges and" in done.stdout


def test_two_proxies_on_one_database_take_nothing_from_each_other(tmp_path: Path, slow: scenes.Scene) -> None:
    with capture(tmp_path) as one, capture(tmp_path) as other:
        one.answers["slow"] = loopback.answer(slow.events, delay=0.02)
        theirs = [scenes.plain_answer(f"answer {n}", scenes.prose(20, str(n)), seed=f"answer {n}") for n in range(4)]
        for n, scene in enumerate(theirs):
            other.answers[f"answer {n}"] = loopback.answer(scene.events, coding="br", delay=0.01)
        thread, received = asking(one, "slow")
        one.wait("SELECT 1 FROM messages WHERE status = 'in_progress'")
        for n in range(4):
            other.ask(f"answer {n}", http2=bool(n % 2))
            if n == 1:
                one.proxy.stop(signal.SIGKILL)
        thread.join()
        other.wait("SELECT 1 FROM streams WHERE state <> 'streaming' GROUP BY source HAVING count(*) = 5")
        states = {
            row["state"]: row["n"] for row in other.rows("SELECT state, count(*) AS n FROM streams GROUP BY state")
        }
        assert states == {"complete": 4, "interrupted": 1}
        for scene in theirs:
            assert other.rows("SELECT text FROM messages WHERE id = ?", scene.answer_id) == [{"text": scene.text}]
        assert received[0].body
        cut = other.rows("SELECT wire_bytes FROM streams WHERE state = 'interrupted'")
        assert cut[0]["wire_bytes"] >= len(received[0].body)
        assert other.proxy.stop() == 0
        assert not list(inflight_folder(other.database).iterdir())
        runs = other.rows("SELECT ended_at IS NULL AS killed, streams FROM runs ORDER BY killed")
        assert runs == [{"killed": 0, "streams": 4}, {"killed": 1, "streams": None}]


@pytest.mark.parametrize("http2", [True, False])
@pytest.mark.parametrize(("end", "state"), [("reset", "interrupted"), ("cut", "interrupted"), ("clean", "complete")])
def test_how_the_service_ends_a_stream_is_what_is_said_of_it(
    tmp_path: Path, http2: bool, end: loopback.End, state: str
) -> None:
    scene = scenes.plain_answer("hello", scenes.prose(30, "9"), seed="hello")
    events = scene.events if end == "clean" else scene.events[:-8]
    with capture(tmp_path) as running:
        running.answers["hello"] = loopback.answer(events, end=end)
        assert running.ask("hello", http2=http2).body == b"".join(events)
        stream = running.wait("SELECT state, error FROM streams WHERE state <> 'streaming'")[0]
        assert stream["state"] == state
        assert (stream["error"] or "").startswith("connection closed" if state == "interrupted" else "")


@pytest.mark.parametrize("error", ["OSError(28, 'no')", "ValueError('a bug')"])
@pytest.mark.parametrize("http2", [True, False])
def test_an_answer_that_cannot_be_captured_passes_all_the_same_and_at_once(
    tmp_path: Path, http2: bool, error: str
) -> None:
    (tmp_path / "broken.py").write_text(
        f"import addon.journal\ndef failing(*_):\n    raise {error}\naddon.journal.Journal.open = failing\n"
    )
    scene = scenes.plain_answer("hello", scenes.prose(30, "9"), seed="hello")
    (tmp_path / "path.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n")
    with capture(tmp_path / "c", scripts=[tmp_path / "path.py", tmp_path / "broken.py"]) as running:
        running.answers["hello"] = loopback.answer(scene.events, delay=0.02)
        received = running.ask("hello", http2=http2)
        assert received.body == b"".join(scene.events)
        assert received.times[-1] - received.times[0] > 0.02 * len(scene.events) / 2
        assert running.proxy.stop() == 0
    assert "1 error" in running.log
    assert running.rows("SELECT * FROM streams") == []


def test_nothing_of_what_broke_a_connection_is_recorded_or_told(tmp_path: Path) -> None:
    with capture(tmp_path) as running:
        running.answers["hello"] = loopback.answer([b"data: {}\n\n"], end="garbled")
        assert running.ask("hello", http2=False).body == b"data: {}\n\n"
        stream = running.wait("SELECT error FROM streams WHERE state = 'interrupted'")[0]
        assert stream["error"] == "connection closed: HTTP/1 protocol error: illegal chunk header"
        assert running.proxy.stop() == 0
        assert GARBLE.decode().strip() not in running.log


def test_every_file_is_private_from_its_first_moment_whatever_the_umask(tmp_path: Path, slow: scenes.Scene) -> None:
    before = os.umask(0)
    try:
        with capture(tmp_path / "home") as running:
            running.answers["slow"] = loopback.answer(slow.events, delay=0.01)
            thread, _ = asking(running, "slow")
            seen: set[str] = set()
            while thread.is_alive():
                for path in (tmp_path / "home").rglob("*"):
                    if "conf" in path.parts:
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        expected = 0o700 if path.is_dir() else 0o600
                        assert path.stat().st_mode & 0o777 == expected, path
                        seen.add(path.name.removeprefix("chatgpt.db"))
                time.sleep(0.005)
            thread.join()
    finally:
        os.umask(before)
    assert {"", "-wal", "-shm", "-inflight", "-media"} <= seen
    assert any(name.endswith(".journal") for name in seen)
