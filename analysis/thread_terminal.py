"""A conversation in the terminal, as it reads: who speaks, what is said, files and sources under it."""

import json
import re
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.queries.conversations import UNTITLED, ConversationSummary
from analysis.queries.threads import Mention, Source, ThreadMessage
from analysis.shown_files import shown_files
from analysis.terminal import (
    byte_count,
    clean,
    counted,
    duration,
    is_watched,
    local_time,
    one_line,
    print_place,
    print_running,
    readable_width,
)
from analysis.tree import Step

_BEHIND = frozenset(
    {"thoughts", "reasoning_recap", "code", "execution_output", "tether_browsing_display", "tether_quote"}
)
_MARKED = re.compile("[\ue200-\ue206【]")
_LONGEST = 200_000
"""Characters of one message that are rendered; a longer one is shown as it is."""


def is_shown(row: ThreadMessage) -> bool:
    """Whether the page shows a message unfolded: what a person reads, without thoughts and tools."""
    if not row.visible or row.role == "system":
        return False
    if row.role == "tool":
        return row.content_type == "multimodal_text"
    return row.content_type not in _BEHIND


def print_heading(out: Console, talk: ConversationSummary) -> None:
    """What the conversation is."""
    facts = [local_time(talk.created_at or talk.active_at), one_line(talk.models), counted(talk.messages, "message")]
    flags = {
        "temporary": talk.is_temporary,
        "archived": talk.is_archived,
        "starred": talk.is_starred,
        "live": talk.live,
    }
    facts += [name for name, is_set in flags.items() if is_set]
    print_running(out, Text(one_line(talk.title) or UNTITLED, "bold"))
    print_running(out, Text(" · ".join(filter(None, [*facts, talk.id])), "dim"))


def print_message(out: Console, row: ThreadMessage, step: Step, files: list[Mention], sources: list[Source]) -> None:
    """One message with what belongs to it; the paths of `files` are those under which a person finds them.

    Prints nothing of one that says nothing.
    """
    if row.visible and not (
        row.text or row.transcript or files or sources or row.live or step.gap or len(step.siblings) > 1
    ):
        return  # the page shows nothing of it either
    out.print()
    if step.gap:
        print_running(out, Text("… what came before this was not captured …", "dim"))
        out.print()
    print_running(out, _speaker(row, step), indent=2)
    _print_text(out, row, sources)
    for file in _shown(row, files):
        _print_file(out, file)
    if sources:
        _print_sources(out, sources)


def _speaker(row: ThreadMessage, step: Step) -> Text:
    name, style = {
        "user": ("You", "bold cyan"),
        "assistant": ("ChatGPT", "bold green"),
        "tool": ("Image" if is_shown(row) else one_line(row.author_name) or "Tool", "bold yellow"),
    }.get(row.role or "", (one_line(row.role).capitalize() or "?", "bold dim"))
    line = Text.assemble((name, style))
    if row.role == "assistant" and row.recipient not in (None, "all"):
        line.append(f" → {one_line(row.recipient)}", "yellow")
    facts = [local_time(row.created_at or row.first_seen_at, "%d %b %H:%M"), *_facts(row)]
    line.append("  " + " · ".join(filter(None, facts)), "dim")
    if len(step.siblings) > 1:
        line.append(f"  \u2039{step.siblings.index(step.id) + 1}/{len(step.siblings)}\u203a", "magenta")
        others = [identity[:8] for identity in step.siblings if identity != step.id]
        line.append(" --branch " + ", ".join(one_line(identity) for identity in others[:4]), "dim")
    return line


def _facts(row: ThreadMessage) -> list[str]:
    facts = []
    if row.content_type in _BEHIND:
        facts.append(one_line(row.content_type))
    if row.role == "assistant":
        facts.append(one_line(row.model_slug))
    if row.reasoning_seconds:
        facts.append(f"thought for {duration(row.reasoning_seconds)}")
    if row.live:
        facts.append("● streaming")
    elif row.status == "in_progress":
        facts.append("stopped")
    if row.damaged:
        facts.append("may have a hole")
    if row.revision:
        facts.append(f"changed {row.revision} \u00d7")
    return facts


def _print_text(out: Console, row: ThreadMessage, sources: list[Source]) -> None:
    text = clean(_without_marks(row, sources)).strip()
    if not text:
        return
    if row.role != "assistant" or row.content_type != "text" or not is_watched() or len(text) > _LONGEST:
        print_running(out, Text(text))
        return
    from analysis.markdown_terminal import print_markdown

    print_markdown(out, text, readable_width(out))


def _without_marks(row: ThreadMessage, sources: list[Source]) -> str:
    """The text with citation marks as the numbers of the sources under it."""
    text = "\n".join(filter(None, (row.text, row.transcript)))
    if _MARKED.search(text) is None:
        return text
    from analysis.rendering.sources import MARK, Cited, without_marks

    cited = Cited(_metadata(row))
    numbers = {source.url: place for place, source in enumerate(sources, 1)}

    def number(mark: re.Match[str]) -> str:
        found = sorted({numbers[source.address] for source in cited.sources(mark) if source.address in numbers})
        return "".join(f"[{place}]" for place in found) if found else cited.words(mark)

    return without_marks(MARK.sub(number, text))


def _metadata(row: ThreadMessage) -> dict[str, Any]:
    try:
        value = json.loads(row.metadata or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _shown(row: ThreadMessage, files: list[Mention]) -> list[Mention]:
    shown = shown_files(row.content, row.metadata, [file.asset_id for file in files]) if files else ()
    return [file for file in files if file.asset_id in shown]


def _print_file(out: Console, file: Mention) -> None:
    size = f"{file.width}\u00d7{file.height}" if file.width and file.height else ""
    facts = [
        size,
        byte_count(file.size_bytes) if file.size_bytes else "",
        "" if file.path else "its bytes were not captured",
    ]
    line = Text.assemble((f"▣ {one_line(file.kind) or 'file'}", "yellow"), "  ", one_line(file.name) or file.asset_id)
    line.append("  " + " · ".join(filter(None, facts)), "dim")
    if file.path:
        print_place(out, line, one_line(file.path), "dim", indent=2)
    else:
        print_running(out, line, indent=2)
    if file.prompt:
        print_running(out, Text(f"  {one_line(file.prompt)}", "italic"), indent=2)


def _print_sources(out: Console, sources: list[Source]) -> None:
    for place, source in enumerate(sources, 1):
        line = Text.assemble((f"[{place}] ", "dim"), one_line(source.title or source.attribution) or "source")
        print_place(out, line, one_line(source.url), "blue", indent=4)
