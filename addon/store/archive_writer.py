"""Records -> the archive, for those who can wait: in batches, and again for as long as somebody else has it locked."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from addon.answers.legs import Leg, LegKey, earlier
from addon.archive import media_folder
from addon.captures import Surroundings
from addon.errors import ArchiveError
from addon.exchange import Opening
from addon.files.media import MediaFolder
from addon.files.thumbnailer import Thumbnailer
from addon.records import DocumentRead, Record, Stream
from addon.store.store import Store, StoreBusy
from addon.wire.budget import weight

RETRY_SECONDS = 0.1
TELL_AFTER = 10
"""After how many attempts the person is told what is waited for."""

BATCH_RECORDS, BATCH_CHARACTERS = 4000, 4 * 1024 * 1024


class ArchiveWriter:
    """Collects records and writes them, some thousand a transaction; `on_wait` hears why it takes long.

    The archive is opened, and made where it is missing, when there is something to write: `ArchiveError` then. While
    somebody else has it locked `may_wait` is asked again and again; what it raises ends that, unwritten.
    """

    def __init__(self, path: Path, on_wait: Callable[[str], None], may_wait: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_wait = on_wait
        self._may_wait = may_wait
        self._store: Store | None = None
        self._media = MediaFolder(media_folder(path))
        self._batch: list[Record] = []
        self._characters = 0
        self._awaited: list[Callable[[], None]] = []

    def around(self) -> Surroundings:
        """What captures may ask of the archive; it has then what was added before."""
        return Surroundings(legs=self._legs, unchanged=self._unchanged, media=self._media)

    def close(self) -> None:
        """Write what is left and close the archive."""
        try:
            self.flush()
        finally:
            if self._store is not None:
                self._store.close()

    def add(self, records: Sequence[Record]) -> None:
        """Take what belongs together; it is written in one transaction."""
        self._batch += records
        self._characters += sum(map(weight, records))
        if len(self._batch) >= BATCH_RECORDS or self._characters > BATCH_CHARACTERS:
            self.flush()

    def when_written(self, then: Callable[[], None]) -> None:
        """Call this when all that has been added so far is in the archive; never, if it cannot be written."""
        self._awaited.append(then)

    def flush(self) -> None:
        """Write what has been collected."""
        if self._batch:
            store = self.open()
            self._patiently(lambda: store.write(self._batch))
            self._batch, self._characters = [], 0
        # Whoever interrupts this finds less counted than there is, and never more.
        while self._awaited:
            self._awaited.pop(0)()

    def open(self) -> Store:
        """The archive, made where it is missing."""
        try:
            self._store = self._store or self._patiently(lambda: Store.open(self._path, bulk=True))
        except ArchiveError:
            self._drop()  # it can be written nowhere: `close` must not try again
            raise
        return self._store

    def has_read(self, document: DocumentRead) -> bool:
        """Whether all of a document is in the archive already."""
        # One that stands twice in a file is read twice: a batch for each would cost more.
        store = self._store if self._store or not self._path.exists() else self.open()
        return store is not None and store.has_read(document)

    def mentions(self, asset_id: str) -> bool:
        """Whether a message that was added mentions this asset."""
        store = self._existing()
        return store is not None and store.mentioned(asset_id, "")

    def has_stream(self, stream: Stream, *, body: bool) -> bool:
        """Whether an exchange is in the archive as far as this account of it goes."""
        store = self._store if self._store or not self._path.exists() else self.open()
        return store is not None and store.has_stream(stream, body=body)

    def thumbnails(self, seconds: float) -> None:
        """Have thumbnails made of the images that want one; those of which the time is over are the recorder's."""
        if self._store is None:
            return
        thumbnailer = Thumbnailer(self._media.folder, self._store.images_without_thumbnail)
        for made in thumbnailer.last(seconds):
            self.add(made)
            self.flush()  # what is due next is asked of the archive

    def refused(self) -> str | None:
        """What neither SQLite nor the disk took since this was last asked, in one line."""
        count = self._store.take_failures() if self._store else 0
        if self._media.take_missed():
            return "files could not be stored: is the disk full?"
        return f"{count} records were refused by SQLite ({self._store.refusal})" if self._store and count else None

    def _existing(self) -> Store | None:
        """The archive with all that was added, None when there is none yet."""
        self.flush()
        return self.open() if self._store is not None or self._path.exists() else None

    def _legs(self, key: LegKey, value: str, opening: Opening) -> list[Leg]:
        store = self._existing()
        return earlier(store.legs(key, value, opening), key, opening) if store else []

    def _unchanged(self, opening: Opening, digest: str) -> str | None:
        store = self._existing()
        return store.unchanged(opening, digest) if store else None

    def _drop(self) -> None:
        self._batch.clear()
        self._awaited.clear()

    def _patiently[T](self, attempt: Callable[[], T]) -> T:
        attempts = 0
        while True:
            try:
                return attempt()
            except StoreBusy as error:
                attempts += 1
                if attempts == TELL_AFTER:
                    self._on_wait(str(error))
            self._wait()

    def _wait(self) -> None:
        try:
            self._may_wait()
            time.sleep(RETRY_SECONDS)
        except KeyboardInterrupt:
            self._drop()
            raise
