"""Whether vault and ledger are there: looked after by a thread, so that no question waits to find out.

A sealed vault is also how a hospital stops all assigning at once. So while the vault does not serve, nothing is
answered out of memory either, and the desk lets go of the project keys.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import (
    ASSIGNER_AWAY,
    LEDGER_BUSY,
    VAULT_REFUSED,
    VAULT_UNAVAILABLE,
    Disposition,
    ErrorCode,
    TarnhelmError,
)
from tarnhelm.common.events import event_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.common.events import EventLog

__all__ = ["DEPENDENCY_AWAY", "DEPENDENCY_BACK", "Availability"]

DEPENDENCY_AWAY = event_kind(311, "assign-dependency-away", "code")
DEPENDENCY_BACK = event_kind(312, "assign-dependency-back")

_DEPENDENCIES: Final = frozenset({VAULT_UNAVAILABLE, VAULT_REFUSED, LEDGER_BUSY})
_SOON: Final = 0.25


class Availability:
    """Checks the dependencies at intervals, and at once where a question found one missing.

    Parameters
    ----------
    check
        Raises TarnhelmError where a dependency does not serve; may wait.
    events
        Told when a dependency goes and comes.
    every_seconds
        Between checks while all is well.
    """

    def __init__(self, check: Callable[[], None], events: EventLog, *, every_seconds: float = 2.0) -> None:
        self._check = check
        self._events = events
        self._every = every_seconds
        self._away: ErrorCode | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="assign-availability", daemon=True)

    @property
    def away(self) -> ErrorCode | None:
        """Why nothing can be answered; None where all is well. Its disposition is RETRY."""
        return self._away

    def serving(self) -> bool:
        """Whether questions can be answered."""
        return self._away is None

    def open(self) -> None:
        """Check once, then from a thread.

        Raises
        ------
        TarnhelmError
            LNK-011, LNK-012, LNK-023, LNK-031: what no waiting mends. A dependency that is away is none of them.
        """
        try:
            self._check()
        except TarnhelmError as error:
            if error.disposition is not Disposition.RETRY:
                raise
            self._set(error.kind)
        self._thread.start()

    def doubt(self, kind: ErrorCode) -> None:
        """Say that a question failed: if by a dependency, nothing is answered until a check has gone well."""
        if kind in _DEPENDENCIES:
            self._set(kind)
            self._wake.set()

    def close(self) -> None:
        """Check no more; a check that hangs on a dependency is not waited for."""
        self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(self._every if self._away is None else _SOON)
            self._wake.clear()
            if not self._closed:
                self._set(self._found())

    def _found(self) -> ErrorCode | None:
        try:
            self._check()
        except TarnhelmError as error:
            # A setting that broke while it ran is a person's work; the objects wait for it.
            return error.kind if error.disposition is Disposition.RETRY else ASSIGNER_AWAY
        except Exception:  # noqa: BLE001 - the thread must not end, and a library's text is not for the log
            return ASSIGNER_AWAY
        return None

    def _set(self, kind: ErrorCode | None) -> None:
        with self._lock:
            before, self._away = self._away, kind
        if kind is not None and kind is not before:
            self._events(DEPENDENCY_AWAY, code=kind.code)
        if kind is None and before is not None:
            self._events(DEPENDENCY_BACK)
