"""Which place a steward works at: ``steward.toml`` in the private directory, or none for one machine.

::

    format = 1
    [vault]
    address = "https://vault.example:8200"
    ca_file = "/etc/tarnhelm/vault-ca.pem"      # optional
    namespace = ""                              # optional
    mount = "transit"                           # optional
    # one of the three: who the steward is
    role_id = "…"
    secret_id_file = "/etc/tarnhelm/steward.secret-id"
    #token_file = "/run/tarnhelm/steward.token"
    #kubernetes_role = "tarnhelm-steward"
    [backup]                                    # optional: who takes snapshots, by the policy backup.hcl
    role_id = "…"
    secret_id_file = "/etc/tarnhelm/backup.secret-id"
    [database]
    address_file = "/etc/tarnhelm/ledger.address"

Secrets stand in the files that it names, never in it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import VAULT_SETTINGS, TarnhelmError
from tarnhelm.linkage.core.private_files import read_private
from tarnhelm.linkage.vaults.login import AppRole, KubernetesAccount, TokenFile
from tarnhelm.linkage.vaults.session import VaultServer
from tarnhelm.linkage.vaults.transit_names import MOUNT

if TYPE_CHECKING:
    from tarnhelm.linkage.vaults.login import Login

__all__ = ["ServerSettings", "read_settings"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A hospital's vault server and database.

    Attributes
    ----------
    server, login, mount
        The vault, the steward's own identity, and where the Transit engine is.
    database_file
        Holds the address of the PostgreSQL database.
    backup
        The identity that takes snapshots of the server; nothing where this machine does not.
    """

    server: VaultServer
    login: Login
    mount: str
    database_file: Path
    backup: Login | None = None


def read_settings(path: Path) -> ServerSettings | None:
    """Read the file; nothing where there is none: then the place is this machine. LNK-031, LNK-011."""
    content = read_private(path)
    if content is None:
        return None
    try:
        return _settings(tomllib.loads(content.decode("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TarnhelmError(VAULT_SETTINGS) from None


def _settings(document: dict[str, Any]) -> ServerSettings:
    vault, database = dict(document.pop("vault")), dict(document.pop("database"))
    ca_file = vault.pop("ca_file", "")
    server = VaultServer(
        _text(vault.pop("address")), Path(_text(ca_file)) if ca_file else None, _text(vault.pop("namespace", ""))
    )
    mount = _text(vault.pop("mount", MOUNT))
    database_file = Path(_text(database.pop("address_file")))
    login = _login(vault)
    backup = _login(dict(document.pop("backup"))) if "backup" in document else None
    if document != {"format": 1} or database:
        raise TarnhelmError(VAULT_SETTINGS)
    return ServerSettings(server, login, mount, database_file, backup)


def _login(named: dict[str, Any]) -> Login:
    """Give the one login that is named; what is left over, or a second one, is a mistake."""
    names = {name: _text(value) for name, value in named.items()}
    if set(names) == {"role_id", "secret_id_file"}:
        return AppRole(names["role_id"], Path(names["secret_id_file"]))
    if set(names) == {"token_file"}:
        return TokenFile(Path(names["token_file"]))
    if set(names) == {"kubernetes_role"}:
        return KubernetesAccount(names["kubernetes_role"])
    raise TarnhelmError(VAULT_SETTINGS)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
