"""The search tables of step 0004: texts to their last letter, and what was said aloud.

`messages.text` has the parts of a message that are text; what the service heard in a voice message is in other parts,
and in `messages.transcript`. The index of parts of words knows them by threes: two line ends behind a text let its last
letters begin one too.
"""

_HEARD = """SELECT group_concat(json_extract(part.value, '$.text'), char(10)) FROM json_each(content, '$.parts') part
    WHERE part.type = 'object' AND json_extract(part.value, '$.content_type') = 'audio_transcription'
    AND json_type(part.value, '$.text') = 'text'"""


def _in_parts(of: str) -> str:
    return f"ifnull({of}text || char(10, 10), '') || ifnull({of}transcript || char(10, 10), '')"


def _leave(of: str, which: str) -> str:
    return f"""
    INSERT INTO messages_fts (messages_fts, rowid, text, transcript)
        SELECT 'delete', {of}n, {of}text, {of}transcript WHERE {which};
    INSERT INTO messages_fts_cjk (messages_fts_cjk, rowid, text)
        SELECT 'delete', {of}n, {_in_parts(of)} WHERE {which} AND {of}in_parts;"""


def _enter(of: str, which: str) -> str:
    return f"""
    INSERT INTO messages_fts (rowid, text, transcript) SELECT {of}n, {of}text, {of}transcript WHERE {which};
    INSERT INTO messages_fts_cjk (rowid, text) SELECT {of}n, {_in_parts(of)} WHERE {which} AND {of}in_parts;"""


SEARCH = f"""
ALTER TABLE messages ADD COLUMN transcript TEXT;
DROP TRIGGER messages_search_insert;
DROP TRIGGER messages_search_delete;
DROP TRIGGER messages_search_update;
UPDATE messages SET transcript = ({_HEARD}), in_parts = 1
    WHERE content_type = 'multimodal_text' AND content LIKE '%"audio_transcription"%' AND json_valid(content);
DROP TABLE messages_fts;
DROP TABLE messages_fts_cjk;
DROP VIEW messages_in_parts;
CREATE VIRTUAL TABLE messages_fts USING fts5(
    text, transcript, content="messages", content_rowid="n", tokenize='unicode61 remove_diacritics 2');
CREATE VIEW messages_in_parts AS
    SELECT n, {_in_parts("")} AS text FROM messages WHERE live = 0 AND in_parts = 1;
CREATE VIRTUAL TABLE messages_fts_cjk USING fts5(
    text, content="messages_in_parts", content_rowid="n", tokenize='trigram', detail=none);
INSERT INTO messages_fts (rowid, text, transcript) SELECT n, text, transcript FROM messages WHERE live = 0;
INSERT INTO messages_fts_cjk (messages_fts_cjk) VALUES ('rebuild');
CREATE TRIGGER messages_search_insert AFTER INSERT ON messages
WHEN new.live = 0 AND NOT EXISTS (SELECT 1 FROM messages_fts_pause WHERE new.n > after_n) BEGIN{_enter("new.", "1")}
END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages
WHEN old.live = 0 AND NOT EXISTS (SELECT 1 FROM messages_fts_pause WHERE old.n > after_n) BEGIN{_leave("old.", "1")}
END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF text, transcript, live, in_parts ON messages
WHEN (old.live <> new.live OR old.text IS NOT new.text OR old.transcript IS NOT new.transcript
        OR old.in_parts <> new.in_parts)
    AND NOT EXISTS (SELECT 1 FROM messages_fts_pause WHERE new.n > after_n)
BEGIN{_leave("old.", "old.live = 0")}{_enter("new.", "new.live = 0")}
END;
"""
