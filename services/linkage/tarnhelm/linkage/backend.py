"""Where keys, ledgers and projects are: on this machine, or in a vault server and PostgreSQL."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common.errors import ASSIGN_SETTINGS, PROJECT_UNKNOWN, VAULT_SETTINGS, TarnhelmError
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.desk import OpenProject
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.linkage.vaults.transit_names import MOUNT

if TYPE_CHECKING:
    import argparse

    from tarnhelm.linkage.core.postgres import Database
    from tarnhelm.linkage.core.projects import Project, Projects
    from tarnhelm.linkage.vaults.login import Login

__all__ = ["Backend", "BackendSettings", "add_arguments", "open_backend", "read_address", "settings_from"]

_LONGEST_ADDRESS: Final = 4096


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """Which backend; one of ``state_directory`` and ``vault_address``.

    Attributes
    ----------
    state_directory
        Of one machine: its vault, ledgers and projects are files.
    vault_address, vault_ca_file, vault_namespace, vault_mount
        The vault server and its Transit engine.
    login
        As whom.
    database_file
        Holds the address of the PostgreSQL database alone; read at the start.
    """

    state_directory: Path | None = None
    vault_address: str = ""
    vault_ca_file: Path | None = None
    vault_namespace: str = ""
    vault_mount: str = MOUNT
    login: Login | None = None
    database_file: Path | None = None


class Backend(Protocol):
    """Gives what a desk needs: implements :class:`~tarnhelm.linkage.desk.Source` besides."""

    def look(self, project: str) -> Project:
        """Give a project by its opaque id; LNK-001 for an unknown one."""
        ...

    def open_project(self, project: Project) -> OpenProject:
        """Open a project."""
        ...

    def health(self) -> None:
        """Raise LNK-007, LNK-008, LNK-030 (RETRY) where vault or database cannot serve; others where they never will."""
        ...

    def close(self) -> None:
        """Let go of connections that are shared by projects."""
        ...


class LocalBackend:
    """Vault, ledgers and projects of one state directory."""

    def __init__(self, state_directory: Path) -> None:
        self._linkage = LocalLinkage(state_directory)

    def look(self, project: str) -> Project:
        """See :class:`Backend`."""
        return _by_id(self._linkage.projects, project)

    def open_project(self, project: Project) -> OpenProject:
        """See :class:`Backend`."""
        assigner = self._linkage.assigner(project.id)
        return OpenProject(project, assigner, assigner.ledger)

    def health(self) -> None:
        """Check the key directory."""
        self._linkage.vault.health()

    def close(self) -> None:
        """Nothing is shared."""


class ServerBackend:
    """A vault server and a PostgreSQL database; neither needs to be there at the start.

    Parameters
    ----------
    settings
        Where the vault is.
    login
        As whom.
    address
        Of the database, as libpq takes it.
    """

    def __init__(self, settings: BackendSettings, login: Login, address: str) -> None:
        from tarnhelm.linkage.vaults.session import VaultServer, VaultSession  # noqa: PLC0415 - the extra of servers
        from tarnhelm.linkage.vaults.transit import TransitVault  # noqa: PLC0415

        server = VaultServer(settings.vault_address, settings.vault_ca_file, settings.vault_namespace)
        self._session = VaultSession(server, login)
        self._vault = TransitVault(self._session, mount=settings.vault_mount)
        self._address = address
        self._lock = threading.Lock()
        self._database: Database | None = None

    def look(self, project: str) -> Project:
        """See :class:`Backend`."""
        from tarnhelm.linkage.core.projects_postgres import PostgresProjects  # noqa: PLC0415

        return _by_id(PostgresProjects(self._connected()), project)

    def open_project(self, project: Project) -> OpenProject:
        """See :class:`Backend`."""
        from tarnhelm.linkage.core.ledger_postgres import PostgresLedger  # noqa: PLC0415

        ledger = PostgresLedger(self._connected(), project.id)
        return OpenProject(project, LocalAssigner(project, self._vault, ledger), ledger)

    def health(self) -> None:
        """Ask the vault server, then the database."""
        self._vault.health()
        self._connected().use(lambda connection: connection.execute("SELECT 1"))

    def close(self) -> None:
        """Close session and pool."""
        self._session.close()
        with self._lock:
            if self._database is not None:
                self._database.close()

    def _connected(self) -> Database:
        from tarnhelm.linkage.core.postgres import Database  # noqa: PLC0415

        with self._lock:
            if self._database is None:
                self._database = Database(self._address)
            return self._database


def _by_id(projects: Projects, opaque: str) -> Project:
    found = projects.get(opaque)
    if found.id != opaque:  # a label, which tickets do not name
        raise TarnhelmError(PROJECT_UNKNOWN)
    return found


def open_backend(settings: BackendSettings) -> Backend:
    """Open a backend.

    Raises
    ------
    TarnhelmError
        LNK-031 where the settings do not fit together, LNK-048 from :func:`read_address`.
    """
    if settings.state_directory is not None and not settings.vault_address:
        return LocalBackend(settings.state_directory)
    if settings.state_directory is None and settings.login is not None and settings.database_file is not None:
        return ServerBackend(settings, settings.login, read_address(settings.database_file))
    raise TarnhelmError(VAULT_SETTINGS)


def read_address(path: Path) -> str:
    """Read the one line of a file that holds a database's address.

    Raises
    ------
    TarnhelmError
        LNK-048 where everybody could read the file, or it holds no address.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            lines = stream.read(_LONGEST_ADDRESS).decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise TarnhelmError(ASSIGN_SETTINGS) from None
    address = lines[0].strip()
    if mode & 0o007 or not address or any(lines[1:]):
        raise TarnhelmError(ASSIGN_SETTINGS)
    return address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which backend."""
    group = parser.add_argument_group("keys and ledger", "one machine: --state; a hospital: a vault and a database")
    group.add_argument("--state", type=Path, metavar="DIR", help="private state directory of this machine")
    group.add_argument("--vault-address", default="", metavar="URL", help="https://host:port of OpenBao or Vault")
    group.add_argument("--vault-ca-file", type=Path, metavar="PEM")
    group.add_argument("--vault-namespace", default="", metavar="NAME")
    group.add_argument("--vault-mount", default=MOUNT, metavar="PATH", help="Transit engine (default: %(default)s)")
    group.add_argument("--vault-token-file", type=Path, metavar="FILE", help="log in with a token that an agent writes")
    group.add_argument("--vault-role-id", metavar="ID", help="log in with AppRole")
    group.add_argument("--vault-secret-id-file", type=Path, metavar="FILE", help="AppRole's secret id")
    group.add_argument("--vault-kubernetes-role", metavar="ROLE", help="log in with the pod's service account")
    group.add_argument("--database-file", type=Path, metavar="FILE", help="holds the PostgreSQL address (a secret)")


def settings_from(given: argparse.Namespace) -> BackendSettings:
    """Settings from parsed options; LNK-031 where more than one login is named."""
    from tarnhelm.linkage.vaults.login import AppRole, KubernetesAccount, TokenFile  # noqa: PLC0415

    logins: list[Login] = []
    if given.vault_token_file is not None:
        logins.append(TokenFile(given.vault_token_file))
    if given.vault_role_id is not None and given.vault_secret_id_file is not None:
        logins.append(AppRole(given.vault_role_id, given.vault_secret_id_file))
    if given.vault_kubernetes_role is not None:
        logins.append(KubernetesAccount(given.vault_kubernetes_role))
    if len(logins) > 1 or bool(logins) != bool(given.vault_address):
        raise TarnhelmError(VAULT_SETTINGS)
    return BackendSettings(
        state_directory=given.state,
        vault_address=given.vault_address,
        vault_ca_file=given.vault_ca_file,
        vault_namespace=given.vault_namespace,
        vault_mount=given.vault_mount,
        login=logins[0] if logins else None,
        database_file=given.database_file,
    )
