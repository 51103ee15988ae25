"""Calls to the reveal server, each with the login; its errors come back as they were raised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc
from tarnhelm.v1 import reveal_pb2 as pb
from tarnhelm.v1 import reveal_pb2_grpc

from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, CATALOGUE, REVEAL_AWAY, ErrorCode, TarnhelmError
from tarnhelm.common.keepalive import CLIENT_OPTIONS
from tarnhelm.reveal.server.convert import events_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tarnhelm.reveal.client.settings import RemoteSettings
    from tarnhelm.reveal.core.store import CaseEvent
    from tarnhelm.reveal.identity.login import Login

__all__ = ["RevealChannel", "error_of"]

_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 3600.0
_PLACE: Final = re.compile(r"\\{(\w+)\\}")
_UIDS_AT_ONCE: Final = 20_000
T = TypeVar("T")


class RevealChannel:
    """A channel to one server; :meth:`close` it.

    Parameters
    ----------
    login
        Gives the login, read anew for each call; raises RVL-040.
    """

    def __init__(self, settings: RemoteSettings, login: Callable[[], Login]) -> None:
        self._login = login
        self._channel = _channel(settings)
        self._stub = reveal_pb2_grpc.RevealServiceStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def register(self) -> tuple[bytes, ...]:
        """Lines of the register, unchecked."""
        return tuple(self._ask(self._stub.GetRegister, pb.GetRegisterRequest()).lines)

    def add_line(self, line: bytes) -> None:
        """Add a line to the register."""
        self._ask(self._stub.AddRegisterLine, pb.AddRegisterLineRequest(line=line))

    def projects(self) -> dict[str, str]:
        """Opaque id → label."""
        answer = self._ask(self._stub.ListProjects, pb.ListProjectsRequest())
        return {project.id: project.label for project in answer.projects}

    def open(self, document: bytes) -> tuple[CaseEvent, ...]:
        """Open a case."""
        return events_of(self._ask(self._stub.OpenCase, pb.OpenCaseRequest(document=document)).history)

    def case(self, case_id: str) -> tuple[CaseEvent, ...]:
        """One case."""
        return events_of(self._ask(self._stub.GetCase, pb.GetCaseRequest(case_id=case_id)).history)

    def cases(self, project: str) -> Iterator[tuple[CaseEvent, ...]]:
        """Those that the caller may see."""
        request = pb.ListCasesRequest(project=project)
        for answer in self._each(lambda given: self._stub.ListCases(request, timeout=_SECONDS, metadata=given)):
            yield events_of(answer.history)

    def decide(self, case_id: str, document: bytes) -> tuple[CaseEvent, ...]:
        """Decide a case."""
        request = pb.DecideCaseRequest(case_id=case_id, document=document)
        return events_of(self._ask(self._stub.DecideCase, request).history)

    def answer(self, case_id: str, document: bytes, waits: Callable[[tuple[str, ...]], None]) -> Iterator[bytes]:
        """Give the bytes of an answer; ``waits`` is told what waits in the vault."""
        request = pb.AnswerCaseRequest(case_id=case_id, document=document)
        return self._content(
            lambda given: self._stub.AnswerCase(request, timeout=_ANSWER_SECONDS, metadata=given), waits
        )

    def mapping(self, case_id: str, document: bytes, waits: Callable[[tuple[str, ...]], None]) -> Iterator[bytes]:
        """Give the bytes of a project's mapping."""
        request = pb.ExportMappingRequest(case_id=case_id, document=document)
        return self._content(
            lambda given: self._stub.ExportMapping(request, timeout=_ANSWER_SECONDS, metadata=given), waits
        )

    def locate(self, case_id: str, document: bytes, originals: Iterable[str]) -> Iterator[bytes]:
        """Give the bytes of an answer about UIDs."""

        def asked() -> Iterator[pb.LocateRequest]:
            yield pb.LocateRequest(case_id=case_id, document=document)
            page: list[str] = []
            for original in originals:
                page.append(original)
                if len(page) == _UIDS_AT_ONCE:
                    yield pb.LocateRequest(originals=page)
                    page = []
            yield pb.LocateRequest(originals=page)

        return self._content(
            lambda given: self._stub.Locate(asked(), timeout=_ANSWER_SECONDS, metadata=given), lambda _: None
        )

    def audit_head(self) -> bytes:
        """The signed head of a replica's audit."""
        return bytes(self._ask(self._stub.AuditHead, pb.AuditHeadRequest()).head)

    # --- the wire ----------------------------------------------------------------------------------------------

    def _given(self) -> tuple[tuple[str, str | bytes], ...]:
        login = self._login()
        return (("authorization", f"Bearer {login.token}"), ("tarnhelm-login-bin", login.statement))

    def _ask(self, call: Any, request: Any) -> Any:
        try:
            return call(request, timeout=_SECONDS, metadata=self._given())
        except grpc.RpcError as error:
            raise error_of(error) from None

    def _each(self, begin: Callable[[Any], Any]) -> Iterator[Any]:
        given = self._given()
        try:
            yield from begin(given)
        except grpc.RpcError as error:
            raise error_of(error) from None

    def _content(self, begin: Callable[[Any], Any], waits: Callable[[tuple[str, ...]], None]) -> Iterator[bytes]:
        for answer in self._each(begin):
            if hasattr(answer, "waits") and answer.HasField("waits"):
                waits(tuple(answer.waits.accessors))
            else:
                yield answer.content


def error_of(error: grpc.RpcError) -> TarnhelmError:
    """Give the server's own error, with the numbers of its sentence; RVL-045 where there is none."""
    for key, value in error.trailing_metadata() or ():
        if key == "tarnhelm-code" and value in CATALOGUE:
            kind = CATALOGUE[value]
            return TarnhelmError(kind, **_facts(kind, str(error.details() or "")))
    return TarnhelmError(REVEAL_AWAY)


def _facts(kind: ErrorCode, sentence: str) -> dict[str, int]:
    pattern = _PLACE.sub(lambda place: f"(?P<{place.group(1)}>[0-9,]{{1,20}})", re.escape(kind.message))
    found = re.fullmatch(pattern, sentence)
    return {name: int(text.replace(",", "") or 0) for name, text in found.groupdict().items()} if found else {}


def _channel(settings: RemoteSettings) -> grpc.Channel:
    options = (
        ("grpc.max_receive_message_length", 6 << 20),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_reconnect_backoff_ms", 5000),
        *CLIENT_OPTIONS,
    )
    if settings.ca_file is None:
        if settings.server.rpartition(":")[0] not in {"127.0.0.1", "localhost", "[::1]"}:
            raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)  # a token would travel in the clear
        return grpc.insecure_channel(settings.server, options)
    try:
        credentials = grpc.ssl_channel_credentials(
            settings.ca_file.read_bytes(),
            settings.key_file.read_bytes() if settings.key_file else None,
            settings.certificate_file.read_bytes() if settings.certificate_file else None,
        )
    except OSError:
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None
    return grpc.secure_channel(settings.server, credentials, options)
