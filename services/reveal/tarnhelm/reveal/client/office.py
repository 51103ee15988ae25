"""The office of a reveal server, as the tool uses it. What the server says is checked again, from the root on."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from tarnhelm.common.errors import (
    ANSWER_UNREADABLE,
    CASE_UNKNOWN,
    PROJECT_UNKNOWN,
    STATE_UNSAFE,
    WRONG_SIGNATURE,
    TarnhelmError,
)
from tarnhelm.reveal.client.channel import RevealChannel
from tarnhelm.reveal.core.people import Register
from tarnhelm.reveal.core.view import CaseView, view_of
from tarnhelm.reveal.identity.login import read_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tarnhelm.reveal.client.settings import RemoteSettings
    from tarnhelm.reveal.core.documents import Signed
    from tarnhelm.reveal.core.store import CaseEvent

__all__ = ["LOGIN_NAME", "RemoteOffice"]

LOGIN_NAME: Final = "login.json"


class RemoteOffice:
    """Implements :class:`~tarnhelm.reveal.tool.office.Office` by calls to a server.

    Parameters
    ----------
    folder
        The private directory, with the kept login.
    waits
        Told the accessors of what waits in the vault.
    """

    def __init__(
        self,
        folder: Path,
        settings: RemoteSettings,
        *,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        waits: Callable[[tuple[str, ...]], None],
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.clock = clock
        self.random = random
        self._waits = waits
        self._channel = RevealChannel(settings, lambda: read_login(folder / LOGIN_NAME, clock()))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def register(self) -> Register:
        """Give the register, every line checked, from the root that this machine knows."""
        return Register(self._channel.register(), root=self.settings.root)

    def change(self, change: Callable[[Register], bytes], *, person: str, by: str, what: str) -> Register:
        """Send the line that ``change`` makes."""
        del person, by, what  # the server reads them in the line
        register = self.register()
        self._channel.add_line(change(register))
        return register

    def labels(self) -> Mapping[str, str]:
        """Opaque id → label."""
        return self._channel.projects()

    def project_id(self, label: str) -> str:
        """Give a project's opaque id; LNK-001."""
        for opaque, known in self.labels().items():
            if label in {known, opaque}:
                return opaque
        raise TarnhelmError(PROJECT_UNKNOWN)

    def case(self, beginning: str) -> CaseView:
        """Find the one case whose id begins so; RVL-008."""
        if len(beginning) == 32:
            return self._view(self._channel.case(beginning))
        found = [view for view in self.cases("") if view.case.id.startswith(beginning)]
        if len(found) != 1 or len(beginning) < 4:
            raise TarnhelmError(CASE_UNKNOWN)
        return found[0]

    def cases(self, project: str) -> Iterator[CaseView]:
        """Give the cases that this person may see."""
        register = self.register()
        for events in self._channel.cases(project):
            yield view_of(events, register)

    def open(self, signed: Signed) -> CaseView:
        """Open a case."""
        return self._same(self._channel.open(signed.to_bytes()), signed)

    def decide(self, case_id: str, signed: Signed) -> CaseView:
        """Decide a case."""
        return self._view(self._channel.decide(case_id, signed.to_bytes()))

    def answer(self, view: CaseView, wish: Signed, spool: IO[bytes]) -> None:
        """Write the answer of a case into ``spool``."""
        self._write(self._channel.answer(view.case.id, wish.to_bytes(), self._waits), spool)

    def mapping(self, view: CaseView, wish: Signed, spool: IO[bytes]) -> None:
        """Write a project's mapping into ``spool``."""
        self._write(self._channel.mapping(view.case.id, wish.to_bytes(), self._waits), spool)

    def locate(self, view: CaseView, wish: Signed, originals: Iterable[str], spool: IO[bytes]) -> None:
        """Write the answer about UIDs into ``spool``."""
        self._write(self._channel.locate(view.case.id, wish.to_bytes(), originals), spool)

    def audit_head(self) -> bytes:
        """The signed head of a replica's audit."""
        return self._channel.audit_head()

    @contextmanager
    def spare(self) -> Iterator[BinaryIO]:
        """Give a nameless file in the private directory."""
        try:
            descriptor = os.open(self.folder, os.O_RDWR | os.O_TMPFILE, 0o600)
        except OSError:
            raise TarnhelmError(STATE_UNSAFE) from None
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream

    def _view(self, events: tuple[CaseEvent, ...]) -> CaseView:
        return view_of(events, self.register())

    def _same(self, events: tuple[CaseEvent, ...], signed: Signed) -> CaseView:
        view = self._view(events)
        if view.digest != signed.digest:
            raise TarnhelmError(WRONG_SIGNATURE)
        return view

    @staticmethod
    def _write(parts: Iterator[bytes], spool: IO[bytes]) -> None:
        for part in parts:
            spool.write(part)
        spool.flush()
        if spool.tell() == 0:
            raise TarnhelmError(ANSWER_UNREADABLE)
        spool.seek(0)
