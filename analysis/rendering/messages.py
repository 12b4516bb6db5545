"""One row of `messages` -> safe HTML: what a person reads, or a line that opens to what happened behind it.

Pure: no database, no server. The page says where files are (`media`) and what stands around a message: author, times,
branches. The row is untrusted, as everything that came over the wire: content of any shape is shown, never an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from markupsafe import Markup

from analysis.rendering import calls
from analysis.rendering.code import code_block
from analysis.rendering.markdown import markdown, plain
from analysis.rendering.media import Media, figure, file_line
from analysis.rendering.sources import Cited, Row, host_of, web_address, without_marks

LONGEST = 100_000
"""Characters of one message that are rendered; the rest is in its raw form."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as HTML. `folded`: it is opened from `summary`, one line of plain text. `clipped`: there is more."""

    html: Markup
    summary: str = ""
    folded: bool = False
    clipped: bool = False


def render(row: Row, media: Mapping[str, Media] | None = None) -> Rendered:
    """The HTML of a message; `media` by asset pointer (without its query) and by asset id."""
    content, metadata = _object(row["content"]), _object(row["metadata"])
    message = _Message(row, content, metadata, media or {})
    rendered = _BY_TYPE.get(row["content_type"] or "", _Message.unknown)(message)
    # A call is hidden too, and knows itself how it is shown.
    hidden = not row["visible"] and not (row["role"] == "assistant" and row["recipient"] not in (None, "all"))
    clipped = len(row["text"] or "") > LONGEST
    summary = " ".join(without_marks(rendered.summary or _behind(row)).split())[:240]
    return Rendered(rendered.html, summary, rendered.folded or hidden, clipped)


@dataclass(frozen=True, slots=True)
class _Message:
    row: Row
    content: Mapping[str, Any]
    metadata: Mapping[str, Any]
    media: Mapping[str, Media]

    @property
    def said(self) -> str:
        return (self.row["text"] or "")[:LONGEST]

    def text(self) -> Rendered:
        """Words of the person, of the model, or between the model and a tool."""
        recipient = self.row["recipient"] or "all"
        if self.row["role"] == "assistant" and recipient != "all":
            return Rendered(*calls.call(recipient, self.said, ""), folded=True)
        if self.row["role"] == "tool":
            return Rendered(*calls.answer(self.row["author_name"] or "", self.said), folded=True)
        return Rendered(self.words(self.said) + self.attachments(set()))

    def words(self, text: str) -> Markup:
        if not text.strip():
            return Markup("")
        return plain(text) if self.row["role"] == "user" else markdown(text, Cited(self.metadata).html)

    def multimodal(self) -> Rendered:
        """Words, images, recordings and what was said in them, in the order in which they were sent."""
        shown: set[str] = set()
        pieces, room = [], LONGEST
        for part in _list(self.content.get("parts")):
            if isinstance(part, str):
                pieces.append(self.words(part[:room]))
                room = max(0, room - len(part))
            elif isinstance(part, dict):
                pieces.append(self.part(part, shown))
        pieces.append(self.attachments(shown))
        # What a tool shows the person is an answer; what it only tells the model is not.
        words = " ".join(part for part in _list(self.content.get("parts")) if isinstance(part, str))
        return Rendered(Markup("").join(pieces), summary=words[:240])

    def part(self, part: Mapping[str, Any], shown: set[str]) -> Markup:
        kind = part.get("content_type")
        if kind == "audio_transcription":
            return Markup('<blockquote class="spoken" dir="auto">{}</blockquote>').format(str(part.get("text") or ""))
        if kind == "real_time_user_audio_video_asset_pointer":
            return self.part(_mapping(part.get("audio_asset_pointer")), shown)
        pointer = part.get("asset_pointer")
        if not isinstance(pointer, str):
            return _raw(part)
        shown.add(_identity(pointer))
        media = self.file(pointer)
        if kind == "audio_asset_pointer" or media.kind == "audio":
            return file_line(media, "Voice recording")
        return figure(media, part)

    def file(self, pointer: str) -> Media:
        pointer = pointer.partition("?")[0]
        return self.media.get(pointer) or self.media.get(_identity(pointer)) or Media()

    def attachments(self, shown: set[str]) -> Markup:
        lines = []
        for attachment in _list(self.metadata.get("attachments")):
            identity, name = _mapping(attachment).get("id"), _mapping(attachment).get("name")
            if not isinstance(identity, str) or identity in shown:
                continue
            media = self.media.get(identity) or Media(name=str(name or identity)[:200])
            is_image = media.kind == "image" and media.address is not None
            lines.append(figure(media, {}) if is_image else file_line(media, ""))
        return Markup('<div class="files">{}</div>').format(Markup("").join(lines)) if lines else Markup("")

    def code(self) -> Rendered:
        """A call, or what a tool wrote as code."""
        language = str(self.content.get("language") or "")
        if self.row["role"] == "tool":
            return Rendered(*calls.answer(self.row["author_name"] or "", self.said), folded=True)
        html, summary = calls.call(self.row["recipient"] or "all", self.said, language)
        return Rendered(html, summary, folded=not summary.startswith("Wrote the document"))

    def output(self) -> Rendered:
        """What code that was run printed and drew."""
        result = _mapping(self.metadata.get("aggregate_result"))
        pointers = [_mapping(entry).get("image_url") for entry in _list(result.get("messages"))]
        images = [figure(self.file(pointer), {}) for pointer in pointers if isinstance(pointer, str)]
        first = next((line.strip() for line in self.said.splitlines() if line.strip()), "")
        if first == _DRAWN and images:
            first = ""
        printed = Markup('<pre class="output" tabindex="0">{}</pre>').format(self.said) if first else Markup("")
        summary = f"Output: {first}" if first else "Output"
        return Rendered(printed + Markup("").join(images), summary, folded=not images)

    def thoughts(self) -> Rendered:
        """Each thought under its summary."""
        pieces, summaries, room = [], [], LONGEST
        for thought in map(_mapping, _list(self.content.get("thoughts"))):
            summary, said = str(thought.get("summary") or ""), str(thought.get("content") or "")
            if summary or said:
                heading = Markup('<h4 dir="auto">{}</h4>').format(summary[:400]) if summary else Markup("")
                pieces.append(heading + markdown(said[:room]))
                room = max(0, room - len(said))
                summaries.append(summary)
        seconds = self.row["reasoning_seconds"]
        took = f"Thought for {duration(seconds)}" if seconds else "Thoughts"
        spoken = " \u00b7 ".join(summary for summary in summaries if summary)
        return Rendered(Markup("").join(pieces), f"{took}: {spoken}" if spoken else took, folded=True)

    def recap(self) -> Rendered:
        """How long the model thought: a line that has nothing behind it."""
        return Rendered(Markup('<p class="recap" dir="auto">{}</p>').format(self.said), self.said, folded=True)

    def quote(self) -> Rendered:
        """A page that a tool has read."""
        address = web_address(self.content.get("url"))
        title = str(self.content.get("title") or self.content.get("domain") or "A page")[:200]
        head = Markup('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>').format(address, title)
        words = markdown(self.said)
        html = Markup('<blockquote class="page" dir="auto"><p>{}</p>{}</blockquote>').format(
            head if address else title, words
        )
        site = f" on {host_of(address)}" if address else ""
        return Rendered(html, f"Read {title}{site}", folded=True)

    def display(self) -> Rendered:
        """What the browsing tool of 2023 and 2024 saw."""
        said = "\n\n".join(part for key in ("summary", "result") if isinstance(part := self.content.get(key), str))
        return Rendered(markdown(said[:LONGEST], Cited(self.metadata).html), "What the browser saw", folded=True)

    def error(self) -> Rendered:
        """What went wrong, in the service's words."""
        name = str(self.content.get("name") or "Error")[:200]
        html = Markup('<div class="failure" role="note"><strong>{}</strong> <span dir="auto">{}</span></div>')
        return Rendered(html.format(name, self.said), f"{name}: {self.said}")

    def context(self) -> Rendered:
        """What the model is told of the person before anything is said."""
        names = {"user_editable_context": "Custom instructions", "model_editable_context": "Memory"}
        title = names.get(self.row["content_type"], "Context")
        pieces = [
            Markup("<h4>{}</h4>").format(key.replace("_", " ")) + plain(value[:LONGEST])
            for key, value in self.content.items()
            if isinstance(value, str) and value and key != "content_type"
        ]
        return Rendered(Markup("").join(pieces), title, folded=True)

    def screen(self) -> Rendered:
        """What an agent's computer showed."""
        shot = _mapping(self.content.get("screenshot"))
        if isinstance(shot.get("asset_pointer"), str):
            return Rendered(self.part(shot, set()), "Screen of the agent's computer")
        return self.unknown()

    def unknown(self) -> Rendered:
        """A content type nobody knew: its text where there is one, else as it came."""
        kind = self.row["content_type"]
        if self.said:
            return Rendered(self.words(self.said), folded=kind is not None)
        return Rendered(_raw(self.content) if self.content else Markup(""), kind or "", folded=bool(self.content))


_DRAWN = "<<ImageDisplayed>>"
"""What Python says it printed where it drew."""

_BY_TYPE = {
    "text": _Message.text,
    "multimodal_text": _Message.multimodal,
    "code": _Message.code,
    "execution_output": _Message.output,
    "thoughts": _Message.thoughts,
    "reasoning_recap": _Message.recap,
    "tether_quote": _Message.quote,
    "sonic_webpage": _Message.quote,
    "tether_browsing_display": _Message.display,
    "system_error": _Message.error,
    "user_editable_context": _Message.context,
    "model_editable_context": _Message.context,
    "app_pairing_content": _Message.context,
    "computer_output": _Message.screen,
}


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    spoken = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in spoken if number) or "0 s"


def _behind(row: Row) -> str:
    """A line for what the page of the service does not show."""
    who = {"system": "System", "user": "From the person", "tool": calls.tool_name(row["author_name"] or "")}
    name = who.get(row["role"] or "", "From the model" if row["role"] == "assistant" else row["role"] or "Message")
    said = (row["text"] or "").strip()[:200]
    return f"{name}: {said}" if said else f"{name}, without words"


def _raw(value: Mapping[str, Any]) -> Markup:
    return code_block(json.dumps(value, ensure_ascii=False, indent=2)[:LONGEST], "json")


def _object(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        return _mapping(orjson.loads(text))
    except orjson.JSONDecodeError:
        return {}


def _identity(pointer: str) -> str:
    """The id of the file behind a pointer: what stands behind its scheme."""
    return pointer.partition("?")[0].partition("://")[2] or pointer


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
