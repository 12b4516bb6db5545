"""Words that shells complete from the archive: ids, models, types of events. What completes nothing is still taken."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

type Words = Iterable[tuple[str, str | None]]
"""Words, each with what it stands for."""

_LOOKED_AT, _TOLD = 1_000, 50


class Known(click.ParamType[str]):
    """A word that the archive knows, or the beginning of it; `also` are words of ours that may stand instead."""

    def __init__(self, name: str, find: Callable[[sqlite3.Connection], Words], *also: str) -> None:
        self.name = name
        self._find = find
        self._also = also

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words that begin so, those of what was active last first."""
        from analysis.errors import Unanswerable
        from analysis.queries.archive import open_archive
        from analysis.terminal import one_line

        try:
            with closing(open_archive(_database(ctx))) as db:
                fitting = (found for found in self._find(db) if found[0].startswith(incomplete))
                known = list(islice(dict(fitting).items(), _TOLD))
        except (Unanswerable, OSError, sqlite3.Error):
            return []
        ours = [CompletionItem(word) for word in self._also if word.startswith(incomplete)]
        return ours + [CompletionItem(word, help=one_line(said)) for word, said in known]


def _database(ctx: click.Context) -> Path:
    said = ctx.get_parameter_source("database") is ParameterSource.COMMANDLINE
    database = ctx.params["database"] if said else ctx.find_root().params.get("database", "chatgpt.db")
    return Path(database).expanduser()


def _conversations(db: sqlite3.Connection) -> Words:
    from analysis.queries.conversations import conversations

    return ((row.id, row.title) for row in conversations(db, limit=_LOOKED_AT))


def _exchanges(db: sqlite3.Connection) -> Words:
    from analysis.queries.exchanges import last_exchanges

    return ((row.id, row.conversation_title) for row in last_exchanges(db, _LOOKED_AT))


def _generations(db: sqlite3.Connection) -> Words:
    from analysis.queries.images import images

    return ((row.gen_id, row.title or row.tool_prompt) for row in images(db, limit=_LOOKED_AT) if row.gen_id)


def _models(db: sqlite3.Connection) -> Words:
    from analysis.queries.search import models

    return ((model, None) for model in models(db))


def _gizmos(db: sqlite3.Connection) -> Words:
    from analysis.queries.conversations import gizmos

    return ((gizmo, title) for gizmo, title in gizmos(db))


def _events(db: sqlite3.Connection) -> Words:
    from analysis.queries.exchanges import event_types

    return ((row.type, None) for row in event_types(db) if row.type)


CONVERSATION = Known("id", _conversations)
LAST_CONVERSATION = Known("id", _conversations, "last")
LAST_EXCHANGE = Known("id", _exchanges, "last")
GENERATION = Known("id", _generations)
MODEL = Known("name", _models)
GIZMO = Known("id", _gizmos)
EVENT_TYPE = Known("type", _events)
