"""Blobs in a bucket of an S3 server: Amazon's, or any that honours conditional writes.

``PREFIX/AREA/OBJECTID[.PART]``; a put carries If-None-Match, so the server decides who was first. A blob larger than
8 MiB goes up in parts and is visible only when they are complete.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import envelope
from tarnhelm.gateway.blobs.base import BlobInfo, BlobName, BlobWriter, Commit, Piece, StoredBlob, checked_prefix
from tarnhelm.gateway.blobs.keyring import KeyRing
from tarnhelm.gateway.blobs.s3_client import S3Place, code_of, connect, s3_errors
from tarnhelm.gateway.blobs.s3_upload import PART_BYTES, Upload

__all__ = ["S3Blobs"]

_COPY_BYTES: Final = 512 * PART_BYTES
"""Of one part that the server copies itself: at most 5 GiB by the protocol."""
_ABSENT: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_CHANGED: Final = frozenset({"PreconditionFailed", "412"})
_UNKNOWN_CALL: Final = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_IF_ABSENT: Final = {"IfNoneMatch": "*"}
_NO_ETAG: Final = '"00000000000000000000000000000000"'
_TRIES: Final = 3


class S3Blobs:
    """Blobs in a bucket.

    Parameters
    ----------
    place
        Where, and with whose keys.
    ring
        The gateway's keys.
    clock, random
        Seconds since 1970; so many random bytes.
    """

    def __init__(
        self,
        place: S3Place,
        ring: KeyRing,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._client = connect(place)
        self._bucket = place.bucket
        self._prefix = f"{place.prefix.strip('/')}/" if place.prefix.strip("/") else ""
        self._ring = ring
        self._clock = clock
        self._random = random
        self._matches_parts = False

    def check(self) -> None:
        """See that the bucket is there, keeps no versions, and that a second put is refused.

        Raises
        ------
        TarnhelmError
            BLB-002 where nobody answers, BLB-007 without the bucket or the rights, BLB-008, BLB-009.
        """
        with s3_errors():
            try:
                self._client.head_bucket(Bucket=self._bucket)
                versions = self._keeps_versions()
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) in range(400, 500):
                    raise TarnhelmError(errors.BLOB_STORE_UNUSABLE) from None
                raise
        if versions:
            raise TarnhelmError(errors.BLOB_VERSIONED)
        with self._probe() as key:
            second = self._store(key, b"2", _IF_ABSENT) or self._store(key, b"2", {"IfMatch": _NO_ETAG})
            if second or self._store_parts(key, _IF_ABSENT):
                raise TarnhelmError(errors.BLOB_UNCONDITIONAL)

    def begin(self, name: BlobName, *, known_sha256: bytes = b"") -> BlobWriter:
        """Begin a put."""
        return _S3Writer(self, name, Upload(self._client, self._bucket, self._key(name)), known_sha256)

    def open(self, name: BlobName, start: int = 0, length: int | None = None) -> S3Reader:
        """Read a range, or all; BLB-004 if it is not there. A whole blob takes one request, a range two."""
        for _ in range(_TRIES):
            whole = start == 0 and length is None
            answer = self._get(name, 0, None if whole else envelope.HEAD_BYTES)
            if answer is None:
                break
            body = answer["Body"]
            try:
                opened = self._opened(name, _exactly(body, envelope.HEAD_BYTES), answer)
                if not whole:
                    _exactly(body, 1)  # as in a reader: to the end, for the sake of the connection
                    body.close()
                    begin, end = envelope.sealed_range(opened.info.size, start, length)
                    answer = self._get(name, begin, end, answer["ETag"]) if end > begin else None
                    if answer is None and end > begin:
                        continue  # rewrapped or purged in between
                    body = answer["Body"] if answer is not None else None
                return S3Reader(body, opened, start, length)
            except BaseException:
                if body is not None:
                    body.close()
                raise
        raise TarnhelmError(errors.BLOB_MISSING)

    def stat(self, name: BlobName) -> BlobInfo | None:
        """Read the head; None if there is no such blob."""
        try:
            with self.open(name, 0, 0) as reader:
                return reader.info
        except TarnhelmError as error:
            if error.kind is errors.BLOB_MISSING:
                return None
            raise

    def delete(self, name: BlobName) -> bool:
        """Remove the object, head and all."""
        with s3_errors():
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._key(name))
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                raise
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))
        return True

    def listing(self, area: str, prefix: str = "") -> Iterator[StoredBlob]:
        """Yield the blobs of an area, by name; objects that are no blobs are passed over."""
        checked_prefix(area, prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{area}/{prefix}"
        )
        walk = iter(pages)
        while True:
            with s3_errors():
                page = next(walk, None)
            if page is None:
                return
            for item in page.get("Contents", []):
                try:
                    name = BlobName.parse(item["Key"][len(self._prefix) :])
                except TarnhelmError:
                    continue
                yield StoredBlob(name, envelope.plain_size(item["Size"]), item["LastModified"].timestamp())

    def rewrap(self, name: BlobName) -> bool:
        """Store the blob again under a head with the current key; what lies beyond 8 MiB is copied by the server."""
        for _ in range(_TRIES):
            answer = self._get(name, 0, PART_BYTES)
            if answer is None:
                return False
            with answer["Body"] as body, s3_errors():
                first = body.read()
            etag, size = answer["ETag"], _total(answer)
            self._opened(name, first[: envelope.HEAD_BYTES], answer)
            heads = envelope.rewrapped(name, first[: envelope.HEAD_BYTES], self._ring, self._random)
            if heads is None:
                return False
            if self._replace(name, first, heads[-1], etag, size):
                return True
        raise TarnhelmError(errors.BLOB_STORE_AWAY)

    def sweep(self, older_than_seconds: float) -> int:
        """Abort uploads that were never completed."""
        found = 0
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=self._prefix)
        with s3_errors():
            for page in pages:
                for upload in page.get("Uploads", []):
                    if self._clock() - upload["Initiated"].timestamp() >= older_than_seconds:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        found += 1
        return found

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    # --- for the writer --------------------------------------------------------------------------------

    def sealer(self, known_sha256: bytes) -> envelope.Sealer:
        """Return a sealer with fresh keys."""
        return envelope.Sealer(self._random, known_sha256)

    def finish(self, name: BlobName, upload: Upload, sealer: envelope.Sealer) -> Commit:
        """Send the rest, the head last."""
        head, info = sealer.head(name, self._ring, self._clock())
        if upload.finish(head, _IF_ABSENT):
            return Commit(info, created=True)
        standing = self.stat(name)
        if standing is None:  # purged in between, or two puts met: neither has stored anything
            raise TarnhelmError(errors.BLOB_STORE_AWAY)
        return Commit(standing, created=False)

    # --- the bucket ------------------------------------------------------------------------------------

    def _key(self, name: BlobName) -> str:
        return f"{self._prefix}{name}"

    def _get(self, name: BlobName, begin: int, end: int | None, etag: str = "") -> Any:
        """Ask for bytes of an object; None where it is gone, or is another than ``etag``'s."""
        wanted: dict[str, str] = {"IfMatch": etag} if etag else {}
        if begin or end is not None:
            wanted["Range"] = f"bytes={begin}-{'' if end is None else end - 1}"
        with s3_errors():
            try:
                return self._client.get_object(Bucket=self._bucket, Key=self._key(name), **wanted)
            except ClientError as error:
                if code_of(error) in _ABSENT | _CHANGED:
                    return None
                if code_of(error) in ("InvalidRange", "416"):
                    raise TarnhelmError(errors.BLOB_DAMAGED) from None
                raise

    def _opened(self, name: BlobName, head: bytes, answer: Any) -> envelope.Opened:
        opened = envelope.open_head(name, head, self._ring)
        if _total(answer) != envelope.stored_size(opened.info.size):
            raise TarnhelmError(errors.BLOB_DAMAGED)
        return opened

    def _replace(self, name: BlobName, first: bytes, head: bytes, etag: str, size: int) -> bool:
        if size > PART_BYTES:
            self._need_conditional_parts()
        upload = Upload(self._client, self._bucket, self._key(name))
        try:
            upload.write(first)
            for begin in range(PART_BYTES, size, _COPY_BYTES):
                upload.copy(etag, begin, min(begin + _COPY_BYTES, size))
            return upload.finish(head, {"IfMatch": etag})
        finally:
            upload.abort()

    def _keeps_versions(self) -> bool:
        try:
            found = self._client.get_bucket_versioning(Bucket=self._bucket)
        except ClientError as error:
            if code_of(error) in _UNKNOWN_CALL:
                return False
            raise
        return bool(found.get("Status") == "Enabled")

    def _need_conditional_parts(self) -> None:
        """Without a condition on the upload in parts, a rewrap could bring back a blob that is purged meanwhile."""
        if self._matches_parts:
            return
        with self._probe() as key:
            if self._store_parts(key, {"IfMatch": _NO_ETAG}):
                raise TarnhelmError(errors.BLOB_UNCONDITIONAL)
        self._matches_parts = True

    @contextmanager
    def _probe(self) -> Iterator[str]:
        """Give the key of an object that stands there meanwhile."""
        key = f"{self._prefix}probe/{self._random(16).hex()}"
        try:
            if not self._store(key, b"1", _IF_ABSENT):
                raise TarnhelmError(errors.BLOB_STORE_UNUSABLE)
            yield key
        finally:
            with s3_errors():
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def _store(self, key: str, body: bytes, condition: dict[str, str]) -> bool:
        upload = Upload(self._client, self._bucket, key)
        return upload.finish(body, condition)

    def _store_parts(self, key: str, condition: dict[str, str]) -> bool:
        upload = Upload(self._client, self._bucket, key)
        try:
            return upload.finish_in_parts(b"3", condition)
        finally:
            upload.abort()


class _S3Writer:
    """One blob on its way into a bucket."""

    def __init__(self, store: S3Blobs, name: BlobName, upload: Upload, known_sha256: bytes) -> None:
        self._store = store
        self._name = name
        self._upload = upload
        self._sealer = store.sealer(known_sha256)
        self._upload.write(envelope.BLANK_HEAD)

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._sealer.sha256

    def write(self, data: Piece) -> None:
        """Take the next bytes."""
        try:
            for segment in self._sealer.feed(data):
                self._upload.write(segment)
        except BaseException:
            self.abort()
            raise

    def commit(self, last: Piece = b"", *, sha256: str = "") -> Commit:
        """Store the blob, if nobody else has."""
        try:
            for segment in self._sealer.finish(last):
                self._upload.write(segment)
            if sha256 and sha256 != self._sealer.sha256:
                raise TarnhelmError(errors.BLOB_UNLIKE)
            return self._store.finish(self._name, self._upload, self._sealer)
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop all of it."""
        self._upload.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class S3Reader:
    """One blob, or a range of it, out of a bucket."""

    def __init__(self, body: Any, opened: envelope.Opened, start: int, length: int | None) -> None:
        self._body = body
        self._opened = opened
        self._start = start
        self._length = length

    @property
    def info(self) -> BlobInfo:
        """What its head says."""
        return self._opened.info

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces(summed=True)

    def unsummed(self) -> Iterator[bytes]:
        """Give the same pieces; their digest is the caller's affair."""
        return self._pieces(summed=False)

    def _pieces(self, *, summed: bool) -> Iterator[bytes]:
        yield from envelope.pieces(self._opened, self._read, self._start, self._length, summed=summed)
        self._read(1)  # an answer that was read to its end gives its connection back

    def close(self) -> None:
        """Let the connection go."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        return _exactly(self._body, size) if self._body is not None else b""


def _exactly(body: Any, size: int) -> bytes:
    """Read so many bytes of an answer; fewer at its end."""
    found = []
    with s3_errors():
        while size and (data := body.read(size)):
            found.append(data)
            size -= len(data)
    return b"".join(found)


def _total(answer: Any) -> int:
    """Return the length of the whole object that an answer is of."""
    shown = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return int(shown) if shown.isdigit() else int(answer["ContentLength"])
