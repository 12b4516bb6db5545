"""Source code -> HTML with a class on each token; colours are the page's.

Unknown languages and long texts stay plain.
"""

from functools import lru_cache

from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_LONGEST = 20_000
"""Characters that are coloured: lexers are regular expressions, and slow ones exist."""

_ALIASES = {
    "python3": "python",
    "jsonc": "json",
    "shell-session": "console",
    "plaintext": "",
    "unknown": "",
    "text": "",
}

_FORMATTER = HtmlFormatter(nowrap=True)


def code_block(source: str, language: str = "") -> Markup:
    """A block of code under the name of its language."""
    language = language.strip().split(" ")[0].lower()[:40]
    label = Markup("<figcaption>{}</figcaption>").format(language) if language not in ("", "unknown") else ""
    return Markup('<figure class="code">{}<pre tabindex="0"><code>{}</code></pre></figure>').format(
        label, highlighted(source, language)
    )


def highlighted(source: str, language: str) -> Markup:
    """The tokens of a source text, each in a span of its class."""
    source = source.rstrip("\n")
    lexer = _lexer(_ALIASES.get(language, language))
    if lexer is None or len(source) > _LONGEST:
        return escape(source)
    return Markup(highlight(source, lexer, _FORMATTER).rstrip("\n"))


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False) if language else None
    except ClassNotFound:
        return None
