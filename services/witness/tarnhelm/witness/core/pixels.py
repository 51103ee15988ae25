"""Pixels: equal to the source's, bit by bit, but inside the reported masks and in bits that hold no pixel.

Nothing is decoded. Native pixels are compared as memory; compressed frames as the parts of their code streams.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tarnhelm.witness.core.codestream import Frame, family_of, read_frame
from tarnhelm.witness.core.finding import PIXELS, STRUCTURE, UNDECIDED, Finding
from tarnhelm.witness.core.scan import Region
from tarnhelm.witness.core.walk import Fault, Parsed

__all__ = ["Mask", "compare_pixels"]

_STEP: Final = 1 << 20
_DESCRIPTION: Final = {
    0x00280002: "samples", 0x00280004: "photometric", 0x00280006: "planar", 0x00280008: "frames", 0x00280010: "rows",
    0x00280011: "columns", 0x00280100: "allocated", 0x00280101: "stored", 0x00280102: "high", 0x00280103: "signed",
}  # fmt: skip
_PLANE_BITS: Final = tuple(0x60000100 + (number << 17) for number in range(16))
_NUMBERS: Final = frozenset({"samples", "planar", "rows", "columns", "allocated", "stored", "high", "signed"})


@dataclass(frozen=True, slots=True)
class Mask:
    """A rectangle that a stage has painted over; ``frame`` counts from 0, -1 means every frame."""

    frame: int
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Shape:
    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    high: int
    planar: int
    signed: int
    subsampled: bool

    @property
    def bytes(self) -> int:
        """Bytes that the pixels fill, without padding (PS3.5 8.1.1)."""
        samples = 2 if self.subsampled else self.samples
        return (self.rows * self.columns * samples * self.frames * self.allocated + 7) // 8


def compare_pixels(source: Parsed, result: Parsed, masks: tuple[Mask, ...]) -> tuple[list[Finding], list[Region]]:
    """Compare the pixel data of two walked files.

    Returns
    -------
    findings, regions
        ``regions`` are stretches of the result's code streams that hold no picture: the search reads them.
    """
    if source.pixel is None or result.pixel is None:
        if source.pixel is None and result.pixel is None:
            return [], []
        return [Finding(PIXELS, f"{(source.pixel or result.pixel or (0,))[0]:08X}", "missing")], []
    position = f"{result.pixel[0]:08X}"
    if source.pixel[0] != result.pixel[0] or (source.fragments is None) != (result.fragments is None):
        return [Finding(PIXELS, position, "form")], []
    before, after = _description(source), _description(result)
    changed = [name for name in before if before[name] != after.get(name)]
    if changed or before.keys() != after.keys():
        return [Finding(PIXELS, position, "description")], []
    if result.fragments is not None:
        if masks:
            return [Finding(UNDECIDED, position, "masked-codestream")], []
        return _encapsulated(source, result, position, before)
    return list(_native(source, result, masks, position, before)), []


def _description(parsed: Parsed) -> dict[str, bytes]:
    found = {}
    order = "<H" if parsed.little else ">H"
    for tag, name in _DESCRIPTION.items():
        raw = parsed.value(tag)
        if raw is not None:
            if name in _NUMBERS and len(raw) == 2:
                raw = b"%d" % struct.unpack(order, raw)
            found[name] = raw.strip(b"\0 ")
    return found


def _shape(described: dict[str, bytes]) -> _Shape:
    def number(name: str, default: int) -> int:
        return int(described.get(name) or default)

    allocated = number("allocated", 16)
    stored = number("stored", allocated)
    return _Shape(
        rows=number("rows", 0),
        columns=number("columns", 0),
        samples=number("samples", 1),
        frames=max(number("frames", 1), 1),
        allocated=allocated,
        stored=stored,
        high=number("high", stored - 1),
        planar=number("planar", 0),
        signed=number("signed", 0),
        subsampled=described.get("photometric") == b"YBR_FULL_422",
    )


def _native(
    source: Parsed, result: Parsed, masks: tuple[Mask, ...], position: str, described: dict[str, bytes]
) -> Iterator[Finding]:
    _, s_start, s_length = source.pixel or (0, 0, 0)
    tag, r_start, r_length = result.pixel or (0, 0, 0)
    try:
        shape = _shape(described)
    except ValueError:
        yield Finding(UNDECIDED, position, "description")
        return
    wanted = shape.bytes
    if tag != 0x7FE00010 or not wanted or s_length < wanted:
        # Float pixels and descriptions that do not fit their data: nothing but equality can be judged.
        if s_length != r_length or not _equal(source, s_start, result, r_start, s_length):
            yield Finding(PIXELS, position, "differ")
        return
    if r_length < wanted:
        yield Finding(PIXELS, position, "short")
        return
    if r_length > wanted + 1 and any(bytes(result.buf[r_start + wanted : r_start + r_length])):
        yield Finding(PIXELS, position, "padding")
    elif r_length == wanted + 1 and result.buf[r_start + wanted] not in {0, source.buf[s_start + wanted] if s_length > wanted else 0}:
        yield Finding(PIXELS, position, "padding")
    planes = _has_embedded_plane(source) or _has_embedded_plane(result)
    if not planes and _equal(source, s_start, result, r_start, wanted):
        return
    if shape.allocated not in {8, 16, 32} or shape.stored > shape.allocated or shape.high >= shape.allocated:
        same = _equal(source, s_start, result, r_start, wanted)
        yield Finding(UNDECIDED, position, "depth") if same else Finding(PIXELS, position, "differ")
        return
    yield from _closely(source, result, masks, position, shape, planes=planes)


def _equal(source: Parsed, s_start: int, result: Parsed, r_start: int, length: int) -> bool:
    left, right = source.buf, result.buf
    if isinstance(left, bytes) and isinstance(right, bytes):
        with memoryview(right) as view, view[r_start : r_start + length] as part:
            return len(part) == length and left.startswith(part, s_start)
    return all(
        left[s_start + at : s_start + min(at + _STEP, length)] == right[r_start + at : r_start + min(at + _STEP, length)]
        for at in range(0, length, _STEP)
    )


def _has_embedded_plane(parsed: Parsed) -> bool:
    """Tell whether an overlay claims bits of the pixels (retired form: bits allocated other than 1, PS3.3 C.9.2)."""
    order = "<H" if parsed.little else ">H"
    if parsed.top.keys().isdisjoint(_PLANE_BITS):
        return False
    found = (parsed.value(tag) or b"" for tag in _PLANE_BITS)
    return any(len(raw) == 2 and struct.unpack(order, raw)[0] != 1 for raw in found)


def _closely(
    source: Parsed, result: Parsed, masks: tuple[Mask, ...], position: str, shape: _Shape, *, planes: bool
) -> Iterator[Finding]:
    width = shape.allocated // 8
    kind = np.dtype(f"{'<' if result.little else '>'}u{width}")
    used = ((1 << shape.stored) - 1) << max(shape.high + 1 - shape.stored, 0)
    unused = ((1 << shape.allocated) - 1) & ~used
    per_frame = shape.bytes // shape.frames
    if per_frame * shape.frames != shape.bytes or per_frame % width or (masks and shape.subsampled):
        yield Finding(UNDECIDED, position, "geometry")
        return
    s_start, r_start = (source.pixel or (0, 0, 0))[1], (result.pixel or (0, 0, 0))[1]
    differing = left_over = 0
    for number in range(shape.frames):
        at = number * per_frame
        before = np.frombuffer(source.buf, kind, per_frame // width, s_start + at)
        after = np.frombuffer(result.buf, kind, per_frame // width, r_start + at)
        if planes and unused:
            left_over += _unused_bits(after, shape, unused)
        changed = before ^ after
        if not changed.any():
            continue
        # Unused bits may change in one way only: to zero.
        wrong = (changed & used) | (after & changed & unused)
        if masks:
            wrong = _outside_masks(wrong, masks, number, shape)
        differing += int(np.count_nonzero(wrong))
    if differing:
        yield Finding(PIXELS, position, "differ", differing)
    if left_over:
        yield Finding(PIXELS, position, "unused-bits", left_over)


def _unused_bits(after: NDArray[np.unsignedinteger], shape: _Shape, unused: int) -> int:
    """Count pixels whose unused bits hold something: neither zero nor the extension of a sign."""
    rest = after & unused
    if shape.signed and shape.high == shape.stored - 1:
        negative = (after >> shape.high) & 1
        rest = np.where((negative == 1) & (rest == unused), 0, rest)
    return int(np.count_nonzero(rest))


def _outside_masks(
    wrong: NDArray[np.unsignedinteger], masks: tuple[Mask, ...], frame: int, shape: _Shape
) -> NDArray[np.unsignedinteger]:
    if shape.planar and shape.samples > 1:
        grid = wrong.reshape(shape.samples, shape.rows, shape.columns).copy()
    else:
        grid = np.moveaxis(wrong.reshape(shape.rows, shape.columns, shape.samples), 2, 0).copy()
    for mask in masks:
        if mask.frame in {-1, frame}:
            top, left = max(mask.top, 0), max(mask.left, 0)
            grid[:, top : max(mask.top + mask.height, 0), left : max(mask.left + mask.width, 0)] = 0
    return grid


# --- encapsulated ---------------------------------------------------------------------------------------------


def _encapsulated(
    source: Parsed, result: Parsed, position: str, described: dict[str, bytes]
) -> tuple[list[Finding], list[Region]]:
    family = family_of(result.syntax)
    if not family:
        return [Finding(UNDECIDED, position, "syntax")], []
    try:
        frames = max(int(described.get("frames") or 1), 1)
    except ValueError:
        return [Finding(UNDECIDED, position, "description")], []
    findings: list[Finding] = []
    regions: list[Region] = []
    grouped = [_grouped(parsed, frames) for parsed in (source, result)]
    if grouped[0] is None or grouped[1] is None or len(grouped[0]) != len(grouped[1]):
        return [Finding(UNDECIDED, position, "frames")], []
    for before, after in zip(*grouped, strict=True):
        left = b"".join(bytes(source.buf[start : start + length]) for start, length in before)
        right = b"".join(bytes(result.buf[start : start + length]) for start, length in after)
        try:
            frame = read_frame(right, family)
        except Fault:
            findings.append(Finding(PIXELS, position, "codestream"))
            continue
        if len(frame.tail) > 1 or frame.tail.strip(b"\0"):
            findings.append(Finding(STRUCTURE, position, "after-codestream"))
        regions += [("codestream", part) for part in frame.carried]
        if left != right and not _same_picture(left, frame, family):
            findings.append(Finding(PIXELS, position, "differ"))
    if not _offsets_fit(result, grouped[1]):
        findings.append(Finding(STRUCTURE, position, "offsets"))
    return findings, regions


def _same_picture(left: bytes, frame: Frame, family: str) -> bool:
    try:
        original = read_frame(left, family)
    except Fault:
        return False
    return original.picture == frame.picture and all(part in original.carried for part in frame.carried)


def _grouped(parsed: Parsed, frames: int) -> list[list[tuple[int, int]]] | None:
    """Group fragments into frames: one each, all one, or as the offset table says (PS3.5 A.4)."""
    table, *fragments = parsed.fragments or [(0, 0)]
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    if frames == 1:
        return [fragments]
    offsets = _basic_offsets(parsed, table)
    if len(offsets) != frames:
        return None
    heads = {start - 8 - (table[0] + table[1]): index for index, (start, _) in enumerate(fragments)}
    firsts = [heads.get(offset, -1) for offset in offsets]
    if firsts[0] != 0 or -1 in firsts or sorted(set(firsts)) != firsts:
        return None
    return [fragments[a:b] for a, b in zip(firsts, [*firsts[1:], len(fragments)], strict=True)]


def _basic_offsets(parsed: Parsed, table: tuple[int, int]) -> tuple[int, ...]:
    if table[1] % 4:
        return ()
    return struct.unpack_from(f"<{table[1] // 4}I", parsed.buf, table[0])


def _offsets_fit(parsed: Parsed, grouped: list[list[tuple[int, int]]] | None) -> bool:
    """Check the basic and the extended offset table of the result against its fragments."""
    table = (parsed.fragments or [(0, 0)])[0]
    base = table[0] + table[1]
    starts = [group[0][0] - 8 - base for group in grouped or [] if group]
    if table[1] and list(_basic_offsets(parsed, table)) != starts:
        return False
    extended = parsed.value(0x7FE00001)
    lengths = parsed.value(0x7FE00002)
    if extended and list(struct.unpack(f"<{len(extended) // 8}Q", extended)) != starts:
        return False
    if lengths:
        sizes = [sum(length for _, length in group) for group in grouped or []]
        given = struct.unpack(f"<{len(lengths) // 8}Q", lengths)
        return len(given) == len(sizes) and all(0 <= size - one <= 1 for size, one in zip(sizes, given, strict=True))
    return True
