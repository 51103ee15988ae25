"""Withdrawing a person: the record gone, later arrivals refused, an order for what was released, a certificate.

What goes is everything about everybody who was merged with the person: that is one human. What was split off is
another human and stays. A surrogate that also stands for somebody else (a merge was taken back) is not ordered to go
as a whole; the person's studies are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import NOBODY_NAMED, SURROGATE_SHARED, TarnhelmError
from tarnhelm.common.orders import WithdrawalOrder
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.acts import Act
from tarnhelm.reveal.steward.corrections import Names
from tarnhelm.reveal.steward.office import Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tarnhelm.linkage.core.identities import Identities
    from tarnhelm.linkage.core.ledger import Ledger, Standing, Trace
    from tarnhelm.linkage.core.project import Project
    from tarnhelm.reveal.steward.ends import EndsFile
    from tarnhelm.reveal.steward.office import Handle
    from tarnhelm.reveal.steward.pairs import Patient
    from tarnhelm.reveal.steward.places import Place

__all__ = ["by_patients", "by_surrogates", "withdraw_act", "withdraw_work", "withdrawn_surrogates"]


def by_patients(identities: Identities, patients: Sequence[Patient]) -> tuple[bytes, ...]:
    """Name people by original Patient IDs; also such as never came, who are then refused. STW-004."""
    found = []
    for index, patient in enumerate(patients, 1):
        subject = identities.patient(patient.patient_id, patient.issuer)
        if subject is None:
            raise TarnhelmError(NOBODY_NAMED, index=index)
        found.append(subject)
    return tuple(found)


def by_surrogates(ledger: Ledger, surrogates: Sequence[str]) -> tuple[bytes, ...]:
    """Name people by surrogate Patient IDs or Study Instance UIDs, as released.

    Raises
    ------
    TarnhelmError
        STW-004 with the number of the first one that was not given out, or whose record says no subject; STW-005 for
        one that stands for several people.
    """
    found = []
    for index, surrogate in enumerate(surrogates, 1):
        traces = [trace for trace in ledger.traces_at(surrogate) if trace.subject and trace.kind != "paths"]
        people = {standing.canonical for standing in _standings(ledger, traces)}
        if not people:
            raise TarnhelmError(NOBODY_NAMED, index=index)
        if len(people) > 1:
            raise TarnhelmError(SURROGATE_SHARED, count=len(people))
        found.append(people.pop())
    return tuple(found)


def withdraw_act(project: Project, subjects: Sequence[bytes]) -> Act:
    """Withdraw people; STW-004 where none is named."""
    named = sorted({subject.hex() for subject in subjects})
    if not named:
        raise TarnhelmError(NOBODY_NAMED, index=0)
    return Act(CaseKind.WITHDRAW, project.id, {"subjects": named})


def withdrawn_surrogates(place: Place, project: Project, act: Act) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the surrogate Patient IDs and Study Instance UIDs that an act would order to go."""
    notes = _look(place, project, act)
    return tuple(notes["patient_ids"]), tuple(notes["studies"])


def withdraw_work(place: Place, project: Project, ends: EndsFile) -> Work:
    """Do it; gives an order and a certificate."""

    def do(handle: Handle) -> dict[str, bytes]:
        notes = handle.notes
        with place.ledger(project) as ledger:
            subjects = [bytes.fromhex(subject) for subject in handle.act.arguments["subjects"]]
            for subject in subjects:
                ledger.withdraw(subject, handle.case.id, notes["forgotten_handles"])
            ledger.flush()
            # Before the act is told to be done: from here on no restore brings the person back.
            ends.withdrawn(project.id, ledger.tombstones(), handle.signer)
            refused = sum(ledger.withdrawn(subject) for subject in subjects)
            left = sum(bool(ledger.traces_at(name)) for name in (*notes["patient_ids"], *notes["studies"]))
        order = handle.signer.order(_order(handle, notes))
        facts = {
            "people_refused_from_now_on": refused,
            "people_asked_for": len(subjects),
            "records_before": notes["records"],
            "records_left": left,
            "patient_ids_ordered_to_go": len(notes["patient_ids"]),
            "studies_ordered_to_go": len(notes["studies"]),
            "backups": "Older backups of the ledger still hold the sealed record until they expire; after a restore the "
            "withdrawal is applied again before anything is served.",
        }
        certificate = handle.signer.certificate("withdrawal", handle.view, handle.now, facts)
        return {"order": order, "certificate": certificate.to_bytes()}

    return Work(lambda act: _look(place, project, act), do)


def _order(handle: Handle, notes: Mapping[str, Any]) -> WithdrawalOrder:
    return WithdrawalOrder(
        project=handle.act.project,
        case=handle.case.id,
        case_digest=handle.view.digest,
        issued=handle.now,
        patient_ids=tuple(notes["patient_ids"]),
        studies=tuple(notes["studies"]),
        audit=handle.used.sha,
    )


def _look(place: Place, project: Project, act: Act) -> dict[str, Any]:
    """Note what is there about the people: after the withdrawal nothing tells it any more."""
    names = Names(place.vault, project)
    patient_ids: set[str] = set()
    studies: set[str] = set()
    mine: set[Trace] = set()
    with place.ledger(project) as ledger:
        subjects = [bytes.fromhex(subject) for subject in act.arguments["subjects"]]
        people = {ledger.canonical(subject) for subject in subjects}
        for person in sorted(people):
            near = ledger.traces(person)
            mine |= {
                trace for trace, one in zip(near, _standings(ledger, near), strict=True) if one.canonical == person
            }
            own = {surrogate.patient_id for surrogate in names.of(ledger.resolve(person, b""))}
            patient_ids |= own | {trace.handle for trace in mine if trace.kind == "subject"}
        studies |= {trace.handle for trace in mine if trace.kind == "study"}
        shared = {name for name in patient_ids | studies if _stands_for_others(ledger, name, people)}
    patient_ids -= shared
    return {
        "patient_ids": sorted(patient_ids),
        # Of a study that is somebody else's too, the person's objects are named by the Patient ID, where there is one.
        "studies": sorted(studies - shared if patient_ids else studies),
        "forgotten_handles": sorted((patient_ids | studies) - shared),
        "records": len(mine),
    }


def _stands_for_others(ledger: Ledger, surrogate: str, people: set[bytes]) -> bool:
    traces = [trace for trace in ledger.traces_at(surrogate) if trace.subject]
    return not {standing.canonical for standing in _standings(ledger, traces)} <= people


def _standings(ledger: Ledger, traces: Sequence[Trace]) -> list[Standing]:
    return ledger.resolve_many([(trace.subject, trace.study, b"") for trace in traces])
