"""A world around the ingest door: a broker, a blob store, keys, and doors in threads or in processes that may be killed.

``python -m tests.support.ingest_door DESCRIPTION`` is such a process; its admitter keeps objects in a folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tarnhelm.v1 import ingest_pb2
from tests.support.admitting import RecordingAdmitter
from tests.support.brokers import Place

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import FolderBlobs, KeyRing
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.broker import TopicSpec
from tarnhelm.gateway.doors.ingest import IngestDoor
from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings, ReassemblySettings
from tarnhelm.gateway.intake import Receipt, Reception
from tarnhelm.gateway.keys import GatewayKeys

ROOT = Path(__file__).parents[2]
SOON = ReassemblySettings(look_seconds=0.2)


def write_pair(folder, name, kind=X25519PrivateKey):
    """Write NAME.key and NAME.pem; returns both paths."""
    key = kind.generate()
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def signing_pair(folder, name):
    return write_pair(folder, name, Ed25519PrivateKey)


def dicom(number, size=5000):
    """Bytes that begin like a DICOM file and are like no other ones."""
    head = bytes(128) + b"DICM" + b"PATIENT^CANARY %d " % number
    return head + hashlib.shake_256(str(number).encode()).digest(size - len(head))


def wait_until(done, seconds=60.0, what=lambda: ""):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


@dataclass
class World:
    """A broker with topics of its own; ``ingest`` and ``dead`` are their names."""

    place: Place
    folder: Path
    suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    options: dict[str, Any] = field(default_factory=dict)
    topic: str = ""

    def __post_init__(self):
        self.ingest = self.topic or f"ingest-{self.suffix}"
        self.topics = (
            TopicSpec(self.ingest, partitions=3, identified=True),
            TopicSpec("dead-letter", partitions=1, identified=True),
            TopicSpec("clean", partitions=3),
        )
        self.broker = self.place.open(*self.topics, **self.options)
        self.broker.ensure()
        ring = self.folder / "ring"
        if not ring.exists():
            add_key(ring)
        self.blobs = FolderBlobs(self.folder / "blobs", KeyRing(ring))
        self.blobs.check()
        self.keys = GatewayKeys.open(self.folder / "keys")
        self.admitter = RecordingAdmitter()
        self._stop = threading.Event()
        self._threads = []
        self.failures = []

    def settings(self, **given):
        found = {"topic": self.ingest, "group": f"door-{self.suffix}", "project": "project-1", "reassembly": SOON}
        return IngestDoorSettings(**{**found, "session_seconds": self.place.session_seconds, **given})

    def door(self, settings=None, **seams):
        return IngestDoor(
            settings or self.settings(),
            self.broker,
            self.blobs,
            seams.pop("admitter", self.admitter),
            self.keys,
            **seams,
        )

    def start(self, settings=None, **seams):
        """Run a door in a thread."""
        door = self.door(settings, **seams)
        stop = threading.Event()

        def run():
            try:
                door.run(stop)
            except BaseException as error:
                self.failures.append(error)
                raise

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append((stop, thread))
        return door

    def stop(self):
        for stop, _ in self._threads:
            stop.set()
        for _, thread in self._threads:
            thread.join(60)
        self._threads.clear()

    def close(self):
        self.stop()
        self.broker.close()
        self.blobs.close()
        assert not self.failures

    def put(self, record, key=None, headers=()):
        """Publish one record."""
        value = record if isinstance(record, bytes) else record.SerializeToString()
        return self.broker.publish(self.ingest, key or os.urandom(4), value, headers).result(60)

    def dead_letters(self):
        """(note, message) of those of this world's topic, so far."""
        found = []
        consumer = self.broker.consumer(f"reads-{uuid.uuid4().hex}", ["dead-letter"], self.place.behaviour)
        with contextlib.closing(consumer):
            quiet, until = 0, time.monotonic() + 30
            while quiet < 2 and time.monotonic() < until:
                messages = consumer.poll(max_records=100, max_bytes=1 << 22, timeout_seconds=0.2)
                quiet = 0 if messages or not consumer.assignment() else quiet + 1
                for message in messages:
                    note = ingest_pb2.DeadLetter.FromString(dict(message.headers)["tarnhelm-dead-letter"])
                    if note.topic == self.ingest:
                        found.append((note, message))
        return found

    def lag(self):
        group = f"door-{self.suffix}"
        return sum(self.broker.lag(group, [self.ingest]).values())

    def settled(self, seconds=60.0):
        """Wait until everything on the topic is committed."""

        def through():
            with contextlib.suppress(TarnhelmError):  # a group's coordinator may be on its way
                return self.failures or self.lag() == 0
            return False

        wait_until(through, seconds)
        assert not self.failures

    def in_store(self, area="ingest"):
        return sorted(one.name.part for one in self.blobs.listing(area))


def inline(data, **given):
    record = ingest_pb2.IngestRecord(record_id=os.urandom(16), **given)
    record.inline.data = data
    return record


def chunks(data, each, **given):
    """All records of one payload, in order."""
    record_id = os.urandom(16)
    parts = [data[at : at + each] for at in range(0, len(data), each)]
    found = []
    for index, part in enumerate(parts):
        record = ingest_pb2.IngestRecord(record_id=record_id, **given)
        record.chunk.index = index
        record.chunk.count = len(parts)
        record.chunk.total_size = len(data)
        record.chunk.data = part
        if index == len(parts) - 1:
            record.chunk.sha256 = hashlib.sha256(data).digest()
        found.append(record)
    return found


def reference(uri, data, *, seconds=3600.0, **given):
    record = ingest_pb2.IngestRecord(record_id=os.urandom(16), **given)
    record.reference.uri = uri
    record.reference.size = len(data)
    record.reference.sha256 = hashlib.sha256(data).digest()
    record.reference.expires_ms = int((time.time() + seconds) * 1000)
    return record


class FolderAdmitter:
    """Keeps objects durably in a folder, the first one of equal ones, and notes each commit in a line."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def room(self):
        return 0.0

    def begin(self, arrival):
        return _FolderIntake(self.folder, arrival)


class _FolderIntake:
    def __init__(self, folder, arrival):
        self._folder = folder
        self._arrival = arrival
        self._path = folder / f".{uuid.uuid4().hex}"
        self._stream = self._path.open("wb")
        self._digest = hashlib.sha256()

    def write(self, data):
        self._stream.write(data)
        self._digest.update(data)

    def commit(self):
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        name = self._digest.hexdigest()
        reception = Reception.ACCEPTED
        try:
            os.link(self._path, self._folder / name)
        except FileExistsError:
            reception = Reception.DUPLICATE
        self._path.unlink()
        return Receipt(reception, name[:32])

    def abort(self):
        if not self._stream.closed:
            self._stream.close()
            self._path.unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abort()


class DoorProcess:
    """A door in a process of its own."""

    def __init__(self, world):
        description = {
            "place": dataclasses.asdict(world.place),
            "folder": str(world.folder),
            "suffix": world.suffix,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.ingest_door", json.dumps(description)], cwd=ROOT
        )

    def kill(self):
        self.process.kill()
        self.process.wait()


def main():
    task = json.loads(sys.argv[1])
    world = World(Place(**task["place"]), Path(task["folder"]), task["suffix"])
    world.door(admitter=FolderAdmitter(world.folder / "accepted")).run(threading.Event())


if __name__ == "__main__":
    main()
