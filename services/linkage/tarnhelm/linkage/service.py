"""The Assign call: check the ticket, ask the desk, answer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tarnhelm.v1 import linkage_pb2 as pb
from tarnhelm.v1 import linkage_pb2_grpc

from tarnhelm.linkage.convert import request_of, response_of
from tarnhelm.linkage.desk import Desk, Question

if TYPE_CHECKING:
    from tarnhelm.common.tickets import TicketReader

__all__ = ["AssignService"]


class AssignService(linkage_pb2_grpc.AssignServiceServicer):
    """Serves a :class:`Desk` over gRPC.

    Parameters
    ----------
    desk
        Answers; opened already.
    tickets
        Knows the gateways' keys.
    """

    def __init__(self, desk: Desk, tickets: TicketReader) -> None:
        self._desk = desk
        self._tickets = tickets

    async def Assign(self, request: pb.AssignRequest, context: Any) -> pb.AssignResponse:  # noqa: ARG002, N802
        """Answer one object's question; see the definition of the protocol."""
        # The ticket comes first: who has none learns nothing of how a question is read.
        ticket = self._tickets.read(request.ticket)
        query = request.query
        asked = request_of(query)
        answer = await self._desk.ask(Question(ticket, hashlib.sha256(query).digest(), asked))
        return response_of(asked, answer)
