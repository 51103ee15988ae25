"""Adding to a project's list of patients: what a list would do, and doing it.

Somebody of whom objects were released already may come onto the list under the id that the study uses; that renames
him, so the act gives a correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarnhelm.linkage.core.ledger import CohortEntry
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.acts import Act
from tarnhelm.reveal.steward.corrections import Names, difference, survey
from tarnhelm.reveal.steward.office import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.linkage.core.project import Project
    from tarnhelm.reveal.steward.office import Handle
    from tarnhelm.reveal.steward.places import Place

__all__ = ["Preview", "cohort_act", "cohort_work", "preview"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a list would do.

    Attributes
    ----------
    entries, by_accession
        How many there are, and how many of them name a study by its accession number.
    listed_before
        Entries that the project has; 0: it accepts everybody until now, and only those on the list from then on.
    seen
        Patients of the list of whom there are records already.
    renamed
        Those of them who would get another Patient ID.
    withdrawn
        Patients of the list who were withdrawn; they stay refused.
    """

    entries: int
    by_accession: int
    listed_before: int
    seen: int
    renamed: int
    withdrawn: int


def cohort_act(project: Project, entries: Sequence[CohortEntry]) -> Act:
    """Add entries to the list. The study ids stand in the act: they are ids of the study, not of the hospital."""
    rows = [[entry.tag.hex(), entry.study_id, entry.offset_days or 0, int(entry.by_accession)] for entry in entries]
    return Act(CaseKind.COHORT, project.id, {"entries": sorted(rows)})


def preview(place: Place, project: Project, entries: Sequence[CohortEntry]) -> Preview:
    """Say what a list would do; changes nothing."""
    names = Names(place.vault, project)
    patients = [entry for entry in entries if not entry.by_accession]
    seen = renamed = 0
    with place.ledger(project) as ledger:
        standings = ledger.resolve_many([(entry.tag, b"", b"") for entry in patients])
        for entry, standing in zip(patients, standings, strict=True):
            released = {trace.handle for trace in ledger.traces(entry.tag) if trace.kind == "subject"}
            seen += bool(released)
            renamed += bool(released) and entry.study_id not in {one.patient_id for one in names.of(standing)}
        before = ledger.cohort_size()
    withdrawn = sum(standing.withdrawn for standing in standings)
    return Preview(len(entries), len(entries) - len(patients), before, seen, renamed, withdrawn)


def cohort_work(place: Place, project: Project) -> Work:
    """Do it; gives a correction."""

    def prepare(act: Act) -> dict[str, Any]:
        patients = [entry.tag for entry in _entries(act) if not entry.by_accession]
        with place.ledger(project) as ledger:
            return survey(ledger, patients, Names(place.vault, project))

    def do(handle: Handle) -> dict[str, bytes]:
        with place.ledger(project) as ledger:
            ledger.put_cohort(_entries(handle.act))
            ledger.flush()
            changed = difference(handle.notes, ledger, Names(place.vault, project))
        return {"correction": handle.signer.correction(handle.view, handle.now, changed).to_bytes()}

    return Work(prepare, do)


def _entries(act: Act) -> list[CohortEntry]:
    return [
        CohortEntry(bytes.fromhex(tag), study_id, offset or None, bool(by_accession))
        for tag, study_id, offset, by_accession in act.arguments["entries"]
    ]
