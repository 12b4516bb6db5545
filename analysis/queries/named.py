"""Questions that archives answer well, as SQL with a name: the charts, the canned queries, everybody's own beginnings.

Days are those of this machine's clock, given as `:since` and `:until` (`2026-11-23`, both included); empty means
without a limit. A message is of the day that the service says; one of which it says none is of no day. Counted are the
messages that the page shows. Where a question can be about any number of rows, an index answers it.
"""

import sqlite3
from dataclasses import dataclass
from typing import Any

from analysis.queries.sources import CITED, HOST

_UTC = "%Y-%m-%dT%H:%M:%S"
_FROM = f"coalesce(strftime('{_UTC}', :since, 'utc'), '0')"
_TO = f"coalesce(strftime('{_UTC}', :until, '+1 day', 'utc'), '9')"
IS_ANSWER = """role = 'assistant' AND visible = 1
    AND coalesce(content_type, '') NOT IN ('thoughts', 'reasoning_recap')"""


def _between(column: str) -> str:
    return f"{column} >= {_FROM}\n    AND {column} < {_TO}"


def _local(form: str, column: str = "created_at") -> str:
    return f"strftime('{form}', {column}, 'localtime')"


def _ranked(title: str, description: str, measure: tuple[str, int], best: str, where: str) -> "Question":
    """The middle and the 90th of 100 answers by model, of the exchanges that asked and in which the answer came.

    Measured is in so many parts of one: many answers share it, and are put in order together. `best` is where that
    order begins, `min` or `max`. The signs keep SQLite to the indexes made for this; and it is measured before it is
    counted, as SQLite would put the texts in order with it.
    """
    (measured, parts), order = measure, {"min": "ASC", "max": "DESC"}[best]
    return Question(
        title,
        description,
        f"""WITH each AS MATERIALIZED (
    SELECT m.model_slug AS model, CAST(round({measured} * {parts}) AS INTEGER) AS measured
    FROM streams s CROSS JOIN messages m ON m.stream_id = s.id
    WHERE s.kind = 'turn' AND s.first_token_at IS NOT NULL AND m.role = 'assistant' AND m.end_turn = 1
    AND m.model_slug > ''{where} AND {_between("+s.started_at")}),
seen AS MATERIALIZED (SELECT model, measured, count(*) AS answers FROM each GROUP BY measured, model),
ranked AS (
    SELECT model, measured, sum(answers) OVER (PARTITION BY model ORDER BY measured {order}) AS place,
           sum(answers) OVER (PARTITION BY model) AS answers
    FROM seen WHERE measured IS NOT NULL)
SELECT model, max(answers) AS answers, {best}(iif(place >= (answers + 1) / 2, measured, NULL)) / {parts}.0 AS p50,
       {best}(iif(place >= (answers * 9 + 9) / 10, measured, NULL)) / {parts}.0 AS p90
FROM ranked GROUP BY model ORDER BY answers DESC, model""",
    )


@dataclass(frozen=True, slots=True)
class Question:
    """A query, what it is called and what it tells."""

    title: str
    description: str
    sql: str

    @property
    def parameters(self) -> list[str]:
        """What it is asked with."""
        return [name for name in ("q", "since", "until", "id", "seed") if f":{name}" in self.sql]


def answers(db: sqlite3.Connection, name: str, **given: str | int) -> list[dict[str, Any]]:
    """The rows that answer a question, asked with what of `given` it takes; nothing else limits it."""
    question = QUESTIONS[name]
    values = {parameter: given.get(parameter, "") for parameter in question.parameters}
    return [dict(row) for row in db.execute(question.sql, values)]


QUESTIONS: dict[str, Question] = {
    "prompts_per_day": Question(
        "Prompts per day",
        "How many messages you sent on each day.",
        f"""SELECT {_local("%Y-%m-%d")} AS day, count(*) AS prompts
FROM messages
WHERE role = 'user' AND visible = 1 AND {_between("created_at")}
GROUP BY day ORDER BY day""",
    ),
    "prompts_per_month": Question(
        "Prompts per month",
        "How many messages you sent in each month.",
        f"""SELECT {_local("%Y-%m")} AS month, count(*) AS prompts
FROM messages
WHERE role = 'user' AND visible = 1 AND {_between("created_at")}
GROUP BY month ORDER BY month""",
    ),
    "prompts_by_hour_weekday": Question(
        "Prompts by hour and weekday",
        "When you ask, in your own time zone. Where weekdays are numbers, 0 is Sunday.",
        f"""SELECT CAST({_local("%w")} AS INTEGER) AS weekday,
       CAST({_local("%H")} AS INTEGER) AS hour, count(*) AS prompts
FROM messages
WHERE role = 'user' AND visible = 1 AND {_between("created_at")}
GROUP BY weekday, hour ORDER BY weekday, hour""",
    ),
    "answers_by_model_month": Question(
        "Answers by model and month",
        "Which models answered, month by month.",
        # The sign keeps SQLite to the index of models, in which all of it is.
        f"""SELECT {_local("%Y-%m")} AS month, model_slug AS model, count(*) AS answers
FROM messages
WHERE model_slug > '' AND +{IS_ANSWER} AND {_between("created_at")}
GROUP BY month, model ORDER BY month, model""",
    ),
    "time_to_first_token_by_model": _ranked(
        "Time to the first token by model",
        "Seconds from sending to the first token, by the model that answered: the middle, and what one in ten exceeds.",
        ("(julianday(s.first_token_at) - julianday(s.started_at)) * 86400", 1000),
        "min",
        " AND s.first_token_at >= s.started_at",
    ),
    "writing_speed_by_model": _ranked(
        "Writing speed by model",
        "Characters a second from the first token to the last: the middle (p50), nine in ten are faster than p90.",
        ("length(m.text) / nullif((julianday(m.completed_at) - julianday(m.first_token_at)) * 86400, 0)", 10),
        "max",
        "",
    ),
    "answer_length_by_month": Question(
        "Length of answers",
        "Characters of an answer on average, by month.",
        # The length before the months: SQLite would sort the texts with them.
        f"""WITH answers AS MATERIALIZED (
    SELECT {_local("%Y-%m")} AS month, length(text) AS characters
    FROM messages
    WHERE {IS_ANSWER} AND {_between("created_at")})
SELECT month, count(*) AS answers, round(avg(characters)) AS characters
FROM answers GROUP BY month ORDER BY month""",
    ),
    "images_per_month": Question(
        "Images per month",
        "How many images were made, by month and by what became of them.",
        f"""SELECT {_local("%Y-%m")} AS month, status, count(*) AS images
FROM image_generations
WHERE {_between("created_at")}
GROUP BY month, status ORDER BY month""",
    ),
    "thinking_time_per_month": Question(
        "Thinking time",
        "Minutes that models thought before they answered, by month.",
        f"""SELECT {_local("%Y-%m")} AS month, count(*) AS thoughts,
       round(sum(reasoning_seconds) / 60, 1) AS minutes
FROM messages
WHERE role = 'assistant' AND reasoning_seconds > 0 AND {_between("created_at")}
GROUP BY month ORDER BY month""",
    ),
    "conversation_lengths": Question(
        "Lengths of conversations",
        "How many conversations have how many messages: 8 stands for 8 to 15, 16 for 16 to 31.",
        f"""WITH sizes AS (
    SELECT (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.visible = 1) AS size
    FROM conversations c WHERE {_between("c.last_seen_at")})
SELECT 1 << CAST(log2(size) AS INTEGER) AS messages, count(*) AS conversations
FROM sizes WHERE size > 0 GROUP BY 1 ORDER BY 1""",
    ),
    "most_cited_sites": Question(
        "Most cited sites",
        "The sites that most answers name as their sources.",
        f"""SELECT {HOST} AS site, count(DISTINCT c.url) AS pages, count(DISTINCT c.message_n) AS answers
FROM citations c CROSS JOIN messages m ON m.n = c.message_n
WHERE {CITED} AND {_between("m.created_at")}
GROUP BY site HAVING site <> '' ORDER BY answers DESC, site LIMIT 30""",
    ),
    "search_messages": Question(
        "Search messages",
        'Messages that hold these words, the best first. FTS5 syntax: two words, "a phrase", a*, a OR b, a NOT b.',
        """SELECT m.n AS message, c.title, m.role, m.created_at,
       snippet(messages_fts, -1, '[', ']', '…', 24) AS found
FROM messages_fts
JOIN messages m ON m.n = messages_fts.rowid
LEFT JOIN conversations c ON c.id = m.conversation_id
WHERE messages_fts MATCH coalesce(nullif(trim(:q), ''), '""')
ORDER BY messages_fts.rank LIMIT 100""",
    ),
    "model_switches": Question(
        "Model switches",
        "Answers that came from another model than the one that was asked for.",
        f"""SELECT created_at, conversation_id, id AS message_id, requested_model, model_slug
FROM messages
WHERE role = 'assistant' AND requested_model <> model_slug AND requested_model <> 'auto' AND {_between("created_at")}
ORDER BY created_at DESC LIMIT 500""",
    ),
    "slowest_answers": Question(
        "Slowest answers",
        "The answers whose first token came last.",
        f"""SELECT round((julianday(s.first_token_at) - julianday(s.started_at)) * 86400, 1) AS seconds_to_first_token,
       round((julianday(s.ended_at) - julianday(s.started_at)) * 86400, 1) AS seconds, s.requested_model,
       s.started_at, s.conversation_id, s.id AS stream_id
FROM streams s
WHERE s.first_token_at IS NOT NULL AND {_between("s.started_at")}
ORDER BY 1 DESC LIMIT 100""",
    ),
    "failed_streams": Question(
        "Failed exchanges",
        "Exchanges that broke off or that the service refused, the latest first.",
        f"""SELECT id, started_at, state, status_code, error, kind, conversation_id, requested_model
FROM streams
WHERE state IN ('error', 'interrupted') AND {_between("started_at")}
ORDER BY started_at DESC LIMIT 500""",
    ),
    "longest_conversations": Question(
        "Longest conversations",
        "The conversations with the most messages.",
        f"""SELECT c.id AS conversation_id, c.title, counted.messages, c.last_seen_at
FROM (SELECT conversation_id, count(*) AS messages FROM messages
      WHERE visible = 1 AND conversation_id > '' AND {_between("created_at")}
      GROUP BY conversation_id ORDER BY messages DESC, conversation_id LIMIT 100) counted
JOIN conversations c ON c.id = counted.conversation_id
ORDER BY counted.messages DESC, c.id""",
    ),
    "edited_prompts": Question(
        "Edited prompts",
        "Questions that were asked again in other words: several in one place of their conversation.",
        f"""SELECT conversation_id, parent_id, count(*) AS versions, min(created_at) AS first_at,
       max(text) AS one_of_them
FROM messages
WHERE role = 'user' AND visible = 1 AND parent_id IS NOT NULL AND {_between("created_at")}
GROUP BY conversation_id, parent_id HAVING count(*) > 1
ORDER BY first_at DESC LIMIT 200""",
    ),
    "regenerated_answers": Question(
        "Regenerated answers",
        "Questions that were answered more than once.",
        f"""SELECT s.conversation_id, s.request_message_id AS prompt_message_id, count(*) AS again,
       max(s.started_at) AS last_at
FROM streams s
WHERE s.action = 'variant' AND {_between("s.started_at")}
GROUP BY s.conversation_id, s.request_message_id
ORDER BY last_at DESC LIMIT 200""",
    ),
    "image_prompts": Question(
        "Image prompts",
        "What was asked for and what the image tool was told, the latest image first. Filter with :q.",
        """SELECT id, conversation_title, user_prompt, tool_prompt, size, seed, status, created_at
FROM image_gallery
WHERE coalesce(tool_prompt, '') LIKE '%' || :q || '%' OR coalesce(user_prompt, '') LIKE '%' || :q || '%'
ORDER BY created_at DESC LIMIT 200""",
    ),
    "image_forebears": Question(
        "Forebears of an image",
        "An image (:id, as in image_generations) with everything it was made from.",
        """WITH RECURSIVE line (id, gen_id, parent_gen_id, depth) AS (
    SELECT id, gen_id, parent_gen_id, 0 FROM image_generations WHERE id = :id
    UNION
    SELECT g.id, g.gen_id, g.parent_gen_id, line.depth + 1
    FROM line JOIN image_generations g ON g.gen_id = line.parent_gen_id WHERE line.depth < 100)
SELECT line.depth, g.id, g.prompt, g.edit_op, g.size, g.seed, g.created_at, g.gen_id, g.parent_gen_id
FROM line JOIN image_generations g ON g.id = line.id ORDER BY line.depth""",
    ),
    "images_by_seed": Question(
        "Images by seed",
        "Images that were made with one seed.",
        """SELECT id, prompt, seed, size, created_at, conversation_id
FROM image_generations WHERE seed = :seed ORDER BY created_at""",
    ),
    "sources_cited": Question(
        "Sources cited",
        "The pages that answers named most often.",
        f"""SELECT c.url, max(c.title) AS title, count(DISTINCT c.message_n) AS answers
FROM citations c WHERE {CITED} GROUP BY c.url ORDER BY answers DESC, c.url LIMIT 200""",
    ),
    "code_blocks": Question(
        "Code blocks",
        "The latest answers with code in them.",
        f"""SELECT n AS message, conversation_id, created_at, model_slug,
       substr(text, instr(text, '```'), 400) AS code
FROM messages
WHERE role = 'assistant' AND text LIKE '%```%' AND {_between("created_at")}
ORDER BY created_at DESC LIMIT 100""",
    ),
    "unrecognised_events": Question(
        "Unrecognised events",
        "What the service sent and this version does not understand: it is kept, and can be read again later.",
        """SELECT type, events, streams, first_received_at, last_received_at, example
FROM unrecognised ORDER BY events DESC""",
    ),
    "capture_gaps": Question(
        "Gaps in the capture",
        "Times longer than two days in which nothing was captured.",
        f"""WITH days AS (SELECT DISTINCT {_local("%Y-%m-%d", "started_at")} AS day FROM streams),
following AS (SELECT day, lead(day) OVER (ORDER BY day) AS next_day FROM days)
SELECT day AS last_day, next_day, CAST(julianday(next_day) - julianday(day) - 1 AS INTEGER) AS days_without
FROM following WHERE julianday(next_day) - julianday(day) > 2 ORDER BY day DESC""",
    ),
}
