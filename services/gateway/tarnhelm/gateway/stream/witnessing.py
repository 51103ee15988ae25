"""The work of the witness's pump: source and result to the witness, its signed verdict into the state."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tarnhelm.common import errors, events
from tarnhelm.common.errors import CATALOGUE, Disposition, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.common.stage import Status
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.stages.stage_calls import JudgeCall
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.publishing import trace_in
from tarnhelm.gateway.stream.settling import Answer
from tarnhelm.gateway.stream.staging import BlobSource

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.blobs import BlobStore
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.stages.stage_calls import JudgeClient
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.verdict import SignedVerdict

__all__ = ["WitnessWork"]


class WitnessWork:
    """The witness; see :class:`tarnhelm.gateway.stream.settling.Work`.

    Parameters
    ----------
    client
        Reaches the witness.
    life
        Its check of signatures decides what is VERIFIED.
    """

    def __init__(
        self,
        client: JudgeClient,
        state: StreamStore,
        blobs: BlobStore,
        life: Lifecycle,
        log: EventLog,
        *,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._client = client
        self._state = state
        self._blobs = blobs
        self._life = life
        self._log = log
        self._limits = limits
        self._clock = clock
        self._random = random

    @property
    def step(self) -> str:
        """``witness``."""
        return road.WITNESS

    def enter(self, record: ObjectRecord) -> tuple[Event, ...]:
        """All stages are done."""
        return () if record.state is State.WITNESSING else (Event.JUDGE,)

    def ask(self, record: ObjectRecord, plan: ProjectPlan) -> Answer:
        """Have the result judged."""
        began = self._clock()
        verdict = self._asked(record, plan)
        status = Status.DONE
        if not verdict.clean:
            kind = CATALOGUE.get(verdict.code)
            waits = kind is not None and kind.disposition in (Disposition.RETRY, Disposition.USAGE)
            status = Status.RETRY if waits else Status.QUARANTINE
        return Answer(status, verdict.code, max(0.0, self._clock() - began), verdict)

    def settle(self, record: ObjectRecord, plan: ProjectPlan, answer: Answer) -> ObjectRecord:  # noqa: ARG002  # the stages' works need the plan
        """Step the record by the verdict; a clean one must be signed and fit."""
        if record.state is not State.WITNESSING:
            record = self._life.step(record, Event.JUDGE)
        verdict: SignedVerdict | None = answer.body
        if verdict is None:
            return self._life.step(record, Event.FAIL, code=answer.code)
        if not verdict.clean:
            code = verdict.code or errors.WITNESS_UNDECIDED.code
            self._state.put_verdict(record.object_id, verdict.findings, code)
            return self._life.step(record, Event.FINDING, code=code)
        if verdict.findings:
            self._state.put_verdict(record.object_id, verdict.findings, verdict.code)
        try:
            return self._life.verified(record, verdict)._replace(attempts=0)
        except TarnhelmError as error:
            self._log(events.INTEGRITY_FAILURE, object=record.object_id, code=error.code)
            return self._life.step(record, Event.FAIL, code=error.code)

    def _asked(self, record: ObjectRecord, plan: ProjectPlan) -> SignedVerdict:
        source = BlobSource(self._blobs, road.raw_blob(record.object_id), errors.RAW_MISSING)
        try:
            result = BlobSource(self._blobs, road.result_blob(record, plan), errors.RESULT_MISSING)
            try:
                if result.info.sha256 != record.output_sha256:
                    raise TarnhelmError(errors.RESULT_MISSING)
                trace = trace_in(record)
                call = JudgeCall(
                    object_id=record.object_id,
                    policy=plan.policy.encode(),
                    policy_digest=plan.policy_digest,
                    source_size=source.info.size,
                    result_size=result.info.size,
                    result_sha256=result.info.sha256,
                    source_sha256=source.info.sha256,
                    limits=self._limits,
                    trace=None if trace is None else trace.child(self._random),
                )
                return self._client.judge(call, source, result)
            finally:
                result.close()
        finally:
            source.close()
