"""A browser scrolls through old chats behind a real mitmdump: the documents pass unchanged and become rows."""

import json
import uuid
from collections.abc import Iterator

import pytest

from scripts import loopback, scenes
from scripts.scenes.documents import conversation_document
from tests.conftest import Capturing, capture

API = "https://chatgpt.com/backend-api"
NEW = scenes.plain_answer("Why are there tides?", scenes.prose(40), seed="new", title="Tides")
FIRST = scenes.search_answer("What do scientists say?", "The Moon [1].", seed="first", title="Science")
SECOND = scenes.reasoning_answer(
    "And the Sun?", "It too.", seed="second", conversation_id=FIRST.conversation_id, parent_id=FIRST.answer_id
)
OLD = scenes.image_answer("Draw the tide", "A low tide", "Here it is.", seed="old", title="A picture")
HANDOFF = scenes.handoff("And the wind?", seed="wind")
FOUND = json.dumps(
    json.loads(
        json.dumps(conversation_document([scenes.reasoning_answer("And the wind?", "It follows.", seed="wind")])),
        object_hook=lambda fields: {key: value for key, value in fields.items() if key != "turn_exchange_id"},
    )
).encode()
LIBRARY = scenes.Library([NEW], [FIRST, SECOND], [OLD])


def respond(request: loopback.Request) -> loopback.Answer:
    if request.method == "POST":
        return loopback.answer((HANDOFF if HANDOFF.user_message_id.encode() in request.body else NEW).events)
    if request.path.endswith(f"/conversation/{HANDOFF.conversation_id}"):
        return loopback.Answer(200, [("content-type", "application/json")], [FOUND])
    page = LIBRARY.page(request.path)
    headers = [*page.headers, ("content-encoding", "br")]
    return loopback.Answer(page.status, headers, [loopback.encode(page.body, "br")])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capturing]:
    with capture(tmp_path_factory.mktemp("documents"), respond=respond) as running:
        yield running


def get(running: Capturing, path: str, *, http2: bool = True) -> loopback.Received:
    return loopback.fetch(running.proxy.port, running.proxy.ca_path, f"{API}/{path}", http2=http2)


def rows_of(running: Capturing, conversation_id: str) -> dict[str, tuple[str | None, str]]:
    rows = running.rows("SELECT id, parent_id, text FROM messages WHERE conversation_id = ?", conversation_id)
    return {row["id"]: (row["parent_id"], row["text"]) for row in rows}


def test_an_answer_that_was_handed_over_is_found_in_what_the_page_polls(running: Capturing) -> None:
    """It names no turn: it hangs under its prompt."""
    running.ask("And the wind?", message_id=HANDOFF.user_message_id)
    turn = "SELECT completeness, legs FROM turn_completeness WHERE prompt_message_id = ?"
    running.closed(HANDOFF.user_message_id)
    (row,) = running.rows(turn, HANDOFF.user_message_id)
    assert row == {"completeness": "handed_off_and_not_found", "legs": 1}
    assert get(running, f"conversation/{HANDOFF.conversation_id}").body == FOUND
    running.wait("SELECT 1 FROM messages WHERE text = 'It follows.'")
    (row,) = running.rows(turn, HANDOFF.user_message_id)
    assert row == {"completeness": "handed_off_and_found", "legs": 1}


@pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
def test_old_chats_become_rows_and_their_bytes_pass_unchanged(running: Capturing, http2: bool) -> None:
    listed = get(running, "conversations?offset=0&limit=28&order=updated", http2=http2)
    assert listed.body == loopback.encode(LIBRARY.page("/backend-api/conversations").body, "br")
    opened = get(running, f"conversation/{FIRST.conversation_id}", http2=http2)
    assert opened.body == loopback.encode(LIBRARY.page(f"/backend-api/conversation/{FIRST.conversation_id}").body, "br")
    running.wait("SELECT 1 FROM messages WHERE id = ?", SECOND.answer_id)
    stored = rows_of(running, FIRST.conversation_id)
    said = {**FIRST.messages, **SECOND.messages}
    assert stored.keys() == said.keys()
    assert {key: text for key, (_, text) in stored.items() if key in FIRST.texts} == FIRST.texts
    thread = running.rows("SELECT id FROM threads WHERE conversation_id = ? ORDER BY position", FIRST.conversation_id)
    assert [row["id"] for row in thread] == list(said)
    titles = running.rows("SELECT id, title FROM conversations WHERE title IS NOT NULL")
    assert {(row["id"], row["title"]) for row in titles} >= {
        (NEW.conversation_id, "Tides"),
        (FIRST.conversation_id, "Science"),
        (OLD.conversation_id, "A picture"),
    }


def test_a_conversation_that_is_opened_after_its_answer_streamed_stays_as_it_is(running: Capturing) -> None:
    running.ask("Why are there tides?", message_id=NEW.user_message_id)
    running.closed(NEW.user_message_id)
    streamed = running.rows("SELECT * FROM messages WHERE conversation_id = ? ORDER BY n", NEW.conversation_id)
    get(running, f"conversation/{NEW.conversation_id}")
    running.wait("SELECT 1 FROM streams WHERE name = 'conversation' AND conversation_id = ?", NEW.conversation_id)
    get(running, f"conversations/{NEW.conversation_id}?num_turns=10&include_has_versions=true")
    running.wait("SELECT 1 FROM streams WHERE name = 'turns' AND conversation_id = ?", NEW.conversation_id)
    loaded = running.rows("SELECT * FROM messages WHERE conversation_id = ? ORDER BY n", NEW.conversation_id)
    assert len(loaded) == len(streamed) > 2
    for before, after in zip(streamed, loaded, strict=True):
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {
            "parent_id",
            "parent_certainty",
            "last_seen_at",
            "metadata",
            "created_at",
            "weight",
            "status",
        }
    turn = running.rows("SELECT answer_message_id, title FROM turns WHERE prompt_message_id = ?", NEW.user_message_id)
    assert turn == [{"answer_message_id": NEW.answer_id, "title": "Tides"}]
    assert running.rows("SELECT * FROM message_versions") == []


def test_a_document_that_is_asked_for_again_and_again_is_one_row(running: Capturing) -> None:
    for _ in range(4):
        get(running, f"conversation/{OLD.conversation_id}")
    query = "SELECT last_seen_at FROM streams WHERE conversation_id = ? AND last_seen_at > started_at"
    running.wait(query, OLD.conversation_id)
    streams = running.rows("SELECT id FROM streams WHERE conversation_id = ?", OLD.conversation_id)
    assert len(streams) == 1
    (image,) = OLD.images
    rows = running.rows("SELECT message_id, status, prompt FROM image_generations")
    assert rows == [{"message_id": image.message_id, "status": "complete", "prompt": image.prompt}]


def test_a_conversation_that_is_not_there_is_no_row(running: Capturing) -> None:
    gone = str(uuid.uuid4())
    assert get(running, f"conversation/{gone}").status == 404
    get(running, "conversations?offset=2")
    running.wait("SELECT 1 FROM streams WHERE json_extract(parameters, '$.offset') = '2'")
    assert running.rows("SELECT 1 FROM conversations WHERE id = ?", gone) == []
    assert running.rows("SELECT type FROM unrecognised") == []
