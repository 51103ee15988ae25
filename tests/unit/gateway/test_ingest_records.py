"""Records of the topic ``ingest``: sealing, signing, the sender, the journal, the settings."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tarnhelm.v1 import ingest_pb2
from tests.support.ingest_door import chunks, dicom, inline, reference, signing_pair, write_pair

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.gateway.broker.base import MAX_VALUE_BYTES, Partition, Position
from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings, IngestProducer, ReassemblySettings
from tarnhelm.gateway.ingest.records import Chunk, Inline, Reference, read_record
from tarnhelm.gateway.ingest.sealing import (
    SEAL_SEGMENT_BYTES,
    OpeningKeys,
    binding_of,
    key_id_of,
    read_sealing_key,
    sealed_pieces,
    sealed_size,
)
from tarnhelm.gateway.ingest.signing import Producers, RecordSigner
from tarnhelm.gateway.producer.journal import SendJournal
from tarnhelm.gateway.producer.sender import Sender, SenderSettings


def code_of(call, *args, **kwargs):
    with pytest.raises(TarnhelmError) as caught:
        call(*args, **kwargs)
    return caught.value.code


class Memory:
    """A broker that keeps what is published; every second publish is refused while something waits."""

    def __init__(self, *, busy=False):
        self.busy = busy
        self.records = []
        self.refused = self.flushed = 0

    def publish(self, topic, key, value, headers=()):
        if self.busy and self.records and (len(self.records) + self.refused) % 2:
            self.refused += 1
            raise TarnhelmError(errors.BROKER_BUSY, size=1)
        assert len(value) <= MAX_VALUE_BYTES
        self.records.append((key, ingest_pb2.IngestRecord.FromString(value), dict(headers)))
        future = Future()
        future.set_result(Position(Partition(topic, 0), len(self.records)))
        return future

    def flush(self, _):
        self.flushed += 1


# --- sealing ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    private, public = write_pair(tmp_path_factory.mktemp("keys"), "gateway")
    return OpeningKeys([private]), read_sealing_key(public)


SIZES = [0, 1, 100, SEAL_SEGMENT_BYTES - 1, SEAL_SEGMENT_BYTES, SEAL_SEGMENT_BYTES + 1, 3 * SEAL_SEGMENT_BYTES]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens_whole_and_has_the_announced_size(pair, size):
    keys, public = pair
    data = os.urandom(size)
    binding = binding_of("ingest", "", b"record-1")
    sealed = b"".join(sealed_pieces([data[: size // 3], data[size // 3 :]], public, binding))
    assert len(sealed) == sealed_size(size)
    for step in (1000, len(sealed)):
        pieces = (sealed[at : at + step] for at in range(0, len(sealed), step))
        assert b"".join(keys.open(pieces, key_id_of(public.public_bytes_raw()), binding)) == data


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_byte_no_cut_and_no_other_record_opens(pair, data):
    keys, public = pair
    key_id = key_id_of(public.public_bytes_raw())
    binding = binding_of("ingest", "signer", b"record-1")
    size = data.draw(st.integers(1, 2 * SEAL_SEGMENT_BYTES + 5))
    sealed = bytearray(b"".join(sealed_pieces([bytes(size)], public, binding)))
    what = data.draw(st.sampled_from(["byte", "cut", "more", "binding"]))
    if what == "byte":
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    elif what == "cut":
        del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
    elif what == "more":
        sealed += data.draw(st.binary(min_size=1, max_size=50))
    else:
        binding = data.draw(
            st.sampled_from(
                [
                    binding_of("ingest", "signer", b"record-2"),
                    binding_of("ingest", "", b"record-1"),
                    binding_of("ingests", "igner", b"record-1"),
                ]
            )
        )
    assert code_of(lambda: list(keys.open([bytes(sealed)], key_id, binding))) == "ING-008"


def test_keys_that_are_none(tmp_path):
    private, public = write_pair(tmp_path, "gateway")
    signing, known = signing_pair(tmp_path, "scanner")
    assert code_of(OpeningKeys([private]).open, [], "0" * 16, b"") == "ING-007"
    for path in (tmp_path / "absent", known, private, tmp_path):
        assert code_of(read_sealing_key, path) == "ING-017"
    for path in (tmp_path / "absent", signing, public):
        assert code_of(OpeningKeys, [path]) == "ING-001"
    for path in (tmp_path / "absent", private, known):
        assert code_of(RecordSigner, path) == "ING-017"
    assert code_of(Producers, [("a", "p", public)]) == "ING-001"
    assert code_of(Producers, [("a", "p", known), ("b", "q", known)]) == "ING-001"
    private.chmod(0o604)
    signing.chmod(0o604)
    assert code_of(OpeningKeys, [private]) == "ING-001"
    assert code_of(RecordSigner, signing) == "ING-017"


# --- records ------------------------------------------------------------------------------------------------


def test_records_are_read_as_they_are_written():
    letter = read_record(inline(b"data", project="p").SerializeToString(), DEFAULT_LIMITS)
    assert letter.payload == Inline(b"data")
    assert (letter.project, letter.is_dicom, letter.sealed_to) == ("p", False, "")
    last = read_record(chunks(b"0123456789", 4)[2].SerializeToString(), DEFAULT_LIMITS).payload
    assert last == Chunk(2, 3, 10, b"89", hashlib.sha256(b"0123456789").digest())
    there = read_record(reference("file:///x", b"data").SerializeToString(), DEFAULT_LIMITS).payload
    assert isinstance(there, Reference)
    assert (there.uri, there.size) == ("file:///x", 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda chunk: setattr(chunk, "index", 3),
        lambda chunk: setattr(chunk, "count", 0),
        lambda chunk: setattr(chunk, "count", 70_000),
        lambda chunk: setattr(chunk, "sha256", b"x" * 32),
        lambda chunk: setattr(chunk, "data", b""),
        lambda chunk: setattr(chunk, "data", b"x" * 11),
        lambda chunk: setattr(chunk, "total_size", 0),
    ],
)
def test_chunks_that_are_none(change):
    record = chunks(b"0123456789", 4)[1]
    change(record.chunk)
    assert code_of(read_record, record.SerializeToString(), DEFAULT_LIMITS) == "ING-002"


def test_a_payload_that_is_too_large_is_known_by_its_first_record():
    limits = Limits(max_object_bytes=9)
    assert code_of(read_record, chunks(b"0123456789", 4)[0].SerializeToString(), limits) == "LIM-001"
    assert code_of(read_record, reference("file:///x", b"0123456789").SerializeToString(), limits) == "LIM-001"


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise(value):
    try:
        read_record(value, DEFAULT_LIMITS)
    except TarnhelmError as error:
        assert error.code in {"ING-002", "LIM-001"}  # noqa: PT017


def test_nothing_of_a_record_shows_in_its_repr():
    for record in (inline(b"CANARY"), chunks(b"CANARY" * 3, 6)[1], reference("file:///CANARY", b"CANARY")):
        assert "CANARY" not in repr(read_record(record.SerializeToString(), DEFAULT_LIMITS))


# --- the sender ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True])
def test_a_small_object_goes_whole_and_a_large_one_in_chunks(busy):
    broker = Memory(busy=busy)
    sender = Sender(broker, SenderSettings(payload_bytes=1000, project="p"))
    sender.send([dicom(1, 1000)], 1000).result(1)
    data = os.urandom(3500)
    sent = sender.send([data[:133], data[133:]], 3500)
    sent.result(1)
    assert sent.done()
    assert len(sent.records) == 4
    (key, first, headers), *rest = broker.records
    assert first.inline.data == dicom(1, 1000)
    assert first.kind == ingest_pb2.CONTENT_KIND_DICOM_FILE
    assert first.project == "p"
    assert key == first.record_id
    assert "traceparent" in headers
    assert b"".join(record.chunk.data for _, record, _ in rest) == data
    assert [record.chunk.index for _, record, _ in rest] == [0, 1, 2, 3]
    assert {(key, record.chunk.count, record.chunk.total_size) for key, record, _ in rest} == {
        (rest[0][1].record_id, 4, 3500)
    }
    assert [record.chunk.sha256 for _, record, _ in rest] == [b""] * 3 + [hashlib.sha256(data).digest()]
    assert bool(broker.refused) == busy
    assert broker.flushed == broker.refused


def test_the_largest_record_fits_and_one_byte_more_goes_in_two():
    broker = Memory()
    sender = Sender(broker, SenderSettings())
    most = SenderSettings().payload_bytes
    sender.send([bytes(most)], most)
    assert len(broker.records) == 1
    sender.send([bytes(most + 1)], most + 1)
    assert len(broker.records) == 3


@pytest.mark.parametrize("found", [2999, 3001, 0, 10_000])
def test_a_file_that_changes_is_never_sent_whole(found):
    broker = Memory()
    sender = Sender(broker, SenderSettings(payload_bytes=1000))
    assert code_of(sender.send, [bytes(found)], 3000) == "ING-020"
    assert not any(record.chunk.sha256 for _, record, _ in broker.records)


# --- the journal --------------------------------------------------------------------------------------------


def test_a_journal_remembers_without_a_name_in_it(tmp_path):
    folder = tmp_path / "send"
    with SendJournal(folder, "target") as journal:
        first = journal.digest_of("/scans/MEIER^ANNA.dcm", "", 5, 6)
        assert first not in journal
        journal.add(first)
        journal.add(first)
        assert code_of(SendJournal, folder, "target") == "GTW-005"
    [file] = folder.glob("*.sent")
    with file.open("ab") as stream:
        stream.write(b"torn")
    with SendJournal(folder, "target") as journal, SendJournal(folder, "other") as other:
        assert len(journal) == 1
        assert journal.digest_of("/scans/MEIER^ANNA.dcm", "", 5, 6) in journal
        for changed in (
            ("/scans/b.dcm", "", 5, 6),
            ("/scans/MEIER^ANNA.dcm", "1", 5, 6),
            ("/scans/MEIER^ANNA.dcm", "", 5, 7),
        ):
            assert journal.digest_of(*changed) not in journal
        assert first not in other
        journal.add(b"x" * 16)
    assert file.stat().st_size == 32
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert b"MEIER" not in b"".join(path.read_bytes() + str(path.name).encode() for path in folder.iterdir())


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"project": "p", "name": "no name"},
        {"project": "p", "unsealed_allowed": False},
        {"project": "p", "workers": 0},
        {"project": "p", "topic": ""},
        {"producers": (IngestProducer("a", "", Path("x")),)},
        {"producers": (IngestProducer("a", "p", Path("x")), IngestProducer("a", "q", Path("y")))},
    ],
)
def test_settings_that_do_not_fit(wrong):
    with pytest.raises(ValueError, match=r"."):
        IngestDoorSettings(**wrong)
    with pytest.raises(ValueError, match=r"."):
        ReassemblySettings(patience_seconds=0)
