"""How the web page is run: its address, its accounts, and the admin service behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tarnhelm.gateway.admin.settings import AdminAddress, Role

__all__ = ["AdminAddress", "OidcSettings", "WebSettings"]

_NO_ROLES: Final[Mapping[str, Role]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Signing in with the hospital's identity provider (OpenID Connect, authorization code with PKCE).

    Attributes
    ----------
    issuer
        ``https://…``, exactly as the provider writes it in its tokens.
    client_id
        Of this page.
    client_secret_file
        Where the provider wants one.
    roles_claim
        Claim of the ID token that lists groups or roles; points lead into nested claims
        (``realm_access.roles``).
    roles
        Value of that claim → role here; the highest one counts. Who has none of them is not let in.
    name_claim
        Claim with the name that stands beside decisions.
    scopes
        Asked for beside ``openid``.
    ca_file
        PEM of the authority that signed the provider's certificate, where the system does not know it.
    """

    issuer: str
    client_id: str
    client_secret_file: Path | None = None
    roles_claim: str = "groups"
    roles: Mapping[str, Role] = field(default_factory=lambda: _NO_ROLES)
    name_claim: str = "name"
    scopes: tuple[str, ...] = ("profile",)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings of the web page.

    Attributes
    ----------
    accounts_file
        SQLite file of accounts and sessions, 0600; it is made where it is missing. One process uses it at a time
        for the page; the command ``tarnhelm user`` may beside it.
    listen
        ``host:port``; port 0 takes a free one. Off this machine a certificate is needed.
    tls_certificate_file, tls_key_file
        PEM; both or none.
    public_url
        As browsers see the page, for links and for the identity provider: ``https://tarnhelm.hospital.example``.
        Empty: the address that it listens on.
    admin
        The service behind the page.
    oidc
        Without it only local accounts can sign in.
    local_accounts
        Whether local accounts may sign in; false where the identity provider alone decides.
    session_idle_seconds, session_seconds
        A session ends after this time without a request, and at the latest after that.
    behind_proxy
        A proxy in front ends TLS: cookies are marked Secure although this process speaks plain HTTP, which it then
        does on a loopback address only.
    """

    accounts_file: Path
    listen: str = "127.0.0.1:8080"
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    public_url: str = ""
    admin: AdminAddress = field(default_factory=AdminAddress)
    oidc: OidcSettings | None = None
    local_accounts: bool = True
    session_idle_seconds: float = 1800.0
    session_seconds: float = 36_000.0
    behind_proxy: bool = False
