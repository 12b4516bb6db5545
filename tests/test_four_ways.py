"""Every scene by each way in: captured live, from mitmproxy's flow file, from its HAR, and read again. One meaning.

The rows of all four are the same but for what says where from and when it came here.
"""

import itertools
import json
import subprocess
import sys
from hashlib import sha512
from pathlib import Path

import pytest

from addon.upkeep.reparse import reparse
from scripts import loopback, scenes
from tests.conftest import capture, rows
from tests.receiving import png

SCENES = {
    f"<{name}|{encoding}>": scenes.SCENES[name](30, seed=f"{name} {encoding}", encoding=encoding)
    for name, encoding in itertools.product(scenes.SCENES, ("v1", "v0"))
}
_FROM_AND_WHEN = {
    "n", "stream_id", "source", "first_seen_at", "last_seen_at", "first_token_at", "completed_at", "told_at",
    "replaced_at", "downloaded_at", "received_at", "seen_at",
}  # fmt: skip
QUERIES = {
    "conversations": "SELECT * FROM conversations",
    "messages": "SELECT * FROM messages",
    "message_versions": "SELECT m.id, v.* FROM message_versions v JOIN messages m ON m.n = v.message_n",
    "message_assets": "SELECT m.id, a.* FROM message_assets a JOIN messages m ON m.n = a.message_n",
    "citations": "SELECT m.id, c.* FROM citations c JOIN messages m ON m.n = c.message_n",
    "image_generations": "SELECT * FROM image_generations",
    "assets": "SELECT * FROM assets",
    "files": "SELECT * FROM files",
    "asset_files": "SELECT * FROM asset_files",
    "asset_urls": "SELECT * FROM asset_urls",
    "events": "SELECT * FROM events",
    "streams": """SELECT kind, host, path, method, status_code, conversation_id, request_message_id, turn_exchange_id,
                         requested_model, action, encoding, state, error, event_count, unrecognised_count, body_bytes
                  FROM streams""",
}
NUMBERS = {"message_n", "id"}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The databases by the way in which they came about."""
    folder = tmp_path_factory.mktemp("ways")
    flows, har = folder / "all.mitm", folder / "all.har"
    saving = ["-w", str(flows), "--set", f"hardump={har}"]
    images = [image for scene in SCENES.values() for image in scene.images]
    # mitmproxy takes a body that is mostly readable for text in its HAR.
    pictures = {image.pointer: png(30, 20, sha512(image.pointer.encode()).digest() * 9) for image in images}

    def respond(request: loopback.Request) -> loopback.Answer:
        if request.method == "GET":
            (picture,) = (data for pointer, data in pictures.items() if request.path.endswith(pointer[-30:]))
            return loopback.Answer(200, [("content-type", "image/png")], [picture])
        return loopback.answer(
            next(scene.events for prompt, scene in SCENES.items() if prompt.encode() in request.body)
        )

    with capture(folder / "live", respond=respond, args=saving) as running:
        for prompt, scene in SCENES.items():
            running.ask(prompt, message_id=scene.user_message_id)
            for image in scene.images:
                url = f"https://chatgpt.com/backend-api/estuary/content?id={image.pointer.partition('//')[2]}"
                loopback.fetch(running.proxy.port, running.proxy.ca_path, url)
        running.proxy.stop()
    ways = {"live": running.database, "flow file": folder / "flows.db", "har": folder / "har.db"}
    for way, source in {"flow file": flows, "har": har}.items():
        command = [sys.executable, "-I", "-m", "analysis", "--db", str(ways[way]), "import", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return ways


def meaning(database: Path, table: str) -> list[str]:
    left = [
        {
            name: value
            for name, value in row.items()
            if name not in _FROM_AND_WHEN and not (name in NUMBERS and isinstance(value, int))
        }
        for row in rows(database, QUERIES[table])
    ]
    return sorted(json.dumps(row) for row in left)


@pytest.mark.parametrize("way", ["flow file", "har"])
@pytest.mark.parametrize("table", QUERIES)
def test_an_import_means_what_the_capture_means(ways: dict[str, Path], way: str, table: str) -> None:
    live = meaning(ways["live"], table)
    assert meaning(ways[way], table) == live
    assert live or table in ("message_versions", "asset_urls")


@pytest.mark.parametrize("way", ["live", "flow file", "har"])
def test_reading_again_changes_nothing(ways: dict[str, Path], way: str) -> None:
    before = {table: rows(ways[way], query) for table, query in QUERIES.items()}
    report = reparse(ways[way])
    assert (report.changed, report.streams, report.left_alone) == (False, len(SCENES), 0)
    assert {table: rows(ways[way], query) for table, query in QUERIES.items()} == before
