"""Step 0005: which exchange told an earlier version of a message."""

# An archive of an older version does not say it. Where only one exchange tells of a conversation, it is known.
WHO_SAID_IT = """
ALTER TABLE message_versions ADD COLUMN stream_id TEXT REFERENCES streams(id);
CREATE INDEX message_versions_stream_id ON message_versions (stream_id);
UPDATE message_versions SET stream_id = (
    SELECT max(s.id) FROM messages m JOIN conversations c ON c.id = m.conversation_id
    JOIN streams s ON s.conversation_id = m.conversation_id
    WHERE m.n = message_versions.message_n AND c.digest IS NULL AND s.kind NOT IN ('download', 'asset')
    GROUP BY m.n HAVING count(*) = 1 AND max(s.id) = max(m.stream_id));
"""
