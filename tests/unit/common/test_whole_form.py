"""Messages that are written and read without the generated classes, against those."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tarnhelm.v1 import stage_pb2
from tarnhelm.v1 import witness_pb2 as pb

from tarnhelm.common.stage_service.whole import joined, parted

SIZES = (0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 5_000_000)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_what_the_generated_classes_write(size):
    header = stage_pb2.JobHeader(object_id="a" * 64, config=b"{}", parts=[stage_pb2.JobPart(id=0, size=size)])
    data = bytes(size)
    wanted = stage_pb2.ProcessWholeRequest(header=header, data=data)
    assert joined(header.SerializeToString(), memoryview(data)) == wanted.SerializeToString()


def test_three_fields():
    header = pb.JudgeHeader(object_id="a" * 64, policy=b"x" * 300)
    for source, result in ((b"source", b"result"), (b"", b"result"), (b"source", b""), (b"", b"")):
        wanted = pb.JudgeWholeRequest(header=header, source=source, result=result).SerializeToString()
        assert joined(header.SerializeToString(), source, result) == wanted
        found = parted(wanted, 3)
        assert found is not None
        assert [bytes(one) for one in found] == [header.SerializeToString(), source, result]


@pytest.mark.parametrize("size", SIZES)
def test_what_the_generated_classes_write_is_read(size):
    result = stage_pb2.StageResult(stage="metadata", actions=[stage_pb2.AttributeCount(first="A", count=1)])
    message = stage_pb2.ProcessWholeResponse(result=result, data=bytes(size)).SerializeToString()
    found = parted(message, 2)
    assert found is not None
    assert stage_pb2.StageResult.FromString(found[0]) == result
    assert found[1] == bytes(size)


def test_an_absent_field_is_empty():
    assert parted(b"", 2) == [b"", b""]
    found = parted(b"\x12\x01x", 2)
    assert found is not None
    assert [bytes(one) for one in found] == [b"", b"x"]


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a",  # no length
        b"\x0a\x80",  # half a length
        b"\x0a\x80\x80\x80\x80\x01",  # a length of five bytes
        b"\x0a\x05abc",  # shorter than it says
        b"\x12\x01a\x0a\x01b",  # out of order
        b"\x0a\x01a\x0a\x01b",  # twice
        b"\x1a\x01a",  # a field that is not asked for
        b"\x08\x01",  # a number
        b"\x02\x00",  # field 0
    ],
)
def test_another_form_is_left_to_the_generated_classes(message):
    assert parted(message, 2) is None


@given(st.binary(max_size=40))
def test_whatever_is_read_is_read_alike(message):
    found = parted(message, 2)
    if found is None:
        return
    first, data = (bytes(one) for one in found)
    again = stage_pb2.ProcessWholeRequest()
    try:
        again.ParseFromString(message)
    except Exception:  # noqa: BLE001 - what stands in field 1 is no header
        return
    assert again.data == data
    assert again.header == stage_pb2.JobHeader.FromString(first)
