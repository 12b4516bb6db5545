"""Markdown in the terminal's own colours, quiet: headings at the left, links with their addresses, no boxes."""

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.text import Text
from rich.theme import Theme

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
    """Markdown as a thread shows it."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _LeftHeading}


def print_markdown(out: Console, text: str, width: int) -> None:
    """Show a model's text. Addresses are written out: what is clicked should be seen."""
    with out.use_theme(_THEME):
        out.print(TerminalMarkdown(text, code_theme="ansi_dark", hyperlinks=False), soft_wrap=False, width=width)
