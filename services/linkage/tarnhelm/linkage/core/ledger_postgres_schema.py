"""The ledger's tables in PostgreSQL, as numbered steps that are only ever added to.

One schema, ``linkage``, holds all projects of a site; every table is keyed by the project's number in ``book``.
Three roles are enough: the *owner*, who migrates and does what the steward does; the one that assigns, which
:func:`grant_assigning` allows to read, to add, and to bind tickets: it can neither change nor delete a link; and the
one that reveals, which :func:`grant_reading` allows to read the sealed records and the projects, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from tarnhelm.common.errors import LEDGER_VERSION, TarnhelmError

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["VERSION", "check_version", "grant_assigning", "grant_reading", "migrate"]

_LOCK: Final = 0x7461726E
"""Of migrations; chosen once, so that two processes do not migrate at the same time."""
_FIRST: Final = """
CREATE TABLE linkage.book (
  project integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
  changes bigint NOT NULL DEFAULT 0, listed smallint NOT NULL DEFAULT 0, destroyed smallint NOT NULL DEFAULT 0
);
CREATE TABLE linkage.event (
  event bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project integer NOT NULL REFERENCES linkage.book,
  kind text NOT NULL, subject bytea NOT NULL, target bytea NOT NULL, studies bytea NOT NULL, undoes bigint,
  case_id text NOT NULL, at bigint NOT NULL
);
CREATE INDEX event_project ON linkage.event (project, event);
CREATE INDEX event_undoes ON linkage.event (project, undoes) WHERE undoes IS NOT NULL;
CREATE TABLE linkage.link (
  project integer REFERENCES linkage.book, subject bytea, target bytea NOT NULL, event bigint NOT NULL,
  PRIMARY KEY (project, subject)
);
CREATE INDEX link_target ON linkage.link (project, target);
CREATE INDEX link_event ON linkage.link (project, event);
CREATE TABLE linkage.split (
  project integer REFERENCES linkage.book, subject bytea, study bytea, target bytea NOT NULL, event bigint NOT NULL,
  PRIMARY KEY (project, subject, study)
);
CREATE INDEX split_target ON linkage.split (project, target);
CREATE INDEX split_event ON linkage.split (project, event);
CREATE TABLE linkage.sex (
  project integer REFERENCES linkage.book, subject bytea, token bytea NOT NULL, PRIMARY KEY (project, subject)
);
CREATE TABLE linkage.record (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project integer NOT NULL REFERENCES linkage.book,
  tag bytea NOT NULL, kind text NOT NULL, handle text NOT NULL, sealed bytea NOT NULL, subject bytea NOT NULL,
  study bytea NOT NULL, UNIQUE (project, tag)
);
CREATE INDEX record_project ON linkage.record (project, sequence);
CREATE INDEX record_handle ON linkage.record (project, handle);
CREATE INDEX record_subject ON linkage.record (project, subject);
CREATE TABLE linkage.tombstone (
  project integer REFERENCES linkage.book, tag bytea, case_id text NOT NULL, at bigint NOT NULL,
  PRIMARY KEY (project, tag)
);
CREATE TABLE linkage.cohort (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project integer NOT NULL REFERENCES linkage.book,
  tag bytea NOT NULL, study_id text NOT NULL, offset_days integer, by_accession smallint NOT NULL,
  UNIQUE (project, tag, by_accession)
);
CREATE UNIQUE INDEX cohort_patient ON linkage.cohort (project, study_id) WHERE by_accession = 0;
CREATE TABLE linkage.ticket (
  project integer REFERENCES linkage.book, ticket bytea, digest bytea NOT NULL, expires bigint NOT NULL,
  bound bigint NOT NULL, PRIMARY KEY (project, ticket)
);
CREATE INDEX ticket_bound ON linkage.ticket (project, bound);
CREATE TABLE linkage.project (
  id text PRIMARY KEY, label text NOT NULL, folded text NOT NULL UNIQUE, document text NOT NULL
)
"""
_STEPS: Final = (_FIRST,)
VERSION: Final = len(_STEPS)
_GRANTS: Final = """
GRANT USAGE ON SCHEMA linkage TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA linkage TO {role};
GRANT INSERT ON linkage.sex, linkage.record TO {role};
GRANT INSERT, UPDATE, DELETE ON linkage.ticket TO {role}
"""
_READING: Final = """
GRANT USAGE ON SCHEMA linkage TO {role};
GRANT SELECT ON linkage.version, linkage.book, linkage.record, linkage.project TO {role}
"""


def check_version(connection: Connection[Any]) -> bool:
    """Whether the tables are there and of this version; LNK-023 where a newer software wrote them."""
    found = _version(connection)
    if found > VERSION:
        raise TarnhelmError(LEDGER_VERSION, found=found, wanted=VERSION)
    return found == VERSION


def migrate(connection: Connection[Any]) -> None:
    """Make the tables, or bring them up to date, in one transaction; needs the owner's rights."""
    # The lock is taken before the transaction begins: a transaction does not see tables that were made after.
    connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    try:
        with connection.transaction():
            found = _version(connection)
            if found > VERSION:
                raise TarnhelmError(LEDGER_VERSION, found=found, wanted=VERSION)
            if found == 0:
                connection.execute("CREATE SCHEMA IF NOT EXISTS linkage")
                connection.execute("CREATE TABLE linkage.version (version integer NOT NULL)")
                connection.execute("INSERT INTO linkage.version VALUES (0)")
            for step in _STEPS[found:]:
                connection.execute(step)
            connection.execute("UPDATE linkage.version SET version = %s", (VERSION,))
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def grant_assigning(connection: Connection[Any], role: str) -> None:
    """Give a role what assigning needs, and nothing with which a link could be changed or deleted."""
    _grant(connection, role, _GRANTS)


def grant_reading(connection: Connection[Any], role: str) -> None:
    """Give a role what revealing needs: the sealed records and the projects, to read."""
    _grant(connection, role, _READING)


def _grant(connection: Connection[Any], role: str, statements: str) -> None:
    with connection.transaction():
        for statement in statements.split(";"):
            connection.execute(sql.SQL(statement).format(role=sql.Identifier(role)))


def _version(connection: Connection[Any]) -> int:
    if connection.execute("SELECT to_regclass('linkage.version')").fetchone() == (None,):
        return 0
    row = connection.execute("SELECT version FROM linkage.version").fetchone()
    return 0 if row is None else int(row[0])
