"""Records -> the archive, for those who can wait: in batches, and again for as long as somebody else has it locked."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from addon.captures import Surroundings
from addon.exchange import Opening
from addon.legs import Leg, LegKey, earlier
from addon.records import DocumentRead, Record
from addon.store import Store, StoreBusy

RETRY_SECONDS = 0.1
TELL_AFTER = 10
"""After how many attempts the person is told what is waited for."""

BATCH_RECORDS = 4000


class ArchiveWriter:
    """Collects records and writes them, some thousand a transaction; `on_wait` hears why it takes long.

    The archive is opened, and made where it is missing, when there is something to write: `ArchiveError` then.
    """

    def __init__(self, path: Path, on_wait: Callable[[str], None]) -> None:
        self._path = path
        self._on_wait = on_wait
        self._store: Store | None = None
        self._batch: list[Record] = []

    def around(self) -> Surroundings:
        """What captures may ask of the archive; it has then what was added before."""
        return Surroundings(legs=self._legs, unchanged=self._unchanged)

    def close(self) -> None:
        """Write what is left and close the archive."""
        self.flush()
        if self._store is not None:
            self._store.close()

    def add(self, records: Sequence[Record]) -> None:
        """Take what belongs together; it is written in one transaction."""
        self._batch += records
        if len(self._batch) >= BATCH_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected."""
        if self._batch:
            store = self._store = self._store or self._patiently(lambda: Store.open(self._path, bulk=True))
            self._patiently(lambda: store.write(self._batch))
            self._batch = []

    def has_read(self, document: DocumentRead) -> bool:
        """Whether all of a document is in the archive already."""
        if self._store is None and self._path.exists():
            self._store = self._patiently(lambda: Store.open(self._path, bulk=True))
        return self._store is not None and self._store.has_read(document)

    def refused(self) -> str | None:
        """What SQLite refused since this was last asked, in one line."""
        count = self._store.take_failures() if self._store else 0
        return f"{count} records were refused by SQLite ({self._store.refusal})" if self._store and count else None

    def _legs(self, key: LegKey, value: str, opening: Opening) -> list[Leg]:
        self.flush()
        return earlier(self._store.legs(key, value, opening), key, opening) if self._store else []

    def _unchanged(self, opening: Opening, digest: str) -> str | None:
        self.flush()
        return self._store.unchanged(opening, digest) if self._store else None

    def _patiently[T](self, attempt: Callable[[], T]) -> T:
        attempts = 0
        while True:
            try:
                return attempt()
            except StoreBusy as error:
                attempts += 1
                if attempts == TELL_AFTER:
                    self._on_wait(str(error))
                time.sleep(RETRY_SECONDS)
