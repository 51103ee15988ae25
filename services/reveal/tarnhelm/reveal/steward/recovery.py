"""The recovery key: backups are sealed to its public half; its private half exists only as shares.

Any ``k`` of ``n`` shares give it back, fewer tell nothing of it (Shamir 1979). A share is 33 words of SLIP-39, whose
last three are a checksum (RS1024), so that it can be written on paper and typed again. The machine keeps the public
half: it makes backups and cannot read them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from shamir_mnemonic import MnemonicError, Share, combine_mnemonics, generate_mnemonics

from tarnhelm.common.errors import BAD_RECOVERY_KEY, BAD_SHARE, SHARES_DO_NOT_FIT, TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory, read_private, write_private
from tarnhelm.linkage.custodian import check_public_key, fingerprint
from tarnhelm.reveal.core.documents import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["RecoveryKey", "join_shares", "keep_recovery_key", "new_shares", "read_recovery_key"]

_MOST: Final = 16
_LONGEST: Final = 2_000
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """The public half.

    Attributes
    ----------
    public
        X25519, 32 bytes.
    needed, shares
        So many of so many give the private half back.
    """

    public: bytes
    needed: int
    shares: int

    @property
    def fingerprint(self) -> str:
        """To compare by eye."""
        return fingerprint(self.public)


def new_shares(needed: int, shares: int, random: Callable[[int], bytes]) -> tuple[RecoveryKey, tuple[str, ...]]:
    """Make a recovery key and its shares; the private half is nowhere afterwards.

    The polynomial's coefficients are drawn by the library from the system's source.

    Raises
    ------
    TarnhelmError
        STW-017 where the numbers are out of bounds: one person alone must never be enough.
    """
    if not 2 <= needed <= shares <= _MOST:
        raise TarnhelmError(BAD_RECOVERY_KEY)
    secret = random(32)
    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    (words,) = generate_mnemonics(1, [(needed, shares)], secret, iteration_exponent=0)
    return RecoveryKey(public, needed, shares), tuple(words)


def join_shares(texts: Sequence[str]) -> X25519PrivateKey:
    """Give the private half back from shares, in any order.

    Raises
    ------
    TarnhelmError
        STW-010 with the number of a share whose checksum is wrong; STW-011 where they are too few or of several keys.
    """
    found: dict[tuple[int, int], str] = {}
    wanted = 0
    for index, text in enumerate(texts, 1):
        words = " ".join(text.lower().split())
        try:
            if len(text) > _LONGEST:
                raise TarnhelmError(BAD_SHARE, index=index)
            share = Share.from_mnemonic(words)
        except (MnemonicError, ValueError, KeyError):
            raise TarnhelmError(BAD_SHARE, index=index) from None
        wanted = share.member_threshold
        found[share.identifier, share.index] = words
    # More than are needed is no mistake of theirs; the library wants exactly as many.
    chosen = list(found.values())[:wanted]
    try:
        if len({identifier for identifier, _ in found}) != 1 or len(chosen) < wanted:
            raise TarnhelmError(SHARES_DO_NOT_FIT, wanted=wanted)
        return X25519PrivateKey.from_private_bytes(combine_mnemonics(chosen))
    except (MnemonicError, ValueError):
        raise TarnhelmError(SHARES_DO_NOT_FIT, wanted=wanted) from None


def keep_recovery_key(path: Path, key: RecoveryKey) -> None:
    """Write the public half; LNK-016 where there is one: old backups need the old shares, so it is not exchanged."""
    document = {"format": _FORMAT, "public": key.public.hex(), "needed": key.needed, "shares": key.shares}
    private_directory(path.parent)
    write_private(path, canonical(document) + b"\n", replace=False)


def read_recovery_key(path: Path) -> RecoveryKey:
    """Read the public half; STW-017."""
    content = read_private(path)
    try:
        document = json.loads(content or b"")
        found = RecoveryKey(
            check_public_key(bytes.fromhex(document["public"])), int(document["needed"]), int(document["shares"])
        )
    except (ValueError, KeyError, TypeError, TarnhelmError):
        raise TarnhelmError(BAD_RECOVERY_KEY) from None
    return found
