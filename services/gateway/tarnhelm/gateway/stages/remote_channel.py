"""A channel to a service that works on objects, and what its failures mean for an object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc

from tarnhelm.common.errors import CATALOGUE, STAGE_AWAY, STAGE_LOST, STAGE_REQUEST, ErrorCode
from tarnhelm.common.keepalive import CLIENT_OPTIONS
from tarnhelm.common.limits import MIB, Limits
from tarnhelm.common.stage_service.whole import ACCEPTED_KEY, MESSAGE_BYTES, WHOLE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.gateway.broker.trace import TraceContext
    from tarnhelm.gateway.stages.stage_calls import Source

__all__ = [
    "CHUNK_BYTES",
    "Feed",
    "RemoteSettings",
    "deadline_of",
    "failure_of",
    "gathered",
    "metadata_of",
    "open_channel",
    "was_accepted",
]

CHUNK_BYTES: Final = MIB
"""Largest piece of an object in one message; small ones cost more processor time than they save memory."""
_CODE_KEY: Final = "tarnhelm-code"
_STATUS: Final = grpc.StatusCode
_REFUSED: Final = frozenset({_STATUS.UNAUTHENTICATED, _STATUS.PERMISSION_DENIED})
"""The caller is at fault, at any time: the object waits until somebody has mended the certificates."""
_OBJECT: Final = frozenset({_STATUS.INVALID_ARGUMENT, _STATUS.DATA_LOSS, _STATUS.FAILED_PRECONDITION})
_NOT_LOOKED_AT: Final = frozenset(
    {
        _STATUS.UNAVAILABLE,
        _STATUS.RESOURCE_EXHAUSTED,
        _STATUS.DEADLINE_EXCEEDED,
        _STATUS.CANCELLED,
        _STATUS.UNIMPLEMENTED,
    }
)


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Where a service is.

    Attributes
    ----------
    target
        ``host:port`` or a gRPC name; ``dns:///name:port`` shares the calls among all addresses of the name.
    ca_file, certificate_file, key_file
        PEM: authority of the server's certificate, and what this side shows. Without an authority nothing is
        encrypted, which a server allows on one machine only.
    margin_seconds
        Added to an object's own time: for queueing and for the network.
    resolve_seconds
        How soon at the earliest a name is looked up again, after a server has closed a connection.
    whole_bytes
        Objects up to this size go in one message, which costs less than a stream; at most what a service takes so.
        -1: none does.

    Raises
    ------
    ValueError
        ``whole_bytes`` is more than a service takes in one message.
    """

    target: str
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    margin_seconds: float = 60.0
    resolve_seconds: float = 10.0
    whole_bytes: int = WHOLE_BYTES

    def __post_init__(self) -> None:
        if self.whole_bytes > WHOLE_BYTES:
            raise ValueError("whole_bytes is more than one message holds")


def open_channel(settings: RemoteSettings) -> grpc.Channel:
    """Open a channel; nobody is called yet.

    Raises
    ------
    OSError
        A certificate file cannot be read.
    """
    options = (
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.dns_min_time_between_resolutions_ms", int(settings.resolve_seconds * 1000)),
        ("grpc.max_reconnect_backoff_ms", 5000),
        ("grpc.enable_retries", 0),  # the pump decides what is tried again
        ("grpc.enable_http_proxy", 0),  # objects go to the service and nowhere else
        ("grpc.use_local_subchannel_pool", 1),  # a connection of its own for each service's channel
        *CLIENT_OPTIONS,
    )
    if settings.ca_file is None:
        return grpc.insecure_channel(settings.target, options)
    credentials = grpc.ssl_channel_credentials(
        settings.ca_file.read_bytes(),
        settings.key_file.read_bytes() if settings.key_file else None,
        settings.certificate_file.read_bytes() if settings.certificate_file else None,
    )
    return grpc.secure_channel(settings.target, credentials, options)


def deadline_of(limits: Limits, size: int, settings: RemoteSettings) -> float:
    """Seconds that a call for an object of ``size`` bytes may take."""
    return limits.deadline_seconds(size) + settings.margin_seconds


def metadata_of(trace: TraceContext | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call: to which trace it belongs (W3C Trace Context)."""
    if trace is None:
        return ()
    state = (("tracestate", trace.state),) if trace.state else ()
    return (("traceparent", trace.traceparent), *state)


def failure_of(error: grpc.RpcError, *, accepted: bool) -> ErrorCode:
    """Say what the failure of a call means.

    Returns
    -------
    ErrorCode
        ``STG-005`` where the object was not looked at, ``STG-006`` where it was lost after it had been accepted;
        any other code is the service's own and means that the object is to be quarantined.
    """
    status = error.code()
    if status in _REFUSED:
        return STAGE_AWAY
    if status in _OBJECT:
        return _told(error) or STAGE_REQUEST
    return STAGE_LOST if accepted or status not in _NOT_LOOKED_AT else STAGE_AWAY


def _told(error: grpc.RpcError) -> ErrorCode | None:
    trailing: Any = error.trailing_metadata()
    for key, value in trailing or ():
        if key == _CODE_KEY:
            return CATALOGUE.get(value)
    return None


def was_accepted(error: Any) -> bool:
    """Whether a service said in its initial metadata that it had taken the object in hand, before the call failed."""
    return any(key == ACCEPTED_KEY for key, _ in error.initial_metadata() or ())


def gathered(source: Source, size: int) -> bytes:
    """Return the bytes of an object of ``size`` bytes; of a source that gives more, just enough to be refused."""
    pieces: list[bytes] = []
    seen = 0
    for data in source():
        pieces.append(data)
        seen += len(data)
        if seen > size:
            return b"".join(pieces)[: size + 1]
    return b"".join(pieces)


class Feed:
    """Pieces of an object in the sizes that a message may have; keeps what its source raised.

    gRPC asks for them in a thread of its own and would log an error's text. So the pieces just end then, which no
    service takes for an object, and whoever made the call raises the error again.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.fault: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._source():
                if len(data) <= CHUNK_BYTES:
                    if data:
                        yield data
                    continue
                for at in range(0, len(data), CHUNK_BYTES):
                    yield data[at : at + CHUNK_BYTES]
        except Exception as error:  # noqa: BLE001 - raised again by the caller
            self.fault = error

    def check(self) -> None:
        """Raise what the source raised."""
        if self.fault is not None:
            raise self.fault from None
