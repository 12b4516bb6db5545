r"""What a message cites: the marks in its text and the sources they stand for.

A mark is written in private-use characters, `\ue200cite\ue202turn0search3\ue201` (kind, then fields), or as
`【4†source】` in 2023 and 2024. What a mark means stands in the message's metadata: `content_references`, and
`citations` before those. A mark nobody explains is shown as a mark, never as noise in the text.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
from markupsafe import Markup

MARK = re.compile("\ue200([^\ue200\ue201]{0,4000})\ue201|【(\\d{1,4})(?::\\d{1,4})?†([^】]{0,200})】")
"""One mark: what stands between its private-use ends, or the number and name of the older form."""

_SILENT = frozenset({"i", "hidden", "image_group", "genui", "writing"})
"""Kinds that place something beside the text and say nothing in it."""

_CHIP = Markup('<a class="source" href="{}" title="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>')


@dataclass(frozen=True, slots=True)
class Source:
    """A page that a message names."""

    address: str
    title: str = ""
    publisher: str = ""
    snippet: str = ""


class Row(Protocol):
    """A row by column name: `sqlite3.Row`, a dict."""

    def __getitem__(self, name: str, /) -> Any: ...


class Cited:
    """The marks of one message. Metadata is untrusted: anything may be missing or of another type."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._by_mark: dict[str, list[Source]] = {}
        self._by_number: dict[str, Source] = {}
        for reference in _objects(metadata.get("content_references")):
            mark = reference.get("matched_text")
            if isinstance(mark, str) and mark.strip():
                self._by_mark.setdefault(mark, _sources_of(reference))
        for citation in _objects(metadata.get("citations")):
            details = _mapping(citation.get("metadata"))
            number = _mapping(details.get("extra")).get("cited_message_idx")
            source = _source(details)
            if source is not None and number is not None:
                self._by_number.setdefault(str(number), source)

    def sources(self, mark: re.Match[str]) -> list[Source]:
        """The pages that a mark stands for, none where nobody says so."""
        sources = self._by_mark.get(mark[0], [])
        if not sources and mark[2] is not None:
            return [source for source in [self._by_number.get(mark[2])] if source is not None]
        return sources

    def words(self, mark: re.Match[str]) -> str:
        """What a mark without sources says in plain words; one of the older form that nobody explains stays."""
        kind, *fields = (mark[1] or "").split("\ue202")
        if mark[2] is not None:
            return mark[0]
        return "" if kind in _SILENT or kind in ("cite", "filecite") or not fields else _spoken(fields)

    def html(self, mark: re.Match[str]) -> Markup:
        """What stands in the text for a mark."""
        kind, *fields = (mark[1] or "").split("\ue202")
        if sources := self.sources(mark):
            return _chips(sources)
        if mark[2] is not None or kind in ("cite", "filecite"):
            return Markup('<span class="source unknown" title="{}">{}</span>').format(
                " ".join(fields) or mark[2] or "", (mark[3] or "source")[:60]
            )
        if kind in _SILENT or not fields:
            return Markup("")
        return Markup("{}").format(_spoken(fields))


def without_marks(text: str) -> str:
    """A text for a line of plain words."""
    return re.sub("[\ue200-\ue206]", "", MARK.sub("", text))


def web_address(address: object) -> str | None:
    """An address that a click may open: http or https with a host; None for all else."""
    if not isinstance(address, str) or len(address) > 4_000 or re.search(r"[\x00-\x20\x7f]", address):
        return None
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and host else None


def host_of(address: str) -> str:
    """The name by which people know a site."""
    return (urlsplit(address).hostname or address).removeprefix("www.")


def source_cards(sources: Iterable[Row]) -> Markup:
    """A list of cards from rows of `citations`: each address once, those that no click may open left out."""
    cards: dict[str, Markup] = {}
    card = Markup(
        '<li><a class="card" href="{}" target="_blank" rel="noopener noreferrer nofollow">'
        '<span class="site">{}</span><span class="name" dir="auto">{}</span>{}</a></li>'
    )
    for row in sources:
        address = web_address(row["url"])
        if address is None or address in cards:
            continue
        snippet = (row["snippet"] or "").strip()[:200]
        shown = Markup('<span class="snippet" dir="auto">{}</span>').format(snippet) if snippet else ""
        title = (row["title"] or "").strip()[:200] or address
        cards[address] = card.format(address, host_of(address), title, shown)
    return Markup('<ul class="sources">{}</ul>').format(Markup("").join(cards.values())) if cards else Markup("")


def _chips(sources: list[Source]) -> Markup:
    first, *others = sources
    chip = _CHIP.format(first.address, first.title, first.publisher or host_of(first.address))
    if not others:
        return chip
    rest = Markup("").join(
        _CHIP.format(source.address, source.title, f"+{n}") for n, source in enumerate(others[:4], 1)
    )
    return chip + rest


def _spoken(fields: list[str]) -> str:
    """The words of a mark: `entity` holds a list whose second item is the name, others say their first field."""
    try:
        value = orjson.loads(fields[0])
    except orjson.JSONDecodeError:
        return fields[0][:200]
    words = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return words[min(1, len(words) - 1)][:200] if words else ""


def _sources_of(reference: Mapping[str, Any]) -> list[Source]:
    items = [item for key in ("items", "sources") for item in _objects(reference.get(key))]
    nested = [website for item in items for website in _objects(item.get("supporting_websites"))]
    found = {source.address: source for item in (reference, *items, *nested) if (source := _source(item)) is not None}
    return list(found.values())


def _source(entry: Mapping[str, Any]) -> Source | None:
    address = web_address(entry.get("url"))
    if address is None:
        return None
    title, publisher = entry.get("title"), entry.get("attribution")
    return Source(
        address,
        title[:200] if isinstance(title, str) else "",
        publisher[:60] if isinstance(publisher, str) else "",
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
