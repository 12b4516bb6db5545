r"""LaTeX, as a model writes it -> MathML that browsers draw without a script or a font from elsewhere.

What the converter does not know stays as it was written. Its own serialization is not used: it leaves what stands in
`\text{…}` unescaped and knows commands that set links and styles.
"""

import html
import re
from functools import lru_cache
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element
from markupsafe import Markup

_LONGEST = 4_000
"""Characters of one formula; longer ones stay text."""

_ELEMENTS = frozenset(
    {
        "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup",
        "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "none", "mtable", "mtr", "mtd", "mstyle",
        "mpadded", "mphantom", "menclose", "merror", "ms",
    }
)  # fmt: skip
_ATTRIBUTES = frozenset(
    {
        "display", "displaystyle", "scriptlevel", "mathvariant", "mathcolor", "stretchy", "fence", "form", "separator",
        "accent", "accentunder", "largeop", "movablelimits", "symmetric", "minsize", "maxsize", "lspace", "rspace",
        "width", "height", "depth", "voffset", "columnalign", "rowspacing", "columnspacing", "columnlines", "rowlines",
        "linethickness", "notation", "linebreak",
    }
)  # fmt: skip

# Names the converter lacks, in the words it has.
_SPELLINGS = (
    (re.compile(r"\\(begin|end)\{(?:aligned|alignedat|gathered|split)\}"), r"\\\1{align*}"),
    (re.compile(r"\\(?:d|t)frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:label|tag)\{[^{}]*\}"), ""),
)


@lru_cache(maxsize=4096)
def formula(latex: str, display: bool) -> Markup:
    """A formula as MathML; as code where it cannot be read."""
    tree = _tree(latex, display)
    if tree is None:
        mark = "math display" if display else "math"
        return Markup('<code class="{}">{}</code>').format(mark, latex.strip())
    shape = "display" if display else "inline"
    return Markup('<span class="math {}">{}</span>').format(shape, _serialized(tree))


def _tree(latex: str, display: bool) -> Element | None:
    if len(latex) > _LONGEST:
        return None
    for pattern, instead in _SPELLINGS:
        latex = pattern.sub(instead, latex)
    try:
        return convert_to_element(latex, display="block" if display else "inline")
    except Exception:
        # The converter raises whatever its parts raise on what is no LaTeX, and RecursionError on deep nesting.
        return None


def _serialized(element: Element) -> Markup:
    inner = Markup("").join([_text(element.text), *(_with_tail(child) for child in element)])
    if element.tag not in _ELEMENTS:
        return inner
    attributes = [(name, value) for name, value in element.attrib.items() if name in _ATTRIBUTES]
    written = Markup("").join(Markup(' {}="{}"').format(name, value) for name, value in attributes)
    return Markup("<{0}{1}>{2}</{0}>").format(element.tag, written, inner)


def _with_tail(element: Element) -> Markup:
    return _serialized(element) + _text(element.tail)


def _text(text: str | None) -> Markup:
    # Symbols stand in the tree as character references.
    return Markup(html.escape(html.unescape(text or "")))
