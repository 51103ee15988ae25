"""A folder: a private work name, a sync, and a rename that replaces nothing."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.destinations.notices import NoticeFolder
from tarnhelm.gateway.release import sha256_of

if TYPE_CHECKING:
    from tarnhelm.gateway.destinations.base import FolderDestinationSettings, Notice, Parcel

__all__ = ["FolderDestination"]

_INCOMING: Final = ".incoming"
_LEFT_SECONDS: Final = 3600.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FolderDestination:
    """Releases into a folder; what stands there already with the same bytes is done.

    A file has its name only when all of its bytes are on the disk, so whoever watches the folder never meets half an
    object. What a crash left in ``.incoming`` is removed later, when nobody has written to it for an hour.
    """

    def __init__(self, name: str, settings: FolderDestinationSettings) -> None:
        self._name = name
        self._root = settings.folder
        self._delete_withdrawn = settings.delete_withdrawn
        self._notices = NoticeFolder(settings.folder / "withdrawn")
        self._swept = False

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    def deliver(self, parcel: Parcel) -> None:
        """Write one object.

        Raises
        ------
        TarnhelmError
            DLV-012 where another file has its name; GTW-004 where the disk is full, DLV-006 where the folder cannot be
            written, both RETRY.
        """
        target = self._target(parcel.path)
        try:
            if _stands(target):
                self._compare(target, parcel.sha256)
                return
            incoming = self._incoming()
            work = incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
            try:
                self._write(work, parcel)
                self._name_it(work, target, parcel.sha256)
            finally:
                work.unlink(missing_ok=True)
        except OSError as error:
            raise _told(error) from None

    def withdraw(self, notice: Notice) -> None:
        """Write the notice, and delete our own copies where that is wanted.

        Raises
        ------
        TarnhelmError
            As for :meth:`deliver`.
        """
        self._notices.write(notice)
        if not self._delete_withdrawn:
            return
        try:
            for path in notice.paths:
                target = self._target(path)
                if not target.is_file() or sha256_of(target) not in notice.contents.get(path, ()):
                    continue  # not ours, or not there
                target.unlink(missing_ok=True)
                for folder in list(target.parents)[: len(PurePosixPath(path).parts) - 1]:
                    if not folder.is_dir() or any(folder.iterdir()):
                        break
                    folder.rmdir()
        except OSError as error:
            raise _told(error) from None

    def close(self) -> None:
        """Nothing is kept open."""

    def _target(self, path: str) -> Path:
        """Return where a path lies below the folder; paths are made of surrogates here, so another is a fault."""
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or any(part in (".", "..") or part.startswith(".") for part in parts):
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        return self._root.joinpath(*parts)

    def _incoming(self) -> Path:
        folder = self._root / _INCOMING
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            for left in folder.iterdir():
                with suppress(FileNotFoundError):  # another process sweeps too
                    if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                        left.unlink()
        return folder

    @staticmethod
    def _write(work: Path, parcel: Parcel) -> None:
        fd = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        with os.fdopen(fd, "wb", buffering=0) as stream:
            for piece in parcel.open():
                left = memoryview(piece)
                while left:
                    left = left[stream.write(left) :]
            os.fsync(stream.fileno())

    def _name_it(self, work: Path, target: Path, sha256: str) -> None:
        """Give it its name; ``link`` refuses one that is taken, on every file system that has hard links."""
        made = _made(target.parent, self._root)
        try:
            target.hardlink_to(work)
        except FileExistsError:
            self._compare(target, sha256)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            if _stands(target):
                self._compare(target, sha256)
            else:
                work.rename(target)
        for folder in made:
            _sync(folder)

    @staticmethod
    def _compare(target: Path, sha256: str) -> None:
        if not stat.S_ISREG(target.lstat().st_mode) or sha256_of(target) != sha256:
            raise TarnhelmError(errors.DELIVERY_NAME_TAKEN)
        _sync(target.parent)  # a crash may have come between its name and the sync of its folder


def _stands(target: Path) -> bool:
    return os.path.lexists(target)


def _made(folder: Path, root: Path) -> list[Path]:
    """Make a folder; it and those above it that have to be synced."""
    found = [folder]
    above = folder
    while not above.is_dir() and above != root:
        above = above.parent
        found.append(above)
    folder.mkdir(parents=True, exist_ok=True)
    return found


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _told(error: OSError) -> TarnhelmError:
    return TarnhelmError(errors.NO_SPACE if error.errno in _FULL else errors.FOLDER_UNWRITABLE)
