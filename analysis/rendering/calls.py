"""Calls to tools and what they answered: one line that says what was done, and the whole of it below.

What the arguments of a call look like is known from recorded traffic and may change: what is not understood is shown
as code.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from markupsafe import Markup

from analysis.rendering.code import code_block
from analysis.rendering.markdown import markdown

_PYTHON = frozenset({"python", "python_user_visible", "container.exec", "code_interpreter"})
_IMAGES = frozenset({"dalle.text2im", "t2uay3k.sj1i4kz", "image_gen.text2im", "image_gen"})
_SEARCHES = ("web", "browser")
_LONGEST = 100_000


def call(recipient: str, text: str, language: str) -> tuple[Markup, str]:
    """What stands for a call, and its summary."""
    arguments = _arguments(text)
    if recipient.startswith("canmore.") and arguments:
        return _canvas(recipient, arguments)
    if recipient in _PYTHON:
        lines = text.strip().count("\n") + 1 if text.strip() else 0
        return code_block(text[:_LONGEST], "python"), f"Ran code, {lines} line{'s' if lines != 1 else ''}"
    return _source(text, language, arguments), _summary(recipient, text, arguments)


def answer(author: str, text: str) -> tuple[Markup, str]:
    """What a tool answered, and its summary."""
    arguments = _arguments(text)
    name = tool_name(author)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if arguments:
        return _source(text, "json", arguments), f"Answer of {name}"
    return markdown(text[:_LONGEST]), f"Answer of {name}: {first}" if first else f"Answer of {name}"


def document(name: str, kind: str, content: str) -> Markup:
    """A canvas document: words, or code when its kind is `code/<language>`."""
    content = content[:_LONGEST]
    body = code_block(content, kind.partition("/")[2]) if kind.startswith("code") else markdown(content)
    headed = content.lstrip().startswith(f"# {name}\n")
    heading = Markup("") if headed else Markup('<h3 dir="auto">{}</h3>').format(name)
    return Markup('<section class="document">{}{}</section>').format(heading, body)


def tool_name(name: str) -> str:
    """What a tool is called in a sentence."""
    if name in _IMAGES:
        return "the image tool"
    if name in _PYTHON:
        return "Python"
    if name.partition(".")[0] in _SEARCHES:
        return "the web search"
    if name.startswith("canmore."):
        return "the canvas"
    return {"bio": "the memory", "myfiles_browser": "the file search"}.get(name, name or "a tool")


def _summary(recipient: str, text: str, arguments: Mapping[str, Any]) -> str:
    if recipient in _IMAGES:
        prompt = arguments.get("prompt")
        return f"Asked for an image: {prompt}" if isinstance(prompt, str) and prompt else "Asked for an image"
    if recipient.partition(".")[0] in _SEARCHES:
        searched = _searched(arguments)
        return f"Searched the web: {searched}" if searched else f"Browsed: {text.strip()}"
    if recipient == "bio":
        return f"Saved to memory: {text.strip()}"
    return f"Called {tool_name(recipient)}"


def _searched(arguments: Mapping[str, Any]) -> str:
    queries = arguments.get("search_query")
    words = [query.get("q") for query in queries if isinstance(query, dict)] if isinstance(queries, list) else []
    return " \u00b7 ".join(word for word in words if isinstance(word, str))


def _canvas(recipient: str, arguments: Mapping[str, Any]) -> tuple[Markup, str]:
    """A document beside the conversation: written, changed or commented."""
    content = arguments.get("content")
    if isinstance(content, str):
        name = str(arguments.get("name") or "Document")[:200]
        return document(name, str(arguments.get("type") or "document"), content), f"Wrote the document {name}"
    changes = [
        Markup('<li><del dir="auto">{}</del> <ins dir="auto">{}</ins></li>').format(
            str(update.get("pattern"))[:2_000], str(update.get("replacement") or update.get("comment") or "")[:20_000]
        )
        for key in ("updates", "comments")
        for update in _list(arguments.get(key))
        if isinstance(update, dict)
    ]
    done = "Commented on" if "comments" in arguments else "Changed"
    count = f"{len(changes)} place{'s' if len(changes) != 1 else ''}"
    return Markup('<ul class="changes">{}</ul>').format(Markup("").join(changes)), f"{done} the document, {count}"


def _source(text: str, language: str, arguments: Mapping[str, Any]) -> Markup:
    if arguments and len(text) < _LONGEST:
        return code_block(json.dumps(arguments, ensure_ascii=False, indent=2), "json")
    return code_block(text[:_LONGEST], language)


def _arguments(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
