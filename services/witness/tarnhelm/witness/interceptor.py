"""One place where errors become gRPC status: the code of the catalogue travels, a value never does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

from tarnhelm.common.errors import Disposition, TarnhelmError

__all__ = ["ErrorInterceptor", "status_of"]

_STATUS: Final = {
    Disposition.RETRY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Disposition.QUARANTINE: grpc.StatusCode.FAILED_PRECONDITION,
    Disposition.REJECT: grpc.StatusCode.INVALID_ARGUMENT,
    Disposition.SKIP: grpc.StatusCode.INVALID_ARGUMENT,
    Disposition.USAGE: grpc.StatusCode.INVALID_ARGUMENT,
}

Handler = Any
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]


def status_of(error: TarnhelmError) -> grpc.StatusCode:
    """Return the status for an error's disposition."""
    return _STATUS[error.disposition]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns a TarnhelmError into its status with ``tarnhelm-code`` in the trailing metadata; all else is INTERNAL."""

    async def intercept_service(self, continuation: Continuation, handler_call_details: Any) -> Handler:
        """Wrap the handler of a call whose request is a stream and whose answer is one message."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.stream_unary is None:
            return handler
        inner = handler.stream_unary

        async def guarded(requests: Any, context: Any) -> Any:
            try:
                return await inner(requests, context)
            except TarnhelmError as error:
                context.set_trailing_metadata((("tarnhelm-code", error.code),))
                await context.abort(status_of(error), error.safe_message)
            except TimeoutError:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "The object did not arrive in time.")
            except Exception:  # noqa: BLE001 - a library's text may quote a value out of a file
                await context.abort(grpc.StatusCode.INTERNAL, "The witness failed.")

        return grpc.stream_unary_rpc_method_handler(guarded, handler.request_deserializer, handler.response_serializer)
