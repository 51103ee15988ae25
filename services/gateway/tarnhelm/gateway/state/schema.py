"""The tables of the state, and the statements that a batch is written with."""

from __future__ import annotations

from typing import Final

__all__ = ["COLUMNS", "INSERT", "MANIFEST", "SCHEMA", "STEP", "UPDATE", "VERSION"]

VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects (
  object_id TEXT PRIMARY KEY, state TEXT NOT NULL, revision INTEGER NOT NULL, stage TEXT NOT NULL,
  plan_digest TEXT NOT NULL, policy_digest TEXT NOT NULL, run_id TEXT NOT NULL, size INTEGER NOT NULL,
  code TEXT NOT NULL, source BLOB NOT NULL, locator BLOB NOT NULL, output_sha256 TEXT NOT NULL,
  output_path TEXT NOT NULL, verdict TEXT NOT NULL, accepted INTEGER NOT NULL,
  project TEXT NOT NULL, door TEXT NOT NULL, received REAL NOT NULL, attempts INTEGER NOT NULL,
  uid_digest BLOB NOT NULL, volume TEXT NOT NULL, trace TEXT NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS objects_by_path ON objects (output_path) WHERE output_path <> '';
CREATE INDEX IF NOT EXISTS objects_by_uid ON objects (uid_digest) WHERE uid_digest <> x'';
CREATE INDEX IF NOT EXISTS objects_by_volume ON objects (volume) WHERE volume <> '';
CREATE TABLE IF NOT EXISTS mappings (digest BLOB PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (
  object_id TEXT NOT NULL, stage TEXT NOT NULL, plan_digest TEXT NOT NULL, head BLOB NOT NULL, mappings BLOB NOT NULL,
  PRIMARY KEY (object_id, stage, plan_digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (object_id TEXT PRIMARY KEY, code TEXT NOT NULL, findings TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sources (source BLOB PRIMARY KEY, object_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manifest (
  number INTEGER PRIMARY KEY, object_id TEXT NOT NULL, run_id TEXT NOT NULL, output_path TEXT NOT NULL,
  sha256 TEXT NOT NULL, size INTEGER NOT NULL, plan_digest TEXT NOT NULL, policy_digest TEXT NOT NULL,
  verdict TEXT NOT NULL, released REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  run_id TEXT PRIMARY KEY, started REAL NOT NULL, finished REAL NOT NULL, document TEXT NOT NULL,
  options BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
  number INTEGER PRIMARY KEY, object_id TEXT NOT NULL, kind TEXT NOT NULL, decided_by TEXT NOT NULL,
  reason TEXT NOT NULL, code TEXT NOT NULL, decided REAL NOT NULL);
CREATE INDEX IF NOT EXISTS objects_of_stream ON objects (state, received, object_id) WHERE door <> '';
CREATE TABLE IF NOT EXISTS plans (digest TEXT PRIMARY KEY, document BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS current_plans (project TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (
  object_id TEXT NOT NULL, at REAL NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (object_id, at, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS volumes (
  volume TEXT PRIMARY KEY, plan_digest TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL,
  members INTEGER NOT NULL, geometry TEXT NOT NULL, opened REAL NOT NULL, touched REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS decisions_by_object ON decisions (object_id);
CREATE INDEX IF NOT EXISTS volumes_by_state ON volumes (state, touched);
"""
COLUMNS: Final = (
    "object_id, state, revision, stage, plan_digest, policy_digest, run_id, size, code, source, locator,"
    " output_sha256, output_path, verdict, accepted, project, door, received, attempts, uid_digest, volume, trace"
)
INSERT: Final = f"INSERT INTO objects ({COLUMNS}) VALUES ({','.join('?' * 22)})"  # noqa: S608  # our own names
UPDATE: Final = (
    "UPDATE objects SET state=?, revision=?, stage=?, plan_digest=?, policy_digest=?, run_id=?, size=?, code=?,"
    " source=?, locator=?, output_sha256=?, output_path=?, verdict=?, accepted=?, project=?, door=?, received=?,"
    " attempts=?, uid_digest=?, volume=?, trace=?"
    " WHERE object_id=? AND state=? AND revision=?"
)
MANIFEST: Final = (
    "INSERT INTO manifest (object_id, run_id, output_path, sha256, size, plan_digest, policy_digest, verdict,"
    " released) VALUES (?,?,?,?,?,?,?,?,?)"
)
STEP: Final = "INSERT INTO steps (object_id, at, step, code, seconds) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
