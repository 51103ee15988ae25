"""The witness behind gRPC, as the pumps see it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import grpc
from tarnhelm.v1 import witness_pb2 as pb
from tarnhelm.v1 import witness_pb2_grpc

from tarnhelm.common.errors import CATALOGUE, STAGE_AWAY, STAGE_LOST, ErrorCode
from tarnhelm.common.stage_service.whole import fits, joined
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
from tarnhelm.gateway.verdict import SignedVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.gateway.stages.stage_calls import JudgeCall, Source

__all__ = ["RemoteJudge"]

_WORD: Final = re.compile(r"[\x20-\x7e]{0,300}")


class RemoteJudge:
    """Implements :class:`~tarnhelm.gateway.stages.stage_calls.JudgeClient` over gRPC.

    Whoever releases checks the signature: what this class hands on is what came.

    Parameters
    ----------
    settings
        Where the witness is.

    Raises
    ------
    OSError
        A certificate file cannot be read.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._channel = open_channel(settings)
        stub = witness_pb2_grpc.WitnessServiceStub(self._channel)
        self._judge = stub.Judge
        self._judge_whole = self._channel.unary_unary(
            "/tarnhelm.v1.WitnessService/JudgeWhole",
            request_serializer=_whole_written,
            response_deserializer=pb.JudgeWholeResponse.FromString,
        )

    def close(self) -> None:
        """End the calls in hand and close the channel."""
        self._channel.close()

    def judge(self, call: JudgeCall, source: Source, result: Source) -> SignedVerdict:
        """Have one result judged; see :meth:`~tarnhelm.gateway.stages.stage_calls.JudgeClient.judge`."""
        header = _header(call)
        feeds: tuple[Feed, ...] = ()
        ask: Any
        request: Any
        if fits(header, call.source_size + call.result_size, self._settings.whole_bytes):
            request = header, gathered(source, call.source_size), gathered(result, call.result_size)
            ask = self._judge_whole
        else:
            feeds = Feed(source), Feed(result)
            request = _requests(header, *feeds)
            ask = self._judge
        try:
            answer = ask(
                request,
                timeout=deadline_of(call.limits, call.source_size + call.result_size, self._settings),
                metadata=metadata_of(call.trace),
            )
        except grpc.RpcError as error:
            for feed in feeds:
                feed.check()
            return _unjudged(call, failure_of(error, accepted=was_accepted(error)))
        except ValueError:  # the channel was closed
            return _unjudged(call, STAGE_AWAY)
        return _verdict(call, answer if feeds else answer.verdict)


def _header(call: JudgeCall) -> pb.JudgeHeader:
    return pb.JudgeHeader(
        object_id=call.object_id,
        policy=call.policy,
        policy_digest=call.policy_digest,
        source_bytes=call.source_size,
        result_bytes=call.result_size,
        source_sha256=call.source_sha256,
        result_sha256=call.result_sha256,
        masks=[pb.WitnessMask(**mask._asdict()) for mask in call.masks],
    )


def _whole_written(request: tuple[pb.JudgeHeader, bytes, bytes]) -> bytes:
    """Write a JudgeWholeRequest."""
    header, source, result = request
    return joined(header.SerializeToString(), source, result)


def _requests(header: pb.JudgeHeader, source: Feed, result: Feed) -> Iterator[pb.JudgeRequest]:
    yield pb.JudgeRequest(header=header)
    for part, feed in ((pb.WITNESS_PART_SOURCE, source), (pb.WITNESS_PART_RESULT, result)):
        for data in feed:
            request = pb.JudgeRequest()
            request.chunk.part, request.chunk.data = part, data  # in place: a message put into another is copied
            yield request


def _unjudged(call: JudgeCall, kind: ErrorCode) -> SignedVerdict:
    return SignedVerdict(call.object_id, call.policy_digest, "", clean=False, code=kind.code)


def _verdict(call: JudgeCall, answer: pb.JudgeResponse) -> SignedVerdict:
    """Read a verdict; what does not fit the call, or is no verdict, counts as lost."""
    fits = (
        answer.object_id == call.object_id
        and answer.policy_digest == call.policy_digest
        and answer.output_sha256 == call.result_sha256
        and answer.clean == (not answer.code)
        and (answer.clean or answer.code in CATALOGUE)
        and answer.clean == (not answer.findings)
    )
    findings: dict[tuple[str, str], int] = {}
    for finding in answer.findings:
        where = f"{finding.position} {finding.identifier_class}".strip()
        fits = fits and finding.code in CATALOGUE and _WORD.fullmatch(where) is not None
        findings[finding.code, where] = findings.get((finding.code, where), 0) + finding.count
    if not fits:
        return _unjudged(call, STAGE_LOST)
    return SignedVerdict(
        answer.object_id,
        answer.policy_digest,
        answer.output_sha256,
        clean=answer.clean,
        code=answer.code,
        signature=answer.signature.hex(),
        findings=findings,
    )
