"""The door on the topic ``ingest``, over the embedded broker and over Apache Kafka."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tarnhelm.v1 import ingest_pb2
from tests.support.brokers import Place
from tests.support.ingest_door import (
    DoorProcess,
    World,
    chunks,
    dicom,
    inline,
    reference,
    signing_pair,
    wait_until,
    write_pair,
)

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.doors.ingest import IngestDoor
from tarnhelm.gateway.doors.ingest_settings import (
    FolderReferences,
    IngestProducer,
    ReassemblySettings,
    ReferenceSettings,
    S3References,
)
from tarnhelm.gateway.ingest.sealing import read_sealing_key
from tarnhelm.gateway.ingest.signing import RecordSigner
from tarnhelm.gateway.intake import Receipt, Reception
from tarnhelm.gateway.producer.sender import Sender, SenderSettings


@pytest.fixture(params=["sqlite", "kafka"])
def world(request, tmp_path):
    if request.param == "sqlite":
        place = Place("sqlite", str(tmp_path / "broker"))
    else:
        server = request.getfixturevalue("kafka")
        if server.kind == "tansu":
            pytest.skip("Tansu deletes no records and its groups take half a minute to agree")
        place = Place("kafka", server.address, server.session_seconds)
    made = World(place, tmp_path)
    yield made
    made.close()


@pytest.fixture
def here(tmp_path):
    """A world on the embedded broker: for what has nothing to do with the broker."""
    made = World(Place("sqlite", str(tmp_path / "broker")), tmp_path)
    yield made
    made.close()


def contents(world):
    return sorted(one.content for one in world.admitter.objects)


def only_code(world):
    [(note, message)] = world.dead_letters()
    return note.code, message


# --- what is taken in ---------------------------------------------------------------------------------------


def test_inline_objects_come_in_and_the_topic_is_emptied(world):
    objects = [dicom(number) for number in range(20)]
    for data in objects:
        world.put(inline(data, kind=ingest_pb2.CONTENT_KIND_DICOM_FILE))
    world.start(world.settings(trim_seconds=0.1))
    world.settled()
    assert contents(world) == sorted(objects)
    assert {one.arrival.project for one in world.admitter.objects} == {"project-1"}
    assert {one.arrival.door for one in world.admitter.objects} == {"ingest"}

    def oldest():
        return sum(world.broker.trim(world.ingest, [f"door-{world.suffix}"]).values())

    wait_until(lambda: oldest() == 20)
    assert world.dead_letters() == []


def test_chunks_shuffled_and_doubled_among_three_objects(world):
    objects = [dicom(number, 40_000 + number) for number in range(3)]
    records = [(data, record) for data in objects for record in chunks(data, 7_000)] * 2
    random.Random(7).shuffle(records)
    for _, record in records:
        world.put(record)  # a key of its own each: the chunks of one object lie in all partitions
    world.start()
    world.start()  # two members: no one of them sees all chunks
    wait_until(lambda: set(contents(world)) == set(objects))
    world.settled()
    wait_until(lambda: world.in_store() == [] and len(world.in_store("ingestended")) == 3)
    assert world.dead_letters() == []


def test_a_sender_and_the_door_with_seal_and_signature(world, tmp_path):
    gateway, public = write_pair(tmp_path, "gateway")
    private, known = signing_pair(tmp_path, "scanner")
    sender = Sender(
        world.broker,
        SenderSettings(world.ingest, payload_bytes=60_000),
        seal_to=read_sealing_key(public),
        signer=RecordSigner(private),
    )
    objects = [dicom(1), dicom(2, 400_000), dicom(3, 262_144), b"\x5c\x01nifti" * 40_000]
    for data in objects:
        sender.send([data[at : at + 10_000] for at in range(0, len(data), 10_000)], len(data)).result(60)
    producer = IngestProducer("scanner", "project-7", known)
    world.start(world.settings(project="", producers=(producer,), opening_key_files=(gateway,), unsealed_allowed=False))
    wait_until(lambda: len(world.admitter.objects) == len(objects))
    world.settled()
    assert contents(world) == sorted(objects)
    assert {one.arrival.project for one in world.admitter.objects} == {"project-7"}
    assert all(one.arrival.trace is not None for one in world.admitter.objects[:1])


# --- death --------------------------------------------------------------------------------------------------


def test_a_door_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing(world):
    objects = [dicom(number, 3_000) for number in range(60)] + [dicom(100 + number, 90_000) for number in range(6)]
    records = [record for data in objects[:60] for record in [inline(data)]]
    records += [record for data in objects[60:] for record in chunks(data, 9_000)]
    random.Random(3).shuffle(records)
    accepted = world.folder / "accepted"
    accepted.mkdir()

    def taken():
        return {path.name for path in accepted.iterdir() if not path.name.startswith(".")}

    wanted = {hashlib.sha256(data).hexdigest() for data in objects}
    process = DoorProcess(world)
    try:
        for number, record in enumerate(records):
            world.put(record)
            if number and number % 30 == 0:
                before = len(taken())
                wait_until(lambda before=before: len(taken()) > before or world.lag() == 0)
                process.kill()
                process = DoorProcess(world)
        wait_until(lambda: taken() == wanted, 120, lambda: f"{len(taken())} of {len(wanted)}")
        world.settled()
    finally:
        process.kill()
    assert taken() == wanted
    assert world.dead_letters() == []


def test_a_producer_that_dies_half_way_leaves_a_note_and_no_bytes(world):
    records = chunks(dicom(1, 50_000), 9_000)
    for record in records[:-1]:
        world.put(record, b"one")
    world.start(world.settings(reassembly=ReassemblySettings(patience_seconds=0.5, look_seconds=0.1)))
    wait_until(lambda: world.in_store() == [] and len(world.in_store("ingestended")) == 1)
    world.put(records[-1], b"one")  # too late, and told already
    world.settled()
    code, message = only_code(world)
    assert code == "ING-010"
    assert message.value == b""
    assert not world.admitter.objects


# --- dead letters -------------------------------------------------------------------------------------------


def test_poison_is_kept_as_it_came_and_holds_nothing_up(world):
    poison = [b"", b"\xff" * 100, b"\x0a\x02hi", os.urandom(900 * 1024)]
    for number, value in enumerate(poison):
        world.broker.publish(world.ingest, b"key-%d" % number, value, [("x", b"y")]).result(60)
        world.put(inline(dicom(number)))
    world.start()
    world.settled()
    assert len(world.admitter.objects) == 4
    letters = world.dead_letters()
    assert sorted(message.value for _, message in letters) == sorted(poison)
    assert {note.code for note, _ in letters} == {"ING-002"}
    for note, message in letters:
        assert message.key.startswith(b"key-")
        assert ("x", b"y") in message.headers
        assert (note.door, note.topic, note.value_size) == ("ingest", world.ingest, len(message.value))


def test_a_dead_letter_can_be_published_again_as_it_is(here):
    record = inline(dicom(1), project="project-2")
    here.put(record)
    here.start()
    here.settled()
    code, message = only_code(here)
    assert code == "ING-005"
    here.stop()
    here.start(here.settings(project="project-2"))
    here.put(message.value, message.key, message.headers)
    here.settled()
    assert [one.arrival.project for one in here.admitter.objects] == ["project-2"]


MISTAKES = [
    ("ING-002", lambda record: record.ClearField("record_id")),
    ("ING-002", lambda record: setattr(record, "record_id", b"x" * 65)),
    ("ING-002", lambda record: setattr(record, "kind", 77)),
    ("ING-002", lambda record: record.sealed_to.SetInParent()),
    ("ING-002", lambda record: record.ClearField("inline")),
    ("ING-005", lambda record: setattr(record, "project", "project-2")),
    ("ING-007", lambda record: setattr(record.sealed_to, "key_id", "0" * 16)),
    ("ING-009", lambda record: setattr(record.inline, "sha256", b"0" * 32)),
    ("ING-016", lambda record: setattr(record.inline, "data", b"no DICOM" * 40)),
    ("ING-016", lambda record: setattr(record.inline, "data", b"short")),
]


def test_what_a_record_must_not_say(here):
    wanted = {}
    for code, change in MISTAKES:
        record = inline(dicom(1), kind=ingest_pb2.CONTENT_KIND_DICOM_FILE)
        change(record)
        position = here.put(record)
        wanted[position.partition.number, position.offset] = code
    here.start()
    here.settled()
    assert {(note.partition, note.offset): note.code for note, _ in here.dead_letters()} == wanted
    assert not here.admitter.objects
    assert here.admitter.open == 0


@pytest.mark.parametrize("spoil", ["more", "other", "sum"])
def test_chunks_that_are_not_the_whole(here, spoil):
    records = chunks(dicom(1, 20_000), 9_000)
    if spoil == "more":
        for record in records:
            record.chunk.total_size = 15_000
    elif spoil == "other":
        records[1].chunk.data = bytes(9_000)
    else:
        records[2].chunk.sha256 = b"0" * 32
    for record in records:
        here.put(record, b"one")
    here.start()
    here.settled()
    assert only_code(here)[0] == "ING-009"
    assert not here.admitter.objects
    wait_until(lambda: here.in_store() == [] and len(here.in_store("ingestended")) == 1)


def test_what_admission_refuses_is_a_dead_letter_with_its_code(here):
    here.admitter.answer = Receipt(Reception.REFUSED, code="GTW-001")
    here.put(inline(dicom(1)))
    here.start()
    here.settled()
    assert only_code(here)[0] == "GTW-001"


def test_a_record_that_breaks_the_door_is_put_away_after_three_tries(here):
    def broken(_):
        raise ZeroDivisionError

    here.admitter.on_write = broken
    here.put(inline(dicom(1)))
    here.start()
    here.settled()
    assert only_code(here)[0] == "ING-023"
    assert here.admitter.aborted == 3


# --- signatures and seals ------------------------------------------------------------------------------------


def test_only_a_known_signature_over_these_bytes_of_this_topic_counts(here, tmp_path):
    private, known = signing_pair(tmp_path, "scanner")
    other, _ = signing_pair(tmp_path, "stranger")
    signer, stranger = RecordSigner(private), RecordSigner(other)
    value = inline(dicom(1)).SerializeToString()
    changed = inline(dicom(2)).SerializeToString()
    here.put(value, headers=signer.headers(here.ingest, value))
    here.put(value)
    here.put(value, headers=stranger.headers(here.ingest, value))
    here.put(changed, headers=signer.headers(here.ingest, value))
    here.put(value, headers=signer.headers("another-topic", value))
    here.put(value, headers=signer.headers(here.ingest, value)[:1])
    here.put(value, headers=signer.headers(here.ingest, value) * 2)
    here.start(here.settings(project="", producers=(IngestProducer("scanner", "project-7", known),)))
    here.settled()
    assert [one.arrival.project for one in here.admitter.objects] == ["project-7"]
    assert sorted(note.code for note, _ in here.dead_letters()) == ["ING-003"] + ["ING-004"] * 5


def test_a_sealed_payload_cannot_be_changed_cut_or_moved(here, tmp_path):
    gateway, public = write_pair(tmp_path, "gateway")
    sealed = []

    class Keeping:
        def publish(self, _, key, value, headers=()):
            sealed.append(ingest_pb2.IngestRecord.FromString(value))
            return here.broker.publish("clean", key, value, headers)

    Sender(Keeping(), SenderSettings(here.ingest), seal_to=read_sealing_key(public)).send([dicom(1, 600_000)], 600_000)
    [good] = sealed
    assert b"CANARY" not in good.SerializeToString()
    bad = []
    for at in (0, 40, 110, 300_000, len(good.inline.data) - 1):
        record = ingest_pb2.IngestRecord.FromString(good.SerializeToString())
        data = bytearray(record.inline.data)
        data[at] ^= 1
        record.inline.data = bytes(data)
        bad.append(record)
    for size in (50, 119, 200_000, len(good.inline.data) - 1):
        bad.append(ingest_pb2.IngestRecord.FromString(good.SerializeToString()))
        bad[-1].inline.data = good.inline.data[:size]
    segment = 256 * 1024 + 16
    bad.append(ingest_pb2.IngestRecord.FromString(good.SerializeToString()))
    bad[-1].inline.data = good.inline.data[: 119 + segment]  # whole segments, but not the last one
    bad.append(ingest_pb2.IngestRecord.FromString(good.SerializeToString()))
    bad[-1].record_id = os.urandom(16)
    for record in bad:
        if record.record_id == good.record_id:
            record.inline.ClearField("sha256")  # whoever changes the payload changes that too
        here.put(record)
    here.start(here.settings(opening_key_files=(gateway,)))
    here.settled()
    assert not here.admitter.objects
    assert {note.code for note, _ in here.dead_letters()} == {"ING-008"}
    assert len(here.dead_letters()) == len(bad)
    here.put(good)
    here.settled()
    assert contents(here) == [dicom(1, 600_000)]


def test_a_door_may_refuse_what_is_not_sealed(here, tmp_path):
    gateway, _ = write_pair(tmp_path, "gateway")
    here.put(inline(dicom(1)))
    here.start(here.settings(opening_key_files=(gateway,), unsealed_allowed=False))
    here.settled()
    assert only_code(here)[0] == "ING-006"


# --- waiting ------------------------------------------------------------------------------------------------


def test_a_full_gateway_leaves_the_records_where_they_are(world):
    world.admitter.wait = 0.2
    asked = []
    room = world.admitter.room
    world.admitter.room = lambda: asked.append(1) or room()
    for number in range(30):
        world.put(inline(dicom(number)))
    world.start()
    wait_until(lambda: len(asked) > 8)
    assert world.lag() == 30
    assert not world.admitter.objects
    world.admitter.wait = 0.0
    world.settled()
    assert len(world.admitter.objects) == 30


def test_a_store_that_is_away_is_waited_for_and_nothing_becomes_a_dead_letter(here):
    here.admitter.answer = TarnhelmError(errors.NO_SPACE)
    for number in range(10):
        here.put(inline(dicom(number)))
    here.start()
    wait_until(lambda: here.admitter.aborted == 0 and here.admitter.open == 0)
    time.sleep(0.3)
    here.admitter.answer = None
    here.settled()
    assert len(here.admitter.objects) == 10
    assert here.dead_letters() == []


@pytest.mark.parametrize("fault", [errors.NO_PLAN, errors.BLOB_KEY_MISSING])
def test_a_mistake_in_the_configuration_throws_no_record_away(here, fault):
    asked = []

    def begin(arrival, begins=here.admitter.begin):
        asked.append(arrival)
        if len(asked) < 3:
            raise TarnhelmError(fault)
        return begins(arrival)

    here.admitter.begin = begin
    here.put(inline(dicom(1)))
    here.start()
    here.settled()
    assert contents(here) == [dicom(1)]
    assert here.dead_letters() == []


def test_unfinished_objects_are_bounded(here):
    first, second = chunks(dicom(1, 30_000), 9_000), chunks(dicom(2, 30_000), 9_000)
    for record in first[:-1]:
        here.put(record)
    settings = here.settings(reassembly=replace(here.settings().reassembly, max_pending_bytes=20_000))
    here.start(settings)
    here.settled()
    for record in second:
        here.put(record)
    time.sleep(0.5)
    assert not here.admitter.objects
    here.put(first[-1])
    wait_until(lambda: len(here.admitter.objects) == 2)
    here.settled()
    assert here.dead_letters() == []


# --- references ---------------------------------------------------------------------------------------------


@pytest.fixture
def exports(here, tmp_path):
    """A folder of exports, and a running door that may read it."""
    folder = tmp_path / "exports"
    folder.mkdir()
    references = ReferenceSettings(folders=(FolderReferences("file:///exports/", folder),), patience_seconds=0.5)
    here.start(here.settings(references=references))
    return folder


def test_a_file_is_read_where_the_reference_leads(here, exports):
    (exports / "study 1").mkdir()
    data = dicom(1, 3_000_000)
    (exports / "study 1" / "1.dcm").write_bytes(data)
    here.put(reference("file:///exports/study%201/1.dcm", data))
    here.settled()
    assert contents(here) == [data]


def attack(name):
    def add(made):
        ATTACKS[name] = made
        return made

    return add


ATTACKS = {}
SECRET = dicom(666)


@attack("dots")
def _dots(exports):
    return "file:///exports/../secret.dcm"


@attack("encoded dots")
def _encoded(exports):
    return "file:///exports/%2e%2e/secret.dcm"


@attack("twice encoded dots")
def _twice(exports):
    return "file:///exports/%252e%252e%252fsecret.dcm"


@attack("encoded slash")
def _slash(exports):
    return "file:///exports/..%2fsecret.dcm"


@attack("absolute")
def _absolute(exports):
    return f"file:///exports/{exports.parent}/secret.dcm"


@attack("elsewhere")
def _elsewhere(exports):
    return f"file://{exports.parent}/secret.dcm"


@attack("another host")
def _host(exports):
    return "file://evil/exports/secret.dcm"


@attack("link to a file")
def _link(exports):
    (exports / "link.dcm").symlink_to(exports.parent / "secret.dcm")
    return "file:///exports/link.dcm"


@attack("link to a folder")
def _folder_link(exports):
    (exports / "below").symlink_to(exports.parent)
    return "file:///exports/below/secret.dcm"


@attack("pipe")
def _pipe(exports):
    os.mkfifo(exports / "pipe")
    return "file:///exports/pipe"


@attack("folder")
def _directory(exports):
    (exports / "folder").mkdir()
    return "file:///exports/folder"


@attack("the prefix itself")
def _prefix(exports):
    return "file:///exports/"


@attack("nul")
def _nul(exports):
    return "file:///exports/secret.dcm%00"


@attack("http")
def _http(exports):
    return "http://127.0.0.1/exports/secret.dcm"


@attack("s3")
def _s3(exports):
    return "s3://exports/secret.dcm"


def test_no_reference_leads_out_of_the_folder(here, exports):
    (exports.parent / "secret.dcm").write_bytes(SECRET)
    for made in ATTACKS.values():
        here.put(reference(made(exports), SECRET))
    here.settled()
    assert [note.code for note, _ in here.dead_letters()] == ["ING-012"] * len(ATTACKS)
    assert not here.admitter.objects


@pytest.mark.parametrize(
    ("seconds", "content", "code"),
    [
        (-1, dicom(1), "ING-013"),
        (30 * 86_400, dicom(1), "ING-013"),
        (60, None, "ING-014"),
        (60, dicom(2), "ING-009"),
        (60, dicom(1, 6_000), "ING-009"),
    ],
)
def test_a_reference_that_does_not_hold(here, exports, seconds, content, code):
    if content is not None:
        (exports / "1.dcm").write_bytes(content)
    here.put(reference("file:///exports/1.dcm", dicom(1), seconds=seconds))
    here.settled()
    assert only_code(here)[0] == code
    assert not here.admitter.objects
    assert here.admitter.open == 0


def test_a_file_that_changes_while_it_is_read_is_not_taken(here, exports):
    data = dicom(1, 4_000_000)
    (exports / "1.dcm").write_bytes(data)

    def change(seen):
        if seen < 2_000_000:
            with (exports / "1.dcm").open("r+b") as stream:
                stream.seek(3_500_000)
                stream.write(b"other bytes")

    here.admitter.on_write = change
    here.put(reference("file:///exports/1.dcm", data))
    here.settled()
    assert only_code(here)[0] == "ING-009"
    assert not here.admitter.objects


def test_objects_of_a_bucket_are_read_and_no_others(here, s3_server):
    place = s3_server.place()
    data = dicom(1, 2_500_000)
    client = s3_server.maker
    client.put_object(Bucket=place.bucket, Key="exports/1.dcm", Body=data)
    client.put_object(Bucket=place.bucket, Key="secret.dcm", Body=SECRET)
    prefix = f"s3://{place.bucket}/exports/"
    bucket = S3References(prefix, place.endpoint, place.access_key_file, place.secret_key_file)
    here.start(here.settings(references=ReferenceSettings(s3=(bucket,))))
    here.put(reference(f"{prefix}1.dcm", data))
    here.put(reference(f"{prefix}2.dcm", data))
    here.put(reference(f"{prefix}1.dcm", data[:-1]))
    here.put(reference(f"{prefix}../secret.dcm", SECRET))
    here.put(reference(f"s3://{place.bucket}/secret.dcm", SECRET))
    here.put(reference("s3://another/exports/1.dcm", data))
    here.settled()
    assert contents(here) == [data]
    assert sorted(note.code for note, _ in here.dead_letters()) == ["ING-009"] + ["ING-012"] * 3 + ["ING-014"]


def test_a_server_that_is_away_is_asked_again_until_patience_ends(here, tmp_path, s3_server):
    place = s3_server.place()
    prefix = f"s3://{place.bucket}/"
    nowhere = S3References(prefix, "http://127.0.0.1:9", place.access_key_file, place.secret_key_file)
    here.start(here.settings(references=ReferenceSettings(s3=(nowhere,), patience_seconds=0.5)))
    here.put(reference(f"{prefix}1.dcm", dicom(1)))
    here.put(inline(dicom(2)))
    wait_until(lambda: contents(here) == [dicom(2)])  # others are not held up
    here.settled()
    assert only_code(here)[0] == "ING-015"


# --- where identifiers are -----------------------------------------------------------------------------------


def test_no_identifier_in_metrics_logs_names_or_the_store(here, tmp_path):
    log, registry = io.StringIO(), CollectorRegistry()
    here.put(inline(dicom(1)))
    here.put(inline(b"PATIENT^CANARY" * 20, kind=ingest_pb2.CONTENT_KIND_DICOM_FILE))
    for record in chunks(dicom(2, 20_000), 9_000)[:-1]:
        here.put(record)
    here.start(here.settings(), events=EventLog(log, time.time), registry=registry)
    here.settled()
    wait_until(lambda: "ingest-dead-letter" in log.getvalue())
    here.stop()
    said = log.getvalue().encode() + generate_latest(registry)
    assert b"CANARY" not in said
    records, dead = "tarnhelm_gateway_ingest_records_total", "tarnhelm_gateway_ingest_dead_letters_total"
    assert registry.get_sample_value(records, {"door": "ingest", "outcome": "accepted"}) == 1
    assert registry.get_sample_value(dead, {"door": "ingest", "code": "ING-016"}) == 1
    for path in (tmp_path / "blobs").rglob("*"):
        assert b"CANARY" not in str(path).encode()
        assert path.is_dir() or b"CANARY" not in path.read_bytes()


def test_a_broker_that_is_away_at_the_start_is_waited_for(here):
    asked = []

    class Away:
        def consumer(self, *args):
            asked.append(args)
            if len(asked) < 3:
                raise TarnhelmError(errors.BROKER_AWAY)
            return here.broker.consumer(*args)

        def trim(self, *_):
            raise TarnhelmError(errors.BROKER_AWAY)

    log = io.StringIO()
    settings = here.settings(trim_seconds=0.1)
    door = IngestDoor(settings, Away(), here.blobs, here.admitter, here.keys, events=EventLog(log, time.time))
    stop = threading.Event()
    thread = threading.Thread(target=door.run, args=(stop,))
    thread.start()
    here.put(inline(dicom(1)))
    here.settled()
    stop.set()
    thread.join(30)
    assert contents(here) == [dicom(1)]
    assert log.getvalue().count("BRK-001") >= 3


def test_the_door_stops_when_it_is_told_to(world):
    door = world.door()
    stop = threading.Event()
    thread = threading.Thread(target=door.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.slow
def test_memory_stays_flat_however_large_an_object_is(tmp_path):
    write_pair(tmp_path, "gateway")
    most = {}
    for mebibytes in (100, 500):
        folder = tmp_path / str(mebibytes)
        folder.mkdir()
        for name in ("gateway.key", "gateway.pem"):
            (folder / name).hardlink_to(tmp_path / name)
        for role in ("send", "take"):
            command = [sys.executable, "-m", "tests.support.ingest_memory", role, str(folder), "a" * 10, str(mebibytes)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200)
            most[role, mebibytes] = int(done.stdout)
    assert most["send", 500] < most["send", 100] + 40
    assert most["take", 500] < most["take", 100] + 40


def test_what_ended_is_remembered_and_then_forgotten(here):
    data = dicom(1, 20_000)
    records = chunks(data, 9_000)
    settings = ReassemblySettings(patience_seconds=0.4, remember_seconds=1.5, look_seconds=0.1)
    here.start(here.settings(reassembly=settings))
    for record in records * 2:
        here.put(record, b"one")
    here.settled()
    assert contents(here) == [data]
    here.stop()
    # Another process, which remembers nothing by itself, gets one chunk once more.
    here.start(here.settings(reassembly=settings))
    here.put(records[1], b"one")
    here.settled()
    wait_until(lambda: here.in_store() == [] and here.in_store("ingestended") == [])
    assert here.dead_letters() == []


@pytest.mark.slow
def test_a_kafka_that_is_killed_and_comes_back_loses_no_object(own_kafka, tmp_path):
    world = World(Place("kafka", own_kafka.address, own_kafka.session_seconds), tmp_path)
    try:
        objects = [dicom(number) for number in range(60)] + [dicom(100, 40_000)]
        records = [inline(data) for data in objects[:60]] + chunks(objects[60], 9_000)
        random.Random(1).shuffle(records)
        world.start()
        for number, record in enumerate(records):
            if number % 20 == 10:
                own_kafka.kill()
                own_kafka.start()
            world.put(record)
        wait_until(lambda: set(contents(world)) == set(objects), 120)
        world.settled(120)
        assert world.dead_letters() == []
    finally:
        world.close()
