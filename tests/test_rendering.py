"""Messages become HTML that reads well, and that nothing in them can turn into anything else."""

import json
import time
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest

from analysis.rendering import Media, Rendered, markdown, render, source_cards
from tests.conftest import CAPTURES, needs_captures

TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "figcaption", "figure", "h3", "h4", "h5", "h6", "hr", "img",
    "ins", "li", "ol", "p", "pre", "s", "section", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Reader(HTMLParser):
    """What a browser would find: tags, attributes, words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words = ""
        self.feed(str(html))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


def message(said: Any = None, **columns: Any) -> dict[str, Any]:
    """A row of `messages`: an answer of the model, or what `columns` say."""
    content = said if isinstance(said, dict) else {"content_type": "text", "parts": [said or ""]}
    parts = content.get("parts")
    text = "\n".join(part for part in parts if isinstance(part, str)) if parts else content.get("text")
    metadata = columns.pop("metadata", None)
    return {
        "role": "assistant", "author_name": None, "recipient": "all", "content_type": content.get("content_type"),
        "text": text, "content": json.dumps(content), "visible": 1, "reasoning_seconds": None,
        "metadata": json.dumps(metadata) if metadata else None, **columns,
    }  # fmt: skip


def shown(said: Any = None, media: dict[str, Media] | None = None, **columns: Any) -> Rendered:
    return render(message(said, **columns), media)


# Markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("two *words*", '<p dir="auto">two <em>words</em></p>'),
        ("# Tides", '<h3 dir="auto">Tides</h3>'),
        ("~~old~~", '<p dir="auto"><s>old</s></p>'),
        ("- [x] done\n- [ ] open", "<ul>\n<li>\u2611 done</li>\n<li>\u2610 open</li>\n</ul>"),
        ("It costs $5 or $6", '<p dir="auto">It costs $5 or $6</p>'),
        ("`a < b`", '<p dir="auto"><code>a &lt; b</code></p>'),
        ("\u0645\u0631\u062d\u0628\u0627", '<p dir="auto">\u0645\u0631\u062d\u0628\u0627</p>'),
    ],
)
def test_markdown_is_read(text: str, html: str) -> None:
    assert markdown(text).strip() == html


@pytest.mark.parametrize("text", ["- {}", "1. {}", "> {}", "| 1 |\n|---|\n| {} |", "- 12 {}\n\n- b"])
def test_a_box_runs_as_its_first_letter_is_written(text: str) -> None:
    for word, leftward in (
        ("\u0645\u0631\u062d\u0628\u0627", True),
        ("\u05e9\u05dc\u05d5\u05dd", True),
        ("tide", False),
        ("\u6f6e", False),
    ):
        boxes = [
            value for tag, name, value in Reader(markdown(text.format(word))).attributes if name == "dir" and tag != "p"
        ]
        assert boxes == (["rtl"] if leftward else [])


def test_an_address_in_the_text_is_a_link_without_the_punctuation_around_it() -> None:
    found = [
        value
        for _, name, value in Reader(markdown("(see https://example.org/a_(b)), `https://x.example`")).attributes
        if name == "href"
    ]
    assert found == ["https://example.org/a_(b)"]


def test_code_is_coloured_by_its_language_and_kept_to_the_letter() -> None:
    html = markdown("```python\ndef f():\n    return '<b>'\n```")
    read = Reader(html)
    assert read.words.strip() == "pythondef f():\n    return '<b>'"
    assert ("span", "class", "k") in read.attributes


@pytest.mark.parametrize("language", ["no-such-language", "", "__import__('os')", "<b>"])
def test_code_of_an_unknown_language_stays_plain(language: str) -> None:
    read = Reader(markdown(f"```{language}\nx = 1\n```"))
    assert read.words.strip().endswith("x = 1")
    assert set(read.tags) <= {"figure", "figcaption", "pre", "code"}


@pytest.mark.parametrize(
    "text", ["\\(x^2\\)", "so \\[x^2\\] it is", "$$\nx^2\n$$", "\\[\nx^2\n- 1\n\\]", "> $$x^2$$", "- \\[\n  x^2\n  \\]"]
)
def test_formulas_are_drawn(text: str) -> None:
    html = markdown(text)
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert "\\" not in html


@pytest.mark.parametrize(
    "latex", ["\\text{<script>alert(1)</script>}", "\\href{javascript:alert(1)}{x}", "\\style{position:fixed}{x}", "\\class{a\" onclick=\"x}{y}"]
)  # fmt: skip
def test_a_formula_is_no_way_in(latex: str) -> None:
    read = Reader(markdown(f"\\({latex}\\)"))
    assert "script" not in read.tags
    assert {name for _, name, _ in read.attributes} <= {"dir", "class", "display"}


@pytest.mark.parametrize("latex", ["{" * 2000, "x" * 5000, "\\left("])
def test_what_is_no_formula_is_shown_as_it_was_written(latex: str) -> None:
    assert latex[:1000] in Reader(markdown(f"\\({latex}\\)")).words


def test_an_aligned_formula_is_a_table() -> None:
    assert "mtable" in Reader(markdown("\\[\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\\]")).tags


# What a text may not do

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "[x](javascript:alert(1))",
    "[x](  JaVaScRiPt&#58;alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x) [y](file:///etc/passwd) [z](/-/logout) [w](//evil.example/)",
    "![x](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    '[x](https://evil.example "onmouseover=alert(1)")',
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><input name=q></form>",
    "<iframe src=https://evil.example></iframe>",
    "<style>@import url(https://evil.example)</style>",
    "<div style='background:url(https://evil.example)'>",
    "| a |\n|:-:|\n| <td onclick=alert(1)> |",
    "\uf5a20\uf5a3 `x` \uf5a00\uf5a1 \\(x\\)",
    "[a\ue200cite\ue202x\ue201](https://e.example/\ue200cite\ue202x\ue201 'title \ue200cite\ue202x\ue201')",
    '```"><script>alert(1)</script>\nx\n```',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("role", ["user", "assistant", "tool", "system"])
def test_whatever_a_message_says_only_known_tags_come_out_and_nothing_is_fetched(text: str, role: str) -> None:
    for content in (text, {"content_type": text, "text": text}, {"content_type": "thoughts", "thoughts": [{"summary": text, "content": text}]}, {"content_type": "code", "language": text, "text": text}, {"content_type": "tether_quote", "url": text, "title": text, "text": text}, {"content_type": "multimodal_text", "parts": [text, {"content_type": text, "asset_pointer": text}]}, {"content_type": "system_error", "name": text, "text": text}):  # fmt: skip
        metadata = {
            "attachments": [{"id": text, "name": text}],
            "content_references": [{"matched_text": text, "title": text, "url": text}],
        }
        read = Reader(shown(content, role=role, author_name=text, metadata=metadata).html)
        assert {tag for tag in read.tags if tag not in TAGS} <= {"math", "mrow", "mi"}
        for tag, name, value in read.attributes:
            assert name in {"class", "dir", "display", "href", "rel", "role", "style", "tabindex", "target", "title"}, (
                tag,
                name,
            )
            assert name != "href" or value.startswith(("https://", "http://"))
            assert name != "style" or value == "text-align:center"


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, ">" * 5_000 + " x", "- " * 5_000 + "x", "*a" * 50_000, "\\(" * 50_000, "$$ a\n" * 20_000, "```a`" * 20_000, "![](http://x" * 9_000, "\ue200" * 100_000],
    ids=["brackets", "quotes", "lists", "stars", "formulas", "blocks", "fences", "images", "marks"],
)  # fmt: skip
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    started = time.process_time()
    markdown(text)
    assert time.process_time() - started < 20  # what is quadratic takes minutes


# Sources

MARK = "\ue200cite\ue202turn0search3\ue201"


def test_a_citation_mark_is_a_chip_that_names_its_source() -> None:
    reference = {
        "matched_text": MARK,
        "type": "grouped_webpages",
        "items": [{"title": "How tides work", "url": "https://www.example.org/tides", "attribution": "Example"}],
    }
    html = shown(f"Twice a day {MARK}.", metadata={"content_references": [reference]}).html
    assert 'href="https://www.example.org/tides" title="How tides work"' in html
    assert Reader(html).words.strip() == "Twice a day Example."


def test_a_mark_of_2024_is_explained_by_its_number() -> None:
    citation = {"metadata": {"title": "Tides", "url": "https://example.org/t", "extra": {"cited_message_idx": 4}}}
    html = shown("So it is\u30104\u2020source\u3011.", metadata={"citations": [citation]}).html
    assert Reader(html).words.strip() == "So it isexample.org."


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("\ue200cite\ue202turn9search9\ue201", "source"),
        ("\ue200i\ue202turn0image0\ue201", ""),
        ('\ue200entity\ue202["company","Example Ltd"]\ue201', "Example Ltd"),
        ("\ue200url\ue202a page\ue202https://example.org\ue201", "a page"),
        ("\ue203\ue206", ""),
        ("\ue200never ended", "never ended"),
    ],
)
def test_a_mark_that_nobody_explains_is_no_noise_in_the_text(mark: str, words: str) -> None:
    assert Reader(shown(f"a{mark}b").html).words.strip() == f"a{words}b"


def test_sources_are_cards_each_once_and_only_those_a_click_may_open() -> None:
    row = {
        "url": "https://www.example.org/tides",
        "title": "How tides work",
        "attribution": None,
        "snippet": "Twice a day.",
    }
    html = source_cards([row, row, {**row, "url": "javascript:alert(1)"}, {**row, "url": "https://\x00"}])
    assert Reader(html).words == "example.orgHow tides workTwice a day."
    assert html.count("<li>") == 1


# What kinds of messages there are


def test_the_words_of_the_person_stay_as_they_were_typed() -> None:
    html = shown("a  *b*\n    c <d>", role="user").html
    assert html == '<div class="typed" dir="auto">a  *b*\n    c &lt;d&gt;</div>'


def test_blank_lines_behind_what_was_typed_are_not_shown() -> None:
    assert shown("a\n\n \n", role="user").html == '<div class="typed" dir="auto">a</div>'


def test_a_line_break_in_a_cell_is_the_one_tag_that_is_obeyed() -> None:
    html = shown("| a |\n|---|\n| one<br>two<BR/>three<br >four<brx>`<br>` |").html
    assert "one<br>\ntwo<br>\nthree<br>\nfour&lt;brx&gt;<code>&lt;br&gt;</code>" in html


def test_how_long_the_model_thought_is_a_line_behind_the_answer() -> None:
    said = shown({"content_type": "reasoning_recap", "content": "Thought for 7s"}, text="Thought for 7s")
    assert (said.folded, said.summary) == (True, "Thought for 7s")


def test_thoughts_are_one_line_that_opens() -> None:
    thoughts = [{"summary": "Reading", "content": "What is **asked**?"}, {"summary": "Counting", "content": ""}]
    done = shown({"content_type": "thoughts", "thoughts": thoughts}, reasoning_seconds=72.0)
    assert (done.folded, done.summary) == (True, "Thought for 1 min 12 s: Reading \u00b7 Counting")
    assert "<strong>asked</strong>" in done.html


@pytest.mark.parametrize(
    ("recipient", "text", "summary"),
    [
        ("python", "print(1)\nprint(2)", "Ran code, 2 lines"),
        ("web.run", '{"search_query":[{"q":"tides"},{"q":"moon"}]}', "Searched the web: tides \u00b7 moon"),
        ("browser", 'search("tides")', 'Browsed: search("tides")'),
        ("t2uay3k.sj1i4kz", '{"prompt":"A low tide","size":"1024x1024"}', "Asked for an image: A low tide"),
        ("bio", "Likes the sea.", "Saved to memory: Likes the sea."),
        ("api_tool.call_tool", '{"a":1}', "Called api_tool.call_tool"),
        ("canmore.update_textdoc", '{"updates":[{"pattern":"a","replacement":"b"}]}', "Changed the document, 1 place"),
        ("canmore.update_textdoc", '{"updates":', "Called the canvas"),
    ],
)
def test_a_call_says_in_one_line_what_was_done(recipient: str, text: str, summary: str) -> None:
    for content in ({"content_type": "code", "language": "unknown", "text": text}, text):
        called = shown(content, recipient=recipient)
        assert (called.folded, called.summary) == (True, summary)


def test_a_canvas_document_is_shown_as_a_document() -> None:
    text = json.dumps({"name": "Tide table", "type": "document", "content": "# High\n\n*twice*"})
    written = shown({"content_type": "code", "language": "json", "text": text}, recipient="canmore.create_textdoc")
    assert (written.folded, written.summary) == (False, "Wrote the document Tide table")
    assert '<h3 dir="auto">Tide table</h3>' in written.html
    assert "<em>twice</em>" in written.html


def test_output_shows_what_was_printed_and_drawn() -> None:
    result = {"aggregate_result": {"messages": [{"message_type": "image", "image_url": "file-service://file-plot"}]}}
    media = {"file-plot": Media(kind="image", address="/file/1", width=640, height=480)}
    drawn = shown({"content_type": "execution_output", "text": "mean 3.5\n"}, media, role="tool", metadata=result)
    assert (drawn.folded, drawn.summary) == (False, "Output: mean 3.5")
    assert '<img src="/file/1" alt="Image" width="640" height="480"' in drawn.html
    assert shown({"content_type": "execution_output", "text": "x"}, role="tool").folded
    only_drawn = shown({"content_type": "execution_output", "text": "<<ImageDisplayed>>"}, media, metadata=result)
    assert "ImageDisplayed" not in only_drawn.html


def test_parts_stand_in_the_order_in_which_they_were_sent() -> None:
    parts = [
        {"content_type": "audio_transcription", "text": "What is this?", "direction": "in"},
        {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1?x=1", "width": 10, "height": 20},
        {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_2", "format": "wav"},
        "A lighthouse.",
    ]
    media = {
        "sediment://file_1": Media(kind="image", address="/file/1", page="/images/1", prompt="a <b>light</b>"),
        "file_2": Media(kind="audio", address="/file/2", size_bytes=12_345),
    }
    html = shown({"content_type": "multimodal_text", "parts": parts}, media).html
    assert Reader(html).words.split("\n")[0] == "What is this?a <b>light</b>Voice recording \u00b7 12 kBA lighthouse."
    assert '<a href="/images/1"><img src="/file/1" alt="a &lt;b&gt;light&lt;/b&gt;" width="10" height="20"' in html


def test_an_image_without_bytes_says_so() -> None:
    part = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1", "width": 1024, "height": 1536}
    html = shown({"content_type": "multimodal_text", "parts": [part]}, role="tool").html
    assert Reader(html).words == "Image, not captured \u00b7 1024 \u00d7 1536"


def test_an_attachment_is_a_line_and_one_that_is_shown_already_is_not_repeated() -> None:
    attachments = [{"id": "file_1", "name": "photo.png"}, {"id": "file_2", "name": "tides <b>.pdf"}]
    part = {"asset_pointer": "sediment://file_1"}
    html = shown(
        {"content_type": "multimodal_text", "parts": [part]}, role="user", metadata={"attachments": attachments}
    ).html
    assert Reader(html).words == "Image, not capturedtides <b>.pdf"


@pytest.mark.parametrize(
    ("columns", "summary"),
    [
        ({"role": "system", "visible": 0}, "System, without words"),
        ({"role": "tool", "author_name": "web.run", "visible": 0}, "Answer of the web search"),
        ({"role": "user", "visible": 0, "text": "hidden"}, "From the person: hidden"),
    ],
)
def test_what_the_page_of_the_service_hides_is_folded(columns: dict[str, Any], summary: str) -> None:
    hidden = shown("", **columns)
    assert (hidden.folded, hidden.summary) == (True, summary)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "null",
        "{",
        '{"parts": 3}',
        '{"parts": [null, 3, [], {}]}',
        '{"thoughts": {"a": 1}}',
        '{"parts": ["' + "x" * 200_000 + '"]}',
        "[" * 5_000,
    ],
)
@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text",
        "multimodal_text",
        "thoughts",
        "code",
        "execution_output",
        "tether_quote",
        "computer_output",
        "user_editable_context",
        "brand_new",
    ],
)
def test_content_of_any_shape_is_shown_never_an_error(content: str | None, kind: str | None) -> None:
    row = {
        **message("x", metadata={"citations": 3, "content_references": [3, {}], "attachments": {"a": 1}}),
        "content": content,
        "content_type": kind,
    }
    render(row)
    render({**row, "text": None, "metadata": "{", "role": None, "recipient": None})


def test_a_very_long_message_is_cut_and_says_so() -> None:
    long = shown("x " * 100_000)
    assert long.clipped
    assert len(long.html) < 101_000
    assert not shown("x").clipped


@needs_captures
@pytest.mark.parametrize(
    "name",
    [
        "export-browser-tether-20240930",
        "export-dalle-multi-20241129",
        "export-search-news-20241204",
        "mapping-20231206",
    ],
)
def test_real_conversations_leave_no_mark_and_no_surprise(name: str) -> None:
    document = orjson.loads((CAPTURES / f"{name}.json").read_bytes())
    messages = [node["message"] for node in document["mapping"].values() if node.get("message")]
    assert messages
    for real in messages:
        content, author = real["content"], real["author"]
        row = message(
            content,
            role=author["role"],
            author_name=author.get("name"),
            recipient=real["recipient"],
            metadata=real["metadata"],
        )
        done = render(row)
        assert not set("\ue200\ue201\ue202\uf5a0\uf5a2") & set(done.html + done.summary)
        if done.folded:
            assert done.summary
        elif content.get("parts") and any(isinstance(part, str) and part.strip() for part in content["parts"]):
            assert Reader(done.html).words.strip()
