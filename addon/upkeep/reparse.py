"""Everything that was captured, read again with today's code: raw bodies -> the tables that are made from them.

All exchanges whose evidence is there are replayed, in the order in which they began, into a scratch database beside
the archive; then what differs is brought over in one transaction (`differences`). A recorder may write meanwhile: what
it touches is left alone and told. What has no evidence (raw bodies dropped, imports without them) stays as it is.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from addon.answers.legs import Leg, LegKey, earlier
from addon.captures import Capturing, Surroundings, capture_of
from addon.errors import ArchiveError
from addon.exchange import Opening
from addon.journal import now
from addon.records import Record, Run
from addon.store.database import connect
from addon.store.store import Store, StoreBusy
from addon.store.stored_streams import StoredStream, StoredStreams
from addon.upkeep import scratch
from addon.upkeep.bad_values import AnyText, bad_values, named, undecodable
from addon.upkeep.correspondence import Rebuilt
from addon.upkeep.differences import Changes, apply
from addon.upkeep.export_accounts import export_accounts
from addon.upkeep.scratch_folder import scratch_folder

WAIT_MILLISECONDS = 60_000
"""How long a lock of somebody else is waited for; the recorder's last milliseconds."""

_BATCH_RECORDS = 2000


@dataclass(frozen=True, slots=True)
class ReparseReport:
    """What reading again came to: `tables` has what it changed, or would change, by table.

    `streams` were read, `without_evidence` have ended but cannot be read again, `left_alone` conversations were being
    captured meanwhile (another run reads them). `bad` names values in the archive that cannot be read.
    """

    streams: int = 0
    without_evidence: int = 0
    left_alone: int = 0
    bad: list[str] = field(default_factory=list)
    tables: dict[str, Changes] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any row is, or would be, another one."""
        return any(changes for changes in self.tables.values())


def reparse(
    database: Path, *, dry_run: bool = False, progress: Callable[[int, int], None] = lambda done, total: None
) -> ReparseReport:
    """Build messages and all that hangs on them again from the raw bodies; with `dry_run` only count what would change.

    `progress` hears how many of how many exchanges have been read. Raises `ArchiveError`.
    """
    if not database.is_file():
        raise ArchiveError(f"{database}: there is no such file")
    try:
        Store.open(database).close()  # nothing is put beside what is no archive
        with scratch_folder(database, "-reparse", "is being read again already") as folder:
            return _reparse(database, folder / "rebuilt.db", dry_run, progress)
    except StoreBusy as error:
        raise ArchiveError(f"{database}: cannot be read again now: {error}") from None
    except (sqlite3.Error, OSError) as error:
        raise ArchiveError(f"{database}: cannot be read again: {error}") from None


@dataclass(frozen=True, slots=True)
class Remade:
    """Which conversations were built again, and which were not as they are being captured."""

    conversations: frozenset[str]
    busy: frozenset[str]


def remake(
    database: Path, conversations: Collection[str], progress: Callable[[int, int], None] = lambda done, total: None
) -> Remade:
    """Build some conversations again, those of which nothing is known beyond the raw bodies that are there.

    As if what tells of them had been captured in the order of its times. Raises `ArchiveError`.
    """
    try:
        with scratch_folder(database, "-reparse", "is being read again already") as folder:
            return _remake(database, folder / "rebuilt.db", conversations, progress)
    except StoreBusy as error:
        raise ArchiveError(f"{database}: cannot be read again now: {error}") from None
    except (sqlite3.Error, OSError) as error:
        raise ArchiveError(f"{database}: cannot be read again: {error}") from None


def _remake(
    database: Path, rebuilt: Path, conversations: Collection[str], progress: Callable[[int, int], None]
) -> Remade:
    began = now()
    with contextlib.closing(connect(database, durable=False)) as db:
        db.execute(f"PRAGMA busy_timeout = {WAIT_MILLISECONDS}")
        db.text_factory = AnyText()
        streams = StoredStreams(db)
        chosen = sorted(set(conversations) - (streams.beyond() - streams.streaming()))
        evidence = [each for each in streams.telling(chosen) if streams.read(each) is not None] if chosen else []
        Store.open(rebuilt).close()
        scratch.seed_some(rebuilt, database, evidence, chosen)
        read = _Replay(streams, Store.open(rebuilt, texts=AnyText())).run(evidence, progress)
        busy, _ = apply(db, Rebuilt(rebuilt, read, began, chosen))
    return Remade(frozenset(chosen) - set(busy), frozenset(busy) & set(chosen))


def _reparse(database: Path, rebuilt: Path, dry_run: bool, progress: Callable[[int, int], None]) -> ReparseReport:
    began = now()
    with contextlib.closing(connect(database, durable=False)) as db:
        db.execute(f"PRAGMA busy_timeout = {WAIT_MILLISECONDS}")
        db.text_factory = any_text = AnyText()
        bad = list(bad_values(db))
        streams = StoredStreams(db)
        ended = streams.ids()
        unreadable = {each.key["id"] for each in bad if each.table == "streams"}
        evidence = [each for each in ended if each not in unreadable and streams.read(each) is not None]
        Store.open(rebuilt).close()
        scratch.seed(rebuilt, database, evidence, bad)
        read = _Replay(streams, Store.open(rebuilt, texts=any_text)).run(evidence, progress)
        with contextlib.closing(Store.open(rebuilt, texts=any_text)) as store:
            for batch in _batches(export_accounts(database, rebuilt, any_text)):
                store.write(batch)
        if any_text.met:
            bad += undecodable(db)
        left_alone, tables = apply(db, Rebuilt(rebuilt, read, began), dry_run=dry_run)
    return ReparseReport(len(read), len(ended) - len(read), len(left_alone), named(bad), tables)


class _Replay:
    """Feeds stored exchanges to the captures of today, and what they return to the scratch database."""

    def __init__(self, streams: StoredStreams, store: Store) -> None:
        self._streams = streams
        self._store = store
        self._around = Surroundings(legs=self._legs)

    def run(self, identities: Sequence[str], progress: Callable[[int, int], None]) -> list[str]:
        """Those that were read."""
        read = []
        with contextlib.closing(self._store):
            for done, identity in enumerate(identities):
                progress(done, len(identities))
                stream = self._streams.read(identity)
                if stream is not None:
                    self._read(stream)
                    read.append(identity)
            progress(len(identities), len(identities))
        return read

    def _read(self, stream: StoredStream) -> None:
        capture = capture_of(stream.opening, stream.request, self._around)
        for batch in _batches(_records(capture, stream)):
            self._store.write(batch)
        if self._store.take_failures():
            raise ArchiveError(f"a record of {stream.opening.stream_id} was refused ({self._store.refusal})")

    def _legs(self, key: LegKey, value: str, opening: Opening) -> list[Leg]:
        return self._streams.with_bodies(earlier(self._store.legs(key, value, opening), key, opening))


def _records(capture: Capturing, stream: StoredStream) -> Iterator[Record]:
    yield from capture.begin()
    for piece, at in stream.pieces():
        yield from capture.feed(piece, at)
    yield from capture.close(stream.closing, stream.ended_at)


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        if not isinstance(record, Run):
            batch.append(record)
        if len(batch) >= _BATCH_RECORDS:
            yield batch
            batch = []
    yield batch
