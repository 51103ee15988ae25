"""What is done to the bytes of Pixel Data without decoding a pixel.

Checks the length against the header, clears bit planes that no pixel uses, cuts padding, and takes comments and
application segments out of compressed frames. Everything else is passed through as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tarnhelm.common import errors
from tarnhelm.common.dicom.codecs import clean_encapsulated
from tarnhelm.common.dicom.frames import ExtendedOffsets
from tarnhelm.common.dicom.unused_bits import clear_unused_bits
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits

__all__ = ["PixelHeader", "clean_frames", "clean_native", "pixel_header"]

_SUBSAMPLED: Final = {"YBR_FULL_422": 2, "YBR_PARTIAL_422": 2, "YBR_PARTIAL_420": 1.5}


@dataclass(frozen=True, slots=True)
class PixelHeader:
    """The Image Pixel Module's numbers (PS3.3 C.7.6.3); zero where absent."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    representation: int
    photometric: str

    @property
    def complete(self) -> bool:
        """The numbers suffice to compute how long native pixel data are."""
        return bool(self.rows and self.columns and self.samples and self.bits_allocated)

    def native_bytes(self) -> int:
        """Bytes that native pixel data have, without the padding byte of an odd length (PS3.5 §8.1.1)."""
        per_pixel = float(_SUBSAMPLED.get(self.photometric, self.samples)) if self.samples == 3 else self.samples
        bits = self.rows * self.columns * self.frames * per_pixel * self.bits_allocated
        return int(-(-bits // 8))


def _number(facts: Mapping[int, bytes], tag: int, order: str) -> int:
    raw = facts.get(tag, b"")
    return int.from_bytes(raw[:2], order) if len(raw) >= 2 else 0  # type: ignore[arg-type]


def integer_string(raw: bytes) -> int:
    """Value of an IS element, 0 where it is none (PS3.5 §6.2)."""
    text = raw.split(b"\\")[0].strip(b" \0")
    digits = text.lstrip(b"+-")
    if not digits.isdigit() or len(text) > 12:
        return 0
    return int(text)


def pixel_header(facts: Mapping[int, bytes], order: str, limits: Limits) -> PixelHeader:
    """Read the Image Pixel Module from raw values.

    Raises
    ------
    TarnhelmError
        ``LIM-009`` where more frames are claimed than the limit.
    """
    frames = max(1, integer_string(facts.get(0x00280008, b"")))
    if frames > limits.max_frames:
        raise TarnhelmError(errors.TOO_MANY_FRAMES, seen=frames, limit=limits.max_frames)
    allocated = _number(facts, 0x00280100, order)
    stored = _number(facts, 0x00280101, order) or allocated
    high = _number(facts, 0x00280102, order) if 0x00280102 in facts else stored - 1
    return PixelHeader(
        rows=_number(facts, 0x00280010, order),
        columns=_number(facts, 0x00280011, order),
        frames=frames,
        samples=_number(facts, 0x00280002, order) or 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        representation=_number(facts, 0x00280103, order),
        photometric=facts.get(0x00280004, b"").strip(b" \0").decode("ascii", "replace"),
    )


def clean_native(
    pixels: memoryview, header: PixelHeader, *, big_endian: bool
) -> tuple[memoryview | bytes, tuple[str, ...]]:
    """Check and clean native pixel data.

    A few bytes too many, or zeros, are padding and are cut. A whole row of something is no padding: then the header
    tells of a smaller image than there is, and cutting would lose pixels.

    Returns
    -------
    The value to write, of even length, and the findings (``padding``, ``unused-bits``).

    Raises
    ------
    TarnhelmError
        ``PIX-005`` where the header contradicts itself or the pixels, ``DCM-015`` where pixels are missing.
    """
    # Pixel cells are of one bit or of whole bytes (PS3.5 §8.1.1).
    if not header.complete or (header.bits_allocated != 1 and header.bits_allocated % 8):
        raise TarnhelmError(errors.BAD_PIXEL_HEADER)
    wanted = header.native_bytes()
    if len(pixels) < wanted:
        raise TarnhelmError(errors.PIXEL_LENGTH, seen=len(pixels), wanted=wanted)
    row = max(2, wanted // (header.rows * header.frames))
    if len(pixels) - wanted >= row and np.frombuffer(pixels, np.uint8, offset=wanted).any():
        raise TarnhelmError(errors.BAD_PIXEL_HEADER, seen=len(pixels), wanted=wanted)
    findings: list[str] = []
    kept: memoryview | bytes = pixels
    even = wanted + wanted % 2
    if len(pixels) > even or (wanted % 2 and len(pixels) == even and pixels[wanted] != 0):
        findings.append("padding")
        kept = pixels[:wanted] if wanted % 2 == 0 else bytes(pixels[:wanted]) + b"\0"
    elif len(pixels) < even:
        kept = bytes(pixels) + b"\0"
    if header.bits_allocated in (8, 16, 32) and header.bits_stored < header.bits_allocated:
        cleared = clear_unused_bits(
            kept,
            header.bits_allocated,
            header.bits_stored,
            header.high_bit,
            header.representation,
            header.samples,
            big_endian=big_endian,
        )
        if cleared is not None:
            findings.append("unused-bits")
            kept = cleared
    return kept, tuple(findings)


@dataclass(frozen=True, slots=True)
class Frames:
    """Encapsulated pixel data to write, from the first item tag to the delimiter."""

    parts: list[bytes | memoryview]
    removed: Counter[str]
    extended: ExtendedOffsets | None
    changed: bool


def clean_frames(
    view: memoryview,
    start: int,
    end: int,
    syntax: str,
    header: PixelHeader,
    limits: Limits,
    extended: ExtendedOffsets | None,
) -> Frames:
    """Clean the code streams of encapsulated pixel data (PS3.5 A.4)."""
    result = clean_encapsulated(
        view,
        start,
        syntax,
        header.frames,
        limits,
        extended,
        plane_bytes=header.rows * header.columns,
        end_limit=end,
    )
    return Frames(list(result.parts), result.removed, result.extended_offsets, result.changed)
