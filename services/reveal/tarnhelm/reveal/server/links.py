"""Where the server finds links: sealed in the ledger, opened by the vault. It can write neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import PROJECT_NOT_HERE, TarnhelmError
from tarnhelm.linkage.vaults.session import VaultSession
from tarnhelm.linkage.vaults.transit import TransitVault
from tarnhelm.reveal.core.openers.transit import ControlGroup, TransitOpener
from tarnhelm.reveal.settings import read_secret_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from psycopg import Connection

    from tarnhelm.linkage.core.ledger import SealedRecord
    from tarnhelm.linkage.core.postgres import Database
    from tarnhelm.linkage.core.projects import Project, Projects
    from tarnhelm.reveal.core.rows import RootKeys
    from tarnhelm.reveal.server.settings import LinkSettings

__all__ = ["Links", "open_links"]

_HAS_BOOK = "SELECT 1 FROM book WHERE name = %s"


class Links:
    """The projects, their sealed records, and what opens them.

    Parameters
    ----------
    projects
        Read only.
    records
        Sealed records of a project, by kind and handle.
    session
        As ``tarnhelm-reveal``.
    settings
        Mount, and whether a second person is needed in the vault.
    close
        Lets go of what ``projects`` and ``records`` hold.
    """

    def __init__(
        self,
        projects: Projects,
        records: Callable[[str, str, str], Iterator[SealedRecord]],
        session: VaultSession,
        settings: LinkSettings,
        close: Callable[[], None],
    ) -> None:
        self._projects = projects
        self._records = records
        self._session = session
        self._settings = settings
        self._close = close

    @property
    def root_keys(self) -> RootKeys:
        """Signs with root keys."""
        return TransitVault(self._session, mount=self._settings.mount)

    @property
    def waits_for_second_person(self) -> bool:
        """Whether the vault keeps each decryption back."""
        return self._settings.two_person

    def labels(self) -> Mapping[str, str]:
        """Opaque id → label of each project that is not destroyed."""
        return {project.id: project.label for project in self._projects.list()}

    def project(self, opaque: str) -> Project:
        """Give a project by its opaque id; LNK-001, LNK-009, RVL-034."""
        found = self._projects.get(opaque)
        if found.id != opaque:
            raise TarnhelmError(PROJECT_NOT_HERE)
        return found

    def records(self, project: str) -> Callable[[str, str], Iterator[SealedRecord]]:
        """Give the sealed records of a project, by kind and handle."""
        return lambda kind, handle: self._records(project, kind, handle)

    def opener(self, group: ControlGroup) -> TransitOpener:
        """Give what opens records in one use of a case."""
        wanted = group if self._settings.two_person else None
        return TransitOpener(self._session, mount=self._settings.mount, group=wanted)

    def health(self) -> None:
        """Raise what would keep the vault from answering."""
        self._session.check()

    def close(self) -> None:
        """Let go."""
        self._session.close()
        self._close()


def open_links(settings: LinkSettings) -> Links:
    """Open vault and ledger.

    Raises
    ------
    TarnhelmError
        LNK-031, LNK-008, LNK-012, LNK-023; RVL-031 where the database's address cannot be read.
    """
    session = VaultSession(settings.vault, settings.login)
    if settings.state is not None:
        from tarnhelm.linkage.local import LocalLinkage  # noqa: PLC0415 - one of two kinds

        local = LocalLinkage(settings.state)
        return Links(local.projects, local.records, session, settings, _nothing)
    if settings.database_file is None:
        raise AssertionError
    from tarnhelm.linkage.core.postgres import Database  # noqa: PLC0415
    from tarnhelm.linkage.core.projects_postgres import PostgresProjects  # noqa: PLC0415

    database = Database(read_secret_line(settings.database_file))
    return Links(PostgresProjects(database), _reader(database), session, settings, database.close)


def _reader(database: Database) -> Callable[[str, str, str], Iterator[SealedRecord]]:
    from tarnhelm.linkage.core.ledger_postgres import PostgresLedger  # noqa: PLC0415

    def has_book(project: str) -> bool:
        def work(connection: Connection[Any]) -> bool:
            return connection.execute(_HAS_BOOK, (project,)).fetchone() is not None

        return database.use(work)

    def records(project: str, kind: str, handle: str) -> Iterator[SealedRecord]:
        # A project for which nothing was ever assigned has no book, and this role could not open one.
        if has_book(project):
            yield from PostgresLedger(database, project).records(kind, handle)

    return records


def _nothing() -> None:
    """Nothing is held open."""
