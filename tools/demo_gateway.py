"""A gateway's state made up for pictures and tests: objects in every state, on real stores, with nobody's data.

``python -m tools.demo_gateway FOLDER`` serves its page until it is interrupted and prints the address and a password.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import secrets
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tarnhelm.common.events import EventLog
from tarnhelm.common.serve import ServerSettings
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status
from tarnhelm.gateway.admin.sampling import Sample
from tarnhelm.gateway.admin.server import AdminParts, AdminServer
from tarnhelm.gateway.admin.service import Setting
from tarnhelm.gateway.admin.settings import AdminAddress, AdminCaller, AdminSettings, Role
from tarnhelm.gateway.blobs import FolderBlobs, KeyRing
from tarnhelm.gateway.blobs.base import put
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.board import Condition, PartNote, SqliteBoard
from tarnhelm.gateway.broker import TOPICS
from tarnhelm.gateway.broker.sqlite import SqliteBroker
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.state import Decision, SqliteState, Step
from tarnhelm.gateway.state.reading import SqliteReading
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.decisions import Decisions
from tarnhelm.gateway.stream.publishing import Publisher
from tarnhelm.gateway.web.server import WebServer
from tarnhelm.gateway.web.settings import WebSettings

PROJECT = "p-7c41d09e"
DOORS = ("ct-room-1", "mr-room-2", "research-stow", "archive-folder")
HELD = (
    ("PIX-001", "metadata", 9), ("PIX-002", "metadata", 4), ("WIT-001", "metadata", 3), ("DCM-003", "metadata", 2),
    ("LIM-006", "metadata", 1), ("LIM-007", "metadata", 1),
)  # fmt: skip
ACTIONS = {
    ("PatientName", "REPLACE"): 1, ("PatientID", "REPLACE"): 1, ("PatientBirthDate", "REPLACE"): 1,
    ("StudyDate", "JITTER"): 1, ("Modality", "KEEP"): 1, ("InstitutionName", "REMOVE"): 1, ("Rows", "KEEP"): 1,
    ("Columns", "KEEP"): 1, ("StudyInstanceUID", "REPLACE"): 1, ("SOPInstanceUID", "REPLACE"): 1,
    ("SeriesDescription", "CLEAN"): 1,
}  # fmt: skip


@dataclass
class World:
    """Real stores below a folder, and what serves them.

    Attributes
    ----------
    events
        What was logged.
    """

    folder: Path
    now: float = field(default_factory=time.time)
    events: io.StringIO = field(default_factory=io.StringIO)
    plan: ProjectPlan = field(
        default_factory=lambda: ProjectPlan(
            PROJECT, "c" * 64, "{}", "{}", sha256(b"policy").hexdigest(), stages=("metadata", "finalise")
        )
    )

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = SqliteState(self.folder / "state.sqlite", batched=False)
        self.reading = SqliteReading(self.folder / "state.sqlite")
        add_key(self.folder / "ring")
        self.blobs = FolderBlobs(self.folder / "blobs", KeyRing(self.folder / "ring"))
        self.blobs.check()
        self.broker = SqliteBroker(self.folder / "broker", TOPICS)
        self.broker.ensure()
        self.board = SqliteBoard(self.folder / "board.sqlite")
        self.log = EventLog(self.events, time.time)
        self.state.put_plan(self.plan)
        self.token_file = self.folder / "web.token"
        self.token_file.write_text(secrets.token_urlsafe(32))
        self.token_file.chmod(0o600)

    def add(self, object_id: str, state: State, **changes: object) -> ObjectRecord:
        """Enter an object of the demonstration's plan."""
        fields = {
            "project": PROJECT, "door": DOORS[0], "received": self.now, "size": 526_336, "revision": 1,
            "plan_digest": self.plan.digest, "policy_digest": self.plan.policy_digest, "stage": "metadata",
        }  # fmt: skip
        record = ObjectRecord(object_id, state, **(fields | changes))  # type: ignore[arg-type]
        self.state.add(record)
        return record

    def cleaned(self, record: ObjectRecord, data: bytes | None = None, stage: str = "metadata") -> None:
        """Record a stage's result."""
        data = cleaned_file() if data is None else data
        put(self.blobs, road.work_blob(record, stage), [data])
        outcome = StageOutcome(
            Status.DONE, facts=ObjectFacts(modality="CT"), source_bytes=record.size, output_bytes=len(data),
            actions=ACTIONS, findings={("odd-value", "PatientAge"): 1}, seconds=0.0034,
        )  # fmt: skip
        self.state.put_outcome(record.object_id, stage, road.outcome_key(record), outcome)

    def parts(self, **changes: object) -> AdminParts:
        """What the admin service is built over."""
        made = AdminParts(
            store=self.state, reading=self.reading, blobs=self.blobs, board=self.board,
            decisions=Decisions(self.state, self.blobs, Publisher(self.broker, self.log), self.log), lags=self.lags,
            log=self.log,
            settings=(
                Setting("doors", "ct-room-1", "DICOM, AE title TARNHELM, port 11112, TLS"),
                Setting("doors", "research-stow", "STOW-RS, port 8043, client certificates"),
                Setting("stages", "metadata", "dns:///metadata:50051, 3 replicas"),
                Setting("state", "kind", "PostgreSQL, schema gateway"),
            ),
        )  # fmt: skip
        return replace(made, **changes)  # type: ignore[arg-type]

    def lags(self) -> dict[tuple[str, str], int]:
        """Ask the broker."""
        found = {}
        for step in ("metadata", "witness"):
            lag = self.broker.lag(road.GROUPS[step], [road.topic_of(step)])
            found[road.topic_of(step), road.GROUPS[step]] = sum(lag.values())
        return found

    def admin_settings(self, *callers: AdminCaller, **changes: object) -> AdminSettings:
        """Settings of an admin service on a free port that the page may call."""
        web = AdminCaller("web", Role.ADMIN, token_file=self.token_file, speaks_for_people=True)
        made = AdminSettings(
            server=ServerSettings(listen="127.0.0.1:0", drain_seconds=0.0, grace_seconds=1.0),
            callers=(web, *callers), sample_seconds=0.2, scratch=self.folder,
        )  # fmt: skip
        return replace(made, **changes)  # type: ignore[arg-type]

    def web_settings(self, port: int, **changes: object) -> WebSettings:
        """Settings of a page on a free port in front of an admin service."""
        made = WebSettings(
            accounts_file=self.folder / "accounts.sqlite", listen="127.0.0.1:0",
            admin=AdminAddress(f"127.0.0.1:{port}", token_file=self.token_file),
        )  # fmt: skip
        return replace(made, **changes)  # type: ignore[arg-type]

    def close(self) -> None:
        """Let go of the stores."""
        for store in (self.state, self.reading, self.blobs, self.broker, self.board):
            store.close()


class Running:
    """A server in a thread; leaves with the context."""

    def __init__(self, server: AdminServer | WebServer) -> None:
        self.server = server
        self._stop = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.server.run(self._stop)
        except BaseException as error:
            self._failed.append(error)
            raise

    def __enter__(self) -> int:
        self._thread.start()
        while not self.server.listening.wait(0.05):
            if self._failed:
                self._thread.join()
                raise self._failed[0]
        return self.server.port

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def cleaned_file(**changes: object) -> bytes:
    """Return a small CT slice whose header holds surrogates only."""
    data = Dataset()
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "2.25.281474976710657",
        "StudyDate": "20190311", "Modality": "CT", "Manufacturer": "SIEMENS", "SeriesDescription": "THORAX 5.0 B31f",
        "PatientName": "Larsen^Marit", "PatientID": "TRIAL7-4KXQ9M2V", "PatientBirthDate": "19570101", "PatientSex": "F",
        "PatientIdentityRemoved": "YES", "SliceThickness": "5", "KVP": "120",
        "StudyInstanceUID": "2.25.281474976710655", "SeriesInstanceUID": "2.25.281474976710656",
        "InstanceNumber": "17", "ImagePositionPatient": ["-180", "-180", "-412.5"], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "Rows": 16, "Columns": 16, "BitsAllocated": 16, "BitsStored": 12,
        "HighBit": 11, "PixelRepresentation": 0, "PixelData": b"\0" * 512,
    }  # fmt: skip
    for name, value in (values | changes).items():
        setattr(data, name, value)
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113100", "DCM", "Basic Profile"
    data.DeidentificationMethodCodeSequence = [item]
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def plant(world: World, seed: int = 7) -> dict[str, str]:
    """Fill a world with a morning's work; returns code → one object that it holds, and ``released`` → one that left."""
    chance = random.Random(seed)  # noqa: S311 - a demonstration
    held: dict[str, str] = {}
    with world.state.together():
        for number in range(1240):
            object_id = f"{chance.getrandbits(128):032x}"
            received = world.now - 7200 + number * 5.7
            record = world.add(
                object_id, State.RELEASED, received=received, door=DOORS[number % 3], stage="finalise",
                output_sha256=f"{chance.getrandbits(256):064x}", size=chance.choice((526_336, 133_120, 8_650_752)),
            )  # fmt: skip
            world.state.add_step(record.object_id, Step(received + 1.4, "released"))
        held["released"] = record.object_id
        for state, count in ((State.ADMITTED, 14), (State.RUNNING, 3), (State.WITNESSING, 2), (State.VERIFIED, 5)):
            for number in range(count):
                world.add(f"{chance.getrandbits(128):032x}", state, received=world.now - 2 - number, door=DOORS[0])
        for number in range(6):
            waiting = f"{chance.getrandbits(128):032x}"
            world.add(waiting, State.WAITING, code="STG-005", received=world.now - 190 - number, door=DOORS[1])
    world.cleaned(record)
    for code, stage, count in HELD:
        for number in range(count):
            object_id = f"{chance.getrandbits(128):032x}"
            received = world.now - 5400 + number * 300
            record = world.add(
                object_id, State.QUARANTINED, code=code, stage=stage, received=received, door=DOORS[number % 4]
            )
            held[code] = object_id
            if code.startswith("WIT"):
                world.cleaned(record)
            else:
                failed = StageOutcome(Status.QUARANTINE, code=code, source_bytes=record.size, seconds=0.9)
                world.state.put_outcome(object_id, stage, road.outcome_key(record), failed)
            world.state.add_step(object_id, Step(received, "admitted"))
            world.state.add_step(object_id, Step(received + 0.81, stage, "" if code[:3] == "WIT" else code, 0.0034))
            if code.startswith("WIT"):
                world.state.put_verdict(object_id, {(code, "0008103E name"): 1, (code, "00104000 id"): 2}, code)
                world.state.add_step(object_id, Step(received + 1.02, "witness", code, 0.0021))
    reviewer = "web:local:5f1c M. Tremblay"
    rejected, again = (f"{chance.getrandbits(128):032x}" for _ in range(2))
    for decision in (
        Decision(again, "retry", reviewer, "After the update of the gate table", "PIX-002", world.now - 1500),
        Decision(rejected, "reject", "web:local:77ab S. Okafor", "Not part of the study", "DCM-003", world.now - 900),
        Decision(held["PIX-001"], "propose", reviewer, "Phantom of the weekly check", "PIX-001", world.now - 600),
    ):
        world.state.decide(decision)
    world.state.flush()
    announce(world)
    return held


def announce(world: World) -> None:
    """Say how the parts are, now."""
    note = PartNote("door", "ct-room-1", "gateway-1", since=world.now - 86_000, said=time.time())
    rows = (
        replace(note, counts={"associations": 3}), replace(note, name="mr-room-2", counts={"associations": 1}),
        replace(note, name="research-stow", counts={"requests": 2}),
        replace(note, name="archive-folder", condition=Condition.WAITING, since=world.now - 40),
        replace(note, kind="stage", name="metadata", counts={"in-flight": 3}),
        replace(note, kind="stage", name="ocr", condition=Condition.OPEN, code="STG-005", since=world.now - 195),
        replace(note, kind="stage", name="witness", counts={"in-flight": 2}),
        replace(note, kind="destination", name="research-pacs", counts={"queued": 0}),
        replace(note, kind="destination", name="partner-stow", condition=Condition.WAITING, since=world.now - 70,
                counts={"queued": 5}),
        replace(note, kind="broker", name="kafka"), replace(note, kind="blobs", name="s3"),
        replace(note, kind="state", name="postgres"),
    )  # fmt: skip
    world.board.post(rows)


def fill_charts(server: AdminServer, now: float, seed: int = 3) -> None:
    """Give an admin service an hour of samples, so that its charts have something to show."""
    chance = random.Random(seed)  # noqa: S311 - a demonstration
    for number in range(110):
        busy = 40 + 35 * ((number % 37) / 37) + chance.uniform(-6, 6)
        done = busy * (0.35 if 60 < number < 72 else 1.0) * chance.uniform(0.95, 1.05)
        underway = 24 + round(chance.uniform(0, 9)) + max(0, min(number - 60, 12, 96 - number)) * 21
        server.sampler.remember(Sample(now - (110 - number) * 30, busy, done, done * 620_000, underway, 4))


def main() -> int:
    """Serve it until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    world = World(folder)
    try:
        plant(world)
        admin = AdminServer(world.admin_settings(sample_seconds=5.0), world.parts())
        fill_charts(admin, world.now)
        with Running(admin) as port:
            web = WebServer(world.web_settings(port, listen="127.0.0.1:8080"), world.log)
            password = secrets.token_urlsafe(12)
            web.accounts.add("m.tremblay", "M. Tremblay", Role.ADMIN, password)
            with Running(web) as listening:
                print(json.dumps({"url": f"http://127.0.0.1:{listening}/", "name": "m.tremblay", "password": password}))
                sys.stdout.flush()
                try:
                    while True:
                        time.sleep(20)
                        announce(world)
                except KeyboardInterrupt:
                    return 130
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
