"""What exports told of captured messages -> records, as if the exports were read again.

Of an export no raw body is kept. But a message that was last seen by none whose body is there is on record as the
export sent it (content, metadata, author, status): that is read with today's code, and merged as every document is.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from addon.answers.messages import Observation, Parent, read_message
from addon.records import Certainty, Message
from addon.store.message_objects import message_object
from addon.store.rows import microseconds

# An account needs an exchange that it is of: which export told is not on record, and answers go before all of them.
_EXPORT = "SELECT id FROM streams WHERE source = 'export' ORDER BY started_at DESC, id LIMIT 1"

_TOLD = """
    SELECT m.* FROM messages m JOIN conversations c ON c.id = m.conversation_id
    JOIN rebuilt.messages r ON r.id = m.id AND r.conversation_id = m.conversation_id
    WHERE c.digest IS NOT NULL AND m.last_seen_at > r.last_seen_at
      AND m.stream_id IN (SELECT id FROM rebuilt.evidence)"""


def export_accounts(database: Path, rebuilt: Path, texts: Callable[[bytes], Any] = bytes.decode) -> Iterator[Message]:
    """The accounts that go beyond what was rebuilt from raw bodies; `rebuilt` is the scratch database.

    `texts` reads SQLite's. A row in which something is that cannot be read (`bad_values`) is none.
    """
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        db.text_factory = texts
        db.execute("ATTACH ? AS rebuilt", (f"{rebuilt.absolute().as_uri()}?mode=ro",))
        export = db.execute(_EXPORT).fetchone()
        for row in db.execute(_TOLD) if export is not None else ():
            try:
                at, told = microseconds(row["last_seen_at"]), message_object(row)
            except (ValueError, TypeError, AttributeError):
                continue
            seen = Observation(export["id"], "export", at, live=False, document=True)
            parent = Parent(row["parent_id"], placed=row["parent_certainty"] == Certainty.PLACED)
            yield read_message(row["id"], told, row["conversation_id"], seen, parent)
