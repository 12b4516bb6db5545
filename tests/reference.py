"""A second, slow decoder of whole ChatGPT event streams: an oracle for tests.

In goes a complete body of type `text/event-stream`, its content-encoding already undone; out comes what it says:
the messages, the titles, the typed frames, and which messages cannot be trusted. It is written from the description
of the protocol alone and shares nothing with the product, so that both are unlikely to be wrong in the same way. It
copies the whole document for every event and is quadratic on purpose. `decode` never raises, whatever the bytes.

Values are JSON as Python has it; where Python and the service's own JavaScript client differ (UTF-16 lengths,
`String(v)`, sparse arrays, `NaN` in JSON), JavaScript is followed.
"""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

type Json = Any
type Message = dict[str, Any]

UNDEFINED: Final = object()  # JavaScript's: a channel nothing was said on, a hole in an array
MAX_GAP: Final = 10_000  # an index may lie this far beyond the end of its array
OPERATIONS: Final = frozenset({"add", "append", "patch", "remove", "replace", "truncate"})
INDEX: Final = re.compile(r"0|[1-9][0-9]*")


@dataclass
class Reference:
    """What one event stream says."""

    messages: dict[str, Message] = field(default_factory=dict)
    """Message id -> its last state, in the order in which the ids first appeared."""
    conversation_id: str | None = None
    """The first one that any payload names."""
    titles: list[str] = field(default_factory=list)
    """Every `title_generation`, in order, repetitions too."""
    typed: list[dict[str, Any]] = field(default_factory=list)
    """Payloads that have a `type`, in order, unchanged."""
    unparsable: int = 0
    """Events whose data is not JSON, nor empty, nor a ping, nor one of the two known bare words."""
    damaged: set[str] = field(default_factory=set)
    """Ids of messages that lack the effect of at least one event; nothing takes an id out again."""
    done: bool = False
    """`[DONE]` was seen; what comes after it is not read."""
    unterminated: bool = False
    """The last event read lacks its blank line: the standard would have dropped it."""


def decode(body: bytes) -> Reference:
    """What the whole event stream `body` says."""
    decoder = _Decoder()
    for event in parse(body):
        decoder.feed(event)
        if decoder.reference.done:
            break
    return decoder.reference


def text_of(message: Message) -> str | None:
    """The text of a message as valid Unicode, None if its content is of a kind that has none.

    String parts are joined by newlines; else `text`; else `content`; else thoughts, blank lines between.
    """
    content = message.get("content")
    if not isinstance(content, dict):
        return None
    if isinstance(parts := content.get("parts"), list):
        return well_formed("\n".join(part for part in parts if isinstance(part, str)))
    for key in ("text", "content"):
        if isinstance(text := content.get(key), str):
            return well_formed(text)
    if isinstance(thoughts := content.get("thoughts"), list):
        return well_formed(_thoughts_text(thoughts))
    return None


def _thoughts_text(thoughts: list[Json]) -> str:
    pieces = [thought.get(key) for thought in thoughts if isinstance(thought, dict) for key in ("summary", "content")]
    return "\n\n".join(piece for piece in pieces if isinstance(piece, str) and piece)


# WHATWG HTML 9.2.6: interpreting an event stream


@dataclass(frozen=True)
class Event:
    """A dispatched event; `terminated` is False for a last one whose blank line never came."""

    type: str
    data: str
    last_event_id: str = ""
    terminated: bool = True


def parse(body: bytes) -> list[Event]:
    """The events of a whole body, and a last one that the end of the body cut off before its blank line."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    *lines, remainder = re.split("\r\n|\n|\r", text)
    buffers = _Buffers()
    for line in lines:
        buffers.read_line(line)
    if remainder:
        buffers.read_line(remainder)
    buffers.dispatch(terminated=False)
    return buffers.events


class _Buffers:
    """The standard's three buffers, under its names, and the events dispatched from them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.data = ""
        self.event_type = ""
        self.last_event_id = ""

    def read_line(self, line: str) -> None:
        if line == "":
            self.dispatch(terminated=True)
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            self.read_field(name, value.removeprefix(" "))

    def read_field(self, name: str, value: str) -> None:
        if name == "event":
            self.event_type = value
        elif name == "data":
            self.data += value + "\n"
        elif name == "id" and "\0" not in value:
            self.last_event_id = value

    def dispatch(self, *, terminated: bool) -> None:
        if self.data:
            data = self.data.removesuffix("\n")
            self.events.append(Event(self.event_type or "message", data, self.last_event_id, terminated))
        self.data = self.event_type = ""


# Events to messages


class _Decoder:
    """Reads events in order and keeps what they say in `reference`."""

    def __init__(self) -> None:
        self.reference = Reference()
        self.deltas: _Deltas | None = _Deltas()  # None while the encoding is one nobody knows
        self.enveloped: set[str] = set()

    def feed(self, event: Event) -> None:
        data = event.data.strip(" \t\r\n")
        if data == "" or event.type == "ping":
            return
        self.reference.unterminated = not event.terminated
        if data == "[DONE]":
            self.reference.done = True
        elif event.type == "delta_encoding":
            self.deltas = _Deltas() if data in {'"v1"', "v1"} else None
        elif event.type == "delta":
            self.feed_delta(data)
        else:
            self.feed_other(event.type, data)

    def feed_delta(self, data: str) -> None:
        if self.deltas is None:
            return
        try:
            delta = parse_json(data)
        except ValueError:
            self.reference.unparsable += 1
            self.damage(self.deltas)
        else:
            self.apply_delta(delta)

    def feed_other(self, event_type: str, data: str) -> None:
        try:
            payload = parse_json(data)
        except ValueError:
            self.reference.unparsable += 1
            return
        if event_type == "message" and _looks_like_delta(payload):
            self.apply_delta(payload)
        elif isinstance(payload, dict) and "type" in payload:
            self.read_typed(payload)
        else:
            self.read_envelope(payload)

    def apply_delta(self, delta: Json) -> None:
        if self.deltas is None:
            return
        try:
            document = self.deltas.apply(delta)
        except (WrongOperationError, RecursionError):
            self.damage(self.deltas)
        else:
            self.read_envelope(document)

    def damage(self, deltas: "_Deltas") -> None:
        document = deltas.current()
        message = document.get("message") if isinstance(document, dict) else None
        if (message_id := _id_of(message)) is not None:
            self.reference.damaged.add(message_id)

    def read_envelope(self, envelope: Json) -> None:
        if not isinstance(envelope, dict):
            return
        self.read_conversation_id(envelope)
        message = envelope.get("message")
        if (message_id := _id_of(message)) is not None:
            self.reference.messages[message_id] = clone(message, hole=None)
            self.enveloped.add(message_id)

    def read_typed(self, payload: dict[str, Any]) -> None:
        self.reference.typed.append(payload)
        self.read_conversation_id(payload)
        title, message = payload.get("title"), payload.get("input_message")
        if payload["type"] == "title_generation" and isinstance(title, str):
            self.reference.titles.append(title)
        message_id = _id_of(message)
        if payload["type"] == "input_message" and message_id is not None and message_id not in self.enveloped:
            self.reference.messages[message_id] = clone(message)

    def read_conversation_id(self, payload: dict[str, Any]) -> None:
        conversation_id = payload.get("conversation_id")
        if self.reference.conversation_id is None and isinstance(conversation_id, str) and conversation_id:
            self.reference.conversation_id = conversation_id


def _looks_like_delta(payload: Json) -> bool:
    """Whether an event without a name is a delta that lost it."""
    return isinstance(payload, dict) and bool({"p", "o", "v"} & set(payload)) and not {"type", "message"} & set(payload)


def _id_of(message: Json) -> str | None:
    message_id = message.get("id") if isinstance(message, dict) else None
    return message_id if isinstance(message_id, str) and message_id else None


def parse_json(text: str) -> Json:
    """As `JSON.parse`, but integers stay exact; lone surrogates are allowed, `NaN` and `Infinity` are not."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # Python reads no more than 4300 digits; to JavaScript that is Infinity
        return float(digits)


# Delta encoding v1


class WrongOperationError(Exception):
    """An operation that the service's own client would refuse, or that would grow an array beyond reason."""


class _Deltas:
    """The documents that one `delta_encoding` began, by channel, and what an operation may leave out."""

    def __init__(self) -> None:
        self.previous: dict[str, Json] = {"c": 0, "o": "add", "p": ""}
        self.documents: dict[float, Json] = {}

    def apply(self, delta: Json) -> Json:
        """The channel's whole document after `delta`; if the delta is wrong, every document is as before it.

        A wrong delta still is what the next one repeats: the server that sent it means it to.
        """
        if not isinstance(delta, dict):
            raise WrongOperationError("a delta is an object")
        operation = self.previous | delta
        self.previous = {key: operation[key] for key in self.previous}
        if not is_number(operation["c"]):
            raise WrongOperationError("a channel is a number")
        self.documents[operation["c"]] = operate(clone(self.current()), operation)
        return self.current()

    def current(self) -> Json:
        """The document of the channel last used."""
        channel = self.previous["c"]
        return self.documents.get(channel, UNDEFINED) if is_number(channel) else UNDEFINED


def operate(value: Json, operation: Json) -> Json:
    """`value` after one operation; it may be changed in place. `UNDEFINED` is no value, before and after."""
    pointer, op, operand = check(operation)
    holder = {} if value is UNDEFINED else {"root": value}
    way = ["root", *segments(pointer)]
    container: Json = holder
    for segment, following in pairwise(way):
        container = descend(container, segment, following)
    perform(container, way[-1], op, operand)
    return holder.get("root", UNDEFINED)


def check(operation: Json) -> tuple[str, str, Json]:
    """Pointer, verb and value of an operation that may be tried."""
    if not isinstance(operation, dict):
        raise WrongOperationError("an operation is an object")
    pointer, op, value = operation.get("p"), operation.get("o"), operation.get("v", UNDEFINED)
    if not isinstance(pointer, str) or not isinstance(op, str) or op not in OPERATIONS:
        raise WrongOperationError("no pointer or no known verb")
    if op == "patch" and not isinstance(value, list):
        raise WrongOperationError("a patch is a list of operations")
    if op == "truncate" and not is_number(value):
        raise WrongOperationError("a length is a number")
    if op != "remove" and value is UNDEFINED:
        raise WrongOperationError("no value")
    return pointer, op, value


def segments(pointer: str) -> list[str]:
    if pointer == "":
        return []
    return [segment.replace("~1", "/").replace("~0", "~") for segment in pointer.removeprefix("/").split("/")]


def descend(container: Json, key: str, following: str) -> Json:
    """The container under `key`, made if there is nothing: an array if `following` is an index, else an object."""
    value = read(container, key)
    if value is UNDEFINED:
        value = [] if INDEX.fullmatch(following) else {}
        write(container, key, value)
    if not isinstance(value, dict | list):
        raise WrongOperationError("the pointer leads through a value that holds nothing")
    return value


def perform(container: Json, key: str, op: str, value: Json) -> None:
    old = read(container, key)
    if op == "remove":
        remove(container, key)
    elif op == "add" and isinstance(container, list):
        container.insert(index_of(key), value)  # beyond the end it appends, as splice does
    elif op in {"add", "replace"}:
        write(container, key, value)
    elif op == "append":
        write(container, key, appended(old, value))
    elif op == "truncate" and isinstance(old, str | list):
        write(container, key, truncated(old, value))
    elif op == "patch":
        for nested in value:
            old = operate(old, nested)
        write(container, key, old)


def read(container: Json, key: str) -> Json:
    if isinstance(container, dict):
        return container.get(key, UNDEFINED)
    index = index_of(key)
    return container[index] if index < len(container) else UNDEFINED


def write(container: Json, key: str, value: Json) -> None:
    if isinstance(container, list):
        index = index_of(key)
        if index - len(container) > MAX_GAP:
            raise WrongOperationError("the array would grow too much")
        container.extend([UNDEFINED] * (index + 1 - len(container)))
        container[index] = value
    elif value is UNDEFINED:
        container.pop(key, None)
    else:
        container[key] = value


def remove(container: Json, key: str) -> None:
    if isinstance(container, dict):
        container.pop(key, None)
    else:
        index = index_of(key)
        del container[index : index + 1]


def index_of(key: str) -> int:
    if not INDEX.fullmatch(key):
        raise WrongOperationError("an array has only indexes")
    return int(key[:16])  # no leading zeros: more digits than these are beyond every limit anyway


def appended(old: Json, value: Json) -> Json:
    if isinstance(old, str):
        return joined(old + javascript_string(value))
    if isinstance(old, list):
        return [*old, *value] if isinstance(value, list) else [*old, value]
    if isinstance(old, dict) and isinstance(value, dict):
        return old | value
    return value


def truncated(old: Json, length: float) -> Json:
    """As `old.slice(0, length)`: fractions are cut off, a negative length counts from the end."""
    count = int(max(-(2**53), min(length, 2**53)))
    if isinstance(old, list):
        return old[:count]
    return old.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "surrogatepass")


def clone(value: Json, hole: Json = UNDEFINED) -> Json:
    """A deep copy of a value nested however deeply; a hole in an array becomes `hole`."""
    holder = [value]
    pending: list[Any] = [holder]
    while pending:
        container = pending.pop()
        for key, child in list(enumerate(container) if isinstance(container, list) else container.items()):
            if child is UNDEFINED:
                container[key] = hole
            elif isinstance(child, dict | list):
                container[key] = child.copy()
                pending.append(container[key])
    return holder[0]


# JavaScript's strings and numbers


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def joined(text: str) -> str:
    """Two halves of a surrogate pair that have come to stand together become their character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def well_formed(text: str) -> str:
    """As `text.toWellFormed()`: what is left of broken surrogate pairs becomes U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", joined(text))


def javascript_string(value: Json) -> str:
    """As `String(value)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None else javascript_string(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    return json.dumps(value) if value is None or isinstance(value, bool) else javascript_number(value)


def javascript_number(number: float) -> str:
    """As `String(number)`: ECMAScript's Number::toString, whose `k` and `n` these are."""
    try:
        decimal = Decimal(repr(float(number))).normalize()
    except OverflowError:
        decimal = Decimal("Infinity").copy_sign(Decimal(number))
    if not decimal:
        return "0"
    if not decimal.is_finite():
        return str(decimal)
    sign, digit_tuple, exponent = decimal.as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    return "-" * sign + _javascript_digits(digits, exponent + len(digits))


def _javascript_digits(digits: str, n: int) -> str:
    k = len(digits)
    if k <= n <= 21:
        return digits + "0" * (n - k)
    if 0 < n <= 21:
        return f"{digits[:n]}.{digits[n:]}"
    if -6 < n <= 0:
        return "0." + "0" * -n + digits
    mantissa = digits[0] + ("." + digits[1:] if k > 1 else "")
    return f"{mantissa}e{n - 1:+d}"
