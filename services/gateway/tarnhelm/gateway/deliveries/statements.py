"""The tables of the delivery store and the statements on them, as SQLite and PostgreSQL both understand them.

Places are question marks; PostgreSQL's driver gets its own.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BURY",
    "CLAIM",
    "COLUMNS",
    "DELIVERED",
    "FAILED",
    "HEAD",
    "LINE",
    "OPEN",
    "PLAN",
    "RENEW",
    "SQLITE_SCHEMA",
    "SQLITE_VERSION",
    "TELL",
    "WAITING_FOR_NOTHING",
]

SQLITE_VERSION: Final = 1
SQLITE_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deliveries (
  object_id TEXT NOT NULL, destination TEXT NOT NULL, sha256 TEXT NOT NULL, required INTEGER NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL, doubts INTEGER NOT NULL, due REAL NOT NULL, code TEXT NOT NULL,
  planned REAL NOT NULL, PRIMARY KEY (object_id, destination)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (destination, due) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS deliveries_by_state ON deliveries (state, destination);
CREATE TABLE IF NOT EXISTS writers (writer TEXT PRIMARY KEY, sequence INTEGER NOT NULL, head TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (
  number INTEGER PRIMARY KEY, writer TEXT NOT NULL, sequence INTEGER NOT NULL, object_id TEXT NOT NULL,
  sha256 TEXT NOT NULL, project TEXT NOT NULL, patient_id TEXT NOT NULL, study TEXT NOT NULL,
  sop_instance TEXT NOT NULL, path TEXT NOT NULL, supersedes TEXT NOT NULL, content BLOB NOT NULL,
  UNIQUE (object_id, sha256), UNIQUE (writer, sequence));
CREATE INDEX IF NOT EXISTS lines_by_patient ON lines (project, patient_id);
CREATE INDEX IF NOT EXISTS lines_by_study ON lines (project, study);
CREATE INDEX IF NOT EXISTS lines_by_instance ON lines (project, sop_instance);
CREATE TABLE IF NOT EXISTS unreleased (object_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (digest BLOB PRIMARY KEY, withdrawal TEXT NOT NULL, buried REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told (
  withdrawal TEXT NOT NULL, step TEXT NOT NULL, told REAL NOT NULL, PRIMARY KEY (withdrawal, step)) WITHOUT ROWID;
"""
COLUMNS: Final = "object_id, destination, sha256, required, state, attempts, doubts, due, code"
PLAN: Final = (
    f"INSERT INTO deliveries ({COLUMNS}, planned) VALUES (?,?,?,?,?,?,0,?,?,?)"  # noqa: S608  # our own names
    " ON CONFLICT (object_id, destination) DO UPDATE SET sha256=excluded.sha256, required=excluded.required,"
    " state=excluded.state, attempts=excluded.attempts, doubts=0, due=excluded.due, code=excluded.code, planned=excluded.planned"
    " WHERE deliveries.sha256 <> excluded.sha256"
)
CLAIM: Final = (
    "WITH chosen AS MATERIALIZED (SELECT object_id FROM deliveries WHERE state='due' AND destination=? AND due<=?"  # noqa: S608
    " ORDER BY due LIMIT ?{lock})"
    " UPDATE deliveries SET attempts=attempts+1, due=? WHERE state='due' AND destination=?"
    f" AND object_id IN (SELECT object_id FROM chosen) RETURNING {COLUMNS}"
)
"""Materialised: else the choice may be made anew for each row, and more rows be taken than were asked for."""
DELIVERED: Final = (
    "UPDATE deliveries SET state='delivered', code='' WHERE object_id=? AND destination=? AND sha256=?"
    " AND state <> 'delivered'"
)
FAILED: Final = (
    "UPDATE deliveries SET state=?, doubts=?, due=?, code=? WHERE object_id=? AND destination=? AND sha256=?"
    " AND state='due' AND attempts=?"
)
RENEW: Final = "UPDATE deliveries SET due=? WHERE object_id=? AND destination=? AND attempts=? AND state='due'"
OPEN: Final = "INSERT INTO unreleased VALUES (?) ON CONFLICT (object_id) DO NOTHING"
WAITING_FOR_NOTHING: Final = (
    "SELECT object_id FROM unreleased AS one WHERE object_id>? AND NOT EXISTS (SELECT 1 FROM deliveries"
    " WHERE deliveries.object_id=one.object_id AND state='due' AND required=1) ORDER BY object_id LIMIT ?"
)
HEAD: Final = (
    "INSERT INTO writers VALUES (?,0,?) ON CONFLICT (writer) DO UPDATE SET sequence=writers.sequence"
    " RETURNING sequence, head"
)
"""Also locks the chain until the transaction ends."""
LINE: Final = (
    "INSERT INTO lines (writer, sequence, object_id, sha256, project, patient_id, study, sop_instance, path,"
    " supersedes, content) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
)
BURY: Final = "INSERT INTO tombstones VALUES (?,?,?) ON CONFLICT (digest) DO NOTHING"
TELL: Final = "INSERT INTO told VALUES (?,?,?) ON CONFLICT (withdrawal, step) DO NOTHING"
