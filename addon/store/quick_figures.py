"""Of step 0005: what figures of a whole archive are read from, so that those of a million messages take less long."""

# Of each answer that was seen to stream, and of the exchange that brought it, what its times and its speed are told
# from: both in the order of the exchanges' ids, so that they are read side by side. Answers by their models stand in
# the order in which they are counted. All columns that a question compares stand in the index, also those that its
# condition fixes, and the length of a text: else SQLite reads the rows too.
FIGURES = """
CREATE INDEX streams_first_token ON streams (id, started_at, first_token_at, kind)
    WHERE kind = 'turn' AND first_token_at IS NOT NULL;
CREATE INDEX messages_last_of_turn ON messages
    (stream_id, model_slug, requested_model, role, end_turn, first_token_at, completed_at, length(text))
    WHERE role = 'assistant' AND end_turn = 1;
DROP INDEX messages_model_slug_created_at;
CREATE INDEX messages_model_slug ON messages
    (model_slug, requested_model, conversation_id, created_at, role, visible, content_type, reasoning_seconds,
     length(text))
    WHERE model_slug IS NOT NULL;
CREATE INDEX messages_calls ON messages (recipient, role, conversation_id) WHERE recipient <> 'all';
"""

_IS_ANSWER = """m.visible = 1 AND coalesce(m.content_type, '') NOT IN ('thoughts', 'reasoning_recap')"""

# The signs keep SQLite to the index that holds all that is wanted. By conversation first: most have one day.
_DAYS = f"""
    SELECT day, sum(prompts) AS prompts, sum(answers) AS answers, sum(images) AS images,
           count(DISTINCT conversation_id) AS conversations
    FROM (
        SELECT date(m.created_at, 'localtime') AS day, m.conversation_id, sum(m.role = 'user') AS prompts,
               sum(m.role = 'assistant' AND {_IS_ANSWER}) AS answers, 0 AS images
        FROM messages m WHERE +m.role IN ('user', 'assistant') AND m.visible = 1
        GROUP BY m.conversation_id, day
        UNION ALL
        SELECT date(g.created_at, 'localtime'), g.conversation_id, 0, 0, 1
        FROM image_generations g WHERE g.status = 'complete')
    WHERE day IS NOT NULL GROUP BY day"""

# Seconds as `time_to_first_token` means them everywhere: of the exchange that asked, where the answer came in it.
_MODELS = f"""
    WITH talks AS (
        SELECT requested_model, model_slug, conversation_id, count(*) AS answers, sum(characters) AS characters,
               sum(reasoning_seconds) AS reasoning_seconds, min(created_at) AS first_at, max(created_at) AS last_at
        FROM (SELECT m.requested_model, m.model_slug, m.conversation_id, length(m.text) AS characters,
                     m.reasoning_seconds, m.created_at
              FROM messages m WHERE +m.role = 'assistant' AND {_IS_ANSWER} AND m.model_slug IS NOT NULL)
        GROUP BY model_slug, requested_model, conversation_id),
    models AS (
        SELECT requested_model, model_slug, sum(answers) AS answers, count(conversation_id) AS conversations,
               sum(characters) AS characters, round(sum(reasoning_seconds), 1) AS reasoning_seconds,
               min(first_at) AS first_at, max(last_at) AS last_at
        FROM talks GROUP BY model_slug, requested_model),
    waits AS MATERIALIZED (
        SELECT m.requested_model, m.model_slug, avg(julianday(s.first_token_at) - julianday(s.started_at)) AS waited
        FROM streams s CROSS JOIN messages m ON m.stream_id = s.id
        WHERE s.kind = 'turn' AND s.first_token_at IS NOT NULL AND s.first_token_at >= s.started_at
          AND m.role = 'assistant' AND m.end_turn = 1
        GROUP BY m.requested_model, m.model_slug)
    SELECT m.requested_model, m.model_slug, m.answers, m.conversations, m.characters, m.reasoning_seconds,
           round(w.waited * 86400, 3) AS average_seconds_to_first_token, m.first_at, m.last_at
    FROM models m
    LEFT JOIN waits w ON w.requested_model IS m.requested_model AND w.model_slug = m.model_slug"""

FIGURE_VIEWS = {"daily_activity": _DAYS, "model_usage": _MODELS}
