"""The bounded head of a DICOM file: found where it is plain, refused where it is not, never an exception."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from tarnhelm.gateway.part10 import MOST_BYTES, read_head

CT = Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes()


def element(number: int, vr: bytes, value: bytes, group: int = 2) -> bytes:
    if vr in (b"OB", b"UN", b"UT"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def head(*elements: bytes, behind: bytes = b"\x08\x00\x05\x00CS\x00\x00") -> bytes:
    return bytes(128) + b"DICM" + b"".join(elements) + behind


SYNTAX = element(0x10, b"UI", b"1.2.840.10008.1.2.1\0")
CLASS = element(2, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0")
INSTANCE = element(3, b"UI", b"1.2.3\0")


def test_a_real_file() -> None:
    found = read_head(CT)
    meta = pydicom.dcmread(io.BytesIO(CT)).file_meta
    assert found is not None
    assert found.transfer_syntax_uid == meta.TransferSyntaxUID
    assert found.sop_class_uid == meta.MediaStorageSOPClassUID
    assert found.sop_instance_uid == meta.MediaStorageSOPInstanceUID
    assert CT[found.content_start : found.content_start + 2] == b"\x08\x00"
    assert meta.MediaStorageSOPInstanceUID not in repr(found)


def test_the_same_data_set_behind_another_head_begins_elsewhere() -> None:
    one = read_head(head(CLASS, INSTANCE, SYNTAX))
    other = read_head(head(element(1, b"OB", b"\0\1"), CLASS, INSTANCE, SYNTAX, element(0x12, b"UI", b"1.2")))
    assert one is not None
    assert other is not None
    assert one.content_start < other.content_start
    assert one.sop_instance_uid == other.sop_instance_uid == "1.2.3"


def test_a_file_that_ends_with_its_head() -> None:
    data = head(SYNTAX, behind=b"")
    found = read_head(data)
    assert found is not None
    assert found.content_start == len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00\x05\x00CS\x00\x00" * 40,
        head(CLASS, INSTANCE),  # no transfer syntax
        head(SYNTAX, INSTANCE),  # tags do not ascend
        head(SYNTAX, SYNTAX),
        head(element(0x10, b"LO", b"1.2")),  # not a UI
        head(element(0x10, b"UI", b"1.2 or else")),
        head(element(0x10, b"UI", b"1." + b"2" * 64)),
        head(element(0x10, b"??", b"1.2")),
        head(SYNTAX, struct.pack("<HH2sHI", 2, 0x102, b"OB", 0, 0xFFFFFFFF)),
        head(SYNTAX, struct.pack("<HH2sHI", 2, 0x102, b"OB", 7, 0)),
        head(SYNTAX, element(0x102, b"OB", b"")[:-2], behind=b""),
        head(element(0x10, b"UI", b"1.2"), element(0x102, b"OB", b"x" * MOST_BYTES)),
        head(SYNTAX, b"\0\0\0\0UL\4\0\0\0\0\0"),  # a group below
        head(*(element(0x20 + number, b"LO", b"") for number in range(300))),
    ],
)
def test_what_is_not_plainly_a_head_is_none(data: bytes) -> None:
    assert read_head(data) is None


@given(st.binary(max_size=600))
def test_any_bytes(data: bytes) -> None:
    for begin in (b"", bytes(128) + b"DICM", head(CLASS, INSTANCE, SYNTAX, behind=b"")):
        found = read_head(begin + data)
        assert found is None or found.content_start <= len(begin + data)


@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_a_real_file_with_a_byte_changed_or_cut(at: int, value: int, cut: int) -> None:
    data = bytearray(CT[:500])
    data[at] = value
    found = read_head(data)
    assert found is None or 132 <= found.content_start <= 500
    found = read_head(CT[:cut])
    assert found is None or found.content_start <= cut
