"""Whatever goes wrong in us: every client gets every byte, and the archive has, or the journal keeps, what they got."""

from pathlib import Path

import pytest

from addon.journal import Kind
from addon.segments import SegmentReader
from addon.wire.evidence import decompress
from scripts.experiments.faults import FAULTS, Running, inflict, started
from scripts.experiments.traffic import Heard, Traffic
from tests.conftest import entrust, rows, wait_for_rows

CLOSED = "SELECT * FROM streams WHERE request_message_id = ? AND state <> 'streaming'"


@pytest.mark.parametrize("name", FAULTS)
def test_every_client_gets_every_byte_and_nothing_of_it_is_lost(tmp_path: Path, name: str) -> None:
    fault, traffic = FAULTS[name], Traffic(name, streams=4, events=70)
    entrust(tmp_path / "conf")
    with started(fault, tmp_path, traffic) as running:
        if running is None:
            pytest.skip("needs root and a small disk of its own, or a C compiler")
        heard = inflict(fault, running, traffic, 1.2)
        assert len(heard) == 24
        assert [one.name for one in heard if not one.identical] == []
        if fault.recorded:
            assert_stored(running, heard)
        assert running.proxy.stop() == 0
        assert "LOST" not in "\n".join(running.proxy.log)
        if not fault.recorded:
            assert_kept(running, heard)


def assert_stored(running: Running, heard: list[Heard]) -> None:
    for one in heard:
        if one.turn is not None:
            stream = wait_for_rows(running.database, CLOSED, one.turn.message_id, log=running.proxy.log)[0]
            assert (stream["state"], stream["error"], stream["wire_bytes"]) == ("complete", None, len(one.sent))
            answer = rows(running.database, "SELECT text FROM messages WHERE id = ?", one.turn.scene.answer_id)
            assert answer == [{"text": one.turn.scene.text}]
            body = rows(running.database, "SELECT body FROM stream_bodies WHERE stream_id = ?", stream["id"])[0]
            assert decompress(body["body"]) == b"".join(one.turn.events)
    assert rows(running.database, "SELECT * FROM message_versions") == []


def assert_kept(running: Running, heard: list[Heard]) -> None:
    """What met a bug of ours is in journals that are set aside, byte for byte."""
    wires: list[bytes] = []
    for path in running.inflight.glob("*.kept"):
        bodies: dict[int, bytes] = {}
        for record in SegmentReader.follow(path).read():
            if record.kind == Kind.CHUNK:
                bodies[record.stream] = bodies.get(record.stream, b"") + record.payload
        wires += bodies.values()
    assert {one.sent for one in heard if one.turn is not None} <= set(wires)
    assert any("is kept" in line or "are kept" in line for line in running.proxy.log)
    assert len(running.proxy.log) < 300  # said, but not once for each chunk
    states = rows(running.database, "SELECT DISTINCT state, error FROM streams WHERE kind = 'turn'")
    assert states in ([], [{"state": "error", "error": "a bug in the capture; its journal is kept"}])
