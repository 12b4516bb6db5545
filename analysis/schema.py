"""What the tables, views and columns of an archive mean, as people are told it; `schema.toml` has the words."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Description:
    """What the rows of a table or view are, and what each column holds, in the order of the database."""

    name: str
    text: str
    columns: dict[str, str]


@cache
def descriptions() -> dict[str, Description]:
    """All tables and views by name: those that people ask for first come first, views after tables."""
    parsed = tomllib.loads(Path(__file__).with_name("schema.toml").read_text("utf-8"))
    return {
        name: Description(name, entry["_"], {column: text for column, text in entry.items() if column != "_"})
        for name, entry in parsed.items()
    }
