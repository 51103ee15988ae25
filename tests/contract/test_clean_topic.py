"""The topic ``clean`` as a destination and its reader, over the embedded broker and over Apache Kafka."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid

import pytest
from tarnhelm.v1 import ingest_pb2
from tests.support.brokers import Place
from tests.support.ingest_door import wait_until

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts
from tarnhelm.gateway.broker import MAX_VALUE_BYTES, TopicSpec
from tarnhelm.gateway.destinations import Notice, Parcel
from tarnhelm.gateway.destinations.topic import TopicDestination
from tarnhelm.gateway.destinations.topic_settings import TopicDestinationSettings
from tarnhelm.gateway.producer.reader import READER_SETTINGS, CleanReader, Released, Withdrawn

FACTS = ObjectFacts(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", modality="CT", sop_uid="2.25.7", subject_id="P-ABCDEF")
LINE = b'{"object":"1","verdict":"VERIFIED"}'


@pytest.fixture(params=["sqlite", "kafka"])
def broker(request, tmp_path):
    if request.param == "sqlite":
        place = Place("sqlite", str(tmp_path / "broker"))
    else:
        place = Place("kafka", request.getfixturevalue("kafka").address)
    made = place.open(TopicSpec(f"clean-{uuid.uuid4().hex[:10]}", partitions=3))
    made.ensure()
    yield made
    made.close()


@pytest.fixture
def topic(broker):
    return next(iter(broker._topics))


def parcel(data, number=1, **given):
    def source(piece=100_000):
        for at in range(0, len(data), piece):
            yield data[at : at + piece]

    digest = hashlib.sha256(data).hexdigest()
    found = {"manifest_line": LINE, "trace": f"00-{'1' * 32}-{'2' * 16}-01", "source": source, **given}
    return Parcel(f"{number:032x}", "project-1", FACTS, len(data), digest, f"P-1/S-1/R-1/{number:04}.dcm", **found)


def read_all(broker, topic, count, group="reader"):
    """Read so many; each is marked as done and its content replaced by its bytes."""
    found = []
    consumer = broker.consumer(group, [topic], READER_SETTINGS)
    reader = CleanReader(consumer)

    def enough():
        for one in reader.read(0.2):
            content = one.content.read() if isinstance(one, Released) else b""
            found.append((one, content))
            reader.done(one)
        return len(found) >= count

    with contextlib.closing(consumer), contextlib.closing(reader):
        wait_until(enough)
    return found


def test_objects_of_all_sizes_arrive_with_what_is_known_of_them(broker, topic):
    destination = TopicDestination("research", TopicDestinationSettings(topic), broker)
    objects = [os.urandom(size) for size in (1, 5000, MAX_VALUE_BYTES - 2000, MAX_VALUE_BYTES + 1, 6_000_000)]
    for number, data in enumerate(objects):
        destination.deliver(parcel(data, number, supersedes="2.25.6"))
    found = read_all(broker, topic, len(objects))
    assert sorted(content for _, content in found) == sorted(objects)
    for one, content in found:
        assert (one.project, one.facts, one.manifest_line) == ("project-1", FACTS, LINE)
        assert (one.size, one.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert (one.supersedes, one.uri) == ("2.25.6", "")
        assert one.path == f"P-1/S-1/R-1/{int(one.object_id, 16):04}.dcm"
    assert sum(broker.lag("reader", [topic]).values()) == 0
    assert destination.name == "research"
    destination.close()


def test_a_delivery_that_was_cut_short_comes_again_as_one_object(broker, topic):
    destination = TopicDestination("research", TopicDestinationSettings(topic), broker)
    data = os.urandom(3_000_000)

    def torn():
        yield data[:2_000_000]
        raise TarnhelmError(errors.RESULT_CHANGED)

    with pytest.raises(TarnhelmError, match=r"changed"):
        destination.deliver(parcel(data, source=torn))
    destination.deliver(parcel(data))
    destination.deliver(parcel(data))  # at least once
    [(one, first), (two, second)] = read_all(broker, topic, 2)
    assert first == second == data
    assert (one.object_id, one.sha256) == (two.object_id, two.sha256)


def test_what_is_not_done_comes_again(broker, topic):
    TopicDestination("research", TopicDestinationSettings(topic), broker).deliver(parcel(bytes(2_000_000)))
    consumer = broker.consumer("reader", [topic], READER_SETTINGS)
    reader = CleanReader(consumer)
    seen = []
    with contextlib.closing(consumer), contextlib.closing(reader):
        wait_until(lambda: seen.extend(reader.read(0.2)) or seen)
        seen[0].content.close()
    assert len(read_all(broker, topic, 1)) == 1


def test_large_objects_go_to_the_export_folder_until_they_expire(broker, topic, tmp_path):
    folder = tmp_path / "exports"
    now = [1_000_000.0]
    settings = TopicDestinationSettings(topic, 1_000_000, folder, "https://files.example/clean/", export_seconds=1000)
    destination = TopicDestination("research", settings, broker, clock=lambda: now[0])
    data = os.urandom(1_500_000)
    destination.deliver(parcel(data))
    destination.deliver(parcel(b"small", 2))
    found = {one.object_id: (one, content) for one, content in read_all(broker, topic, 2)}
    one, content = found[f"{1:032x}"]
    assert (content, one.uri, one.expires) == (b"", "https://files.example/clean/P-1/S-1/R-1/0001.dcm", 1_001_000.0)
    assert (folder / one.path).read_bytes() == data
    assert one.sha256 == hashlib.sha256(data).hexdigest()
    assert found[f"{2:032x}"][1] == b"small"
    assert not list((folder / ".incoming").iterdir())
    now[0] += 1000 + 3601
    destination.deliver(parcel(data, 3))
    assert [path.name for path in folder.rglob("*.dcm")] == ["0003.dcm"]


def test_withdrawals_are_told_and_exported_files_deleted(broker, topic, tmp_path):
    settings = TopicDestinationSettings(topic, 0, tmp_path / "exports", "file:///exports/")
    destination = TopicDestination("research", settings, broker)
    destination.deliver(parcel(b"data"))
    paths = ("P-1/S-1/R-1/0001.dcm", *(f"P-1/S-1/R-2/{number:04}.dcm" for number in range(4500)))
    notice = Notice("order-1", "project-1", ("P-1",), ("2.25.3",), paths, document=b"signed")
    destination.withdraw(notice)
    assert not list((tmp_path / "exports").rglob("*.dcm"))
    found = [one for one, _ in read_all(broker, topic, 4)]
    told = [one for one in found if isinstance(one, Withdrawn)]
    assert tuple(path for one in told for path in one.paths) == paths
    assert {(one.name, one.patient_ids, one.studies, one.document) for one in told} == {
        ("order-1", ("P-1",), ("2.25.3",), b"signed")
    }


def test_a_path_that_leads_elsewhere_is_never_written(broker, topic, tmp_path):
    settings = TopicDestinationSettings(topic, 0, tmp_path / "exports", "file:///exports/")
    destination = TopicDestination("research", settings, broker)
    good = parcel(b"data")
    for path in ("../x.dcm", "/x.dcm", "a//x.dcm", ".hidden", "a/../x"):
        bad = Parcel("1" * 32, "p", FACTS, 4, good.sha256, path, good.source)
        with pytest.raises(TarnhelmError):
            destination.deliver(bad)
    assert not list(tmp_path.rglob("x*"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: setattr(record, "sha256", b"0" * 32),
        lambda record: setattr(record, "size", 3),
        lambda record: setattr(record, "verdict", 0),
        lambda record: record.ClearField("inline"),
        lambda record: setattr(record.facts, "sop_uid", "no UID"),
    ],
)
def test_a_reader_takes_nothing_that_is_not_what_it_says(broker, topic, spoil):
    data = b"data"
    record = ingest_pb2.CleanRecord(object_id="1" * 32, size=4, sha256=hashlib.sha256(data).digest(), verdict=1)
    record.inline.data = data
    spoil(record)
    broker.publish(topic, b"key", record.SerializeToString()).result(60)
    broker.publish(topic, b"key", b"\xff\xff").result(60)
    with pytest.raises(TarnhelmError) as caught:
        read_all(broker, topic, 1)
    assert caught.value.code == "ING-021"


@pytest.mark.parametrize(
    "wrong",
    [{"topic": ""}, {"max_chunked_bytes": -1}, {"export_prefix": "file:///x/"}, {"export_seconds": 0}],
)
def test_settings_that_do_not_fit(wrong):
    with pytest.raises(ValueError, match=r"."):
        TopicDestinationSettings(**wrong)
