"""Linkage on one machine: projects, vault and ledgers of one private state directory."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import (
    BAD_CUSTODIAN_KEY,
    KEY_FILE_EXISTS,
    LEDGER_DAMAGED,
    LEDGER_VERSION,
    PROJECT_DESTROYED,
    TarnhelmError,
)
from tarnhelm.linkage.core.assign import CacheSizes, LocalAssigner
from tarnhelm.linkage.core.identities import Identities
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.private_files import erase, private_directory
from tarnhelm.linkage.core.projects import Project, ProjectSettings, ProjectStore
from tarnhelm.linkage.vaults.local import LocalVault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tarnhelm.linkage.core.ledger import SealedRecord

__all__ = ["LocalLinkage", "open_assigner"]

#: A run meets a patient's files together; what it remembers of earlier ones shall not grow beside the work.
_ONE_RUN: Final = CacheSizes(subjects=1024, uids=2048, values=1024, recorded=1024)


class LocalLinkage:
    """What the command does with projects.

    Parameters
    ----------
    state_directory
        From :func:`~tarnhelm.linkage.core.projects.state_directory`; made with mode 0700 if missing.
    projects, vault
        For another clock or source of randomness.
    """

    def __init__(
        self, state_directory: Path, *, projects: ProjectStore | None = None, vault: LocalVault | None = None
    ) -> None:
        self._folder = private_directory(state_directory)
        self.projects = projects or ProjectStore(state_directory)
        self.vault = vault or LocalVault(state_directory)

    def create(self, label: str, settings: ProjectSettings | None = None) -> Project:
        """Make a project and its keys; raises LNK-002, LNK-004, LNK-005, LNK-006."""
        return self.projects.create(label, settings, before=self._make_keys)

    def create_anonymous(self, settings: ProjectSettings | None = None) -> Project:
        """Make a project for a run that named none."""
        return self.projects.create_anonymous(settings, before=self._make_keys)

    def assigner(self, label: str) -> LocalAssigner:
        """Give an assigner for a project, with a connection and caches of its own."""
        project = self.projects.get(label)
        wanted = project.settings.custodian_public_key
        if wanted and not hmac.compare_digest(wanted, self.vault.recipient(project.id)):
            # Somebody exchanged the key file: links would be sealed to another reader.
            raise TarnhelmError(BAD_CUSTODIAN_KEY)
        return LocalAssigner(project, self.vault, self._ledger(project), caches=_ONE_RUN)

    def ledger(self, label: str) -> SqliteLedger:
        """Open a project's ledger, for the life of its links; whoever opens it closes it."""
        return self._ledger(self.projects.get(label))

    def identities(self, label: str) -> Identities:
        """Give the names by which a project's ledger knows people and studies."""
        return Identities.of(self.vault, self.projects.get(label))

    def open_epoch(self, label: str) -> Project:
        """Open the next epoch, with a key of its own: from then on everybody gets new surrogates.

        Merges, withdrawals and the list hold on. Broken off half-way it can be called again.
        """
        return self.projects.open_epoch(label, before=self._make_epoch_key)

    def records(self, label: str, kind: str = "", handle: str = "") -> Iterator[SealedRecord]:
        """Give the sealed records of a project, for export to whoever holds the private key."""
        ledger = self._ledger(self.projects.get(label))
        try:
            yield from ledger.records(kind, handle)
        finally:
            ledger.close()

    def who_can_reidentify(self, label: str) -> str:
        """Give a sentence for the report."""
        return self.vault.who_can_reidentify(self.projects.get(label).id)

    def destroy(self, label: str) -> Project:
        """Delete a project's keys and its ledger, for good.

        The coding ends: what was released can no longer be led back by this system. It is not thereby
        anonymous. Copies of the key file, of the ledger or of the custodian's key elsewhere are not reached.
        Broken off half-way it can be called again, with the project's opaque id too.
        """
        named = (found for found in self.projects.list() if label in {found.label, found.id})
        project = next(named, None) or self.projects.get(label)
        self.vault.destroy(project.id)
        self._destroy_ledger(project)
        return self.projects.mark_destroyed(project.id)

    def _destroy_ledger(self, project: Project) -> None:
        path = self._folder / "ledger" / f"{project.id}.sqlite"
        if not path.exists():
            return
        try:
            # Emptied under the lock first: a worker that still runs then meets the vault's refusal.
            SqliteLedger(path, project.id).destroy()
        except TarnhelmError as error:
            if error.kind not in {LEDGER_DAMAGED, LEDGER_VERSION, PROJECT_DESTROYED}:
                raise
            erase(path)
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _make_keys(self, project: Project) -> None:
        self.vault.create(project.id, project.epoch, project.settings.custodian_public_key or None)

    def _make_epoch_key(self, project: Project) -> None:
        try:
            self.vault.create(project.id, project.epoch, None)
        except TarnhelmError as error:
            if error.kind is not KEY_FILE_EXISTS:  # made before it was broken off, and never used
                raise

    def _ledger(self, project: Project) -> SqliteLedger:
        folder = private_directory(self._folder / "ledger")
        return SqliteLedger(folder / f"{project.id}.sqlite", project.id)


def open_assigner(state_directory: Path, label: str) -> LocalAssigner:
    """Give an assigner for one worker process; a plain function, so that a worker's start can name it."""
    return LocalLinkage(state_directory).assigner(label)
