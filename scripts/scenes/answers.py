"""Answers in words: plain, after thinking, after a web search."""

import json
import re
from collections.abc import Sequence
from typing import Unpack

from scripts.scenes.scene import Exchange, Scene
from scripts.scenes.script import TEXT, Script, words_of


def plain_answer(prompt: str, text: str, **exchange: Unpack[Exchange]) -> Scene:
    """A chat turn: one message."""
    script = Script(prompt, exchange)
    script.open()
    return script.close(script.final("answer", text))


THOUGHTS = (
    ("Reading the question", "The person wants a short answer. Let me see what is asked, and what is not."),
    ("Checking the numbers", "Seven times eight is fifty-six, so the sum holds. Now say it plainly."),
)


def reasoning_answer(
    prompt: str,
    text: str,
    *,
    thoughts: Sequence[tuple[str, str]] = THOUGHTS,
    preamble: str = "I will check the numbers first, then answer.",
    seconds: int = 7,
    **exchange: Unpack[Exchange],
) -> Scene:
    """Thoughts and a preamble on two channels at once, the recap, then the answer and a late change to the thoughts."""
    script = Script(prompt, exchange)
    script.open()
    thinking = script.message(
        "thoughts",
        content={"content_type": "thoughts", "thoughts": [], "source_analysis_msg_id": script.id("analysis")},
        metadata={"reasoning_status": "is_reasoning", "reasoning_title": thoughts[0][0], "thinking_effort": "extended"},
        channel="analysis",
    )
    script.marker(thinking, "cot_token", "first")
    commentary, spoken = "", words_of(preamble)
    for index, (summary, content) in enumerate(thoughts):
        opened = {"summary": summary, "content": "", "chunks": [], "finished": False}
        script.change(thinking, ("/content/thoughts", "append", [opened]))
        for count, word in enumerate(words_of(content)):
            script.change(thinking, (f"/content/thoughts/{index}/content", "append", word))
            if spoken and count % 3 == 2:
                preambles = {"is_thinking_preamble_message": True}
                commentary = commentary or script.message("preamble", channel="commentary", metadata=preambles)
                script.change(commentary, (TEXT, "append", spoken.pop(0)))
        script.change(thinking, (f"/content/thoughts/{index}/finished", "replace", True))
    if commentary:
        script.say(commentary, "".join(spoken))
        script.finish(commentary, end_turn=False)
    script.finish(thinking, ("/metadata/reasoning_status", "replace", "reasoning_ended"), end_turn=False)
    script.marker(thinking, "cot_token", "last")
    recap = {"content_type": "reasoning_recap", "content": f"Thought for {seconds}s"}
    about = {"reasoning_status": "reasoning_ended", "finished_duration_sec": seconds}
    script.message("recap", content=recap, metadata=about, text="", end_turn=False)
    answer = script.final("answer", text)
    script.change(thinking, ("/metadata/finished_duration_sec", "replace", seconds))
    return script.close(answer)


SOURCES = (
    ("https://example.org/tides", "How tides work"),
    ("https://example.com/moon?utm_source=chatgpt.com", "The Moon and the sea"),
)


def search_answer(
    prompt: str,
    text: str,
    *,
    sources: Sequence[tuple[str, str]] = SOURCES,
    **exchange: Unpack[Exchange],
) -> Scene:
    """A web search: `[1]` in the text becomes the citation mark of the first of `sources` (address, title)."""
    script = Script(prompt, exchange)
    script.open()
    code = {"content_type": "code", "language": "unknown", "response_format_name": None, "text": ""}
    call = script.message("call", content=code, recipient="web.run", channel="commentary")
    script.marker(call, "search_start", "first")
    script.say(call, json.dumps({"search_query": [{"q": prompt}]}), "/content/text")
    script.finish(call, ("/metadata", "append", {"search_queries": [{"type": "search", "q": prompt}]}), end_turn=False)
    entries = [
        {"type": "search_result", "url": url, "title": title, "snippet": f"{title}.", "ref_id": _reference(n)}
        for n, (url, title) in enumerate(sources)
    ]
    groups = [{"type": "search_result_group", "domain": "example.org", "entries": entries}]
    found = {"search_result_groups": groups, "is_visually_hidden_from_conversation": True}
    script.message("results", "tool web.run", text="", metadata=found, channel="commentary")

    answer = script.message("answer", channel="final")
    script.marker(answer, "final_channel_token", "first")
    for piece in re.split(r"(\[\d+\])", text):
        number = int(piece[1:-1]) - 1 if re.fullmatch(r"\[\d+\]", piece) else None
        if number is None:
            script.say(answer, piece)
        else:
            _cite(script, answer, number, sources[number])
    footnote = [{"title": title, "url": url, "attribution": "example.org"} for url, title in sources]
    script.finish(answer, end_turn=True)
    script.change(
        answer,
        ("/metadata/content_references", "append", [{"type": "sources_footnote", "sources": footnote}]),
        ("/metadata", "append", {"safe_urls": [url for url, _ in sources]}),
    )
    return script.close(answer, tool="SonicBrowserTool")


def _cite(script: Script, answer: str, number: int, source: tuple[str, str]) -> None:
    """A citation mark in three pieces, then the reference that explains it, then its readable form."""
    mark = f"\ue200cite\ue202{_reference(number)}\ue201"
    start = len(script.messages[answer]["content"]["parts"][0])
    for piece in (mark[:3], mark[3:9], mark[9:]):
        script.change(answer, (TEXT, "append", piece))
    url, title = source
    reference = {
        "type": "grouped_webpages",
        "matched_text": mark,
        "start_idx": start,
        "end_idx": start + len(mark),
        "safe_urls": [url],
        "refs": [],
        "alt": None,
        "items": [{"title": title, "url": url, "attribution": "example.org", "supporting_websites": []}],
    }
    index = len(script.messages[answer]["metadata"]["content_references"])
    script.change(answer, ("/metadata/content_references", "append", [reference]))
    script.change(answer, (f"/metadata/content_references/{index}/alt", "replace", f"([{title}]({url}))"))


def _reference(number: int) -> str:
    return f"turn0search{number}"
