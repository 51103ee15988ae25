"""The files of one machine: what a backup of its vault holds, and how it comes back.

A backup holds keys, the documents of projects, and the ledgers, in one tar archive. It does not hold what lies in
``reveal/``: people, cases, audit and the book of ends are no part of what a restore may turn back.

What comes back is unpacked beside the state directory first and everything that ended since is ended in it; only then
it is moved to where it serves.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from tarnhelm.common.errors import BACKUP_UNREADABLE, STATE_UNSAFE, TarnhelmError
from tarnhelm.linkage.core.private_files import erase, private_directory, touch_private
from tarnhelm.reveal.steward.places import LocalPlace
from tarnhelm.reveal.steward.reapply import apply_ends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tarnhelm.reveal.steward.ends import Ends

__all__ = ["Placed", "pack", "unpack_and_place"]

_PIECE: Final = 1 << 20
_LARGEST_FILE: Final = 1 << 40
_MEMBER: Final = re.compile(
    r"keys/[0-9A-Za-z]{1,64}/(?:root-[0-9]{1,6}\.key|recipient\.pub|recipient\.pem|destroyed)"
    r"|projects/[0-9A-Za-z]{1,64}\.json"
    r"|ledger/[0-9A-Za-z]{1,64}\.sqlite",
    re.ASCII,
)


def pack(state: Path, spool: IO[bytes]) -> Iterator[bytes]:
    """Give the archive in pieces.

    Parameters
    ----------
    state
        The private state directory.
    spool
        Empty, nameless, private: the archive lies in it meanwhile, as open as the key files themselves.
    """
    try:
        with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in _files(state):
                if path.suffix == ".sqlite":
                    _add_ledger(archive, path, state)
                else:
                    _add(archive, path, str(path.relative_to(state)))
        spool.seek(0)
    except (OSError, sqlite3.Error, tarfile.TarError):
        raise TarnhelmError(STATE_UNSAFE) from None
    while piece := spool.read(_PIECE):
        yield piece


@dataclass(frozen=True, slots=True)
class Placed:
    """What a restore came to.

    Attributes
    ----------
    ends
        How many ends were applied again, and hold.
    brought_back, kept
        Files that were moved to where they serve, and files of which those that were there stayed.
    """

    ends: int
    brought_back: int
    kept: int


def unpack_and_place(state: Path, archive: IO[bytes], ends: Ends, *, replace: bool) -> Placed:
    """Bring the files of an archive back.

    Parameters
    ----------
    state
        The private state directory.
    archive
        From its beginning; whole and checked.
    ends
        The book of withdrawals and destructions.
    replace
        Whether keys and ledgers that are there are replaced; what is missing comes back in either case.

    Raises
    ------
    TarnhelmError
        STW-012 where the archive holds anything else than it should; STW-014 where an end does not hold: then nothing
        was moved to where it serves.
    """
    staging = private_directory(state) / "restoring"
    _remove(staging)
    private_directory(staging)
    try:
        _unpack(archive, staging)
        place = LocalPlace(staging)
        applied = apply_ends(place, ends)
        place.close()
        moved, kept = _move(staging, state, replace=replace)
        # What was not replaced is older than nothing, and may yet be older than the book: once more, in place.
        apply_ends(LocalPlace(state), ends)
    finally:
        _remove(staging)
    return Placed(applied, moved, kept)


def _files(state: Path) -> list[Path]:
    found = [path for part in ("keys/*/*", "projects/*.json", "ledger/*.sqlite") for path in state.glob(part)]
    return sorted(path for path in found if _MEMBER.fullmatch(str(path.relative_to(state))) and path.is_file())


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = path.stat().st_size, 0o600
    with path.open("rb") as stream:
        archive.addfile(info, stream)


def _add_ledger(archive: tarfile.TarFile, path: Path, state: Path) -> None:
    """Add a ledger as it was at one moment, while others write on."""
    copy = state / f".{path.name}.copy"
    touch_private(copy)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        _add(archive, copy, str(path.relative_to(state)))
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _unpack(archive: IO[bytes], staging: Path) -> None:
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            for member in opened:
                stream = opened.extractfile(member) if member.isreg() else None
                fits = _MEMBER.fullmatch(member.name) and member.name not in seen and member.size <= _LARGEST_FILE
                if stream is None or not fits:
                    raise TarnhelmError(BACKUP_UNREADABLE)
                seen.add(member.name)
                _make_way(staging, staging / member.name)
                _write(staging / member.name, stream)
    except tarfile.TarError:
        raise TarnhelmError(BACKUP_UNREADABLE) from None


def _write(path: Path, stream: IO[bytes]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            shutil.copyfileobj(stream, target, _PIECE)
            target.flush()
            os.fsync(descriptor)
    except OSError:
        raise TarnhelmError(STATE_UNSAFE) from None


def _move(staging: Path, state: Path, *, replace: bool) -> tuple[int, int]:
    """Move each file to where it serves; how many, and how many were there and stayed.

    The ledger comes first: whoever met a project without one would make an empty one. The keys come last: without
    them nothing is served.
    """
    order = {"ledger": 0, "projects": 1, "keys": 2}
    moved = kept = 0
    files = [
        path for path in staging.glob("*/**/*") if path.is_file() and _MEMBER.fullmatch(str(path.relative_to(staging)))
    ]
    for path in sorted(files, key=lambda one: (order[one.relative_to(staging).parts[0]], str(one))):
        target = state / path.relative_to(staging)
        if target.exists() and not replace:
            kept += 1
            continue
        moved += 1
        _make_way(state, target)
        if target.suffix == ".sqlite":
            for suffix in ("-wal", "-shm"):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
        path.replace(target)
        _sync(target.parent)
    return moved, kept


def _make_way(root: Path, path: Path) -> None:
    """Make every folder above a file with mode 0700, not the last one alone."""
    for parent in reversed(path.relative_to(root).parents[:-1]):
        private_directory(root / parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(staging: Path) -> None:
    """Erase what was unpacked: it holds keys."""
    for path in sorted(staging.glob("**/*"), reverse=True) if staging.exists() else ():
        if path.is_dir():
            path.rmdir()
        else:
            erase(path)
    if staging.exists():
        staging.rmdir()
