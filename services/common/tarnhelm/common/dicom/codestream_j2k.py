"""Takes comments and foreign boxes out of a JPEG 2000 stream (Part 1, and Part 15 as HTJ2K).

Packets are not touched: the decoded samples stay bit-identical. What changes is the length of tile-parts
whose header held a comment, so Psot is rewritten and the optional TLM index is dropped (ITU-T T.800 Annex A,
boxes: Annex I).
"""

from __future__ import annotations

from collections import Counter
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Final

from tarnhelm.common.dicom.codestream_jpeg import Edit, Stream, apply_edits, tail_is_clean
from tarnhelm.common.errors import BAD_CODESTREAM, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clean_jpeg2000"]

_SIGNATURE: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_COM: Final = 0xFF64
_TLM: Final = 0xFF55
_SOT: Final = 0xFF90
_SOD: Final = 0xFF93
_EOC: Final = 0xFFD9
_KNOWN: Final = frozenset(
    {0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF58, 0xFF59, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F}
    | {0xFF60, 0xFF61, 0xFF63, 0xFF64}
    # Part 2, for the multi-component syntaxes
    | {0xFF70, 0xFF71, 0xFF72, 0xFF73, 0xFF74, 0xFF75, 0xFF76, 0xFF77, 0xFF78, 0xFF79}
)
_HEADER_BOXES: Final = frozenset({b"ihdr", b"bpcc", b"pclr", b"cmap", b"cdef"})


def clean_jpeg2000(stream: Stream, removed: Counter[str]) -> Stream:
    """Give the stream without comments, foreign boxes and trailing bytes.

    Parameters
    ----------
    stream
        One frame: a code stream, or one in JP2 boxes (which DICOM forbids and files hold).
    removed
        Counts what went: ``com``, ``tlm``, ``box``, ``trailing``.

    Returns
    -------
    bytes or memoryview
        The very object ``stream`` if nothing had to go.

    Raises
    ------
    TarnhelmError
        ``BAD_CODESTREAM`` where the stream is not a whole sequence of known segments.
    """
    if bytes(stream[:12]) == _SIGNATURE:
        return _clean_boxes(stream, removed)
    return _clean_codestream(stream, removed)


def _clean_codestream(stream: Stream, removed: Counter[str]) -> Stream:
    size = len(stream)
    if bytes(stream[:4]) != b"\xff\x4f\xff\x51":
        raise TarnhelmError(BAD_CODESTREAM, offset=0)
    edits: list[Edit] = []
    indexes: list[Edit] = []
    marker, position = _walk_header(stream, 2, size, edits, indexes)
    lengths_changed = False
    while marker == _SOT:
        start = position
        if start + 12 > size or unpack_from(">H", stream, start + 2)[0] != 10:
            raise TarnhelmError(BAD_CODESTREAM, offset=start)
        claimed = unpack_from(">I", stream, start + 6)[0]
        tile_edits: list[Edit] = []
        marker, position = _walk_header(stream, start + 12, size, tile_edits, [])
        if marker != _SOD:
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        end = start + claimed if claimed else _last_tile_end(stream, position + 2)
        if end < position + 2 or end + 2 > size:
            raise TarnhelmError(BAD_CODESTREAM, offset=start)
        if tile_edits:
            lengths_changed = True
            if claimed:
                gone = sum(stop - begin for begin, stop, _ in tile_edits)
                edits.append((start + 6, start + 10, pack(">I", claimed - gone)))
            edits += tile_edits
        position = end
        marker = unpack_from(">H", stream, position)[0]
    if marker != _EOC:
        raise TarnhelmError(BAD_CODESTREAM, offset=position)
    position += 2
    comments = sum(1 for _, _, replacement in edits if not replacement)
    if comments:
        removed["com"] += comments
    if lengths_changed and indexes:
        removed["tlm"] += len(indexes)
        edits = sorted(edits + indexes)
    if not tail_is_clean(stream, position):
        removed["trailing"] += 1
        edits.append((position, size, b""))
    return apply_edits(stream, edits) if edits else stream


def _walk_header(stream: Stream, position: int, size: int, edits: list[Edit], indexes: list[Edit]) -> tuple[int, int]:
    """Go over marker segments; give the delimiting marker that ends them and where it stands."""
    while True:
        if position + 4 > size:
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        marker, length = unpack_from(">HH", stream, position)
        if marker in (_SOT, _SOD, _EOC):
            return marker, position
        end = position + 2 + length
        if marker not in _KNOWN or length < 2 or end > size:
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        if marker == 0xFF51 and (length < 41 or length != 38 + 3 * unpack_from(">H", stream, position + 38)[0]):
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        if marker == _COM:
            edits.append((position, end, b""))
        elif marker == _TLM:
            indexes.append((position, end, b""))
        position = end


def _last_tile_end(stream: Stream, position: int) -> int:
    """Find where a tile-part of length 0 ends: packets hold no marker above 0xFF8F, so the first EOC is the end."""
    found = bytes(stream[position:]).find(b"\xff\xd9")
    if found < 0:
        raise TarnhelmError(BAD_CODESTREAM, offset=position)
    return position + found


def _boxes(stream: Stream, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Go over boxes: type, first and last position of the content."""
    position = start
    while position < end:
        if end - position == 1 and stream[position] == 0:
            return
        if position + 8 > end:
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        length, kind = unpack_from(">I4s", stream, position)
        head = 8
        if length == 1:
            if position + 16 > end:
                raise TarnhelmError(BAD_CODESTREAM, offset=position)
            length, head = unpack_from(">Q", stream, position + 8)[0], 16
        elif length == 0:
            length = end - position
        if length < head or length > end - position:
            raise TarnhelmError(BAD_CODESTREAM, offset=position)
        yield kind, position + head, position + length
        position += length


def _box(kind: bytes, content: Stream) -> bytes:
    return pack(">I4s", 8 + len(content), kind) + bytes(content)


def _clean_boxes(stream: Stream, removed: Counter[str]) -> Stream:
    kept = [_SIGNATURE]
    seen: Counter[bytes] = Counter()
    for kind, start, end in _boxes(stream, 12, len(stream)):
        seen[kind] += 1
        if kind == b"ftyp" and end - start >= 8:
            brand = bytes(stream[start : start + 4])
            if brand not in (b"jp2 ", b"jpx ", b"jph "):
                raise TarnhelmError(BAD_CODESTREAM, offset=start)
            kept.append(_box(kind, brand + b"\x00\x00\x00\x00" + brand))
        elif kind == b"jp2h":
            kept.append(_box(kind, _clean_header_box(stream, start, end, removed)))
        elif kind == b"jp2c":
            kept.append(_box(kind, _clean_codestream(stream[start:end], removed)))
        else:
            removed["box"] += 1
    if seen[b"ftyp"] != 1 or seen[b"jp2h"] != 1 or seen[b"jp2c"] != 1:
        raise TarnhelmError(BAD_CODESTREAM, offset=12)
    cleaned = b"".join(kept)
    original = bytes(stream)
    if original in (cleaned, cleaned + b"\x00"):
        return stream
    if not removed.total():
        removed["box"] += 1
    return cleaned


def _clean_header_box(stream: Stream, start: int, end: int, removed: Counter[str]) -> bytes:
    """Keep what describes the samples. A colour profile holds free text, so its place is taken by an enumerated space."""
    kept: list[bytes] = []
    channels = 0
    has_colour = False
    for kind, first, last in _boxes(stream, start, end):
        body = bytes(stream[first:last])
        if kind == b"ihdr" and len(body) == 14:
            channels = unpack_from(">H", body, 8)[0]
            kept.append(_box(kind, body))
        elif kind in _HEADER_BOXES:
            kept.append(_box(kind, body))
        elif kind == b"colr" and not has_colour:
            has_colour = True
            enumerated = len(body) == 7 and body[0] == 1
            if not enumerated:
                removed["box"] += 1
            space = unpack_from(">I", body, 3)[0] if enumerated else 16 if channels >= 3 else 17
            kept.append(_box(kind, b"\x01\x00\x00" + pack(">I", space)))
        else:
            removed["box"] += 1
    return b"".join(kept)
