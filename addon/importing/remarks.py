"""What is odd or wrong in a file -> lines for a person: few, however often it is met.

What is kept as the file says it is a note; what the archive cannot hold is a failure, and so tells the exit code.
"""

from collections.abc import Iterable, Mapping

from addon.documents.oddities import Kind, Oddity
from addon.exchange import Opening
from addon.importing.imported import Imported

MOST_NAMED = 20
"""How many lines of one kind a file gets; of those beyond it only the number is told."""

MOST_PLACES = 10

_KEPT: Mapping[Kind, str] = {
    "circle": "parents that go round in a circle, kept as they are",
    "parent": "parents that are not in the conversation, kept as they are",
    "id": "ids that are no UUIDs, kept as they are",
}
_LOST: Mapping[Kind, str] = {
    "time": "times that are none, or not in the years 1970 to 9999: not stored",
    "half": "texts with half of a character, for which U+FFFD is stored",
}


class Remarks:
    """The remarks on one file; they are in `done` when it is settled, most of them as they are made."""

    def __init__(self, done: Imported) -> None:
        self._done = done
        self._odd: dict[Kind, tuple[int, str]] = {}
        self._more: dict[tuple[bool, str], int] = {}

    def note(self, line: str, among: str) -> None:
        """Something else to know; `among` says what there may be many of."""
        self._say(line, among, failure=False)

    def fail(self, line: str, among: str) -> None:
        """Something that is lost."""
        self._say(line, among, failure=True)

    def odd(self, found: Iterable[Oddity], place: str) -> None:
        """What is odd about a conversation, which stands at `place`."""
        for oddity in found:
            count, first = self._odd.get(oddity.kind, (0, ""))
            where = place if oddity.first is None else f"{place}, message {oddity.first}"
            self._odd[oddity.kind] = (count + oddity.count, first or where)

    def settle(self) -> None:
        """Say the rest."""
        for (failure, among), count in self._more.items():
            if count > MOST_NAMED:
                self._lines(failure=failure).append(f"{count - MOST_NAMED:,} more {among}")
        for kind, said in (*_KEPT.items(), *_LOST.items()):
            if kind in self._odd:
                count, first = self._odd[kind]
                self._lines(failure=kind in _LOST).append(f"{said}: {count:,}, first in {first}")

    def _say(self, line: str, among: str, *, failure: bool) -> None:
        count = self._more[failure, among] = self._more.get((failure, among), 0) + 1
        if count <= MOST_NAMED:
            self._lines(failure=failure).append(line)

    def _lines(self, *, failure: bool) -> list[str]:
        return self._done.failures if failure else self._done.notes


def passed_by(count: int, places: list[int]) -> list[str]:
    """One line that says which elements of a file are no conversations; `places` are the first ones."""
    if not count:
        return []
    if count == 1:
        return [f"element {places[0]} is no conversation: passed by"]
    named = ", ".join(map(str, places[:MOST_PLACES])) + (" …" if count > MOST_PLACES else "")
    return [f"{count:,} elements are no conversations, {named}: passed by"]


def chats(count: int) -> str:
    """One line that says why what is written for models cannot be read back."""
    what = "1 chat" if count == 1 else f"{count:,} chats"
    return (
        f"{what} in the format for models, without ids and times of the messages: not read;"
        " what `export --json` writes is, and `merge` takes over archives"
    )


def exchange_at(opening: Opening) -> str:
    """The beginning of a line about an exchange: where in its file it stands, "" where it is all of it."""
    number = opening.stream_id.rpartition(":")[2]
    match opening.source:
        case "har":
            return f"entry {number}, {opening.method} {opening.path}: "
        case "export":
            return f"element {number}: "
    return ""


def place_of(opening: Opening, conversation_id: str | None) -> str:
    """Where in its file an exchange with a conversation stands."""
    number = opening.stream_id.rpartition(":")[2]
    place = f"entry {number}" if opening.source == "har" else f"element {number}"
    return f"{place}, {conversation_id}" if conversation_id else place
