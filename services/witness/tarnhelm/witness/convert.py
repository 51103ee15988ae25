"""Between the messages on the wire and the dataclasses of the core."""

from __future__ import annotations

from typing import NamedTuple

from tarnhelm.v1 import witness_pb2 as pb

from tarnhelm.common.stage_service.whole import parted
from tarnhelm.witness.core import Finding, Mask, Verdict

__all__ = ["WholeRequest", "masks_of", "request_of", "response_of", "verdict_of"]


class WholeRequest(NamedTuple):
    """A ``JudgeWholeRequest`` whose parts are views of what came."""

    header: pb.JudgeHeader
    source: memoryview
    result: memoryview


def request_of(message: bytes) -> WholeRequest | pb.JudgeWholeRequest:
    """Read a request without copying its parts; raises what the generated classes raise."""
    found = parted(message, 3)
    if found is None:
        whole: pb.JudgeWholeRequest = pb.JudgeWholeRequest.FromString(message)
        return whole
    header, source, result = found
    return WholeRequest(pb.JudgeHeader.FromString(header), source, result)


def masks_of(header: pb.JudgeHeader) -> tuple[Mask, ...]:
    """Read the masks of a header."""
    return tuple(Mask(mask.frame, mask.left, mask.top, mask.width, mask.height) for mask in header.masks)


def response_of(verdict: Verdict) -> pb.JudgeResponse:
    """Write a verdict as a message."""
    findings = [
        pb.WitnessFinding(
            code=finding.code,
            position=finding.position,
            identifier_class=finding.identifier_class,
            count=finding.count,
        )
        for finding in verdict.findings
    ]
    return pb.JudgeResponse(
        object_id=verdict.object_id,
        clean=verdict.clean,
        code=verdict.code,
        findings=findings,
        policy_digest=verdict.policy_digest,
        output_sha256=verdict.output_sha256,
        output_bytes=verdict.output_bytes,
        signature=verdict.signature,
    )


def verdict_of(response: pb.JudgeResponse) -> Verdict:
    """Read a verdict out of a message; whoever releases checks its signature."""
    findings = tuple(Finding(f.code, f.position, f.identifier_class, f.count) for f in response.findings)
    return Verdict(
        object_id=response.object_id,
        clean=response.clean,
        code=response.code,
        findings=findings,
        policy_digest=response.policy_digest,
        output_sha256=response.output_sha256,
        output_bytes=response.output_bytes,
        signature=response.signature,
    )
