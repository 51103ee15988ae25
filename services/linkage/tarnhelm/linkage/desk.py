"""The desk: answers questions in batches, each against its admission ticket.

One thread answers for all projects. What waits is taken together, so that tickets are bound in one statement of the
ledger and what is new of the way back is sealed in one call to the vault.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from tarnhelm.common.errors import (
    ASSIGN_FAILED,
    ASSIGNER_AWAY,
    PROJECT_DESTROYED,
    TICKET_EXPIRED,
    TICKET_SPENT,
    VAULT_REFUSED,
    VAULT_UNAVAILABLE,
    ErrorCode,
    TarnhelmError,
)
from tarnhelm.common.tickets import SKEW_SECONDS
from tarnhelm.linkage.core.ledger import TicketBinding
from tarnhelm.linkage.quota import QuotaSettings, SubjectQuota

if TYPE_CHECKING:
    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.common.events import EventLog
    from tarnhelm.common.tickets import AdmissionTicket
    from tarnhelm.linkage.availability import Availability
    from tarnhelm.linkage.core.assign import LocalAssigner
    from tarnhelm.linkage.core.ledger import Ledger
    from tarnhelm.linkage.core.project import Project

__all__ = ["Desk", "OpenProject", "Question", "Source"]

_MOST_AT_ONCE: Final = 128
_MOST_WAITING: Final = 2_000
_MOST_PROJECTS: Final = 64
_LOOK_SECONDS: Final = 5.0
"""A new revision or epoch, and a destroyed project, are noticed within this."""
_IDLE_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.001
_LONGEST_GATHER: Final = 0.004
_HELD_SECONDS: Final = 4 * SKEW_SECONDS
"""A binding outlives its ticket by this: no replica whose clock is behind may take a ticket whose binding is gone."""
_NAMED: Final = 4096

_Answer: TypeAlias = "AssignReply | TarnhelmError"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the ticket, the digest of the question's bytes, what is asked."""

    ticket: AdmissionTicket
    digest: bytes
    request: AssignRequest = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenProject:
    """A project that is being answered for; the desk closes the assigner."""

    project: Project
    assigner: LocalAssigner
    ledger: Ledger


class Source(Protocol):
    """Where projects come from."""

    def look(self, project: str) -> Project:
        """Give a project as it is now; LNK-001 for an unknown one, LNK-009 for a destroyed one."""
        ...

    def open_project(self, project: Project) -> OpenProject:
        """Open a project."""
        ...


class _InHand:
    """A project as the desk holds it."""

    def __init__(self, opened: OpenProject, quota: SubjectQuota, look_at: float) -> None:
        self.opened = opened
        self.quota = quota
        self.look_at = look_at
        identities = opened.assigner.identities

        @lru_cache(maxsize=_NAMED)
        def subject(patient_id: str, issuer: str) -> bytes | None:
            return identities.patient(patient_id, issuer)

        self._patient = subject
        self._unknown = identities.unknown_patient

    def subject(self, request: AssignRequest) -> bytes:
        """Name whom a question is about, keyed; empty where it names nobody."""
        return self._patient(request.patient_id, request.issuer) or self._unknown(request.study_uid) or b""


_Waiting: TypeAlias = "tuple[Question, asyncio.Future[AssignReply]]"


class Desk:
    """Answers questions; start it with :meth:`open`, end it with :meth:`close`.

    Parameters
    ----------
    source
        Gives projects.
    quota
        Bounds of each project.
    events
        Takes alarms.
    availability
        Of vault and ledger; opened and closed by whoever made it.
    clock, monotonic
        Seconds since 1970, and seconds that never go back.
    """

    def __init__(
        self,
        source: Source,
        quota: QuotaSettings,
        events: EventLog,
        availability: Availability,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._quota = quota
        self._events = events
        self._availability = availability
        self._clock = clock
        self._monotonic = monotonic
        self._projects: dict[str, _InHand] = {}
        self._quotas: dict[str, SubjectQuota] = {}
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._batches: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="assign-desk", daemon=True)

    @property
    def waiting(self) -> int:
        """Questions that nobody works on yet."""
        return len(self._waiting)

    @property
    def subjects(self) -> int:
        """Distinct subjects of the last hour, of all projects."""
        return sum(quota.subjects for quota in list(self._quotas.values()))

    def open(self) -> None:
        """Begin to answer."""
        self._thread.start()

    async def ask(self, question: Question) -> AssignReply:
        """Answer one question.

        Raises
        ------
        TarnhelmError
            LNK-042 where the ticket was used for another question, LNK-043 where the quota is used up, LNK-045
            where too many wait; the code of the dependency that is away; and all that the assigner raises.
        """
        away = self._availability.away
        if away is not None:
            raise TarnhelmError(away)
        if len(self._waiting) >= _MOST_WAITING:
            raise TarnhelmError(ASSIGNER_AWAY)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[AssignReply] = loop.create_future()
        self._waiting.append((question, answer))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._hand_over)
        return await answer

    def _hand_over(self) -> None:
        """Give the thread what waits, or note that it is idle."""
        # Whoever asked may have gone: then nothing is assigned, and the ticket stays good.
        waiting = [entry for entry in self._waiting if not entry[1].done()]
        batch, self._waiting = waiting[:_MOST_AT_ONCE], waiting[_MOST_AT_ONCE:]
        self._busy = bool(batch)
        if batch:
            self._batches.put(batch)

    def close(self) -> None:
        """Answer what the thread has, then let the ledgers go."""
        if self._thread.is_alive():
            self._batches.put(None)
            self._thread.join()
        for project in list(self._projects):
            self._let_go(project)

    # --- the thread --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            try:
                batch = self._batches.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                batch = []
            if batch is None:
                return
            by_project: dict[str, list[_Waiting]] = {}
            for entry in batch:
                by_project.setdefault(entry[0].ticket.project, []).append(entry)
            told: list[tuple[asyncio.Future[AssignReply], _Answer]] = []
            for project, entries in by_project.items():
                answers = self.answer(project, [question for question, _ in entries])
                told += zip((future for _, future in entries), answers, strict=True)
            if batch:
                batch[0][1].get_loop().call_soon_threadsafe(self._deliver, told)
            self._obey_the_vault()

    def _deliver(self, told: Sequence[tuple[asyncio.Future[AssignReply], _Answer]]) -> None:
        """Give out answers, in the loop; then the thread gets what has come meanwhile."""
        for future, answer in told:
            if future.done():
                continue
            if isinstance(answer, TarnhelmError):
                # A copy: one error may be the answer to many, and each await writes its traceback into it.
                future.set_exception(TarnhelmError(answer.kind, **answer.facts))
            else:
                future.set_result(answer)
        # Questions that come together are much cheaper together. Where they do, a little is waited for more of
        # them; whoever asks one after the other waits for nothing.
        wait = min(_LONGEST_GATHER, _GATHER_SECONDS * len(told)) if len(told) > 1 else 0.0
        asyncio.get_running_loop().call_later(wait, self._hand_over)

    def _obey_the_vault(self) -> None:
        """Let go of the keys while the vault does not serve: sealing it ends all assigning."""
        if self._projects and self._availability.away in {VAULT_UNAVAILABLE, VAULT_REFUSED}:
            for project in list(self._projects):
                self._let_go(project)

    def answer(self, project: str, questions: Sequence[Question]) -> Sequence[_Answer]:
        """Answer the questions of one project, each for itself: one that fails does not hold up the others."""
        try:
            away = self._availability.away
            if away is not None:
                return [TarnhelmError(away)] * len(questions)
            in_hand = self._in_hand(project)
            refused = self._refused(in_hand, questions)
            good = [question.request for question, why in zip(questions, refused, strict=True) if why is None]
            answered = in_hand.opened.assigner.assign_many(good)
            # What is told must stand against a power cut, as what is made of it will.
            in_hand.opened.ledger.flush()
        except TarnhelmError as error:
            self._learn(project, error.kind)
            return [error] * len(questions)
        except Exception:  # noqa: BLE001 - the thread must not end, and a library's text may quote a value
            return [TarnhelmError(ASSIGN_FAILED)] * len(questions)
        for kind in {answer.kind for answer in answered if isinstance(answer, TarnhelmError)}:
            self._learn(project, kind)
        given = iter(answered)
        return [next(given) if why is None else why for why in refused]

    def _refused(self, in_hand: _InHand, questions: Sequence[Question]) -> list[TarnhelmError | None]:
        """Give the reason for each question that is not to be answered, before anything is written but tickets."""
        now = self._clock()
        refused: list[TarnhelmError | None] = [
            TarnhelmError(TICKET_EXPIRED) if question.ticket.expires + SKEW_SECONDS < now else None
            for question in questions
        ]
        fresh = [at for at, why in enumerate(refused) if why is None]
        bound = _bound(in_hand.opened.ledger, [questions[at] for at in fresh])
        for at, fits in zip(fresh, bound, strict=True):
            if not fits:
                in_hand.quota.alarm("ticket")
                refused[at] = TarnhelmError(TICKET_SPENT)
                continue
            try:
                in_hand.quota.admit(in_hand.subject(questions[at].request))
            except TarnhelmError as error:
                refused[at] = error
        return refused

    # --- projects ----------------------------------------------------------------------------------------------

    def _in_hand(self, project: str) -> _InHand:
        found = self._projects.get(project)
        now = self._monotonic()
        if found is not None and now < found.look_at:
            return found
        fresh = self._source.look(project)
        if found is not None and found.opened.project == fresh:
            found.look_at = now + _LOOK_SECONDS
            return found
        self._let_go(project)
        while len(self._projects) >= _MOST_PROJECTS:
            self._let_go(next(iter(self._projects)))
        # Kept beyond the project's being open: closing and opening it gives nobody a new quota.
        quota = self._quotas.get(project)
        if quota is None:
            quota = SubjectQuota(project, self._quota, self._events, monotonic=self._monotonic)
            self._quotas[project] = quota
        found = _InHand(self._source.open_project(fresh), quota, now + _LOOK_SECONDS)
        self._projects[project] = found
        return found

    def _learn(self, project: str, kind: ErrorCode) -> None:
        """Act on an error that is no single question's."""
        self._availability.doubt(kind)
        if kind is PROJECT_DESTROYED:
            self._let_go(project)

    def _let_go(self, project: str) -> None:
        found = self._projects.pop(project, None)
        if found is not None:
            try:
                found.opened.assigner.close()
            except TarnhelmError as error:
                self._availability.doubt(error.kind)


def _bound(ledger: Ledger, questions: Sequence[Question]) -> list[bool]:
    """Bind each ticket to its question; a ticket for several questions has a place for each."""
    bound = [False] * len(questions)
    left = list(range(len(questions)))
    place = 0
    while left:
        items = [
            TicketBinding(
                _place(questions[at].ticket.digest, place),
                questions[at].digest,
                questions[at].ticket.expires + _HELD_SECONDS,
            )
            for at in left
        ]
        for at, fits in zip(left, ledger.bind_tickets(items), strict=True):
            bound[at] = fits
        place += 1
        left = [at for at in left if not bound[at] and place < questions[at].ticket.questions]
    return bound


def _place(ticket: bytes, place: int) -> bytes:
    return ticket if place == 0 else hashlib.sha256(ticket + place.to_bytes(2, "big")).digest()
