"""Blob stores for the contract suite: a place that any process can open, and a way to the bytes beneath."""

from __future__ import annotations

import functools
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3 import S3Place, connect, s3_server

from tarnhelm.gateway.blobs import BlobName, FolderBlobs, KeyRing
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.blobs.s3 import S3Blobs

__all__ = ["Shelf", "s3_server", "shelf"]


@dataclass
class Shelf:
    """One store; pickles to another process."""

    kind: str
    where: Path | S3Place
    ring: Path
    beneath: Path | None = None
    """Folder in which a server keeps its objects, where we know it."""

    ready: list[Any] = field(default_factory=list)
    """Stores that are open already: an S3 client takes a quarter of a second to make."""

    def open(self) -> Any:
        if self.ready:
            return self.ready.pop()
        ring = KeyRing(self.ring)
        return FolderBlobs(self.where, ring) if self.kind == "folder" else S3Blobs(self.where, ring)

    def read(self, name: BlobName) -> bytes:
        """Stored form of a blob."""
        if self.kind == "folder":
            return self._path(name).read_bytes()
        return self._client.get_object(Bucket=self.where.bucket, Key=f"{self.where.prefix}/{name}")["Body"].read()

    def write(self, name: BlobName, data: bytes) -> None:
        """Put other bytes in a blob's place."""
        if self.kind == "folder":
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        else:
            self._client.put_object(Bucket=self.where.bucket, Key=f"{self.where.prefix}/{name}", Body=data)

    def everything(self) -> bytes:
        """Names and bytes of all that is stored."""
        found = []
        if self.kind == "folder":
            found += [str(path).encode() + path.read_bytes() for path in self.where.rglob("*") if path.is_file()]
        else:
            for item in self._client.list_objects_v2(Bucket=self.where.bucket).get("Contents", []):
                answer = self._client.get_object(Bucket=self.where.bucket, Key=item["Key"])
                found += [repr([item["Key"], answer["Metadata"]]).encode() + answer["Body"].read()]
        if self.beneath is not None:
            found += [str(path).encode() + path.read_bytes() for path in self.beneath.rglob("*") if path.is_file()]
        return b"".join(found)

    def unfinished(self) -> int:
        """How many puts were begun and have not ended."""
        if self.kind == "folder":
            return len(list((self.where / ".incoming").iterdir()))
        return len(self._client.list_multipart_uploads(Bucket=self.where.bucket).get("Uploads", []))

    @functools.cached_property
    def _client(self) -> Any:
        return connect(self.where)

    def __getstate__(self) -> tuple[Any, ...]:
        return (self.kind, self.where, self.ring, self.beneath)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.kind, self.where, self.ring, self.beneath = state
        self.ready = []

    def _path(self, name: BlobName) -> Path:
        return self.where / name.area / name.object_id[:2] / name.leaf


@pytest.fixture(params=["folder", "s3"])
def shelf(request, tmp_path):
    """An empty store of each kind in turn."""
    ring = tmp_path / "ring"
    add_key(ring)
    if request.param == "folder":
        found = Shelf("folder", tmp_path / "blobs", ring)
    else:
        server = request.getfixturevalue("s3_server")
        place = server.place()
        found = Shelf("s3", place, ring, server.data / place.bucket if server.data else None)
    store = found.open()
    store.check()
    found.ready.append(store)
    if found.kind == "s3":
        found._client = store._client
    return found


def fresh_name(part: str = "") -> BlobName:
    return BlobName("raw", uuid.uuid4().hex, part)
