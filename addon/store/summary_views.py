"""Views of step 0002 that sum up: conversations, models, days, and images that were made from images.

Each is quick where it is asked about one row; asked about all it reads the whole archive.
"""

_SHOWN = "m.conversation_id = c.id AND m.visible = 1"
_IS_ANSWER = """m.role = 'assistant' AND m.visible = 1
    AND coalesce(m.content_type, '') NOT IN ('thoughts', 'reasoning_recap')"""
_SECONDS = "round(avg(julianday({}) - julianday({})) * 86400, 3)"

# What the service says of a conversation lags behind the messages that were captured since it last said so.
_ACTIVE_AT = """coalesce(nullif(max(coalesce(c.updated_at, ''), coalesce(
        (SELECT max(m.created_at) FROM messages m WHERE m.conversation_id = c.id), '')), ''), c.last_seen_at)"""

_CONVERSATIONS = f"""
    SELECT c.id, c.title, {_ACTIVE_AT} AS active_at, c.created_at, c.default_model_slug, c.gizmo_id, c.is_archived,
           c.is_starred, c.is_temporary, c.source,
           (SELECT count(*) FROM messages m WHERE {_SHOWN}) AS messages,
           (SELECT count(*) FROM messages m WHERE {_SHOWN} AND m.role = 'user') AS prompts,
           (SELECT count(*) FROM image_generations g WHERE g.conversation_id = c.id AND g.status = 'complete')
               AS images,
           (SELECT sum(length(m.text)) FROM messages m WHERE {_SHOWN}) AS characters,
           (SELECT group_concat(slug, ', ') FROM (
                SELECT m.model_slug AS slug FROM messages m
                WHERE m.conversation_id = c.id AND m.model_slug IS NOT NULL
                GROUP BY m.model_slug ORDER BY min(m.n))) AS models,
           (SELECT substr(m.text, 1, 300) FROM messages m WHERE {_SHOWN} AND m.role = 'user' ORDER BY m.n LIMIT 1)
               AS first_prompt,
           (SELECT count(*) > 0 FROM messages m WHERE m.conversation_id = c.id AND m.live = 1) AS live
    FROM conversations c"""

# From each image whose origin is not here, down. One whose forbears go round in a circle has no root and is left out.
_LINEAGE = """
    WITH RECURSIVE tree (image_id, gen_id, root_gen_id, depth) AS (
        SELECT g.id, g.gen_id, g.gen_id, 0 FROM image_generations g
        WHERE g.gen_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM image_generations p WHERE p.gen_id = g.parent_gen_id)
        UNION
        SELECT g.id, g.gen_id, t.root_gen_id, t.depth + 1 FROM tree t
        JOIN image_generations g ON g.parent_gen_id = t.gen_id WHERE t.depth < 1000)
    SELECT t.gen_id, g.parent_gen_id, t.root_gen_id, t.depth, g.edit_op, g.id AS image_id, g.conversation_id,
           g.message_id, g.title, g.prompt, g.status, g.size, g.width, g.height, g.seed, g.asset_id, g.created_at
    FROM tree t JOIN image_generations g ON g.id = t.image_id"""

_MODELS = f"""
    SELECT m.requested_model, m.model_slug, count(*) AS answers, count(DISTINCT m.conversation_id) AS conversations,
           sum(length(m.text)) AS characters, round(sum(m.reasoning_seconds), 1) AS reasoning_seconds,
           {_SECONDS.format("m.first_token_at", "s.started_at")} AS average_seconds_to_first_token,
           min(coalesce(m.created_at, m.first_seen_at)) AS first_at,
           max(coalesce(m.created_at, m.first_seen_at)) AS last_at
    FROM messages m LEFT JOIN streams s ON s.id = m.stream_id AND m.first_token_at >= s.started_at
    WHERE {_IS_ANSWER} AND m.model_slug IS NOT NULL
    GROUP BY m.requested_model, m.model_slug"""

_DAYS = f"""
    SELECT day, sum(prompts) AS prompts, sum(answers) AS answers, sum(images) AS images,
           count(DISTINCT conversation_id) AS conversations
    FROM (
        SELECT substr(coalesce(m.created_at, m.first_seen_at), 1, 10) AS day, m.conversation_id,
               m.role = 'user' AS prompts, {_IS_ANSWER} AS answers, 0 AS images
        FROM messages m WHERE m.role IN ('user', 'assistant') AND m.visible = 1
        UNION ALL
        SELECT substr(coalesce(g.created_at, g.completed_at, g.requested_at), 1, 10), g.conversation_id, 0, 0, 1
        FROM image_generations g WHERE g.status = 'complete')
    WHERE day IS NOT NULL GROUP BY day"""

SUMMARY_VIEWS = {
    "conversation_summaries": _CONVERSATIONS,
    "image_lineage": _LINEAGE,
    "model_usage": _MODELS,
    "daily_activity": _DAYS,
}
# Of the last three each finds the few among very many.
SUMMARY_INDEXES = (
    "CREATE INDEX messages_conversation_id_created_at ON messages (conversation_id, created_at)",
    "CREATE INDEX messages_content_type ON messages (content_type)",  # counted without reading the texts
    "CREATE INDEX messages_live ON messages (live) WHERE live = 1",
    "CREATE INDEX messages_damaged ON messages (damaged) WHERE damaged",
    "CREATE INDEX messages_unfinished ON messages (live) WHERE status = 'in_progress'",
)
