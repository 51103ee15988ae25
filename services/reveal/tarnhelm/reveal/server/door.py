"""The door: who is calling. A token of the identity provider, and the statement of the person's own key."""

from __future__ import annotations

import hmac
import threading
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import (
    NOT_LOGGED_IN,
    OTHER_SUBJECT,
    PERSON_REVOKED,
    PERSON_UNKNOWN,
    TOKEN_REFUSED,
    TarnhelmError,
)
from tarnhelm.reveal.identity.login import nonce_of, statement_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.reveal.core.audit.writer import Audit
    from tarnhelm.reveal.core.people import Person, Register
    from tarnhelm.reveal.identity.token import TokenReader
    from tarnhelm.reveal.server.settings import IdentitySettings

__all__ = ["Door"]

_WINDOW_SECONDS: Final = 60
_LINES_PER_WINDOW: Final = 10
_ALARMING: Final = frozenset({TOKEN_REFUSED.code, OTHER_SUBJECT.code})
_TOLD: Final = _ALARMING | {PERSON_UNKNOWN.code, PERSON_REVOKED.code}


class Door:
    """Lets people in, and tells the audit of who was not. Safe among threads.

    Parameters
    ----------
    tokens
        Reads the provider's tokens.
    register
        Gives the register as it is now.
    audit
        This replica's.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        tokens: TokenReader,
        register: Callable[[], Register],
        audit: Audit,
        settings: IdentitySettings,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._tokens = tokens
        self._register = register
        self._audit = audit
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._window = 0
        self._lines = 0
        self._untold = 0

    def enter(self, token: str, statement: bytes) -> Person:
        """Give the person who calls.

        Raises
        ------
        TarnhelmError
            RVL-040 without a token or after its time, RVL-041 where token or statement do not hold or do not
            belong together, RVL-001, -004 where the token's subject is nobody who is enrolled, RVL-043 (RETRY).
        """
        if not token:
            raise TarnhelmError(NOT_LOGGED_IN)
        known: list[str] = []
        try:
            return self._known(token, statement, known)
        except TarnhelmError as error:
            self.tell(error, known[0] if known else "")
            raise

    def _known(self, token: str, statement: bytes, known: list[str]) -> Person:
        """Give the person; ``known`` takes the id as soon as the token named somebody."""
        claims = self._tokens.read(token)
        register = self._register()
        found = register.by_subject(claims.subject)
        known.append(found.id)
        register.active(found.id)
        settings = self._settings
        signed, begun = statement_time(statement, found.signing_key, settings.issuer, settings.audience)
        fits = hmac.compare_digest(claims.nonce.encode(), nonce_of(signed).encode())
        if not fits and (claims.nonce or settings.nonce_required):
            raise TarnhelmError(TOKEN_REFUSED)
        # A login takes minutes: a statement of last month does not vouch for a token of today.
        longest = settings.login_minutes * 60
        if not -longest <= claims.issued - begun <= longest:
            raise TarnhelmError(TOKEN_REFUSED)
        return found

    def tell(self, error: TarnhelmError, person: str) -> None:
        """Tell the audit of a caller who was not let in; a flood of them takes ten lines a minute and a count."""
        if error.code not in _TOLD:
            return
        with self._lock:
            window = self._clock() // _WINDOW_SECONDS
            if window != self._window:
                self._window, self._lines = window, 0
            self._lines += 1
            if self._lines > _LINES_PER_WINDOW:
                self._untold += 1
                return
            untold, self._untold = self._untold, 0
        named = {"person": person} if person else {}
        if untold:
            self._audit.append("alarm", code=error.code, step="login", count=untold, **named)
        else:
            event = "alarm" if error.code in _ALARMING else "refused"
            self._audit.append(event, code=error.code, step="login", **named)
