"""Who calls the admin service, for whom, and what that person may do."""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.admin.settings import AdminCaller, Role

__all__ = [
    "PERSON_KEY",
    "ROLE_KEY",
    "SUBJECT_KEY",
    "TOKEN_KEY",
    "Callers",
    "Person",
    "plain_name",
    "signed",
    "unsigned",
]

TOKEN_KEY: Final = "authorization"  # noqa: S105 - a name
SUBJECT_KEY: Final = "tarnhelm-subject"
PERSON_KEY: Final = "tarnhelm-person-bin"
ROLE_KEY: Final = "tarnhelm-role"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,31}", re.ASCII)
_SUBJECT: Final = re.compile(r"[a-z0-9][a-z0-9._:-]{2,95}", re.ASCII)
_SIGNED: Final = re.compile(r"([a-z0-9][a-z0-9._-]*:[a-z0-9._:-]+) (.*)", re.ASCII | re.DOTALL)
_TOKEN_CHARACTERS: Final = 32
_MOST_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks or decides.

    Attributes
    ----------
    subject
        Stable and opaque, made of lower-case letters, digits and ``. _ : -``; the same subject is the same person.
    name
        Stands beside decisions.
    """

    subject: str
    name: str
    role: Role

    def needs(self, role: Role) -> None:
        """Raise ``WEB-002`` where the role is not enough."""
        if not self.role.includes(role):
            raise TarnhelmError(errors.ADMIN_ROLE)


class Callers:
    """Knows the callers of the settings by their certificates and tokens.

    Raises
    ------
    TarnhelmError
        ``WEB-024``: two of one name, one without certificate name and token, a token that is short, cannot be read,
        or can be read by everybody.
    """

    def __init__(self, callers: tuple[AdminCaller, ...]) -> None:
        self._by_certificate: dict[str, AdminCaller] = {}
        self._by_token: dict[bytes, AdminCaller] = {}
        if len({caller.name for caller in callers}) != len(callers):
            raise TarnhelmError(errors.WEB_SETTINGS)
        for caller in callers:
            if not _NAME.fullmatch(caller.name) or not (caller.certificate_names or caller.token_file):
                raise TarnhelmError(errors.WEB_SETTINGS)
            for name in caller.certificate_names:
                if self._by_certificate.setdefault(name, caller) is not caller:
                    raise TarnhelmError(errors.WEB_SETTINGS)
            if caller.token_file is not None:
                digest = _digest(_token_of(caller))
                if self._by_token.setdefault(digest, caller) is not caller:
                    raise TarnhelmError(errors.WEB_SETTINGS)

    def identify(self, certificate_names: frozenset[str], metadata: Mapping[str, str | bytes]) -> Person:
        """Return who is behind a call; raises ``WEB-001`` for a stranger and ``WEB-010`` for a person that is none."""
        caller = self._caller(certificate_names, metadata)
        if not caller.speaks_for_people:
            return Person(f"caller:{caller.name}", caller.name, caller.role)
        subject, name, role = (metadata.get(key, "") for key in (SUBJECT_KEY, PERSON_KEY, ROLE_KEY))
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject) or role not in list(Role):
            raise TarnhelmError(errors.ADMIN_REQUEST)
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        claimed = Role(str(role))
        # Within the names of who speaks for them: the page cannot give somebody out for another caller.
        return Person(
            f"{caller.name}:{subject}", plain_name(text), claimed if caller.role.includes(claimed) else caller.role
        )

    def _caller(self, certificate_names: frozenset[str], metadata: Mapping[str, str | bytes]) -> AdminCaller:
        for name in sorted(certificate_names):
            if name in self._by_certificate:
                return self._by_certificate[name]
        scheme, _, token = str(metadata.get(TOKEN_KEY, "")).partition(" ")
        if scheme.lower() == "bearer":
            given = _digest(token.encode())
            for digest, caller in self._by_token.items():
                if hmac.compare_digest(digest, given):
                    return caller
        raise TarnhelmError(errors.ADMIN_CALLER)


def plain_name(text: str) -> str:
    """Return a name without what cannot be printed, 80 characters at most."""
    return "".join(character for character in text if character.isprintable()).strip()[:_MOST_NAME] or "?"


def signed(person: Person) -> str:
    """Return how a person stands in the record of decisions: subject, blank, name."""
    return f"{person.subject} {person.name}"


def unsigned(by: str) -> tuple[str, str]:
    """Return subject and name of a line in the record; decisions of a laptop's command have no subject."""
    match = _SIGNED.fullmatch(by)
    return (match[1], match[2]) if match else ("", by)


def _token_of(caller: AdminCaller) -> bytes:
    path = caller.token_file
    try:
        if path is None or path.stat().st_mode & stat.S_IRWXO:
            raise TarnhelmError(errors.WEB_SETTINGS)
        token = path.read_bytes().strip()
    except OSError:
        raise TarnhelmError(errors.WEB_SETTINGS) from None
    if len(token) < _TOKEN_CHARACTERS:
        raise TarnhelmError(errors.WEB_SETTINGS)
    return token


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
