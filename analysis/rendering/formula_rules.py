r"""Where formulas stand in Markdown: `\( … \)` in a line, `\[ … \]` and `$$ … $$` in a line or as a block.

A single dollar is money, as on ChatGPT's own page.
"""

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_PAIRS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
_REACH = 4_000
"""How far from its opening a formula may end: what does not end there is looked through once, not again and again."""

_LINES = 100


def install(parser: MarkdownIt) -> None:
    """Teach a parser both rules."""
    parser.inline.ruler.before("escape", "formula", _inline)
    parser.block.ruler.before(
        "fence", "formula_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _inline(state: StateInline, silent: bool) -> bool:
    start = state.pos
    opening = state.src[start : start + 2]
    closing = _PAIRS.get(opening)
    if closing is None:
        return False
    end = state.src.find(closing, start + 2, start + 2 + _REACH)
    content = state.src[start + 2 : end]
    if end < 0 or not content.strip():
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.info = content, "inline" if opening == "\\(" else "display"
        token.markup = state.src[start : end + 2]
    state.pos = end + 2
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    opening = first[:2]
    if opening not in ("\\[", "$$") or state.is_code_block(start):
        return False
    closing = _PAIRS[opening]
    lines, line = [first[2:]], start
    while closing not in lines[-1]:
        line += 1
        # A line that stands further out belongs to what is around.
        if line >= min(end, start + _LINES) or (state.sCount[line] < state.blkIndent and not state.isEmpty(line)):
            return False
        lines.append(state.getLines(line, line + 1, state.blkIndent, False))
    content, _, rest = "\n".join(lines).rpartition(closing)
    if rest.strip() or not content.strip() or closing in content:
        return False  # words go on behind it: the rule for lines sees to that
    if not silent:
        token = state.push("formula", "", 0)
        token.block, token.content, token.info = True, content, "display"
        token.markup = f"{opening}{content}{closing}"
        token.map = [start, line + 1]
        state.line = line + 1
    return True
