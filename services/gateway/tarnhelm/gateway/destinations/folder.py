"""A folder: a private work name, a sync, and a rename that replaces nothing."""

from __future__ import annotations

import errno
import itertools
import os
import posixpath
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.destinations.notices import NoticeFolder
from tarnhelm.gateway.release import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tarnhelm.gateway.destinations.base import FolderDestinationSettings, Notice, Parcel

__all__ = ["FolderDestination"]

_INCOMING: Final = ".incoming"
_LEFT_SECONDS: Final = 3600.0
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class _Written(NamedTuple):
    """One object whose bytes stand under a private name."""

    number: int
    work: str
    fd: int
    target: str
    sha256: str


class FolderDestination:
    """Releases into a folder; what stands there already with the same bytes is done.

    A file has its name only when all of its bytes are on the disk, so whoever watches the folder never meets half an
    object. What a crash left in ``.incoming`` is removed later, when nobody has written to it for an hour.
    """

    def __init__(self, name: str, settings: FolderDestinationSettings) -> None:
        self._name = name
        self._root = str(settings.folder)
        self._incoming = f"{self._root}/{_INCOMING}"
        self._delete_withdrawn = settings.delete_withdrawn
        self._notices = NoticeFolder(settings.folder / "withdrawn")
        self._swept = False
        self._mark = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._behind: set[str] = set()
        """Folders whose sync has failed."""

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
        (error,) = self.deliver_all([parcel])
        if error is not None:
            raise error

    def deliver_all(self, parcels: Iterable[Parcel]) -> list[TarnhelmError | None]:
        """Write several objects; each has its own answer, and all of them share the syncs of their folders.

        The disk is at work on the first while the next are written, so that the sync of each finds little to do.
        """
        answers: list[TarnhelmError | None] = []
        written: list[_Written] = []
        folders: set[str] = set()
        try:
            for number, parcel in enumerate(parcels):
                answers.append(None)
                with _told_in(answers, number):
                    target = self._target(parcel.path)
                    if os.path.lexists(target):
                        self._compare(target, parcel.sha256)
                        folders.add(posixpath.dirname(target))
                    else:
                        work = self._work_name()
                        written.append(_Written(number, work, self._write(work, parcel), target, parcel.sha256))
            for one in written:
                with _told_in(answers, one.number):
                    os.fsync(one.fd)
                    _let_go(one.fd)
            for one in written:
                if answers[one.number] is None:
                    with _told_in(answers, one.number):
                        self._name_it(one, folders)
        finally:
            for one in written:
                os.close(one.fd)
                with suppress(OSError):  # what stays is swept later
                    os.unlink(one.work)  # noqa: PTH108  # once per object: a Path costs more than the call
        return self._synced(folders, answers)

    def _synced(self, folders: set[str], answers: list[TarnhelmError | None]) -> list[TarnhelmError | None]:
        """Make the new names durable; where that fails nothing counts as delivered, and it is done the next time."""
        behind = self._behind - folders
        try:
            for folder in folders:
                _sync(folder)
            for folder in behind:
                with suppress(FileNotFoundError):  # a withdrawal may have removed it
                    _sync(folder)
        except OSError as error:
            self._behind |= folders
            return [answer or _told(error) for answer in answers]
        self._behind -= folders | behind
        return answers

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
                target = Path(self._target(path))
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

    def _target(self, path: str) -> str:
        """Return where a path lies below the folder; paths are made of surrogates here, so another is a fault."""
        if not path or any(not part or part.startswith(".") for part in path.split("/")):
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        return f"{self._root}/{path}"

    def _work_name(self) -> str:
        """Return a name in ``.incoming`` that no other process and no other call has."""
        if not self._swept:
            folder = Path(self._incoming)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in folder.iterdir():
                with suppress(FileNotFoundError):  # another process sweeps too
                    if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                        left.unlink()
            self._swept = True
        return f"{self._incoming}/{os.getpid()}-{self._mark}-{next(self._numbers)}"

    @staticmethod
    def _write(work: str, parcel: Parcel) -> int:
        """Write all bytes and have the disk begin; returns the open file."""
        try:
            fd = os.open(work, _NEW_FILE, 0o640)
        except FileNotFoundError:  # somebody tidied up
            os.makedirs(posixpath.dirname(work), mode=0o700, exist_ok=True)  # noqa: PTH103
            fd = os.open(work, _NEW_FILE, 0o640)
        try:
            for piece in parcel.open():
                left = memoryview(piece)
                while left:
                    left = left[os.write(fd, left) :]
            _let_go(fd)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                os.unlink(work)  # noqa: PTH108
            raise
        return fd

    def _name_it(self, one: _Written, folders: set[str]) -> None:
        """Give it its name; ``link`` refuses one that is taken, on every file system that has hard links.

        ``folders`` gets those that have to be synced.
        """
        work, target = one.work, one.target
        try:
            try:
                os.link(work, target)
            except FileNotFoundError:
                folders.update(_made(posixpath.dirname(target), self._root))
                os.link(work, target)
        except FileExistsError:
            self._compare(target, one.sha256)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise
            if os.path.lexists(target):
                self._compare(target, one.sha256)
            else:
                os.rename(work, target)  # noqa: PTH104
        folders.add(posixpath.dirname(target))

    @staticmethod
    def _compare(target: str, sha256: str) -> None:
        """Pass what a crash left before its folder was synced; raises DLV-012 for anything else."""
        if not stat.S_ISREG(os.lstat(target).st_mode) or sha256_of(Path(target)) != sha256:
            raise TarnhelmError(errors.DELIVERY_NAME_TAKEN)


def _made(folder: str, root: str) -> list[str]:
    """Make a folder; it and those above it that have to be synced."""
    found = [folder]
    above = folder
    while not posixpath.isdir(above) and above != root:
        above = posixpath.dirname(above)
        found.append(above)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return found


def _let_go(fd: int) -> None:
    """Have the disk begin with what is written, and drop from memory what it has: nobody here reads it again."""
    with suppress(OSError):  # advice: a file system may not know it
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _told_in(answers: list[TarnhelmError | None], number: int) -> Iterator[None]:
    """Write an error down as the answer for one object."""
    try:
        yield
    except TarnhelmError as error:
        answers[number] = error
    except OSError as error:
        answers[number] = _told(error)


def _told(error: OSError) -> TarnhelmError:
    return TarnhelmError(errors.NO_SPACE if error.errno in _FULL else errors.FOLDER_UNWRITABLE)
