"""The vault of a hospital: root keys and seal keys in the Transit engine of OpenBao or HashiCorp Vault.

Keys never leave the server. Its policies, not this code, decide who may do what: the files
``helm/tarnhelm-linkage/files/{assign,reveal,steward}.hcl`` belong to the methods here, and
:mod:`~tarnhelm.linkage.vaults.transit_names` says what the keys are called.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import KEY_MISSING, PROJECT_DESTROYED, VAULT_UNAVAILABLE, TarnhelmError
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.transit_names import MOUNT, root_key, seal_context, seal_key
from tarnhelm.linkage.vaults.transit_wire import as_text, batches, ciphertexts, decided, is_destroyed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.linkage.vaults.session import VaultSession

__all__ = ["TransitVault"]

_HMAC: Final = re.compile(r"vault:v1:([A-Za-z0-9+/]{43}=)")


class TransitVault:
    """Implements :class:`~tarnhelm.linkage.vaults.base.Vault`; safe among threads.

    Besides the codes of the protocol every method may raise LNK-030 (RETRY) where the server does not take
    this process's identity or its policy forbids what it needs, and LNK-031 where a key is not as it must be.
    A seal that its policy forbids and a seal key that is not there look alike from here, because a role
    without ``create`` is not told the difference: both are LNK-010.

    Parameters
    ----------
    session
        An identity with the policy ``assign``; ``hmac`` works for ``reveal`` and ``steward`` too.
    mount
        Where the Transit engine is mounted.
    """

    def __init__(self, session: VaultSession, *, mount: str = MOUNT) -> None:
        self._session = session
        self._mount = mount

    def hmac(self, project: str, epoch: int, data: bytes) -> bytes:
        """HMAC-SHA-256 under the root key of the epoch, always under the key's first version."""
        # The policy allows the value "1" alone. As text, because a policy compares numbers with nothing.
        body = {"input": as_text(data), "key_version": "1"}
        answer = self._session.request("post", f"{self._mount}/hmac/{root_key(project, epoch)}", body)
        if answer.no_key:
            raise self._no_key(project, epoch)
        found = _HMAC.fullmatch(str(decided(answer).data.get("hmac")))
        if found is None:
            raise TarnhelmError(VAULT_UNAVAILABLE)
        return base64.b64decode(found.group(1))

    def seal(self, project: str, plaintext: bytes, context: bytes) -> bytes:
        """Seal one record to whom the server lets decrypt with the project's seal key."""
        return self.seal_batch(project, [SealItem(plaintext, context)])[0]

    def seal_batch(self, project: str, items: Sequence[SealItem]) -> list[bytes]:
        """Seal many records in as few requests as can be; all or, where it raises, none is given."""
        path = f"{self._mount}/encrypt/{seal_key(project)}"
        sealed: list[bytes] = []
        for batch in batches(items, [len(item.plaintext) for item in items]):
            wanted = [
                {"plaintext": as_text(item.plaintext), "context": seal_context(project, item.context)} for item in batch
            ]
            answer = self._session.request("post", path, {"batch_input": wanted})
            if answer.no_key or answer.denied:
                raise self._no_key(project, 0)
            sealed += ciphertexts(decided(answer), len(batch))
        return sealed

    def health(self) -> None:
        """Ask the server about this session's token: a sealed server, and one that is away, cannot tell."""
        self._session.check()

    def who_can_reidentify(self, project: str) -> str:
        """Who holds the way back of a project."""
        if is_destroyed(self._session, self._mount, project):
            raise TarnhelmError(PROJECT_DESTROYED)
        return (
            f"Whoever the vault server lets decrypt with the key {seal_key(project)} (the policy tarnhelm-reveal) can "
            "re-identify the project's subjects, and so can whoever may change the server's policies; this service "
            "can write links and not read them. Whoever may sign with its root key can besides test guesses of "
            "Patient IDs."
        )

    def _no_key(self, project: str, epoch: int) -> TarnhelmError:
        if is_destroyed(self._session, self._mount, project):
            return TarnhelmError(PROJECT_DESTROYED)
        return TarnhelmError(KEY_MISSING, epoch=epoch)
