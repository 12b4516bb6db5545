"""What is searched of messages besides their texts, and which of both by parts of words too."""

import re

from addon.wire.payload import array, loads, mapping, scalars

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


def transcript(content: str | None) -> str | None:
    """What was said aloud in a message, as the service heard it: the `audio_transcription` parts, a line each."""
    if content is None or '"audio_transcription"' not in content:
        return None
    parts = map(mapping, array(mapping(loads(content.encode())).get("parts")))
    heard = [part.get("text") for part in parts if part.get("content_type") == "audio_transcription"]
    return scalars("\n".join(text for text in heard if isinstance(text, str))) or None
