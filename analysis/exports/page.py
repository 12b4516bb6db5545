"""Conversations as HTML: one page each, or one for all. A page is complete in itself and asks nothing of anybody.

Messages look as in the browser (`analysis.rendering`); images stand in the page. Even where the rendering were wrong,
the page's own policy lets nothing run and nothing be fetched.
"""

import base64
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup
from pygments.formatters import HtmlFormatter

from analysis.exports.media import StoredFiles
from analysis.exports.runs import Joined
from analysis.exports.talks import Talk, about
from analysis.exports.thread import Said, thread
from analysis.queries.conversations import UNTITLED
from analysis.queries.threads import Mention, cited
from analysis.rendering import Media, render, source_cards

NAME = "conversations.html"

_MOST_BYTES = 24_000_000
"""An image that is larger is shown small."""

_SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_HEAD = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta http-equiv="Content-Security-Policy" content="{}">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
    "<title>{}</title><style>{}</style></head><body>\n"
)
_FOOT = "</body></html>\n"


class PageExport:
    """Writes conversations; `small` shows images as their thumbnails, for a page of many conversations."""

    def __init__(
        self, stored: StoredFiles, *, branches: bool = False, tools: bool = False, small: bool = False
    ) -> None:
        self._stored = stored
        self._branches = branches
        self._tools = tools
        self._small = small
        self._numbers: dict[str, int] = {}

    def joined(self, talks: Sequence[Talk]) -> Joined:
        """One page for all, with a list of them at its top."""
        items = Markup("").join(
            Markup('<li><a href="#c{}">{}</a></li>\n').format(number, talk.title or UNTITLED)
            for number, talk in enumerate(talks)
        )
        self._numbers = {talk.id: number for number, talk in enumerate(talks)}
        # What is written first cannot know what comes later, so the list stands at the end and is shown at the top.
        closing = Markup("<nav><h1>{}</h1><ol>\n{}</ol></nav>\n").format("Conversations", items) + _FOOT
        manner = f"branches={self._branches} tools={self._tools}"
        return Joined(NAME, _head("Conversations").encode(), b"", closing.encode(), manner)

    def page(self, db: sqlite3.Connection, talk: Talk) -> Iterator[bytes]:
        """A page of one conversation."""
        yield _head(talk.title or UNTITLED).encode("utf-8", "replace")
        yield from self.conversation(db, talk)
        yield _FOOT.encode()

    def conversation(self, db: sqlite3.Connection, talk: Talk) -> Iterator[bytes]:
        """A conversation of a page, message by message."""
        row = about(db, talk)
        number = self._numbers.get(talk.id, 0)
        begun = (row["created_at"] or row["first_seen_at"] or "")[:10]
        title = Markup('<article id="c{}"><header><h1 dir="auto">{}</h1><p>{}</p></header>\n')
        yield title.format(number, talk.title or UNTITLED, begun).encode("utf-8", "replace")
        for said in thread(db, talk, branches=self._branches):
            if said.branch:
                yield b'<hr><p class="note">Another branch</p>\n'
            if said.gap:
                yield b'<p class="note">Something before this was not captured.</p>\n'
            yield self._message(db, said).encode("utf-8", "replace")
        yield b"</article>\n"

    def _message(self, db: sqlite3.Connection, said: Said) -> str:
        row = said.row
        if said.behind and not self._tools:
            return ""
        rendered = render(row, self._media(said))
        if not rendered.html.strip():
            return ""
        if said.behind:
            return Markup("<details><summary>{}</summary>{}</details>\n").format(rendered.summary, rendered.html)
        role = "person" if row["role"] == "user" else "model"
        at = (row["created_at"] or row["first_seen_at"] or "")[:16].replace("T", " ")
        facts = " \u00b7 ".join(fact for fact in (f"{at} UTC" if at else "", row["model_slug"] or "") if fact)
        cards = (
            source_cards(source._asdict() for source in cited(db, [row["n"]])[row["n"]])
            if role == "model"
            else Markup("")
        )
        if rendered.clipped:
            cards += Markup('<p class="note">The rest of this message is too long to be shown here.</p>')
        return Markup('<section class="{}">{}{}<footer>{}</footer></section>\n').format(
            role, rendered.html, cards, facts
        )

    def _media(self, said: Said) -> dict[str, Media]:
        found: dict[str, Media] = {}
        for asset in said.assets:
            media = Media(
                kind=asset.kind or "file",
                address=self._address(asset),
                name=asset.name or "",
                width=asset.width,
                height=asset.height,
                size_bytes=asset.size_bytes,
            )
            found[asset.asset_id] = media
            if asset.pointer:
                found[asset.pointer] = media
        return found

    def _address(self, asset: Mention) -> str | None:
        """The image itself, as an address; None where its bytes are not there or it is no image."""
        small = "image/webp", asset.thumbnail_path
        for kind, path in [small] if self._small else [(asset.mime_type, asset.path), small]:
            file = self._stored.open(path) if kind in _SHOWN else None
            if file is not None:
                with file:
                    content = file.read(_MOST_BYTES + 1)
                if len(content) <= _MOST_BYTES:
                    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
        return None


def _head(title: str) -> str:
    colours = HtmlFormatter(style="default").get_style_defs("pre")
    dark = HtmlFormatter(style="github-dark").get_style_defs("pre")
    style = Path(__file__).with_name("page.css").read_text("utf-8")
    style += f"{colours}\n@media (prefers-color-scheme: dark) {{ {dark} }}\npre {{ background: none }}"
    return _HEAD.format(_POLICY, title, Markup(style))
