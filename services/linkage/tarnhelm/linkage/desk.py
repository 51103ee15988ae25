"""The desk: answers questions in batches, each against its admission ticket.

One thread answers for all projects. What waits is taken together, so that tickets are bound in one statement of the
ledger and what is new of the way back is sealed in one call to the vault.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common.errors import ASSIGNER_AWAY, TICKET_SPENT, TarnhelmError
from tarnhelm.linkage.core.ledger import TicketBinding
from tarnhelm.linkage.quota import QuotaSettings, SubjectQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.common.events import EventLog
    from tarnhelm.common.tickets import AdmissionTicket
    from tarnhelm.linkage.core.assign import LocalAssigner
    from tarnhelm.linkage.core.ledger import Ledger

__all__ = ["Counter", "Desk", "OpenProject", "Question"]

_MOST_AT_ONCE: Final = 128
_MOST_WAITING: Final = 2_000
_MOST_PROJECTS: Final = 64


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the ticket, the digest of the question's bytes, what is asked."""

    ticket: AdmissionTicket
    digest: bytes
    request: AssignRequest = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenProject:
    """A project that is being answered for."""

    assigner: LocalAssigner
    ledger: Ledger


class Counter(Protocol):
    """Told what became of each question; for metrics."""

    def __call__(self, code: str, count: int) -> None:
        """Count answers: an empty code for those given, else the code of the error."""
        ...


def _uncounted(code: str, count: int) -> None:
    """Where nobody measures."""


class Desk:
    """Answers questions; start it with :meth:`open`, end it with :meth:`close`.

    Parameters
    ----------
    open_project
        Gives assigner and ledger for an opaque project id; raises TarnhelmError for an unknown one.
    quota
        Bounds of each project.
    events
        Takes alarms.
    count
        Takes what became of the questions.
    """

    def __init__(
        self,
        open_project: Callable[[str], OpenProject],
        quota: QuotaSettings,
        events: EventLog,
        count: Counter = _uncounted,
    ) -> None:
        self._open_project = open_project
        self._quota = quota
        self._events = events
        self._count = count
        self._projects: dict[str, OpenProject] = {}
        self._quotas: dict[str, SubjectQuota] = {}
        self._waiting: queue.Queue[tuple[Question, asyncio.Future[AssignReply]] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="assign-desk", daemon=True)

    def open(self) -> None:
        """Begin to answer."""
        self._thread.start()

    async def ask(self, question: Question) -> AssignReply:
        """Answer one question.

        Raises
        ------
        TarnhelmError
            LNK-042 where the ticket was used for another question, LNK-045 where too many wait; and all that
            the assigner raises.
        """
        answer: asyncio.Future[AssignReply] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((question, answer))
        except queue.Full:
            raise TarnhelmError(ASSIGNER_AWAY) from None
        return await answer

    def close(self) -> None:
        """Answer what waits, then let vault and ledgers go."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        for project in self._projects.values():
            project.assigner.close()
        self._projects.clear()

    # --- the thread --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        ending = False
        while not ending:
            batch = [self._waiting.get()]
            while len(batch) < _MOST_AT_ONCE:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            ending = None in batch
            by_project: dict[str, list[tuple[Question, asyncio.Future[AssignReply]]]] = {}
            for entry in batch:
                if entry is not None:
                    by_project.setdefault(entry[0].ticket.project, []).append(entry)
            for project, entries in by_project.items():
                answers = self.answer(project, [question for question, _ in entries])
                for (_, future), answer in zip(entries, answers, strict=True):
                    future.get_loop().call_soon_threadsafe(_deliver, future, answer)

    def answer(self, project: str, questions: Sequence[Question]) -> list[AssignReply | TarnhelmError]:
        """Answer the questions of one project, each for itself: one that fails does not hold up the others."""
        try:
            opened = self._opened(project)
            bound = self._bound(opened.ledger, questions)
        except TarnhelmError as error:
            self._count(error.code, len(questions))
            return [error] * len(questions)
        quota = self._quotas[project]
        good = [question.request for question, fits in zip(questions, bound, strict=True) if fits]
        answered = iter(opened.assigner.assign_many(good))
        answers: list[AssignReply | TarnhelmError] = []
        for fits in bound:
            if not fits:
                quota.alarm("ticket")
                found: AssignReply | TarnhelmError = TarnhelmError(TICKET_SPENT)
            else:
                found = next(answered)
                if not isinstance(found, TarnhelmError):
                    try:
                        quota.count(found.subject_id)
                    except TarnhelmError as error:
                        found = error
            self._count(found.code if isinstance(found, TarnhelmError) else "", 1)
            answers.append(found)
        return answers

    def _opened(self, project: str) -> OpenProject:
        found = self._projects.get(project)
        if found is None:
            found = self._open_project(project)
            while len(self._projects) >= _MOST_PROJECTS:
                self._projects.pop(next(iter(self._projects))).assigner.close()
            self._projects[project] = found
            self._quotas.setdefault(project, SubjectQuota(project, self._quota, self._events))
        return found

    @staticmethod
    def _bound(ledger: Ledger, questions: Sequence[Question]) -> list[bool]:
        """Bind each ticket to its question; a ticket for several questions has a place for each."""
        bound = [False] * len(questions)
        left = list(range(len(questions)))
        place = 0
        while left:
            items = [
                TicketBinding(
                    _place(questions[at].ticket.digest, place), questions[at].digest, questions[at].ticket.expires
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


def _deliver(future: asyncio.Future[AssignReply], answer: AssignReply | TarnhelmError) -> None:
    if future.done():
        return
    if isinstance(answer, TarnhelmError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
