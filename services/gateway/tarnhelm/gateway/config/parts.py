"""The shared parts of a gateway, made as its configuration says: broker, blobs, state, keys.

Each process of the group makes them for itself; what they stand for (topics, bytes, states) is one and the same.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import FolderBlobs, KeyRing
from tarnhelm.gateway.broker.topics import TOPICS, TopicSpec, with_partitions
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.state import SqliteState

if TYPE_CHECKING:
    from types import TracebackType

    from tarnhelm.gateway.blobs import BlobStore
    from tarnhelm.gateway.broker import Broker
    from tarnhelm.gateway.config.model import GatewayConfig
    from tarnhelm.gateway.state import StreamStore

__all__ = ["SharedParts", "open_broker", "open_state", "private_line", "public_key"]


@dataclass(slots=True)
class SharedParts:
    """What the roles of a gateway have in common; :meth:`close` lets all of it go."""

    config: GatewayConfig
    broker: Broker
    blobs: BlobStore
    state: StreamStore
    keys: GatewayKeys

    @classmethod
    def open(cls, config: GatewayConfig) -> Self:
        """Make them.

        Raises
        ------
        TarnhelmError
            What keeps one of them from being made; those made before are closed.
        """
        keys = GatewayKeys.read(config.key_folder / "gateway.key")
        with contextlib.ExitStack() as made:
            blobs = made.enter_context(contextlib.closing(_blobs(config)))
            state = made.enter_context(contextlib.closing(open_state(config)))
            broker = made.enter_context(contextlib.closing(open_broker(config)))
            made.pop_all()
        return cls(config, broker, blobs, state, keys)

    def close(self) -> None:
        """Let them go."""
        with contextlib.ExitStack() as last:
            for part in (self.state, self.blobs, self.broker):
                last.callback(part.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_broker(config: GatewayConfig) -> Broker:
    """Make the broker's client; raises BRK-….

    Topics that doors and destinations name beside the usual ones are allowed too.
    """
    section = config.broker
    names = {spec.name for spec in TOPICS}
    own = [door.topic for door in config.doors.ingest]
    out = [one.topic.topic for one in config.destinations.values() if one.topic is not None]
    like = {spec.name: spec for spec in TOPICS}
    extra = {name: _named(like["ingest"], name) for name in own if name not in names}
    extra |= {name: _named(like["clean"], name) for name in out if name not in names}
    topics = with_partitions((*TOPICS, *extra.values()), section.partitions)
    if section.kafka is not None:
        from tarnhelm.gateway.broker.kafka import KafkaBroker  # noqa: PLC0415  # one machine needs no Kafka client

        return KafkaBroker(section.kafka, topics)
    from tarnhelm.gateway.broker.sqlite import SqliteBroker  # noqa: PLC0415

    return SqliteBroker(section.folder or config.state_dir / "broker", topics)


def open_state(config: GatewayConfig) -> StreamStore:
    """Open the state for one of several processes; raises STA-…, GTW-006."""
    section = config.state
    if section.postgres_file is None:
        return SqliteState(section.file or config.state_dir / "state.sqlite", batched=False)
    from tarnhelm.gateway.state.postgres import PostgresState  # noqa: PLC0415

    return PostgresState(private_line(section.postgres_file), connections=section.connections)


def public_key(path: Path) -> bytes:
    """Read an Ed25519 public key (PEM), 32 bytes; raises CFG-004 where it is none."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise TarnhelmError(errors.KEY_EXPOSED)
    return key.public_bytes_raw()


def private_line(path: Path) -> str:
    """Read the one line of a secret's file; raises CFG-004 where everybody can read it."""
    try:
        if path.stat().st_mode & 0o007:
            raise TarnhelmError(errors.KEY_EXPOSED)
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise TarnhelmError(errors.CONFIG_UNREADABLE) from None


def _blobs(config: GatewayConfig) -> BlobStore:
    ring = KeyRing(config.key_folder / "blobs")
    section = config.blobs
    if section.s3 is not None:
        from tarnhelm.gateway.blobs.s3 import S3Blobs  # noqa: PLC0415

        return S3Blobs(section.s3, ring)
    return FolderBlobs(section.folder or config.state_dir / "blobs", ring)


def _named(spec: TopicSpec, name: str) -> TopicSpec:
    return replace(spec, name=name)
