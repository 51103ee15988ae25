"""From a producer through the door, the stream and the topic ``clean`` to a reader: what arrives, and where names are."""

from __future__ import annotations

import contextlib
import hashlib
import threading

import pytest
from tests.support.ingest_door import signing_pair, wait_until, write_pair
from tests.support.stream import PROJECT, cleaned, fake, world

from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.broker import TOPICS
from tarnhelm.gateway.destinations import Parcel
from tarnhelm.gateway.destinations.topic import TopicDestination
from tarnhelm.gateway.destinations.topic_settings import TopicDestinationSettings
from tarnhelm.gateway.doors.ingest import IngestDoor
from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings, IngestProducer, ReassemblySettings
from tarnhelm.gateway.ingest.sealing import read_sealing_key
from tarnhelm.gateway.ingest.signing import RecordSigner
from tarnhelm.gateway.producer.reader import READER_SETTINGS, CleanReader
from tarnhelm.gateway.producer.sender import Sender, SenderSettings
from tarnhelm.gateway.record import State

PATIENT = "MEIER^ANNA"


def topics_with(broker, needle):
    """Names of the topics with the needle in a key, a value or a header of any record."""
    found = set()
    for spec in TOPICS:
        consumer = broker.consumer("spy", [spec.name])
        with contextlib.closing(consumer):
            quiet = 0
            while quiet < 2:
                messages = consumer.poll(max_records=500, max_bytes=8 << 20, timeout_seconds=0.1)
                quiet = 0 if messages or not consumer.assignment() else quiet + 1
                for message in messages:
                    parts = (message.key, message.value, *(value for _, value in message.headers))
                    if any(needle in part for part in parts):
                        found.add(spec.name)
    return found


@pytest.mark.parametrize("sealed", [True, False])
def test_the_whole_road(tmp_path, sealed):
    gateway, public = write_pair(tmp_path, "gateway")
    ours, known = signing_pair(tmp_path, "scanner")
    objects = [fake(number, PATIENT, pad=2_000_000 if number % 5 == 0 else 10) for number in range(12)]
    with world(tmp_path / "gateway") as made:
        settings = IngestDoorSettings(
            producers=(IngestProducer("scanner", PROJECT, known),),
            opening_key_files=(gateway,),
            unsealed_allowed=not sealed,
            reassembly=ReassemblySettings(look_seconds=0.2),
            trim_seconds=0,
        )
        door = IngestDoor(settings, made.broker, made.blobs, made.admitter, made.keys, events=made.log)
        stop = threading.Event()
        running = threading.Thread(target=door.run, args=(stop,))
        running.start()
        try:
            sender = Sender(
                made.broker,
                SenderSettings(),
                seal_to=read_sealing_key(public) if sealed else None,
                signer=RecordSigner(ours),
            )
            for data in objects * 2:  # each comes twice
                sender.send([data], len(data)).result(60)
            made.broker.publish("ingest", b"", f"no record of {PATIENT}".encode()).result(60)
            made.start()
            made.wait(State.VERIFIED, count=len(objects))
            wait_until(lambda: sum(made.broker.lag("door-ingest", ["ingest"]).values()) == 0)
        finally:
            stop.set()
            running.join(60)
        records = list(made.state.records(State.VERIFIED))
        assert len(records) == len(objects)
        destination = TopicDestination("research", TopicDestinationSettings(), made.broker)
        for record in records:
            data = made.result(record.object_id)
            digest = hashlib.sha256(data).hexdigest()
            destination.deliver(
                Parcel(
                    record.object_id, PROJECT, ObjectFacts(), len(data), digest, "P/S/R/1.dcm", lambda d=data: iter([d])
                )
            )
        consumer = made.broker.consumer("research", ["clean"], READER_SETTINGS)
        arrived = []
        with contextlib.closing(consumer), contextlib.closing(CleanReader(consumer)) as reader:

            def all_there():
                for one in reader.read(0.2):
                    arrived.append(one.content.read())
                    reader.done(one)
                return len(arrived) == len(objects)

            wait_until(all_there)
        assert sorted(arrived) == sorted(cleaned(data) for data in objects)
        identified = {spec.name for spec in TOPICS if spec.identified}
        assert identified == {"ingest", "dead-letter"}
        # The one record that nobody sealed is the one that is no record.
        assert topics_with(made.broker, PATIENT.encode()) == identified
        assert topics_with(made.broker, f"patient={PATIENT}".encode()) == (set() if sealed else {"ingest"})
        assert PATIENT not in made.lines.getvalue()
