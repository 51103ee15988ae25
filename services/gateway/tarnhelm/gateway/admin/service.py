"""The admin service: reads requests, knows who asks, answers. What it may show and do stands elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.v1 import admin_pb2 as pb
from tarnhelm.v1 import admin_pb2_grpc

from tarnhelm.common import errors, events
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.common.serve.errors import peer_names
from tarnhelm.gateway.admin import convert
from tarnhelm.gateway.admin.deciding import Desk, Verb, open_proposals
from tarnhelm.gateway.admin.people import unsigned
from tarnhelm.gateway.admin.releases import releases_page
from tarnhelm.gateway.admin.road import RoadStep, road_of, stages_of
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.state.reading import Selection
from tarnhelm.gateway.state.reading.base import LAST

if TYPE_CHECKING:
    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.admin.header import HeaderRoom
    from tarnhelm.gateway.admin.people import Callers, Person
    from tarnhelm.gateway.admin.sampling import Sampler
    from tarnhelm.gateway.record import ObjectRecord
    from tarnhelm.gateway.state import StreamStore
    from tarnhelm.gateway.state.reading import StateReading

__all__ = ["AdminService", "Rooms", "Setting"]

T = TypeVar("T")
_PAGE, _MOST_PAGE = 50, 500
_LEAST_ID: Final = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the settings page; ``value`` is no secret."""

    group: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Rooms:
    """What the service works with.

    Attributes
    ----------
    deliveries
        Object id → what was delivered where.
    settings
        What is configured, for admins.
    """

    callers: Callers
    store: StreamStore
    reading: StateReading
    desk: Desk
    sampler: Sampler
    headers: HeaderRoom
    log: EventLog
    deliveries: Callable[[str], Iterable[RoadStep]] = lambda _object_id: ()
    settings: Sequence[Setting] = ()


class AdminService(admin_pb2_grpc.AdminServiceServicer):
    """Implements ``tarnhelm.v1.AdminService``; what waits for a disk does so in threads."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Let the calls that follow the status end."""
        self._ending.set()

    # --- who and how -----------------------------------------------------------------------------------

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Any) -> pb.WhoAmIResponse:  # noqa: N802
        """Tell who the caller is."""
        del request
        person = self._person(context, "who")
        return pb.WhoAmIResponse(subject=person.subject, person=person.name, role=person.role.value)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:  # noqa: N802
        """Tell the last measurement."""
        del request
        self._person(context, "status")
        return pb.GetStatusResponse(status=convert.status_message(self._rooms.sampler.status))

    async def WatchStatus(  # noqa: N802
        self, request: pb.WatchStatusRequest, context: Any
    ) -> AsyncIterator[pb.WatchStatusResponse]:
        """Tell each measurement."""
        del request
        self._person(context, "status")
        measured = -1.0
        while not self._ending.is_set():
            status = self._rooms.sampler.status
            if status.measured > measured:
                measured = status.measured
                yield pb.WatchStatusResponse(status=convert.status_message(status))
            try:
                await asyncio.wait_for(self._ending.wait(), 0.25)
            except TimeoutError:
                continue

    # --- objects ---------------------------------------------------------------------------------------

    async def ListObjects(self, request: pb.ListObjectsRequest, context: Any) -> pb.ListObjectsResponse:  # noqa: N802
        """List a page of a selection."""
        self._person(context, "list")
        selection = convert.selection_of(request.filter)
        size = min(request.page_size or _PAGE, _MOST_PAGE)
        after = convert.selection_of(pb.ObjectFilter(id_prefix=request.page_token)).id_prefix

        def work() -> pb.ListObjectsResponse:
            found = self._rooms.reading.select(selection, after, size + 1)
            page = found[:size]
            proposals = open_proposals(self._rooms.reading.decisions_of([record.object_id for record in page]))
            rows = [
                convert.object_row(record, unsigned(proposals[record.object_id].by)[1])
                if record.object_id in proposals and proposals[record.object_id].code == record.code
                else convert.object_row(record)
                for record in page
            ]
            return pb.ListObjectsResponse(objects=rows, next_page_token=page[-1].object_id if len(found) > size else "")

        return await asyncio.to_thread(work)

    async def ShowObject(self, request: pb.ShowObjectRequest, context: Any) -> pb.ShowObjectResponse:  # noqa: N802
        """Show one object."""
        person = self._person(context, "show")
        return await asyncio.to_thread(lambda: self._show(person, self._find(request.object_id)))

    async def ShowHeader(self, request: pb.ShowHeaderRequest, context: Any) -> pb.ShowHeaderResponse:  # noqa: N802
        """Show the cleaned header of one object."""
        person = self._person(context, "header", Role.REVIEWER)

        def work() -> pb.ShowHeaderResponse:
            record = self._find(request.object_id)
            shown = self._rooms.headers.show(record, stages_of(self._rooms.store, record))
            self._rooms.log(events.ADMIN_HEADER_SHOWN, subject=person.subject, object=record.object_id)
            return convert.header_of(shown)

        return await asyncio.to_thread(work)

    # --- decisions -------------------------------------------------------------------------------------

    async def Decide(self, request: pb.DecideRequest, context: Any) -> pb.DecideResponse:  # noqa: N802
        """Decide on objects by id."""
        person = self._person(context, "decide", Role.REVIEWER)
        verb = _verb(request.decision)
        results = await asyncio.to_thread(
            self._rooms.desk.decide, person, verb, list(request.object_ids), request.reason
        )
        rows = [
            pb.DecideResult(object_id=one.object_id, code=one.code, message=one.message, state=one.state)
            for one in results
        ]
        return pb.DecideResponse(results=rows)

    async def CountMatching(self, request: pb.CountMatchingRequest, context: Any) -> pb.CountMatchingResponse:  # noqa: N802
        """Count what a bulk decision would hold."""
        person = self._person(context, "count", Role.REVIEWER)
        verb, selection = _verb(request.decision), convert.selection_of(request.filter)
        objects, size, left = await asyncio.to_thread(self._rooms.desk.count, person, verb, selection)
        return pb.CountMatchingResponse(objects=objects, bytes=size, left_out=left)

    async def DecideMatching(self, request: pb.DecideMatchingRequest, context: Any) -> pb.DecideMatchingResponse:  # noqa: N802
        """Decide on all of a selection."""
        person = self._person(context, "decide-matching", Role.REVIEWER)
        verb, selection = _verb(request.decision), convert.selection_of(request.filter)
        counts = dict(
            await asyncio.to_thread(
                self._rooms.desk.decide_matching, person, verb, selection, request.reason, request.expected_objects
            )
        )
        return pb.DecideMatchingResponse(done=counts.pop("", 0), refused=counts)

    # --- what was done ---------------------------------------------------------------------------------

    async def ListDecisions(self, request: pb.ListDecisionsRequest, context: Any) -> pb.ListDecisionsResponse:  # noqa: N802
        """List decisions, the newest first."""
        self._person(context, "decisions")
        size, before = min(request.page_size or _PAGE, _MOST_PAGE), _before(request.page_token)
        found = await asyncio.to_thread(self._rooms.reading.latest_decisions, before, size + 1)
        return pb.ListDecisionsResponse(
            decisions=[convert.decision_row(one) for _, one in found[:size]],
            next_page_token=str(found[size - 1][0]) if len(found) > size else "",
        )

    async def ListReleases(self, request: pb.ListReleasesRequest, context: Any) -> pb.ListReleasesResponse:  # noqa: N802
        """List releases, the newest first."""
        self._person(context, "releases")
        size, token = min(request.page_size or _PAGE, _MOST_PAGE), request.page_token
        rows, more = await asyncio.to_thread(releases_page, self._rooms.store, token, size)
        return pb.ListReleasesResponse(
            releases=[convert.release_row(record, at) for record, at in rows], next_page_token=more
        )

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Any) -> pb.GetSettingsResponse:  # noqa: N802
        """Tell what is configured."""
        del request
        self._person(context, "settings", Role.ADMIN)
        rows = [pb.SettingRow(group=one.group, name=one.name, value=one.value) for one in self._rooms.settings]
        return pb.GetSettingsResponse(settings=rows)

    # --- what they share -------------------------------------------------------------------------------

    def _person(self, context: Any, call: str, role: Role = Role.VIEWER) -> Person:
        metadata = {
            str(key): value if isinstance(value, (str, bytes)) else str(value)
            for key, value in context.invocation_metadata() or ()
        }
        subject = "stranger"
        try:
            person = self._rooms.callers.identify(peer_names(context), metadata)
            subject = person.subject
            person.needs(role)
        except TarnhelmError as error:
            self._rooms.log(events.ADMIN_REFUSED, subject=subject, call=call, code=error.code)
            raise
        return person

    def _find(self, given: str) -> ObjectRecord:
        prefix = convert.selection_of(pb.ObjectFilter(id_prefix=given)).id_prefix
        if len(prefix) < _LEAST_ID:
            raise TarnhelmError(errors.OBJECT_UNKNOWN)
        found = self._rooms.reading.select(Selection(id_prefix=prefix), "", 2)
        if len(found) != 1:
            raise TarnhelmError(errors.OBJECT_UNKNOWN)
        return found[0]

    def _show(self, person: Person, record: ObjectRecord) -> pb.ShowObjectResponse:
        rooms = self._rooms
        decisions = rooms.reading.decisions_of([record.object_id])
        proposal = open_proposals(decisions).get(record.object_id)
        proposer = unsigned(proposal.by) if proposal is not None and proposal.code == record.code else ("", "")
        _, findings = rooms.store.verdict(record.object_id)
        kind = CATALOGUE.get(record.code)
        stages = stages_of(rooms.store, record)
        return pb.ShowObjectResponse(
            object=convert.object_row(record, proposer[1]),
            message=convert.sentence_of(record.code),
            remedy=kind.remedy if kind else "",
            road=[convert.road_step(step) for step in road_of(rooms.store, record, rooms.deliveries)],
            findings=convert.findings_of(findings),
            decisions=[convert.decision_row(one) for one in decisions],
            plan_digest=record.plan_digest,
            policy_digest=record.policy_digest,
            output_sha256=record.output_sha256,
            trace=record.trace,
            accepted_pixels=record.accepted,
            has_header=bool(rooms.headers.stage_of(record, stages)),
            proposed_by_caller=bool(proposer[0]) and proposer[0] == person.subject,
        )


def _verb(number: int) -> Verb:
    try:
        return convert.VERBS[number]
    except KeyError:
        raise TarnhelmError(errors.ADMIN_REQUEST) from None


def _before(token: str) -> int:
    if not token:
        return LAST
    if not token.isascii() or not token.isdecimal() or len(token) > 18:
        raise TarnhelmError(errors.ADMIN_REQUEST)
    return int(token)
