"""The flow of one exchange in the terminal: who said what to whom, in order, each with its time; images in between."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from addon.answers.images import image_parts
from addon.answers.messages import is_visible, text_of
from addon.wire.payload import mapping
from analysis.frames import Frame
from analysis.terminal import byte_count, clean, is_watched, one_line, print_running, readable_width, shortened

_LINES = 3
"""Lines of text shown of each step."""

_IN_FULL = ("gen_id", "parent_gen_id", "seed")


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing that was said: by whom, in which style, facts in short, and lines of what it was."""

    at: int
    name: str
    style: str
    facts: str
    lines: list[str]


def print_flow(out: Console, prompt: str | None, found: list[Frame]) -> None:
    """The person's prompt, then the messages as steps; what came without a message is summed up at the end."""
    steps = [_Step(0, "You", "bold cyan", "", _lines(prompt))] if prompt and not _has_prompt(found) else []
    steps += [step for frame in found if frame.message is not None and (step := _message(frame))]
    if nameless := [frame for frame in found if frame.message is None]:
        steps.append(_metadata(nameless))
    for place, step in enumerate(steps):
        _print(out, step, more=place < len(steps) - 1)


def _has_prompt(found: list[Frame]) -> bool:
    return any(mapping(mapping(frame.message).get("author")).get("role") == "user" for frame in found)


def _message(frame: Frame) -> _Step | None:
    """A message as a step; one that says nothing to anybody is none."""
    message = mapping(frame.message)
    lines = [_image(part) for part in image_parts(message).values()] + _lines(text_of(mapping(message.get("content"))))
    if not lines and not is_visible(message):
        return None
    name, style = _speaker(message)
    took = f"in {(frame.last - frame.first) / 1e6:.2f} s" if frame.last > frame.first else ""
    facts = [_model(message), "" if is_visible(message) else "hidden", took]
    return _Step(frame.first, name, style, " · ".join(filter(None, facts)), lines)


def _metadata(group: list[Frame]) -> _Step:
    kinds = [one_line(str(frame.data.get("type", "?"))) if isinstance(frame.data, dict) else "?" for frame in group]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    told = ", ".join(kind if count == 1 else f"{kind} ({count})" for kind, count in counts.items())
    since = f"since {group[0].first / 1e6:.2f} s" if len(group) > 1 else ""
    return _Step(group[-1].last, "metadata", "magenta", since, [told])


def _speaker(message: dict[str, Any]) -> tuple[str, str]:
    """Who speaks, to whom if not to the person, and in which style."""
    author, recipient = mapping(message.get("author")), message.get("recipient")
    role = str(author.get("role"))
    name, style = {
        "user": ("You", "bold cyan"),
        "assistant": ("ChatGPT", "bold green"),
        "tool": (one_line(str(author.get("name") or "tool")), "bold yellow"),
    }.get(role, (one_line(role).capitalize(), "bold dim"))
    if role == "tool" and not is_visible(message):
        return f"{name} → ChatGPT", style
    return (name if recipient in (None, "all") else f"{name} → {one_line(str(recipient))}"), style


def _model(message: dict[str, Any]) -> str:
    slug = mapping(message.get("metadata")).get("model_slug")
    is_assistant = mapping(message.get("author")).get("role") == "assistant"
    return one_line(slug) if isinstance(slug, str) and is_assistant else ""


def _image(part: dict[str, Any]) -> str:
    metadata = mapping(part.get("metadata"))
    made = mapping(metadata.get("dalle")) | mapping(metadata.get("generation"))
    size = part.get("size_bytes")
    facts = [f"{part.get('width')}x{part.get('height')}", byte_count(size) if isinstance(size, int) else ""]
    facts += [f"{name.removesuffix('_id')} {made[name]}" for name in _IN_FULL if made.get(name) is not None]
    return "▣ " + one_line(" · ".join(filter(None, [*facts, str(part.get("asset_pointer"))])))


def _lines(text: str | None) -> list[str]:
    lines = [line for line in clean(text or "").split("\n") if line.strip()]
    more = len(lines) - _LINES
    return lines if more <= 0 else [*lines[:_LINES], f"… {more} more lines"]


def _print(out: Console, step: _Step, *, more: bool) -> None:
    lead = Text.assemble((f"{step.at / 1e6:8.2f} s  ", "cyan"), ("● ", step.style))
    line = Text.assemble((step.name, step.style), (f"  {step.facts}" if step.facts else "", "dim"))
    print_running(out, line, 14, lead)
    bar = " " * 12 + ("│ " if more else "  ")
    room = readable_width(out) - len(bar) if is_watched() else 0
    for text in step.lines:
        out.print(Text.assemble((bar, "dim"), shortened(text, room) if room else text))
    if more:
        out.print(Text(bar.rstrip(), "dim"))
