"""Where the tool's commands get their work done: on this machine, or at a server."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core.answer import answer_case
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.core.rows import located, looked_up, mapped, uid_mappers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tarnhelm.linkage.core.ledger import SealedRecord
    from tarnhelm.linkage.core.projects import Project
    from tarnhelm.linkage.local import LocalLinkage
    from tarnhelm.reveal.core.answer import Row
    from tarnhelm.reveal.core.desk import Claim
    from tarnhelm.reveal.core.documents import Signed
    from tarnhelm.reveal.core.openers.base import Opener
    from tarnhelm.reveal.core.people import Register
    from tarnhelm.reveal.core.view import CaseView
    from tarnhelm.reveal.local import LocalReveal

__all__ = ["LocalOffice", "Office"]

_SHORTEST = 4


class Office(Protocol):
    """What a person's commands need."""

    clock: Callable[[], int]
    random: Callable[[int], bytes]

    def register(self) -> Register:
        """Give the register, checked."""
        ...

    def change(self, change: Callable[[Register], bytes], *, person: str, by: str, what: str) -> Register:
        """Add the line that ``change`` makes to the register."""
        ...

    def labels(self) -> Mapping[str, str]:
        """Opaque id → label of each project."""
        ...

    def project_id(self, label: str) -> str:
        """Give a project's opaque id; LNK-001."""
        ...

    def case(self, beginning: str) -> CaseView:
        """Find the one case whose id begins so; RVL-008 for none or several."""
        ...

    def cases(self, project: str) -> Iterable[CaseView]:
        """Give cases by time of opening; of one project, or all."""
        ...

    def open(self, signed: Signed) -> CaseView:
        """Open a case."""
        ...

    def decide(self, case_id: str, signed: Signed) -> CaseView:
        """Decide a case."""
        ...

    def answer(self, view: CaseView, wish: Signed, spool: IO[bytes]) -> None:
        """Use a case of the kind answer; ``spool`` holds the whole answer when this returns, read from its beginning."""
        ...

    def mapping(self, view: CaseView, wish: Signed, spool: IO[bytes]) -> None:
        """Use a case of the kind mapping."""
        ...

    def locate(self, view: CaseView, wish: Signed, originals: Iterable[str], spool: IO[bytes]) -> None:
        """Use a case of the kind locate."""
        ...

    def spare(self) -> AbstractContextManager[BinaryIO]:
        """Give a nameless file in the private directory."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LocalOffice:
    """Implements :class:`Office` on one machine.

    Parameters
    ----------
    here
        Register, cases and audit.
    linkage
        Gives projects, vault and ledgers, when they are needed.
    opener
        Gives what opens the records of a project (opaque id), when a case is being answered.
    """

    def __init__(self, here: LocalReveal, linkage: Callable[[], LocalLinkage], opener: Callable[[str], Opener]) -> None:
        self._here = here
        self._linkage = linkage
        self._opener = opener
        self.clock = here.clock
        self.random = here.random

    def register(self) -> Register:
        """See :class:`Office`."""
        return self._here.people().load()

    def change(self, change: Callable[[Register], bytes], *, person: str, by: str, what: str) -> Register:
        """See :class:`Office`."""
        people = self._here.people()
        with self._here.audit() as audit:
            return people.change(audit, change, person=person, by=by, what=what)

    def labels(self) -> Mapping[str, str]:
        """See :class:`Office`."""
        return {project.id: project.label for project in self._linkage().projects.list()}

    def project_id(self, label: str) -> str:
        """See :class:`Office`."""
        return self._linkage().projects.get(label).id

    def case(self, beginning: str) -> CaseView:
        """See :class:`Office`."""
        with self._here.desk() as desk:
            if len(beginning) == 32:
                return desk.view(beginning)
            found = [view for view in desk.views() if view.case.id.startswith(beginning)]
        if len(found) != 1 or len(beginning) < _SHORTEST:
            raise TarnhelmError(errors.CASE_UNKNOWN)
        return found[0]

    def cases(self, project: str) -> Iterable[CaseView]:
        """See :class:`Office`."""
        with self._here.desk() as desk:
            return list(desk.views(project))

    def open(self, signed: Signed) -> CaseView:
        """See :class:`Office`."""
        with self._here.desk() as desk:
            return desk.view(desk.open(signed).id)

    def decide(self, case_id: str, signed: Signed) -> CaseView:
        """See :class:`Office`."""
        with self._here.desk() as desk:
            return desk.decide(case_id, signed)

    def answer(self, view: CaseView, wish: Signed, spool: IO[bytes]) -> None:
        """See :class:`Office`."""

        def rows(claim: Claim) -> Iterable[Row]:
            project = self._project(claim)
            return looked_up(claim.case.surrogates, self._records(project), self._opener(project.id))

        self._use(view, wish, CaseKind.ANSWER, rows, spool)

    def mapping(self, view: CaseView, wish: Signed, spool: IO[bytes]) -> None:
        """See :class:`Office`."""

        def rows(claim: Claim) -> Iterable[Row]:
            project = self._project(claim)
            return mapped(self._records(project), self._opener(project.id))

        self._use(view, wish, CaseKind.MAPPING, rows, spool)

    def locate(self, view: CaseView, wish: Signed, originals: Iterable[str], spool: IO[bytes]) -> None:
        """See :class:`Office`."""
        candidates = list(originals)

        def rows(claim: Claim) -> Iterable[Row]:
            return located(claim.case.surrogates, candidates, uid_mappers(self._linkage().vault, self._project(claim)))

        self._use(view, wish, CaseKind.LOCATE, rows, spool)

    @contextmanager
    def spare(self) -> Iterator[BinaryIO]:
        """See :class:`Office`."""
        with spare_file(self._here.folder) as stream:
            yield stream

    def close(self) -> None:
        """See :class:`Office`; nothing is held."""

    def _use(
        self,
        view: CaseView,
        wish: Signed,
        kind: CaseKind,
        rows: Callable[[Claim], Iterable[Row]],
        spool: IO[bytes],
    ) -> None:
        with self._here.desk() as desk:
            answer_case(desk, view.case.id, wish, frozenset({kind}), rows, spool, random=self.random)
        spool.seek(0)

    def _project(self, claim: Claim) -> Project:
        """Give the project of a case; LNK-001, LNK-009."""
        return self._linkage().projects.get(claim.case.project)

    def _records(self, project: Project) -> Callable[[str, str], Iterator[SealedRecord]]:
        store = self._linkage()
        return lambda kind, handle: store.records(project.id, kind, handle)


@contextmanager
def spare_file(folder: Path) -> Iterator[BinaryIO]:
    """Give a nameless file in a private directory."""
    try:
        descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o600)
    except OSError:
        raise TarnhelmError(errors.STATE_UNSAFE) from None
    with os.fdopen(descriptor, "w+b") as stream:
        yield stream
