"""Native pixels: the same memory, but inside the reported masks and in bits that hold no pixel.

Bits that hold no pixel may be cleared, and in the result they must be: zero in all pixels, or in signed data the
repeated sign in all pixels. A mixture would be a plane of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tarnhelm.witness.core.finding import PIXELS, UNDECIDED, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from tarnhelm.witness.core.parsed import Parsed

__all__ = ["Mask", "Shape", "compare_native", "shape_of"]

_STEP: Final = 1 << 20
_PIXEL_DATA: Final = 0x7FE00010
_SUBSAMPLED: Final = {b"YBR_FULL_422": 4, b"YBR_PARTIAL_422": 4, b"YBR_PARTIAL_420": 3}
"""Half samples a pixel (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A rectangle that a stage has painted over; ``frame`` counts from 0, -1 means every frame."""

    frame: int
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of the Image Pixel Module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    high: int
    planar: int
    signed: int
    half_samples: int

    @property
    def bytes(self) -> int:
        """Bytes that the pixels fill, without padding (PS3.5 8.1.1)."""
        return (self.rows * self.columns * self.half_samples * self.frames * self.allocated + 15) // 16


def shape_of(described: Mapping[str, bytes]) -> Shape:
    """Read a shape; ValueError where a number is none."""

    def number(name: str, default: int) -> int:
        return int(described.get(name) or default)

    allocated = number("allocated", 16)
    stored = number("stored", allocated)
    samples = number("samples", 1)
    subsampled = _SUBSAMPLED.get(described.get("photometric", b"")) if samples == 3 else None
    return Shape(
        rows=number("rows", 0),
        columns=number("columns", 0),
        samples=samples,
        frames=max(number("frames", 1), 1),
        allocated=allocated,
        stored=stored,
        high=number("high", stored - 1),
        planar=number("planar", 0),
        signed=number("signed", 0),
        half_samples=subsampled or 2 * samples,
    )


def compare_native(
    source: Parsed, result: Parsed, masks: tuple[Mask, ...], position: str, described: Mapping[str, bytes]
) -> Iterator[Finding]:
    """Yield what is wrong with the native pixels of a result."""
    _, s_start, s_length = source.pixel or (0, 0, 0)
    tag, r_start, r_length = result.pixel or (0, 0, 0)
    try:
        shape = shape_of(described)
    except ValueError:
        yield Finding(UNDECIDED, position, "description")
        return
    wanted = shape.bytes
    if tag != _PIXEL_DATA or not wanted or s_length < wanted:
        # Float pixels and descriptions that do not fit their data: nothing but equality can be judged.
        if s_length != r_length or not _equal(source, s_start, result, r_start, s_length):
            yield Finding(PIXELS, position, "differ")
        return
    if r_length < wanted:
        yield Finding(PIXELS, position, "short")
        return
    if r_length > wanted and bytes(result.buf[r_start + wanted : r_start + r_length]).strip(b"\0"):
        yield Finding(PIXELS, position, "padding")
    same = _equal(source, s_start, result, r_start, wanted)
    if same and shape.stored == shape.allocated:
        return
    consistent = 1 <= shape.stored <= shape.high + 1 <= shape.allocated
    if not consistent or shape.allocated not in {8, 16, 32, 64}:
        yield Finding(UNDECIDED, position, "depth") if same else Finding(PIXELS, position, "differ")
        return
    if shape.stored < shape.allocated and not _unused_bits_hold_nothing(result, r_start, shape):
        yield Finding(PIXELS, position, "unused-bits")
    if not same:
        yield from _closely(source, result, masks, position, shape)


def _equal(source: Parsed, s_start: int, result: Parsed, r_start: int, length: int) -> bool:
    left, right = source.buf, result.buf
    if isinstance(left, bytes | bytearray) and isinstance(right, bytes | bytearray):
        # startswith compares memory without a copy; comparing memoryviews would go byte by byte.
        with memoryview(right) as view, view[r_start : r_start + length] as part:
            return len(part) == length and left.startswith(part, s_start)
    return all(
        left[s_start + at : s_start + min(at + _STEP, length)]
        == right[r_start + at : r_start + min(at + _STEP, length)]
        for at in range(0, length, _STEP)
    )


def _cells(parsed: Parsed, shape: Shape, start: int, count: int, sign: str = "u") -> NDArray[Any]:
    kind = np.dtype(f"{'<' if parsed.little else '>'}{sign}{shape.allocated // 8}")
    return np.frombuffer(parsed.buf, kind, count, start)


def _unused_bits_hold_nothing(result: Parsed, start: int, shape: Shape) -> bool:
    """Tell whether the bits beside the stored ones are all zero, or all repeat the sign."""
    size = shape.allocated // 8
    low = shape.high + 1 - shape.stored
    used = ((1 << shape.stored) - 1) << low
    count = shape.bytes // size
    # A union over words of eight bytes is the fastest look at all bits.
    words = shape.bytes // 8
    repeated = int.from_bytes(used.to_bytes(size, "little" if result.little else "big") * (8 // size), "little")
    union = int(np.bitwise_or.reduce(np.frombuffer(result.buf, "<u8", words, start))) if words else 0
    rest = _cells(result, shape, start + words * 8, count - words * 8 // size)
    union_rest = int(np.bitwise_or.reduce(rest)) if len(rest) else 0
    if not union & ~repeated and not union_rest & ~used:
        return True
    if not shape.signed:
        return False
    cells = _cells(result, shape, start, count, "i")
    if low == 0:
        bound = 1 << (shape.stored - 1)
        return bool(int(cells.min()) >= -bound and int(cells.max()) < bound)
    above = shape.allocated - shape.stored - low
    return bool(np.array_equal(((cells << above) >> (above + low)) << low, cells))


def _closely(source: Parsed, result: Parsed, masks: tuple[Mask, ...], position: str, shape: Shape) -> Iterator[Finding]:
    width = shape.allocated // 8
    used = ((1 << shape.stored) - 1) << (shape.high + 1 - shape.stored)
    per_frame = shape.bytes // shape.frames
    if (
        per_frame * shape.frames != shape.bytes
        or per_frame % width
        or (masks and shape.half_samples != 2 * shape.samples)
    ):
        yield Finding(UNDECIDED, position, "geometry")
        return
    s_start, r_start = (source.pixel or (0, 0, 0))[1], (result.pixel or (0, 0, 0))[1]
    differing = 0
    for number in range(shape.frames):
        at = number * per_frame
        before = _cells(source, shape, s_start + at, per_frame // width)
        after = _cells(result, shape, r_start + at, per_frame // width)
        wrong = (before ^ after) & used
        if masks and wrong.any():
            wrong = _outside_masks(wrong, masks, number, shape)
        differing += int(np.count_nonzero(wrong))
    if differing:
        yield Finding(PIXELS, position, "differ", differing)


def _outside_masks(wrong: NDArray[Any], masks: tuple[Mask, ...], frame: int, shape: Shape) -> NDArray[Any]:
    if shape.planar and shape.samples > 1:
        grid = wrong.reshape(shape.samples, shape.rows, shape.columns).copy()
    else:
        grid = np.moveaxis(wrong.reshape(shape.rows, shape.columns, shape.samples), 2, 0).copy()
    for mask in masks:
        if mask.frame in {-1, frame}:
            top, left = max(mask.top, 0), max(mask.left, 0)
            grid[:, top : max(mask.top + mask.height, 0), left : max(mask.left + mask.width, 0)] = 0
    return grid
