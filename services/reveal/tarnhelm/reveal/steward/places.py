"""Where a steward works: the files of one machine, or a hospital's vault server and database.

Neither place can open a sealed record. The hospital's is an identity of its own with the policy
``helm/tarnhelm-linkage/files/steward.hcl``, which has neither encrypt nor decrypt.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tarnhelm.common.errors import KEY_FILE_EXISTS, PROJECT_DESTROYED, TarnhelmError
from tarnhelm.linkage.core.identities import Identities
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tarnhelm.linkage.core.ledger import Ledger
    from tarnhelm.linkage.core.project import Project
    from tarnhelm.linkage.core.projects import Projects
    from tarnhelm.linkage.vaults.base import Vault, VaultKeeper
    from tarnhelm.linkage.vaults.transit_keeper import TransitKeeper
    from tarnhelm.reveal.steward.settings import ServerSettings

__all__ = ["LocalPlace", "Place", "ServerPlace", "make_epoch_key"]


class Place(Protocol):
    """Gives what the life of a link needs of a project. Projects are named by label or opaque id."""

    @property
    def projects(self) -> Projects:
        """The projects."""
        ...

    @property
    def vault(self) -> Vault:
        """Signs with root keys; the server's policy lets a steward do no more with it."""
        ...

    @property
    def keeper(self) -> VaultKeeper:
        """Makes and destroys keys."""
        ...

    @property
    def transit(self) -> TransitKeeper | None:
        """What rotates keys; nothing where keys are files."""
        ...

    def ledger(self, project: Project) -> AbstractContextManager[Ledger]:
        """Open a project's ledger; it is closed behind the block."""
        ...

    def identities(self, project: Project) -> Identities:
        """Give the names by which the ledger knows people and studies."""
        ...

    def destroy(self, project: Project) -> None:
        """Delete keys and ledger, and mark the project, for good; may be called again."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LocalPlace:
    """The files of one private state directory."""

    def __init__(self, state_directory: Path) -> None:
        self.state_directory = state_directory
        self._linkage = LocalLinkage(state_directory)

    @property
    def projects(self) -> Projects:
        """The projects."""
        return self._linkage.projects

    @property
    def vault(self) -> Vault:
        """Signs with root keys."""
        return self._linkage.vault

    @property
    def keeper(self) -> VaultKeeper:
        """Makes and destroys keys."""
        return self._linkage.vault

    @property
    def transit(self) -> TransitKeeper | None:
        """Keys are files: nothing to rotate."""
        return None

    @contextmanager
    def ledger(self, project: Project) -> Iterator[Ledger]:
        """Open a project's ledger."""
        found = self._linkage.ledger(project.id)
        try:
            yield found
        finally:
            found.close()

    def identities(self, project: Project) -> Identities:
        """Give the names by which the ledger knows people and studies."""
        return Identities.of(self._linkage.vault, project)

    def destroy(self, project: Project) -> None:
        """Erase the key files and the ledger's files, and mark the project."""
        self._linkage.destroy(project.id)

    def close(self) -> None:
        """Nothing is shared."""


class ServerPlace:
    """A vault server and a PostgreSQL database.

    Parameters
    ----------
    settings
        Where they are, and as whom.
    """

    def __init__(self, settings: ServerSettings) -> None:
        from tarnhelm.linkage.backend import read_address  # noqa: PLC0415 - a machine without servers needs none of it
        from tarnhelm.linkage.core.postgres import Database  # noqa: PLC0415
        from tarnhelm.linkage.core.projects_postgres import PostgresProjects  # noqa: PLC0415
        from tarnhelm.linkage.vaults.session import VaultSession  # noqa: PLC0415
        from tarnhelm.linkage.vaults.transit import TransitVault  # noqa: PLC0415
        from tarnhelm.linkage.vaults.transit_keeper import TransitKeeper  # noqa: PLC0415

        self._session = VaultSession(settings.server, settings.login)
        self._vault = TransitVault(self._session, mount=settings.mount)
        self._keeper = TransitKeeper(self._session, mount=settings.mount)
        self._database = Database(read_address(settings.database_file))
        self._projects = PostgresProjects(self._database)

    @property
    def projects(self) -> Projects:
        """The projects."""
        return self._projects

    @property
    def vault(self) -> Vault:
        """Signs with root keys."""
        return self._vault

    @property
    def keeper(self) -> VaultKeeper:
        """Makes and destroys keys."""
        return self._keeper

    @property
    def transit(self) -> TransitKeeper | None:
        """What rotates keys."""
        return self._keeper

    @contextmanager
    def ledger(self, project: Project) -> Iterator[Ledger]:
        """Open a project's ledger."""
        from tarnhelm.linkage.core.ledger_postgres import PostgresLedger  # noqa: PLC0415

        found = PostgresLedger(self._database, project.id)
        try:
            yield found
        finally:
            found.close()

    def identities(self, project: Project) -> Identities:
        """Give the names by which the ledger knows people and studies."""
        return Identities.of(self._vault, project)

    def destroy(self, project: Project) -> None:
        """Delete the keys, then the project's rows, of which one stays that says so; then mark the project."""
        self._keeper.destroy(project.id)
        try:
            with self.ledger(project) as ledger:
                ledger.destroy()
        except TarnhelmError as error:
            if error.kind is not PROJECT_DESTROYED:
                raise
        self._projects.mark_destroyed(project.id)

    def close(self) -> None:
        """Close session and pool."""
        self._session.close()
        self._database.close()


def make_epoch_key(place: Place, project: Project) -> None:
    """Make the root key of a project's epoch; one that is there was made before it was broken off."""
    try:
        place.keeper.create(project.id, project.epoch, None)
    except TarnhelmError as error:
        if error.kind is not KEY_FILE_EXISTS:
            raise
