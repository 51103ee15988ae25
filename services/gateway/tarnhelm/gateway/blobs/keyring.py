"""The gateway's keys for blobs: files of a folder, the highest number wraps, all of them open."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["KeyRing", "add_key"]

_KEY_BYTES: Final = 32
_FILE: Final = re.compile(r"([1-9][0-9]{0,8})\.key", re.ASCII)
_OTHERS: Final = 0o007
_LABEL: Final = b"tarnhelm blob wrap v1\x00"


@dataclass(frozen=True, slots=True)
class _Ring:
    """One look at the folder."""

    stamp: int
    current: int
    keys: Mapping[int, bytes]


class KeyRing:
    """Keys by number, out of files ``NUMBER.key`` of 32 bytes in one folder, as a mounted secret is one.

    A new file is taken up without a restart: the folder's time is looked at whenever a key is asked for, and a number
    that is not known makes it look again. Whoever destroys a key's file, after all heads were rewrapped, destroys
    with it every copy of a purged head that a backup still holds.

    Parameters
    ----------
    folder
        Where the files are.

    Raises
    ------
    TarnhelmError
        BLB-006 where there is no key, one of a wrong length, or one that others may read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ring = self._read()

    @property
    def current(self) -> int:
        """Number of the key that new blobs are wrapped with."""
        return self._fresh().current

    def wrapping_key(self, key_id: int, salt: bytes) -> bytes:
        """Derive the key that wraps one head: a random salt each, so that no nonce ever meets its like.

        Raises
        ------
        TarnhelmError
            BLB-005 where the ring has no such key.
        """
        key = self._fresh().keys.get(key_id)
        if key is None:
            with self._lock:
                self._ring = self._read()
            key = self._ring.keys.get(key_id)
        if key is None:
            raise TarnhelmError(errors.BLOB_KEY_MISSING, key=key_id)
        return hmac.digest(key, _LABEL + salt, hashlib.sha256)

    def _fresh(self) -> _Ring:
        ring = self._ring
        if _stamp(self._folder) != ring.stamp:
            with self._lock:
                ring = self._ring = self._read()
        return ring

    def _read(self) -> _Ring:
        stamp = _stamp(self._folder)
        try:
            found = {
                int(match[1]): _key(path) for path in self._folder.iterdir() if (match := _FILE.fullmatch(path.name))
            }
        except OSError:
            raise TarnhelmError(errors.BLOB_RING_UNUSABLE) from None
        if not found:
            raise TarnhelmError(errors.BLOB_RING_UNUSABLE)
        return _Ring(stamp, max(found), found)


def add_key(folder: Path, random: Callable[[int], bytes] = os.urandom) -> int:
    """Make a key with the next number, 1 in an empty or missing folder; returns the number.

    The file appears whole or not at all, and is durable before this returns: a blob that is wrapped with a key that a
    power cut takes away would be lost.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    numbers = [int(match[1]) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))]
    number = max(numbers, default=0) + 1
    path, making = folder / f"{number}.key", folder / f".{number}.{os.getpid()}.making"
    try:
        fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(random(_KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        os.link(making, path)  # fails where another was faster: no key is ever replaced
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)
    except OSError:
        raise TarnhelmError(errors.BLOB_RING_UNUSABLE) from None
    finally:
        making.unlink(missing_ok=True)
    return number


def _stamp(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        raise TarnhelmError(errors.BLOB_RING_UNUSABLE) from None


def _key(path: Path) -> bytes:
    with path.open("rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        key = stream.read(_KEY_BYTES + 1)
    if mode & _OTHERS or len(key) != _KEY_BYTES:
        raise TarnhelmError(errors.BLOB_RING_UNUSABLE)
    return key
