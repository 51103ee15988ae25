"""The page's only way to the gateway: calls of the admin service, for the person who has signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc
from tarnhelm.v1 import admin_pb2 as pb
from tarnhelm.v1 import admin_pb2_grpc

from tarnhelm.gateway.admin.client import channel_to, error_of, metadata_for, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.gateway.admin.people import Person
    from tarnhelm.gateway.admin.settings import AdminAddress

__all__ = ["AdminCalls"]

_SECONDS: Final = 10.0
_BULK_SECONDS: Final = 300.0


class AdminCalls:
    """Calls of one page process; to be made and used in its event loop.

    Every method raises TarnhelmError with the code that the service gave, or ``WEB-023`` where it is away.
    """

    def __init__(self, address: AdminAddress) -> None:
        self._token = token_of(address)
        self._channel = channel_to(address, asynchronous=True)
        self._stub = admin_pb2_grpc.AdminServiceStub(self._channel)

    async def ask(self, person: Person, method: str, request: Any, seconds: float = _SECONDS) -> Any:
        """Call one method."""
        with _errors():
            return await getattr(self._stub, method)(
                request, timeout=seconds, metadata=metadata_for(self._token, person)
            )

    async def status(self, person: Person) -> pb.Status:
        """The last measurement."""
        answer: pb.GetStatusResponse = await self.ask(person, "GetStatus", pb.GetStatusRequest())
        return answer.status

    async def watch(self, person: Person) -> AsyncIterator[pb.Status]:
        """Each measurement, until the service or the caller ends it."""
        with _errors():
            call = self._stub.WatchStatus(pb.WatchStatusRequest(), metadata=metadata_for(self._token, person))
            try:
                async for answer in call:
                    yield answer.status
            finally:
                call.cancel()

    async def decide_matching(self, person: Person, request: pb.DecideMatchingRequest) -> pb.DecideMatchingResponse:
        """Decide in bulk, which may take minutes."""
        answer: pb.DecideMatchingResponse = await self.ask(person, "DecideMatching", request, _BULK_SECONDS)
        return answer

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from None
