"""The last step: verified bytes get their name in OUT, durably."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common.stage import ObjectFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

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
    folder = "/".join(
        (
            _safe(facts.subject_id, "subject"),
            _short(facts.study_uid, "study"),
            _short(facts.series_uid, "series"),
        )
    )
    instance = _short(facts.sop_uid, object_id[:_SHORT])
    names = [f"{instance}.dcm", f"{instance}-{object_id}.dcm"]
    if 0 < facts.instance_number < 10_000_000:
        names = [f"{facts.instance_number:04d}.dcm", f"{facts.instance_number:04d}-{instance}.dcm", names[-1]]
    return tuple(f"{folder}/{name}" for name in names)


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
    mark
        Of the work file when its verdict was asked for; another mark means that these are not those bytes.
    sha256
        Of the verdict; what stands at ``target`` already may be replaced only if it is the same bytes.
    """

    object_id: str
    work: Path
    target: Path
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
    sync = _Sync(deliveries[0].work.parent)
    try:
        for delivery in deliveries:
            if not _unchanged(delivery):
                answers[delivery.object_id] = "changed"
        ready = [delivery for delivery in deliveries if not answers[delivery.object_id]]
        if not sync(delivery.work for delivery in ready):
            return dict.fromkeys(answers, "space")
        folders: set[Path] = set()
        for delivery in ready:
            answers[delivery.object_id] = _name(delivery, folders)
        if not sync(folders):
            return dict.fromkeys(answers, "space")
    finally:
        sync.close()
    return answers


class _Sync:
    """Makes files and folders durable: ``syncfs`` (2) where there is one, else each by ``fsync``."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)

    def __call__(self, paths: Iterable[Path]) -> bool:
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

    def close(self) -> None:
        os.close(self._fd)


def _unchanged(delivery: Delivery) -> bool:
    try:
        return not delivery.work.is_symlink() and FileMark.of(delivery.work) == delivery.mark
    except OSError:
        return False


def _name(delivery: Delivery, folders: set[Path]) -> str:
    target = delivery.target
    try:
        if target.parent not in folders:
            missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.is_dir()]
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.update((target.parent, *missing, *(folder.parent for folder in missing)))
        if _rename_to_free(delivery.work, target):
            return ""
        # A crash after the rename and before its record leaves the same bytes here: then it is done.
        same = not target.is_symlink() and target.is_file() and sha256_of(target) == delivery.sha256
    except OSError:
        return "space"
    return "" if same else "taken"


def _rename_to_free(work: Path, target: Path) -> bool:
    """Rename; false if the name is taken (renameat2(2) with RENAME_NOREPLACE does both in one step)."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        if rename(_AT_FDCWD, os.fsencode(work), _AT_FDCWD, os.fsencode(target), _NO_REPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code == errno.EEXIST:
            return False
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code))
    if target.exists():  # a file system that cannot refuse: this process alone writes into OUT
        return False
    work.rename(target)
    return True


def sha256_of(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
