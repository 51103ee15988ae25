"""One place where errors become gRPC status: the code of the catalogue travels, a value never does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import grpc

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, ErrorCode, TarnhelmError

__all__ = ["CODE_KEY", "Faults", "Form", "Guard", "Observer", "peer_names", "status_of"]

CODE_KEY: Final = "tarnhelm-code"
"""Trailing metadata: the stable code of the error."""

_BY_DISPOSITION: Final = {
    Disposition.RETRY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Disposition.QUARANTINE: grpc.StatusCode.FAILED_PRECONDITION,
    Disposition.REJECT: grpc.StatusCode.INVALID_ARGUMENT,
    Disposition.SKIP: grpc.StatusCode.INVALID_ARGUMENT,
    Disposition.USAGE: grpc.StatusCode.FAILED_PRECONDITION,
}
_BY_CODE: Final = {
    errors.VAULT_UNAVAILABLE.code: grpc.StatusCode.UNAVAILABLE,
    errors.VAULT_REFUSED.code: grpc.StatusCode.UNAVAILABLE,
    errors.LEDGER_BUSY.code: grpc.StatusCode.UNAVAILABLE,
    errors.ASSIGNER_AWAY.code: grpc.StatusCode.UNAVAILABLE,
    errors.TICKET_INVALID.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.TICKET_EXPIRED.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.TICKET_SPENT.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.CALLER_REFUSED.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.NOT_LOGGED_IN.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.TOKEN_REFUSED.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.OTHER_SUBJECT.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.PERSON_NOT_ALLOWED.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.PERSON_REVOKED.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.ADMIN_CALLER.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.ADMIN_ROLE.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.OBJECT_UNKNOWN.code: grpc.StatusCode.NOT_FOUND,
    errors.WITNESS_POLICY.code: grpc.StatusCode.INVALID_ARGUMENT,
    errors.WITNESS_REQUEST.code: grpc.StatusCode.INVALID_ARGUMENT,
    errors.STAGE_BROKEN.code: grpc.StatusCode.UNAVAILABLE,
    errors.STAGE_REQUEST.code: grpc.StatusCode.INVALID_ARGUMENT,
    errors.STAGE_GARBLED.code: grpc.StatusCode.DATA_LOSS,
}

Handler = Any
Form = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]
"""Reads the requests of a method and writes its answers."""
Observer = Callable[[str, str, float], None]
"""Told of each call: the full method, the code it ended with (``OK`` for an answer), the seconds it took."""


@dataclass(frozen=True, slots=True)
class Faults:
    """With which codes a service says what no code of its own says.

    Attributes
    ----------
    malformed
        The bytes are no message of the protocol.
    failed
        The service failed, and nobody foresaw how.
    """

    malformed: ErrorCode
    failed: ErrorCode


def status_of(error: TarnhelmError) -> grpc.StatusCode:
    """Return the status for an error."""
    return _BY_CODE.get(error.code) or _BY_DISPOSITION[error.disposition]


def peer_names(context: Any) -> frozenset[str]:
    """Subject alternative names of the caller's certificate; empty without one."""
    found = context.auth_context().get("x509_subject_alternative_name", ())
    return frozenset(name.decode("utf-8", "replace") for name in found)


def _unobserved(method: str, code: str, seconds: float) -> None:
    """Where nobody measures."""


@dataclass(frozen=True, slots=True)
class _Method:
    """What is the same for all calls of a method; ``allowed`` is None where anybody may whom the authority signed."""

    name: str
    allowed: frozenset[str] | None
    faults: Faults | None
    parse: Callable[[bytes], Any]
    observe: Observer


class Guard:
    """Refuses callers that a method does not list, and turns errors into their status.

    A TarnhelmError travels as its code in the trailing metadata and its message, which holds no value; of any
    other exception nothing is told. Messages are parsed here, so that bytes that are none end like every other
    fault of a question, with a code.

    It stands where a service is registered, and not as an interceptor, which every call would have to await.

    Parameters
    ----------
    server
        Gets the guarded methods.
    callers
        As in :class:`~tarnhelm.common.serve.settings.ServerSettings`.
    faults
        Full service name → its codes; other services end such calls with INTERNAL and no code.
    observe
        Told of each call.
    forms
        Full method name → its messages, where the generated classes are not to read and write them.
    """

    def __init__(
        self,
        server: Any,
        callers: Mapping[str, frozenset[str]],
        faults: Mapping[str, Faults] = MappingProxyType({}),
        observe: Observer = _unobserved,
        forms: Mapping[str, Form] = MappingProxyType({}),
    ) -> None:
        self._server = server
        self._callers = callers
        self._faults = faults
        self._observe = observe
        self._forms = forms

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Take what generated code gives twice; the other form names the methods."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Register the methods of a service, each guarded."""
        guarded = {name: self._wrapped(f"/{service}/{name}", handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, guarded),))

    def _allowed(self, service: str, name: str) -> frozenset[str] | None:
        """Names that may call a method: a service of which some methods are listed opens no other to everybody."""
        found = self._callers.get(name, self._callers.get(service))
        if found is None and any(listed.startswith(f"/{service}/") for listed in self._callers):
            return frozenset()
        return found

    def _wrapped(self, name: str, handler: Handler) -> Handler:
        service = name.strip("/").partition("/")[0]
        reads, answers = self._forms.get(name, (handler.request_deserializer, handler.response_serializer))
        method = _Method(name, self._allowed(service, name), self._faults.get(service), reads, self._observe)
        if handler.unary_unary is not None:
            call = _guarded(handler.unary_unary, method, _parsed)
            return grpc.unary_unary_rpc_method_handler(call, None, answers)
        if handler.stream_unary is not None:
            call = _guarded(handler.stream_unary, method, _parsed_each)
            return grpc.stream_unary_rpc_method_handler(call, None, answers)
        if handler.unary_stream is not None:
            call = _guarded_stream(handler.unary_stream, method, _parsed)
            return grpc.unary_stream_rpc_method_handler(call, None, answers)
        call = _guarded_stream(handler.stream_stream, method, _parsed_each)
        return grpc.stream_stream_rpc_method_handler(call, None, answers)


def _guarded(inner: Any, method: _Method, read: Callable[[_Method, Any], Any]) -> Any:
    async def call(request: Any, context: Any) -> Any:
        begin = time.perf_counter()
        code = "OK"
        try:
            _check(method.allowed, context)
            return await inner(read(method, request), context)
        except BaseException as error:  # noqa: BLE001 - a library's text may quote a value out of a file
            code = _code_of(error, method)
            await _abort(error, code, context)
        finally:
            method.observe(method.name, code, time.perf_counter() - begin)

    return call


def _guarded_stream(inner: Any, method: _Method, read: Callable[[_Method, Any], Any]) -> Any:
    async def call(request: Any, context: Any) -> Any:
        begin = time.perf_counter()
        code = "OK"
        try:
            _check(method.allowed, context)
            answers = inner(read(method, request), context)
            if isinstance(answers, AsyncIterator):
                async for answer in answers:
                    await context.write(answer)
            else:  # a method that writes by itself, as the health service does
                await answers
        except BaseException as error:  # noqa: BLE001
            code = _code_of(error, method)
            await _abort(error, code, context)
        finally:
            method.observe(method.name, code, time.perf_counter() - begin)

    return call


def _check(allowed: frozenset[str] | None, context: Any) -> None:
    if allowed is not None and not allowed & peer_names(context):
        raise TarnhelmError(errors.CALLER_REFUSED)


def _parsed(method: _Method, data: bytes) -> Any:
    try:
        return method.parse(data)
    except Exception:  # protobuf's own errors differ between its implementations and quote bytes
        if method.faults is None:
            raise
    raise TarnhelmError(method.faults.malformed)


async def _parsed_each(method: _Method, stream: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for data in stream:
        yield _parsed(method, data)


def _code_of(error: BaseException, method: _Method) -> str:
    if isinstance(error, TarnhelmError):
        return error.code
    if isinstance(error, TimeoutError):
        return "DEADLINE"
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    return method.faults.failed.code if method.faults else "INTERNAL"


async def _abort(error: BaseException, code: str, context: Any) -> None:
    if isinstance(error, grpc.aio.AbortError) or not isinstance(error, Exception):
        raise error
    if code in errors.CATALOGUE:
        context.set_trailing_metadata(((CODE_KEY, code),))
    if isinstance(error, TarnhelmError):
        await context.abort(status_of(error), error.safe_message)
    if isinstance(error, TimeoutError):
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "The object did not arrive in time.")
    await context.abort(grpc.StatusCode.INTERNAL, "The service failed.")
