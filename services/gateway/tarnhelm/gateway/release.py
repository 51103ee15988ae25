"""The last step: verified bytes get their name in OUT, durably."""

from __future__ import annotations

import ctypes
import errno
import functools
import hashlib
import os
import posixpath
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common.stage import ObjectFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Delivery", "FileMark", "candidate_paths", "deliver", "sha256_of"]

_SAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_SHORT: Final = 8
_AT_FDCWD: Final = -100
_NO_REPLACE: Final = 1


def _safe(text: str, otherwise: str) -> str:
    return _SAFE.sub("-", text)[:64].strip("-") or otherwise


def _short(uid: str, otherwise: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:_SHORT] if uid else otherwise


def candidate_paths(facts: ObjectFacts | None, object_id: str) -> tuple[str, ...]:
    """Surrogate output paths of an object, the shortest first: ``subject/study/series/0001.dcm``.

    Made of surrogates only. The last one holds the object id and so belongs to no other object.
    """
    facts = facts or ObjectFacts()
    folder = _folder(facts.subject_id, facts.study_uid, facts.series_uid)
    instance = _short(facts.sop_uid, object_id[:_SHORT])
    names = [f"{instance}.dcm", f"{instance}-{object_id}.dcm"]
    if 0 < facts.instance_number < 10_000_000:
        names = [f"{facts.instance_number:04d}.dcm", f"{facts.instance_number:04d}-{instance}.dcm", names[-1]]
    return tuple(f"{folder}/{name}" for name in names)


@functools.lru_cache(maxsize=256)
def _folder(subject_id: str, study_uid: str, series_uid: str) -> str:
    return f"{_safe(subject_id, 'subject')}/{_short(study_uid, 'study')}/{_short(series_uid, 'series')}"


@dataclass(frozen=True, slots=True)
class FileMark:
    """What a file looked like: if these are the same, nobody has written to it in between."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path | str) -> FileMark:
        """Return the mark of a file now."""
        status = os.stat(path)  # noqa: PTH116  # once per object: a Path costs more than the call
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One verified file on its way into OUT.

    Attributes
    ----------
    work, target
        Paths.
    mark
        Of the work file when its verdict was asked for; another mark means that these are not those bytes.
    sha256
        Of the verdict; what stands at ``target`` already may be replaced only if it is the same bytes.
    """

    object_id: str
    work: str
    target: str
    mark: FileMark
    sha256: str


def deliver(deliveries: Sequence[Delivery]) -> dict[str, str]:
    """Sync, rename, sync again; object id → empty, ``changed``, ``taken`` or ``space``.

    The bytes are on the disk before they have a name in OUT, and the names before anybody records a release.
    One sync of the file system serves the whole batch. Runs in a thread: what it waits for is the disk.
    """
    answers = {delivery.object_id: "" for delivery in deliveries}
    if not deliveries:
        return answers
    disk = _Disk(posixpath.dirname(deliveries[0].work))
    try:
        for delivery in deliveries:
            if not _unchanged(delivery):
                answers[delivery.object_id] = "changed"
        ready = [delivery for delivery in deliveries if not answers[delivery.object_id]]
        if not disk.sync(delivery.work for delivery in ready):
            return dict.fromkeys(answers, "space")
        folders: set[str] = set()
        for delivery in ready:
            answers[delivery.object_id] = _name(delivery, folders, disk)
        if not disk.sync(folders):
            return dict.fromkeys(answers, "space")
    finally:
        disk.close()
    return answers


class _Disk:
    """What the standard library does not offer: ``syncfs`` (2) and a rename that replaces nothing.

    Where the system lacks them, files and folders are synced one by one, and a name is looked up first: this
    process alone writes into OUT.
    """

    def __init__(self, folder: str) -> None:
        library = _library()
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._syncfs = getattr(library, "syncfs", None)
        self._renameat2 = getattr(library, "renameat2", None)

    def sync(self, paths: Iterable[str]) -> bool:
        """Make files or folders durable; false if that fails."""
        if self._syncfs is not None:
            return int(self._syncfs(self._fd)) == 0
        for path in paths:
            try:
                fd = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                os.fsync(fd)
            except OSError:
                return False
            finally:
                os.close(fd)
        return True

    def rename_to_free(self, work: str, target: str) -> bool:
        """Rename; false if the name is taken (renameat2(2) with RENAME_NOREPLACE does both in one step)."""
        if self._renameat2 is not None:
            if self._renameat2(_AT_FDCWD, os.fsencode(work), _AT_FDCWD, os.fsencode(target), _NO_REPLACE) == 0:
                return True
            code = ctypes.get_errno()
            if code == errno.EEXIST:
                return False
            if code not in (errno.EINVAL, errno.ENOSYS):
                raise OSError(code, os.strerror(code))
        if posixpath.lexists(target):
            return False
        os.rename(work, target)  # noqa: PTH104
        return True

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._fd)


@functools.cache
def _library() -> ctypes.CDLL:
    """The C library, opened once: each opening makes a class that only the collector of cycles can free."""
    return ctypes.CDLL(None, use_errno=True)


def _unchanged(delivery: Delivery) -> bool:
    try:
        status = os.lstat(delivery.work)
    except OSError:
        return False
    mark = delivery.mark
    same = (status.st_ino, status.st_size, status.st_mtime_ns) == (mark.inode, mark.size, mark.mtime_ns)
    return same and stat.S_ISREG(status.st_mode)


def _name(delivery: Delivery, folders: set[str], disk: _Disk) -> str:
    target = delivery.target
    folder = posixpath.dirname(target)
    try:
        if folder not in folders:
            folders.update(_made(folder))
        if disk.rename_to_free(delivery.work, target):
            return ""
        # A crash after the rename and before its record leaves the same bytes here: then it is done.
        path = Path(target)
        same = not path.is_symlink() and path.is_file() and sha256_of(path) == delivery.sha256
    except OSError:
        return "space"
    return "" if same else "taken"


def _made(folder: str) -> set[str]:
    """Make a folder; it, the ones that were missing above it, and those they stand in, to be synced."""
    found = {folder}
    above = folder
    while not posixpath.isdir(above):
        above = posixpath.dirname(above)
        found.add(above)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return found


def sha256_of(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
