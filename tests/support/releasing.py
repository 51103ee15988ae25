"""A gateway's stores with verified objects in them, and destinations that are not there yet: for tests of the release.

``python -m tests.support.releasing DESCRIPTION`` is a release process that kills itself at a failpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from tarnhelm.v1.object_pb2 import StageTask

from tarnhelm.common.events import EventLog
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status
from tarnhelm.gateway.blobs import BlobName, FolderBlobs, KeyRing
from tarnhelm.gateway.blobs.base import put
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.broker import TopicSpec
from tarnhelm.gateway.broker.sqlite import SqliteBroker
from tarnhelm.gateway.deliveries import DeliveryState, SqliteDeliveries
from tarnhelm.gateway.deliveries.metrics import DeliveryMetrics
from tarnhelm.gateway.deliveries.release import ReleaseDesk, ReleaseParts, nothing
from tarnhelm.gateway.deliveries.role import TOPIC, ReleaseRole
from tarnhelm.gateway.deliveries.settings import ReleaseSettings, Route
from tarnhelm.gateway.destinations import DestinationRules, FolderDestinationSettings, RetrySettings
from tarnhelm.gateway.destinations.folder import FolderDestination
from tarnhelm.gateway.fsm import Event, Lifecycle
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.manifest import ManifestKey, verify_lines
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.release import candidate_paths
from tarnhelm.gateway.state import SqliteState
from tarnhelm.gateway.verdict import SignedVerdict

PROJECT = "p" * 20
PLAN = ProjectPlan(PROJECT, "c" * 64, "{}", "{}", "b" * 64, "a" * 64)
TOPICS = (TopicSpec(TOPIC, partitions=2), TopicSpec("dead-letter", partitions=1))
QUICK = RetrySettings(first_seconds=0.02, most_seconds=0.2, doubtful_attempts=3, breaker_failures=2)
_KEY = b"w" * 32
CT = "1.2.840.10008.5.1.4.1.1.2"


def sign(verdict):
    text = f"{verdict.object_id}{verdict.policy_digest}{verdict.output_sha256}".encode()
    return hmac.digest(_KEY, text, "sha256").hex()


LIFE = Lifecycle(lambda verdict: hmac.compare_digest(sign(verdict), verdict.signature))


def dicom_bytes(number, *, sop_class=CT, syntax=ExplicitVRLittleEndian, pixels=512):
    """A small object under surrogate headers, as a stage would write it."""
    import io

    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = sop_class, f"2.25.{1000 + number}"
    one.StudyInstanceUID, one.SeriesInstanceUID = "2.25.1", "2.25.2"
    one.PatientID, one.PatientName, one.Modality = "TH-1", "Surrogate^Name", "CT"
    one.InstanceNumber = number
    one.Rows, one.Columns = pixels // 64, 32
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation, one.SamplesPerPixel = 15, 0, 1
    one.PhotometricInterpretation = "MONOCHROME2"
    one.PixelData = random.Random(number).randbytes(pixels)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = syntax
    one.file_meta.MediaStorageSOPClassUID, one.file_meta.MediaStorageSOPInstanceUID = sop_class, one.SOPInstanceUID
    one.file_meta.ImplementationClassUID = "2.25.97093542746683564656966415296741377151"
    stream = io.BytesIO()
    one.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


class Probe:
    """A destination that keeps what it gets, and fails when told to.

    ``fail(parcel)`` returns an error to raise, or nothing.
    """

    def __init__(self, name, fail=None):
        self.name = name
        self.fail = fail or (lambda _parcel: None)
        self.got = []
        self.notices = []
        self.tried = Counter()
        self.closed = False
        self._lock = threading.Lock()

    def deliver(self, parcel):
        with self._lock:
            self.tried[parcel.object_id] += 1
        error = self.fail(parcel)
        if error is not None:
            raise error
        content = b"".join(parcel.open())
        with self._lock:
            self.got.append((parcel, content))

    def withdraw(self, notice):
        error = self.fail(notice)
        if error is not None:
            raise error
        self.notices.append(notice)

    def close(self):
        self.closed = True


@dataclass
class World:
    """One gateway, as far as the release sees it."""

    root: Path
    log_lines: list = field(default_factory=list)

    def __post_init__(self):
        ring = self.root / "ring"
        if not ring.exists():
            add_key(ring)
        self.state = SqliteState(self.root / "state.sqlite", batched=False)
        if self.state.plan(PLAN.digest) is None:
            self.state.put_plan(PLAN)
        self.blobs = FolderBlobs(self.root / "blobs", KeyRing(ring))
        self.blobs.check()
        self.deliveries = SqliteDeliveries(self.root / "deliveries.sqlite")
        self.broker = SqliteBroker(self.root / "broker", TOPICS)
        self.broker.ensure()
        self.keys = GatewayKeys.open(self.root / "keys")
        self.key = ManifestKey.open(self.root / "manifest.key")
        self.metrics = DeliveryMetrics(None)
        self.log = EventLog(self, time.time)

    def write(self, text):
        self.log_lines += map(json.loads, text.splitlines())

    def flush(self):
        """Nothing is buffered."""

    def close(self):
        self.broker.close()
        self.deliveries.close()
        self.state.close()
        self.blobs.close()

    # --- objects

    def verified(self, number, content=None, *, subject="TH-1", study="2.25.1", modality="CT", publish=True, **changes):
        """Bring an object to VERIFIED and send its task."""
        content = dicom_bytes(number) if content is None else content
        object_id = hashlib.sha256(b"%d" % number + content[:1000]).hexdigest()[:32]
        sha256 = hashlib.sha256(content).hexdigest()
        facts = ObjectFacts(
            sop_class_uid=CT,
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            modality=modality,
            study_uid=study,
            series_uid="2.25.2",
            sop_uid=changes.pop("sop_uid", f"2.25.{1000 + number}"),
            subject_id=subject,
            instance_number=number,
        )
        put(self.blobs, BlobName("raw", object_id), [b"raw"])
        put(self.blobs, BlobName("work", object_id, f"metadata-{PLAN.digest[:32]}"), [content])
        record = ObjectRecord(
            object_id,
            plan_digest=PLAN.digest,
            policy_digest=PLAN.policy_digest,
            project=changes.pop("project_id", PROJECT),
            received=time.time(),
            **changes,
        )
        assert self.state.add(record)
        outcome = StageOutcome(Status.DONE, facts=facts, output_sha256=sha256, output_bytes=len(content))
        self.state.put_outcome(object_id, "metadata", PLAN.digest, outcome)
        steps = (Event.ADMIT, Event.START, Event.STAGE_DONE, Event.JUDGE)
        judged = LIFE.step(record, *steps, stage="metadata", output_sha256=sha256)
        self.state.save(judged, record)
        verdict = SignedVerdict(object_id, PLAN.policy_digest, sha256, clean=True)
        verdict = SignedVerdict(object_id, PLAN.policy_digest, sha256, clean=True, signature=sign(verdict))
        path = next(one for one in candidate_paths(facts, object_id) if not self.state.path_taken(one, object_id))
        self.state.save(LIFE.verified(judged, verdict, path), judged)
        if publish:
            self.publish(object_id)
        return object_id

    def publish(self, object_id):
        task = StageTask(object_id=object_id, stage="release", plan_digest=PLAN.digest)
        self.broker.publish(TOPIC, object_id.encode(), task.SerializeToString()).result(30)

    def states(self):
        return dict(self.state.counts())

    # --- the role

    def parts(self, *routes, reached=nothing):
        return ReleaseParts(
            self.state,
            self.blobs,
            self.deliveries,
            routes,
            self.key,
            self.metrics,
            self.log,
            self.keys.tombstones,
            time.time,
            random.Random(7).random,
            {"tarnhelm": "0"},
            reached,
        )

    def settings(self, **changes):
        quick = {"lease_seconds": 2.0, "poll_seconds": 0.02, "reconcile_seconds": 0.1, "batch": 16, **changes}
        return ReleaseSettings(self.root / "manifest", **quick)

    def desk(self, *routes, **changes):
        return ReleaseDesk(self.settings(**changes), self.parts(*routes))

    @contextlib.contextmanager
    def running(self, *routes, **changes):
        """Run the role until the block ends."""
        role = ReleaseRole(self.settings(**changes), self.parts(*routes), self.broker)
        stop = threading.Event()
        thread = threading.Thread(target=role.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive(), "the role did not stop"

    def events(self, name):
        return [line for line in self.log_lines if line["name"] == name]

    def held(self):
        return {(one.object_id, one.destination): one.code for one in self.deliveries.listing(DeliveryState.HELD)}

    def lines(self):
        return [content for writer in self.deliveries.writers() for _, content in self.deliveries.lines(writer)]

    def manifest_is_whole(self):
        found = verify_lines(self.lines(), [self.key.public], whole=True)
        assert not found.bad_line, found
        return found.lines


def route(destination, **rules):
    return Route(destination, DestinationRules(**{"retry": QUICK, **rules}))


def until(condition, seconds=60.0, what="it did not happen"):
    """Wait until ``condition()`` is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def all_released(world, count):
    until(lambda: world.states() == {State.RELEASED: count}, what=f"{world.states()} {world.log_lines[-5:]}")


def main():
    """Run a release process until its failpoint, where it is killed; says nothing."""
    task = json.loads(sys.argv[1])
    root = Path(task["root"])
    world = World(root)
    left = [task["times"]]

    def reached(place):
        if place == task["place"]:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    folder = FolderDestination("disk", FolderDestinationSettings(root / "out"))
    # Two at a time, so that every place is come by often enough to be killed there again and again.
    settings = world.settings(lease_seconds=0.5, batch=2)
    role = ReleaseRole(settings, world.parts(route(folder), reached=reached), world.broker)
    role.run(threading.Event())


if __name__ == "__main__":
    main()
