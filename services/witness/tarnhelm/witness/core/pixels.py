"""Pixels: equal to the source's, bit by bit, but inside the reported masks and in bits that hold no pixel.

Nothing is decoded. Native pixels are compared as memory; compressed frames as the parts of their code streams.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.codestream import Frame, family_of, read_frame
from tarnhelm.witness.core.finding import PIXELS, STRUCTURE, UNDECIDED, Finding
from tarnhelm.witness.core.native import Mask, compare_native
from tarnhelm.witness.core.parsed import Fault, Parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.witness.core.scan import Region

__all__ = ["Mask", "compare_described", "compare_pixels", "description_of"]

_DESCRIPTION: Final = {
    0x00280002: "samples", 0x00280004: "photometric", 0x00280006: "planar", 0x00280008: "frames", 0x00280010: "rows",
    0x00280011: "columns", 0x00280100: "allocated", 0x00280101: "stored", 0x00280102: "high", 0x00280103: "signed",
}  # fmt: skip
_NUMBERS: Final = frozenset({"samples", "planar", "rows", "columns", "allocated", "stored", "high", "signed"})


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
        return [Finding(PIXELS, f"{(source.pixel or result.pixel or (0, 0, 0))[0]:08X}", "missing")], []
    position = f"{result.pixel[0]:08X}"
    if source.pixel[0] != result.pixel[0] or (source.fragments is None) != (result.fragments is None):
        return [Finding(PIXELS, position, "form")], []
    before, after = description_of(source), description_of(result)
    changed = [name for name in before if before[name] != after.get(name)]
    if changed or before.keys() != after.keys():
        return [Finding(PIXELS, position, "description")], []
    return compare_described(source, result, masks, before)


def compare_described(
    source: Parsed, result: Parsed, masks: tuple[Mask, ...], described: Mapping[str, bytes]
) -> tuple[list[Finding], list[Region]]:
    """Compare the pixel data of two files that describe them alike and hold them in one form."""
    position = f"{(result.pixel or (0, 0, 0))[0]:08X}"
    if result.fragments is not None:
        if masks:
            return [Finding(UNDECIDED, position, "masked-codestream")], []
        return _encapsulated(source, result, position, described)
    return list(compare_native(source, result, masks, position, described)), []


def description_of(parsed: Parsed) -> dict[str, bytes]:
    """Return what a file says of its pixels: the Image Pixel Module (PS3.3 C.7.6.3), byte order and padding apart."""
    found: dict[str, bytes] = {}
    order = "<H" if parsed.little else ">H"
    for tag, name in _DESCRIPTION.items():
        raw = parsed.value(tag)
        if raw is not None:
            if name in _NUMBERS and len(raw) == 2:
                raw = str(struct.unpack(order, raw)[0]).encode()
            found[name] = raw.strip(b"\0 ")
    return found


# --- encapsulated ---------------------------------------------------------------------------------------------


def _encapsulated(
    source: Parsed, result: Parsed, position: str, described: Mapping[str, bytes]
) -> tuple[list[Finding], list[Region]]:
    family = family_of(result.syntax)
    if not family:
        return [Finding(UNDECIDED, position, "syntax")], []
    try:
        frames = max(int(described.get("frames") or 1), 1)
        plane = int(described.get("rows") or 0) * int(described.get("columns") or 0)
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
            frame = read_frame(right, family, plane)
        except Fault:
            findings.append(Finding(PIXELS, position, "codestream"))
            continue
        if frame.tail.strip(b"\0"):
            findings.append(Finding(STRUCTURE, position, "after-codestream"))
        regions += [("codestream", part) for part in (*frame.carried, *frame.headers)]
        if left != right and not _same_picture(left, frame, family, plane):
            findings.append(Finding(PIXELS, position, "differ"))
    if not _offsets_fit(result, grouped[1]):
        findings.append(Finding(STRUCTURE, position, "offsets"))
    return findings, regions


def _same_picture(left: bytes, frame: Frame, family: str, plane: int) -> bool:
    try:
        original = read_frame(left, family, plane)
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
