"""What was sent and acknowledged, so that a run that was cut short can go on.

An entry is a keyed digest of where a file lies and what it looked like there; the file itself is not looked into. Neither
a path nor anything out of a file is kept. The journal belongs to one target.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["SendJournal"]

_KEY_BYTES: Final = 32
_ENTRY_BYTES: Final = 16


class SendJournal:
    """The journal of one target, open for one process.

    Parameters
    ----------
    folder
        Private to this user; made with mode 0700.
    target
        Names broker and topic.

    Raises
    ------
    TarnhelmError
        GTW-005 where another process sends to the same target, GTW-006 where the files cannot be read.
    """

    def __init__(self, folder: Path, target: str, random: Callable[[int], bytes] = os.urandom) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._key = _key_in(folder, random)
            name = hmac.digest(self._key, b"target\x00" + target.encode(), hashlib.sha256).hex()[:32]
            fd = os.open(
                folder / f"{name}.sent", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError:
            raise TarnhelmError(errors.STATE_BROKEN) from None
        self._file = os.fdopen(fd, "r+b", buffering=0)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sent = self._read()
        except BlockingIOError:
            self._file.close()
            raise TarnhelmError(errors.STATE_LOCKED) from None
        except OSError:
            self._file.close()
            raise TarnhelmError(errors.STATE_BROKEN) from None
        self._unsynced = False

    def digest_of(self, place: str, member: str, size: int, mtime_ns: int) -> bytes:
        """Return the entry of a file, or of a place in an archive."""
        message = f"{place}\x00{member}\x00{size}\x00{mtime_ns}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, b"file\x00" + message, hashlib.sha256)[:_ENTRY_BYTES]

    def __contains__(self, entry: bytes) -> bool:
        return entry in self._sent

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, entry: bytes) -> None:
        """Note what was acknowledged."""
        if entry not in self._sent:
            self._sent.add(entry)
            self._file.write(entry)
            self._unsynced = True

    def sync(self) -> None:
        """Make the entries durable."""
        if self._unsynced:
            os.fsync(self._file.fileno())
            self._unsynced = False

    def close(self) -> None:
        """Make durable, and let others in."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> set[bytes]:
        found = self._file.read()
        whole = len(found) - len(found) % _ENTRY_BYTES
        if whole != len(found):  # the last entry was cut short by a power cut
            self._file.truncate(whole)
        return {found[at : at + _ENTRY_BYTES] for at in range(0, whole, _ENTRY_BYTES)}


def _key_in(folder: Path, random: Callable[[int], bytes]) -> bytes:
    path = folder / "journal.key"
    making = folder / f".journal.{os.getpid()}.making"
    if not path.exists():
        fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(random(_KEY_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(making, path)
        finally:
            making.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise TarnhelmError(errors.STATE_BROKEN)
    return key
