"""Who may store at a STOW-RS door: bearer tokens and client certificates, never what a request says of itself."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute

__all__ = ["Access", "Refusal"]

_LINE: Final = re.compile(r"([0-9a-f]{64})\s+([A-Za-z0-9._:/@-]{1,120})", re.ASCII)
_MAX_TOKEN: Final = 4_096


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """401 for one who is not known, 403 for one who may not."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Access:
    """Decides who a caller is and whether a route is open to him; safe among threads.

    Raises
    ------
    TarnhelmError
        DOR-010 where the token file cannot be read at the start.
    """

    def __init__(self, settings: StowDoorSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: dict[str, str] = {}
        if settings.tokens_file is not None and not self._load():
            raise TarnhelmError(errors.DOOR_SHUT)

    def check(self, route: StowRoute, authorization: str, names: frozenset[str]) -> None:
        """Raise Refusal where the caller may not store under ``route``.

        Parameters
        ----------
        authorization
            The header of that name, empty where there is none.
        names
            Subject alternative names of the client's certificate, which TLS has checked.
        """
        settings = self._settings
        if not route.principals:
            if settings.loopback and settings.tokens_file is None and settings.client_ca_file is None:
                return
            raise Refusal(403)
        principals = set(names)
        scheme, _, token = authorization.partition(" ")
        if settings.tokens_file is not None and scheme.lower() == "bearer" and 0 < len(token.strip()) <= _MAX_TOKEN:
            found = self._principal(token.strip())
            if found is None:
                raise Refusal(401)
            principals.add(found)
        if principals.isdisjoint(route.principals):
            raise Refusal(403 if principals else 401)

    def _principal(self, token: str) -> str | None:
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        with self._lock:
            if not self._load():
                # A file that cannot be read lets nobody in: a token may have been taken out of it.
                self._tokens, self._stamp = {}, None
            return self._tokens.get(digest)

    def _load(self) -> bool:
        path = self._settings.tokens_file
        if path is None:
            return False
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return True
            lines = [line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines()]
        except (OSError, ValueError):
            return False
        found = [_LINE.fullmatch(line) for line in lines if line]
        if None in found:
            return False
        self._tokens = {match[1]: match[2] for match in found if match is not None}
        self._stamp = stamp
        return True
