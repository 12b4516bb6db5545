"""Which texts are searched by parts of words too: those in scripts without blanks between words, and code."""

import re

# Scripts without blanks between words (Thai to Khmer, Chinese, Japanese, Korean), and code.
_IN_PARTS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]|```"
)


def in_parts(text: str | None) -> bool:
    """Whether parts of words are searched in a text: the index of them is the larger one, and dear to write."""
    if text is None or text.isascii():
        return text is not None and "```" in text
    return _IN_PARTS.search(text) is not None
