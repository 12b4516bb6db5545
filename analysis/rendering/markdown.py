"""Markdown, as a model writes it -> safe HTML.

Whatever the text says: only the tags, attributes and schemes listed below come out, nothing in the result makes a
browser fetch anything (an image becomes a link to it), and the time grows with the text.

The text passes markdown-it with raw HTML off, then nh3. What is made here and is trusted (formulas, coloured code,
citation chips) stands in between as a numbered place, which only the renderer can write: these characters are taken
out of the text first.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from analysis.rendering import formula_rules
from analysis.rendering.code import code_block
from analysis.rendering.formulas import formula
from analysis.rendering.sources import MARK, host_of, web_address

_SHOWN_WHOLE, _SHOWN_LINES = 1_500, 18
"""How much of what a person typed is surely shown without scrolling."""

type Resolve = Callable[[re.Match[str]], Markup]

# Private-use characters of our own: of a mark on its way through the parser, and of a finished fragment.
_MARK_OPEN, _MARK_CLOSE, _PLACE_OPEN, _PLACE_CLOSE = "\uf5a0", "\uf5a1", "\uf5a2", "\uf5a3"
_STRAY = re.compile("[\ue200-\ue206\uf5a0-\uf5a3\x00]")
_MARK_PLACE = re.compile(f"{_MARK_OPEN}(\\d+){_MARK_CLOSE}")
_FRAGMENT_PLACE = re.compile(f"{_PLACE_OPEN}(\\d+){_PLACE_CLOSE}")
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|\\^{}\uf5a0-\uf5a3\uff0c\u3002\uff1b\u3001\uff09\u3011\u300d\u300f]+")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_LINES = frozenset({"paragraph_open", "heading_open"})
_BOXES = frozenset({"blockquote_open", "bullet_list_open", "ordered_list_open", "table_open"})

_CLEANER = nh3.Cleaner(
    tags={
        "p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "strong", "em", "s", "code", "a",
        "div", "table", "thead", "tbody", "tr", "th", "td",
    },
    attributes={
        "*": {"dir"}, "a": {"href"}, "ol": {"start"}, "th": {"style"}, "td": {"style"}, "div": {"class", "tabindex"},
    },
    filter_style_properties={"text-align"},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)  # fmt: skip


def markdown(text: str, resolve: Resolve | None = None) -> Markup:
    """The HTML of a text; `resolve` says what stands for a citation mark, without it marks are left out."""
    marks: list[re.Match[str]] = []

    def hold(mark: re.Match[str]) -> str:
        marks.append(mark)
        return f"{_MARK_OPEN}{len(marks) - 1}{_MARK_CLOSE}"

    # Marks first: their own characters are among those that are taken out.
    parts, end = [], 0
    for mark in MARK.finditer(text):
        parts += [_STRAY.sub("", text[end : mark.start()]), hold(mark)]
        end = mark.end()
    parts.append(_STRAY.sub("", text[end:]))
    fragments: list[Markup] = []
    env = {"fragments": fragments, "marks": [resolve(mark) if resolve else Markup("") for mark in marks]}
    clean = _CLEANER.clean(_PARSER.render("".join(parts), env))
    return Markup(_FRAGMENT_PLACE.sub(lambda place: fragments[int(place[1])], clean))


def plain(text: str) -> Markup:
    """A text as it was typed, line by line; a long one is looked through in its place, also by keyboard."""
    long = Markup(' tabindex="0"') if len(text) > _SHOWN_WHOLE or text.count("\n") > _SHOWN_LINES else ""
    return Markup('<div class="typed"{} dir="auto">{}</div>').format(long, text.rstrip())


def _place(env: EnvType, fragment: Markup) -> str:
    env["fragments"].append(fragment)
    return f"{_PLACE_OPEN}{len(env['fragments']) - 1}{_PLACE_CLOSE}"


def _unmarked(text: str) -> str:
    """A text in which a mark has no place, such as code."""
    return _MARK_PLACE.sub("", text)


def _fence(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[at]
    return _place(env, code_block(_unmarked(token.content), _unmarked(token.info))) + "\n"


def _inline_code(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    return Markup("<code>{}</code>").format(_unmarked(tokens[at].content))


def _formula(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[at]
    return _place(env, formula(_unmarked(token.content), token.info == "display"))


def _mark(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    number = int(tokens[at].content)
    return _place(env, env["marks"][number])


def _image(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    """An image elsewhere is not loaded, which would tell its server who reads; a click opens it."""
    token = tokens[at]
    address = web_address(token.attrGet("src"))
    alt = _unmarked(token.content).strip()[:200]
    if address is None:
        return _place(env, Markup('<span class="unloaded">{}</span>').format(alt or "image"))
    return _place(
        env,
        Markup('<a class="unloaded" href="{}" target="_blank" rel="noopener noreferrer nofollow">{} ({})</a>').format(
            address, alt or "image", host_of(address)
        ),
    )


def _table_open(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    direction = ' dir="rtl"' if tokens[at].attrGet("dir") else ""
    return f'<div class="wide" tabindex="0"><table{direction}>\n'


def _table_close(self: RendererProtocol, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
    return "</table></div>\n"


def _line_break(state: StateInline, silent: bool) -> bool:
    """`<br>`, the one tag that models write and ChatGPT's own page obeys: a line in the cell of a table."""
    tag = _BREAK.match(state.src, state.pos)
    if tag is None:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = tag.end()
    return True


def _finish_blocks(state: StateCore) -> None:
    """Text directions by the text itself; headings below those of the page; boxes of task lists as characters."""
    for place, token in enumerate(state.tokens):
        if token.type in _LINES:
            token.attrSet("dir", "auto")
        elif token.type in _BOXES and _runs_leftward(state.tokens, place):
            token.attrSet("dir", "rtl")
        if token.tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        if token.type == "inline" and token.children:
            token.children = [piece for child in token.children for piece in _split(child)]
            first = token.children[0]
            if first.type == "text" and re.match(r"\[[ xX]\] ", first.content):
                first.content = ("\u2610 " if first.content[1] == " " else "\u2611 ") + first.content[4:]
            _link_addresses(token)


def _runs_leftward(tokens: Sequence[Token], place: int) -> bool:
    """Whether the first letter in a box is of a script that is written from right to left.

    `dir="auto"` does not look into what has a direction of its own, and that is all there is in a list or a table.
    """
    for token in tokens[place : place + 200]:
        for character in token.content[:200] if token.type == "inline" else "":
            direction = unicodedata.bidirectional(character)
            if direction in ("L", "R", "AL"):
                return direction != "L"
    return False


def _split(token: Token) -> list[Token]:
    """A text token cut at the marks in it."""
    if token.type != "text" or _MARK_OPEN not in token.content:
        return [token]
    pieces = []
    for n, content in enumerate(_MARK_PLACE.split(token.content)):
        piece = Token("mark" if n % 2 else "text", "", 0)
        piece.content, piece.level = content, token.level
        pieces.append(piece)
    return pieces


def _link_addresses(inline: Token) -> None:
    """Addresses that stand in the text, outside links, become links."""
    children: list[Token] = []
    depth = 0
    for token in inline.children or []:
        depth += (token.type == "link_open") - (token.type == "link_close")
        if token.type != "text" or depth or "://" not in token.content:
            children.append(token)
            continue
        end = 0
        for match in _ADDRESS.finditer(token.content):
            address = _balanced(match[0])
            if web_address(address) is None:
                continue
            children += [_text(token.content[end : match.start()]), *_link(address)]
            end = match.start() + len(address)
        children.append(_text(token.content[end:]))
    inline.children = children


def _balanced(address: str) -> str:
    """An address without the punctuation of the sentence around it."""
    while address and (address[-1] in ".,;:!?*_~]" or (address[-1] == ")" and address.count("(") < address.count(")"))):
        address = address[:-1]
    return address


def _link(address: str) -> list[Token]:
    opening, closing = Token("link_open", "a", 1), Token("link_close", "a", -1)
    opening.attrSet("href", address)
    return [opening, _text(address if len(address) <= 80 else address[:79] + "\u2026"), closing]


def _text(content: str) -> Token:
    token = Token("text", "", 0)
    token.content = content
    return token


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 60}).enable(["table", "strikethrough"])
    formula_rules.install(parser)
    parser.inline.ruler.before("html_inline", "line_break", _line_break)
    parser.core.ruler.push("finish_blocks", _finish_blocks)
    rules: dict[str, Callable[..., Any]] = {
        "fence": _fence,
        "code_block": _fence,
        "code_inline": _inline_code,
        "formula": _formula,
        "mark": _mark,
        "image": _image,
        "table_open": _table_open,
        "table_close": _table_close,
    }
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


_PARSER = _parser()
