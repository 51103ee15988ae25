"""The register of people on a disk: lines that are added, and that the audit knows of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tarnhelm.common.errors import REGISTRY_DAMAGED, REVEAL_MISSING, STATE_UNSAFE, TarnhelmError
from tarnhelm.linkage.core.private_files import locked, private_directory, read_private
from tarnhelm.reveal.core.people import Register

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tarnhelm.reveal.core.audit.writer import Audit

__all__ = ["RegisterFile", "check_known", "compare", "tell"]


class RegisterFile:
    """``people.jsonl``: the register, read anew at each use.

    Parameters
    ----------
    path
        In a private directory.
    root
        Digest of the first line, from the settings.
    """

    def __init__(self, path: Path, *, root: str = "") -> None:
        self._path = path
        self._root = root

    def load(self) -> Register:
        """Read and check every line; RVL-029 where there is no file, RVL-005 where a line does not hold."""
        content = read_private(self._path)
        if content is None:
            raise TarnhelmError(REVEAL_MISSING)
        return Register(content.splitlines(), root=self._root)

    def found(self, line: bytes) -> None:
        """Write the first line."""
        with locked(private_directory(self._path.parent)):
            self._append(line)

    def change(self, audit: Audit, change: Callable[[Register], bytes], *, person: str, by: str, what: str) -> Register:
        """Add what ``change`` gives, and tell the audit.

        Parameters
        ----------
        change
            Gets the register, adds to it and gives the line.
        person, by, what
            For the audit: whom it is about, who signed, and ``enrol``, ``revoke`` or ``writer``.
        """
        with locked(self._path.parent):
            register = self.load()
            line = change(register)
            self._append(line)
            tell(audit, register, person=person, by=by, what=what)
            return register

    def _append(self, line: bytes) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "ab", buffering=0) as stream:
                stream.write(line + b"\n")
                os.fsync(descriptor)
        except OSError:
            raise TarnhelmError(STATE_UNSAFE) from None


def tell(audit: Audit, register: Register, *, person: str, by: str, what: str) -> None:
    """Write the register's end into the audit."""
    audit.append("register", register=register.digest, entries=register.size, person=person, by=by, change=what)


def compare(audit: Audit, register: Register) -> None:
    """Check that the register still holds all that the audit knows of it.

    A line that a crash kept from the audit is told now. RVL-005 where the end that the audit names is gone: a
    revocation was cut off, or an old copy was put back.
    """
    check_known(audit.register_digest, register)
    if audit.register_digest != register.digest:
        tell(audit, register, person="", by="", what="found")


def check_known(digest: str, register: Register) -> None:
    """Check that the register holds the end that an audit names, if it names one; RVL-005."""
    if digest and not register.had(digest):
        raise TarnhelmError(REGISTRY_DAMAGED, line=register.size + 1)
