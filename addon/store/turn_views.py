"""Views of step 0002 about turns: each once, however many exchanges it came in, and whether all of it is here.

Exchanges are legs of one turn when they carry one `turn_exchange_id`, or one user message: page retries, resumes and
topics do. A regenerated answer and one that is continued are turns of their own, though they name the same message.
"""

from addon.answers.conversation import PART_MISSING
from addon.answers.ending import EARLIER_PART_MISSING

_OWN = "('variant', 'continue')"


def _is_leg(alias: str) -> str:
    """Updates that come beside the answers are no leg of one."""
    return f"{alias}.kind IN ('turn', 'resume', 'topic') AND ({alias}.kind <> 'topic' OR {alias}.name IS NOT 'updates')"


def _of_one_turn(one: str, other: str) -> str:
    return f"""({other}.turn_exchange_id = {one}.turn_exchange_id
        OR ({other}.request_message_id = {one}.request_message_id
            AND ifnull({other}.action, 'next') NOT IN {_OWN} AND ifnull({one}.action, 'next') NOT IN {_OWN}))
        AND {_is_leg(other)}"""


# The leg that tells best how a turn ended; of equal ones the last.
_RANK = """CASE o.state WHEN 'complete' THEN 1 WHEN 'streaming' THEN 2 WHEN 'interrupted' THEN 3
           WHEN 'handed_off' THEN 4 ELSE 5 END"""
_LEGS_OF_IT = f"FROM streams o WHERE (o.id = s.id OR ({_of_one_turn('s', 'o')}))"
_SECONDS = "round((julianday({}) - julianday({})) * 86400, 3)"

_FIRST_TOKEN = f"(SELECT min(o.first_token_at) {_LEGS_OF_IT})"
_ANSWERED_AT = "coalesce(answer.completed_at, best.ended_at)"

# A turn is named by its first leg, so that the newest of many are found by index.
_TURNS = f"""
    SELECT s.id AS stream_id, s.conversation_id, c.title, best.state, s.started_at,
           coalesce(s.requested_model, best.requested_model) AS requested_model, answer.model_slug,
           prompt.id AS prompt_message_id, prompt.text AS prompt, answer.id AS answer_message_id,
           answer.text AS answer, answer.status AS answer_status, answer.reasoning_seconds,
           {_SECONDS.format(_FIRST_TOKEN, "s.started_at")} AS seconds_to_first_token,
           {_SECONDS.format(_ANSWERED_AT, "s.started_at")} AS seconds, length(answer.text) AS characters,
           round(length(answer.text) / nullif(
               (julianday({_ANSWERED_AT}) - julianday({_FIRST_TOKEN})) * 86400, 0), 1) AS characters_per_second
    FROM streams s
    JOIN streams best ON best.id = (
        SELECT o.id {_LEGS_OF_IT} ORDER BY {_RANK}, o.started_at DESC, o.id DESC LIMIT 1)
    LEFT JOIN conversations c ON c.id = s.conversation_id
    LEFT JOIN messages prompt ON prompt.conversation_id IS s.conversation_id
        AND prompt.id = coalesce(s.request_message_id, best.request_message_id)
    -- What a leg brought, or what a document says of the turn: rather the end of it than what came last.
    LEFT JOIN messages answer ON answer.n = (
        SELECT m.n FROM messages m
        WHERE (m.stream_id IN (SELECT o.id {_LEGS_OF_IT}) OR m.turn_exchange_id = s.turn_exchange_id)
          AND m.role = 'assistant' AND m.visible = 1 AND m.content_type NOT IN ('thoughts', 'reasoning_recap')
        ORDER BY m.end_turn IS 1 AND m.status = 'finished_successfully' DESC, m.n DESC LIMIT 1)
    WHERE {_is_leg("s")} AND NOT EXISTS (
        SELECT 1 FROM streams o
        WHERE ({_of_one_turn("s", "o")}) AND (o.started_at, o.id) < (s.started_at, s.id))"""

_COMPLETENESS = f"""
    SELECT t.stream_id, t.conversation_id, t.title, t.started_at, t.prompt_message_id, t.answer_message_id,
           CASE
             WHEN EXISTS (SELECT 1 FROM image_generations g WHERE g.status IN ('pending', 'preview')
                          AND (g.stream_id IN (SELECT o.id {_LEGS_OF_IT})
                               OR (g.conversation_id = t.conversation_id
                                   AND g.prompt_message_id = t.prompt_message_id))) THEN 'pending_image'
             WHEN t.state = 'complete' OR (a.status = 'finished_successfully' AND a.end_turn = 1) THEN
               iif(EXISTS (SELECT 1 FROM streams o WHERE o.state = 'handed_off'
                           AND o.id IN (SELECT o.id {_LEGS_OF_IT})), 'handed_off_and_found', 'complete')
             WHEN t.state = 'handed_off' THEN 'handed_off_and_not_found'
             ELSE t.state END AS completeness,
           (SELECT count(*) {_LEGS_OF_IT}) AS legs,
           (SELECT o.error {_LEGS_OF_IT} ORDER BY {_RANK}, o.started_at DESC, o.id DESC LIMIT 1) AS error
    FROM turns t JOIN streams s ON s.id = t.stream_id
    LEFT JOIN messages a ON a.conversation_id IS t.conversation_id AND a.id = t.answer_message_id"""


def _health(name: str, value: str, detail: str, source: str, *, attention: bool = True) -> str:
    looked_at = f"({value}) > 0" if attention else "0"
    return f"SELECT '{name}' AS name, {value} AS value, {looked_at} AS attention, {detail} AS detail FROM {source}"


_STATES = ("complete", "streaming", "handed_off", "interrupted", "error")

_HEALTH = " UNION ALL ".join(
    [
        _health("last_captured_at", "(SELECT max(started_at) FROM streams)",
            "(SELECT ended_at FROM streams ORDER BY started_at DESC LIMIT 1)", "(SELECT 1)", attention=False,),
        *(
            _health(
                f"streams_{state}", "count(*)", "max(error)", f"streams WHERE state = '{state}'",
                attention=state == "error",
            )
            for state in _STATES
        ),
        _health(
            "turns_not_found", "count(*)", "max(started_at)",
            # Only the turns whose best leg was handed off: to look at all of them takes long.
            "turn_completeness WHERE completeness = 'handed_off_and_not_found'"
            " AND stream_id IN (SELECT id FROM streams WHERE state = 'handed_off')",
        ),
        _health("events_unrecognised", "count(*)", "group_concat(DISTINCT type)", "events WHERE recognised = 0"),
        _health("messages_damaged", "count(*)", "max(last_seen_at)", "messages WHERE damaged"),
        _health(
            "messages_unfinished", "count(*)", "max(last_seen_at)",
            "messages WHERE status = 'in_progress' AND live = 0", attention=False,
        ),
        _health(
            "images_pending", "count(*)", "max(requested_at)",
            "image_generations WHERE status IN ('pending', 'preview')",
        ),
        _health(
            "images_without_file", "count(*)", "max(g.created_at)",
            "image_generations g LEFT JOIN assets a ON a.id = g.asset_id"
            " WHERE g.status = 'complete' AND a.path IS NULL",
            attention=False,
        ),
        _health("chunks_lost", "ifnull(sum(lost_chunks), 0)", "ifnull(sum(lost_bytes), 0) || ' bytes'", "runs"),
        _health("exchanges_uncaptured", "ifnull(sum(uncaptured), 0)", "max(started_at)", "runs"),
    ]
)  # fmt: skip

TURN_VIEWS = {"turns": _TURNS, "turn_completeness": _COMPLETENESS, "capture_health": _HEALTH}

# As for `turns`: without statistics SQLite takes the index by role, and reads every answer of the archive for each
# turn; the sign keeps it to the messages of the turn.
TURNS_BY_TURN = _TURNS.replace("AND m.role = 'assistant'", "AND +m.role = 'assistant'")

# What no leg brought to its end may stand in a document, which need not name the turn: then what hangs under the
# prompt, with no other words of the person between, was seen after the question and is no other turn's. Only the
# message itself knows what is above it, so the way goes up, from each answer of the conversation.
_ASKED = "coalesce(s.request_message_id, best.request_message_id)"
_UNDER_THE_PROMPT = f"""
          SELECT found.n FROM messages found
          WHERE best.state NOT IN ('complete', 'streaming') AND found.conversation_id = s.conversation_id
            AND +found.role = 'assistant' AND found.visible = 1 AND found.first_seen_at >= s.started_at
            AND (found.turn_exchange_id IS NULL OR s.turn_exchange_id IS NULL)
            AND NOT EXISTS (SELECT 1 FROM streams o WHERE o.id = found.stream_id AND {_is_leg("o")})
            AND {_ASKED} = (
              WITH RECURSIVE above (id, distance) AS (
                SELECT found.parent_id, 1
                UNION ALL
                SELECT p.parent_id, distance + 1 FROM above
                JOIN messages p ON p.conversation_id = s.conversation_id AND p.id = above.id
                WHERE distance < 1000 AND p.id <> {_ASKED} AND NOT (p.role = 'user' AND p.visible = 1))
              SELECT id FROM above ORDER BY distance DESC LIMIT 1)"""

_OF_ITS_TURN = "m.turn_exchange_id = s.turn_exchange_id"
_TURNS_FOUND = TURNS_BY_TURN.replace(_OF_ITS_TURN, f"{_OF_ITS_TURN} OR m.n IN ({_UNDER_THE_PROMPT})")

_GAP = f"o.error IN ('{EARLIER_PART_MISSING}', '{PART_MISSING}')"
_IMAGE = f"""
             EXISTS (SELECT 1 FROM image_generations g WHERE g.status IN ({{}})
                     AND (g.stream_id IN (SELECT o.id {_LEGS_OF_IT})
                          OR (g.conversation_id = t.conversation_id AND g.prompt_message_id = t.prompt_message_id)))"""
# That a send was taken, in JSON that names no other place, is no hand-off where another send was answered.
_HANDED_OFF = f"""
             EXISTS (SELECT 1 {_LEGS_OF_IT} AND o.state = 'handed_off' AND (o.encoding IS NOT 'json'
                       OR EXISTS (SELECT 1 FROM events e WHERE e.stream_id = o.id AND e.type = 'websocket_handoff')
                       OR NOT EXISTS (SELECT 1 {_LEGS_OF_IT} AND o.kind = 'turn' AND o.state = 'complete')))"""
_COMPLETENESS_NAMED = f"""
    SELECT t.stream_id, t.conversation_id, t.title, t.started_at, t.prompt_message_id, t.answer_message_id,
           CASE
             WHEN {_IMAGE.format("'pending', 'preview'")} THEN 'pending_image'
             WHEN a.damaged IS NOT 1
                  AND (t.state = 'complete' OR (a.status = 'finished_successfully' AND a.end_turn = 1)
                       OR (t.state = 'handed_off' AND {_IMAGE.format("'complete'")})) THEN
               iif({_HANDED_OFF}, 'handed_off_and_found', 'complete')
             WHEN t.state <> 'streaming' AND (a.damaged OR EXISTS (SELECT 1 {_LEGS_OF_IT} AND {_GAP}))
               THEN 'part_missing'
             WHEN t.state = 'handed_off' THEN 'handed_off_and_not_found'
             ELSE t.state END AS completeness,
           (SELECT count(*) {_LEGS_OF_IT}) AS legs,
           iif(t.state = 'complete', NULL,
               (SELECT o.error {_LEGS_OF_IT}
                ORDER BY ifnull({_GAP}, 0) DESC, {_RANK}, o.started_at DESC, o.id DESC LIMIT 1)) AS error
    FROM turns t JOIN streams s ON s.id = t.stream_id
    LEFT JOIN messages a ON a.conversation_id IS t.conversation_id AND a.id = t.answer_message_id"""

_HANDED_OVER = f"""
    SELECT s.id FROM streams o JOIN streams s ON s.id = o.id OR ({_of_one_turn("o", "s")})
    WHERE o.state = 'handed_off'"""

TURNS_FOUND = {
    "turns": _TURNS_FOUND,
    "turn_completeness": _COMPLETENESS_NAMED,
    "capture_health": _HEALTH.replace("SELECT id FROM streams WHERE state = 'handed_off'", _HANDED_OVER),
}
"""Of step 0005: with the answers that only a document brought, and the parts that nothing did."""
