"""Pixels: bit-identical outside masks and unused bits; code streams equal but for comments."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Pair
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import UID

from tarnhelm.witness.core import Mask
from tarnhelm.witness.core.codestream import read_frame
from tarnhelm.witness.core.parsed import Fault

JPEG, JPEG_LS, J2K, RLE = (f"1.2.840.10008.1.2.{tail}" for tail in ("4.50", "4.80", "4.90", "5"))


def _codes(verdict):
    return {(f.code, f.identifier_class) for f in verdict.findings}


def _pixels(ds) -> np.ndarray:
    return np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).copy()


def _painted(top, left, height, width, value=0):
    def change(ds) -> None:
        pixels = _pixels(ds)
        pixels[top : top + height, left : left + width] = value
        ds.PixelData = pixels.tobytes()

    return change


def test_a_reported_mask_may_be_painted_and_nothing_beside_it(judge):
    source, result = Pair(after=_painted(2, 3, 4, 5, 1)).build()
    assert judge(source, result, (Mask(0, 3, 2, 5, 4),)).clean
    assert judge(source, result, (Mask(-1, 3, 2, 5, 4),)).clean
    assert _codes(judge(source, result)) == {("WIT-003", "differ")}
    assert not judge(source, result, (Mask(1, 3, 2, 5, 4),)).clean  # another frame's
    assert not judge(source, result, (Mask(0, 3, 2, 5, 3),)).clean  # a line too short


def _high_bits(ds) -> None:
    ds.PixelData = (_pixels(ds) | 0xA000).tobytes()


def _cleared(ds) -> None:
    ds.PixelData = (_pixels(ds) & 0x0FFF).tobytes()


def test_unused_bits_must_become_zero(judge):
    def set_other(ds) -> None:
        ds.PixelData = ((_pixels(ds) & 0x0FFF) | 0x4000).tobytes()

    assert judge(*Pair(before=_high_bits, after=_cleared).build()).clean
    assert _codes(judge(*Pair(before=_high_bits).build())) == {("WIT-003", "unused-bits")}
    assert _codes(judge(*Pair(before=_high_bits, after=set_other).build())) == {("WIT-003", "unused-bits")}


def test_one_pixel_with_one_hidden_bit_is_found(judge):
    def one(ds) -> None:
        pixels = _pixels(ds)
        pixels[-1, -1] |= 0x8000
        ds.PixelData = pixels.tobytes()

    assert _codes(judge(*Pair(size=3, before=one).build())) == {("WIT-003", "unused-bits")}


def _signed(ds) -> None:
    ds.PixelRepresentation = 1
    ds.PixelData = ((_pixels(ds).astype("<i2") & 0x0FFF) - 2048).tobytes()


def test_repeated_signs_are_no_plane_but_a_mixture_is(judge):
    def one_positive(ds) -> None:
        pixels = _pixels(ds)
        negative = np.argwhere(pixels & 0x0800)[0]
        pixels[tuple(negative)] &= 0x0FFF
        ds.PixelData = pixels.tobytes()

    assert judge(*Pair(before=_signed).build()).clean
    assert judge(*Pair(before=_signed, after=_cleared).build()).clean
    assert _codes(judge(*Pair(before=_signed, after=one_positive).build())) == {("WIT-003", "unused-bits")}


@pytest.mark.parametrize(("tail", "clean"), [(b"\0\0\0\0", True), (b"Jane", False)])
def test_padding_after_native_pixels(judge, tail, clean):
    def longer(ds) -> None:
        ds.PixelData += tail

    assert judge(*Pair(before=longer).build()).clean == clean


def test_padding_may_be_cut(judge):
    def longer(ds) -> None:
        ds.PixelData += b"Jane"

    def cut(ds) -> None:
        ds.PixelData = ds.PixelData[:-4]

    assert judge(*Pair(before=longer, after=cut).build()).clean


# --- encapsulated ------------------------------------------------------------------------------------------------


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">HH", marker, len(body) + 2) + body


def jpeg(*carried: tuple[int, bytes], tail: bytes = b"", data: bytes = b"\x12\xff\x00\x34\xff\xd0\x56") -> bytes:
    """A code stream of the right shape; nothing decodes it."""
    head = b"".join(_segment(marker, body) for marker, body in carried)
    body = (
        _segment(0xFFDB, bytes(65)) + _segment(0xFFC0, b"\x08\0\4\0\4\1\1\x11\0") + _segment(0xFFDA, b"\1\1\0\0\x3f\0")
    )
    return b"\xff\xd8" + head + body + data + b"\xff\xd9" + tail


def j2k(*comments: bytes, data: bytes = b"\x01\x02\xff\x55") -> bytes:
    body = b"".join(_segment(0xFF64, b"\0\1" + comment) for comment in comments)
    part = b"\xff\x93" + data
    return (
        b"\xff\x4f" + _segment(0xFF51, bytes(38)) + _segment(0xFF52, bytes(10)) + body
        + struct.pack(">HHHIBB", 0xFF90, 10, 0, 12 + len(part), 0, 1) + part + b"\xff\xd9"
    )  # fmt: skip


def _compressed(syntax: str, frames: list[bytes], *, extended: bool = False, table: bool = True):
    def change(ds) -> None:
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        ds.NumberOfFrames = len(frames)
        if extended:
            ds.PixelData, offsets, lengths = encapsulate_extended(frames)
            ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = offsets, lengths
        else:
            ds.PixelData = encapsulate(frames, has_bot=table)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True

    return change


FRAMES = {
    JPEG: [jpeg(), jpeg(data=b"\x99")],
    JPEG_LS: [jpeg(data=b"\x01\xff\x7f\x02")],
    J2K: [j2k(), j2k(data=b"\7")],
    RLE: [struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x07\x81\x01"],
}


@pytest.mark.parametrize("syntax", FRAMES)
@pytest.mark.parametrize("form", [{}, {"table": False}, {"extended": True}])
def test_equal_code_streams_pass(judge, syntax, form):
    verdict = judge(*Pair(before=_compressed(syntax, FRAMES[syntax], **form)).build())
    assert verdict.clean, verdict.findings


NAME = b"Kowalczyk^Jadwiga"
JFIF = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
ADOBE = (0xFFEE, b"Adobe\0\x64\0\0\0\0\1")


def jp2(*boxes: tuple[bytes, bytes]) -> bytes:
    """JP2 boxes around code streams."""
    signature = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
    return signature + b"".join(struct.pack(">I4s", 8 + len(body), kind) + body for kind, body in boxes)


FTYP = (b"ftyp", b"jp2 \0\0\0\0jp2 ")
HEAD = (b"jp2h", struct.pack(">I4s", 22, b"ihdr") + bytes(14))


def rle(slack: bytes = b"", unused: int = 0) -> bytes:
    """One segment that decodes to 256 bytes, and what else there is room for."""
    return struct.pack("<16I", 1, 64, *[0] * 13, unused) + b"\x81\x07\x81\x01" + slack


CARRIED = [
    # syntax, source's frame, result's frame, findings
    (JPEG, jpeg((0xFFFE, NAME)), jpeg(), set()),
    (JPEG, jpeg((0xFFE1, b"Exif" + NAME), (0xFFFE, b"x")), jpeg((0xFFFE, b"x")), set()),
    (JPEG, jpeg((0xFFFE, NAME)), jpeg((0xFFFE, NAME)), {("WIT-001", "name")}),
    (JPEG, jpeg((0xFFE1, NAME)), jpeg((0xFFE1, NAME)), {("WIT-001", "name")}),
    (
        JPEG,
        jpeg((0xFFFE, NAME.decode().encode("utf-16-le"))),
        jpeg((0xFFFE, NAME.decode().encode("utf-16-le"))),
        {("WIT-001", "name")},
    ),
    (JPEG, jpeg(tail=NAME + b"\0"), jpeg(), set()),
    (JPEG, jpeg(tail=NAME + b"\0"), jpeg(tail=NAME + b"\0"), {("WIT-001", "name"), ("WIT-002", "after-codestream")}),
    (JPEG, jpeg(), jpeg((0xFFFE, b"added")), {("WIT-003", "differ")}),
    (JPEG, jpeg(ADOBE), jpeg(), {("WIT-003", "differ")}),  # the colour transform
    (JPEG, jpeg((0xFFEE, ADOBE[1] + NAME)), jpeg(ADOBE), set()),
    (JPEG, jpeg((0xFFEE, ADOBE[1] + NAME)), jpeg((0xFFEE, ADOBE[1] + NAME)), {("WIT-001", "name")}),
    (JPEG, jpeg((0xFFE0, JFIF + NAME)), jpeg((0xFFE0, JFIF)), set()),
    (JPEG, jpeg((0xFFDC, NAME)), jpeg((0xFFDC, NAME)), {("WIT-001", "name")}),  # in a segment that decoders want
    (JPEG, jpeg(), jpeg(data=b"\x12"), {("WIT-003", "differ")}),
    (JPEG, jpeg(), jpeg()[:-2], {("WIT-003", "codestream")}),
    (J2K, j2k(NAME), j2k(), set()),
    (J2K, j2k(NAME, b"Kakadu"), j2k(b"Kakadu"), set()),
    (J2K, j2k(NAME), j2k(NAME), {("WIT-001", "name")}),
    (J2K, j2k(), j2k(data=b"\0"), {("WIT-003", "differ")}),
    (J2K, jp2(FTYP, HEAD, (b"jp2c", j2k(NAME)), (b"xml ", NAME)), jp2(FTYP, HEAD, (b"jp2c", j2k())), set()),
    (J2K, jp2(FTYP, HEAD, (b"jp2c", j2k())), jp2(FTYP, HEAD, (b"jp2c", j2k(data=b"\0"))), {("WIT-003", "differ")}),
    (
        J2K,
        jp2(FTYP, HEAD, (b"uuid", NAME), (b"jp2c", j2k())),
        jp2(FTYP, HEAD, (b"uuid", NAME), (b"jp2c", j2k())),
        {("WIT-001", "name")},
    ),
    (RLE, rle(NAME + b"\0"), rle(bytes(18)), set()),
    (RLE, rle(unused=0x656E614A), rle(), set()),
    (RLE, rle(NAME + b"\0"), rle(NAME + b"\0"), {("WIT-001", "name"), ("WIT-002", "after-codestream")}),
    (RLE, rle(), rle()[:-2] + b"\x81\x02", {("WIT-003", "differ")}),
    (RLE, rle(), rle()[:-2], {("WIT-003", "codestream")}),
]


@pytest.mark.parametrize(("syntax", "before", "after", "findings"), CARRIED)
def test_segments_of_code_streams(judge, syntax, before, after, findings):
    pair = Pair(before=_compressed(syntax, [before]), after=_compressed(syntax, [after]))
    assert _codes(judge(*pair.build())) == findings


def test_an_offset_table_that_no_longer_fits_is_found(judge):
    source, result = Pair(before=_compressed(JPEG, FRAMES[JPEG])).build()
    at = result.index(b"\xfe\xff\x00\xe0\x08\0\0\0") + 8
    spoiled = result[:at] + struct.pack("<II", 0, 2) + result[at + 8 :]
    assert not judge(source, spoiled).clean
    assert ("WIT-002", "offsets") in _codes(judge(source, spoiled))


def test_what_cannot_be_judged_is_undecided(judge):
    video = "1.2.840.10008.1.2.4.102"
    assert judge(*Pair(before=_compressed(video, [b"\0\0\1\x09\x10\0"])).build()).code == "WIT-004"
    masked = Pair(before=_compressed(JPEG, [jpeg()])).build()
    assert judge(*masked, (Mask(0, 0, 0, 1, 1),)).code == "WIT-004"


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["jpeg", "jpeg-ls", "j2k", "rle"]),
    st.binary(max_size=200),
    st.sampled_from([b"", jpeg()[:30], j2k()[:60]]),
)
def test_any_bytes_give_a_frame_or_a_fault(family, tail, head):
    try:
        frame = read_frame(head + tail, family)
    except Fault:
        return
    assert sum(map(len, frame.picture)) <= len(head + tail) + 8
