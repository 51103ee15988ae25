"""Objects: lists, one object's road, its cleaned header, quarantine and decisions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from tarnhelm.v1 import admin_pb2 as pb

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.gateway.web import words
from tarnhelm.gateway.web.views import held_by_code

if TYPE_CHECKING:
    from tarnhelm.gateway.web.accounts import Session
    from tarnhelm.gateway.web.frame import Frame

__all__ = ["ObjectPages"]

Fields = Mapping[str, list[str]]
_ID: Final = re.compile(r"[0-9a-f]{4,64}", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{0,96}", re.ASCII)
_VERBS: Final = {
    "retry": (pb.DECISION_RETRY, "Try again"),
    "reject": (pb.DECISION_REJECT, "Reject for good"),
    "propose": (pb.DECISION_PROPOSE, "Propose to accept"),
    "confirm": (pb.DECISION_CONFIRM, "Confirm acceptance"),
}
_PAGE: Final = 50


class ObjectPages:
    """Pages of objects and what people decide about them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def routes(self) -> list[Route]:
        """Addresses of these pages."""
        signed_in, form = self._frame.signed_in, self._frame.form
        return [
            Route("/objects", signed_in(self.objects)),
            Route("/objects/{object_id}", signed_in(self.one)),
            Route("/objects/{object_id}/header", signed_in(self.header)),
            Route("/objects/{object_id}/decide", form(self.decide_one), methods=["POST"]),
            Route("/quarantine", signed_in(self.quarantine)),
            Route("/quarantine/decide", form(self.decide_some), methods=["POST"]),
            Route("/quarantine/count", form(self.count_all), methods=["POST"]),
            Route("/quarantine/decide-all", form(self.decide_all), methods=["POST"]),
            Route("/decisions", signed_in(self.decisions)),
            Route("/releases", signed_in(self.releases)),
        ]

    # --- lists -----------------------------------------------------------------------------------------

    async def objects(self, request: Request, session: Session) -> Response:
        """List objects by a filter."""
        asked = _asked(request.query_params, ("state", "code", "door", "stage", "id", "after"))
        answer = await self._list(session, asked)
        return self._frame.page(
            "objects", session, here="objects", asked=asked, rows=answer.objects,
            more=_more("/objects", asked, answer.next_page_token), first=_more("/objects", asked, ""),
        )  # fmt: skip

    async def quarantine(self, request: Request, session: Session) -> Response:
        """List what is held, by code, with what each code means."""
        asked = _asked(request.query_params, ("code", "door", "id", "after"))
        status = await self._frame.admin.status(session.person)
        answer = await self._list(session, {**asked, "state": "quarantined"})
        return self._frame.page(
            "quarantine", session, here="quarantine", asked=asked, rows=answer.objects,
            held=held_by_code(status.states), measured=status.measured, kind=CATALOGUE.get(asked["code"]),
            more=_more("/quarantine", asked, answer.next_page_token), first=_more("/quarantine", asked, ""),
        )  # fmt: skip

    async def decisions(self, request: Request, session: Session) -> Response:
        """List decisions, the newest first."""
        asked = _asked(request.query_params, ("after",))
        message = pb.ListDecisionsRequest(page_size=_PAGE, page_token=asked["after"])
        answer = await self._frame.admin.ask(session.person, "ListDecisions", message)
        return self._frame.page(
            "decisions", session, here="decisions", rows=answer.decisions,
            more=_more("/decisions", asked, answer.next_page_token), first=asked["after"] and "/decisions",
        )  # fmt: skip

    async def releases(self, request: Request, session: Session) -> Response:
        """List releases, the newest first."""
        asked = _asked(request.query_params, ("after",))
        message = pb.ListReleasesRequest(page_size=_PAGE, page_token=asked["after"])
        answer = await self._frame.admin.ask(session.person, "ListReleases", message)
        return self._frame.page(
            "releases", session, here="releases", rows=answer.releases,
            more=_more("/releases", asked, answer.next_page_token), first=asked["after"] and "/releases",
        )  # fmt: skip

    # --- one object ------------------------------------------------------------------------------------

    async def one(self, request: Request, session: Session) -> Response:
        """Show one object's road."""
        object_id = _object_id(request)
        shown = await self._frame.admin.ask(session.person, "ShowObject", pb.ShowObjectRequest(object_id=object_id))
        done = request.query_params.get("done", "")
        return self._frame.page(
            "object", session, here="objects", shown=shown, object=shown.object, done=words.DECISIONS.get(done, ""),
            tone=words.STATES.get(shown.object.state, ("", "plain"))[1],
            label=words.STATES.get(shown.object.state, (shown.object.state, ""))[0],
        )  # fmt: skip

    async def header(self, request: Request, session: Session) -> Response:
        """Show an object's cleaned header."""
        object_id = _object_id(request)
        shown = await self._frame.admin.ask(
            session.person, "ShowHeader", pb.ShowHeaderRequest(object_id=object_id), 60.0
        )
        return self._frame.page("header", session, here="objects", shown=shown, object_id=object_id)

    # --- decisions -------------------------------------------------------------------------------------

    async def decide_one(self, request: Request, session: Session, fields: Fields) -> Response:
        """Decide on one object."""
        object_id = _object_id(request)
        verb = _verb(fields)
        results = await self._decide(session, verb, [object_id], fields)
        if results[0].code:
            raise TarnhelmError(CATALOGUE.get(results[0].code, errors.ADMIN_FAILED))
        done = "accept" if verb == "confirm" else verb
        return RedirectResponse(f"/objects/{object_id}?done={done}", 303)

    async def decide_some(self, request: Request, session: Session, fields: Fields) -> Response:
        """Decide on the objects that were ticked."""
        del request
        ids = [one for one in fields.get("id", ()) if _ID.fullmatch(one)]
        verb = _verb(fields)
        if not ids:
            raise TarnhelmError(errors.OBJECT_UNKNOWN)
        results = await self._decide(session, verb, ids, fields)
        refused: dict[str, int] = {}
        for one in results:
            if one.code:
                refused[one.code] = refused.get(one.code, 0) + 1
        done = len(results) - sum(refused.values())
        return self._frame.page("decided", session, here="quarantine", verb=_VERBS[verb][1], done=done, refused=refused)

    async def count_all(self, request: Request, session: Session, fields: Fields) -> Response:
        """Count what a filter holds, and ask for a confirmation of the number."""
        del request
        verb, asked = _verb(fields), _asked_in(fields)
        message = pb.CountMatchingRequest(filter=_filter({**asked, "state": "quarantined"}), decision=_VERBS[verb][0])
        answer = await self._frame.admin.ask(session.person, "CountMatching", message, 60.0)
        return self._frame.page(
            "confirm", session, here="quarantine", verb=verb, verb_words=_VERBS[verb][1], asked=asked,
            answer=answer, reason=fields.get("reason", [""])[0][:500],
        )  # fmt: skip

    async def decide_all(self, request: Request, session: Session, fields: Fields) -> Response:
        """Decide on all that a filter holds, if it is as many as were confirmed."""
        del request
        verb, asked = _verb(fields), _asked_in(fields)
        expected = fields.get("expected", [""])[0]
        if not expected.isascii() or not expected.isdecimal() or len(expected) > 9:
            raise TarnhelmError(errors.COUNT_CHANGED)
        message = pb.DecideMatchingRequest(
            filter=_filter({**asked, "state": "quarantined"}), decision=_VERBS[verb][0],
            reason=fields.get("reason", [""])[0][:2000], expected_objects=int(expected),
        )  # fmt: skip
        answer = await self._frame.admin.decide_matching(session.person, message)
        return self._frame.page(
            "decided", session, here="quarantine", verb=_VERBS[verb][1], done=answer.done, refused=dict(answer.refused)
        )

    # --- what they share -------------------------------------------------------------------------------

    async def _list(self, session: Session, asked: Mapping[str, str]) -> Any:
        message = pb.ListObjectsRequest(filter=_filter(asked), page_size=_PAGE, page_token=asked["after"])
        return await self._frame.admin.ask(session.person, "ListObjects", message)

    async def _decide(self, session: Session, verb: str, ids: list[str], fields: Fields) -> Any:
        message = pb.DecideRequest(
            decision=_VERBS[verb][0], object_ids=ids, reason=fields.get("reason", [""])[0][:2000]
        )
        return (await self._frame.admin.ask(session.person, "Decide", message, 120.0)).results


def _object_id(request: Request) -> str:
    found = str(request.path_params["object_id"])
    if not _ID.fullmatch(found):
        raise TarnhelmError(errors.OBJECT_UNKNOWN)
    return found


def _verb(fields: Fields) -> str:
    verb = fields.get("verb", [""])[0]
    if verb not in _VERBS:
        raise TarnhelmError(errors.ADMIN_REQUEST)
    return verb


def _asked(query: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Return the filter of an address; what is no word asks for nothing."""
    found = {name: str(query.get(name, "")).strip() for name in names}
    return {name: text if _WORD.fullmatch(text) else "" for name, text in found.items()}


def _asked_in(fields: Fields) -> dict[str, str]:
    return _asked({name: values[0] for name, values in fields.items()}, ("code", "door", "id"))


def _filter(asked: Mapping[str, str]) -> pb.ObjectFilter:
    state, code = asked.get("state", ""), asked.get("code", "")
    return pb.ObjectFilter(
        states=[state] if state in words.STATES else [],
        codes=[code] if code else [],
        door=asked.get("door", ""),
        stage=asked.get("stage", ""),
        id_prefix=asked.get("id", "").lower(),
    )


def _more(path: str, asked: Mapping[str, str], token: str) -> str:
    """Address of another page of a list; empty where there is none."""
    if not token and not asked.get("after"):
        return ""
    query = {name: value for name, value in {**asked, "after": token}.items() if value}
    return f"{path}?{urlencode(query)}" if query else path
