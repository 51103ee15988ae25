"""A gateway's stream in one folder: the real broker, blobs and state, with a small stage and a small witness.

An "object" here is text: ``FAKE``, then lines ``name=value``. The stage drops the line ``patient`` and copies the rest;
the witness looks for the patient in the result. What a stage or a witness shall do instead stands in ``behaviour``.
Run as a program, it is one process of such a gateway, which may be told to die at a failpoint.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status
from tarnhelm.common.tickets import TicketIssuer
from tarnhelm.gateway.blobs import BlobStore, FolderBlobs, KeyRing
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.broker import TOPICS, Broker, Message, Partition, Position
from tarnhelm.gateway.broker.sqlite import SqliteBroker
from tarnhelm.gateway.fsm import TERMINAL, Lifecycle
from tarnhelm.gateway.intake import Arrival, Receipt
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import ManifestEntry, State
from tarnhelm.gateway.stages.stage_calls import JudgeCall, StageCall
from tarnhelm.gateway.state import SqliteState, StaleRecordError, Step, StreamStore
from tarnhelm.gateway.stream import road
from tarnhelm.gateway.stream.admission import AdmissionSettings, OnUpdate, StreamAdmitter
from tarnhelm.gateway.stream.assembling import Assembler, AssemblySettings
from tarnhelm.gateway.stream.breaker import BreakerSettings
from tarnhelm.gateway.stream.conveyor import ConveyorSettings
from tarnhelm.gateway.stream.decisions import Decisions
from tarnhelm.gateway.stream.housekeeping import Housekeeping, HousekeepingSettings
from tarnhelm.gateway.stream.publishing import Publisher
from tarnhelm.gateway.stream.pump import Pump, PumpSettings
from tarnhelm.gateway.stream.room import DiskRoom, Room, RoomSettings
from tarnhelm.gateway.stream.staging import StageWork
from tarnhelm.gateway.stream.volume_pump import VolumePump
from tarnhelm.gateway.stream.witnessing import WitnessWork
from tarnhelm.gateway.verdict import SignedVerdict, VerdictCheck, signed_message

WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
TICKET_KEY = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
POLICY = hashlib.sha256(b"policy").hexdigest()
PROJECT = "p1"
DOORS = "folder"


def fake(number: int, patient: str = "Doe^Jane", behaviour: str = "good", pad: int = 0, **more: object) -> bytes:
    """Return one object's bytes."""
    lines = ["FAKE", f"patient={patient}", f"number={number}", f"behaviour={behaviour}", f"pad={'x' * pad}"]
    lines += [f"{name}={value}" for name, value in more.items()]
    return "\n".join(lines).encode() + b"\n"


def cleaned(data: bytes, stage: str = "metadata") -> bytes:
    """Return what the stages make of an object."""
    lines = [line for line in data.splitlines() if not line.startswith(b"patient=")]
    return b"\n".join(lines) + f"\n{stage}=done\n".encode()


def field_of(data: bytes, name: str) -> str:
    for line in data.decode().splitlines():
        if line.startswith(f"{name}="):
            return line.partition("=")[2]
    return ""


class Messages:
    """A broker in memory that hands nothing out by itself: a test delivers, in any order and as often as it likes."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.undone: set[int] = set()

    def ensure(self) -> None:
        pass

    def publish(self, topic: str, key: bytes, value: bytes, headers: Any = ()) -> Future[Position]:
        place = Partition(topic, 0)
        self.undone.add(len(self.sent))
        self.sent.append(Message(place, len(self.sent), key, value, tuple(headers), 0.0))
        done: Future[Position] = Future()
        done.set_result(Position(place, len(self.sent) - 1))
        return done

    def lag(self, _group: str, topics: Any) -> dict[Partition, int]:
        return {Partition(topic, 0): sum(self.sent[at].topic == topic for at in self.undone) for topic in topics}

    def waiting(self, readers: Any) -> dict[tuple[str, str], int]:
        return {(group, topic): sum(self.lag(group, [topic]).values()) for group, topic in readers}

    def flush(self, _seconds: float) -> None:
        pass

    def close(self) -> None:
        pass


class FakeStage:
    """A :class:`StageClient` in the caller's thread. ``away`` makes it a service that cannot be reached."""

    def __init__(self, name: str = "metadata") -> None:
        self._name = name
        self.away = False
        self.calls: Counter[str] = Counter()
        self.tickets: set[bytes] = set()
        self.now: Counter[str] = Counter()
        self.beside: list[int] = []
        """How many others were in hand when a suspect came the third time."""
        self.lost: Counter[str] = Counter()
        self.noise: Callable[[], bytes] = bytes

    @property
    def name(self) -> str:
        return self._name

    def process(
        self, call: StageCall, source: Callable[[], Iterator[bytes]], sink: Callable[[bytes], None]
    ) -> StageOutcome:
        if self.away:
            return StageOutcome(Status.RETRY, code=errors.STAGE_AWAY.code)
        data = b"".join(source())
        assert hashlib.sha256(data).hexdigest() == call.sha256
        assert len(data) == call.size
        self.calls[call.object_id] += 1
        self.now[call.object_id] += 1
        if call.ticket:
            assert call.ticket not in self.tickets, "a ticket is used once"
            self.tickets.add(call.ticket)
        try:
            return self._worked(call, data, sink)
        finally:
            self.now[call.object_id] -= 1

    def _worked(self, call: StageCall, data: bytes, sink: Callable[[bytes], None]) -> StageOutcome:
        behaviour = field_of(data, "behaviour")
        if behaviour == "lost":
            self.lost[call.object_id] += 1
            if self.lost[call.object_id] % 3 == 0:
                self.beside.append(sum(self.now.values()) - 1)
            sink(b"half of it")
            return StageOutcome(Status.RETRY, code=errors.STAGE_LOST.code)
        if behaviour == "ledger":
            return StageOutcome(Status.RETRY, code=errors.LEDGER_BUSY.code)
        if behaviour == "fault":
            raise ZeroDivisionError
        if behaviour == "text" and not call.accept_unchecked_pixels:
            return StageOutcome(Status.QUARANTINE, code=errors.TEXT_UNCHECKED.code)
        if behaviour == "skip":
            return StageOutcome(Status.SKIP, code=errors.NOT_DICOM.code)
        if behaviour == "slow":
            time.sleep(0.02)
        kept = f"leak={field_of(data, 'patient')}\n".encode() if behaviour == "leak" else b""
        result = cleaned(data, self._name) + kept + self.noise()
        for at in range(0, len(result), 65536):
            sink(result[at : at + 65536])
        facts = ObjectFacts(
            study_uid="2.25.1",
            series_uid="2.25.2",
            sop_uid=f"2.25.{field_of(data, 'number')}",
            frame_of_reference_uid=field_of(data, "frame"),
            rows=int(field_of(data, "rows") or 4),
            columns=4,
            modality="CT",
            needs=frozenset(filter(None, [field_of(data, "needs")])),
            subject_id="TH-1",
            instance_number=int(field_of(data, "number")),
        )
        return StageOutcome(
            Status.DONE,
            facts=facts,
            source_sha256=call.sha256,
            output_sha256=hashlib.sha256(result).hexdigest(),
            source_bytes=call.size,
            output_bytes=len(result),
            actions={("PatientName", "REMOVE"): 1},
            methods=("113100",),
        )

    def close(self) -> None:
        pass


class FakeJudge:
    """A :class:`JudgeClient` in the caller's thread, with a real signature."""

    def __init__(self) -> None:
        self.away = False
        self.forging = False
        self.calls: Counter[str] = Counter()

    def judge(
        self, call: JudgeCall, source: Callable[[], Iterator[bytes]], result: Callable[[], Iterator[bytes]]
    ) -> SignedVerdict:
        if self.away:
            return SignedVerdict(call.object_id, call.policy_digest, "", clean=False, code=errors.STAGE_AWAY.code)
        self.calls[call.object_id] += 1
        before, after = b"".join(source()), b"".join(result())
        if field_of(before, "behaviour") == "lost-witness":
            return SignedVerdict(call.object_id, call.policy_digest, "", clean=False, code=errors.STAGE_LOST.code)
        leaked = field_of(before, "patient").encode() in after
        verdict = SignedVerdict(
            call.object_id,
            call.policy_digest,
            hashlib.sha256(after).hexdigest(),
            clean=not leaked,
            code="WIT-001" if leaked else "",
            findings={("WIT-001", "PatientName"): 1} if leaked else {},
        )
        key = Ed25519PrivateKey.generate() if self.forging else WITNESS_KEY
        return replace(verdict, signature=key.sign(signed_message(verdict)).hex())

    def close(self) -> None:
        pass


@dataclass
class WorldSettings:
    """What tests change."""

    stages: tuple[str, ...] = ("metadata",)
    on_update: OnUpdate = OnUpdate.SUPERSEDE
    room: RoomSettings = field(default_factory=lambda: RoomSettings(1.0, 0, check_seconds=0.0))
    disk: DiskRoom = field(default_factory=lambda: DiskRoom(1 << 40, 1 << 41))
    workers: int = 4
    session_seconds: float = 6.0
    memory_bytes: int = 1 << 20
    housekeeping: HousekeepingSettings = field(
        default_factory=lambda: HousekeepingSettings(
            every_seconds=0.05,
            stalled_seconds=0.3,
            suspect_seconds=(0.0, 0.0),
            parked_seconds=0.1,
            purge_after_seconds=3600.0,
            orphan_seconds=3600.0,
            sweep_every_seconds=3600.0,
        )
    )


class World:
    """All parts of one process; several of them may share a folder."""

    def __init__(
        self,
        folder: Path,
        settings: WorldSettings | None = None,
        *,
        state: StreamStore | None = None,
        broker: Broker | None = None,
        blobs: BlobStore | None = None,
        failpoint: Callable[[str], None] = lambda _name: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.monotonic = monotonic
        self.settings = settings or WorldSettings()
        self.failpoint = failpoint
        self.clock = clock
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        ring = folder / "ring"
        if not (ring / "1.key").exists():
            with suppress(TarnhelmError):
                add_key(ring)
        self.lines = io.StringIO()
        self.log = EventLog(self.lines, time.time)
        self.keys = GatewayKeys.open(folder / "keys")
        self.broker: Any = broker or SqliteBroker(folder / "broker", TOPICS)
        self.broker.ensure()
        self.blobs: Any = blobs or FolderBlobs(folder / "blobs", KeyRing(ring))
        self.blobs.check()
        self.state: Any = state or SqliteState(folder / "state.sqlite", batched=False)
        self.plan = ProjectPlan(PROJECT, "core", "{}", "{}", POLICY, stages=self.settings.stages)
        self.state.put_plan(self.plan)
        self.life = Lifecycle(VerdictCheck([WITNESS_KEY.public_key().public_bytes_raw()]))
        self.publisher = Publisher(self.broker, self.log)
        self.stages = {name: FakeStage(name) for name in self.settings.stages}
        self.stage = self.stages[self.settings.stages[0]]
        self.judge = FakeJudge()
        self.room = Room(
            self.settings.room, self.state, self.broker, lambda: self.settings.disk, self._groups(), self.log
        )
        self.admitter = StreamAdmitter(
            AdmissionSettings(
                folder / "scratch",
                memory_bytes_per_object=self.settings.memory_bytes,
                on_update_default=self.settings.on_update,
            ),
            self.state,
            self.blobs,
            self.keys,
            self.publisher,
            self.room,
            self.log,
            clock=clock,
            failpoint=failpoint,
        )
        self.decisions = Decisions(self.state, self.blobs, self.publisher, self.log, clock=clock)
        self.housekeeping = Housekeeping(
            self.settings.housekeeping,
            self.state,
            self.broker,
            self.blobs,
            self.publisher,
            self.log,
            clock=clock,
            failpoint=failpoint,
        )
        self.assembler = Assembler(
            AssemblySettings(quiet_seconds=0.3, stalled_seconds=0.3, every_seconds=0.05),
            self.state,
            self.broker,
            self.publisher,
            self.log,
            clock=clock,
        )
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def _groups(self) -> tuple[tuple[str, str], ...]:
        steps = (*self.settings.stages, road.WITNESS)
        return tuple((road.GROUPS[step], road.topic_of(step)) for step in steps if step != road.IMAGING)

    # --- parts -----------------------------------------------------------------------------------------

    def pump(self, step: str) -> Pump:
        """Make the pump of a step."""
        if step == road.WITNESS:
            work: Any = WitnessWork(self.judge, self.state, self.blobs, self.life, self.log, clock=self.clock)
        else:
            tickets = TicketIssuer(TICKET_KEY) if step == "metadata" else None
            work = StageWork(
                self.stages[step],
                self.state,
                self.blobs,
                self.keys,
                self.life,
                tickets=tickets,
                clock=self.clock,
                failpoint=self.failpoint,
            )
        settings = PumpSettings(
            conveyor=ConveyorSettings(
                workers=self.settings.workers,
                session_seconds=self.settings.session_seconds,
                heartbeat_seconds=0.2,
                commit_seconds=0.05,
                drain_seconds=10.0,
            ),
            breaker=BreakerSettings(0.05, 0.2),
        )
        kind = VolumePump if step == road.IMAGING else Pump
        return kind(
            work,
            settings,
            self.state,
            self.broker,
            self.publisher,
            self.life,
            self.log,
            clock=self.clock,
            monotonic=self.monotonic,
            failpoint=self.failpoint,
        )

    def start(self, *steps: str, housekeeping: bool = False) -> None:
        """Run pumps in threads; all of them without an argument."""
        runs = [self.pump(step).run for step in steps or (*self.settings.stages, road.WITNESS)]
        if housekeeping:
            runs.append(self.housekeeping.run)
        if housekeeping and road.IMAGING in self.settings.stages:
            runs.append(self.assembler.run)
        for run in runs:
            thread = threading.Thread(target=run, args=(self._stop,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the pumps."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        self._threads.clear()
        self._stop = threading.Event()

    def close(self) -> None:
        self.stop()
        self.admitter.close()
        self.broker.close()
        self.state.close()

    # --- objects ---------------------------------------------------------------------------------------

    def send(self, data: bytes, *, uid: str = "", door: str = DOORS) -> Receipt:
        """Hand one object over as a door does."""
        with self.admitter.begin(Arrival(PROJECT, door, uid, len(data))) as intake:
            for at in range(0, len(data), 65536):
                intake.write(data[at : at + 65536])
            return intake.commit()

    def release(self) -> int:
        """Do what the release role does, without a destination; returns how many."""
        done = 0
        for record in list(self.state.records(State.VERIFIED)):
            with self.blobs.open(road.result_blob(record, self.plan)) as reader:
                data = b"".join(reader)
            digest = hashlib.sha256(data).hexdigest()
            with suppress(StaleRecordError), self.state.together():
                self.state.save(self.life.released(record, digest), record)
                self.state.add_step(record.object_id, Step(self.clock(), "released"))
                self.state.add_manifest(
                    ManifestEntry(
                        record.object_id,
                        "",
                        "",
                        digest,
                        len(data),
                        record.plan_digest,
                        POLICY,
                        record.verdict,
                        self.clock(),
                    )
                )
            done += 1
        return done

    def wait(self, *states: State, count: int, seconds: float = 60.0) -> None:
        """Wait until so many objects are in these states."""
        until = time.monotonic() + seconds
        while (found := sum(self.state.counts().get(state, 0) for state in states)) < count:
            assert time.monotonic() < until, (found, self.state.counts(), self.lines.getvalue()[-2000:])
            time.sleep(0.01)

    def ended(self, seconds: float = 60.0) -> None:
        """Wait until no object is on its road but those that are verified."""
        until = time.monotonic() + seconds
        ends = TERMINAL | {State.VERIFIED}
        while any(count and state not in ends for state, count in self.state.counts().items()):
            assert time.monotonic() < until, (self.state.counts(), self.lines.getvalue()[-2000:])
            time.sleep(0.01)

    def result(self, object_id: str) -> bytes:
        """Return the bytes that would be released."""
        with self.blobs.open(road.result_blob(self.state.get(object_id), self.plan)) as reader:
            return b"".join(reader)


@contextmanager
def world(folder: Path, settings: WorldSettings | None = None, **parts: Any) -> Iterator[World]:
    """Open a world and close it."""
    made = World(folder, settings, **parts)
    try:
        yield made
    finally:
        made.close()


def main() -> None:
    """Be one process: send what a file lists, or pump, until told to stop; die at a failpoint the n-th time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--send", default="")
    parser.add_argument("--die-at", default="")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--stages", default="metadata")
    parser.add_argument("--until-ended", action="store_true")
    chosen = parser.parse_args()
    met: Counter[str] = Counter()
    lock = threading.Lock()

    def failpoint(name: str) -> None:
        with lock:
            met[name] += 1
            if name == chosen.die_at and met[name] == chosen.times:
                os._exit(9)

    settings = WorldSettings(stages=tuple(chosen.stages.split(",")))
    with world(chosen.folder, settings, failpoint=failpoint) as mine:
        for number in json.loads(chosen.send or "[]"):
            mine.send(fake(number), uid=f"1.2.{number}")
            print("accepted", number, flush=True)  # noqa: T201
        mine.start(housekeeping=True)
        if chosen.until_ended:
            mine.ended(120.0)
        else:
            threading.Event().wait(600)


if __name__ == "__main__":
    main()
