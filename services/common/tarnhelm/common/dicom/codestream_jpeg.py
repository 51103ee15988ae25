"""Takes out of a JPEG or JPEG-LS stream what no decoder needs: comments, application data, trailing bytes.

Every segment is measured against its own definition, so that a table cannot be longer than what it holds.
Entropy-coded data are not touched: the decoded samples stay bit-identical (ITU-T T.81 Annex B, T.87 Annex C).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_CODESTREAM, TarnhelmError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

__all__ = ["Stream", "apply_edits", "clean_jpeg", "tail_is_clean"]

Stream = bytes | memoryview
Edit = tuple[int, int, bytes]
"""Replace the bytes from the first position up to the second by the third."""

# What ends a run of entropy-coded data. In JPEG a 0xFF of the data is stuffed with 0x00; in JPEG-LS the
# bit after it is zero, so anything from 0x80 on is a marker. Restart markers belong to the data.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_NEXT_MARKER_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)

_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_FRAME_LS: Final = 0xF7

# A decoder takes the colour space from these two, so they stay, with every free field at its usual value.
_JFIF: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_ADOBE: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


def clean_jpeg(stream: Stream, *, lossless_ls: bool, removed: Counter[str]) -> Stream:
    """Give the stream without comments, application segments and trailing bytes.

    Parameters
    ----------
    stream
        One frame from SOI to EOI, perhaps with a byte of padding.
    lossless_ls
        The stream is JPEG-LS.
    removed
        Counts what went: ``com``, ``app``, ``trailing``.

    Returns
    -------
    bytes or memoryview
        The very object ``stream`` if nothing had to go.

    Raises
    ------
    TarnhelmError
        ``BAD_CODESTREAM`` where the stream is not a whole sequence of known segments.
    """
    size = len(stream)
    if size < 4 or stream[0] != 0xFF or stream[1] != 0xD8:
        raise TarnhelmError(BAD_CODESTREAM, offset=0)
    next_marker = _NEXT_MARKER_LS if lossless_ls else _NEXT_MARKER
    edits: list[Edit] = []
    position = 2
    has_frame = has_scan = False
    while True:
        start = position
        while position < size and stream[position] == 0xFF:
            position += 1
        if position >= size or position == start:
            raise TarnhelmError(BAD_CODESTREAM, offset=start)
        marker = stream[position]
        position += 1
        if marker == 0xD9:
            break
        length = (stream[position] << 8 | stream[position + 1]) if position + 2 <= size else 0
        end = position + length
        if length < 2 or end > size:
            raise TarnhelmError(BAD_CODESTREAM, offset=start)
        body = stream[position + 2 : end]
        if marker == 0xFE:
            removed["com"] += 1
            edits.append((start, end, b""))
        elif 0xE0 <= marker <= 0xEF:
            kept = _kept_application_data(marker, bytes(body), lossless_ls=lossless_ls)
            if kept != stream[start:end]:
                removed["app"] += 1
                edits.append((start, end, kept))
        elif marker in _FRAMES or (marker == _FRAME_LS and lossless_ls):
            has_frame = True
            _check(length >= 8 and length == 8 + 3 * body[5], start)
        elif marker == 0xDA:
            _check(has_frame and length >= 6 and length == 6 + 2 * body[0], start)
            has_scan = True
            found = next_marker.search(stream, end)
            if found is None:
                raise TarnhelmError(BAD_CODESTREAM, offset=end)
            end = found.start()
        else:
            _check(_fits(marker, bytes(body), lossless_ls=lossless_ls), start)
        position = end
    _check(has_scan, position)
    if not tail_is_clean(stream, position):
        removed["trailing"] += 1
        edits.append((position, size, b""))
    return apply_edits(stream, edits) if edits else stream


def apply_edits(stream: Stream, edits: list[Edit]) -> bytes:
    """Give ``stream`` with the edits made; they are in order and do not overlap."""
    parts: list[Stream] = []
    position = 0
    for start, end, replacement in edits:
        parts.append(stream[position:start])
        parts.append(replacement)
        position = end
    parts.append(stream[position:])
    return b"".join(parts)


def tail_is_clean(stream: Stream, end: int) -> bool:
    """Say whether behind the end of image stands nothing, or the one zero byte that makes the length even."""
    rest = len(stream) - end
    return rest == 0 or (rest == 1 and stream[end] == 0 and end & 1 == 1)


def _check(holds: object, offset: int) -> None:
    if not holds:
        raise TarnhelmError(BAD_CODESTREAM, offset=offset)


def _kept_application_data(marker: int, body: bytes, *, lossless_ls: bool) -> bytes:
    """Canonical form of the three application segments that change what a decoder shows; empty for all others."""
    if marker == 0xE0 and len(body) >= 14 and body.startswith(b"JFIF\x00"):
        return _JFIF
    if marker == 0xEE and len(body) >= 12 and body.startswith(b"Adobe") and body[11] <= 2:
        return _ADOBE + body[11:12]
    # The colour transform of the HP encoder for JPEG-LS; decoders undo it.
    if marker == 0xE8 and lossless_ls and len(body) == 5 and body.startswith(b"mrfx") and body[4] <= 3:
        return b"\xff\xe8\x00\x07" + body
    return b""


def _fits(marker: int, body: bytes, *, lossless_ls: bool) -> bool:
    """Say whether a table segment is known and exactly as long as what it declares."""
    if marker == 0xDB:
        return _tables_fill(body, lambda at: 129 if body[at] >> 4 else 65)
    if marker == 0xC4:
        return _tables_fill(body, lambda at: 17 + sum(body[at + 1 : at + 17]))
    if marker == 0xDD:
        return len(body) == 2 or (lossless_ls and len(body) in (3, 4))
    if marker == 0xDC:
        return len(body) == 2 or (lossless_ls and len(body) in (3, 4))
    if marker == 0xCC:
        return len(body) % 2 == 0
    if marker == 0xF8 and lossless_ls and body:
        return len(body) == 11 if body[0] == 1 else body[0] in (2, 3, 4)
    return False


def _tables_fill(body: bytes, size_at: Callable[[int], int]) -> bool:
    at = 0
    while at < len(body):
        at += size_at(at)
    return at == len(body)
