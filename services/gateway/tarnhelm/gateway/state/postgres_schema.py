"""The state's tables in PostgreSQL, as numbered steps that are only ever added to, and the statements on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import STATE_VERSION
from tarnhelm.common.postgres import Tables
from tarnhelm.gateway.state.schema import COLUMNS

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = [
    "ADD",
    "DECIDE",
    "LINK",
    "MANIFEST",
    "MAPPING",
    "OUTCOME",
    "RUN",
    "SAVE",
    "TABLES",
    "VERDICT",
    "configure",
]

_FIRST: Final = """
CREATE TABLE gateway.objects (
  object_id text COLLATE "C" PRIMARY KEY, state text NOT NULL, revision bigint NOT NULL, stage text NOT NULL,
  plan_digest text NOT NULL, policy_digest text NOT NULL, run_id text NOT NULL, size bigint NOT NULL,
  code text NOT NULL, source bytea NOT NULL, locator bytea NOT NULL, output_sha256 text NOT NULL,
  output_path text NOT NULL, verdict text NOT NULL, accepted smallint NOT NULL, mark bytea NOT NULL
);
CREATE UNIQUE INDEX objects_by_path ON gateway.objects (output_path) WHERE output_path <> '';
CREATE INDEX objects_by_state ON gateway.objects (state, object_id);
CREATE TABLE gateway.mappings (digest bytea PRIMARY KEY, text bytea NOT NULL);
CREATE TABLE gateway.outcomes (
  object_id text COLLATE "C", stage text, plan_digest text, head bytea NOT NULL, mappings bytea NOT NULL,
  PRIMARY KEY (object_id, stage, plan_digest)
);
CREATE TABLE gateway.verdicts (object_id text COLLATE "C" PRIMARY KEY, code text NOT NULL, findings text NOT NULL);
CREATE TABLE gateway.sources (source bytea PRIMARY KEY, object_id text NOT NULL);
CREATE TABLE gateway.manifest (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, object_id text NOT NULL, run_id text NOT NULL,
  output_path text NOT NULL, sha256 text NOT NULL, size bigint NOT NULL, plan_digest text NOT NULL,
  policy_digest text NOT NULL, verdict text NOT NULL, released double precision NOT NULL, mark bytea NOT NULL UNIQUE
);
CREATE TABLE gateway.runs (
  run_id text COLLATE "C" PRIMARY KEY, started double precision NOT NULL, finished double precision NOT NULL,
  document text NOT NULL, options bytea NOT NULL
);
CREATE TABLE gateway.decisions (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, object_id text NOT NULL, kind text NOT NULL,
  decided_by text NOT NULL, reason text NOT NULL, code text NOT NULL, decided double precision NOT NULL,
  mark bytea NOT NULL UNIQUE
)
"""
_STREAM: Final = """
ALTER TABLE gateway.objects
  ADD COLUMN project text NOT NULL DEFAULT '', ADD COLUMN door text NOT NULL DEFAULT '',
  ADD COLUMN received double precision NOT NULL DEFAULT 0, ADD COLUMN attempts bigint NOT NULL DEFAULT 0,
  ADD COLUMN uid_digest bytea NOT NULL DEFAULT '', ADD COLUMN volume text NOT NULL DEFAULT '',
  ADD COLUMN trace text NOT NULL DEFAULT '';
CREATE INDEX objects_by_uid ON gateway.objects (uid_digest) WHERE uid_digest <> '';
CREATE INDEX objects_by_volume ON gateway.objects (volume) WHERE volume <> ''
"""
_ROAD: Final = """
CREATE INDEX objects_of_stream ON gateway.objects (state, received, object_id) WHERE door <> '';
CREATE TABLE gateway.plans (digest text PRIMARY KEY, document bytea NOT NULL);
CREATE TABLE gateway.current_plans (project text COLLATE "C" PRIMARY KEY, digest text NOT NULL);
CREATE TABLE gateway.steps (
  object_id text COLLATE "C", at double precision, step text, code text NOT NULL, seconds double precision NOT NULL,
  PRIMARY KEY (object_id, at, step)
);
CREATE TABLE gateway.volumes (
  volume text PRIMARY KEY, plan_digest text NOT NULL, revision bigint NOT NULL, state text NOT NULL,
  members bigint NOT NULL, geometry text NOT NULL, opened double precision NOT NULL, touched double precision NOT NULL
);
CREATE INDEX decisions_by_object ON gateway.decisions (object_id);
CREATE INDEX volumes_by_state ON gateway.volumes (state, touched)
"""
_LOCK: Final = 0x74617267
"""Chosen once; not the ledger's, which may lie on the same server."""
TABLES: Final = Tables("gateway", (_FIRST, _STREAM, _ROAD), _LOCK, STATE_VERSION)

ADD: Final = (
    f"INSERT INTO objects ({COLUMNS}, mark) VALUES ({', '.join(['%s'] * 23)})"  # noqa: S608  # our own names
    " ON CONFLICT (object_id) DO NOTHING"
)
SAVE: Final = (
    "UPDATE objects SET state=%s, revision=%s, stage=%s, plan_digest=%s, policy_digest=%s, run_id=%s, size=%s,"
    " code=%s, source=%s, locator=%s, output_sha256=%s, output_path=%s, verdict=%s, accepted=%s, project=%s,"
    " door=%s, received=%s, attempts=%s, uid_digest=%s, volume=%s, trace=%s, mark=%s"
    " WHERE object_id=%s AND state=%s AND revision=%s"
)
MAPPING: Final = "INSERT INTO mappings VALUES (%s, %s) ON CONFLICT DO NOTHING"
OUTCOME: Final = "INSERT INTO outcomes VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
VERDICT: Final = (
    "INSERT INTO verdicts VALUES (%s, %s, %s)"
    " ON CONFLICT (object_id) DO UPDATE SET code = EXCLUDED.code, findings = EXCLUDED.findings"
)
LINK: Final = "INSERT INTO sources VALUES (%s, %s) ON CONFLICT (source) DO UPDATE SET object_id = EXCLUDED.object_id"
MANIFEST: Final = (
    "INSERT INTO manifest (object_id, run_id, output_path, sha256, size, plan_digest, policy_digest, verdict,"
    " released, mark) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (mark) DO NOTHING"
)
RUN: Final = (
    "INSERT INTO runs VALUES (%s, %s, %s, %s, %s) ON CONFLICT (run_id) DO UPDATE SET started = EXCLUDED.started,"
    " finished = EXCLUDED.finished, document = EXCLUDED.document, options = EXCLUDED.options"
)
DECIDE: Final = (
    "INSERT INTO decisions (object_id, kind, decided_by, reason, code, decided, mark)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (mark) DO NOTHING"
)


def configure(connection: Connection[Any]) -> None:
    """Set up a connection; a write that was told to be durable is, whatever the role's settings are."""
    connection.execute("SET search_path = gateway")
    connection.execute("SET lock_timeout = '10s'")
    connection.execute("SET idle_in_transaction_session_timeout = '5min'")
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
