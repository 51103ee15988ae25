"""The work of a stage's pump: a blob to the stage, its result into a blob, its outcome into the state."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, Disposition, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.stages.stage_calls import StageCall
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.assembling import collect
from tarnhelm.gateway.stream.publishing import trace_in
from tarnhelm.gateway.stream.settling import Answer

if TYPE_CHECKING:
    from tarnhelm.common.tickets import TicketIssuer
    from tarnhelm.gateway.blobs import BlobName, BlobReader, BlobStore, BlobWriter
    from tarnhelm.gateway.keys import GatewayKeys
    from tarnhelm.gateway.plans import ProjectPlan
    from tarnhelm.gateway.stages.stage_calls import StageClient
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.stream.road import Failpoint

__all__ = ["BlobSource", "StageWork"]

_CAPABILITIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"ocr": frozenset({"ocr", "mask"}), road.IMAGING: frozenset({"deface"})}
)
"""Stage → what the gate table may ask for that it does."""
_NOTHING: Final = hashlib.sha256().hexdigest()
_ENDS: Final = {Status.SKIP: Event.SKIP, Status.REJECT: Event.REJECT, Status.QUARANTINE: Event.FAIL}


class BlobSource:
    """A blob that can be read several times; the first time with the reader that gave its head.

    Parameters
    ----------
    missing
        What is raised where it is not there.
    """

    def __init__(self, blobs: BlobStore, name: BlobName, missing: errors.ErrorCode) -> None:
        self._blobs = blobs
        self._name = name
        self._missing = missing
        self._first: BlobReader | None = self._opened()
        self.info = self._first.info

    def __call__(self) -> Iterator[bytes]:
        """Give all its bytes; whoever works on them compares their digest with the one that the head names."""
        reader, self._first = self._first or self._opened(), None
        with reader:
            yield from reader.unsummed()

    def close(self) -> None:
        """Let it go."""
        if self._first is not None:
            self._first.close()
            self._first = None

    def _opened(self) -> BlobReader:
        try:
            return self._blobs.open(self._name)
        except TarnhelmError as error:
            if error.kind is errors.BLOB_MISSING:
                raise TarnhelmError(self._missing) from None
            raise


class _Result:
    """A result on its way into a blob; nothing is begun before the first byte."""

    def __init__(self, blobs: BlobStore, name: BlobName) -> None:
        self._blobs = blobs
        self._name = name
        self._writer: BlobWriter | None = None

    def __call__(self, data: bytes | memoryview) -> None:
        if self._writer is None:
            self._writer = self._blobs.begin(self._name)
        self._writer.write(data)

    @property
    def sha256(self) -> str:
        """Of what came so far: the store computes it anyway."""
        return self._writer.sha256 if self._writer is not None else _NOTHING

    def keep(self, outcome: StageOutcome) -> StageOutcome:
        """Put it if the name is free; the outcome then names the bytes that stand there.

        A pump that died after its blob and before its outcome leaves a blob that may differ from this result, where a
        stage rounds differently. The first one stays; whatever the outcome says of it that is not so, the witness
        finds.
        """
        writer = self._writer or self._blobs.begin(self._name)
        self._writer = None
        with writer:
            standing = writer.commit(sha256=outcome.output_sha256).info
        if standing.sha256 == outcome.output_sha256:
            return outcome
        return replace(outcome, output_sha256=standing.sha256, output_bytes=standing.size)

    def drop(self) -> None:
        if self._writer is not None:
            self._writer.abort()


class StageWork:
    """One stage; see :class:`tarnhelm.gateway.stream.settling.Work`.

    Parameters
    ----------
    client
        Reaches the stage.
    tickets
        Signs an admission ticket for each delivery; None for stages that ask the assigner for nothing.
    """

    def __init__(
        self,
        client: StageClient,
        state: StreamStore,
        blobs: BlobStore,
        keys: GatewayKeys,
        life: Lifecycle,
        *,
        tickets: TicketIssuer | None = None,
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        failpoint: Failpoint = lambda _name: None,
    ) -> None:
        self._client = client
        self._state = state
        self._blobs = blobs
        self._keys = keys
        self._life = life
        self._tickets = tickets
        self._limits = limits
        self._clock = clock
        self._random = random
        self._failpoint = failpoint

    @property
    def step(self) -> str:
        """The stage's name."""
        return self._client.name

    def enter(self, record: ObjectRecord) -> tuple[Event, ...]:
        """It is in hand."""
        return () if record.state is State.RUNNING else (Event.START,)

    def ask(self, record: ObjectRecord, plan: ProjectPlan) -> Answer:
        """Find the recorded outcome, or have the stage work."""
        key = road.outcome_key(record)
        # Outcomes are recorded with the record's next revision: one that nobody has stepped since its admission has none.
        recorded = self._state.outcome(record.object_id, self.step, key) if record.revision > 1 else None
        if recorded is not None and self._stands(record, recorded):
            return Answer(recorded.status, recorded.code, body=recorded, fresh=False)
        began = self._clock()
        outcome = self._asked(record, plan)
        if recorded is not None and outcome.status is Status.DONE and recorded.output_sha256 != outcome.output_sha256:
            raise TarnhelmError(errors.RESULT_MISSING)
        return Answer(_status_of(outcome), outcome.code, max(0.0, self._clock() - began), outcome)

    def settle(self, record: ObjectRecord, plan: ProjectPlan, answer: Answer) -> ObjectRecord:
        """Record the outcome if none is, and step the record by the one that is recorded."""
        enter = self.enter(record)
        if answer.body is None:  # not the stage's word: a blob that is not there, a fault of our own
            return self._life.step(record, *enter, _ENDS[answer.status], stage=self.step, code=answer.code)
        outcome = self._state.put_outcome(record.object_id, self.step, road.outcome_key(record), answer.body)
        if outcome.status in _ENDS:
            return self._life.step(record, *enter, _ENDS[outcome.status], stage=self.step, code=outcome.code)
        attempts = 0 if answer.fresh else record.attempts
        done = (*enter, Event.STAGE_DONE)
        group = record.group
        if road.stage_after(self.step, plan, grouped=True) == road.IMAGING:
            place = collect(self._state, self._keys, record, plan, outcome.facts, self._clock())
            group = "" if place is None else place.volume
            if place is not None and place.code:
                return self._life.step(record, *done, Event.FAIL, stage=self.step, code=place.code, group=group)
        if road.stage_after(self.step, plan, grouped=bool(group)):
            return self._life.step(record, *done, stage=self.step, attempts=attempts, group=group)
        missing = self._missing(record, plan, outcome)
        if missing:
            return self._life.step(record, *done, Event.FAIL, stage=self.step, code=_code_of(missing))
        return self._life.step(
            record,
            *done,
            Event.JUDGE,
            stage=self.step,
            attempts=attempts,
            output_sha256=outcome.output_sha256,
        )

    # --- the call --------------------------------------------------------------------------------------

    def _asked(self, record: ObjectRecord, plan: ProjectPlan) -> StageOutcome:
        before = road.stage_before(self.step, plan, grouped=bool(record.group))
        if before:
            source = BlobSource(self._blobs, road.work_blob(record, before), errors.RESULT_MISSING)
        else:
            source = BlobSource(self._blobs, road.raw_blob(record.object_id), errors.RAW_MISSING)
        result = _Result(self._blobs, road.work_blob(record, self.step))
        try:
            outcome = self._client.process(self._call(record, plan, source), source, result)
            self._failpoint(f"{self.step}: before the blob")
            if outcome.status is Status.DONE:
                outcome = result.keep(outcome)
            return outcome
        finally:
            result.drop()
            source.close()

    def _call(self, record: ObjectRecord, plan: ProjectPlan, source: BlobSource) -> StageCall:
        earlier = self._earlier(record, plan)
        trace = trace_in(record)
        facts = earlier[-1][1].facts if earlier else None
        ticket = b"" if self._tickets is None else self._tickets.issue(record.project, record.object_id)
        return StageCall(
            object_id=record.object_id,
            project=record.project,
            ticket=ticket,
            plan_digest=record.plan_digest,
            config=plan.config.encode(),
            size=source.info.size,
            sha256=source.info.sha256,
            accept_unchecked_pixels=road.accepts_unchecked(record, plan),
            limits=self._limits,
            facts=facts,
            earlier=earlier,
            trace=None if trace is None else trace.child(self._random),
        )

    def _earlier(self, record: ObjectRecord, plan: ProjectPlan) -> tuple[tuple[str, StageOutcome], ...]:
        found = []
        for stage in plan.stages[: plan.stages.index(self.step)]:
            outcome = self._state.outcome(record.object_id, stage, road.outcome_key(record))
            if outcome is not None:
                found.append((stage, outcome))
        return tuple(found)

    def _stands(self, record: ObjectRecord, outcome: StageOutcome) -> bool:
        """Whether the result that an outcome names is there; without one there is nothing to stand."""
        if outcome.status is not Status.DONE:
            return True
        info = self._blobs.stat(road.work_blob(record, self.step))
        if info is not None and info.sha256 != outcome.output_sha256:
            raise TarnhelmError(errors.RESULT_MISSING)
        return info is not None

    def _missing(self, record: ObjectRecord, plan: ProjectPlan, outcome: StageOutcome) -> frozenset[str]:
        """Return what the gate asked for and no stage of the plan can do; nothing where that was accepted."""
        if outcome.facts is None or road.accepts_unchecked(record, plan):
            return frozenset()
        offered = frozenset().union(*(_CAPABILITIES.get(stage, frozenset()) for stage in plan.stages))
        return outcome.facts.needs - offered


def _code_of(missing: frozenset[str]) -> str:
    """Return the code of an object that is held for want of these capabilities; reviewers know it by that."""
    codes = {
        frozenset({"ocr"}): errors.TEXT_UNCHECKED,
        frozenset({"deface"}): errors.FACE_UNCHECKED,
        frozenset({"ocr", "deface"}): errors.TEXT_AND_FACE_UNCHECKED,
    }
    return codes.get(missing, errors.STAGE_MISSING).code


def _status_of(outcome: StageOutcome) -> Status:
    """Return an outcome's status; a fault of the configuration waits like a dependency."""
    kind = CATALOGUE.get(outcome.code)
    if kind is not None and kind.disposition is Disposition.USAGE:
        return Status.RETRY
    return outcome.status
