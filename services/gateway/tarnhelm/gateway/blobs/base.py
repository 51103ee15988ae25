"""The seam of the blob store; one contract suite runs over every implementation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = [
    "BlobInfo",
    "BlobName",
    "BlobReader",
    "BlobStore",
    "BlobWriter",
    "Commit",
    "StoredBlob",
    "checked_prefix",
    "put",
]

Piece = bytes | bytearray | memoryview

_AREA: Final = re.compile(r"[a-z]{1,16}", re.ASCII)
_OBJECT_ID: Final = re.compile(r"[0-9a-f]{16,64}", re.ASCII)
_PART: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?", re.ASCII)
_PREFIX: Final = re.compile(r"[0-9a-f]{0,64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class BlobName:
    """An opaque name: it becomes a path or a key, so nothing out of a file may get into it.

    Attributes
    ----------
    area
        What kind of blob: ``raw``, ``work``, ...; 1 to 16 letters.
    object_id
        16 to 64 hex digits.
    part
        What tells several blobs of an object apart, as ``ocr-PLANDIGEST``; 128 lower-case letters, digits and
        hyphens at most, or nothing.

    Raises
    ------
    TarnhelmError
        BLB-011: a name comes in from outside too, in a reference on a topic.
    """

    area: str
    object_id: str
    part: str = ""

    def __post_init__(self) -> None:
        good = _AREA.fullmatch(self.area) and _OBJECT_ID.fullmatch(self.object_id)
        if not good or (self.part and not _PART.fullmatch(self.part)):
            raise TarnhelmError(errors.BLOB_BAD_NAME)

    @property
    def leaf(self) -> str:
        """The name within its area: ``OBJECTID`` or ``OBJECTID.PART``."""
        return f"{self.object_id}.{self.part}" if self.part else self.object_id

    def __str__(self) -> str:
        return f"{self.area}/{self.leaf}"

    @classmethod
    def parse(cls, text: str) -> BlobName:
        """Return the name whose ``str`` is ``text``; raises BLB-011."""
        area, _, leaf = text.partition("/")
        object_id, dot, part = leaf.partition(".")
        if dot and not part:
            raise TarnhelmError(errors.BLOB_BAD_NAME)
        return cls(area, object_id, part)


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a blob's head says, once its key has opened it.

    Attributes
    ----------
    size
        Of the plaintext, in bytes.
    sha256
        Of the plaintext, hex.
    created
        Seconds since 1970, by the clock of whoever wrote it.
    key_id
        Of the gateway key that its data key is wrapped with.
    """

    name: BlobName
    size: int
    sha256: str
    created: float
    key_id: int


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What the store itself knows of a blob, without any key: enough for a sweep.

    Attributes
    ----------
    size
        Of the plaintext, worked out from the stored size.
    modified
        When it was written, seconds since 1970, by the store's clock; a rewrapped head makes it younger on S3.
    """

    name: BlobName
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Commit:
    """How a put ended.

    Attributes
    ----------
    info
        Of the blob that stands in the store now.
    created
        False: another was first, and ``info`` is that one's; its bytes may differ from those of this put.
    """

    info: BlobInfo
    created: bool


class BlobWriter(Protocol):
    """One blob on its way in; nothing of it is visible before :meth:`commit` returns."""

    @property
    def sha256(self) -> str:
        """Of what was written so far, or what was known from the begin, hex."""
        ...

    def write(self, data: Piece) -> None:
        """Take the next bytes, of any length."""
        ...

    def commit(self, last: Piece = b"", *, sha256: str = "") -> Commit:
        """Make the blob durable and give it its name, if nobody else has.

        Parameters
        ----------
        last
            What comes behind the bytes that were written: a blob of one piece is sealed where it lies, without a copy.
        sha256
            What the plaintext must have been, hex; BLB-010 otherwise, and nothing is stored.
        """
        ...

    def abort(self) -> None:
        """Drop all of it; does nothing after a commit."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BlobReader(Protocol):
    """One blob, or a range of it, on its way out; iterate once, in pieces of at most 1 MiB."""

    @property
    def info(self) -> BlobInfo:
        """What its head says."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...

    def unsummed(self) -> Iterator[bytes]:
        """Give the same pieces, each authenticated, for whoever compares their sha256 with ``info`` in any case."""
        ...

    def close(self) -> None:
        """Let the file or the connection go."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BlobStore(Protocol):
    """Bytes by opaque name: put if absent, read whole or in ranges, purge.

    Safe among threads and processes. Errors: BLB-001 (full) and BLB-002 (away) may be tried again, BLB-003 says that
    what is stored is not what was written, BLB-005 that a key is missing.
    """

    def check(self) -> None:
        """Make sure that the store is there and keeps these promises; to be called before anything is accepted."""
        ...

    def begin(self, name: BlobName, *, known_sha256: bytes = b"") -> BlobWriter:
        """Begin a put.

        Parameters
        ----------
        known_sha256
            Of all the bytes that will be written, 32 bytes, from a caller that has hashed these very bytes and held
            them in memory since: they are not hashed a second time. What was on a disk or a wire meanwhile has none.
        """
        ...

    def open(self, name: BlobName, start: int = 0, length: int | None = None) -> BlobReader:
        """Read ``length`` bytes from ``start`` on, or all; BLB-004 if it is not there.

        A whole blob's sha256 is compared before its last piece is handed out; a range's segments are
        authenticated each. Who deletes the blob meanwhile does not disturb a reader that has it open in a folder.
        """
        ...

    def stat(self, name: BlobName) -> BlobInfo | None:
        """Read the head; None if there is no such blob."""
        ...

    def delete(self, name: BlobName) -> bool:
        """Purge: without the data key in its head nobody reads the rest. False if there was none."""
        ...

    def listing(self, area: str, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield the blobs of an area whose object ids begin with ``prefix``, by name."""
        ...

    def rewrap(self, name: BlobName) -> bool:
        """Wrap the data key with the current gateway key; false if it is, or if the blob has gone."""
        ...

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what dead writers left behind; returns how many."""
        ...

    def close(self) -> None:
        """Let all connections go."""
        ...


def put(
    store: BlobStore, name: BlobName, pieces: Iterable[Piece], *, sha256: str = "", known_sha256: bytes = b""
) -> Commit:
    """Put a stream of pieces if the name is free; an error half-way leaves nothing."""
    with store.begin(name, known_sha256=known_sha256) as writer:
        for piece in pieces:
            writer.write(piece)
        return writer.commit(sha256=sha256)


def checked_prefix(area: str, prefix: str) -> tuple[str, str]:
    """Return both if they can be the begin of a name; raises BLB-011."""
    if not _AREA.fullmatch(area) or not _PREFIX.fullmatch(prefix):
        raise TarnhelmError(errors.BLOB_BAD_NAME)
    return area, prefix
