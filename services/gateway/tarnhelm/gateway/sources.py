"""What lies in IN: files of folders, and the entries of zip and tar files, without trusting a name.

A name out of an archive never becomes a path: entries are unpacked to numbered files of the private work
folder, within bounds, and are known by their place in the archive.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, MIB, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Source", "SourceWalk", "is_archive"]

_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz")
_PACKED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_DEPTH: Final = 3
_CHUNK: Final = MIB
_ENTRY_ERRORS: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file to clean.

    Attributes
    ----------
    path
        Where the bytes are now.
    place
        Path of the user's own file or archive.
    member
        Place inside the archive (``3`` or ``3/17``, numbers only), empty for a plain file.
    temporary
        ``path`` is a copy in the work folder, to be removed when the object is done.
    error
        Why there are no bytes, for a damaged archive.
    """

    path: Path
    place: str
    member: str
    size: int
    mtime_ns: int
    temporary: bool = False
    error: TarnhelmError | None = None


def is_archive(path: Path) -> bool:
    """Whether the file is a zip or a tar by suffix and by content (and is no DICOM file)."""
    return str(path).lower().endswith(_ARCHIVES) and _holds_archive(path)


def _holds_archive(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(264)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return False
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return True
    return (head[257:262] == b"ustar" or head.startswith(_PACKED)) and _is_tar(path)


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except _ENTRY_ERRORS:
        return False


class SourceWalk:
    """Walks IN in a stable order.

    Parameters
    ----------
    roots
        Files and folders. Links to folders are not followed (they may run in circles), links to files are.
    unpack_to
        Private folder for the entries of archives.
    """

    def __init__(self, roots: tuple[Path, ...], unpack_to: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self._roots = roots
        self._unpack_to = unpack_to
        self._limits = limits
        self._unpacked = 0

    def count(self) -> tuple[int, int]:
        """Files and bytes that the walk will meet, for the estimate; an archive counts as one file."""
        files = total = 0
        for _, status in self._files():
            files += 1
            total += status.st_size if status is not None else 0
        return files, total

    def __iter__(self) -> Iterator[Source]:
        for place, status in self._files():
            path = Path(place)
            if status is None:
                yield Source(path, place, "", 0, 0, error=TarnhelmError(errors.UNREADABLE))
            elif is_archive(path):
                yield from self._entries(path, place, "", status.st_size, status.st_mtime_ns, 1)
            else:
                yield Source(path, place, "", status.st_size, status.st_mtime_ns)

    def find(self, place: str, member: str) -> Source | None:
        """Return the source of a place that an earlier walk met, if it is still there."""
        path = Path(place)
        try:
            status = path.stat()
        except OSError:
            return None
        if not member:
            return Source(path, place, "", status.st_size, status.st_mtime_ns)
        for source in self._entries(path, place, "", status.st_size, status.st_mtime_ns, 1):
            if source.member == member:
                return source
            if source.temporary:
                source.path.unlink(missing_ok=True)
        return None

    # --- folders ---------------------------------------------------------------------------------------

    def _files(self) -> Iterator[tuple[str, os.stat_result | None]]:
        """Files; without a status what cannot be looked at, a folder among them: it shall not be passed over in silence."""
        for root in self._roots:
            if root.is_dir():
                yield from self._folder(str(root))
            else:
                yield str(root), root.stat()

    def _folder(self, root: str) -> Iterator[tuple[str, os.stat_result | None]]:
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            below: list[str] = []
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                yield folder, None
                continue
            for entry in listed:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                        continue
                    status = entry.stat()
                except FileNotFoundError:  # a link that leads nowhere, or a file that has gone
                    continue
                except OSError:
                    yield entry.path, None
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield entry.path, status
            waiting.extend(reversed(below))

    # --- archives --------------------------------------------------------------------------------------

    def _entries(self, path: Path, place: str, prefix: str, size: int, mtime_ns: int, depth: int) -> Iterator[Source]:
        failed = Source(path, place, prefix, size, mtime_ns)
        budget = _Budget(self._limits, size)
        try:
            opened = self._zip(path, budget) if zipfile.is_zipfile(path) else self._tar(path, budget)
            for number, unpacked in opened:
                member = f"{prefix}/{number}" if prefix else str(number)
                if depth < _DEPTH and _holds_archive(unpacked):  # its name is a number: content decides
                    yield from self._entries(unpacked, place, member, unpacked.stat().st_size, mtime_ns, depth + 1)
                    unpacked.unlink(missing_ok=True)
                else:
                    yield Source(unpacked, place, member, unpacked.stat().st_size, mtime_ns, temporary=True)
        except TarnhelmError as error:
            yield _with_error(failed, error)
        except _ENTRY_ERRORS:
            yield _with_error(failed, TarnhelmError(errors.ARCHIVE_UNREADABLE))

    def _zip(self, path: Path, budget: _Budget) -> Iterator[tuple[int, Path]]:
        with zipfile.ZipFile(path) as archive:
            for number, entry in enumerate(archive.infolist()):
                if entry.is_dir():
                    continue
                budget.entry()
                with archive.open(entry) as stream:
                    yield number, self._copy(stream, budget)

    def _tar(self, path: Path, budget: _Budget) -> Iterator[tuple[int, Path]]:
        with tarfile.open(path) as archive:
            for number, entry in enumerate(archive):
                budget.entry()
                archive.members = []  # type: ignore[attr-defined]  # else the index of a large tar grows without end
                if not entry.isreg():
                    continue
                stream = archive.extractfile(entry)
                if stream is not None:
                    with stream:
                        yield number, self._copy(stream, budget)

    def _copy(self, stream: IO[bytes], budget: _Budget) -> Path:
        self._unpacked += 1
        target = self._unpack_to / f"raw-{self._unpacked}"
        written = 0
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(fd, "wb") as out:
                while chunk := stream.read(_CHUNK):
                    written += len(chunk)
                    budget.spend(len(chunk), written)
                    out.write(chunk)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target


class _Budget:
    """What one archive may unpack to."""

    def __init__(self, limits: Limits, archive_bytes: int) -> None:
        self._limits = limits
        self._bytes = max(archive_bytes, MIB) * limits.max_archive_ratio
        self._entries = limits.max_archive_entries

    def entry(self) -> None:
        self._entries -= 1
        if self._entries < 0:
            raise TarnhelmError(errors.ARCHIVE_BOMB, limit=self._limits.max_archive_entries)

    def spend(self, size: int, of_entry: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise TarnhelmError(errors.ARCHIVE_BOMB, limit=self._limits.max_archive_ratio)
        if of_entry > self._limits.max_object_bytes:
            raise TarnhelmError(errors.TOO_LARGE, seen=of_entry, limit=self._limits.max_object_bytes)


def _with_error(source: Source, error: TarnhelmError) -> Source:
    return Source(source.path, source.place, source.member, source.size, source.mtime_ns, error=error)
