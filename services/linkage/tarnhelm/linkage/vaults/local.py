"""The vault of one machine: key files of mode 0600 in the private state directory.

::

    keys/<project id>/root-<epoch>.key     32 random bytes
    keys/<project id>/recipient.pub        the reader's X25519 public key, 32 bytes
    keys/<project id>/recipient.pem        the reader's private half, only where no custodian was named
    keys/<project id>/destroyed            the project's keys are gone; none is ever made again

With a custodian this machine can write links and not read them. Whoever can read ``root-*.key`` can derive
pseudonyms, so he can test whether a guessed Patient ID belongs to a pseudonym: keep the directory from others.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tarnhelm.common.errors import (
    BAD_PIN,
    KEY_FILE_EXISTS,
    KEY_MISSING,
    PROJECT_DESTROYED,
    TarnhelmError,
)
from tarnhelm.linkage.core.private_files import erase, locked, private_directory, read_private, write_private
from tarnhelm.linkage.custodian import check_public_key, fingerprint
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.envelope import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["LocalVault"]

_RECIPIENT: Final = "recipient.pub"
_READER: Final = "recipient.pem"
_DESTROYED: Final = "destroyed"


class LocalVault:
    """Implements :class:`~tarnhelm.linkage.vaults.base.Vault` and ``VaultKeeper`` on files.

    Parameters
    ----------
    state_directory
        The private state directory; made if missing.
    random
        Gives n random bytes.
    """

    def __init__(self, state_directory: Path, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = private_directory(private_directory(state_directory) / "keys")
        self._random = random
        self._sealers: dict[str, Sealer] = {}

    # --- what assigning needs --------------------------------------------------------------------------------

    def hmac(self, project: str, epoch: int, data: bytes) -> bytes:
        """HMAC-SHA-256 under the root key of the epoch; the key is read for the call and not kept."""
        folder = self._folder(project)
        root = read_private(folder / f"root-{epoch}.key")
        if root is None or len(root) != 32:
            raise TarnhelmError(KEY_MISSING, epoch=epoch)
        return hmac.digest(root, data, "sha256")

    def seal(self, project: str, plaintext: bytes, context: bytes) -> bytes:
        """Seal one record to the project's reader."""
        return self.seal_batch(project, [SealItem(plaintext, context)])[0]

    def seal_batch(self, project: str, items: Sequence[SealItem]) -> list[bytes]:
        """Seal many records to the project's reader."""
        folder = self._folder(project)
        sealer = self._sealers.get(project)
        if sealer is None:
            sealer = self._sealers[project] = Sealer(project, self._recipient(folder), random=self._random)
        return sealer.seal(items)

    def health(self) -> None:
        """Check that the key directory is there and ours alone."""
        private_directory(self._keys)

    def recipient(self, project: str) -> bytes:
        """Give the reader's public key, 32 bytes."""
        return self._recipient(self._folder(project))

    def who_can_reidentify(self, project: str) -> str:
        """Who holds the way back of a project."""
        folder = self._folder(project)
        shown = fingerprint(self._recipient(folder))
        guess = "Whoever can read its derivation key can besides test guesses of Patient IDs."
        if (folder / _READER).exists():
            return (
                "No custodian was named: whoever can read the private state directory of this machine can "
                f"re-identify the project's subjects (key {shown}). {guess}"
            )
        return (
            f"The holder of the custodian's private key (fingerprint {shown}) can re-identify the project's subjects; "
            f"this machine can write links and not read them. {guess}"
        )

    # --- the life of keys ------------------------------------------------------------------------------------

    def create(self, project: str, epoch: int, custodian: bytes | None) -> None:
        """Make an epoch's root key; the first one fixes the reader of the way back as well."""
        folder = private_directory(self._path(project))
        with locked(folder):
            if (folder / _DESTROYED).exists():
                raise TarnhelmError(PROJECT_DESTROYED)
            root = folder / f"root-{epoch}.key"
            if root.exists():
                raise TarnhelmError(KEY_FILE_EXISTS)
            if read_private(folder / _RECIPIENT) is None:
                self._fix_reader(folder, custodian)
            elif custodian is not None and custodian != self._recipient(folder):
                raise TarnhelmError(BAD_PIN)
            # The root comes last: a project whose root exists is complete.
            write_private(root, self._random(32), replace=False)

    def destroy(self, project: str) -> None:
        """Erase every key of the project and leave a mark, so that none is ever made again."""
        folder = private_directory(self._path(project))
        with locked(folder):
            write_private(folder / _DESTROYED, b"", replace=True)
            for path in sorted(folder.iterdir()):
                if path.suffix in {".key", ".pub", ".pem", ".tmp"}:
                    erase(path)
        self._sealers.pop(project, None)

    def _fix_reader(self, folder: Path, custodian: bytes | None) -> None:
        if custodian is None:
            private = X25519PrivateKey.from_private_bytes(self._random(32))
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(folder / _READER, pem, replace=True)
            custodian = private.public_key().public_bytes_raw()
        write_private(folder / _RECIPIENT, check_public_key(custodian), replace=True)

    # --- places ----------------------------------------------------------------------------------------------

    def _path(self, project: str) -> Path:
        if not (project.isascii() and project.isalnum() and len(project) <= 64):
            raise TarnhelmError(BAD_PIN)
        return self._keys / project

    def _folder(self, project: str) -> Path:
        folder = self._path(project)
        if (folder / _DESTROYED).exists():
            raise TarnhelmError(PROJECT_DESTROYED)
        return folder

    @staticmethod
    def _recipient(folder: Path) -> bytes:
        found = read_private(folder / _RECIPIENT)
        if found is None:
            raise TarnhelmError(KEY_MISSING, epoch=0)
        return found
