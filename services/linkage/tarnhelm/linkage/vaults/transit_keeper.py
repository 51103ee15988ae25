"""The life of a project's keys in the Transit engine: made, rotated, rewrapped, destroyed; never used here.

The steward's identity has the policy ``helm/tarnhelm-linkage/files/steward.hcl``: neither encrypt nor decrypt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import (
    BAD_PIN,
    KEY_FILE_EXISTS,
    KEY_MISSING,
    KEY_VERSION_CLOSED,
    NO_CUSTODIAN_HERE,
    PROJECT_DESTROYED,
    RECORD_DAMAGED,
    VAULT_SETTINGS,
    VAULT_UNAVAILABLE,
    TarnhelmError,
)
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.vaults.transit_names import (
    MOUNT,
    cipher_version,
    destroyed_mark,
    is_root_key,
    root_key,
    seal_context,
    seal_key,
)
from tarnhelm.linkage.vaults.transit_wire import batches, ciphertexts, decided, is_destroyed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tarnhelm.linkage.vaults.session import VaultSession

__all__ = ["SealKeyState", "TransitKeeper"]

_ROOT: Final = {"type": "hmac", "key_size": 32}
_SEAL: Final = {"type": "aes256-gcm96", "derived": True}


@dataclass(frozen=True, slots=True)
class SealKeyState:
    """Versions of a project's seal key.

    Attributes
    ----------
    latest
        What is sealed now is sealed with this one.
    min_decryption
        Older ones open nothing any more.
    """

    latest: int
    min_decryption: int


class TransitKeeper:
    """Implements :class:`~tarnhelm.linkage.vaults.base.VaultKeeper`, and what rotation needs.

    Parameters
    ----------
    session
        An identity with the policy ``steward``.
    mount
        Where the Transit engine is mounted.
    """

    def __init__(self, session: VaultSession, *, mount: str = MOUNT) -> None:
        self._session = session
        self._mount = mount

    # --- making and destroying -------------------------------------------------------------------------------

    def create(self, project: str, epoch: int, custodian: bytes | None) -> None:
        """Make an epoch's root key, and the seal key with the first one.

        Two that make the same epoch at the same time make one key: the engine never replaces one.

        Raises
        ------
        TarnhelmError
            LNK-016 where the epoch has a key, LNK-009 where the project was destroyed, LNK-032 where a
            custodian is named (who may open is the server's policy here), LNK-031 where a key of the seal
            key's name exists and is not as it must be.
        """
        if custodian is not None:
            raise TarnhelmError(NO_CUSTODIAN_HERE)
        self._refuse_destroyed(project)
        if self._read(root_key(project, epoch)) is not None:
            raise TarnhelmError(KEY_FILE_EXISTS)
        # The root comes last: a project whose root exists is complete.
        self._make(seal_key(project), _SEAL)
        self._make(root_key(project, epoch), _ROOT)
        if is_destroyed(self._session, self._mount, project):
            # Destroyed by another steward in between, who may have listed the keys before these were there.
            self.destroy(project)
            raise TarnhelmError(PROJECT_DESTROYED)

    def destroy(self, project: str) -> None:
        """Delete every key of the project, and leave a mark so that none is ever made again.

        The mark comes first. ``deletion_allowed`` is set for each key just before it is deleted, and for no
        other reason anywhere. What died half-way is finished by calling it again.
        """
        self._make(destroyed_mark(project), _ROOT)
        wanted = seal_key(project)
        listed = self._session.request("list", f"{self._mount}/keys")
        names: Any = [] if listed.no_key else decided(listed).data.get("keys")
        if not isinstance(names, list):
            raise TarnhelmError(VAULT_SETTINGS)
        for name in sorted(str(entry) for entry in names):
            if name == wanted or is_root_key(name, project):
                self._configure(name, {"deletion_allowed": True})
                decided(self._session.request("delete", f"{self._mount}/keys/{name}"))

    # --- rotation --------------------------------------------------------------------------------------------

    def seal_key_state(self, project: str) -> SealKeyState:
        """Give the versions of the seal key; LNK-009, LNK-010."""
        found = self._seal_key(project)
        return SealKeyState(_number(found, "latest_version"), _number(found, "min_decryption_version"))

    def rotate(self, project: str) -> int:
        """Make a new version of the seal key and give its number; what is sealed from now on is sealed with it.

        Assigners need not know. Records of older versions still open; :meth:`rewrap` brings them up to date.
        Root keys are never rotated: that would be another derivation, which is a new epoch.
        """
        self._seal_key(project)
        answer = self._session.request("post", f"{self._mount}/keys/{seal_key(project)}/rotate", {})
        return _number(decided(answer).data, "latest_version")

    def rewrap(self, project: str, records: Sequence[SealedRecord]) -> list[bytes]:
        """Seal records anew with the latest version of the key; the plaintext does not leave the server.

        A record of the latest version is given back as it is, so that whoever walks a ledger again and again
        (:meth:`~tarnhelm.linkage.core.ledger.Ledger.reseal`) finds an end.

        Raises
        ------
        TarnhelmError
            LNK-015 with the index of a record that was changed or cut, or is not where it was sealed for;
            LNK-033 with the index of one whose key version is closed; LNK-009, LNK-010.
        """
        state = self.seal_key_state(project)
        versions = [cipher_version(record.sealed) for record in records]
        renewed = [record.sealed for record in records]
        if 0 in versions:
            raise TarnhelmError(RECORD_DAMAGED, index=versions.index(0))
        old = [index for index, version in enumerate(versions) if version < state.latest]
        for batch in batches(old, [len(records[index].sealed) for index in old]):
            self._rewrap(project, state, {index: records[index] for index in batch}, renewed)
        return renewed

    def set_min_decryption_version(self, project: str, version: int) -> None:
        """Close the key versions before ``version``; what is still sealed with them opens no more.

        Rewrap first. It may be lowered again: the versions are closed, not deleted. LNK-005 for a version
        that the key does not have.
        """
        if not 1 <= version <= self.seal_key_state(project).latest:
            raise TarnhelmError(BAD_PIN)
        self._configure(seal_key(project), {"min_decryption_version": version})

    def _rewrap(
        self, project: str, state: SealKeyState, batch: Mapping[int, SealedRecord], renewed: list[bytes]
    ) -> None:
        wanted = [
            {
                "ciphertext": record.sealed.decode("ascii"),
                "context": seal_context(project, record_context(record.kind, record.handle)),
            }
            for record in batch.values()
        ]
        answer = self._session.request("post", f"{self._mount}/rewrap/{seal_key(project)}", {"batch_input": wanted})
        # The engine says it record by record, under whichever status.
        results: Any = answer.data.get("batch_results") or []
        for (index, record), result in zip(batch.items(), results, strict=False):
            if isinstance(result, dict) and result.get("error"):
                closed = cipher_version(record.sealed) < state.min_decryption
                raise TarnhelmError(KEY_VERSION_CLOSED if closed else RECORD_DAMAGED, index=index)
        if answer.no_key:
            raise self._no_key(project)
        for index, sealed in zip(batch, ciphertexts(decided(answer), len(batch)), strict=True):
            renewed[index] = sealed

    # --- keys ------------------------------------------------------------------------------------------------

    def _make(self, name: str, kind: Mapping[str, Any]) -> None:
        """Make a key, or take the one that is there if it is what would have been made."""
        found = decided(self._session.request("post", f"{self._mount}/keys/{name}", kind)).data
        derived = kind.get("derived", False)
        weak = any(found.get(flag) for flag in ("exportable", "allow_plaintext_backup", "convergent_encryption"))
        if weak or found.get("type") != kind["type"] or found.get("derived", False) is not derived:
            raise TarnhelmError(VAULT_SETTINGS)

    def _read(self, name: str) -> Mapping[str, Any] | None:
        answer = self._session.request("get", f"{self._mount}/keys/{name}")
        return None if answer.no_key else decided(answer).data

    def _configure(self, name: str, settings: Mapping[str, Any]) -> None:
        decided(self._session.request("post", f"{self._mount}/keys/{name}/config", settings))

    def _seal_key(self, project: str) -> Mapping[str, Any]:
        found = self._read(seal_key(project))
        if found is None:
            raise self._no_key(project)
        return found

    def _no_key(self, project: str) -> TarnhelmError:
        gone = is_destroyed(self._session, self._mount, project)
        return TarnhelmError(PROJECT_DESTROYED) if gone else TarnhelmError(KEY_MISSING, epoch=0)

    def _refuse_destroyed(self, project: str) -> None:
        if is_destroyed(self._session, self._mount, project):
            raise TarnhelmError(PROJECT_DESTROYED)


def _number(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    if not isinstance(value, int):
        raise TarnhelmError(VAULT_UNAVAILABLE)
    return value
