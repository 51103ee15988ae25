"""The keys of a project: rotated, old versions closed, a new epoch, destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import (
    BAD_PIN,
    KEY_MISSING,
    NOT_ON_THIS_BACKEND,
    NOT_REWRAPPED,
    PROJECT_DESTROYED,
    PROJECT_EXISTS,
    STILL_RESOLVABLE,
    TarnhelmError,
)
from tarnhelm.linkage.core.ledger import SealedRecord
from tarnhelm.linkage.vaults.transit_names import cipher_version
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.acts import Act
from tarnhelm.reveal.steward.office import Work
from tarnhelm.reveal.steward.places import make_epoch_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tarnhelm.linkage.core.project import Project
    from tarnhelm.linkage.vaults.transit_keeper import TransitKeeper
    from tarnhelm.reveal.steward.ends import EndsFile
    from tarnhelm.reveal.steward.office import Handle
    from tarnhelm.reveal.steward.places import Place

__all__ = [
    "close_act",
    "close_work",
    "destroy_act",
    "destroy_work",
    "epoch_act",
    "epoch_work",
    "older_records",
    "rewrap",
    "transit_of",
    "ways_left",
]

_GONE = frozenset({PROJECT_DESTROYED, KEY_MISSING})


def transit_of(place: Place) -> TransitKeeper:
    """Give what rotates keys; STW-015 where keys are files."""
    if place.transit is None:
        raise TarnhelmError(NOT_ON_THIS_BACKEND)
    return place.transit


def rewrap(place: Place, project: Project) -> int:
    """Seal every record with the latest version of the key; how many were sealed anew.

    Walks until a walk finds nothing: a record that was put meanwhile with an old version is behind the first one.
    """
    keeper = transit_of(place)
    total = 0
    with place.ledger(project) as ledger:
        while replaced := ledger.reseal(lambda records: keeper.rewrap(project.id, records)):
            total += replaced
    return total


def older_records(place: Place, project: Project, version: int) -> int:
    """Count the records that are sealed with a version before this one."""
    with place.ledger(project) as ledger:
        return sum(cipher_version(record.sealed) < version for record in ledger.records())


# --- closing old versions ----------------------------------------------------------------------------------------


def close_act(place: Place, project: Project, version: int) -> Act:
    """Close the versions before ``version``, or before the latest where it is 0."""
    state = transit_of(place).seal_key_state(project.id)
    wanted = version or state.latest
    if not state.min_decryption <= wanted <= state.latest:
        raise TarnhelmError(BAD_PIN)
    return Act(CaseKind.CLOSE_KEYS, project.id, {"version": wanted})


def close_work(place: Place, project: Project) -> Work:
    """Do it, where no record needs the old versions any more (STW-007)."""

    def prepare(act: Act) -> dict[str, Any]:
        left = older_records(place, project, int(act.arguments["version"]))
        if left:
            raise TarnhelmError(NOT_REWRAPPED, count=left)
        return {}

    def do(handle: Handle) -> dict[str, bytes]:
        version = int(handle.act.arguments["version"])
        transit_of(place).set_min_decryption_version(project.id, version)
        facts = {
            "versions_closed_before": version,
            "records_of_closed_versions": older_records(place, project, version),
        }
        return {"certificate": handle.signer.certificate("keys-closed", handle.view, handle.now, facts).to_bytes()}

    return Work(prepare, do)


# --- a new epoch -------------------------------------------------------------------------------------------------


def epoch_act(project: Project) -> Act:
    """Open the epoch after the current one."""
    return Act(CaseKind.EPOCH, project.id, {"epoch": project.epoch + 1})


def epoch_work(place: Place, project: Project) -> Work:
    """Do it: a new root key, hence new surrogates for everybody from now on."""

    def prepare(act: Act) -> dict[str, Any]:
        if act.arguments["epoch"] != project.epoch + 1:  # somebody else opened it meanwhile
            raise TarnhelmError(PROJECT_EXISTS)
        return {}

    def do(handle: Handle) -> dict[str, bytes]:
        wanted = int(handle.act.arguments["epoch"])
        current = place.projects.get(project.id)
        if current.epoch < wanted:
            current = place.projects.open_epoch(project.id, before=lambda following: make_epoch_key(place, following))
        facts = {"epoch": current.epoch, "root_key_made": True}
        return {"certificate": handle.signer.certificate("epoch", handle.view, handle.now, facts).to_bytes()}

    return Work(prepare, do)


# --- the end of a project ----------------------------------------------------------------------------------------


def destroy_act(project: Project, backup_days: int) -> Act:
    """Destroy a project; ``backup_days`` is how long the hospital keeps backups, for the certificate."""
    return Act(CaseKind.DESTROY, project.id, {"label": project.label, "backup_days": backup_days})


def destroy_work(place: Place, project: Project, ends: EndsFile) -> Work:
    """Do it, and try every way that led to a patient; a certificate comes only where none answers."""

    def prepare(_: Act) -> dict[str, Any]:
        if project.destroyed:
            return {"records": 0, "subjects": 0, "epochs": project.epoch, "sample": []}
        with place.ledger(project) as ledger:
            counts = ledger.counts()
            # One sealed record is kept until the end, to show that it cannot be opened or sealed anew any more.
            sample = next(iter(ledger.records()), None)
        kept = [] if sample is None else [sample.kind, sample.handle, sample.sealed.hex()]
        return {"records": counts.records, "subjects": counts.subjects, "epochs": project.epoch, "sample": kept}

    def do(handle: Handle) -> dict[str, bytes]:
        # The book first: died in between, the project is destroyed by whoever restores or carries on.
        ends.destroyed(project.id, handle.case.id, handle.now, handle.signer)
        place.destroy(project)
        tries = _ways(place, project, _sample(project, handle.notes["sample"]))
        left = sum(map(_answers, tries))
        if left:
            raise TarnhelmError(STILL_RESOLVABLE, count=left)
        days = int(handle.act.arguments["backup_days"])
        facts = {
            **{name: handle.notes[name] for name in ("records", "subjects", "epochs")},
            "label": project.label,
            "ways_tried": len(tries),
            "ways_that_answer": left,
            "state": "no longer coded by this system",
            "not_said": "This does not say that the released objects are anonymous: that needs a risk assessment.",
            "not_reached": "Copies of the ledger elsewhere; where a custodian was named, the custodian's private key, "
            "which opens them: let the custodian destroy it.",
            "backups_expire": f"within {days} days of the last backup made before this",
            "backups_expire_at": handle.now + days * 86_400,
            "after_a_restore": "The destruction is applied again before anything is served.",
        }
        return {"certificate": handle.signer.certificate("destruction", handle.view, handle.now, facts).to_bytes()}

    return Work(prepare, do)


def ways_left(place: Place, project: Project) -> int:
    """Try every way to a destroyed project's keys and records; how many still answer."""
    return sum(map(_answers, _ways(place, project, None)))


def _ways(place: Place, project: Project, sample: SealedRecord | None) -> list[Callable[[], object]]:
    """Give every way: signing with the root key of each epoch, making keys again, the names of its people, its ledger,
    its entry among the projects, and where keys are a server's, the seal key and a record that was sealed with it.
    """  # noqa: D205
    vault, opaque, transit = place.vault, project.id, place.transit
    tries: list[Callable[[], object]] = [
        *(() if transit is None else (lambda: transit.seal_key_state(opaque),)),
        *(() if transit is None or sample is None else (lambda: transit.rewrap(opaque, [sample]),)),
        *(lambda epoch=epoch: vault.hmac(opaque, epoch, b"") for epoch in range(1, project.epoch + 1)),
        lambda: place.keeper.create(opaque, project.epoch + 1, None),
        lambda: place.identities(project),
        lambda: _read_ledger(place, project),
        lambda: place.projects.get(opaque),
    ]
    return tries


def _sample(project: Project, kept: Sequence[str]) -> SealedRecord | None:
    return SealedRecord(project.id, kept[0], kept[1], bytes.fromhex(kept[2])) if kept else None


def _read_ledger(place: Place, project: Project) -> None:
    with place.ledger(project) as ledger:
        ledger.counts()


def _answers(one: Callable[[], object]) -> bool:
    try:
        one()
    except TarnhelmError as error:
        if error.kind in _GONE:
            return False
        raise
    return True
