"""Writing an export: one file for each conversation, or one for all; what stands there already is not written again."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO

from analysis.errors import Unanswerable
from analysis.exports.folder import ExportFolder
from analysis.exports.ledger import Entry, Ledger
from analysis.exports.names import file_stem
from analysis.exports.talks import Talk, fingerprint
from analysis.queries.archive import standing_still

type Pieces = Callable[[sqlite3.Connection, Talk], Iterator[bytes]]
type Progress = Callable[[], None]
"""Hears when a conversation is done."""


@dataclass(slots=True)
class Outcome:
    """What an export came to; `kept` conversations were there already."""

    conversations: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """How conversations become one file: what stands before, between and after them.

    `manner` says in which of several ways each is written.
    """

    name: str
    opening: bytes
    between: bytes
    closing: bytes
    manner: str = ""


@dataclass(frozen=True, slots=True)
class Each:
    """How conversations become a file each; `manner` says in which of several ways."""

    ending: str
    manner: str = ""


def write_each(
    folder: ExportFolder,
    shape: Each,
    pieces: Pieces,
    archive: tuple[sqlite3.Connection, Sequence[Talk]],
    done: Progress,
) -> Outcome:
    """One file a conversation, under the name that it had before if it had one."""
    db, talks = archive
    outcome, ledger = Outcome(), Ledger(folder, shape.ending)
    try:
        for talk in talks:
            with standing_still(db):
                entry, state = ledger.get(talk.id), fingerprint(db, talk, f"{shape.ending} {shape.manner}")
                name = entry.file if entry else f"{file_stem(talk.title, talk.id)}.{shape.ending}"
                if entry and entry.fingerprint == state and folder.size(name) is not None:
                    outcome.kept += 1
                elif not entry and folder.holds(name, pieces(db, talk)):
                    ledger.add(talk.id, Entry(name, state))
                    outcome.kept += 1
                else:
                    if not entry:
                        folder.refuse_foreign(name)
                        ledger.add(talk.id, Entry(name, BEGUN))
                    with folder.writing(name) as file:
                        file.writelines(pieces(db, talk))
                    ledger.add(talk.id, Entry(name, state))
            outcome.conversations += 1
            done()
    finally:
        ledger.close()
    return outcome


def write_joined(
    folder: ExportFolder,
    shape: Joined,
    pieces: Pieces,
    archive: tuple[sqlite3.Connection, Sequence[Talk]],
    done: Progress,
) -> Outcome:
    """One file for all; one that was stopped is gone on with where its conversations are what they were.

    Raises `Unanswerable` where a file is that holds others: they would be gone.
    """
    db, talks = archive
    ledger = Ledger(folder, shape.name)
    try:
        _refuse_to_lose(folder, shape, ledger, talks)
        entry = ledger.get("")
        if entry and folder.size(shape.name) is not None and entry.fingerprint == _of_all(db, shape, talks):
            _note_contents(shape, ledger, talks)
            return Outcome(len(talks), len(talks))
        hidden, trail = f".{shape.name}.part", f".{shape.name}.trail"
        with folder.growing(hidden) as file, folder.growing(trail) as steps:
            outcome, state = _Joining(shape, file, steps).write(db, talks, pieces, done)
            _note_contents(shape, ledger, talks)
            folder.finish(file, hidden, shape.name)
        folder.remove(trail)
        ledger.add("", Entry(shape.name, state))
        return outcome
    finally:
        ledger.close()


BEGUN = "begun"
"""The fingerprint of a file that was not there, before it is: if it is then found, it is ours."""

_HELD = "held"


def _refuse_to_lose(folder: ExportFolder, shape: Joined, ledger: Ledger, talks: Sequence[Talk]) -> None:
    if not ledger.known():
        folder.refuse_foreign(shape.name)
    others = ledger.known() - {"", *(talk.id for talk in talks)}
    if folder.size(shape.name) is None:
        for identity in others:
            ledger.drop(identity)
    elif others:
        held = "1 conversation that is" if len(others) == 1 else f"{len(others):,} conversations that are"
        advice = "name another folder, or remove the file"
        raise Unanswerable(f"{folder.path / shape.name}: holds {held} not in this export; {advice}")


def _note_contents(shape: Joined, ledger: Ledger, talks: Sequence[Talk]) -> None:
    """Before the file has its name: of one that holds more than is noted, something could be lost."""
    noted = ledger.known()
    for talk in talks:
        if talk.id not in noted:
            ledger.add(talk.id, Entry(shape.name, _HELD))


def write_out(out: BinaryIO, shape: Joined, pieces: Pieces, archive: tuple[sqlite3.Connection, Sequence[Talk]]) -> None:
    """The same file, to a pipe."""
    db, talks = archive
    out.write(shape.opening)
    for number, talk in enumerate(talks):
        out.write(shape.between if number else b"")
        with standing_still(db):
            out.writelines(pieces(db, talk))
    out.write(shape.closing)
    out.flush()


class _Joining:
    """A file that grows conversation by conversation, and the trail: what is in it, up to which byte."""

    def __init__(self, shape: Joined, file: BinaryIO, trail: BinaryIO) -> None:
        self._shape = shape
        self._file = file
        self._trail = trail
        self._states: list[str] = []

    def write(
        self, db: sqlite3.Connection, talks: Sequence[Talk], pieces: Pieces, done: Progress
    ) -> tuple[Outcome, str]:
        """What it came to, and the fingerprint of the whole."""
        outcome = Outcome()
        outcome.kept = self._resume(db, talks)
        for _ in range(outcome.kept):
            done()
        for number, talk in enumerate(talks[outcome.kept :], outcome.kept):
            with standing_still(db):
                self._states.append(fingerprint(db, talk, _way(self._shape)))
                self._file.write(self._shape.between if number else self._shape.opening)
                self._file.writelines(pieces(db, talk))
            self._note(talk)
            done()
        self._file.write(self._shape.closing if talks else self._shape.opening + self._shape.closing)
        outcome.conversations = len(talks)
        return outcome, _digest(self._states)

    def _resume(self, db: sqlite3.Connection, talks: Sequence[Talk]) -> int:
        """How many of the conversations stand in the file as they are; what comes after them is cut off."""
        whole, end, length = self._file.seek(0, os.SEEK_END), 0, 0
        for talk, line in zip(talks, self._trail, strict=False):
            identity, state, place = _step(line)
            if identity != talk.id or place > whole or state != _state(db, self._shape, talk):
                break
            self._states.append(state)
            end, length = place, length + len(line)
        for file, size in ((self._file, end), (self._trail, length)):
            file.seek(size)
            file.truncate()
        return len(self._states)

    def _note(self, talk: Talk) -> None:
        self._file.flush()
        self._trail.write(json.dumps([talk.id, self._states[-1], self._file.tell()]).encode() + b"\n")
        self._trail.flush()


def _step(line: bytes) -> tuple[str, str, int]:
    """A line of the trail; one that is torn is of no conversation."""
    try:
        identity, state, place = json.loads(line)
        return str(identity), str(state), int(place)
    except (ValueError, TypeError):
        return "", "", 0


def _digest(states: Iterable[str]) -> str:
    return blake2b("".join(states).encode(), digest_size=16).hexdigest()


def _of_all(db: sqlite3.Connection, shape: Joined, talks: Sequence[Talk]) -> str:
    return _digest(_state(db, shape, talk) for talk in talks)


def _state(db: sqlite3.Connection, shape: Joined, talk: Talk) -> str:
    with standing_still(db):
        return fingerprint(db, talk, _way(shape))


def _way(shape: Joined) -> str:
    return f"{shape.name} {shape.manner}"
