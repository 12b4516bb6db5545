"""A conversation too large to be held: its JSON walked once, each message laid aside, redacted, in a temporary file.

What comes out is the document as it stood, but for its messages (`SetAside`), so that whoever reads conversations reads
this one like any other. In memory stay ids, what hangs on what, and times.
"""

import json
import tempfile
from collections.abc import Iterator
from typing import Any

from addon.documents.document_redaction import piece_without_secrets
from addon.documents.documents import begun_digest
from addon.documents.set_aside import KEPT, SetAside, whole
from addon.importing.json_text import Damaged, JsonBroken, JsonLarge, JsonText, value_of
from addon.importing.portions import portions
from addon.wire.payload import has_half

MAX_CHARACTERS = 64 * 1024 * 1024
"""A conversation that is longer is taken for an attack, as is one of more than `MAX_IDS`."""

MAX_IDS = 100_000
"""How many ids may be held: of messages, and of what hangs on them."""

_OF_MESSAGES = ("mapping", "messages", "linear_conversation")
_OF_NODES = ("id", "parent", "children")
_HALF = "\ud83d"
_AT_ONCE = 500
_MOST_SHOWN = 100
_MAX_OTHERS = 4 * 1024 * 1024


class LargeDocument(dict[str, Any]):
    """The members of an object, its messages set aside. `digest` and `characters` are those of all of its text.

    `left_out` names messages, and other members, that are too large to be read: they are not there.
    """

    digest: str
    characters: int
    left_out: list[str]

    @property
    def rest(self) -> dict[str, Any]:
        """What it says beside its messages."""
        return {key: value for key, value in self.items() if key not in _OF_MESSAGES}

    @property
    def messages(self) -> dict[str, Any]:
        """What holds its messages."""
        return {key: self[key] for key in _OF_MESSAGES if key in self}

    def pieces(self) -> Iterator[dict[str, Any]]:
        """Documents with the same ids, one after another, which together hold all of its messages, whole."""
        ids = {key: self[key] for key in ("conversation_id", "id") if key in self}
        if isinstance(self.get("mapping"), dict):
            for nodes in portions(self["mapping"].items(), _AT_ONCE, lambda named: _length(named[1])):
                yield {**ids, "mapping": {key: _whole_node(node) for key, node in nodes}}
            return
        for key, held in self.messages.items():
            for items in portions(held, _AT_ONCE, _length) if isinstance(held, list) else ():
                yield {**ids, key: [_whole_node(item) for item in items]}


def read_by_pieces(text: JsonText) -> LargeDocument | Damaged:
    """The object that comes next; `Damaged` where it is no JSON, or is longer than any conversation."""
    return _Walk(text).document()


class _Shelf:
    """The temporary file: its mode is 0600, it has no name, and it is gone with the last message that lies in it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - messages are read as long as there are any
        self._end = 0

    def lay(self, text: bytes) -> tuple[int, int]:
        """Where it lies from now on."""
        place = self._end, len(text)
        self._file.seek(self._end)
        self._file.write(text)
        self._end += len(text)
        return place

    def read(self, start: int, length: int) -> Any:
        """The value that was laid there."""
        self._file.seek(start)
        return value_of(self._file.read(length).decode("utf-8", "surrogatepass"))


class _Walk:
    """One walk through an object. `_depth` is how many brackets are open, for the case that it breaks off."""

    def __init__(self, text: JsonText) -> None:
        self._text = text
        self._shelf = _Shelf()
        self._digest = begun_digest()
        self._characters = self._others = 0
        self._depth = 1
        self._ids = 0
        self._names: dict[str, str] = {}
        self._left_out: list[str] = []

    def document(self) -> LargeDocument | Damaged:
        start = self._text.offset
        found = LargeDocument()
        try:
            with self._text.followed(self._passed):
                for key in self._text.members():
                    self._check()
                    if key in _OF_MESSAGES:
                        found[key] = self._holding(key)
                    else:
                        self._other(found, key)
        except JsonLarge as large:
            self._text.skip_by_brackets(self._depth)
            return Damaged(start, f"is {large.told}")
        except JsonBroken:
            self._text.skip_by_brackets(self._depth)
            return Damaged(start)
        found.digest, found.characters = self._digest.hexdigest(), self._characters
        found.left_out = self._left_out
        return found

    def _passed(self, text: str) -> None:
        self._characters += len(text)
        self._digest.update(text.encode("utf-8", "surrogatepass"))

    def _check(self) -> None:
        """Break off where it is too much; asked where the brackets that are open are known."""
        if self._characters > MAX_CHARACTERS:
            raise JsonLarge(f"a conversation of more than {MAX_CHARACTERS:,} characters", self._text.offset)
        if self._ids > MAX_IDS:
            raise JsonLarge(f"a conversation of more than {MAX_IDS:,} messages", self._text.offset)

    def _other(self, found: dict[str, Any], key: str) -> None:
        """A member that holds no messages."""
        self._ids += 1
        try:
            found[key] = self._text.value(max(0, _MAX_OTHERS - self._others))
            self._others += len(self._text.take())
        except JsonLarge:
            self._left_out.append(key[:_MOST_SHOWN])
            self._text.skip_by_brackets()

    def _holding(self, key: str) -> Any:
        """A member that may hold messages."""
        opening = self._text.peek()
        if opening not in ("{", "["):
            return self._text.value()
        self._depth = 2
        found: Any = dict(self._members()) if opening == "{" else list(self._items(bare=key != "mapping"))
        self._depth = 1
        return found

    def _members(self) -> Iterator[tuple[str, Any]]:
        for key in self._text.members():
            self._check()
            try:
                given, text = self._text.value(), self._text.take().encode("utf-8", "surrogatepass")
            except JsonLarge:
                given = self._place_of(key)
                text = json.dumps(given).encode()
            cleaned = piece_without_secrets({key: given}, b"{%s:%s}" % (json.dumps(key).encode(), text))
            for name, node in cleaned.items():
                yield self._name(name), self._laid(node, text if node is given else None, bare=False)

    def _place_of(self, key: str) -> dict[str, Any]:
        """Of a node that is too large what is known of its place in the tree."""
        self._left_out.append(f"message {key[:_MOST_SHOWN]}")
        found: dict[str, Any] = {}
        if self._text.peek() != "{":
            self._text.skip_by_brackets()
            return found
        self._depth = 3
        for name in self._text.members():
            if name in ("id", "parent") and self._text.peek() == '"':
                found[name] = self._text.value()
            else:
                self._text.skip_by_brackets()
        self._depth = 2
        return found

    def _items(self, *, bare: bool) -> Iterator[Any]:
        for number, given in enumerate(self._text.elements()):
            self._check()
            if isinstance(given, Damaged):
                if not given.is_large:
                    raise JsonBroken
                self._left_out.append(f"message {number} of the list")
                continue
            text = self._text.take().encode("utf-8", "surrogatepass")
            (item,) = piece_without_secrets([given], b"[%s]" % text)
            yield self._laid(item, text if item is given else None, bare=bare)

    def _laid(self, node: Any, text: bytes | None, *, bare: bool) -> Any:
        """A node, its message laid aside; or a message that stands there `bare`."""
        self._ids += 1
        in_node = isinstance(node, dict) and isinstance(node.get("message"), dict)
        if not in_node and not (bare and isinstance(node, dict) and "message" not in node):
            return node
        message = node["message"] if in_node else node
        place = self._shelf.lay(json.dumps(node).encode() if text is None else text)
        kept = {key: message[key] for key in KEPT if key in message}
        if "author" in message:
            kept["author"] = None
        if has_half(message):
            kept[_HALF] = _HALF
        aside = SetAside(kept, self._shelf, place, in_node=in_node)
        return (
            {key: self._shared(node[key]) for key in _OF_NODES if key in node} | {"message": aside}
            if in_node
            else aside
        )

    def _shared(self, value: Any) -> Any:
        """An id, or several, each of which stands in memory once."""
        if isinstance(value, list):
            self._ids += len(value)
            return [self._shared(item) for item in value]
        return self._name(value) if isinstance(value, str) else value

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, name)


def _length(node: Any) -> int:
    """How many bytes of a node lie elsewhere."""
    message = node.get("message", node) if isinstance(node, dict) else node
    return message.length if isinstance(message, SetAside) else 0


def _whole_node(node: Any) -> Any:
    if isinstance(node, dict) and isinstance(node.get("message"), SetAside):
        return {**node, "message": whole(node["message"])}
    return whole(node)
