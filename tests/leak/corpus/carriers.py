"""Pixels for every transfer syntax: phantoms where they can be coded by hand, else frames that pydicom ships."""

from __future__ import annotations

import functools
import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

__all__ = ["Carrier", "carrier", "phantom"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """Frames and the attributes that describe them."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    photometric: str
    frames: tuple[bytes, ...]
    encapsulated: bool
    signed: int = 0
    planar: int = 0


def phantom(rows: int, columns: int, level: float = 0.0) -> np.ndarray:
    """A slice through a chest of ellipses: body, two lungs, spine, heart; 12 bits, ``level`` from -1 to 1."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    image = np.full((rows, columns), 24, dtype=np.uint16)

    def ellipse(cx: float, cy: float, rx: float, ry: float, value: int) -> None:
        image[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1] = value

    narrow = 1 - 0.25 * abs(level)
    ellipse(0, 0, 0.92 * narrow, 0.68, 1020)
    ellipse(-0.42, -0.05, 0.3 * narrow, 0.45 * narrow, 180)
    ellipse(0.42, -0.05, 0.3 * narrow, 0.45 * narrow, 190)
    ellipse(0.1, -0.12, 0.2 * narrow, 0.24, 1065)
    ellipse(0, 0.46, 0.11, 0.12, 1480)
    ellipse(0.03, 0.24, 0.05, 0.05, 1110)
    texture = (np.indices((rows, columns)).sum(axis=0) * 7919 + int(1000 * (level + 1))) % 13
    return np.asarray(image + texture.astype(np.uint16), dtype=np.uint16)


def pack_bits(data: bytes) -> bytes:
    """PackBits with literal runs and repeats (PS3.5 §G.3.1)."""
    out, at = bytearray(), 0
    while at < len(data):
        run = 1
        while at + run < len(data) and run < 128 and data[at + run] == data[at]:
            run += 1
        if run > 2:
            out += bytes((257 - run, data[at]))
            at += run
            continue
        start = at
        while at < len(data) and at - start < 128 and data[at : at + 3] != data[at : at + 1] * 3:
            at += 1
        out += bytes((at - start - 1,)) + data[start:at]
    return bytes(out) + b"\0" * (len(out) % 2)


def rle_frame(planes: list[bytes]) -> bytes:
    """One RLE frame of byte planes, most significant first (PS3.5 §G)."""
    segments = [pack_bits(plane) for plane in planes]
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    table = struct.pack("<16I", len(segments), *offsets, *([0] * (15 - len(segments))))
    return table + b"".join(segments)


def _picture(index: int, *, colour: bool) -> Image.Image:
    gray = (phantom(48, 64, index / 10) >> 3).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([gray, gray // 2, 255 - gray], axis=-1) if colour else gray)


def jpeg_frame(*, colour: bool, index: int) -> bytes:
    """Baseline JPEG without application segments of its own."""
    stream = io.BytesIO()
    _picture(index, colour=colour).save(stream, "JPEG", quality=85)
    return stream.getvalue()


PACKAGED: Final = {
    "jpeg-extended": "JPGExtended.dcm",
    "jpeg-lossless": "SC_rgb_jpeg_gdcm.dcm",
    "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg-ls-near": "JPEGLSNearLossless_16.dcm",
    "j2k-lossless": "MR_small_jp2klossless.dcm",
    "j2k": "SC_rgb_gdcm_KY.dcm",
}


@functools.cache
def packaged(key: str) -> Carrier:
    """The first frame of one of pydicom's own test files."""
    path = get_testdata_file(PACKAGED[key], download=False)
    ds = dcmread(Path(str(path)))
    frame = next(iter(generate_frames(ds.PixelData, number_of_frames=1)))
    return Carrier(
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.PhotometricInterpretation,
        (frame,), encapsulated=True, signed=ds.PixelRepresentation, planar=ds.get("PlanarConfiguration", 0),
    )  # fmt: skip


def as_htj2k(stream: bytes) -> bytes:
    """A JPEG 2000 code stream dressed as HTJ2K: Rsiz bit 14 and a CAP segment (ITU-T T.814 §A.2); never decoded."""
    size = stream.index(b"\xff\x51")
    length = struct.unpack_from(">H", stream, size + 2)[0]
    rsiz = struct.pack(">H", struct.unpack_from(">H", stream, size + 4)[0] | 0x4000)
    after = size + 2 + length
    cap = b"\xff\x50" + struct.pack(">HIH", 8, 0x00020000, 0)
    return stream[: size + 4] + rsiz + stream[size + 6 : after] + cap + stream[after:]


MPEG2: Final = bytes.fromhex(
    "000001b30400301312ffffe018000001b5148200010000000001b8000800400000010000 0ffff8000001b58ffff34180000001011374be".replace(
        " ", ""
    )
)
H264: Final = bytes.fromhex(
    "0000000167640029acd940780227e5c05a808080a0000000016 8ebe3cb22c00000000165888400".replace(" ", "")
)


def carrier(
    syntax: str, *, colour: bool = False, frames: int = 1, deep: bool = True, rows: int = 64, columns: int = 64
) -> Carrier:
    """Pixels in a transfer syntax of ``wire.SYNTAXES``; ``deep`` asks for 12 bits of 16."""
    if syntax in {"mpeg2", "mpeg4"}:
        stream = (MPEG2 if syntax == "mpeg2" else H264) + bytes(range(7, 250)) * 3
        return Carrier(48, 64, 3, 8, 8, "YBR_PARTIAL_420", (stream,), encapsulated=True)
    if syntax in {"htj2k", "htj2k-lossless"}:
        base = packaged("j2k-lossless")
        return replace(base, frames=tuple(as_htj2k(base.frames[0]) for _ in range(frames)))
    if syntax in PACKAGED:
        base = packaged(syntax)
        return replace(base, frames=base.frames * frames)
    if syntax == "jpeg":
        made = tuple(jpeg_frame(colour=colour, index=index) for index in range(frames))
        return Carrier(
            48, 64, 3 if colour else 1, 8, 8, "YBR_FULL_422" if colour else "MONOCHROME2", made, encapsulated=True
        )
    slices = [phantom(rows, columns, -0.9 + 1.8 * index / max(1, frames)) for index in range(frames)]
    if colour:
        pictures = [np.stack([s >> 3, s >> 4, 255 - (s >> 3)], axis=-1).astype(np.uint8) for s in slices]
        planes = [[np.ascontiguousarray(p[..., c]).tobytes() for c in range(3)] for p in pictures]
        made = tuple(rle_frame(p) for p in planes) if syntax == "rle" else tuple(p.tobytes() for p in pictures)
        return Carrier(rows, columns, 3, 8, 8, "RGB", made, encapsulated=syntax == "rle")
    if not deep:
        flat = [(s >> 3).astype(np.uint8) for s in slices]
        made = tuple(rle_frame([p.tobytes()]) for p in flat) if syntax == "rle" else tuple(p.tobytes() for p in flat)
        return Carrier(rows, columns, 1, 8, 8, "MONOCHROME2", made, encapsulated=syntax == "rle")
    if syntax == "rle":
        made = tuple(
            rle_frame([(s >> 8).astype(np.uint8).tobytes(), (s & 255).astype(np.uint8).tobytes()]) for s in slices
        )
        return Carrier(rows, columns, 1, 16, 12, "MONOCHROME2", made, encapsulated=True)
    return Carrier(
        rows, columns, 1, 16, 12, "MONOCHROME2", tuple(s.astype("<u2").tobytes() for s in slices), encapsulated=False
    )
