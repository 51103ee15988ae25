"""One association, from the connection to its end, in one thread (PS3.8 section 9.2, the acceptor's states).

What a caller sends is taken in the order in which it comes: the next message is read when the last one is answered,
so a caller can pile up nothing here.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.dicom_commitment import (
    MAX_REQUEST_BYTES,
    AcceptedInstances,
    Report,
    ReportSender,
    report_of,
)
from tarnhelm.gateway.doors.dicom_file import IMPLICIT_LITTLE
from tarnhelm.gateway.doors.dicom_messages import (
    MAX_COMMAND_BYTES,
    Command,
    CommandField,
    Status,
    command_of,
    request_bytes,
    response_bytes,
)
from tarnhelm.gateway.doors.dicom_negotiation import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    VERIFICATION,
    Proposal,
    Rejection,
    accept_pdu,
    contexts_of,
    proposal_of,
)
from tarnhelm.gateway.doors.dicom_pdu import (
    RELEASE_REPLY,
    AbortReason,
    Fragment,
    PduKind,
    PduStream,
    abort_pdu,
    fragments_of,
    message_pdus,
    reject_pdu,
)
from tarnhelm.gateway.doors.dicom_settings import DicomDoorSettings, DicomTitle
from tarnhelm.gateway.doors.dicom_store import Answer, StoreOperation
from tarnhelm.gateway.doors.tls import alternative_names
from tarnhelm.gateway.intake import Admitter

__all__ = ["Association", "Host"]

_MAX_AWAITED: Final = 16
"""Reports of storage commitment that a caller may leave without a response."""
_LAST_WORDS_SECONDS: Final = 2.0
"""How long the other side may take to close after a rejection, a release or an abort."""


class Host(Protocol):
    """What an association asks of its door."""

    settings: DicomDoorSettings
    admitter: Admitter
    instances: AcceptedInstances | None
    reports: ReportSender

    def admit(self, association: Association, proposal: Proposal, names: frozenset[str]) -> DicomTitle:
        """Take an association in and enter its titles; raises Rejection."""
        ...

    def stored(self, answer: Answer, size: int) -> None:
        """Count an object."""
        ...

    def committed(self, report: Report) -> None:
        """Count a storage commitment."""
        ...

    def report_lost(self) -> None:
        """Count a report that nobody took."""
        ...


@dataclass(frozen=True, slots=True)
class _Context:
    abstract: str
    syntax: str


class _Ended(Exception):  # noqa: N818 - the peer's wish
    """Released or aborted by the caller."""


class Association:
    """Serves one connection.

    Attributes
    ----------
    caller
        Calling AE title once it is known, for counting; never told to a log.
    busy
        Whether a message is being received or answered.
    """

    def __init__(self, connection: socket.socket, address: str, host: Host) -> None:
        self._socket = connection
        self.address = address
        self._host = host
        self._settings = host.settings
        self._contexts: dict[int, _Context] = {}
        self._peer_max = 0
        self._awaited: set[int] = set()
        self._message = 0
        self.caller = ""
        self.called = ""
        self.busy = False
        self._closing = False
        self.objects = self.refused = 0
        self._stream: PduStream | None = None

    def run(self, tls: ssl.SSLContext | None) -> str:
        """Serve it to its end; return the code that it ended with, empty for a release."""
        code = ""
        try:
            self._serve(tls)
        except _Ended:
            pass
        except TarnhelmError as error:
            code = error.code
            self._abort(
                AbortReason.INVALID_PARAMETER if code == errors.PROTOCOL_BROKEN.code else AbortReason.NOT_SPECIFIED
            )
        except Rejection as rejection:
            code = rejection.kind.code
            self._farewell(reject_pdu(*rejection.answer))
        except OSError:
            code = errors.CALLER_LEFT.code
        except Exception:  # noqa: BLE001 - a thread that dies in silence would leave its caller waiting
            code = errors.DOOR_FAULT.code
            self._abort(AbortReason.NOT_SPECIFIED)
        finally:
            if self._awaited:
                self._host.report_lost()
            if self._stream is not None:
                self._stream.release()
            with contextlib.suppress(OSError):
                self._socket.close()
        return code

    def close(self, *, at_once: bool) -> None:
        """Wake the association's thread to end it; one in mid-message goes on unless ``at_once``."""
        self._closing = True
        if at_once or not self.busy:
            # Of the plain socket: a TLS socket's own shutdown would let its thread go on without encryption.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def _serve(self, tls: ssl.SSLContext | None) -> None:
        begin_by = time.monotonic() + self._settings.associate_seconds
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        names = frozenset[str]()
        if tls is not None:
            self._socket.settimeout(self._settings.associate_seconds)
            try:
                self._socket = tls.wrap_socket(self._socket, server_side=True)
            except TimeoutError:
                raise TarnhelmError(errors.CALLER_SLOW) from None
            except (ssl.SSLError, OSError, ValueError):
                raise TarnhelmError(errors.CALLER_UNKNOWN) from None
            names = alternative_names(self._socket)
        stream = self._stream = PduStream(self._socket, self._settings.max_pdu_bytes, self._settings.stall_seconds)
        title = self._associate(stream, begin_by, names)
        incoming = self._fragments(stream)
        for fragment in incoming:
            self.busy = True
            self._message_begins(fragment, incoming, title)
            self.busy = False
            if self._closing:
                raise TarnhelmError(errors.DOOR_FULL)

    def _associate(self, stream: PduStream, begin_by: float, names: frozenset[str]) -> DicomTitle:
        found = stream.next(begin_by, begin_by)
        if found is None:
            raise _Ended
        kind, field = found
        if kind is not PduKind.ASSOCIATE_REQUEST:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        proposal = proposal_of(field)
        title = self._host.admit(self, proposal, names)
        self._peer_max = proposal.peer_max_bytes
        answers = contexts_of(
            proposal, unknown_classes=self._settings.unknown_sop_classes, commitment=self._host.instances is not None
        )
        self._contexts = {
            int(answer.context_id or 0): _Context(str(answer.abstract_syntax), str(answer.transfer_syntax[0]))
            for answer in answers
            if answer.result == 0
        }
        self._send(accept_pdu(proposal, answers, self._settings.max_pdu_bytes))
        return title

    def _fragments(self, stream: PduStream) -> Iterator[Fragment]:
        """Yield fragments until the caller releases; the time of a message begins with its first one."""
        settings, received, begun = self._settings, 0, 0.0
        while True:
            if self.busy:
                limit = begun + settings.message_seconds + received / settings.min_bytes_per_second
                found = stream.next(min(limit, time.monotonic() + settings.stall_seconds), limit)
            else:
                idle_until = time.monotonic() + settings.idle_seconds
                found = stream.next(idle_until, idle_until + settings.message_seconds)
                begun, received = time.monotonic(), 0
            if found is None:
                raise TarnhelmError(errors.DOOR_FULL if self._closing else errors.CALLER_LEFT)
            kind, field = found
            if kind is PduKind.DATA:
                received += len(field)
                yield from fragments_of(field)
            elif kind is PduKind.RELEASE_REQUEST and not self.busy:
                self._farewell(RELEASE_REPLY)
                raise _Ended
            elif kind is PduKind.ABORT:
                if self.busy:
                    raise TarnhelmError(errors.CALLER_LEFT)
                raise _Ended
            else:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)

    def _message_begins(self, first: Fragment, incoming: Iterator[Fragment], title: DicomTitle) -> None:
        context = self._contexts.get(first.context)
        if context is None:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        encoded, fragment = bytearray(), first
        while True:
            if not fragment.command or fragment.context != first.context:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
            encoded += fragment.data
            if len(encoded) > MAX_COMMAND_BYTES:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
            if fragment.last:
                break
            fragment = next(incoming)
        command = command_of(encoded)
        number, identifier = command.number, first.context
        if (
            number == CommandField.C_STORE
            and command.has_data_set
            and context.abstract not in {VERIFICATION, COMMITMENT}
        ):
            self._store(command, context, identifier, incoming, title)
            return
        data_set = self._data_set(identifier, incoming) if command.has_data_set else b""
        if command.is_response:
            self._reported(command)
        elif number == CommandField.C_ECHO and context.abstract == VERIFICATION:
            self._answer(identifier, command, Status.SUCCESS)
        elif number == CommandField.N_ACTION and context.abstract == COMMITMENT:
            self._commit(command, context, identifier, data_set, title)
        elif number != CommandField.C_CANCEL:
            self._answer(identifier, command, Status.UNRECOGNISED_OPERATION)

    def _store(
        self, command: Command, context: _Context, identifier: int, incoming: Iterator[Fragment], title: DicomTitle
    ) -> None:
        operation = StoreOperation(
            self._host.admitter,
            command,
            context.abstract,
            context.syntax,
            title.project,
            self._settings.name,
            self._settings.max_object_bytes,
        )
        try:
            for data in _data_of(identifier, incoming):
                operation.write(data)
            answer = operation.finish()
        finally:
            operation.drop()
        self._host.stored(answer, operation.size)
        if answer.status is Status.SUCCESS:
            self.objects += 1
        else:
            self.refused += 1
        self._answer(identifier, command, answer.status, answer.code if answer.status is not Status.SUCCESS else "")

    def _data_set(self, identifier: int, incoming: Iterator[Fragment]) -> bytes:
        whole = bytearray()
        for data in _data_of(identifier, incoming):
            whole += data
            if len(whole) > MAX_REQUEST_BYTES:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
        return bytes(whole)

    def _commit(self, command: Command, context: _Context, identifier: int, data_set: bytes, title: DicomTitle) -> None:
        instances = self._host.instances
        if command.detail != 1 or instances is None:
            self._answer(identifier, command, Status.NO_SUCH_ACTION)
            return
        if command.sop_instance_uid != COMMITMENT_INSTANCE:
            self._answer(identifier, command, Status.NO_SUCH_OBJECT)
            return
        try:
            report = report_of(data_set, context.syntax, title.project, instances)
        except TarnhelmError as error:
            self._answer(identifier, command, Status.PROCESSING_FAILURE, error.code)
            return
        except Exception:  # noqa: BLE001 - a lookup that fails is told, it does not end the association
            self._answer(identifier, command, Status.PROCESSING_FAILURE, errors.DOOR_FAULT.code)
            return
        if self._host.reports.takes(self.caller):
            if not self._host.reports.send(self.caller, self.called, report):
                self._answer(identifier, command, Status.PROCESSING_FAILURE, errors.CALLERS_TOO_MANY.code)
                return
            self._answer(identifier, command, Status.SUCCESS)
        elif len(self._awaited) >= _MAX_AWAITED:
            self._answer(identifier, command, Status.PROCESSING_FAILURE, errors.CALLERS_TOO_MANY.code)
            return
        else:
            self._answer(identifier, command, Status.SUCCESS)
            self._message = self._message % 0xFFFF + 1
            self._awaited.add(self._message)
            request = request_bytes(
                CommandField.N_EVENT_REPORT, self._message, COMMITMENT, COMMITMENT_INSTANCE, report.event
            )
            body = report.encoded(implicit=context.syntax == IMPLICIT_LITTLE)
            self._say(identifier, request, body)
        self._host.committed(report)

    def _reported(self, response: Command) -> None:
        if response.message not in self._awaited:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        self._awaited.remove(response.message)

    def _answer(self, identifier: int, request: Command, status: Status, comment: str = "") -> None:
        self._say(identifier, response_bytes(request, status, comment), None)

    def _say(self, identifier: int, command: bytes, data_set: bytes | None) -> None:
        for pdu in message_pdus(identifier, command, data_set, self._peer_max):
            self._send(pdu)

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._settings.stall_seconds)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise TarnhelmError(errors.CALLER_SLOW) from None

    def _abort(self, reason: AbortReason) -> None:
        self._farewell(abort_pdu(reason), half_close=True)

    def _farewell(self, last: bytes, *, half_close: bool = False) -> None:
        """Say the last words and let the other side close, for a bounded time (Sta13 with the ARTIM timer).

        After a rejection or a release the caller closes first: some that see our end too take it for a failure.
        """
        with contextlib.suppress(OSError, ValueError):
            self._socket.settimeout(_LAST_WORDS_SECONDS)
            self._socket.sendall(last)
            if half_close:
                socket.socket.shutdown(self._socket, socket.SHUT_WR)
            until = time.monotonic() + _LAST_WORDS_SECONDS
            while (left := until - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(65_536):
                    break


def _data_of(identifier: int, incoming: Iterator[Fragment]) -> Iterator[memoryview]:
    for fragment in incoming:
        if fragment.command or fragment.context != identifier:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        yield fragment.data
        if fragment.last:
            return
