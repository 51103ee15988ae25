"""What a caller may do: the desk's work, for the person who is there and signed, and for no other."""

from __future__ import annotations

import math
import threading
import time
from typing import IO, TYPE_CHECKING, Final, Protocol

from tarnhelm.common.errors import (
    CASE_UNKNOWN,
    OTHER_SUBJECT,
    PERSON_NOT_ALLOWED,
    REGISTRY_DAMAGED,
    REVEAL_AWAY,
    REVEAL_REQUEST,
    TarnhelmError,
)
from tarnhelm.reveal.core.answer import answer_case
from tarnhelm.reveal.core.cases import CaseKind, Wish, case_of
from tarnhelm.reveal.core.documents import CASE, COLLECT, DECISION, ENTRY, Signed
from tarnhelm.reveal.core.openers.transit import ControlGroup
from tarnhelm.reveal.core.people import Role
from tarnhelm.reveal.core.rows import located, looked_up, mapped, uid_mappers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tarnhelm.reveal.core.answer import Row
    from tarnhelm.reveal.core.audit.lines import Head
    from tarnhelm.reveal.core.audit.writer import Audit
    from tarnhelm.reveal.core.desk import Claim, Desk
    from tarnhelm.reveal.core.openers.transit import Waiting
    from tarnhelm.reveal.core.people import Person, Register
    from tarnhelm.reveal.core.store import CaseEvent, CaseStore
    from tarnhelm.reveal.core.view import CaseView
    from tarnhelm.reveal.server.door import Door
    from tarnhelm.reveal.server.links import Links

__all__ = ["Answering", "Front", "PeopleBook"]

_SEE_ALL: Final = frozenset({Role.APPROVER, Role.AUDITOR, Role.ADMIN, Role.STEWARD})


class PeopleBook(Protocol):
    """Keeps the register: a file, or a table."""

    def load(self) -> Register:
        """Read and check it."""
        ...

    def change(self, audit: Audit, change: Callable[[Register], bytes], *, person: str, by: str, what: str) -> Register:
        """Add what ``change`` gives, and tell the audit."""
        ...


class Answering:
    """One answer in the making: who waits for it may go, and is told what it waits for.

    Parameters
    ----------
    waiting
        Told what waits in the vault.
    seconds
        So long it waits there.
    """

    def __init__(self, waiting: Waiting, seconds: float) -> None:
        self._gone = threading.Event()
        self.group = ControlGroup(seconds, waiting=waiting, clock=self._clock, sleep=self._sleep)

    def leave(self) -> None:
        """Nobody waits any more: give up before the case is spent, if it is not yet."""
        self._gone.set()

    def watched(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Give rows as long as somebody waits for them."""
        for row in rows:
            self._check()
            yield row
        self._check()

    def _check(self) -> None:
        if self._gone.is_set():
            raise TarnhelmError(REVEAL_AWAY)

    def _clock(self) -> float:
        return math.inf if self._gone.is_set() else time.monotonic()

    def _sleep(self, seconds: float) -> None:
        self._gone.wait(seconds)


class Front:
    """Serves callers whom the door let in. Safe among threads.

    Parameters
    ----------
    book
        The register.
    random
        Gives n random bytes.
    """

    def __init__(
        self,
        book: PeopleBook,
        desk: Desk,
        store: CaseStore,
        audit: Audit,
        links: Links,
        door: Door,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        self._book = book
        self._desk = desk
        self._store = store
        self._audit = audit
        self._links = links
        self._door = door
        self._random = random

    # --- people ------------------------------------------------------------------------------------------------

    def register_lines(self) -> tuple[bytes, ...]:
        """Give the register as it is."""
        return self._book.load().lines()

    def add_line(self, caller: Person, line: bytes) -> None:
        """Add a line to the register that the caller, an admin, signed; RVL-002, -003, -005, -042."""
        signed = Signed.from_bytes(line, ENTRY)
        entry = signed.document
        self._is_callers(caller, str(entry.get("by", "")))
        kind = str(entry.get("kind", ""))
        about = {"enrol": _card_id(entry.get("card")), "revoke": entry.get("person"), "writer": entry.get("name")}
        person = about.get(kind)
        if not isinstance(person, str):
            raise TarnhelmError(REGISTRY_DAMAGED, line=0)
        self._book.change(
            self._audit, lambda register: register.take(line), person=person[:48], by=caller.id, what=kind
        )

    # --- cases -------------------------------------------------------------------------------------------------

    def projects(self) -> dict[str, str]:
        """Opaque id → label."""
        return dict(self._links.labels())

    def open(self, caller: Person, document: bytes) -> tuple[CaseEvent, ...]:
        """Open a case that the caller signed."""
        signed = Signed.from_bytes(document, CASE)
        case = case_of(signed)
        self._is_callers(caller, case.requester)
        self._links.project(case.project)
        self._desk.open(signed)
        return self._store.events(case.id)

    def cases(self, caller: Person, project: str) -> Iterator[tuple[CaseEvent, ...]]:
        """Give the cases that the caller may see."""
        for view in self._desk.views(project):
            if _sees(caller, view):
                yield self._store.events(view.case.id)

    def case(self, caller: Person, case_id: str) -> tuple[CaseEvent, ...]:
        """Give one case; one that the caller may not see is not told from one that is not there."""
        if not _sees(caller, self._desk.view(case_id)):
            raise TarnhelmError(CASE_UNKNOWN)
        return self._store.events(case_id)

    def decide(self, caller: Person, case_id: str, document: bytes) -> tuple[CaseEvent, ...]:
        """Record a decision that the caller signed."""
        signed = _wish(document, DECISION)
        self._is_callers(caller, str(signed.document["person"]))
        self._desk.decide(case_id, signed)
        return self._store.events(case_id)

    # --- answers -----------------------------------------------------------------------------------------------

    def answer(self, caller: Person, case_id: str, document: bytes, spool: IO[bytes], made: Answering) -> None:
        """Answer a case of the kind answer into ``spool``; spent when this returns."""

        def rows(claim: Claim) -> Iterable[Row]:
            project = self._links.project(claim.case.project)
            return looked_up(claim.case.surrogates, self._links.records(project.id), self._links.opener(made.group))

        self._use(caller, case_id, document, CaseKind.ANSWER, rows, spool, made)

    def mapping(self, caller: Person, case_id: str, document: bytes, spool: IO[bytes], made: Answering) -> None:
        """Answer a case of the kind mapping."""

        def rows(claim: Claim) -> Iterable[Row]:
            project = self._links.project(claim.case.project)
            return mapped(self._links.records(project.id), self._links.opener(made.group))

        self._use(caller, case_id, document, CaseKind.MAPPING, rows, spool, made)

    def locate(
        self,
        caller: Person,
        case_id: str,
        document: bytes,
        originals: Sequence[str],
        spool: IO[bytes],
        made: Answering,
    ) -> None:
        """Answer a case of the kind locate."""

        def rows(claim: Claim) -> Iterable[Row]:
            project = self._links.project(claim.case.project)
            return located(claim.case.surrogates, originals, uid_mappers(self._links.root_keys, project))

        self._use(caller, case_id, document, CaseKind.LOCATE, rows, spool, made)

    def _use(
        self,
        caller: Person,
        case_id: str,
        document: bytes,
        kind: CaseKind,
        rows: Callable[[Claim], Iterable[Row]],
        spool: IO[bytes],
        made: Answering,
    ) -> None:
        wish = _wish(document, COLLECT)
        self._is_callers(caller, str(wish.document["person"]))
        answer_case(
            self._desk,
            case_id,
            wish,
            frozenset({kind}),
            lambda claim: made.watched(rows(claim)),
            spool,
            random=self._random,
        )
        spool.seek(0)

    # --- audit -------------------------------------------------------------------------------------------------

    def audit_head(self, caller: Person) -> Head:
        """Sign the end of this replica's audit; RVL-003 for who is neither auditor nor admin."""
        if not caller.roles & {Role.AUDITOR, Role.ADMIN}:
            raise TarnhelmError(PERSON_NOT_ALLOWED)
        return self._audit.head()

    def _is_callers(self, caller: Person, person: str) -> None:
        """Check that who signed is who is there; another's signature under one's own login is an alarm."""
        if person != caller.id:
            error = TarnhelmError(OTHER_SUBJECT)
            self._door.tell(error, caller.id)
            raise error


def _wish(document: bytes, label: str) -> Signed:
    signed = Signed.from_bytes(document, label)
    try:
        Wish.of(signed)
    except TarnhelmError:
        raise TarnhelmError(REVEAL_REQUEST) from None
    return signed


def _sees(caller: Person, view: CaseView) -> bool:
    return view.case.requester == caller.id or bool(caller.roles & _SEE_ALL)


def _card_id(card: object) -> object:
    return card.get("id") if isinstance(card, dict) else None
