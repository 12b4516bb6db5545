"""Several questions to one archive at a time: what SQLite does, it does beside Python, on as many processors."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

from analysis.options import reading
from analysis.queries.archive import address

_MOST = 4
_STEPS = 100_000
"""Of SQLite, a millisecond's worth, after which it looks whether anybody still waits for the answer."""


@contextmanager
def side_by_side[T](
    database: Path, questions: Mapping[str, Callable[[sqlite3.Connection], T]]
) -> Iterator[dict[str, Future[T]]]:
    """The answers by the names of their questions, begun in their order, each over a connection of its own.

    What is not answered when the block ends is given up.
    """
    ended = Event()

    with reading(database) as first, ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1)) as pool:
        uri = address(first)

        def ask(question: Callable[[sqlite3.Connection], T]) -> T:
            with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as db:
                db.row_factory = sqlite3.Row
                db.set_progress_handler(ended.is_set, _STEPS)
                return question(db)

        try:
            yield {name: pool.submit(ask, question) for name, question in questions.items()}
        finally:
            ended.set()
            pool.shutdown(cancel_futures=True)
