"""``server.toml``: how the server is reached, who may be there, and where links and cases are."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, TarnhelmError
from tarnhelm.common.serve import ServerSettings
from tarnhelm.linkage.vaults.login import AppRole, KubernetesAccount, TokenFile
from tarnhelm.linkage.vaults.session import VaultServer
from tarnhelm.linkage.vaults.transit_names import MOUNT
from tarnhelm.reveal.identity.web import is_web_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.linkage.vaults.login import Login

__all__ = [
    "SERVICE",
    "CaseSettings",
    "IdentitySettings",
    "LinkSettings",
    "RevealServerSettings",
    "parse_server_settings",
]

SERVICE: Final = "tarnhelm.v1.RevealService"
_FORMAT: Final = 1
_LONGEST_CALL_SECONDS: Final = 2 * 3600


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Whose word is taken for who is there.

    Attributes
    ----------
    issuer, audience
        As in the provider's ID tokens; the audience is the tool's client id there.
    ca_file
        Certificates (PEM) that the provider's must come from.
    nonce_required
        False lets in tokens without a nonce: a provider may give none to devices.
    login_minutes
        Between the beginning of a login and its token.
    token_hours
        No token is taken for longer.
    """

    issuer: str
    audience: str
    ca_file: Path | None = None
    nonce_required: bool = True
    login_minutes: int = 15
    token_hours: int = 12


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Where links are.

    Attributes
    ----------
    vault, login, mount
        The vault server, and who this server is there.
    two_person
        The vault keeps each decryption back until a second person let it pass there.
    two_person_minutes
        So long an answer waits for that.
    database_file
        Holds the address of the ledger's database, for the role that may read.
    state
        Instead of a database: the private directory with projects and ledgers of one machine.
    """

    vault: VaultServer
    login: Login
    mount: str = MOUNT
    two_person: bool = False
    two_person_minutes: int = 9
    database_file: Path | None = None
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class CaseSettings:
    """Where cases are.

    Attributes
    ----------
    database_file
        Holds the address of the cases' database, which all replicas share; without it they are in this
        machine's own directory.
    answers_at_once
        So many cases are answered at the same time.
    """

    database_file: Path | None = None
    answers_at_once: int = 4


@dataclass(frozen=True, slots=True)
class RevealServerSettings:
    """All of it."""

    server: ServerSettings
    identity: IdentitySettings
    links: LinkSettings
    cases: CaseSettings


class _Table:
    """One table of the file; everything in it must be asked for, and be of its type."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, dict):
            raise TypeError
        self._left: dict[str, Any] = dict(values)

    def text(self, name: str, default: str | None = None) -> str:
        found = self._left.pop(name, default)
        if not isinstance(found, str) or (default is None and not found):
            raise TypeError
        return found

    def path(self, name: str) -> Path | None:
        found = self.text(name, "")
        if found and not found.startswith("/"):
            raise ValueError(name)
        return Path(found) if found else None

    def flag(self, name: str, *, default: bool) -> bool:
        found = self._left.pop(name, default)
        if type(found) is not bool:
            raise TypeError
        return found

    def number(self, name: str, default: int, most: int) -> int:
        found = self._left.pop(name, default)
        if type(found) is not int or not 0 < found <= most:
            raise ValueError(name)
        return found

    def texts(self, name: str) -> list[str]:
        found = self._left.pop(name, [])
        if not isinstance(found, list) or not all(isinstance(entry, str) and entry for entry in found):
            raise TypeError
        return found

    def table(self, name: str, default: Mapping[str, Any] | None = None) -> _Table:
        return _Table(self._left.pop(name, default))

    def end(self) -> None:
        if self._left:
            raise ValueError


def parse_server_settings(content: bytes) -> RevealServerSettings:
    """Read the file; RVL-031 for anything unknown, missing, of another type or out of bounds."""
    try:
        whole = _Table(tomllib.loads(content.decode("utf-8")))
        whole.number("format", _FORMAT, _FORMAT)
        found = RevealServerSettings(
            _server(whole.table("server")),
            _identity(whole.table("identity")),
            _links(whole.table("vault"), whole.table("ledger")),
            _cases(whole.table("cases", {})),
        )
        whole.end()
    except (ValueError, TypeError, OSError, KeyError):
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None
    return found


def _server(table: _Table) -> ServerSettings:
    callers = frozenset(table.texts("callers"))
    found = ServerSettings(
        listen=table.text("listen", "127.0.0.1:50052"),
        tls_certificate_file=table.path("tls_certificate_file"),
        tls_key_file=table.path("tls_key_file"),
        client_ca_file=table.path("client_ca_file"),
        callers={SERVICE: callers} if callers else {},
        # Tools connect for one command. A connection that was closed for its age would take an answer with it that
        # waits for a second person, or is long.
        connection_age_seconds=_LONGEST_CALL_SECONDS,
        metrics_listen=table.text("metrics_listen", ""),
    )
    if found.tls_key_file is not None and found.client_ca_file is None:
        raise ValueError  # TLS without client certificates would let anybody try tokens
    table.end()
    return found


def _identity(table: _Table) -> IdentitySettings:
    found = IdentitySettings(
        issuer=table.text("issuer"),
        audience=table.text("audience"),
        ca_file=table.path("ca_file"),
        nonce_required=table.flag("nonce_required", default=True),
        login_minutes=table.number("login_minutes", 15, 120),
        token_hours=table.number("token_hours", 12, 24),
    )
    table.end()
    if not is_web_address(found.issuer) or (found.ca_file and not found.ca_file.is_file()):
        raise ValueError
    return found


def _links(vault: _Table, ledger: _Table) -> LinkSettings:
    server = VaultServer(vault.text("address"), vault.path("ca_file"), vault.text("namespace", ""))
    found = LinkSettings(
        vault=server,
        login=_login(vault),
        mount=vault.text("mount", MOUNT),
        two_person=vault.flag("two_person", default=False),
        two_person_minutes=vault.number("two_person_minutes", 9, 60),
        database_file=ledger.path("database_file"),
        state=ledger.path("state"),
    )
    vault.end()
    ledger.end()
    if (found.database_file is None) == (found.state is None):
        raise ValueError
    return found


def _login(table: _Table) -> Login:
    token, role = table.path("token_file"), table.text("role_id", "")
    secret, account = table.path("secret_id_file"), table.text("kubernetes_role", "")
    named: list[Login] = []
    if token is not None:
        named.append(TokenFile(token))
    if role and secret is not None:
        named.append(AppRole(role, secret))
    if account:
        named.append(KubernetesAccount(account))
    if len(named) != 1 or bool(role) != (secret is not None):
        raise ValueError
    return named[0]


def _cases(table: _Table) -> CaseSettings:
    found = CaseSettings(table.path("database_file"), table.number("answers_at_once", 4, 64))
    table.end()
    return found
