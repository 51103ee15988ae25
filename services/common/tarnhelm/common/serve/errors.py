"""One place where errors become gRPC status: the code of the catalogue travels, a value never does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError

__all__ = ["CODE_KEY", "ErrorInterceptor", "peer_names", "status_of"]

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
    errors.TICKET_INVALID.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.TICKET_EXPIRED.code: grpc.StatusCode.UNAUTHENTICATED,
    errors.TICKET_SPENT.code: grpc.StatusCode.PERMISSION_DENIED,
    errors.CALLER_REFUSED.code: grpc.StatusCode.PERMISSION_DENIED,
}

Handler = Any
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]


def status_of(error: TarnhelmError) -> grpc.StatusCode:
    """Return the status for an error."""
    return _BY_CODE.get(error.code) or _BY_DISPOSITION[error.disposition]


def peer_names(context: Any) -> frozenset[str]:
    """Subject alternative names of the caller's certificate; empty without one."""
    found = context.auth_context().get("x509_subject_alternative_name", ())
    return frozenset(name.decode("utf-8", "replace") for name in found)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Refuses callers that a method does not list, and turns errors into their status.

    A TarnhelmError travels as its code in the trailing metadata and its message, which holds no value; of any
    other exception nothing is told.

    Parameters
    ----------
    callers
        As in :class:`~tarnhelm.common.serve.settings.ServerSettings`.
    """

    def __init__(self, callers: Mapping[str, frozenset[str]]) -> None:
        self._callers = callers

    async def intercept_service(self, continuation: Continuation, handler_call_details: Any) -> Handler:
        """Wrap the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        allowed = self._allowed(handler_call_details.method)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                _guarded(handler.unary_unary, allowed), handler.request_deserializer, handler.response_serializer
            )
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(
                _guarded(handler.stream_unary, allowed), handler.request_deserializer, handler.response_serializer
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                _guarded_stream(handler.unary_stream, allowed),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.stream_stream_rpc_method_handler(
            _guarded_stream(handler.stream_stream, allowed), handler.request_deserializer, handler.response_serializer
        )

    def _allowed(self, method: str) -> frozenset[str] | None:
        """Names that may call a method; None where anybody may whom the authority signed."""
        return self._callers.get(method) or self._callers.get(method.strip("/").partition("/")[0])


def _guarded(inner: Any, allowed: frozenset[str] | None) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            _check(allowed, context)
            return await inner(request, context)
        except Exception as error:  # noqa: BLE001 - a library's text may quote a value out of a file
            await _abort(error, context)

    return call


def _guarded_stream(inner: Any, allowed: frozenset[str] | None) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            _check(allowed, context)
            async for answer in inner(request, context):
                yield answer
        except Exception as error:  # noqa: BLE001
            await _abort(error, context)

    return call


def _check(allowed: frozenset[str] | None, context: Any) -> None:
    if allowed is not None and not allowed & peer_names(context):
        raise TarnhelmError(errors.CALLER_REFUSED)


async def _abort(error: Exception, context: Any) -> None:
    if isinstance(error, TarnhelmError):
        context.set_trailing_metadata(((CODE_KEY, error.code),))
        await context.abort(status_of(error), error.safe_message)
    if isinstance(error, TimeoutError):
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "The object did not arrive in time.")
    if isinstance(error, grpc.aio.AbortError):
        raise error
    await context.abort(grpc.StatusCode.INTERNAL, "The service failed.")
