"""The form of a backup: a stream of sealed pieces between a header and an end.

::

    {"backup": {"format", "id", "what", "recovery", "fingerprint", "needed", "made"}}     a line of canonical JSON
    4 bytes length, big endian ‖ one sealed record (linkage/vaults/envelope.py)            any number, 1 MiB each
    4 bytes of zero

A piece is bound to the backup's id, to its number, and to whether it is the last one: no piece can be left out, put
elsewhere or cut off. The first piece says the sha256 of the header, so that it cannot be exchanged either.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import BACKUP_UNREADABLE, TarnhelmError
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.custodian import fingerprint
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.envelope import Sealer
from tarnhelm.reveal.core.documents import canonical
from tarnhelm.reveal.core.openers.local import SealReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from tarnhelm.reveal.steward.recovery import RecoveryKey

__all__ = ["BackupHead", "open_backup", "read_head", "write_backup"]

_FORMAT: Final = 1
_PIECE: Final = 1 << 20
_LONGEST_PIECE: Final = _PIECE + 4096
_LONGEST_HEAD: Final = 4096


@dataclass(frozen=True, slots=True)
class BackupHead:
    """What stands before the pieces, in the clear.

    Attributes
    ----------
    id
        32 hex digits.
    what
        ``local`` or ``transit``.
    public
        The recovery key it is sealed to.
    needed
        So many shares open it.
    made
        Seconds since 1970.
    """

    id: str
    what: str
    public: bytes
    needed: int
    made: int

    @property
    def fingerprint(self) -> str:
        """Of the recovery key."""
        return fingerprint(self.public)

    def to_bytes(self) -> bytes:
        """One line, with its end."""
        document = {
            "format": _FORMAT,
            "id": self.id,
            "what": self.what,
            "recovery": self.public.hex(),
            "fingerprint": self.fingerprint,
            "needed": self.needed,
            "made": self.made,
        }
        return canonical({"backup": document}) + b"\n"


def write_backup(
    target: IO[bytes],
    key: RecoveryKey,
    what: str,
    content: Iterable[bytes],
    *,
    now: int,
    random: Callable[[int], bytes],
) -> str:
    """Seal a stream to the recovery key; gives sha256 (hex) of all that was written."""
    head = BackupHead(random(16).hex(), what, key.public, key.needed, now)
    sealer = Sealer(_sealed_as(head), key.public, random=random)
    digest = hashlib.sha256()

    def write(raw: bytes) -> None:
        digest.update(raw)
        target.write(raw)

    write(head.to_bytes())
    opening = hashlib.sha256(head.to_bytes()).digest()
    for number, (piece, last) in enumerate(_pieces(opening, content)):
        item = SealItem(piece, _context(number, last=last))
        (sealed,) = sealer.seal([item])
        write(len(sealed).to_bytes(4, "big") + sealed)
    write(bytes(4))
    return digest.hexdigest()


def read_head(source: IO[bytes]) -> BackupHead:
    """Read the header; STW-012."""
    try:
        line = source.readline(_LONGEST_HEAD)
        fields: dict[str, Any] = json.loads(line)["backup"]
        found = BackupHead(
            str(fields["id"]),
            str(fields["what"]),
            bytes.fromhex(fields["recovery"]),
            int(fields["needed"]),
            int(fields["made"]),
        )
        right = found.to_bytes() == line and len(found.public) == 32
    except (ValueError, KeyError, TypeError, OSError):
        raise TarnhelmError(BACKUP_UNREADABLE) from None
    if not right:
        raise TarnhelmError(BACKUP_UNREADABLE)
    return found


def open_backup(source: IO[bytes], key: X25519PrivateKey) -> Iterator[bytes]:
    """Open a backup piece by piece; only where the last one came is it whole.

    Parameters
    ----------
    source
        From the beginning.

    Raises
    ------
    TarnhelmError
        STW-012 where it was changed, cut, or is sealed to another key.
    """
    head = read_head(source)
    if key.public_key().public_bytes_raw() != head.public:
        raise TarnhelmError(BACKUP_UNREADABLE)
    reader = SealReader(key)
    held = _next(source)
    number = 0
    while held:
        following = _next(source)
        record = SealedRecord(_sealed_as(head), "backup", _place(number, last=not following), held)
        try:
            piece = reader.open(record, number)
        except TarnhelmError:
            raise TarnhelmError(BACKUP_UNREADABLE) from None
        if number == 0:
            if piece[:32] != hashlib.sha256(head.to_bytes()).digest():
                raise TarnhelmError(BACKUP_UNREADABLE)
            piece = piece[32:]
        yield piece
        held, number = following, number + 1
    if number == 0 or source.read(1):
        raise TarnhelmError(BACKUP_UNREADABLE)


def _pieces(opening: bytes, content: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Cut a stream into pieces, the last one marked; there is always one."""
    gathered = bytearray(opening)
    for chunk in content:
        gathered += chunk
        while len(gathered) > _PIECE:
            yield bytes(gathered[:_PIECE]), False
            del gathered[:_PIECE]
    yield bytes(gathered), True


def _next(source: IO[bytes]) -> bytes:
    size = int.from_bytes(_exactly(source, 4), "big")
    if size > _LONGEST_PIECE:
        raise TarnhelmError(BACKUP_UNREADABLE)
    return _exactly(source, size)


def _exactly(source: IO[bytes], size: int) -> bytes:
    try:
        found = source.read(size)
    except OSError:
        raise TarnhelmError(BACKUP_UNREADABLE) from None
    if len(found) != size:
        raise TarnhelmError(BACKUP_UNREADABLE)
    return found


def _context(number: int, *, last: bool) -> bytes:
    return record_context("backup", _place(number, last=last))


def _place(number: int, *, last: bool) -> str:
    return f"{number} {'last' if last else 'more'}"


def _sealed_as(head: BackupHead) -> str:
    return f"backup {head.id}"
