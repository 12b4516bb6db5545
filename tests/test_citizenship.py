"""Beside other addons and options of mitmproxy: options, commands, bodies given back, hosts left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from addon.settings import misspelt
from scripts import loopback, scenes
from tests.conftest import ADDON, capture, rows

MITMDUMP = Path(sys.executable).with_name("mitmdump")


def start(folder: Path, *options: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A mitmdump that is expected to end by itself."""
    command = [str(MITMDUMP), "-s", str(ADDON), "--listen-host", "127.0.0.1", "--listen-port", "0"]
    settings = [word for option in (f"confdir={folder}", *options) for word in ("--set", option)]
    return subprocess.run([*command, *settings], capture_output=True, text=True, timeout=30, check=False, cwd=cwd)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["chatgpt_dbb=x"], "there is no option chatgpt_dbb: chatgpt_db is meant"),
        (["chatgpt-raw=drop"], "there is no option chatgpt-raw: chatgpt_raw is meant"),
        (["chatgtp_intercept=all"], "there is no option chatgtp_intercept: chatgpt_intercept is meant"),
        (["chatgpt_colour=red"], "there is no option chatgpt_colour, only chatgpt_db, chatgpt_raw, chatgpt_temp"),
        (["chatgpt_raw=maybe"], "chatgpt_raw='maybe' is not possible: choose keep or drop"),
        (["chatgpt_temporary_chats=no"], "chatgpt_temporary_chats='no' is not possible: choose keep or skip"),
        (["chatgpt_journal_sync=1"], "chatgpt_journal_sync='1' is not possible: choose no or yes"),
        (["chatgpt_intercept=none"], "chatgpt_intercept='none' is not possible: choose chatgpt-only or all"),
        (["chatgpt_db="], "chatgpt_db is empty: name a file"),
        (["chatgpt_db=/nowhere/at/all.db"], "/nowhere/at/all.db: the folder /nowhere/at does not exist"),
        (["chatgpt_db={folder}"], "{folder}: cannot be written: is a directory"),
        (["chatgpt_db={folder}/text.db"], "{folder}/text.db: is not an SQLite database"),
        (["chatgpt_db={folder}/link.db"], "{folder}/link.db: cannot be written: is a symbolic link"),
        (["chatgpt_db=/dev/null"], "/dev/null: is not a regular file"),
    ],
)
def test_a_wrong_setting_stops_mitmdump_with_one_clear_line(tmp_path: Path, options: list[str], line: str) -> None:
    (tmp_path / "text.db").write_text("this is no database, whatever its name says" * 10)
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    done = start(tmp_path, *(option.format(folder=tmp_path) for option in options))
    assert done.returncode == 1
    assert done.stderr.startswith(f"ChatGPT Capture: {line.format(folder=tmp_path)}")
    assert done.stderr.count("\n") == 1  # mitmproxy has not a word of its own about it
    assert "ChatGPT Capture" not in done.stdout


def test_a_wrong_setting_does_not_stop_a_mitmdump_that_serves_already(tmp_path: Path) -> None:
    script = tmp_path / "late.py"
    script.write_text(f"""
from mitmproxy import ctx

def running():
    ctx.master.event_loop.call_later(0.2, lambda: ctx.options.update(scripts=[*ctx.options.scripts, {str(ADDON)!r}]))
    ctx.master.event_loop.call_later(1.5, ctx.master.shutdown)
""")
    command = [str(MITMDUMP), "-s", str(script), "--listen-host", "127.0.0.1", "--listen-port", "0"]
    command += ["--set", f"confdir={tmp_path}", "--set", "chatgpt_raw=maybe", "--set", f"chatgpt_db={tmp_path}/no/x.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path)
    assert "chatgpt_raw='maybe' is not possible" in done.stdout
    assert f"{tmp_path}/no/x.db: the folder {tmp_path}/no does not exist" in done.stdout


def test_an_option_of_somebody_else_is_none_of_our_business() -> None:
    assert misspelt(["their_option", "db", "chat_colour", "confdir"]) is None


def test_a_missing_package_stops_mitmdump_with_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['orjson'] = None  # no import finds it\n")
    command = [str(MITMDUMP), "-s", str(ADDON), "--listen-port", "0", "--set", f"confdir={tmp_path}"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path, env=environment
    )
    assert done.returncode == 1
    assert "packages are missing beside mitmproxy: pip install orjson" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_called_addon_where_mitmdump_is_started_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "addon").mkdir()
    (tmp_path / "addon" / "__init__.py").write_text("raise SystemExit('not ours')")
    (tmp_path / "empty.flow").touch()
    command = [str(MITMDUMP), "-nr", "empty.flow", "-s", str(ADDON), "--set", "chatgpt_db=here.db"]
    command += ["--set", f"confdir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path)
    assert "not ours" not in done.stdout
    assert rows(tmp_path / "here.db", "SELECT count(*) AS streams FROM streams") == [{"streams": 0}]


def test_every_option_is_documented(tmp_path: Path) -> None:
    command = [str(MITMDUMP), "-s", str(ADDON), "--options", "--set", f"confdir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, cwd=tmp_path)
    for name in ("chatgpt_db", "chatgpt_raw", "chatgpt_temporary_chats", "chatgpt_journal_sync", "chatgpt_intercept"):
        assert f"\n{name}: " in done.stdout
    assert not list(tmp_path.glob("*.db*"))  # asking for help makes no archive


def test_a_relative_path_is_taken_from_the_folder_mitmdump_runs_in(tmp_path: Path) -> None:
    done = start(tmp_path, "chatgpt_db=missing/here.db", cwd=tmp_path)
    assert f"{tmp_path}/missing/here.db" in done.stderr


STATS = """
import logging
from mitmproxy import ctx
def response(flow):
    logging.info("STATS " + ctx.master.commands.call("chatgpt.stats"))
"""

UPPERCASES = """
def responseheaders(flow):
    flow.response.stream = lambda chunk: chunk.upper()
"""


def test_the_stats_command_counts(tmp_path: Path) -> None:
    script = tmp_path / "stats.py"
    script.write_text(STATS)
    with capture(tmp_path, scripts=[script]) as running:
        running.answers["hello"] = loopback.answer(scenes.plain_answer("hello", "Good day.").events)
        running.ask("hello")
        running.proxy.wait_for_log("characters", 10)
        running.ask("hello")
        running.proxy.wait_for_log("STATS 1 exchange and 3 messages captured into chatgpt.db", 10)


def test_a_stream_that_another_addon_changes_reaches_the_client_changed_and_is_captured_as_served(
    tmp_path: Path,
) -> None:
    script = tmp_path / "uppercases.py"
    script.write_text(UPPERCASES)
    scene = scenes.plain_answer("hello", "Good day.", seed="hello")
    with capture(tmp_path, scripts=[script]) as running:
        running.answers["hello"] = loopback.answer(scene.events)
        assert running.ask("hello").body == scene.body.upper()
        assert running.wait("SELECT text FROM messages WHERE role = 'assistant' AND live = 0") == [
            {"text": "Good day."}
        ]


def test_a_body_that_another_addon_replaced_is_captured_whole(tmp_path: Path) -> None:
    script = tmp_path / "local.py"
    body = scenes.plain_answer("hello", "Good day.", seed="hello").body
    script.write_text(
        "from mitmproxy import http\n"
        "def request(flow):\n"
        f"    flow.response = http.Response.make(200, {body!r}, {{'content-type': 'text/event-stream'}})\n"
    )
    with capture(tmp_path, scripts=[script]) as running:
        assert running.ask("hello").body == body
        assert running.wait("SELECT text FROM messages WHERE role = 'assistant' AND live = 0") == [
            {"text": "Good day."}
        ]


RAISES = """
def response(flow):
    raise ValueError("of another addon")
"""

KEEPS_WAITING = """
import asyncio, logging
async def response(flow):
    await asyncio.sleep(7)
    logging.info("WAITED")
"""


@pytest.mark.parametrize(("code", "said"), [(RAISES, "of another addon"), (KEEPS_WAITING, "WAITED")])
def test_an_answer_ends_also_where_another_addon_keeps_its_end_from_us(tmp_path: Path, code: str, said: str) -> None:
    script = tmp_path / "other.py"
    script.write_text(code)
    with capture(tmp_path, scripts=[script], options={"store_streamed_bodies": True}) as running:
        running.answers["hello"] = loopback.answer(scenes.plain_answer("hello", "Good day.").events, delay=0.01)
        running.ask("hello")
        ended = running.wait("SELECT source, first_token_at FROM streams WHERE state = 'complete'")
        running.proxy.wait_for_log(said, 10)
        assert running.proxy.stop() == 0
        assert running.rows("SELECT source, first_token_at FROM streams") == ended
    assert "1 exchange and 3 messages captured" in running.log


@pytest.mark.parametrize("store", [True, False])
def test_a_flow_gets_its_body_back_and_is_captured_once(tmp_path: Path, store: bool) -> None:
    scene = scenes.plain_answer("hello", "Good day.", seed="hello")
    script = tmp_path / "after.py"
    script.write_text(
        "import logging\ndef response(flow):\n    logging.info(f'BODY {len(flow.response.content or b\"\")}')\n"
    )
    # Loaded behind the addon: `scripts` of the fixture come first, so it is given as an argument.
    with capture(tmp_path, options={"store_streamed_bodies": store}, args=["-s", str(script)]) as running:
        running.answers["hello"] = loopback.answer(scene.events, coding="gzip")
        running.ask("hello")
        running.proxy.wait_for_log(f"BODY {len(scene.body)}", 5)
        assert len(running.wait("SELECT * FROM streams WHERE state = 'complete'")) == 1


def test_raw_bodies_are_dropped_when_the_person_says_so(tmp_path: Path) -> None:
    with capture(tmp_path, options={"chatgpt_raw": "drop"}) as running:
        running.answers["hello"] = loopback.answer(scenes.plain_answer("hello", "Good day.").events)
        running.ask("hello")
        running.wait("SELECT * FROM streams WHERE state = 'complete'")
        assert running.rows("SELECT * FROM stream_bodies") == running.rows("SELECT * FROM request_bodies") == []


@pytest.mark.parametrize("field", ["history_and_training_disabled", "is_do_not_remember"])
@pytest.mark.parametrize("choice", ["keep", "skip"])
def test_temporary_chats_are_kept_or_skipped(tmp_path: Path, field: str, choice: str) -> None:
    with capture(tmp_path, options={"chatgpt_temporary_chats": choice}) as running:
        scene = scenes.plain_answer("secret", "Hush.", seed="secret")
        running.answers["secret"] = loopback.answer(scene.events)
        running.answers["open"] = loopback.answer(scenes.plain_answer("open", "Aloud.", seed="open").events)
        headers, body = loopback.turn_request("secret")
        body = json.dumps({**json.loads(body), field: True}).encode()
        port, ca = running.proxy.port, running.proxy.ca_path
        received = loopback.fetch(port, ca, loopback.TURN_URL, method="POST", headers=headers, body=body)
        assert received.body == scene.body
        running.ask("open")
        running.wait("SELECT * FROM messages WHERE text = 'Aloud.' AND live = 0")
        found = running.rows("SELECT is_temporary FROM conversations WHERE id = ?", scene.conversation_id)
        assert found == ([{"is_temporary": 1}] if choice == "keep" else [])
        assert running.proxy.stop() == 0
        hushed = b"".join(path.read_bytes() for path in tmp_path.glob("chatgpt.db*") if path.is_file())
        assert (b"Hush." in hushed) == (choice == "keep")


def test_other_hosts_pass_with_their_own_certificate(tmp_path: Path) -> None:
    answer = loopback.answer([b"data: {}\n\n"])
    with capture(tmp_path, respond=lambda request: answer) as running:
        ours, theirs = running.proxy.ca_path, running.service.ca_path
        for host in ("example.com", "chatgpt.com.example.com", "notchatgpt.com"):
            # Verified against the service's own authority: mitmproxy's certificate would be refused.
            assert loopback.fetch(running.proxy.port, theirs, f"https://{host}/backend-api/conversation").status == 200
        assert loopback.fetch(running.proxy.port, ours, "https://chatgpt.com/").status == 200
        assert running.rows("SELECT DISTINCT host FROM streams") in ([], [{"host": "chatgpt.com"}])


def test_the_persons_own_hosts_are_respected(tmp_path: Path) -> None:
    answer = loopback.answer([b"hello"], headers=[("content-type", "text/plain")])
    # `ignore_hosts` takes away and never adds: leaving one host alone opens no other.
    cases: list[tuple[dict[str, object], set[str]]] = [
        ({"chatgpt_intercept": "all"}, {"example.com", "chatgpt.com", "challenges.cloudflare.com"}),
        ({"ignore_hosts": r"^example\.com:"}, {"chatgpt.com"}),
        ({"ignore_hosts": r"^chatgpt\.com:"}, set()),
        ({"allow_hosts": r"^example\.com:"}, {"example.com"}),
        ({"chatgpt_intercept": "all", "ignore_hosts": r"^chatgpt\.com:"}, {"example.com", "challenges.cloudflare.com"}),
    ]
    for number, (options, decrypted) in enumerate(cases):
        folder = tmp_path / str(number)
        with capture(folder, respond=lambda request: answer, options=options) as running:
            for host in ("example.com", "chatgpt.com", "challenges.cloudflare.com"):
                ca = running.proxy.ca_path if host in decrypted else running.service.ca_path
                assert loopback.fetch(running.proxy.port, ca, f"https://{host}/").status == 200, (options, host)
            assert ("leave chatgpt.com" in running.log) == ("chatgpt.com" not in decrypted), (options, running.log)


def test_auth_and_challenge_hosts_are_never_decrypted(tmp_path: Path) -> None:
    answer = loopback.answer([b"hello"], headers=[("content-type", "text/plain")])
    with capture(tmp_path, respond=lambda request: answer) as running:
        for host in ("auth.openai.com", "auth0.openai.com", "challenges.cloudflare.com", "accounts.google.com"):
            assert loopback.fetch(running.proxy.port, running.service.ca_path, f"https://{host}/").status == 200


def test_a_proxy_that_others_can_reach_says_so(tmp_path: Path) -> None:
    (tmp_path / "quit.py").write_text("from mitmproxy import ctx\ndef running():\n    ctx.master.shutdown()\n")
    for options, warned in (([], True), (["--set", "proxyauth=me:secret"], False), (["--listen-host", "::1"], False)):
        command = [str(MITMDUMP), "-s", str(ADDON), "-s", str(tmp_path / "quit.py"), "--listen-port", "0", *options]
        command += ["--set", f"confdir={tmp_path}", "--set", f"chatgpt_db={tmp_path}/chatgpt.db"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
        assert ("without proxyauth" in done.stdout) == warned, done.stdout


def test_a_spoofed_host_header_stores_nothing(tmp_path: Path) -> None:
    scene = scenes.plain_answer("hello", "Good day.")
    with capture(
        tmp_path, respond=lambda request: loopback.answer(scene.events), options={"allow_hosts": ".*"}
    ) as running:
        headers, body = loopback.turn_request("hello")
        url = loopback.TURN_URL.replace("chatgpt.com", "example.com")
        spoofed = [(name, value) for name, value in headers if name != "host"] + [("host", "chatgpt.com")]
        for http2 in (True, False):
            port, ca = running.proxy.port, running.proxy.ca_path
            received = loopback.fetch(port, ca, url, http2=http2, method="POST", headers=spoofed, body=body)
            assert received.body == scene.body
        assert running.proxy.stop() == 0
        assert running.rows("SELECT * FROM streams") == []
