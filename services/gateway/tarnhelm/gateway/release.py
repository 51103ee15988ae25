"""The last step: verified bytes get their name in OUT, durably."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tarnhelm.common.stage import ObjectFacts

__all__ = ["Delivery", "FileMark", "candidate_paths", "deliver", "sha256_of"]

_SAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_SHORT: Final = 8


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
        """The mark of a file now."""
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


def deliver(deliveries: Iterable[Delivery]) -> dict[str, str]:
    """Sync, rename, sync the folders; object id → empty, ``changed``, ``taken`` or ``space``.

    Runs in a thread: what it waits for is the disk.
    """
    answers: dict[str, str] = {}
    folders: set[Path] = set()
    ready: list[Delivery] = []
    for delivery in deliveries:
        try:
            fd = os.open(delivery.work, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                status = os.fstat(fd)
                if FileMark(status.st_ino, status.st_size, status.st_mtime_ns) != delivery.mark:
                    answers[delivery.object_id] = "changed"
                    continue
                os.fsync(fd)
            finally:
                os.close(fd)
        except FileNotFoundError:
            answers[delivery.object_id] = "changed"
        except OSError:
            answers[delivery.object_id] = "space"
        else:
            ready.append(delivery)
    for delivery in ready:
        try:
            answers[delivery.object_id] = _rename(delivery, folders)
        except OSError:
            answers[delivery.object_id] = "space"
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    return answers


def _rename(delivery: Delivery, folders: set[Path]) -> str:
    folder = delivery.target.parent
    if folder not in folders:
        made = folder
        while not made.is_dir():
            folders.add(made.parent)
            made = made.parent
        folder.mkdir(parents=True, exist_ok=True)
        folders.add(folder)
    try:
        os.link(delivery.work, delivery.target, follow_symlinks=False)
    except FileExistsError:
        # A crash after the rename and before its record leaves the same bytes here: then it is done.
        if delivery.target.is_symlink() or sha256_of(delivery.target) != delivery.sha256:
            return "taken"
    except OSError:  # a file system without hard links
        if delivery.target.exists():
            return "" if sha256_of(delivery.target) == delivery.sha256 else "taken"
        delivery.work.rename(delivery.target)
        return ""
    delivery.work.unlink()
    return ""


def sha256_of(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
