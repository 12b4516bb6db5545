"""The recorder: a process of its own that follows the journal and writes the archive.

    python -m addon.recorder DATABASE WRITER [sync]

Standard input is the wake-up pipe: a byte means that there is something to read, its end that the proxy is gone.
Then the journal is read to its end, stored, and the process ends; so a killed proxy loses nothing, and Ctrl-C,
which the terminal sends to both, is ignored here. Standard output carries reports, one JSON object a line; the
terminal is mitmproxy's and is never written to.
"""

import contextlib
import math
import os
import select
import signal
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from addon import archive
from addon.answers.ending import broken_off, unreadable
from addon.answers.legs import Leg, LegKey, earlier
from addon.answers.recent_legs import RecentLegs
from addon.captures import Capturing, Surroundings, capture_of
from addon.errors import ArchiveError, DamagedArchive
from addon.exchange import Closing, Opening
from addon.files.media import MediaFolder
from addon.files.thumbnailer import Thumbnailer
from addon.journal import JournalRecord, Kind, now
from addon.journal_sync import JournalSync
from addon.records import AbandonedTopics, AssetFile, Record, Run, Thumbnail, TypedEvent
from addon.reports import report, trace
from addon.segments import LeftSegments, SegmentReader, in_order, is_run, run_of, segments
from addon.store.safekeeping import set_aside
from addon.store.store import Store, StoreBusy
from addon.wire.budget import weight
from addon.yielding import Yielding

SNAPSHOT_SECONDS = 0.19
"""How often a growing message is written: readers see it within a quarter of a second, wake-ups included."""

RETRY_SECONDS = 0.1

RESTS = 8
MIN_REST_SECONDS, MAX_REST_SECONDS = 0.05, 0.2
"""After each step the recorder sleeps `RESTS` times as long as it took, within these bounds: the upper one is for when
nothing that grows is due, the lower one the least upper bound. So a burst of answers is read when it is over."""

ROUND_SECONDS = 0.15
"""How long it reads before it looks at what is due: however much comes of one answer, the others go on being shown."""

NICENESS = 10
"""When the machine is busy, traffic goes first; the journal holds what comes meanwhile."""

BATCH_RECORDS = 2000
BATCH_BYTES = 8 * 1024 * 1024
"""How much collects before it is written: a transaction is worth its price, and memory is bounded."""

THUMBNAIL_SECONDS = 0.1
"""How often it is seen whether thumbnails are made."""

LAST_THUMBNAIL_SECONDS = 3.0
"""How long the end waits for thumbnails; what is not made then is made at the next start."""

QUIET_MICROSECONDS = 600_000_000
"""How long nothing has come of a topic that is taken for abandoned at the start: signs of life come each minute."""


@dataclass(slots=True)
class _Source:
    """A segment being read and the captures of its open streams; `dead` when nobody writes it any more.

    `failed` when a bug of ours met one of its records: then the file is kept, since it may hold what no table does.
    `unstored` when the disk did not take a file that is in it: then it is read again at the next start.
    """

    reader: SegmentReader
    dead: bool
    failed: bool = False
    unstored: bool = False
    at: int = 0
    faulty: set[int] = field(default_factory=set)
    captures: dict[int, Capturing] = field(default_factory=dict)


class Recorder:
    """Follows the segments of one writer, and those that an earlier one left behind."""

    def __init__(self, store: Store, folder: Path, writer: str, media: MediaFolder, yielding: Yielding) -> None:
        self.counters = {"streams": 0, "messages": 0, "events_unrecognised": 0, "errors": 0, "retries": 0}
        self.counters |= {"files": 0, "thumbnail_failures": 0}
        self._store = store
        self._folder = folder
        self._writer = writer
        self._yield = yielding
        self._sources: dict[Path, _Source] = {}
        self._behind = False
        self._batch: list[Record] = []
        self._weighed = self._weight = 0
        self._written_at: dict[int, float] = {}
        self._closed: list[Capturing] = []
        self._left = LeftSegments()
        self._recent = RecentLegs()
        self._media = media
        self._thumbnailer = Thumbnailer(media.folder, store.images_without_thumbnail)
        self._around = Surroundings(legs=self._legs, unchanged=self._unchanged, media=media, mentioned=self._mentioned)

    def run(self) -> None:
        """Until the proxy is gone and everything is stored."""
        self._media.sweep()
        self._adopt()
        self._batch.append(AbandonedTopics(now() - QUIET_MICROSECONDS, broken_off(Closing("lost"))))
        if is_run(self._writer):
            self._batch.append(Run(self._writer, now()))
        alive, due, began = True, self._due(), 0.0
        while alive:
            alive = _wait(due)
            began = began if self._behind else time.monotonic()
            self.step(final=not alive)
            ended, due = time.monotonic(), self._due()
            if alive and not self._behind:
                # Longer than it worked, so that under load most of the machine is left to the traffic; shorter where
                # readers wait for a message.
                longest = MAX_REST_SECONDS if due is None else max(due - ended, MIN_REST_SECONDS)
                time.sleep(min(RESTS * (ended - began), longest))
        for made in self._thumbnailer.last(LAST_THUMBNAIL_SECONDS):
            self._thumbnails(made)

    def step(self, *, final: bool = False) -> None:
        """Read what is new and write what is due; `final` when the writer is gone."""
        self._discover(dead=final)
        self._read_on(math.inf if final else time.monotonic() + ROUND_SECONDS)
        for source in list(self._sources.values()):
            if source.reader.damaged and not source.failed:
                source.failed = True
                self.counters["errors"] += 1
                report({"error": f"{source.reader.path} is damaged; what could be read is stored, the file is kept"})
            if (source.dead and not self._behind) or source.reader.damaged:
                self._abandon(source)
        if final:
            self._batch += self._around.sockets.close(Closing("lost"))
        self._snapshots()
        self._flush()
        self._thumbnails(self._thumbnailer.step())
        for path, source in list(self._sources.items()):
            if source.reader.ended and not source.captures:
                if source.failed:
                    source.reader.set_aside()
                elif source.unstored and self._leave(path):
                    source.reader.close()
                else:
                    source.reader.remove()
                del self._sources[path]

    def _read_on(self, until: float) -> None:
        """Read what is new, in the order in which it came, at least one record of it; `_behind` when there is more."""
        self._behind = False
        for reader, record in in_order([source.reader for source in self._sources.values()]):
            source = self._sources[reader.path]
            try:
                self._read(source, record)
            except Exception as error:
                self._met(error, source, record.stream)
            self._yield()
            if len(self._batch) != self._weighed and self._batch_is_full():
                self._flush()
            if time.monotonic() >= until:
                self._behind = True
                return

    # -- segments --------------------------------------------------------------------------------------------------

    def _discover(self, *, dead: bool) -> None:
        for path in segments(self._folder):
            if path.name.startswith(f"{self._writer}-") and path not in self._sources and path not in self._left:
                # Gone, or not a file of ours: nothing that the proxy wrote.
                with contextlib.suppress(OSError):
                    self._sources[path] = _Source(SegmentReader.follow(path), dead)
        if dead:
            for source in self._sources.values():
                source.dead = True

    def _adopt(self) -> None:
        """Take over what a proxy and its recorder, both gone, left behind."""
        for path in segments(self._folder):
            if not path.name.startswith(f"{self._writer}-"):
                reader = SegmentReader.adopt(path)
                if reader is not None:
                    self._sources[path] = _Source(reader, dead=True)

    def _abandon(self, source: _Source) -> None:
        """The writer is gone: what it left open ends here."""
        for number, capture in list(source.captures.items()):
            try:
                self._close(source, number, capture, Closing("lost"), source.at)
            except Exception as error:
                self._met(error, source, number)
        source.reader.ended = True

    def _leave(self, path: Path) -> bool:
        """Leave a segment, a file of which could not be stored, to the next start."""
        left = self._left.take(path)
        fate = f"its bytes wait in {path} for the next start" if left else "it is lost: too much of the journal waits"
        report({"error": f"a file could not be stored: {fate}"})
        return left

    # -- captures --------------------------------------------------------------------------------------------------

    def _met(self, error: Exception, source: _Source, stream: int) -> None:
        """A bug of ours, met by one record of one stream, ends there: the others go on, the segment is kept."""
        if isinstance(error, ArchiveError):
            raise error  # met while earlier legs were looked up: no word about this stream
        source.failed = True
        self.counters["errors"] += 1
        if stream in source.faulty:
            return  # said already: a chunk a line would bury the terminal
        source.faulty.add(stream)
        report({"error": f"a bug in the capture; {source.reader.path} is kept\n{trace(error)}"})

    def _read(self, source: _Source, record: JournalRecord) -> None:
        source.at = record.at
        if record.kind == Kind.RUN:
            run = run_of(source.reader.path, record)
            if is_run(run.id) or run.lost_chunks or run.uncaptured:
                self._batch.append(run)
        elif record.kind == Kind.OPEN:
            told, _, request = record.payload.partition(b"\n")
            opening = Opening.from_bytes(told)
            if opening.source != "live" and self._store.has_seen(opening):
                return  # a saved flow of what is stored already
            capture = capture_of(opening, request, self._around)
            source.captures[record.stream] = capture
            self._batch += capture.begin()
        elif record.stream in source.captures:
            capture = source.captures[record.stream]
            if record.kind == Kind.CHUNK:
                self._batch += capture.feed(record.payload, record.at)
            else:
                self._close(source, record.stream, capture, Closing(**orjson.loads(record.payload)), record.at)

    def _close(self, source: _Source, number: int, capture: Capturing, closing: Closing, at: int) -> None:
        del source.captures[number]
        self._written_at.pop(id(capture), None)
        if number in source.faulty:
            closing = replace(closing, reason="bug")
        try:
            last = capture.close(closing, at)
            self._batch += last
            self._closed.append(capture)
            if not capture.opening.keep_raw and (leg := capture.leg()) is not None:
                self._recent.keep(leg, at)
        except Exception:
            self._batch.append(unreadable(capture.opening, at))
            raise
        source.unstored |= self._media.take_missed()
        if any(isinstance(record, AssetFile) for record in last):
            self.counters["files"] += 1
            self._thumbnailer.wake()

    def _legs(self, key: LegKey, value: str, opening: Opening) -> list[Leg]:
        """The legs that began before an exchange: those that are stored and those that are still open."""
        self._flush()
        captures = [capture for source in self._sources.values() for capture in source.captures.values()]
        still_open = [leg for capture in captures if (leg := capture.leg()) and getattr(leg, key) == value]
        dropped = [leg for leg in self._recent.at(opening.started_at) if getattr(leg, key) == value]
        # The last of several that tell of one exchange counts.
        return earlier([*self._store.legs(key, value, opening), *dropped, *still_open], key, opening)

    def _unchanged(self, opening: Opening, digest: str) -> str | None:
        """The stream in which a document was already what it is."""
        self._flush()
        return self._store.unchanged(opening, digest)

    def _mentioned(self, asset_id: str, address: str) -> bool:
        self._flush()
        return self._store.mentioned(asset_id, address)

    def _thumbnails(self, made: list[Thumbnail]) -> None:
        if made:
            self.counters["thumbnail_failures"] += sum(thumbnail.path is None for thumbnail in made)
            self._batch += made
            self._flush()

    def _snapshots(self) -> None:
        moment = time.monotonic()
        for source in self._sources.values():
            for number, capture in source.captures.items():
                if capture.changed and moment - self._written_at.get(id(capture), 0.0) >= SNAPSHOT_SECONDS:
                    self._written_at[id(capture)] = moment
                    try:
                        self._batch += capture.snapshot()
                    except Exception as error:
                        self._met(error, source, number)
                    self._yield()

    def _due(self) -> float | None:
        """When (time.monotonic) there is more to read, a growing message or a thumbnail; None when there is nothing."""
        if self._behind:
            return time.monotonic()
        captures = [capture for source in self._sources.values() for capture in source.captures.values()]
        due = [self._written_at.get(id(capture), 0.0) + SNAPSHOT_SECONDS for capture in captures if capture.changed]
        made = [time.monotonic() + THUMBNAIL_SECONDS] if self._thumbnailer.working else []
        return min([*due, *made], default=None)

    # -- the database ----------------------------------------------------------------------------------------------

    def _batch_is_full(self) -> bool:
        new = self._batch[self._weighed :]
        self._weight += sum(map(weight, new))
        self._weighed = len(self._batch)
        return self._weighed >= BATCH_RECORDS or self._weight >= BATCH_BYTES

    def _flush(self) -> None:
        """Write the batch, for as long as it takes; the journal holds what comes meanwhile."""
        if not self._batch:
            return
        attempts = 0
        while True:
            try:
                self._store.write(self._batch)
                break
            except StoreBusy as error:
                attempts += 1
                self.counters["retries"] += 1
                if attempts in (10, 100) or attempts % 1000 == 0:
                    report({"warning": f"the database cannot be written yet ({error}); trying again"})
                time.sleep(RETRY_SECONDS)
        # Counted here and not by answer: what comes beside the answers, on a socket, has no end that is told.
        unrecognised = sum(isinstance(record, TypedEvent) and not record.recognised for record in self._batch)
        self.counters["events_unrecognised"] += unrecognised
        self._batch.clear()
        self._weighed = self._weight = 0
        if refused := self._store.take_failures():
            # What no table took must stay somewhere.
            self.counters["errors"] += refused
            report({"error": f"{refused} records refused ({self._store.refusal}); their journal is kept"})
            for source in self._sources.values():
                source.failed = True
        closed, self._closed = self._closed, []
        for capture in [*closed, *self._around.sockets.take_finished()]:
            self._report(capture)

    def _report(self, capture: Capturing) -> None:
        if capture.skipped:
            return
        if capture.opening.kind == "socket":
            report({"counters": self.counters})
            return
        summary = capture.summary()
        self.counters["streams"] += 1
        self.counters["messages"] += capture.message_count
        if summary is None:
            report({"counters": self.counters})
            return
        # Only the first answer of a conversation carries its title.
        title = summary.title or self._store.title_of(summary.conversation_id)
        report({"answer": {**asdict(summary), "title": title}, "counters": self.counters})


def _wait(due: float | None) -> bool:
    """Wait for a wake-up or until something is due; False at the pipe's end."""
    left = None if due is None else max(0.0, due - time.monotonic())
    readable, _, _ = select.select([sys.stdin], [], [], left)
    return not readable or bool(os.read(sys.stdin.fileno(), 4096))


def main() -> int:
    """Run until the proxy is gone; 1 when the archive cannot be opened."""
    _give_way()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    database, writer = Path(sys.argv[1]), sys.argv[2]
    try:
        _record(database, writer, durable=sys.argv[3:] == ["sync"])
    except DamagedArchive as error:
        aside = set_aside(database)
        kept = f"it is kept as {aside.name}, " if aside else ""
        report({"error": f"{error}; {kept}capture goes on in a new one"})
        # In a process that holds nothing yet: all that the journal has is read from its beginning.
        os.execv(sys.executable, [sys.executable, "-P", "-m", "addon.recorder", *sys.argv[1:]])
    except ArchiveError as error:
        report({"fatal": str(error)})
        return 1
    except Exception as error:
        report({"error": f"a bug in the recorder\n{trace(error)}"})
        return 1
    return 0


def _give_way() -> None:
    """Let everything else go first when the machine is busy."""
    os.nice(NICENESS)
    # Linux shares the processors out among sessions before it looks at niceness (sched(7), autogroup), and this process
    # begins a session of its own.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS), "ascii")


def _record(database: Path, writer: str, *, durable: bool) -> None:
    yielding = Yielding()
    store = _opened(database, durable, yielding)
    report({"ready": os.getpid()})
    if durable:
        JournalSync(archive.inflight_folder(database)).start()
    media = MediaFolder(archive.media_folder(database))
    Recorder(store, archive.inflight_folder(database), writer, media, yielding).run()
    store.close()


def _opened(database: Path, durable: bool, yielding: Yielding) -> Store:
    attempts = 0
    while True:
        try:
            return Store.open(database, durable=durable, meanwhile=yielding)
        except StoreBusy as error:
            attempts += 1
            if attempts in (10, 100) or attempts % 1000 == 0:
                report({"warning": f"the database cannot be opened yet ({error}); trying again"})
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
