"""`chatgpt-capture import` as a person types it, the files it is given, and what it has written."""

import base64
import contextlib
import json
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from scripts.made_up_export import Size

CANARY = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJjYW5hcnkifQ.c2VjcmV0LWNhbmFyeQ"
SMALL = Size(conversations=5, on_path=100, abandoned=10, images=6)


def run(database: Path, *arguments: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The command as a person types it, which never shows a traceback."""
    command = [sys.executable, "-I", "-m", "analysis", "--db", str(database), "import", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **settings)
    assert "Traceback" not in done.stderr
    return done


def report(database: Path, *arguments: str | Path) -> dict[str, Any]:
    done = run(database, *arguments, "--json")
    return {**json.loads(done.stdout), "exit": done.returncode}


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        return db.execute(query).fetchall()


def dump(database: Path) -> list[str]:
    """All that is stored but the search indexes, as SQL."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        return [line for line in db.iterdump() if "fts" not in line[:80]]


def har(*entries: Any) -> str:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "a browser"}, "entries": list(entries)}})


def sent(text: str, body: bytes | None, **content: Any) -> dict[str, Any]:
    """An entry of a HAR: a send and its answer, with the credentials that a browser puts there."""
    secrets = [{"name": "authorization", "value": f"Bearer {CANARY}"}, {"name": "set-cookie", "value": CANARY}]
    message = {"id": f"user-{text}", "author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}
    answer = {} if body is None else {"text": base64.b64encode(body).decode(), "encoding": "base64"}
    return {
        "startedDateTime": "2026-09-21T14:13:20.250Z",
        "time": 1500,
        "request": {
            "method": "POST",
            "url": f"https://chatgpt.com/backend-api/f/conversation?token={CANARY}",
            "headers": secrets,
            "cookies": [{"name": "session", "value": CANARY}],
            "postData": {"text": json.dumps({"action": "next", "messages": [message], "token": CANARY})},
        },
        "response": {
            "status": 200,
            "headers": secrets,
            "content": {"mimeType": "text/event-stream", **answer, **content},
        },
    }


def export(folder: Path, **members: Any) -> Path:
    """A zip as the official export is one."""
    path = folder / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return path
