"""The ledger's statements, in the SQL that SQLite and PostgreSQL have in common.

``:project`` is the number of the ledger's row in ``book``; places are named as in SQLite, and the PostgreSQL
ledger rewrites them. Every table is keyed by ``project``.
"""

from __future__ import annotations

from typing import Final

STANDING: Final = """
SELECT
  (SELECT target FROM split WHERE project = :project AND subject = :subject AND study = :study),
  (SELECT target FROM link WHERE project = :project AND subject = :subject),
  EXISTS (SELECT 1 FROM link WHERE project = :project AND target = :subject),
  EXISTS (SELECT 1 FROM tombstone WHERE project = :project AND tag = :tombstone),
  (SELECT listed FROM book WHERE project = :project),
  (SELECT destroyed FROM book WHERE project = :project),
  (SELECT token FROM sex WHERE project = :project AND subject = :subject)
"""

CHANGES: Final = "SELECT changes, destroyed FROM book WHERE project = :project"
CHANGED: Final = "UPDATE book SET changes = changes + 1 WHERE project = :project"
LISTED: Final = "UPDATE book SET listed = 1 WHERE project = :project"
MARK_DESTROYED: Final = "UPDATE book SET changes = changes + 1, destroyed = 1 WHERE project = :project"

# --- edges ---------------------------------------------------------------------------------------------------
LINK_OF: Final = "SELECT target FROM link WHERE project = :project AND subject = :subject"
LINKED_TO: Final = "SELECT subject FROM link WHERE project = :project AND target = :target ORDER BY subject"
SPLIT_OF: Final = "SELECT target FROM split WHERE project = :project AND subject = :subject AND study = :study"
SPLITS_AT: Final = """
SELECT subject, study, target FROM split WHERE project = :project AND (subject = :subject OR target = :subject)
ORDER BY subject, study
"""
PUT_LINK: Final = "INSERT INTO link (project, subject, target, event) VALUES (:project, :subject, :target, :event)"
PUT_SPLIT: Final = """
INSERT INTO split (project, subject, study, target, event) VALUES (:project, :subject, :study, :target, :event)
"""
DROP_LINK: Final = "DELETE FROM link WHERE project = :project AND event = :event"
DROP_SPLIT: Final = "DELETE FROM split WHERE project = :project AND event = :event"
EVENT_OF_LINK: Final = "SELECT event FROM link WHERE project = :project AND subject = :subject AND target = :target"
EVENTS_OF_SPLIT: Final = """
SELECT event, study FROM split WHERE project = :project AND event IN
  (SELECT event FROM split WHERE project = :project AND subject = :subject AND target = :target)
"""

# --- history -------------------------------------------------------------------------------------------------
PUT_EVENT: Final = """
INSERT INTO event (project, kind, subject, target, studies, undoes, case_id, at)
VALUES (:project, :kind, :subject, :target, :studies, :undoes, :case_id, :at) RETURNING event
"""
EVENT: Final = "SELECT subject, target, studies FROM event WHERE project = :project AND event = :event AND kind = :kind"
UNDONE: Final = "SELECT case_id FROM event WHERE project = :project AND undoes = :event"
EVENTS: Final = """
SELECT event, kind, subject, target, studies, undoes, case_id, at FROM event
WHERE project = :project AND event > :last ORDER BY event LIMIT :page
"""

# --- sex -----------------------------------------------------------------------------------------------------
PUT_SEX: Final = """
INSERT INTO sex (project, subject, token) VALUES (:project, :subject, :token) ON CONFLICT DO NOTHING
"""
DROP_SEX: Final = "DELETE FROM sex WHERE project = :project AND subject = :subject"

# --- records -------------------------------------------------------------------------------------------------
PUT_RECORD: Final = """
INSERT INTO record (project, tag, kind, handle, sealed, subject, study)
VALUES (:project, :tag, :kind, :handle, :sealed, :subject, :study) ON CONFLICT (project, tag) DO NOTHING
"""
RECORDS: Final = """
SELECT sequence, kind, handle, sealed FROM record
WHERE project = :project AND sequence > :last ORDER BY sequence LIMIT :page
"""
RECORDS_OF_KIND: Final = """
SELECT sequence, kind, handle, sealed FROM record
WHERE project = :project AND sequence > :last AND kind = :kind ORDER BY sequence LIMIT :page
"""
RECORDS_OF_HANDLE: Final = """
SELECT sequence, kind, handle, sealed FROM record
WHERE project = :project AND handle = :handle AND sequence > :last AND (:kind = '' OR kind = :kind)
ORDER BY sequence LIMIT :page
"""
RESEAL: Final = """
UPDATE record SET sealed = :fresh WHERE project = :project AND sequence = :sequence AND sealed = :stale
"""
RECORDS_ABOUT: Final = "SELECT sequence, study FROM record WHERE project = :project AND subject = :subject"
TRACES_ABOUT: Final = """
SELECT DISTINCT kind, handle, subject, study FROM record
WHERE project = :project AND subject = :subject ORDER BY kind, handle, study
"""
TRACES_AT: Final = """
SELECT DISTINCT kind, handle, subject, study FROM record
WHERE project = :project AND handle = :handle ORDER BY kind, subject, study
"""
DROP_RECORD: Final = "DELETE FROM record WHERE project = :project AND sequence = :sequence"
DROP_HANDLE: Final = "DELETE FROM record WHERE project = :project AND handle = :handle"

# --- tombstones ----------------------------------------------------------------------------------------------
BURIED: Final = "SELECT 1 FROM tombstone WHERE project = :project AND tag = :tag"
ALL_BURIED: Final = "SELECT tag FROM tombstone WHERE project = :project"
GUARD: Final = """
SELECT destroyed, EXISTS (SELECT 1 FROM tombstone WHERE project = :project) FROM book WHERE project = :project
"""
BURY: Final = """
INSERT INTO tombstone (project, tag, case_id, at) VALUES (:project, :tag, :case_id, :at) ON CONFLICT DO NOTHING
"""
TOMBSTONES: Final = """
SELECT tag, case_id, at FROM tombstone WHERE project = :project AND tag > :last ORDER BY tag LIMIT :page
"""
SUBJECTS: Final = """
SELECT subject FROM sex WHERE project = :project UNION SELECT subject FROM record WHERE project = :project
UNION SELECT subject FROM link WHERE project = :project UNION SELECT target FROM link WHERE project = :project
UNION SELECT subject FROM split WHERE project = :project UNION SELECT target FROM split WHERE project = :project
UNION SELECT tag FROM cohort WHERE project = :project AND by_accession = 0
"""

# --- the list ------------------------------------------------------------------------------------------------
ENTRY: Final = """
SELECT sequence, tag, study_id, offset_days, by_accession FROM cohort
WHERE project = :project AND tag = :tag AND by_accession = :by_accession
"""
PUT_ENTRY: Final = """
INSERT INTO cohort (project, tag, study_id, offset_days, by_accession)
VALUES (:project, :tag, :study_id, :offset_days, :by_accession) ON CONFLICT DO NOTHING
"""
ENTRIES: Final = "SELECT sequence, tag, study_id, offset_days, by_accession FROM cohort WHERE project = :project"
DROP_ENTRY: Final = "DELETE FROM cohort WHERE project = :project AND tag = :tag AND by_accession = 0"
COHORT_SIZE: Final = "SELECT count(*) FROM cohort WHERE project = :project"

# --- tickets -------------------------------------------------------------------------------------------------
DROP_TICKETS: Final = """
DELETE FROM ticket WHERE project = :project AND expires <= :now AND bound <= :an_hour_ago
"""

# --- the whole -----------------------------------------------------------------------------------------------
COUNTS: Final = """
SELECT
  (SELECT count(*) FROM sex WHERE project = :project),
  (SELECT count(DISTINCT handle) FROM record WHERE project = :project AND kind = 'study'),
  (SELECT count(*) FROM record WHERE project = :project),
  (SELECT count(*) FROM ticket WHERE project = :project AND bound > :an_hour_ago)
"""
TABLES: Final = ("event", "link", "split", "sex", "record", "tombstone", "cohort", "ticket")
