"""A DICOM file as a whole: preamble, file meta, data set, what follows it (PS3.10 section 7)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.dataset import Walker
from tarnhelm.witness.core.elements import LONG_VRS, SHORT_VRS
from tarnhelm.witness.core.parsed import Buffer, Fault, Parsed

if TYPE_CHECKING:
    from tarnhelm.common.limits import Limits

__all__ = ["PLAIN_SYNTAXES", "walk"]

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_BIG_ENDIAN: Final = b"1.2.840.10008.1.2.2"
_EXPLICIT_LITTLE: Final = b"1.2.840.10008.1.2.1"
PLAIN_SYNTAXES: Final = frozenset({_IMPLICIT, _EXPLICIT_LITTLE, _BIG_ENDIAN})
"""Native and not deflated: what a data set without meta information may be written in."""
_NATIVE: Final = PLAIN_SYNTAXES | {_DEFLATED}
_INFLATE_STEP: Final = 1 << 20


def _inflate(buf: Buffer, start: int, limits: Limits) -> tuple[bytes, bytes]:
    """Inflate the data set (PS3.5 A.5), bounded in bytes and in ratio; also return what stands after the stream."""
    packed = bytes(buf[start:])
    bound = min(limits.max_inflated_bytes, max(len(packed) * limits.max_inflate_ratio, 1 << 20))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    total = 0
    pending = packed
    try:
        while pending and not stream.eof:
            part = stream.decompress(pending, _INFLATE_STEP)
            total += len(part)
            if total > bound:
                raise Fault("inflates-too-far")
            parts.append(part)
            pending = stream.unconsumed_tail
    except zlib.error:
        raise Fault("deflate") from None
    if not stream.eof:
        raise Fault("deflate")
    return b"".join(parts), stream.unused_data


def _meta(parsed: Parsed, walker: Walker, pos: int, end: int) -> int:
    """Walk group 2, always explicit little endian (PS3.10 7.1); return where the data set begins."""
    buf = parsed.buf
    stop = pos
    while stop + 8 <= end and buf[stop : stop + 2] == b"\x02\x00":
        vr = bytes(buf[stop + 4 : stop + 6])
        if vr in LONG_VRS:
            (length,) = struct.unpack_from("<I", buf, stop + 8)
            stop += 12 + length
        elif vr in SHORT_VRS:
            (length,) = struct.unpack_from("<H", buf, stop + 6)
            stop += 8 + length
        else:
            raise Fault("meta")
    if stop > end:
        raise Fault("meta")
    walker.data_set(pos, stop, 1, 0, explicit=True, open_ended=False)
    return stop


def _looks_explicit(buf: Buffer, pos: int) -> bool:
    vr = bytes(buf[pos + 4 : pos + 6])
    return vr in SHORT_VRS or vr in LONG_VRS


def walk(buf: Buffer, limits: Limits, *, strict: bool) -> Parsed:
    """Walk a whole file.

    Parameters
    ----------
    buf
        The file's bytes.
    strict
        For the result: file meta wanted, tags ascending, lengths even, nothing left over. The source is read with more
        patience: disorder, odd lengths and rubbish after the pixel data are looked over, not refused.

    Raises
    ------
    Fault
        The bytes are no well-formed object, or exceed a limit.
    """
    parsed = Parsed(buf)
    walker = Walker(parsed, limits, strict=strict)
    size = len(buf)
    if size > limits.max_object_bytes:
        raise Fault("object-too-large")
    try:
        pos = 132 if buf[128:132] == b"DICM" else 0
        if strict and not pos:
            raise Fault("preamble", "preamble")
        parsed.has_meta = pos > 0 or buf[:2] == b"\x02\x00"
        if parsed.has_meta:
            pos = _meta(parsed, walker, pos, size)
            parsed.syntax = (parsed.value(0x00020010, 1) or b"").rstrip(b"\0 ")
        return _body(parsed, walker, pos, limits)
    except struct.error:
        raise Fault("truncated") from None


def _body(parsed: Parsed, walker: Walker, pos: int, limits: Limits) -> Parsed:
    buf = parsed.buf
    if parsed.syntax == _DEFLATED:
        data, rest = _inflate(buf, pos, limits)
        if walker.strict and rest not in {b"", b"\0"}:
            raise Fault("trailing", "trailing")
        parsed.buf = buf = bytes(buf[:pos]) + data
        parsed.deflated = True
    if parsed.syntax:
        parsed.explicit = parsed.syntax != _IMPLICIT
        parsed.little = parsed.syntax != _BIG_ENDIAN
        parsed.encapsulated = parsed.syntax not in _NATIVE
    else:
        parsed.explicit = _looks_explicit(buf, pos)
    parsed.data_start, parsed.end = pos, len(buf)
    parsed.trailing = parsed.end
    try:
        walker.data_set(pos, parsed.end, 0, 0, explicit=parsed.explicit, open_ended=False)
    except (Fault, struct.error):
        if walker.strict or parsed.pixel is None:
            raise
        parsed.trailing = _after_pixels(parsed)
    return parsed


def _after_pixels(parsed: Parsed) -> int:
    """Forget what was half read after the pixel data of a source: rubbish that no viewer shows."""
    _, start, length = parsed.pixel or (0, 0, 0)
    parsed.elements = [element for element in parsed.elements if element[2] <= start]
    parsed.named = [element for element in parsed.named if element[2] <= start]
    parsed.top = {tag: element for tag, element in parsed.top.items() if element[2] <= start}
    return start + length
