"""Blobs in a folder of a local or shared file system.

``AREA/ab/abcdef...[.PART]`` are the blobs, ``.incoming`` holds those on their way in. A blob gets its name by link(2),
which fails where the name is taken, after its bytes are on the disk; the folder is synced before anybody is told. The
file system must know hard links and advisory locks, as local ones and NFS do.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import envelope
from tarnhelm.gateway.blobs.base import BlobInfo, BlobName, BlobWriter, Commit, Piece, StoredBlob, checked_prefix
from tarnhelm.gateway.blobs.disk import disk_errors, is_full, names_in, sync_folder, write_at
from tarnhelm.gateway.blobs.keyring import KeyRing

__all__ = ["FolderBlobs"]

_SHARD: Final = 2
_INCOMING: Final = ".incoming"
_OTHERS: Final = 0o007
_TRIES: Final = 3


class FolderBlobs:
    """Blobs in a folder of mode 0700.

    Parameters
    ----------
    root
        The folder; made by :meth:`check` where it is missing.
    ring
        The gateway's keys.
    clock, random
        Seconds since 1970; so many random bytes.
    """

    def __init__(
        self,
        root: Path,
        ring: KeyRing,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._root = root
        self._incoming = root / _INCOMING
        self._made: set[str] = set()
        """Folders that this process has seen on the disk."""
        self._ring = ring
        self._clock = clock
        self._random = random

    def check(self) -> None:
        """Make the folder; BLB-007 where it cannot be written, is open to others, or knows no hard links."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._incoming.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._root)
            sync_folder(self._root.parent)
            if self._root.stat().st_mode & _OTHERS:
                raise TarnhelmError(errors.BLOB_STORE_UNUSABLE)
            probe, twin = (self._incoming / self._random(16).hex() for _ in range(2))
            try:
                probe.touch(mode=0o600)
                twin.hardlink_to(probe)
            finally:
                probe.unlink(missing_ok=True)
                twin.unlink(missing_ok=True)
        except OSError as error:
            raise TarnhelmError(errors.BLOB_NO_SPACE if is_full(error) else errors.BLOB_STORE_UNUSABLE) from None

    def begin(self, name: BlobName, *, known_sha256: bytes = b"") -> BlobWriter:
        """Begin a put."""
        return _FolderWriter(self, name, f"{self._incoming}/{self._random(16).hex()}", known_sha256)

    def open(self, name: BlobName, start: int = 0, length: int | None = None) -> FolderReader:
        """Read a range, or all; BLB-004 if it is not there."""
        fd = self._opened(name, os.O_RDONLY)
        if fd is None:
            raise TarnhelmError(errors.BLOB_MISSING)
        try:
            return FolderReader(fd, self._head(fd, name), start, length)
        except BaseException:
            os.close(fd)
            raise

    def stat(self, name: BlobName) -> BlobInfo | None:
        """Read the head; None if there is no such blob."""
        fd = self._opened(name, os.O_RDONLY)
        if fd is None:
            return None
        try:
            return self._head(fd, name).info
        except TarnhelmError as error:
            if error.kind is errors.BLOB_MISSING:
                return None
            raise
        finally:
            os.close(fd)

    def delete(self, name: BlobName) -> bool:
        """Overwrite the head on the disk, then remove the file."""
        with self._locked(name) as fd, disk_errors():
            if fd is None:
                return False
            os.pwrite(fd, envelope.BLANK_HEAD, 0)
            os.fdatasync(fd)
            Path(self._path(name)).unlink()
            sync_folder(self._shard(name))
        return True

    def listing(self, area: str, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield the blobs of an area, by name; files that are no blobs are passed over."""
        checked_prefix(area, prefix)
        folder = self._root / area
        for shard in names_in(folder):
            if not shard.startswith(prefix[:_SHARD]):
                continue
            for leaf in names_in(folder / shard):
                if leaf.startswith(prefix) and (blob := _stored(area, leaf, folder / shard / leaf)):
                    yield blob

    def rewrap(self, name: BlobName) -> bool:
        """Wrap the data key with the current gateway key, in place; the file keeps its age."""
        with self._locked(name) as fd, disk_errors():
            if fd is None:
                return False
            head = os.pread(fd, envelope.HEAD_BYTES, 0)
            if head == envelope.BLANK_HEAD:
                return False
            heads = envelope.rewrapped(name, head, self._ring, self._random)
            if heads is None:
                return False
            age = os.fstat(fd)
            for new in heads:
                os.pwrite(fd, new, 0)
                os.fdatasync(fd)
            os.utime(fd, ns=(age.st_atime_ns, age.st_mtime_ns))
        return True

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what dead writers left in ``.incoming``; a living one holds a lock on its file."""
        found = 0
        for name in names_in(self._incoming):
            path = self._incoming / name
            with (
                suppress(FileNotFoundError, BlockingIOError),
                disk_errors(passing=(FileNotFoundError, BlockingIOError)),
            ):
                if self._clock() - path.lstat().st_mtime < older_than_seconds:
                    continue
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(fd)
                found += 1
        return found

    def close(self) -> None:
        """Nothing is held open between calls."""

    # --- for the writer --------------------------------------------------------------------------------

    def sealer(self, known_sha256: bytes) -> envelope.Sealer:
        """Return a sealer with fresh keys."""
        return envelope.Sealer(self._random, known_sha256)

    def head(self, name: BlobName, sealer: envelope.Sealer) -> tuple[bytes, BlobInfo]:
        """Return the head of a blob that is sealed, and what it says."""
        return sealer.head(name, self._ring, self._clock())

    def finish(self, incoming: str, info: BlobInfo) -> Commit:
        """Give a file that is on the disk its name."""
        for _ in range(_TRIES):
            with disk_errors():
                created = self._named(info.name, incoming)
            if created:
                return Commit(info, created=True)
            standing = self.stat(info.name)
            if standing is not None:
                return Commit(standing, created=False)
            self._clear(info.name)
        raise TarnhelmError(errors.BLOB_STORE_AWAY)

    def _clear(self, name: BlobName) -> None:
        """Free a name whose purge was cut short after its first step."""
        with self._locked(name) as fd, disk_errors():
            if fd is not None and os.pread(fd, envelope.HEAD_BYTES, 0) == envelope.BLANK_HEAD:
                Path(self._path(name)).unlink()

    # --- the disk --------------------------------------------------------------------------------------

    def _shard(self, name: BlobName) -> str:
        return f"{self._root}/{name.area}/{name.object_id[:_SHARD]}"

    def _path(self, name: BlobName) -> str:
        return f"{self._shard(name)}/{name.leaf}"

    def _opened(self, name: BlobName, flags: int) -> int | None:
        with disk_errors():
            try:
                return os.open(self._path(name), flags | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                return None

    @contextmanager
    def _locked(self, name: BlobName) -> Iterator[int | None]:
        """Open a blob for a change of its head, alone among all processes; None if it has gone."""
        fd = self._opened(name, os.O_RDWR)
        if fd is None:
            yield None
            return
        try:
            with disk_errors():
                fcntl.flock(fd, fcntl.LOCK_EX)
                gone = os.fstat(fd).st_nlink == 0
            yield None if gone else fd
        finally:
            os.close(fd)

    def _head(self, fd: int, name: BlobName) -> envelope.Opened:
        with disk_errors():
            head, size = os.pread(fd, envelope.HEAD_BYTES, 0), os.fstat(fd).st_size
        try:
            opened = envelope.open_head(name, head, self._ring)
        except TarnhelmError as error:
            if error.kind is not errors.BLOB_DAMAGED:
                raise
            # A rewrap may have been writing: the page is read once more, under its lock.
            with disk_errors():
                fcntl.flock(fd, fcntl.LOCK_SH)
                head = os.pread(fd, envelope.HEAD_BYTES, 0)
                fcntl.flock(fd, fcntl.LOCK_UN)
            opened = envelope.open_head(name, head, self._ring)
        if size != envelope.stored_size(opened.info.size):
            raise TarnhelmError(errors.BLOB_DAMAGED)
        return opened

    def _named(self, name: BlobName, incoming: str) -> bool:
        """Give a file its name, on the disk; False where another stands there."""
        shard = self._shard(name)
        if shard not in self._made:
            self._make(f"{self._root}/{name.area}", self._root)
            self._make(shard, f"{self._root}/{name.area}")
        try:
            os.link(incoming, f"{shard}/{name.leaf}")
        except FileExistsError:
            created = False
        except FileNotFoundError:
            self._made.clear()  # somebody has taken the folders away
            raise
        else:
            created = True
        sync_folder(shard)  # for a name that another has just given, too: it may not be on the disk yet
        return created

    def _make(self, folder: str, parent: str | Path) -> None:
        """Make a folder; one that another process has just made may not be on the disk yet, so it is synced too."""
        if folder not in self._made:
            with suppress(FileExistsError):
                Path(folder).mkdir(0o700)
            sync_folder(parent)
            self._made.add(folder)


class _FolderWriter:
    """One blob on its way into a folder.

    The head is written last, into the hole that was left for it: until then it reads as a blank one.
    """

    def __init__(self, store: FolderBlobs, name: BlobName, incoming: str, known_sha256: bytes) -> None:
        self._store = store
        self._name = name
        self._incoming = incoming
        self._sealer = store.sealer(known_sha256)
        self._at = envelope.HEAD_BYTES
        with disk_errors():
            self._fd = os.open(incoming, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with disk_errors():
                fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self.abort()
            raise

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._sealer.sha256

    def write(self, data: Piece) -> None:
        """Take the next bytes."""
        try:
            with disk_errors():
                for segment in self._sealer.feed(data):
                    self._at = write_at(self._fd, self._at, segment)
        except BaseException:
            self.abort()
            raise

    def commit(self, last: Piece = b"", *, sha256: str = "") -> Commit:
        """Make the blob durable and give it its name, if nobody else has."""
        try:
            held = b""
            with disk_errors():
                for segment in self._sealer.finish(last):
                    if held:
                        self._at = write_at(self._fd, self._at, held)
                    held = segment
                if sha256 and sha256 != self._sealer.sha256:
                    raise TarnhelmError(errors.BLOB_UNLIKE)
                head, info = self._store.head(self._name, self._sealer)
                if self._at == envelope.HEAD_BYTES:
                    write_at(self._fd, 0, head, held)  # a blob of one segment goes out at one go
                else:
                    write_at(self._fd, self._at, held)
                    write_at(self._fd, 0, head)
                os.fsync(self._fd)
            return self._store.finish(self._incoming, info)
        finally:
            self.abort()  # the name of the way in goes; the blob, if there is one, keeps its own

    def abort(self) -> None:
        """Drop all of it."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with suppress(OSError):
            Path(self._incoming).unlink()
        with suppress(OSError):
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class FolderReader:
    """One blob, or a range of it, out of a folder."""

    def __init__(self, fd: int, opened: envelope.Opened, start: int, length: int | None) -> None:
        self._fd = fd
        self._opened = opened
        self._start = start
        self._length = length
        self._at, _ = envelope.sealed_range(opened.info.size, start, length)

    @property
    def info(self) -> BlobInfo:
        """What its head says."""
        return self._opened.info

    def __iter__(self) -> Iterator[bytes]:
        return envelope.pieces(self._opened, self._read, self._start, self._length)

    def unsummed(self) -> Iterator[bytes]:
        """Give the same pieces; their digest is the caller's affair."""
        return envelope.pieces(self._opened, self._read, self._start, self._length, summed=False)

    def close(self) -> None:
        """Let the file go."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        with disk_errors():
            data = os.pread(self._fd, size, self._at)
        self._at += len(data)
        return data


def _stored(area: str, leaf: str, path: Path) -> StoredBlob | None:
    try:
        status = path.lstat()
        return StoredBlob(
            BlobName.parse(f"{area}/{leaf}"), envelope.plain_size(status.st_size), status.st_mtime_ns / 1e9
        )
    except (OSError, TarnhelmError):
        return None
