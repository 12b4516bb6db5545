"""Of step 0005: what figures of a whole archive are read from, so that those of a million messages take less long."""

# Of each answer that was seen to stream, and of the exchange that brought it, what its times are told from. All columns
# that a question compares stand in the index, also those that its condition fixes: else SQLite reads the rows too.
FIGURES = """
CREATE INDEX streams_first_token ON streams (started_at, id, first_token_at, kind)
    WHERE kind = 'turn' AND first_token_at IS NOT NULL;
CREATE INDEX messages_last_of_turn ON messages (stream_id, model_slug, role, end_turn)
    WHERE role = 'assistant' AND end_turn = 1;
DROP VIEW daily_activity;
"""

_IS_ANSWER = """m.role = 'assistant' AND m.visible = 1
    AND coalesce(m.content_type, '') NOT IN ('thoughts', 'reasoning_recap')"""

# First by conversation, as the index has them, and minute, which is of one day wherever it is told; then by day. The
# sign keeps SQLite to that index, which holds all that is wanted.
DAYS = f"""
    SELECT day, sum(prompts) AS prompts, sum(answers) AS answers, sum(images) AS images,
           count(DISTINCT conversation_id) AS conversations
    FROM (
        SELECT date(substr(m.created_at, 1, 16), 'localtime') AS day, m.conversation_id,
               sum(m.role = 'user') AS prompts, sum({_IS_ANSWER}) AS answers, 0 AS images
        FROM messages m WHERE +m.role IN ('user', 'assistant') AND m.visible = 1
        GROUP BY m.conversation_id, substr(m.created_at, 1, 16)
        UNION ALL
        SELECT date(g.created_at, 'localtime'), g.conversation_id, 0, 0, 1
        FROM image_generations g WHERE g.status = 'complete')
    WHERE day IS NOT NULL GROUP BY day"""
