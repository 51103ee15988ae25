"""The services of a pipeline as a user starts them: processes of their own, on free ports of 127.0.0.1."""

from __future__ import annotations

import hashlib
import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydicom
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydicom.data import get_testdata_file
from tests.support.assign_server import AssignServer
from tests.support.vault_sessions import until

from tarnhelm.gateway.stages.remote_stage import RemoteSettings, StageCall
from tarnhelm.metadata.core.config_json import config_json
from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAN = "ab" * 32


def start_metadata(assign: str, *arguments: object) -> AssignServer:
    """Start a metadata service and wait until it listens; ``target`` says where."""
    return AssignServer.started(
        [sys.executable, "-m", "tarnhelm.metadata.server", "--assign", assign, *_COMMON, *map(str, arguments)]
    )


def start_witness(key_file: Path, *arguments: object) -> AssignServer:
    """Start a witness and wait until it serves."""
    server = AssignServer.started(
        [sys.executable, "-m", "tarnhelm.witness.server", "--signing-key-file", str(key_file), *_COMMON,
         *map(str, arguments)]
    )  # fmt: skip
    until(lambda: server.health("tarnhelm.v1.WitnessService") == "SERVING", "the witness does not serve")
    return server


_COMMON = ("--listen", "127.0.0.1:0", "--drain-seconds", "0", "--metrics-listen", "0", "--workers", "1")


def remote_settings(form: str, target: str, **settings: Any) -> RemoteSettings:
    """Settings of a client; with the form ``streamed`` every object goes in pieces, however small."""
    whole = {"whole_bytes": -1} if form == "streamed" else {}
    return RemoteSettings(target, **settings | whole)


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Write a witness's key and return it."""
    key = Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


@dataclass
class Sent:
    """An object that is sent, and what came back of it."""

    data: bytes
    step: int = 200_000

    def __post_init__(self) -> None:
        self.back = bytearray()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def source(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), self.step):
            yield self.data[at : at + self.step]

    def call(self, ticket: bytes, config: bytes, **changes: Any) -> StageCall:
        fields = {
            "object_id": "object-1", "project": "project", "ticket": ticket, "plan_digest": PLAN, "config": config,
            "size": len(self.data), "sha256": self.sha256,
        }  # fmt: skip
        return StageCall(**fields | changes)


def default_config() -> tuple[bytes, Any]:
    """JSON of the default recipe for the metadata service, and its plan."""
    config = MetadataConfig()
    return config_json(config).encode(), compile_plan(config)


def chest_slice(number: int = 0) -> bytes:
    """A slice of an invented patient's chest: neither a face nor text is to be looked for in it."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.{number + 1}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()
