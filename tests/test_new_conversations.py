"""Many messages of conversations that are new are the same rows as if they had come one after another."""

from pathlib import Path

import pytest

from addon.importing.export_reading import ExportReading
from addon.records import AssetLocation, Conversation, Message, Record, Stream
from addon.wire.payload import dumps
from scripts.made_up_export import Size, conversations
from tests.recording import FINISHED, STARTED, archive_at

EARLIER = Stream("earlier", "live", "turn", "chatgpt.com", "/", "POST", STARTED)


def exported(size: Size) -> list[Record]:
    """A made-up export, with a call before each image and sources under each answer."""
    reading = ExportReading("export:made-up", STARTED)
    records: list[Record] = []
    for document in conversations(size):
        for node in document["mapping"].values():
            message = node["message"]
            if message and message["author"]["role"] == "assistant":
                reference = {"type": "webpage", "url": f"https://example.org/{message['id']}"}
                message["metadata"]["content_references"] = [reference]
            elif message and message["author"]["role"] == "tool":
                above = document["mapping"][node["parent"]]["message"]
                above["recipient"] = message["author"]["name"]
                above["content"] = {"content_type": "code", "text": dumps({"prompt": "a low tide", "size": "1x1"})}
        records += reading.conversation(document, dumps(document))
    return [*records, *reading.close()]


@pytest.mark.parametrize("before", ["nothing", "a sandbox file", "a message without conversation", "one of them"])
def test_many_at_once_are_what_they_are_one_by_one(tmp_path: Path, before: str) -> None:
    records = exported(Size(conversations=12, on_path=600, abandoned=60, images=40))
    messages = [record for record in records if isinstance(record, Message)]
    known: list[Record] = [EARLIER]
    message = messages[300]
    if before == "a sandbox file":
        file = f"sandbox:{message.id}/mnt/data/tides.csv"
        known.append(AssetLocation(file, STARTED, "earlier", None, name="tides.csv", message_id=message.id))
    elif before != "nothing":
        conversation_id = message.conversation_id if before == "one of them" else None
        known.append(
            Message(message.id, conversation_id, "earlier", "live", 1, live=False, text="before", status=FINISHED)
        )
    dumps_of = []
    for name, step in (("together", len(records)), ("singly", 1)):
        with archive_at(tmp_path / f"{name}.db") as archive:
            archive.store.write(known)
            for start in range(0, len(records), step):
                archive.store.write(records[start : start + step])
            archive.check()
            dumps_of.append(archive.dump())
    together, singly = dumps_of
    assert len(together["messages"]) == len(messages) == 700
    assert len(together["citations"]) > 300
    assert len(together["image_generations"]) == 40
    assert {table: together[table] for table in together} == {table: singly[table] for table in singly}


def test_a_conversation_that_stands_twice_in_a_batch_is_one(tmp_path: Path) -> None:
    records = exported(Size(conversations=2, on_path=40, abandoned=4, images=2))
    changed = [
        record
        for record in records
        if isinstance(record, Conversation) or (isinstance(record, Message) and record.text)
    ]
    with archive_at(tmp_path / "chatgpt.db") as archive:
        archive.store.write([*records, *changed, *records])
        before = archive.dump()
        archive.store.write(records)
        assert archive.dump() == before
        archive.check()
        assert archive.count("messages") == len([record for record in records if isinstance(record, Message)])
