"""A stage behind gRPC, as the pumps see it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import grpc
from tarnhelm.v1 import stage_pb2, stage_pb2_grpc

from tarnhelm.common.errors import STAGE_AWAY, STAGE_LOST, STAGE_REQUEST, ErrorCode
from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.common.stage_service.convert import MalformedError, facts_message, outcome_from, result_message
from tarnhelm.common.stage_service.whole import WHOLE_RESULT_BYTES, fits
from tarnhelm.common.stage_service.whole_messages import WholeRequest, request_bytes, response_of
from tarnhelm.gateway.stages.remote_channel import (
    Feed,
    RemoteSettings,
    deadline_of,
    failure_of,
    gathered,
    metadata_of,
    open_channel,
    was_accepted,
)
from tarnhelm.gateway.stages.stage_calls import (
    JudgeCall,
    JudgeClient,
    Mask,
    Sink,
    Source,
    StageCall,
    StageClient,
    SummingSink,
    counts_as_attempt,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "JudgeCall",
    "JudgeClient",
    "Mask",
    "RemoteSettings",
    "RemoteStage",
    "StageCall",
    "StageClient",
    "counts_as_attempt",
]

_MOST_CONFIG_BYTES: Final = 4 << 20
_MOST_KNOWN: Final = 128
_MOST_COUNTS: Final = 512
_PART: Final = 0


class RemoteStage:
    """Implements :class:`~tarnhelm.gateway.stages.stage_calls.StageClient` over gRPC.

    Parameters
    ----------
    name
        The step: ``metadata``, ``finalise``, …
    settings
        Where its service is.

    Raises
    ------
    OSError
        A certificate file cannot be read.
    """

    def __init__(self, name: str, settings: RemoteSettings) -> None:
        self._name = name
        self._settings = settings
        self._channel = open_channel(settings)
        stub = stage_pb2_grpc.StageServiceStub(self._channel)
        self._process = stub.Process
        self._process_whole = self._channel.unary_unary(
            "/tarnhelm.v1.StageService/ProcessWhole",
            request_serializer=request_bytes,
            response_deserializer=response_of,
        )
        self._counts = _Known()

    @property
    def name(self) -> str:
        """The step."""
        return self._name

    def close(self) -> None:
        """End the calls in hand and close the channel."""
        self._channel.close()

    def process(self, call: StageCall, source: Source, sink: Sink) -> StageOutcome:
        """Work on one object; see :meth:`~tarnhelm.gateway.stages.stage_calls.StageClient.process`."""
        if len(call.config) > _MOST_CONFIG_BYTES:
            return _ended(STAGE_REQUEST)
        header = self._header(call)
        outcome = None
        if fits(header, call.size, self._settings.whole_bytes):
            outcome = self._whole(header, call, source, sink)
        return outcome or self._streamed(header, call, source, sink)

    def _whole(self, header: stage_pb2.JobHeader, call: StageCall, source: Source, sink: Sink) -> StageOutcome | None:
        """Work on one object in one message; None for a result that is too large for that."""
        try:
            result, data = self._process_whole(
                WholeRequest(header, gathered(source, call.size)),
                timeout=deadline_of(call.limits, call.size, self._settings),
                metadata=metadata_of(call.trace),
            )
        except grpc.RpcError as error:
            return _ended(failure_of(error, accepted=was_accepted(error)))
        except ValueError:  # the channel was closed
            return _ended(STAGE_AWAY)
        answer = _Answer(sink, self._counts)
        try:
            answer.end(result)
        except MalformedError:
            return _ended(STAGE_LOST)
        if answer.too_large(call):
            return None
        if data:
            answer.data(data)
        return answer.checked(call, self._name)

    def _streamed(self, header: stage_pb2.JobHeader, call: StageCall, source: Source, sink: Sink) -> StageOutcome:
        """Work on one object in pieces."""
        feed = Feed(source)
        answer = _Answer(sink, self._counts)
        stream: Any = None
        try:
            stream = self._process(
                _requests(header, feed),
                timeout=deadline_of(call.limits, call.size, self._settings),
                metadata=metadata_of(call.trace),
            )
            for response in stream:
                answer.take(response)
        except grpc.RpcError as error:
            feed.check()
            if answer.outcome is None:
                return _ended(failure_of(error, accepted=answer.accepted))
        except MalformedError:
            return _ended(STAGE_LOST)
        except ValueError:  # the channel was closed
            if stream is not None:
                raise
            return _ended(STAGE_AWAY)
        finally:
            if stream is not None:
                stream.cancel()
        feed.check()
        return answer.checked(call, self._name)

    def _header(self, call: StageCall) -> stage_pb2.JobHeader:
        return stage_pb2.JobHeader(
            object_id=call.object_id,
            project=call.project,
            ticket=call.ticket,
            plan_digest=call.plan_digest,
            config=call.config,
            config_digest=hashlib.sha256(call.config).hexdigest(),
            parts=[stage_pb2.JobPart(id=_PART, size=call.size, sha256=call.sha256)],
            accept_unchecked_pixels=call.accept_unchecked_pixels,
            dry_run=call.dry_run,
            limits=stage_pb2.JobLimits(
                max_object_bytes=call.limits.max_object_bytes, seconds=call.limits.deadline_seconds(call.size)
            ),
            facts=facts_message(call.facts) if call.facts is not None else None,
            earlier=[result_message(name, outcome) for name, outcome in call.earlier],
            stage=self._name,
        )


class _Known:
    """Counts seen lately: nearly all objects of a series have the same, and the state knows them by their identity."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[tuple[str, str], int], ...], dict[tuple[str, str], int]] = {}

    def __call__(self, counts: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        """Return the first mapping that was equal to this one."""
        if len(counts) > _MOST_COUNTS:  # what is remembered stays small, whatever a service says
            return counts
        key = tuple(counts.items())
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = counts
        return found


class _Answer:
    """What came back so far; raises MalformedError where it does not follow the protocol."""

    def __init__(self, sink: Sink, counts: _Known) -> None:
        self._sink = sink
        self._counts = counts
        self._summing = sink if isinstance(sink, SummingSink) else None
        self._digest = hashlib.sha256()
        self._size = 0
        self._stage = ""
        self.accepted = False
        self.outcome: StageOutcome | None = None

    def take(self, response: stage_pb2.ProcessResponse) -> None:
        """Take the next message."""
        kind = response.WhichOneof("message")
        if self.outcome is not None or (kind == "accepted") == self.accepted:
            raise MalformedError
        if kind == "accepted":
            self.accepted = True
        elif kind == "chunk":
            if response.chunk.part != _PART:
                raise MalformedError
            self.data(response.chunk.data)
        elif kind == "result":
            self.end(response.result)
        else:
            raise MalformedError

    def data(self, data: bytes | memoryview) -> None:
        """Hand on the next bytes."""
        if self._summing is None:
            self._digest.update(data)
        self._size += len(data)
        self._sink(data)

    def end(self, result: stage_pb2.StageResult) -> None:
        """Take the outcome."""
        self.outcome = outcome_from(result, self._counts)
        self._stage = result.stage

    def too_large(self, call: StageCall) -> bool:
        """Whether there is a result that no single message holds."""
        outcome = self.outcome
        if outcome is None or outcome.status is not Status.DONE or call.dry_run:
            return False
        return outcome.output_bytes > WHOLE_RESULT_BYTES

    def checked(self, call: StageCall, name: str) -> StageOutcome:
        """Return the outcome if it fits the call and the bytes that came."""
        outcome = self.outcome
        if outcome is None or self._stage != name or outcome.source_sha256 not in ("", call.sha256):
            return _ended(STAGE_LOST)
        if outcome.status is not Status.DONE or call.dry_run:
            return outcome
        digest = self._digest.hexdigest() if self._summing is None else self._summing.sha256
        if outcome.output_sha256 != digest or outcome.output_bytes != self._size:
            return _ended(STAGE_LOST)
        return outcome


def _requests(header: stage_pb2.JobHeader, feed: Feed) -> Iterator[stage_pb2.ProcessRequest]:
    yield stage_pb2.ProcessRequest(header=header)
    for data in feed:
        request = stage_pb2.ProcessRequest()
        request.chunk.part, request.chunk.data = _PART, data  # in place: a message put into another is copied
        yield request


def _ended(kind: ErrorCode) -> StageOutcome:
    """Return the outcome of a call that gave none."""
    status = Status.RETRY if kind in (STAGE_AWAY, STAGE_LOST) else Status.QUARANTINE
    return StageOutcome(status, code=kind.code, message=kind.message)
