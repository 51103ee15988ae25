"""The messages that hold a whole object, as both sides read and write them: the object is copied once or not at all.

The generated classes copy it when they parse a message, again when it is taken out of one, and three times on the way
back. What comes in another form than the usual is left to them.
"""

from __future__ import annotations

from typing import NamedTuple

from tarnhelm.v1 import stage_pb2

from tarnhelm.common.stage_service.whole import joined, parted

__all__ = ["WholeRequest", "WholeResponse", "request_bytes", "request_of", "response_bytes", "response_of"]


class WholeRequest(NamedTuple):
    """A ``ProcessWholeRequest``; where it came in, its data are a view of the message."""

    header: stage_pb2.JobHeader
    data: bytes | memoryview


class WholeResponse(NamedTuple):
    """A ``ProcessWholeResponse``; the result is serialised already."""

    result: bytes
    data: bytes


def request_bytes(request: WholeRequest) -> bytes:
    """Write a request."""
    return joined(request.header.SerializeToString(), request.data)


def request_of(message: bytes) -> WholeRequest | stage_pb2.ProcessWholeRequest:
    """Read a request; raises what the generated classes raise."""
    found = parted(message, 2)
    if found is None:
        whole: stage_pb2.ProcessWholeRequest = stage_pb2.ProcessWholeRequest.FromString(message)
        return whole
    header, data = found
    return WholeRequest(stage_pb2.JobHeader.FromString(header), data)


def response_bytes(response: WholeResponse) -> bytes:
    """Write a response."""
    return joined(response.result, response.data)


def response_of(message: bytes) -> tuple[stage_pb2.StageResult, bytes | memoryview]:
    """Read a response, the result and the data; raises what the generated classes raise."""
    found = parted(message, 2)
    if found is None:
        response = stage_pb2.ProcessWholeResponse.FromString(message)
        return response.result, response.data
    result, data = found
    return stage_pb2.StageResult.FromString(result), data
