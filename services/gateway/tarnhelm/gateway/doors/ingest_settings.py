"""How the door on the topic ``ingest`` is set up: whose records it takes, which references it follows, its bounds."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tarnhelm.gateway.doors.naming import check_name

__all__ = [
    "FolderReferences",
    "HttpReferences",
    "IngestDoorSettings",
    "IngestProducer",
    "ReassemblySettings",
    "ReferenceSettings",
    "S3References",
]

_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class IngestProducer:
    """Somebody who signs his records, and the project that his objects belong to.

    Attributes
    ----------
    name
        For metrics and events: lower-case letters, digits and hyphens.
    project
        Opaque id.
    public_key_file
        Ed25519, PEM (SubjectPublicKeyInfo, RFC 8410).
    """

    name: str
    project: str
    public_key_file: Path


@dataclass(frozen=True, slots=True)
class FolderReferences:
    """References into a folder of this machine: ``prefix`` and a relative path.

    Attributes
    ----------
    prefix
        ``file:///mnt/exports/``, as producers write it; ends with a slash.
    folder
        Where it is here. No link is followed below it.
    """

    prefix: str
    folder: Path


@dataclass(frozen=True, slots=True)
class HttpReferences:
    """References to a web server.

    Attributes
    ----------
    prefix
        ``https://pacs.example:8443/exports/``; ends with a slash. ``http://`` only where ``plaintext_allowed``.
    networks
        Networks that the server's addresses may lie in although they are not public ones, as ``10.2.0.0/16``.
        Link-local addresses, where clouds keep their metadata, are refused whatever stands here.
    ca_file
        Who signs the server, PEM; None: the system's list.
    certificate_file, key_file
        Our own, for mutual TLS; both or neither.
    bearer_token_file
        Sent to this server only; read anew for each request.
    """

    prefix: str
    networks: tuple[str, ...] = ()
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    bearer_token_file: Path | None = None
    plaintext_allowed: bool = False


@dataclass(frozen=True, slots=True)
class S3References:
    """References to the objects of a bucket: ``s3://bucket/key``.

    Attributes
    ----------
    prefix
        ``s3://bucket/exports/``; ends with a slash.
    endpoint
        ``https://host[:port]``; always named, so that nothing but the settings chooses the host.
    access_key_file, secret_key_file
        One line each, in files that others may not read.
    ca_file
        Who signs the server, PEM; None: the system's list.
    virtual_host
        The bucket is a part of the host's name.
    """

    prefix: str
    endpoint: str
    access_key_file: Path
    secret_key_file: Path
    region: str = "us-east-1"
    ca_file: Path | None = None
    virtual_host: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceSettings:
    """Which references are followed; none unless a prefix is named.

    Attributes
    ----------
    max_lifetime_seconds
        A reference that expires later than this from now is refused: it would be a link for ever.
    patience_seconds
        How long a server that is away is asked again before the record becomes a dead letter; never past its expiry.
    connect_seconds, silence_seconds
        To connect; for each silence while bytes come.
    slowest_bytes_per_second
        An object may take ``silence_seconds`` and its size divided by this.
    """

    folders: tuple[FolderReferences, ...] = ()
    http: tuple[HttpReferences, ...] = ()
    s3: tuple[S3References, ...] = ()
    max_lifetime_seconds: float = 7 * _DAY
    patience_seconds: float = 900.0
    connect_seconds: float = 5.0
    silence_seconds: float = 30.0
    slowest_bytes_per_second: float = 262_144.0

    def __post_init__(self) -> None:
        prefixes: list[tuple[str, tuple[str, ...]]] = [(one.prefix, ("file",)) for one in self.folders]
        prefixes += [(one.prefix, ("http", "https")) for one in self.http]
        prefixes += [(one.prefix, ("s3",)) for one in self.s3]
        if len(dict(prefixes)) != len(prefixes):
            raise ValueError("a prefix stands twice")
        for prefix, schemes in prefixes:
            _check_prefix(prefix, schemes)
        for place in self.http:
            if not place.plaintext_allowed and not place.prefix.startswith("https://"):
                raise ValueError("http:// needs plaintext_allowed")
            if (place.certificate_file is None) != (place.key_file is None):
                raise ValueError("a certificate and its key come together")
            for network in place.networks:
                ipaddress.ip_network(network)
        waits = (self.max_lifetime_seconds, self.connect_seconds, self.silence_seconds, self.slowest_bytes_per_second)
        if min(waits) <= 0 or self.patience_seconds < 0:
            raise ValueError("seconds are more than nothing")


@dataclass(frozen=True, slots=True)
class ReassemblySettings:
    """How objects that come in chunks are put together.

    Attributes
    ----------
    patience_seconds
        An object is given up, with a dead letter, when no chunk of it has come for so long and some are missing.
    max_pending_bytes
        Chunks that lie in the blob store; above it no further object is begun until one is complete or given up.
    remember_seconds
        How long an object's completion is remembered, so that a chunk that comes once more begins nothing new. Longer
        than the topic's retention.
    look_seconds
        How often the chunks in the store are looked through for what is complete or too old.
    """

    patience_seconds: float = 3600.0
    max_pending_bytes: int = 64 << 30
    remember_seconds: float = 2 * _DAY
    look_seconds: float = 30.0

    def __post_init__(self) -> None:
        if min(self.patience_seconds, self.max_pending_bytes, self.remember_seconds, self.look_seconds) <= 0:
            raise ValueError("bounds are more than nothing")


@dataclass(frozen=True, slots=True)
class IngestDoorSettings:
    """The door on a topic; every record's project is bound here, whatever the record says.

    Attributes
    ----------
    name
        For receipts, metrics and events: lower-case letters, digits and hyphens.
    topic
        The topic; several doors with a topic each may serve several projects.
    group
        Consumer group; all replicas of this door have the same.
    project
        Opaque id of the project of all records without a signature: then only those may write the topic (an ACL of the
        broker) who may put objects into this project. Empty: every record must be signed.
    producers
        Those whose signatures are known.
    opening_key_files
        X25519 private keys, PEM (PKCS #8), readable by the door alone: what producers seal to their public halves is
        opened. Several while a new one replaces an old one.
    unsealed_allowed
        Take records whose payload is not sealed too: then whoever runs the broker can read them.
    workers
        Objects that are taken in at the same time.
    max_bytes_in_flight
        Bytes of records that were read and are not done.
    session_seconds
        How long this member may be silent before its partitions go to others.
    trim_seconds
        How often what is committed is deleted from the topic; 0: never.
    """

    name: str = "ingest"
    topic: str = "ingest"
    group: str = "door-ingest"
    project: str = ""
    producers: tuple[IngestProducer, ...] = ()
    opening_key_files: tuple[Path, ...] = ()
    unsealed_allowed: bool = True
    references: ReferenceSettings = field(default_factory=ReferenceSettings)
    reassembly: ReassemblySettings = field(default_factory=ReassemblySettings)
    workers: int = 4
    max_bytes_in_flight: int = 64 << 20
    session_seconds: float = 15.0
    trim_seconds: float = 60.0

    def __post_init__(self) -> None:
        check_name(self.name)
        names = [one.name for one in self.producers]
        for name in names:
            check_name(name)
        if len(set(names)) != len(names):
            raise ValueError("a producer's name stands twice")
        if not self.project and not self.producers:
            raise ValueError("a topic needs a project, or producers who sign")
        if not all(one.project for one in self.producers):
            raise ValueError("a producer needs a project")
        if not self.unsealed_allowed and not self.opening_key_files:
            raise ValueError("sealed payloads need a key to open them")
        if not self.topic or not self.group:
            raise ValueError("a door needs a topic and a group")
        if self.workers < 1 or self.trim_seconds < 0:
            raise ValueError("bounds are more than nothing")


def _check_prefix(prefix: str, schemes: tuple[str, ...]) -> None:
    url = urlsplit(prefix)
    sound = url.scheme in schemes and prefix.endswith("/") and not url.query and not url.fragment
    if not sound or "@" in url.netloc or bool(url.netloc) != (url.scheme != "file"):
        raise ValueError("a prefix has its own scheme, a host or a bucket, and a slash at its end")
