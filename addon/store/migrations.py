"""The schema, as numbered steps (sqlite-utils migrations); each runs in a transaction together with its record.

Search columns, views and indexes are declared as data at the top of the step that made them. A step that has been
released is never edited; a change is a new step and a new `archive.VERSION`.
"""

import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from addon.archive import VERSION
from addon.store.activity_views import ACTIVITY_VIEWS, INDEXES
from addon.store.quick_figures import FIGURE_VIEWS, FIGURES
from addon.store.search_tables import SEARCH
from addon.store.summary_views import SUMMARY_INDEXES, SUMMARY_VIEWS
from addon.store.thread_views import THREADS
from addon.store.turn_views import TURN_VIEWS, TURNS_BY_TURN, TURNS_FOUND
from addon.store.versions_told import WHO_SAID_IT

migrations = Migrations("chatgpt_capture")

_TABLES = """
CREATE TABLE streams (
    id TEXT PRIMARY KEY, source TEXT, kind TEXT, host TEXT, path TEXT, method TEXT, http_version TEXT,
    status_code INTEGER, content_type TEXT, content_encoding TEXT,
    conversation_id TEXT REFERENCES conversations(id), request_message_id TEXT, turn_exchange_id TEXT,
    requested_model TEXT, action TEXT, encoding TEXT, state TEXT, error TEXT,
    started_at TEXT, first_event_at TEXT, first_token_at TEXT, ended_at TEXT,
    event_count INTEGER, unrecognised_count INTEGER, wire_bytes INTEGER, body_bytes INTEGER
);
CREATE TABLE stream_bodies (
    stream_id TEXT PRIMARY KEY REFERENCES streams(id), body BLOB, arrivals BLOB, wire BLOB
);
CREATE TABLE request_bodies (stream_id TEXT PRIMARY KEY REFERENCES streams(id), body BLOB);
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, title TEXT, created_at TEXT, updated_at TEXT, current_node TEXT, default_model_slug TEXT,
    gizmo_id TEXT, conversation_origin TEXT, is_archived INTEGER, is_starred INTEGER, is_temporary INTEGER,
    source TEXT, first_seen_at TEXT, last_seen_at TEXT, metadata TEXT
);
CREATE TABLE messages (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, conversation_id TEXT REFERENCES conversations(id), parent_id TEXT,
    role TEXT, author_name TEXT, recipient TEXT, channel TEXT, content_type TEXT, text TEXT, content TEXT,
    status TEXT, end_turn INTEGER, weight REAL, visible INTEGER, model_slug TEXT, requested_model TEXT,
    finish_type TEXT, turn_exchange_id TEXT, request_id TEXT, reasoning_seconds REAL,
    created_at TEXT, updated_at TEXT, first_seen_at TEXT, first_token_at TEXT, completed_at TEXT, last_seen_at TEXT,
    stream_id TEXT REFERENCES streams(id), source TEXT, revision INTEGER NOT NULL DEFAULT 0,
    live INTEGER NOT NULL DEFAULT 0, damaged INTEGER NOT NULL DEFAULT 0, metadata TEXT,
    UNIQUE (conversation_id, id)
);
CREATE TABLE message_versions (
    message_n INTEGER NOT NULL REFERENCES messages(n), revision INTEGER NOT NULL, replaced_at TEXT, reason TEXT,
    content TEXT, text TEXT, status TEXT, PRIMARY KEY (message_n, revision)
);
CREATE TABLE assets (
    id TEXT PRIMARY KEY, pointer TEXT, kind TEXT, origin TEXT, mime_type TEXT, name TEXT, size_bytes INTEGER,
    width INTEGER, height INTEGER, sha256 TEXT, path TEXT, variant TEXT, conversation_id TEXT, message_id TEXT,
    downloaded_at TEXT, stream_id TEXT REFERENCES streams(id)
);
CREATE TABLE message_assets (
    message_n INTEGER NOT NULL REFERENCES messages(n), asset_id TEXT NOT NULL REFERENCES assets(id), role TEXT NOT NULL,
    PRIMARY KEY (message_n, asset_id, role)
);
CREATE TABLE image_generations (
    id INTEGER PRIMARY KEY, conversation_id TEXT REFERENCES conversations(id), message_id TEXT, part_index INTEGER,
    asset_id TEXT REFERENCES assets(id), asset_pointer TEXT, gen_id TEXT, parent_gen_id TEXT, edit_op TEXT,
    prompt TEXT, seed INTEGER, size TEXT, width INTEGER, height INTEGER, size_bytes INTEGER, fovea INTEGER,
    orientation TEXT, transparent_background INTEGER, title TEXT, serialization_title TEXT, tool TEXT,
    model_slug TEXT, task_id TEXT, status TEXT, request_message_id TEXT, prompt_message_id TEXT,
    requested_at TEXT, created_at TEXT, completed_at TEXT, stream_id TEXT REFERENCES streams(id), metadata TEXT,
    UNIQUE (conversation_id, message_id, part_index)
);
CREATE TABLE events (
    stream_id TEXT NOT NULL REFERENCES streams(id), position INTEGER NOT NULL, received_at TEXT, type TEXT,
    recognised INTEGER, conversation_id TEXT, message_id TEXT, data TEXT, PRIMARY KEY (stream_id, position)
);
CREATE TABLE citations (
    message_n INTEGER NOT NULL REFERENCES messages(n), position INTEGER NOT NULL, url TEXT, title TEXT,
    attribution TEXT, snippet TEXT, published_at TEXT, kind TEXT, PRIMARY KEY (message_n, position)
);
"""

_INDEXES = {
    "streams": ["started_at", "conversation_id", "request_message_id", "turn_exchange_id", "state"],
    "conversations": ["updated_at", "last_seen_at"],
    "messages": ["id", "parent_id", "stream_id", "turn_exchange_id", "role, created_at", "model_slug, created_at"],
    "assets": ["sha256", "stream_id"],
    "message_assets": ["asset_id"],
    "image_generations": ["gen_id", "parent_gen_id", "asset_id", "created_at", "stream_id"],
    "events": ["type", "recognised, type", "conversation_id"],
    "citations": ["url"],
}

# A message enters the search index when it stops growing: indexing each growth would cost more than the capture.
# Exactly the rows with live = 0 are indexed, which is what 'delete' of an external content table relies on. Leaving
# and entering are one trigger: SQLite does not say which of two triggers of one event runs first.
_SEARCH = """
CREATE VIRTUAL TABLE messages_fts USING fts5(
    text, content="messages", content_rowid="n", tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE messages_fts_cjk USING fts5(
    text, content="messages", content_rowid="n", tokenize='trigram', detail=none);
CREATE TRIGGER messages_search_insert AFTER INSERT ON messages WHEN new.live = 0 BEGIN
    INSERT INTO messages_fts (rowid, text) VALUES (new.n, new.text);
    INSERT INTO messages_fts_cjk (rowid, text) VALUES (new.n, new.text);
END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages WHEN old.live = 0 BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.n, old.text);
    INSERT INTO messages_fts_cjk (messages_fts_cjk, rowid, text) VALUES ('delete', old.n, old.text);
END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF text, live ON messages
WHEN old.live <> new.live OR old.text IS NOT new.text BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, text) SELECT 'delete', old.n, old.text WHERE old.live = 0;
    INSERT INTO messages_fts_cjk (messages_fts_cjk, rowid, text) SELECT 'delete', old.n, old.text WHERE old.live = 0;
    INSERT INTO messages_fts (rowid, text) SELECT new.n, new.text WHERE new.live = 0;
    INSERT INTO messages_fts_cjk (rowid, text) SELECT new.n, new.text WHERE new.live = 0;
END;
"""

_VIEWS = {
    # A turn: what the person said and the last thing the assistant answered to it, in one exchange.
    "turns": """
        SELECT s.id AS stream_id, s.conversation_id, c.title, s.state, s.started_at, s.requested_model,
               answer.model_slug, prompt.id AS prompt_message_id, prompt.text AS prompt,
               answer.id AS answer_message_id, answer.text AS answer, answer.status AS answer_status,
               answer.reasoning_seconds,
               round((julianday(s.first_token_at) - julianday(s.started_at)) * 86400, 3) AS seconds_to_first_token,
               round((julianday(coalesce(answer.completed_at, s.ended_at)) - julianday(s.started_at)) * 86400, 3)
                   AS seconds,
               length(answer.text) AS characters,
               round(length(answer.text) / nullif(
                   (julianday(coalesce(answer.completed_at, s.ended_at)) - julianday(s.first_token_at)) * 86400, 0), 1)
                   AS characters_per_second
        FROM streams s
        LEFT JOIN conversations c ON c.id = s.conversation_id
        LEFT JOIN messages prompt ON prompt.conversation_id IS s.conversation_id AND prompt.id = s.request_message_id
        LEFT JOIN messages answer ON answer.n = (
            SELECT max(m.n) FROM messages m
            WHERE m.stream_id = s.id AND m.role = 'assistant' AND m.visible = 1
              AND m.content_type NOT IN ('thoughts', 'reasoning_recap'))
        WHERE s.kind IN ('turn', 'resume', 'topic')""",
    # The current branch of each conversation, from its root to its current node. Each message once, also where the
    # parents the service named go round in a circle.
    "threads": """
        WITH RECURSIVE branch (conversation_id, id, distance) AS (
            SELECT id, current_node, 0 FROM conversations WHERE current_node IS NOT NULL
            UNION
            SELECT b.conversation_id, m.parent_id, b.distance + 1 FROM branch b
            JOIN messages m ON m.conversation_id = b.conversation_id AND m.id = b.id
            WHERE m.parent_id IS NOT NULL AND b.distance < 10000),
        node AS (SELECT conversation_id, id, min(distance) AS distance FROM branch GROUP BY conversation_id, id)
        SELECT node.conversation_id,
               row_number() OVER (PARTITION BY node.conversation_id ORDER BY node.distance DESC) AS position,
               m.n, m.id, m.role, m.author_name, m.recipient, m.content_type, m.text, m.status, m.visible,
               m.model_slug, m.created_at
        FROM node JOIN messages m ON m.conversation_id = node.conversation_id AND m.id = node.id""",
    "image_gallery": """
        SELECT g.id, g.conversation_id, c.title AS conversation_title, g.message_id, g.part_index, g.status, g.title,
               asked.text AS user_prompt, g.prompt AS tool_prompt, g.size, g.width, g.height, g.size_bytes, g.seed,
               g.gen_id, g.parent_gen_id, g.tool, g.model_slug, g.asset_id, g.asset_pointer,
               a.path AS asset_path, a.mime_type, g.created_at
        FROM image_generations g
        LEFT JOIN conversations c ON c.id = g.conversation_id
        LEFT JOIN messages asked ON asked.conversation_id = g.conversation_id AND asked.id = g.prompt_message_id
        LEFT JOIN assets a ON a.id = g.asset_id""",
    "unrecognised": """
        SELECT e.type, count(*) AS events, count(DISTINCT e.stream_id) AS streams,
               min(e.received_at) AS first_received_at, max(e.received_at) AS last_received_at,
               max(substr(e.data, 1, 200)) AS example
        FROM events e WHERE e.recognised = 0 GROUP BY e.type""",
}


@migrations(name="0001_initial")
def initial(db: Database) -> None:
    """Tables, search, indexes and views of the first version."""
    for statement in _statements(_TABLES) + _statements(_SEARCH):
        db.execute(statement)
    for table, indexes in _INDEXES.items():
        for columns in indexes:
            name = f"{table}_{columns.replace(', ', '_')}"
            db.execute(f"CREATE INDEX {name} ON {table} ({columns})")
    for name, query in _VIEWS.items():
        db.execute(f"CREATE VIEW {name} AS {query}")


_DOCUMENTS = """
ALTER TABLE streams ADD COLUMN name TEXT;
ALTER TABLE streams ADD COLUMN parameters TEXT;
ALTER TABLE streams ADD COLUMN resume_offset INTEGER;
ALTER TABLE streams ADD COLUMN last_seen_at TEXT;
CREATE INDEX streams_path_started_at ON streams (path, started_at);
ALTER TABLE messages ADD COLUMN parent_certainty INTEGER NOT NULL DEFAULT 1;
ALTER TABLE conversations ADD COLUMN digest TEXT;
ALTER TABLE conversations ADD COLUMN told_at TEXT;
UPDATE conversations SET told_at = json_object(
    'title', last_seen_at, 'current_node', last_seen_at, 'default_model_slug', last_seen_at);
ALTER TABLE stream_bodies ADD COLUMN digest TEXT;
CREATE INDEX stream_bodies_digest ON stream_bodies (digest);
CREATE INDEX streams_name ON streams (name);
CREATE TABLE canvas_documents (
    id TEXT NOT NULL, version INTEGER NOT NULL, conversation_id TEXT REFERENCES conversations(id), message_id TEXT,
    title TEXT, textdoc_type TEXT, content TEXT, created_at TEXT, updated_at TEXT, first_seen_at TEXT,
    last_seen_at TEXT, stream_id TEXT REFERENCES streams(id), metadata TEXT, PRIMARY KEY (id, version)
);
CREATE INDEX canvas_documents_conversation_id ON canvas_documents (conversation_id);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, started_at TEXT, ended_at TEXT, streams INTEGER, uncaptured INTEGER, lost_chunks INTEGER,
    lost_bytes INTEGER
);
CREATE TABLE messages_fts_pause (after_n INTEGER NOT NULL);
ALTER TABLE messages ADD COLUMN in_parts INTEGER NOT NULL DEFAULT 1;
DROP TABLE messages_fts_cjk;
CREATE VIEW messages_in_parts AS SELECT n, text FROM messages WHERE live = 0 AND in_parts = 1;
CREATE VIRTUAL TABLE messages_fts_cjk USING fts5(
    text, content="messages_in_parts", content_rowid="n", tokenize='trigram', detail=none);
INSERT INTO messages_fts_cjk (messages_fts_cjk) VALUES ('rebuild');
DROP TRIGGER messages_search_insert;
DROP TRIGGER messages_search_delete;
DROP TRIGGER messages_search_update;
CREATE TRIGGER messages_search_insert AFTER INSERT ON messages
WHEN new.live = 0 AND NOT EXISTS (SELECT 1 FROM messages_fts_pause WHERE new.n > after_n) BEGIN
    INSERT INTO messages_fts (rowid, text) VALUES (new.n, new.text);
    INSERT INTO messages_fts_cjk (rowid, text) SELECT new.n, new.text WHERE new.in_parts;
END;
CREATE TRIGGER messages_search_delete AFTER DELETE ON messages
WHEN old.live = 0 AND NOT EXISTS (SELECT 1 FROM messages_fts_pause WHERE old.n > after_n) BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.n, old.text);
    INSERT INTO messages_fts_cjk (messages_fts_cjk, rowid, text) SELECT 'delete', old.n, old.text WHERE old.in_parts;
END;
CREATE TRIGGER messages_search_update AFTER UPDATE OF text, live, in_parts ON messages
WHEN (old.live <> new.live OR old.text IS NOT new.text OR old.in_parts <> new.in_parts)
    AND NOT EXISTS (SELECT 1 FROM messages_fts_pause WHERE new.n > after_n) BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, text) SELECT 'delete', old.n, old.text WHERE old.live = 0;
    INSERT INTO messages_fts_cjk (messages_fts_cjk, rowid, text)
        SELECT 'delete', old.n, old.text WHERE old.live = 0 AND old.in_parts;
    INSERT INTO messages_fts (rowid, text) SELECT new.n, new.text WHERE new.live = 0;
    INSERT INTO messages_fts_cjk (rowid, text) SELECT new.n, new.text WHERE new.live = 0 AND new.in_parts;
END;
CREATE TABLE asset_urls (
    url TEXT PRIMARY KEY, asset_id TEXT NOT NULL REFERENCES assets(id), name TEXT, size_bytes INTEGER,
    conversation_id TEXT, derived INTEGER NOT NULL DEFAULT 0, seen_at TEXT, stream_id TEXT REFERENCES streams(id)
);
CREATE INDEX asset_urls_asset_id ON asset_urls (asset_id);
CREATE TABLE files (
    sha256 TEXT PRIMARY KEY, path TEXT NOT NULL, mime_type TEXT, size_bytes INTEGER, width INTEGER, height INTEGER,
    thumbnail_path TEXT, thumbnail_error TEXT
);
CREATE TABLE asset_files (
    asset_id TEXT NOT NULL REFERENCES assets(id), sha256 TEXT NOT NULL REFERENCES files(sha256), url TEXT,
    derived INTEGER, downloaded_at TEXT, stream_id TEXT REFERENCES streams(id), PRIMARY KEY (asset_id, sha256)
);
CREATE INDEX asset_files_sha256 ON asset_files (sha256);
CREATE INDEX asset_files_url ON asset_files (url);
ALTER TABLE assets ADD COLUMN error TEXT;
ALTER TABLE assets ADD COLUMN stated_size_bytes INTEGER;
ALTER TABLE assets ADD COLUMN stated_width INTEGER;
ALTER TABLE assets ADD COLUMN stated_height INTEGER;
CREATE INDEX assets_message_id ON assets (message_id);
UPDATE assets SET size_bytes = nullif(size_bytes, 0), width = nullif(width, 0), height = nullif(height, 0);
UPDATE assets SET stated_size_bytes = size_bytes, stated_width = width, stated_height = height;
"""

_FILE_VIEWS = {
    "image_gallery": """
        SELECT g.id, g.conversation_id, c.title AS conversation_title, g.message_id, g.part_index, g.status, g.title,
               asked.text AS user_prompt, g.prompt AS tool_prompt, g.size, coalesce(g.width, a.width) AS width,
               coalesce(g.height, a.height) AS height, coalesce(g.size_bytes, a.size_bytes) AS size_bytes, g.seed,
               g.gen_id, g.parent_gen_id, g.tool, g.model_slug, g.asset_id, g.asset_pointer, a.path AS asset_path,
               f.thumbnail_path, a.variant, a.sha256, a.mime_type, g.created_at
        FROM image_generations g
        LEFT JOIN conversations c ON c.id = g.conversation_id
        LEFT JOIN messages asked ON asked.conversation_id = g.conversation_id AND asked.id = g.prompt_message_id
        LEFT JOIN assets a ON a.id = g.asset_id
        LEFT JOIN files f ON f.sha256 = a.sha256""",
    # What messages mention and no original is stored of: never fetched, only smaller, or refused by the service.
    "missing_files": """
        SELECT a.id AS asset_id, a.kind, a.origin, a.name, a.pointer, a.conversation_id, c.title AS conversation_title,
               a.message_id, iif(a.sha256 IS NULL, NULL, a.variant) AS stored_variant, a.error, a.stream_id
        FROM assets a LEFT JOIN conversations c ON c.id = a.conversation_id
        WHERE a.origin IS NOT NULL AND (a.sha256 IS NULL OR a.variant <> 'original')""",
}


@migrations(name="0002_documents_and_files")
def documents_and_files(db: Database) -> None:
    """What arrives beside the answers: documents the page loads, and files."""
    for statement in _statements(_DOCUMENTS):
        db.execute(statement)
    for statement in SUMMARY_INDEXES:
        db.execute(statement)
    for name, query in (_FILE_VIEWS | TURN_VIEWS | SUMMARY_VIEWS).items():
        db.execute(f"DROP VIEW IF EXISTS {name}")
        db.execute(f"CREATE VIEW {name} AS {query}")


@migrations(name="0003_large_archives")
def large_archives(db: Database) -> None:
    """What takes too long with a million messages."""
    # Nothing asks for messages by what is above them alone, without their conversation; and an index whose keys come
    # in no order costs an import as much as three others.
    db.execute("DROP INDEX messages_parent_id")
    for name, query in (("threads", THREADS), ("turns", TURNS_BY_TURN)):
        db.execute(f"DROP VIEW {name}")
        db.execute(f"CREATE VIEW {name} AS {query}")


@migrations(name="0004_words_and_days")
def words_and_days(db: Database) -> None:
    """What was said aloud is searched too, texts to their last letter; days are those of the person's clock."""
    for statement in _statements(SEARCH) + _statements(INDEXES):
        db.execute(statement)
    for name, query in ACTIVITY_VIEWS.items():
        db.execute(f"DROP VIEW {name}")
        db.execute(f"CREATE VIEW {name} AS {query}")


@migrations(name="0005_who_said_it")
def who_said_it(db: Database) -> None:
    """Which exchange told an earlier version of a message; figures from indexes; answers found under their prompts."""
    for statement in _statements(WHO_SAID_IT) + _statements(FIGURES):
        db.execute(statement)
    for name, query in (FIGURE_VIEWS | TURNS_FOUND).items():
        db.execute(f"DROP VIEW {name}")
        db.execute(f"CREATE VIEW {name} AS {query}")


def apply(db: Database) -> None:
    """Bring a database to the newest version; `PRAGMA user_version` says then that it is there."""
    migrations.apply(db)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> list[str]:
    statements, collected = [], ""
    for line in script.splitlines(keepends=True):
        collected += line
        if sqlite3.complete_statement(collected):
            statements.append(collected)
            collected = ""
    return statements
