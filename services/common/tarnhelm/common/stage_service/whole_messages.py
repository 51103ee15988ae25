"""The messages that hold a whole object, as a service reads and writes them: the object is copied once or not at all.

The generated classes copy it when they parse a message, again when it is taken out of one, and three times on the way
back. What comes in another form than the usual is left to them.
"""

from __future__ import annotations

from typing import NamedTuple

from tarnhelm.v1 import stage_pb2

from tarnhelm.common.stage_service.whole import joined, parted

__all__ = ["WholeRequest", "WholeResponse", "request_of", "response_bytes"]


class WholeRequest(NamedTuple):
    """A ``ProcessWholeRequest`` whose data are a view of what came."""

    header: stage_pb2.JobHeader
    data: memoryview


class WholeResponse(NamedTuple):
    """A ``ProcessWholeResponse``; the result is serialised already."""

    result: bytes
    data: bytes


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
