"""A conversation as a Markdown file: front matter, what was said, images beside it, sources as footnotes."""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from addon.wire.payload import array, loads, mapping
from analysis.exports.media import Copies
from analysis.exports.talks import Talk, about
from analysis.exports.thread import Said, thread
from analysis.queries.conversations import UNTITLED
from analysis.rendering import render, web_address, without_marks
from analysis.rendering.sources import MARK, Cited, Source, host_of

FOLDER = "files"
"""Where images and other files lie, beside the Markdown files."""

_FENCE = re.compile(r"^\s*(`{3,})", re.MULTILINE)


class MarkdownExport:
    """Writes conversations; `branches` all of their branches, `tools` also what happened behind the answers."""

    def __init__(self, copies: Copies, *, branches: bool = False, tools: bool = False) -> None:
        self._copies = copies
        self._branches = branches
        self._tools = tools

    def conversation(self, db: sqlite3.Connection, talk: Talk) -> Iterator[bytes]:
        """One file, message by message."""
        row = about(db, talk)
        title = _line(talk.title or UNTITLED)
        yield f"{_front_matter(row, title)}\n# {title}\n".encode()
        notes = _Footnotes()
        for said in thread(db, talk, branches=self._branches):
            if said.branch:
                yield b"\n---\n\n*Another branch:*\n"
            if said.gap:
                yield b"\n*(Something before this was not captured.)*\n"
            if not said.behind:
                yield self._message(said, notes).encode("utf-8", "replace")
            elif self._tools and (said.row["text"] or "").strip():
                yield _folded(said.row).encode("utf-8", "replace")
        yield notes.text().encode("utf-8", "replace")

    def _message(self, said: Said, notes: "_Footnotes") -> str:
        row = said.row
        body = "\n\n".join(part for part in self._parts(said, notes) if part.strip())
        if not body:
            return ""
        who = {"user": "You", "assistant": "ChatGPT"}.get(row["role"], "ChatGPT")
        at = (row["created_at"] or row["first_seen_at"] or "")[:16].replace("T", " ")
        facts = " · ".join(fact for fact in (f"{at} UTC" if at else "", row["model_slug"] or "") if fact)
        return f"\n## {who}\n\n*{_line(facts)}*\n\n{body}\n"

    def _parts(self, said: Said, notes: "_Footnotes") -> Iterator[str]:
        row, links = said.row, _Links(said, self._copies)
        cited = Cited(_object(row["metadata"])) if row["role"] == "assistant" else None

        def words(text: str) -> str:
            if cited is None:
                return text
            return MARK.sub(lambda mark: notes.of(cited.sources(mark)) or cited.words(mark), text)

        if row["content_type"] == "multimodal_text":
            for part in array(_object(row["content"]).get("parts")):
                if isinstance(part, str):
                    yield words(part)
                else:
                    yield links.part(mapping(part))
        else:
            yield words(row["text"] or "")
        yield links.rest()


class _Footnotes:
    """Sources by their addresses, numbered as they are first named."""

    def __init__(self) -> None:
        self._notes: dict[str, tuple[int, Source]] = {}

    def of(self, sources: list[Source]) -> str:
        """The marks of some sources."""
        numbers = [self._notes.setdefault(each.address, (len(self._notes) + 1, each))[0] for each in sources]
        return "".join(f"[^{number}]" for number in dict.fromkeys(numbers))

    def text(self) -> str:
        """All notes, at the end."""
        lines = []
        for number, source in self._notes.values():
            title = _line(source.title or source.publisher or host_of(source.address))
            lines.append(f"[^{number}]: [{_escaped(title)}](<{_address(source.address)}>)\n")
        return "\n" + "".join(lines) if lines else ""


class _Links:
    """The files of one message as links, each once: where its pointer stands, or at the end."""

    def __init__(self, said: Said, copies: Copies) -> None:
        self._copies = copies
        self._assets = {asset.asset_id: asset for asset in said.assets if asset.variant != "thumbnail" or asset.path}
        self._pointers = {asset.pointer: asset.asset_id for asset in said.assets}

    def part(self, part: Mapping[str, Any]) -> str:
        """What stands for a part that is no text."""
        if part.get("content_type") == "audio_transcription":
            return "\n".join(f"> {line}" for line in str(part.get("text") or "").splitlines())
        pointer = part.get("asset_pointer") or mapping(part.get("audio_asset_pointer")).get("asset_pointer")
        if not isinstance(pointer, str):
            return ""
        identity = self._pointers.get(pointer.partition("?")[0], "")
        return self._link(identity) if identity in self._assets else ""

    def rest(self) -> str:
        """The files that stood nowhere in the text."""
        return "\n".join(self._link(identity) for identity in list(self._assets))

    def _link(self, identity: str) -> str:
        asset = self._assets.pop(identity)
        name, is_image = self._copies.take(asset), asset.kind == "image"
        label = _escaped(_line(asset.name or ("Image" if is_image else "File")))
        if name is None:
            size = f", {asset.width} \u00d7 {asset.height}" if asset.width and asset.height else ""
            return f"*({label}{size}, not captured)*"
        return f"{'!' if is_image else ''}[{label}]({FOLDER}/{name})"


def _front_matter(row: sqlite3.Row, title: str) -> str:
    """YAML; every value is a JSON string or a word of ours."""
    fields = {
        "title": title,
        "id": row["id"],
        "url": f"https://chatgpt.com/c/{row['id']}",
        "created": row["created_at"] or row["first_seen_at"],
        "updated": row["updated_at"] or row["last_seen_at"],
        "model": row["default_model_slug"],
        "gpt": row["gizmo_id"],
    }
    lines = [f"{key}: {json.dumps(_line(value), ensure_ascii=False)}" for key, value in fields.items() if value]
    lines += [f"{key}: true" for key in ("archived", "starred", "temporary") if row[f"is_{key}"]]
    return "---\n" + "\n".join(lines) + "\n---\n"


def _folded(row: sqlite3.Row) -> str:
    """What happened behind an answer, to be opened from a line that says what it was."""
    text = (row["text"] or "").strip()
    fence = "`" * max([3, *(len(found) + 1 for found in _FENCE.findall(text))])
    summary = _line(without_marks(render(row).summary)).replace("&", "&amp;").replace("<", "&lt;")
    return f"\n<details><summary>{summary}</summary>\n\n{fence}\n{text}\n{fence}\n\n</details>\n"


def _line(text: str) -> str:
    """Text on one line, without what could steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]\\`*_<>!])", r"\\\1", text)


def _address(address: str) -> str:
    return (web_address(address) or "").replace("<", "%3C").replace(">", "%3E")


def _object(text: str | None) -> dict[str, Any]:
    return mapping(loads(text.encode())) if text else {}
