"""Views of step 0004: days of the person's clock, answers that are awaited, images whose size is known from elsewhere.

A time here is the one that the service says. Days are told by the clock of the machine that asks.
"""

from addon.store.summary_views import SUMMARY_VIEWS

_IS_ANSWER = """m.role = 'assistant' AND m.visible = 1
    AND coalesce(m.content_type, '') NOT IN ('thoughts', 'reasoning_recap')"""

_LIVE = "(SELECT count(*) > 0 FROM messages m WHERE m.conversation_id = c.id AND m.live = 1)"
_AWAITED = """EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.live = 1)
           OR EXISTS (SELECT 1 FROM streams s WHERE s.conversation_id = c.id AND s.state = 'streaming'
                      AND s.kind IN ('turn', 'resume', 'topic'))"""

_DAYS = f"""
    SELECT day, sum(prompts) AS prompts, sum(answers) AS answers, sum(images) AS images,
           count(DISTINCT conversation_id) AS conversations
    FROM (
        SELECT date(m.created_at, 'localtime') AS day, m.conversation_id,
               m.role = 'user' AS prompts, {_IS_ANSWER} AS answers, 0 AS images
        FROM messages m WHERE m.role IN ('user', 'assistant') AND m.visible = 1
        UNION ALL
        SELECT date(g.created_at, 'localtime'), g.conversation_id, 0, 0, 1
        FROM image_generations g WHERE g.status = 'complete')
    WHERE day IS NOT NULL GROUP BY day"""

# Seconds as `time_to_first_token` means them everywhere: of the exchange that asked, where the answer came in it. The
# length is taken before answers are sorted by model: SQLite would sort their texts with them.
_MODELS = f"""
    WITH answers AS MATERIALIZED (
        SELECT m.requested_model, m.model_slug, m.conversation_id, length(m.text) AS characters, m.reasoning_seconds,
               m.created_at, iif(m.end_turn = 1, (
                   SELECT julianday(s.first_token_at) - julianday(s.started_at) FROM streams s
                   WHERE s.id = m.stream_id AND s.kind = 'turn' AND s.first_token_at >= s.started_at), NULL) AS waited
        FROM messages m WHERE {_IS_ANSWER} AND m.model_slug IS NOT NULL)
    SELECT requested_model, model_slug, count(*) AS answers, count(DISTINCT conversation_id) AS conversations,
           sum(characters) AS characters, round(sum(reasoning_seconds), 1) AS reasoning_seconds,
           round(avg(waited) * 86400, 3) AS average_seconds_to_first_token,
           min(created_at) AS first_at, max(created_at) AS last_at
    FROM answers GROUP BY requested_model, model_slug"""

# The service says that an image has 0 bytes when it does not know yet how many.
_GALLERY = """
    SELECT g.id, g.conversation_id, c.title AS conversation_title, g.message_id, g.part_index, g.status, g.title,
           asked.text AS user_prompt, g.prompt AS tool_prompt, g.size, coalesce(g.width, a.width) AS width,
           coalesce(g.height, a.height) AS height, coalesce(nullif(g.size_bytes, 0), nullif(a.size_bytes, 0))
               AS size_bytes, g.seed,
           g.gen_id, g.parent_gen_id, g.tool, g.model_slug, g.asset_id, g.asset_pointer, a.path AS asset_path,
           f.thumbnail_path, a.variant, a.sha256, a.mime_type, g.created_at
    FROM image_generations g
    LEFT JOIN conversations c ON c.id = g.conversation_id
    LEFT JOIN messages asked ON asked.conversation_id = g.conversation_id AND asked.id = g.prompt_message_id
    LEFT JOIN assets a ON a.id = g.asset_id
    LEFT JOIN files f ON f.sha256 = a.sha256"""

# The signs keep SQLite to the messages and images of the conversation: without statistics it takes those of the role,
# and all that are complete.
ACTIVITY_VIEWS = {
    "conversation_summaries": SUMMARY_VIEWS["conversation_summaries"]
    .replace(_LIVE, f"({_AWAITED})")
    .replace("substr(m.text, 1, 300)", "substr(coalesce(nullif(m.text, ''), m.transcript), 1, 300)")
    .replace("AND m.role = 'user'", "AND +m.role = 'user'")
    .replace("AND g.status = 'complete'", "AND +g.status = 'complete'"),
    "daily_activity": _DAYS,
    "model_usage": _MODELS,
    "image_gallery": _GALLERY,
}

# What is counted of very many messages is in the indexes themselves: texts need not be passed over.
INDEXES = """
DROP INDEX messages_role_created_at;
CREATE INDEX messages_role_created_at ON messages (role, created_at, visible);
DROP INDEX messages_model_slug_created_at;
CREATE INDEX messages_model_slug_created_at ON messages (model_slug, created_at, role, visible, content_type);
DROP INDEX messages_conversation_id_created_at;
CREATE INDEX messages_conversation_id_created_at
    ON messages (conversation_id, created_at, role, visible, content_type);
CREATE INDEX image_generations_status_created_at ON image_generations (status, created_at);
"""
