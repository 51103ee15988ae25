"""What reviewers decide about held objects: retry, reject, and, by two of them, accept unchecked pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import ACCEPTABLE, Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import Decision, StaleRecordError, Step
from tarnhelm.gateway.stream import road

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.blobs import BlobStore
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.publishing import Publisher

__all__ = ["Decisions"]

_PROPOSED: Final = "propose"


class Decisions:
    """Carries out reviewers' decisions and records each with who, why and when, for good.

    Nothing is released by a decision: a retried or accepted object goes through all stages and the witness again.
    Whoever calls this has made sure who ``by`` is and that he is a reviewer.

    Parameters
    ----------
    state, blobs, publisher
        The stream's.
    log
        Gets one event for each decision.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        state: StreamStore,
        blobs: BlobStore,
        publisher: Publisher,
        log: EventLog,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._publisher = publisher
        self._log = log
        self._clock = clock
        self._life = Lifecycle(lambda _verdict: False)  # decides nothing about verdicts

    def retry(self, object_id: str, *, by: str, reason: str, plan: str = "") -> ObjectRecord:
        """Send a held object through all stages again, under the plan of a digest or, without, its project's present one.

        Raises
        ------
        TarnhelmError
            GTW-028 where it is not held, GTW-021 where there is no such plan.
        """
        return self._again(self._held(object_id), Event.RETRY, by, reason, plan)

    def reject(self, object_id: str, *, by: str, reason: str) -> ObjectRecord:
        """Decide that a held or a waiting object is never released; its bytes are purged after the usual delay.

        Raises
        ------
        TarnhelmError
            GTW-028 where it is neither.
        """
        was = self._held(object_id, State.QUARANTINED, State.WAITING)
        code = errors.REJECTED_BY_REVIEWER.code
        with self._one():
            record = self._life.step(was, Event.REJECT, code=code)
            self._state.save(record, was)
            self._note(was, "reject", by, reason)
        self._log(events.OBJECT_DECIDED, object=object_id, decision="reject", code=was.code)
        return record

    def propose(self, object_id: str, *, by: str, reason: str) -> None:
        """Propose to accept unchecked pixels; somebody else has to :meth:`accept`.

        Raises
        ------
        TarnhelmError
            GTW-028 where it is not held, RUN-008 where its code cannot be accepted.
        """
        was = self._held(object_id)
        if was.code not in ACCEPTABLE:
            raise TarnhelmError(errors.NOT_ACCEPTABLE)
        with self._state.together():
            self._note(was, _PROPOSED, by, reason)
        self._log(events.OBJECT_DECIDED, object=object_id, decision=_PROPOSED, code=was.code)

    def proposal(self, object_id: str) -> Decision | None:
        """Return who proposed to accept an object, as it is held now; None: nobody, or it was decided since."""
        record = self._state.get(object_id)
        if record is None or record.state is not State.QUARANTINED:
            return None
        decisions = self._state.decisions_of(object_id)
        last = decisions[-1] if decisions else None
        return last if last is not None and last.kind == _PROPOSED and last.code == record.code else None

    def accept(self, object_id: str, *, by: str, reason: str) -> ObjectRecord:
        """Accept the unchecked pixels that another person proposed; it goes through all stages and the witness.

        Raises
        ------
        TarnhelmError
            GTW-028 where nobody proposed it, GTW-027 where it was the same person, RUN-008 for another code.
        """
        was = self._held(object_id)
        proposal = self.proposal(object_id)
        if proposal is None:
            raise TarnhelmError(errors.NOT_HELD)
        if proposal.by == by:
            raise TarnhelmError(errors.SECOND_PERSON)
        return self._again(was, Event.ACCEPT, by, reason, was.plan_digest)

    # --- what they share -------------------------------------------------------------------------------

    def _again(self, was: ObjectRecord, event: Event, by: str, reason: str, digest: str) -> ObjectRecord:
        plan = self._state.plan(digest) if digest else self._state.current_plan(was.project)
        if plan is None or plan.project != was.project:
            raise TarnhelmError(errors.NO_PLAN)
        record = self._life.step(
            was,
            event,
            stage="",
            plan_digest=plan.digest,
            policy_digest=plan.policy_digest,
            attempts=0,
            group="",
            output_sha256="",
            verdict="",
        )
        before = self._state.plan(was.plan_digest) or plan
        for name in {*road.work_blobs(was, before), *road.work_blobs(record, plan)}:
            self._blobs.delete(name)
        with self._one():
            self._state.drop_outcomes(was.object_id)
            self._state.save(record, was)
            self._note(was, event.value, by, reason)
        self._log(events.OBJECT_DECIDED, object=was.object_id, decision=event.value, code=was.code)
        self._publisher.send(record, plan.stages[0])
        return record

    def _held(self, object_id: str, *states: State) -> ObjectRecord:
        record = self._state.get(object_id)
        if record is None or record.state not in (states or (State.QUARANTINED,)):
            raise TarnhelmError(errors.NOT_HELD)
        return record

    def _note(self, was: ObjectRecord, kind: str, by: str, reason: str) -> None:
        now = self._clock()
        self._state.decide(Decision(was.object_id, kind, by, reason, was.code, now))
        self._state.add_step(was.object_id, Step(now, kind, was.code))

    @contextmanager
    def _one(self) -> Iterator[None]:
        """Make it one transaction; somebody who was faster is GTW-028."""
        try:
            with self._state.together():
                yield
        except StaleRecordError:
            raise TarnhelmError(errors.NOT_HELD) from None
