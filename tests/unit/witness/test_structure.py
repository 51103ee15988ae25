"""The form of a result: meta, identity, markers, private attributes, other syntaxes, odd sources."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from pairs import CREATOR, Pair, cleaned, encoded, source
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from tarnhelm.common.limits import Limits
from tarnhelm.witness.core.parsed import Fault
from tarnhelm.witness.core.walk import walk


def _judged(judge, after, **changes):
    return {(f.code, f.position, f.identifier_class) for f in judge(*Pair(after=after).build(), **changes).findings}


def _drop(*keywords):
    def change(ds) -> None:
        for keyword in keywords:
            del ds[keyword]

    return change


def _put(keyword, value):
    return lambda ds: setattr(ds, keyword, value)


FORMS = [
    (_drop("PatientIdentityRemoved"), ("WIT-002", "00120062", "marker")),
    (_put("PatientIdentityRemoved", "MAYBE"), ("WIT-002", "00120062", "marker")),
    (_drop("DeidentificationMethod"), ("WIT-002", "00120063", "marker")),
    (_drop("PatientName"), ("WIT-002", "00100010", "identity-missing")),
    (_put("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), ("WIT-002", "00080016", "class")),
    (_put("Rows", 8), ("WIT-003", "7FE00010", "description")),
    (_put("PixelRepresentation", 1), ("WIT-003", "7FE00010", "description")),
    (_drop("PixelData"), ("WIT-003", "7FE00010", "missing")),
]


@pytest.mark.parametrize(("after", "finding"), FORMS)
def test_a_wrong_form_is_found(judge, after, finding):
    assert finding in _judged(judge, after)


def test_an_instance_uid_that_differs_from_the_meta_is_found(judge):
    original, result = Pair().build()
    at = result.index(b"2.25.") + 10  # the first stands in the file meta
    spoiled = result[:at] + (b"1" if result[at : at + 1] != b"1" else b"2") + result[at + 1 :]
    assert [(f.code, f.position, f.identifier_class) for f in judge(original, spoiled).findings] == [
        ("WIT-002", "00020003", "meta-differs")
    ]


def test_another_transfer_syntax_is_found(judge):
    original, result = Pair().build()
    stream = io.BytesIO()
    ds = dcmread(io.BytesIO(result))
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(stream, implicit_vr=True, little_endian=True)
    assert ("WIT-002", "00020010") in {(f.code, f.position) for f in judge(original, stream.getvalue()).findings}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("planted", [False, True])
def test_every_encoding_of_a_data_set(judge, syntax, planted):
    def encode(ds: Dataset) -> bytes:
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").byteswap().tobytes()
        stream = io.BytesIO()
        ds.save_as(
            stream, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian, enforce_file_format=True
        )
        return stream.getvalue()

    original = source(Pair().person)
    result = cleaned(original)
    if planted:
        item = Dataset()
        item.PatientComments = "Kowalczyk"
        result.RequestAttributesSequence = Sequence([item])
    verdict = judge(encode(original), encode(result))
    if planted:
        assert [(f.position, f.identifier_class) for f in verdict.findings] == [("00400275.00104000", "name")]
    else:
        assert verdict.clean, verdict.findings


def test_a_source_without_meta(judge):
    _, result = Pair().build()
    bare = source(Pair().person)
    del bare.file_meta
    stream = io.BytesIO()
    bare.save_as(stream, implicit_vr=True, little_endian=True, enforce_file_format=False)
    verdict = judge(stream.getvalue(), result)
    assert verdict.clean, verdict.findings


def test_what_follows_the_pixels_of_a_source_is_looked_over(judge):
    original, result = Pair().build()
    assert judge(original + b"\0" * 77, result).clean


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


BODIES = [
    (_element(0x00100020, b"LO", b"AB") + _element(0x00100010, b"PN", b"AB"), "order"),
    (_element(0x00100020, b"LO", b"AB") * 2, "order"),  # twice
    (_element(0x00100020, b"LO", b"ABC"), "odd-length"),
    (_element(0x00100020, b"LO", b"AB")[:-1], "length"),
    (_element(0x00100020, b"LO", b"AB") + b"\x10\x00\x30", "truncated"),
    (_element(0x00100020, b"ZZ", b"AB"), "vr"),
    (_element(0x00100020, b"\0\0", b"AB"), "vr"),
    (b"\xfe\xff\x00\xe0\0\0\0\0", "stray-item"),
    (
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff\xfe\xff\x0d\xe0\x04\0\0\0Name",
        "delimiter",
    ),
    (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\x02\0\0\0ab", "delimiter"),
    (b"\x08\x00\x40\x11SQ\0\0\x08\0\0\0\x08\x00\x50\x00\0\0\0\0", "not-an-item"),
    (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff", "truncated"),
    (b"\x08\x00\x40\x11SQ\0\0\x08\0\0\0\xfe\xff\x00\xe0\x10\0\0\0", "length"),
    (b"\x10\x00\x20\x00UT\0\0\xff\xff\xff\xff", "undefined-length"),
]


@pytest.mark.parametrize(("body", "reason"), BODIES)
def test_an_ill_formed_data_set_is_refused(body, reason):
    _, result = Pair().build()
    head = result[: walk(result, Limits(), strict=True).data_start]
    with pytest.raises(Fault) as caught:
        walk(head + body, Limits(), strict=True)
    assert caught.value.reason == reason


def test_nesting_and_inflation_are_bounded():
    _, result = Pair().build()
    head = result[: walk(result, Limits(), strict=True).data_start]
    deep = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    with pytest.raises(Fault, match="depth"):
        walk(head + deep, Limits(), strict=False)
    deflated = head.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    deflated = deflated.replace(b"UI\x14\x001.2.840.10008.1.2.1.99", b"UI\x16\x001.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(_element(0x00100020, b"LO", b"AB") + bytes(64 << 20)) + packer.flush()
    with pytest.raises(Fault, match="inflates-too-far"):
        walk(deflated + bomb, Limits(max_inflated_bytes=8 << 20), strict=False)


def test_a_group_length_must_be_right(judge):
    original, result = Pair().build()
    parsed = walk(result, Limits(), strict=True)
    at = parsed.top[0x00100010][2] - 8
    after = parsed.top[0x00120062][2] - 8
    for length, clean in ((after - at, True), (int.from_bytes(b"1234", "little"), False)):
        grouped = result[:at] + _element(0x00100000, b"UL", struct.pack("<I", length)) + result[at:]
        assert judge(original, grouped).clean == clean


@pytest.mark.parametrize(
    ("rows", "clean"),
    [
        ([[CREATOR, 0x0019, 0x0A]], True),
        ([[CREATOR, 0x0019, 0x0B]], False),  # another attribute of the creator
        ([["OTHER", 0x0019, 0x0A]], False),  # another creator at the same place
        ([], False),
    ],
)
def test_private_attributes_stay_by_creator_only(judge, rows, clean):
    assert judge(*Pair().build(), private_keep=rows).clean == clean


def test_an_identifier_as_a_private_creator(judge):
    def plant(ds) -> None:
        ds[0x00190011] = DataElement(0x00190011, "LO", "KOWALCZYK^JADWIGA")

    found = _judged(judge, plant)
    assert {("WIT-001", "00190011", "name"), ("WIT-002", "00190011", "private-creator")} <= found


def test_the_source_given_back_is_full_of_findings(judge):
    original = encoded(source(Pair().person))
    verdict = judge(original, original)
    classes = {f.identifier_class for f in verdict.findings}
    assert {"name", "id", "birth", "date", "uid", "organisation", "place", "text"} <= classes
    assert verdict.code == "WIT-001"
