"""Payloads that lie elsewhere: only below allow-listed prefixes, only until they expire, and only what was promised."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.reference_http import HttpSource, addresses_of
from tarnhelm.gateway.doors.reference_uri import below, segments_of

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.gateway.doors.ingest_settings import FolderReferences, ReferenceSettings
    from tarnhelm.gateway.doors.reference_http import Resolve
    from tarnhelm.gateway.ingest.records import Reference

__all__ = ["FolderSource", "ReferenceSource", "References", "checked"]

_PIECE_BYTES: Final = 1024 * 1024
_ELSEWHERE: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.ENXIO, errno.EISDIR})
_NOTHING: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})


class ReferenceSource(Protocol):
    """One allow-listed prefix."""

    def pieces(self, rest: str, size: int) -> Iterator[bytes]:
        """Yield what lies at the rest of a URI, in pieces of at most 1 MiB.

        Raises
        ------
        TarnhelmError
            ING-012 where it leads elsewhere, ING-014 where nothing is, ING-015 where the server is away, ING-009 where
            its size is another than ``size``.
        """
        ...


class FolderSource:
    """A folder of this machine, walked name by name, so that no link leads out of it whoever changes it meanwhile."""

    def __init__(self, settings: FolderReferences) -> None:
        self._folder = settings.folder

    def pieces(self, rest: str, size: int) -> Iterator[bytes]:
        """Yield a regular file's bytes."""
        segments = segments_of(rest)
        try:
            fd = _open_below(self._folder, segments)
            with os.fdopen(fd, "rb", buffering=0) as stream:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED)
                if status.st_size != size:
                    raise TarnhelmError(errors.PAYLOAD_DIFFERS)
                while piece := stream.read(_PIECE_BYTES):
                    yield piece
        except OSError as fault:
            if fault.errno in _ELSEWHERE:
                raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED) from None
            gone = fault.errno in _NOTHING
            raise TarnhelmError(errors.REFERENCE_GONE if gone else errors.REFERENCE_AWAY) from None


class References:
    """All allow-listed prefixes of a door; safe among threads.

    Parameters
    ----------
    clock, monotonic
        Seconds since 1970, for the expiry; seconds that nobody sets back, for time-outs.
    resolve
        Gives the addresses of a host and port.

    Raises
    ------
    TarnhelmError
        ING-001, BLB-007: a file that the settings name cannot be used.
    """

    def __init__(
        self,
        settings: ReferenceSettings,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = addresses_of,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sources: dict[str, ReferenceSource] = {one.prefix: FolderSource(one) for one in settings.folders}
        for place in settings.http:
            self._sources[place.prefix] = HttpSource(place, settings, monotonic, resolve)
        if settings.s3:
            from tarnhelm.gateway.doors.reference_s3 import S3Source  # noqa: PLC0415  # the client is an extra

            self._sources |= {one.prefix: S3Source(one) for one in settings.s3}

    def pieces(self, reference: Reference) -> Iterator[bytes]:
        """Yield the payload; what is not what was promised is known at the end at the latest.

        Raises
        ------
        TarnhelmError
            ING-009, ING-012 to ING-015.
        """
        prefix, rest = below(reference.uri, self._sources)
        self.check_expiry(reference)
        return checked(self._sources[prefix].pieces(rest, reference.size), reference.size, reference.sha256)

    def check_expiry(self, reference: Reference) -> None:
        """Raise ING-013 where a reference has expired or lives too long."""
        left = reference.expires - self._clock()
        if not 0 < left <= self._settings.max_lifetime_seconds:
            raise TarnhelmError(errors.REFERENCE_EXPIRED)


def checked(pieces: Iterable[bytes], size: int | None, sha256: bytes) -> Iterator[bytes]:
    """Pass bytes on and raise ING-009 as soon as they are not what was named.

    Parameters
    ----------
    size, sha256
        None and empty: nothing was named.
    """
    seen = 0
    digest = hashlib.sha256()
    for piece in pieces:
        seen += len(piece)
        if size is not None and seen > size:
            raise TarnhelmError(errors.PAYLOAD_DIFFERS)
        if sha256:
            digest.update(piece)
        yield piece
    if (size is not None and seen != size) or (sha256 and not hmac.compare_digest(digest.digest(), sha256)):
        raise TarnhelmError(errors.PAYLOAD_DIFFERS)


def _open_below(folder: Path, segments: tuple[str, ...]) -> int:
    directory = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    with contextlib.ExitStack() as opened:
        fd = os.open(folder, directory)
        opened.callback(os.close, fd)
        for segment in segments[:-1]:
            fd = os.open(segment, directory | os.O_NOFOLLOW, dir_fd=fd)
            opened.callback(os.close, fd)
        # A pipe or a device must not hold us up before it is recognised.
        return os.open(segments[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
