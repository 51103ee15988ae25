"""Corrections: which released surrogates are of another subject after an act than before it.

Merging and splitting change whom a record is about, hence the Patient ID that its objects have from now on and the
days by which their dates moved. UIDs belong to the project, so they stay. A correction names surrogates and
differences of days, and no original identifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarnhelm.linkage.core.derive import date_offset_days, patient_id_for, subject_key
from tarnhelm.linkage.core.identities import project_keys
from tarnhelm.linkage.core.ledger import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tarnhelm.linkage.core.derive import ProjectKeys
    from tarnhelm.linkage.core.ledger import Ledger, Standing
    from tarnhelm.linkage.core.project import Project
    from tarnhelm.linkage.vaults.base import Vault

__all__ = ["Names", "Surrogate", "difference", "survey"]


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What objects of a subject get in one epoch."""

    epoch: int
    patient_id: str
    offset_days: int


class Names:
    """Gives the surrogates of subjects, for every epoch of a project.

    Parameters
    ----------
    vault
        Signs with the root keys.
    project
        Its epochs and settings.
    """

    def __init__(self, vault: Vault, project: Project) -> None:
        self._project = project
        self._keys: dict[int, ProjectKeys] = {
            epoch: project_keys(vault, project, epoch) for epoch in range(1, project.epoch + 1)
        }

    def own(self, subject: bytes) -> str:
        """Give the Patient ID, in the current epoch, that a subject would have if it stood for itself."""
        key = subject_key(self._keys[self._project.epoch].project, subject)
        return patient_id_for(key, self._project.settings.prefix)

    def of(self, standing: Standing) -> tuple[Surrogate, ...]:
        """Give the surrogates of who stands so, the earliest epoch first."""
        settings = self._project.settings
        found = []
        for epoch, keys in self._keys.items():
            key = subject_key(keys.project, standing.canonical)
            days = date_offset_days(key, whole_weeks=settings.whole_weeks)
            entry = standing.cohort
            if entry is None:
                found.append(Surrogate(epoch, patient_id_for(key, settings.prefix), days))
            else:
                own = entry.offset_days
                found.append(Surrogate(epoch, entry.study_id, days if own is None else own))
        return tuple(found)


def survey(ledger: Ledger, subjects: Iterable[bytes], names: Names) -> dict[str, Any]:
    """Note where every record stands that any edge joins to one of the subjects, and its surrogates by then."""
    near = dict.fromkeys(trace for subject in dict.fromkeys(subjects) for trace in ledger.traces(subject))
    rows = []
    for trace, standing in zip(near, _standings(ledger, list(near)), strict=True):
        place = [trace.kind, trace.handle, trace.subject.hex(), trace.study.hex()]
        rows.append({"trace": place, "canonical": standing.canonical.hex(), "names": _listed(names.of(standing))})
    return {"survey": rows}


def difference(before: Mapping[str, Any], ledger: Ledger, names: Names) -> dict[str, Any]:
    """Give the entries of a correction: who was renamed since a survey, and which studies that concerns.

    Records that stand where they stood are not named. An entry is one change from one subject to another::

        {"epochs": [{"epoch", "old_patient_id", "new_patient_id", "date_shift_days"}], "released_patient_ids", "studies"}
    """
    rows = before["survey"]
    traces = [Trace(row["trace"][0], row["trace"][1], *map(bytes.fromhex, row["trace"][2:])) for row in rows]
    moved: dict[tuple[str, bytes], list[tuple[Trace, dict[str, Any], Standing]]] = {}
    for trace, row, standing in zip(traces, rows, _standings(ledger, traces), strict=True):
        if row["names"] != _listed(names.of(standing)):
            moved.setdefault((row["canonical"], standing.canonical), []).append((trace, row, standing))
    entries = []
    for group in moved.values():
        _, row, standing = group[0]
        old = [Surrogate(*one) for one in row["names"]]
        entries.append(
            {
                "epochs": [_epoch(one, other) for one, other in zip(old, names.of(standing), strict=True)],
                "released_patient_ids": _handles([trace for trace, _, _ in group], "subject"),
                "studies": _handles([trace for trace, _, _ in group], "study"),
            }
        )
    return {"changes": sorted(entries, key=lambda entry: str(entry["epochs"]))}


def _standings(ledger: Ledger, traces: Sequence[Trace]) -> list[Standing]:
    return ledger.resolve_many([(trace.subject, trace.study, b"") for trace in traces])


def _listed(names: Sequence[Surrogate]) -> list[list[int | str]]:
    return [[name.epoch, name.patient_id, name.offset_days] for name in names]


def _epoch(old: Surrogate, new: Surrogate) -> dict[str, Any]:
    return {
        "epoch": old.epoch,
        "old_patient_id": old.patient_id,
        "new_patient_id": new.patient_id,
        "date_shift_days": new.offset_days - old.offset_days,
    }


def _handles(traces: Sequence[Trace], kind: str) -> list[str]:
    return sorted({trace.handle for trace in traces if trace.kind == kind})
