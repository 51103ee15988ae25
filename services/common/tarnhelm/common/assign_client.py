"""The caller's side of the Assign call: :class:`~tarnhelm.common.assign.Assigner` over gRPC."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from tarnhelm.v1 import linkage_pb2 as pb
from tarnhelm.v1 import linkage_pb2_grpc

from tarnhelm.common.assign import AssignReply, AssignRequest, ValueKind
from tarnhelm.common.errors import ASSIGN_REQUEST, ASSIGNER_AWAY, CATALOGUE, TarnhelmError
from tarnhelm.common.keepalive import CLIENT_OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AssignCalls", "AssignChannel", "RemoteAssigner", "channel_to", "query_bytes"]

_KINDS: Final = {
    ValueKind.ID_NUMERICAL: pb.VALUE_QUESTION_KIND_ID_NUMERICAL,
    ValueKind.ID_ALPHANUMERICAL: pb.VALUE_QUESTION_KIND_ID_ALPHANUMERICAL,
    ValueKind.KEY: pb.VALUE_QUESTION_KIND_KEY,
}


_LARGEST_QUERY: Final = 5 << 20
_OPTIONS: Final = (
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_receive_message_length", 6 << 20),
    ("grpc.enable_http_proxy", 0),  # questions name patients: they go to the assigner and nowhere else
    ("grpc.max_reconnect_backoff_ms", 5000),
    *CLIENT_OPTIONS,
)


def channel_to(
    target: str, *, ca_file: Path | None = None, certificate_file: Path | None = None, key_file: Path | None = None
) -> grpc.Channel:
    """Open a channel that shares calls among all replicas behind a name (``dns:///…``).

    Parameters
    ----------
    target
        ``host:port`` or a gRPC name.
    ca_file, certificate_file, key_file
        PEM; without an authority the channel is not encrypted, which a server allows on one machine only.
    """
    credentials = _credentials(ca_file, certificate_file, key_file)
    if credentials is None:
        return grpc.insecure_channel(target, _OPTIONS)
    return grpc.secure_channel(target, credentials, _OPTIONS)


def _credentials(ca_file: Path | None, certificate_file: Path | None, key_file: Path | None) -> Any:
    if ca_file is None:
        return None
    return grpc.ssl_channel_credentials(
        ca_file.read_bytes(),
        key_file.read_bytes() if key_file else None,
        certificate_file.read_bytes() if certificate_file else None,
    )


class AssignChannel:
    """A channel to the assigner, for many objects.

    Parameters
    ----------
    channel
        From :func:`channel_to`.
    timeout_seconds
        Of one call.
    """

    def __init__(self, channel: grpc.Channel, *, timeout_seconds: float = 20.0) -> None:
        self._channel = channel
        self._call = linkage_pb2_grpc.AssignServiceStub(channel).Assign
        self._timeout = timeout_seconds

    def assigner(self, ticket: bytes) -> RemoteAssigner:
        """Give an assigner for the object that a ticket admits."""
        return RemoteAssigner(self, ticket)

    def ask(self, ticket: bytes, request: AssignRequest) -> AssignReply:
        """Ask for one object.

        Raises
        ------
        TarnhelmError
            The assigner's own code; ``LNK-045`` where it cannot be reached or does not answer in time;
            ``LNK-044`` for a question that is too large, and for an answer that does not fit it.
        """
        query = _query_of(request)
        try:
            answer = self._call(pb.AssignRequest(ticket=ticket, query=query), timeout=self._timeout)
        except grpc.RpcError as error:
            raise _error_of(error) from None
        return _reply_of(request, answer)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class AssignCalls:
    """Questions of many objects at once, in an event loop; made and used in that loop's thread.

    Parameters
    ----------
    target, ca_file, certificate_file, key_file
        As in :func:`channel_to`.
    timeout_seconds
        Of one call.
    """

    def __init__(
        self,
        target: str,
        *,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
        timeout_seconds: float = 20.0,
    ) -> None:
        credentials = _credentials(ca_file, certificate_file, key_file)
        self._channel = (
            grpc.aio.insecure_channel(target, _OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, _OPTIONS)
        )
        self._call = linkage_pb2_grpc.AssignServiceStub(self._channel).Assign
        self._timeout = timeout_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, ticket: bytes, request: AssignRequest) -> Future[AssignReply]:
        """Ask for one object and do not wait; the future ends like :meth:`AssignChannel.ask`, in the loop's thread."""
        reply: Future[AssignReply] = Future()
        task = asyncio.get_running_loop().create_task(self._ask(ticket, request, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return reply

    async def _ask(self, ticket: bytes, request: AssignRequest, reply: Future[AssignReply]) -> None:
        try:
            query = _query_of(request)
            answer = await self._call(pb.AssignRequest(ticket=ticket, query=query), timeout=self._timeout)
            reply.set_result(_reply_of(request, answer))
        except grpc.RpcError as error:
            reply.set_exception(_error_of(error))
        except TarnhelmError as error:
            reply.set_exception(error)
        except BaseException:
            reply.set_exception(TarnhelmError(ASSIGNER_AWAY))
            raise

    async def close(self) -> None:
        """End what is asked and close the channel."""
        await self._channel.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class RemoteAssigner:
    """Implements :class:`~tarnhelm.common.assign.Assigner` for the object of one ticket."""

    channel: AssignChannel
    ticket: bytes

    def assign(self, request: AssignRequest) -> AssignReply:
        """Ask; see :meth:`AssignChannel.ask`."""
        return self.channel.ask(self.ticket, request)


def _query_of(request: AssignRequest) -> bytes:
    query = query_bytes(request)
    if len(query) > _LARGEST_QUERY:
        # A server would refuse it like a full one, and the object would wait for ever.
        raise TarnhelmError(ASSIGN_REQUEST)
    return query


def _reply_of(request: AssignRequest, answer: pb.AssignResponse) -> AssignReply:
    if len(answer.uids) != len(request.uids) or len(answer.values) != len(request.values):
        raise TarnhelmError(ASSIGN_REQUEST)
    return AssignReply(
        subject_id=answer.subject_id,
        subject_key=answer.subject_key,
        date_offset_days=answer.date_offset_days,
        sex=answer.sex,
        uids=dict(zip(request.uids, answer.uids, strict=True)),
        values=tuple(value.decode("utf-8", "surrogatepass") for value in answer.values),
        issuer=answer.issuer,
        placeholder_subject=answer.placeholder_subject,
        revision=answer.revision,
        flags=frozenset(answer.flags),
    )


def query_bytes(request: AssignRequest) -> bytes:
    """Give the bytes of a question; the same request gives the same bytes, to which its ticket is bound."""
    query = pb.AssignQuery(
        patient_id=text_bytes(request.patient_id),
        issuer=text_bytes(request.issuer),
        study_uid=text_bytes(request.study_uid),
        sex=text_bytes(request.sex),
        uids=map(text_bytes, request.uids),
        values=[
            pb.ValueQuestion(kind=_KINDS[value.kind], domain=value.domain, value=text_bytes(value.value))
            for value in request.values
        ],
        way_back=[pb.WayBackValue(kind=kind, value=text_bytes(value)) for kind, value in request.way_back],
    )
    return bytes(query.SerializeToString(deterministic=True))


def text_bytes(value: str) -> bytes:
    """UTF-8 in which a byte that no charset explains stays what it is, as a lone surrogate."""
    return value.encode("utf-8", "surrogatepass")


def _error_of(error: grpc.RpcError) -> TarnhelmError:
    for key, value in error.trailing_metadata() or ():
        if key == "tarnhelm-code" and value in CATALOGUE:
            return TarnhelmError(CATALOGUE[value])
    return TarnhelmError(ASSIGNER_AWAY)
