"""Markdown in the terminal's own colours, quiet: headings at the left, links with their addresses, no boxes."""

import re
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.text import Text
from rich.theme import Theme

_FORMULA = re.compile(r"\\[(\[]|\$\$")

_THEME = Theme(
    {
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.h4": "bold italic",
        "markdown.code": "cyan",
        "markdown.link": "blue",
        "markdown.link_url": "dim",
        "markdown.block_quote": "italic",
        "markdown.item.bullet": "yellow",
        "markdown.item.number": "yellow",
        "markdown.hr": "dim",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


class _LeftHeading(Heading):
    """A heading that stands where the text does."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.tag == "h1":
            yield Text("")
        self.text.justify = "left"
        yield self.text


class TerminalMarkdown(Markdown):
    """Markdown as a thread shows it. A terminal sets no formulas: they stand there as they were written."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _LeftHeading}

    def __init__(self, text: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.markup = text
        self.parsed = _parsed(text)


def _parsed(text: str) -> list[Token]:
    parser = MarkdownIt().enable("strikethrough").enable("table")
    if _FORMULA.search(text) is None:
        return parser.parse(text)
    from analysis.rendering import formula_rules

    formula_rules.install(parser)
    return [each for token in parser.parse(text) for each in _as_written(token)]


def _as_written(token: Token) -> list[Token]:
    """A formula as text, in a paragraph of its own where it stands alone; all else as it is."""
    if token.type != "formula":
        token.children = [_text(child.markup) if child.type == "formula" else child for child in token.children or []]
        return [token]
    inside = Token("inline", "", 0, content=token.markup, children=[_text(token.markup)])
    return [Token("paragraph_open", "p", 1), inside, Token("paragraph_close", "p", -1)]


def _text(words: str) -> Token:
    return Token("text", "", 0, content=words)


def print_markdown(out: Console, text: str, width: int) -> None:
    """Show a model's text. Addresses are written out: what is clicked should be seen."""
    with out.use_theme(_THEME):
        out.print(TerminalMarkdown(text), soft_wrap=False, width=width)
