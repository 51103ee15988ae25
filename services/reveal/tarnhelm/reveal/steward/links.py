"""Merging, splitting, and taking either back: the acts, and how they are done.

Nobody is merged with somebody who was withdrawn: one of them would be refused and the other's records would stay, or
the other way round. The other one is withdrawn too, by a case of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import (
    LINK_CONFLICT,
    LINK_UNKNOWN,
    NOBODY_NAMED,
    SUBJECT_WITHDRAWN,
    TarnhelmError,
)
from tarnhelm.linkage.core.ledger import LinkKind
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.acts import Act
from tarnhelm.reveal.steward.corrections import Names, difference, survey
from tarnhelm.reveal.steward.office import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tarnhelm.linkage.core.identities import Identities
    from tarnhelm.linkage.core.ledger import Ledger, LinkEvent
    from tarnhelm.linkage.core.project import Project
    from tarnhelm.reveal.steward.office import Handle
    from tarnhelm.reveal.steward.pairs import Pair
    from tarnhelm.reveal.steward.places import Place

__all__ = ["history", "link_work", "merge_act", "shown_surrogates", "split_act", "undo_act"]


@dataclass(frozen=True, slots=True)
class _Change:
    """How an act changes links, and whom that may concern."""

    subjects: tuple[bytes, ...] = field(repr=False)
    check: Callable[[Ledger], None]
    apply: Callable[[Ledger, str], None]


# --- acts ------------------------------------------------------------------------------------------------------


def merge_act(project: Project, identities: Identities, pairs: Sequence[Pair]) -> Act:
    """Merge the first patient of each pair into the second one.

    Raises
    ------
    TarnhelmError
        STW-004 with the number of the first pair that names nobody; LNK-019 where a pair names one patient twice.
    """
    named = []
    for index, pair in enumerate(pairs, 1):
        gone = identities.patient(pair.prior.patient_id, pair.prior.issuer)
        stays = identities.patient(pair.surviving.patient_id, pair.surviving.issuer)
        if gone is None or stays is None:
            raise TarnhelmError(NOBODY_NAMED, index=index)
        if gone == stays:
            raise TarnhelmError(LINK_CONFLICT)
        named.append([gone.hex(), stays.hex()])
    unique = [list(pair) for pair in dict.fromkeys(map(tuple, named))]
    if not unique:
        raise TarnhelmError(NOBODY_NAMED, index=0)
    return Act(CaseKind.MERGE, project.id, {"pairs": unique})


def split_act(project: Project, ledger: Ledger, studies: Sequence[str], into: bytes) -> Act:
    """Move studies, named by their surrogate UIDs, to another subject: ``into``, or a new one where it is empty.

    Raises
    ------
    TarnhelmError
        STW-004 with the number of the first surrogate that no study was given; LNK-019 where they are not all of one
        patient.
    """
    tags, owners = [], set()
    for index, surrogate in enumerate(studies, 1):
        found = [trace for trace in ledger.traces_at(surrogate) if trace.kind == "study" and trace.subject]
        if not found:
            raise TarnhelmError(NOBODY_NAMED, index=index)
        tags += [trace.study.hex() for trace in found]
        owners |= {trace.subject for trace in found}
    if len(owners) != 1:
        raise TarnhelmError(LINK_CONFLICT)
    arguments = {
        "subject": owners.pop().hex(),
        "studies": sorted(set(tags)),
        "into": into.hex(),
        "shown": sorted(studies),
    }
    return Act(CaseKind.SPLIT, project.id, arguments)


def undo_act(project: Project, ledger: Ledger, events: Sequence[int], kind: CaseKind) -> Act:
    """Take back links (UNMERGE) or splits (UNSPLIT) by their numbers in the history; LNK-020."""
    wanted = sorted(set(events))
    known = {event.id for event in ledger.links() if event.kind is _undone(kind)}
    for event in wanted:
        if event not in known:
            raise TarnhelmError(LINK_UNKNOWN, link=event)
    return Act(kind, project.id, {"events": wanted})


def _undone(kind: CaseKind) -> LinkKind:
    return LinkKind.LINK if kind is CaseKind.UNMERGE else LinkKind.SPLIT


# --- doing -----------------------------------------------------------------------------------------------------


def link_work(place: Place, project: Project) -> Work:
    """Do a merge, a split, or take one back; gives the correction."""

    def prepare(act: Act) -> dict[str, Any]:
        names = Names(place.vault, project)
        with place.ledger(project) as ledger:
            change = _change(act, place.identities(project), ledger)
            change.check(ledger)
            return survey(ledger, change.subjects, names)

    def do(handle: Handle) -> dict[str, bytes]:
        names = Names(place.vault, project)
        with place.ledger(project) as ledger:
            _change(handle.act, place.identities(project), ledger).apply(ledger, handle.case.id)
            ledger.flush()
            changed = difference(handle.notes, ledger, names)
        return {"correction": handle.signer.correction(handle.view, handle.now, changed).to_bytes()}

    return Work(prepare, do)


def shown_surrogates(place: Place, project: Project, act: Act) -> tuple[str, ...]:
    """Give the Patient IDs, of the current epoch, of those whom an act is about; for people to look at."""
    names = Names(place.vault, project)
    with place.ledger(project) as ledger:
        subjects = _change(act, place.identities(project), ledger).subjects
        standings = ledger.resolve_many([(subject, b"", b"") for subject in subjects])
    return tuple(dict.fromkeys(names.of(standing)[-1].patient_id for standing in standings))


def history(ledger: Ledger) -> Iterable[tuple[LinkEvent, bool]]:
    """Give the history of links, each with whether it still holds."""
    events = list(ledger.links())
    undone = {event.undoes for event in events}
    return [(event, event.undoes is None and event.id not in undone) for event in events]


def _change(act: Act, identities: Identities, ledger: Ledger) -> _Change:
    arguments = act.arguments
    if act.kind is CaseKind.MERGE:
        return _merge([(bytes.fromhex(gone), bytes.fromhex(stays)) for gone, stays in arguments["pairs"]])
    if act.kind is CaseKind.SPLIT:
        return _split(arguments, identities)
    return _undo(arguments["events"], act.kind, ledger)


def _merge(pairs: Sequence[tuple[bytes, bytes]]) -> _Change:
    subjects = tuple(dict.fromkeys(one for pair in pairs for one in pair))

    def check(ledger: Ledger) -> None:
        _refuse_withdrawn(ledger, subjects)
        heads = {one: ledger.canonical(one) for one in subjects}
        joined: dict[bytes, bytes] = {}
        for gone, stays in pairs:
            end = heads[stays]
            while end in joined:
                end = joined[end]
            # Each can be merged once, and nobody into those who were merged into him: a circle of any length.
            if heads[gone] != gone or gone in joined or end == gone:
                raise TarnhelmError(LINK_CONFLICT)
            joined[gone] = end

    def apply(ledger: Ledger, case: str) -> None:
        for gone, stays in pairs:
            ledger.link(gone, stays, case)

    return _Change(subjects, check, apply)


def _split(arguments: Mapping[str, Any], identities: Identities) -> _Change:
    subject, into = bytes.fromhex(arguments["subject"]), bytes.fromhex(arguments["into"])
    studies = [bytes.fromhex(study) for study in arguments["studies"]]

    def check(ledger: Ledger) -> None:
        _refuse_withdrawn(ledger, [one for one in (subject, into) if one])
        if not studies or into == subject:
            raise TarnhelmError(LINK_CONFLICT)
        standings = ledger.resolve_many([(subject, study, b"") for study in studies])
        if any(standing.moved for standing in standings):
            raise TarnhelmError(LINK_CONFLICT)

    def apply(ledger: Ledger, case: str) -> None:
        ledger.split(subject, studies, into or identities.split_off(subject, case), case)

    return _Change((subject, into) if into else (subject,), check, apply)


def _undo(numbers: Sequence[int], kind: CaseKind, ledger: Ledger) -> _Change:
    known = {event.id: event for event, _ in history(ledger)}
    wanted = [known[number] for number in numbers if number in known and known[number].kind is _undone(kind)]
    subjects = tuple(dict.fromkeys(one for event in wanted for one in (event.subject, event.target)))

    def check(ledger: Ledger) -> None:
        standing = {event.id for event, holds in history(ledger) if holds and event.kind is _undone(kind)}
        for number in numbers:
            if number not in standing:
                raise TarnhelmError(LINK_UNKNOWN, link=number)

    def apply(ledger: Ledger, case: str) -> None:
        undo = ledger.unlink if kind is CaseKind.UNMERGE else ledger.unsplit
        for event in wanted:
            undo(event.id, case)

    return _Change(subjects, check, apply)


def _refuse_withdrawn(ledger: Ledger, subjects: Sequence[bytes]) -> None:
    if any(standing.withdrawn for standing in ledger.resolve_many([(subject, b"", b"") for subject in subjects])):
        raise TarnhelmError(SUBJECT_WITHDRAWN)
