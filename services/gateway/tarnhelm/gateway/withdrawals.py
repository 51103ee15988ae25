"""Withdrawal orders: pulled, checked, carried out to the end, whatever dies meanwhile.

Every step comes to the same when it is done again, and what is done is written down, so an order is taken up where it
was left. The order of the steps matters: tombstones first, so that nothing of the person can be released any more;
then what is not released is refused and all bytes are purged; then the destinations are told.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.orders import read_order
from tarnhelm.gateway.blobs.base import BlobName
from tarnhelm.gateway.destinations.base import Notice
from tarnhelm.gateway.fsm import TERMINAL, Event, Lifecycle
from tarnhelm.gateway.manifest import load_public_key, withdrawal_document
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state.base import StaleRecordError
from tarnhelm.gateway.state.stream import Step

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from tarnhelm.common.orders import WithdrawalOrder
    from tarnhelm.gateway.deliveries.release import ReleaseParts
    from tarnhelm.gateway.record import ObjectRecord

__all__ = ["WithdrawalDesk", "WithdrawalSettings"]

_PURGED: Final = "purged"
"""The step of an order that is not a destination's, so no destination may have this name."""
_DONE: Final = "done"
"""The last step."""
_MAX_ORDER_BYTES: Final = 64 << 20
_TRIES: Final = 20
_AREAS: Final = ("raw", "work", "result")


@dataclass(frozen=True, slots=True)
class WithdrawalSettings:
    """Where orders come from.

    Attributes
    ----------
    orders
        Folder that the stewards' orders lie in, each a file ``NAME.order`` or ``NAME.json``; only read.
    steward_key_file
        Ed25519 public key, PEM, of the steward's audit writer: who may order.
    refused
        Folder (0700) for what is no order, each with its code beside it.
    poll_seconds
        How often the folder is looked at.
    """

    orders: Path
    steward_key_file: Path
    refused: Path
    poll_seconds: float = 30.0


class WithdrawalDesk:
    """Carries out the orders of one gateway; several processes may run one each.

    Parameters
    ----------
    parts
        As for the release: the same stores, destinations, keys.
    """

    def __init__(self, settings: WithdrawalSettings, parts: ReleaseParts) -> None:
        if any(route.destination.name in (_PURGED, _DONE) for route in parts.routes):
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        self._settings = settings
        self._parts = parts
        self._life = Lifecycle(lambda _verdict: False)  # nothing is verified here
        key = load_public_key(settings.steward_key_file)
        self._public = key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def run(self, stop: threading.Event) -> None:
        """Look at the folder until told to stop."""
        while not stop.is_set():
            try:
                self.pull()
            except (TarnhelmError, StaleRecordError) as error:
                code = error.code if isinstance(error, TarnhelmError) else "stale"
                self._parts.log(events.ORDERS_WAIT, code=code)
            stop.wait(self._settings.poll_seconds)

    def pull(self) -> int:
        """Carry out every order that is not done; returns how many were finished by this call.

        Raises
        ------
        TarnhelmError
            DLV-040 where the folder cannot be read. What a single order meets is logged and does not stop the others.
        """
        finished = 0
        for name, content in self._orders():
            if _DONE in self._parts.deliveries.told(name):
                continue
            try:
                order = read_order(content, self._public)
            except TarnhelmError as error:
                self._refuse(name, content, error.code)
                continue
            try:
                finished += self.carry_out(name, order)
            except (TarnhelmError, StaleRecordError) as error:
                code = error.code if isinstance(error, TarnhelmError) else "stale"
                self._parts.log(events.ORDERS_WAIT, code=code)
        return finished

    def carry_out(self, name: str, order: WithdrawalOrder) -> bool:
        """Do what is left of an order; false where a destination could not be told yet.

        Parameters
        ----------
        name
            sha256 (hex) of its file.
        """
        parts = self._parts
        digests = [one for named in order.patient_ids for one in parts.tombstones(order.project, named, "")]
        digests += [one for study in order.studies for one in parts.tombstones(order.project, "", study)]
        if _PURGED not in parts.deliveries.told(name):
            if digests:
                parts.deliveries.bury(digests, name, parts.clock())
            parts.reached("buried")
            purged, rejected = self._purge(order)
            parts.reached("purged")
            parts.deliveries.tell(name, _PURGED, parts.clock())
            parts.log(events.WITHDRAWAL_DONE, order=name[:32], project=order.project, purged=purged, rejected=rejected)
            parts.metrics.withdrawals.labels("carried-out").inc()
        return self._tell(name, order)

    # --- the folder ------------------------------------------------------------------------------------

    def _orders(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each order, the oldest name first; a file that is being written has another name."""
        try:
            files = sorted(path for path in self._settings.orders.iterdir() if path.suffix in (".order", ".json"))
        except OSError:
            raise TarnhelmError(errors.ORDERS_AWAY) from None
        for path in files:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                with os.fdopen(fd, "rb") as stream:
                    content = stream.read(_MAX_ORDER_BYTES + 1)
            except OSError:
                self._parts.log(events.ORDERS_WAIT, code=errors.ORDERS_AWAY.code)
                continue
            yield hashlib.sha256(content).hexdigest(), content

    def _refuse(self, name: str, content: bytes, code: str) -> None:
        """Put what is no order aside, once, with its code."""
        folder = self._settings.refused
        target = folder / f"{name[:32]}.refused"
        if target.exists():
            return
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            work = folder / f".{name[:32]}.{os.getpid()}"
            with os.fdopen(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as stream:
                stream.write(content[: _MAX_ORDER_BYTES + 1])
                stream.flush()
                os.fsync(stream.fileno())
            (folder / f"{name[:32]}.code").write_text(f"{code}\n", encoding="ascii")
            work.replace(target)
        except OSError:
            raise TarnhelmError(errors.NO_SPACE) from None
        self._parts.log(events.WITHDRAWAL_REFUSED, order=name[:32], code=code)
        self._parts.metrics.withdrawals.labels("refused").inc()

    # --- the purge -------------------------------------------------------------------------------------

    def _purge(self, order: WithdrawalOrder) -> tuple[int, int]:
        """Refuse what is not released and delete all bytes; returns how many objects were purged and refused."""
        purged = rejected = 0
        for object_id in self._objects(order):
            was, now = self._end(object_id)
            if now is None:
                continue
            rejected += now.state is State.REJECTED and was is not State.REJECTED
            self._delete(object_id)
            self._parts.deliveries.drop(object_id)
            self._purged(object_id)
            purged += 1
        return purged, rejected

    def _objects(self, order: WithdrawalOrder) -> Iterator[str]:
        """Yield the objects of an order: what the stages said, and what the manifest says of those released long ago."""
        patients, studies = frozenset(order.patient_ids), frozenset(order.studies)
        seen: set[str] = set()
        plan = self._parts.state.current_plan(order.project)
        for one in self._parts.state.history(plan.stages[0] if plan else "metadata"):
            if one.record.project != order.project:
                continue
            said = [outcome.facts for outcome in one.outcomes.values() if outcome.facts is not None]
            if any(facts.subject_id in patients or facts.study_uid in studies for facts in said):
                seen.add(one.record.object_id)
                yield one.record.object_id
        for released in self._parts.deliveries.released(order.project, order.patient_ids, order.studies):
            if released.object_id not in seen:
                seen.add(released.object_id)
                yield released.object_id

    def _end(self, object_id: str) -> tuple[State | None, ObjectRecord | None]:
        """Refuse an object that is not at its end, or is held; returns its state before, and its record now."""
        state = self._parts.state
        for _ in range(_TRIES):
            record = state.get(object_id)
            if record is None:
                return None, None
            if record.state in TERMINAL and record.state is not State.QUARANTINED:
                return record.state, record
            code = errors.DELIVERY_WITHDRAWN.code
            stepped = self._life.step(record, Event.REJECT, code=code, locator=b"", output_path="")
            with suppress(StaleRecordError):
                with state.together():
                    state.save(stepped, record)
                    state.add_step(object_id, Step(self._parts.clock(), State.REJECTED.value, code))
                return record.state, stepped
        raise StaleRecordError(object_id)

    def _delete(self, object_id: str) -> None:
        blobs = self._parts.blobs
        for area in _AREAS:
            blobs.delete(BlobName(area, object_id))
            for stored in list(blobs.listing(area, object_id)):
                if stored.name.object_id == object_id:
                    blobs.delete(stored.name)

    def _purged(self, object_id: str) -> None:
        """Say in the record that its bytes are gone."""
        state = self._parts.state
        for _ in range(_TRIES):
            record = state.get(object_id)
            if record is None or record.state is State.PURGED:
                return
            stepped = self._life.step(record, Event.PURGE, code=record.code or errors.DELIVERY_WITHDRAWN.code)
            with suppress(StaleRecordError):
                with state.together():
                    state.save(stepped, record)
                    state.add_step(object_id, Step(self._parts.clock(), State.PURGED.value))
                return
        raise StaleRecordError(object_id)

    # --- the destinations ------------------------------------------------------------------------------

    def _tell(self, name: str, order: WithdrawalOrder) -> bool:
        """Tell each destination that does not know yet; one that is away keeps only itself waiting."""
        parts = self._parts
        told = parts.deliveries.told(name)
        notice: Notice | None = None
        all_told = True
        for route in parts.routes:
            destination, rules = route.destination, route.rules
            if destination.name in told or (rules.projects and order.project not in rules.projects):
                continue
            if notice is None:
                notice = self._notice(name, order)
            try:
                destination.withdraw(notice)
            except TarnhelmError as error:
                parts.log(events.ORDERS_WAIT, code=error.code)
                all_told = False
                continue
            parts.reached("told")
            parts.deliveries.tell(name, destination.name, parts.clock())
        if all_told:
            parts.deliveries.tell(name, _DONE, parts.clock())
        return all_told

    def _notice(self, name: str, order: WithdrawalOrder) -> Notice:
        released = self._parts.deliveries.released(order.project, order.patient_ids, order.studies)
        contents: dict[str, set[str]] = {}
        for one in released:
            contents.setdefault(one.path, set()).add(one.sha256)
        instances = sorted({one.sop_instance for one in released if one.sop_instance})
        return Notice(
            name=name,
            project=order.project,
            patient_ids=order.patient_ids,
            studies=order.studies,
            paths=tuple(sorted(contents)),
            contents={path: frozenset(found) for path, found in contents.items()},
            document=withdrawal_document(self._parts.key, order, name, instances, sorted(contents)),
        )
