"""Files made to hurt a parser, each with what has to become of it.

Collected after Orthanc CVE-2026-5437 to 5445, DCMTK CVE-2026-50003, pydicom CVE-2026-32711, CVE-2019-11687, and after
what a library was seen to read silently as good.
"""

from __future__ import annotations

import struct
import zlib

from tests.hostile import files_encapsulated  # noqa: F401  (registers its files)
from tests.hostile.pieces import (
    BIG,
    DEFLATED,
    ITEM_END,
    RLE,
    SEQUENCE_END,
    UNDEFINED,
    el,
    encapsulated,
    even,
    implicit,
    item,
    joined,
    meta,
    parts,
    small_file,
    uid,
    with_part,
)  # fmt: skip
from tests.hostile.registry import CASES, MAY_PASS, case

__all__ = ["CASES", "MAY_PASS"]

# --- bombs --------------------------------------------------------------------------------------------------


@case()
def deflate_bomb() -> bytes:
    """A quarter of a megabyte that inflates to 256 MiB of one private value."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = joined({tag: data for tag, data in parts().items() if tag < 0x00090000})
    out = [packer.compress(body + el(0x00091001, "OB", b"", 256 << 20))]
    out += [packer.compress(bytes(1 << 20)) for _ in range(256)]
    return meta(DEFLATED) + b"".join(out) + packer.flush()


@case()
def deflate_bomb_of_elements() -> bytes:
    """Half a million empty elements in a few kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = joined({tag: data for tag, data in parts().items() if tag < 0x00090000})
    out = [packer.compress(body)]
    for group in range(0x0009, 0x0009 + 16, 2):
        out.append(packer.compress(b"".join(el(group << 16 | low, "LO", b"") for low in range(0x1000, 0xF000))))
    return meta(DEFLATED) + b"".join(out) + packer.flush()


@case()
def deflated_garbage() -> bytes:
    """No deflate at all."""
    return meta(DEFLATED) + bytes(range(255, 0, -1)) * 9


@case()
def deflated_cut() -> bytes:
    """A deflate stream without its end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(joined(parts())) + packer.flush()
    return meta(DEFLATED) + data[: len(data) * 2 // 3]


def _rle(rows: int, columns: int, segment: bytes, count: int = 2, offsets: tuple[int, ...] | None = None) -> bytes:
    starts = offsets or tuple(64 + index * len(segment) for index in range(count))
    head = struct.pack("<I", count) + b"".join(struct.pack("<I", at) for at in starts[:15])
    frame = head.ljust(64, b"\0") + segment * min(count, 15)
    return encapsulated(item(b"") + item(frame) + SEQUENCE_END, RLE, rows, columns)


@case(may_pass=True)
def rle_bomb() -> bytes:
    """65,535 by 65,535 pixels out of 2 KB; nothing here decodes, so it may pass as it stands, or be refused."""
    return _rle(65535, 65535, b"\x81\0" * 500)


@case()
def rle_bad_segment_count() -> bytes:
    """More segments than the header has room for."""
    return _rle(4, 4, b"\x0f" + bytes(16) + b"\0", count=4_000_000_000, offsets=(64,))


@case()
def huge_rows_native() -> bytes:
    """8 GiB of pixels promised, 32 bytes given."""
    return meta() + joined(parts(65535, 65535))


@case()
def huge_frames() -> bytes:
    """Two thousand million frames promised."""
    return meta() + joined(parts(frames=2_000_000_000))


# --- nesting ------------------------------------------------------------------------------------------------


def _flat_nested(levels: int) -> bytes:
    head = el(0x0040A730, "SQ", b"", UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    return head * levels + (ITEM_END + SEQUENCE_END) * levels


@case()
def nested_sequences() -> bytes:
    """8 KB of sequences in sequences."""
    return with_part(0x0040A730, _flat_nested(300))


@case()
def nested_100000_deep() -> bytes:
    """Deep enough for any stack, and never closed."""
    return meta() + joined(parts())[:-44] + _flat_nested(100_000)[: 20 * 100_000]


@case()
def nested_defined() -> bytes:
    """The same with lengths."""
    content = el(0x00080100, "SH", b"AB")
    for _ in range(200):
        content = el(0x0040A730, "SQ", item(content))
    return with_part(0x0040A730, content)


@case()
def nested_un() -> bytes:
    """UN in UN in UN, of undefined length, implicit inside."""
    head = implicit(0x0040A730, b"", UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    start = el(0x0040A730, "UN", b"", UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
    return with_part(0x0040A730, start + head * 500 + (ITEM_END + SEQUENCE_END) * 501)


# --- lengths ------------------------------------------------------------------------------------------------


@case()
def value_longer_than_file() -> bytes:
    """A text of 4 GiB less two."""
    return (
        meta()
        + joined({t: d for t, d in parts().items() if t < 0x00100010})
        + el(0x00100010, "UT", b"Quoll", 0xFFFFFFFE)
    )


@case()
def short_value_longer_than_file() -> bytes:
    """The last short value lacks its end."""
    return meta() + joined({t: d for t, d in parts().items() if t < 0x00280103}) + el(0x00280103, "US", b"\0", 2)


@case()
def truncated_in_tag() -> bytes:
    """Three bytes of a further tag."""
    return small_file() + b"\xfc\xff\xfc"


@case()
def truncated_in_length() -> bytes:
    """The header of pixel data, without its length."""
    return meta() + joined({t: d for t, d in parts().items() if t < 0x7FE00010}) + b"\xe0\x7f\x10\x00OW\0\0\x20"


@case()
def truncated_pixels() -> bytes:
    """Half of the pixel data; several readers see a good file."""
    return small_file()[:-16]


@case()
def pixels_too_short_by_header() -> bytes:
    """Pixel data shorter than rows, columns and bits ask for, with a length that fits."""
    return with_part(0x7FE00010, el(0x7FE00010, "OW", bytes(10)))


@case()
def item_longer_than_sequence() -> bytes:
    """An item that reaches beyond its sequence."""
    return with_part(0x00081140, el(0x00081140, "SQ", item(el(0x00081155, "UI", uid("1.2.3.9")), 4000)))


@case()
def element_longer_than_item() -> bytes:
    """An element that reaches beyond its item."""
    return with_part(0x00081140, el(0x00081140, "SQ", item(el(0x00081155, "UI", uid("1.2.3.9"), 200))))


@case()
def sequence_longer_than_file() -> bytes:
    """A sequence that reaches beyond the end."""
    return with_part(0x00081140, el(0x00081140, "SQ", item(el(0x00081155, "UI", uid("1.2.3.9"))), 1 << 30))


@case()
def item_delimiter_missing() -> bytes:
    """An item of undefined length that is never closed."""
    return with_part(
        0x00081140,
        el(0x00081140, "SQ", item(el(0x00081155, "UI", uid("1.2.3.9")), UNDEFINED) + SEQUENCE_END, UNDEFINED),
    )


@case()
def sequence_delimiter_missing() -> bytes:
    """A sequence of undefined length that is never closed."""
    return with_part(0x00081140, el(0x00081140, "SQ", item(el(0x00081155, "UI", uid("1.2.3.9"))), UNDEFINED))


@case()
def delimiter_out_of_place() -> bytes:
    """A sequence delimiter where no sequence is."""
    return with_part(0x00081140, SEQUENCE_END)


@case()
def delimiter_with_length() -> bytes:
    """An item delimiter that claims a value."""
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0x7FFFFFF0)
    return with_part(
        0x00081140,
        el(0x00081140, "SQ", item(el(0x00081155, "UI", uid("1.2.3.9")), UNDEFINED) + end + SEQUENCE_END, UNDEFINED),
    )


@case()
def junk_in_sequence() -> bytes:
    """Bytes that are no item."""
    return with_part(0x00081140, el(0x00081140, "SQ", b"no item here, only text.."[:24]))


@case()
def undefined_length_text() -> bytes:
    """Undefined length for a VR that cannot have it."""
    return with_part(0x00104000, el(0x00104000, "UT", b"text without end", UNDEFINED))


@case(may_pass=True)
def odd_length() -> bytes:
    """A value of odd length: wrong, and frequent."""
    return with_part(0x00104000, el(0x00104000, "LT", b"odd"))


@case(may_pass=True)
def length_not_of_vr() -> bytes:
    """Three bytes for a number of two."""
    return with_part(0x00280106, el(0x00280106, "US", b"\1\2\3"))


# --- order, VR, meta ----------------------------------------------------------------------------------------


@case()
def duplicate_tag() -> bytes:
    """Two Patient IDs: tools disagree which one counts."""
    made = parts()
    made[0x00100020] += el(0x00100020, "LO", b"88005678")
    return meta() + joined(made)


@case()
def wrong_order() -> bytes:
    """A name behind the pixel data, out of order."""
    made = parts()
    name = made.pop(0x00100010)
    return meta() + joined(made) + name


@case()
def bogus_vr() -> bytes:
    """A VR that does not exist."""
    return with_part(0x00104000, b"\x10\x00\x00\x40ZZ\4\0text")


@case()
def bogus_vr_unprintable() -> bytes:
    """A VR of control bytes with a huge length behind it."""
    return with_part(0x00104000, b"\x10\x00\x00\x40\1\2\xff\xfftext")


@case(may_pass=True)
def date_as_name() -> bytes:
    """A standard attribute with a VR that is another's."""
    return with_part(0x00080020, el(0x00080020, "PN", b"20240102"))


@case()
def charset_as_number() -> bytes:
    """Specific Character Set with the VR of a number: libraries raise on it."""
    return with_part(0x00080005, el(0x00080005, "US", b"ISO_IR 100"))


@case()
def no_pixels() -> bytes:
    """Cut exactly in front of the pixel data: well-formed, and not an image."""
    return meta() + joined({tag: data for tag, data in parts().items() if tag < 0x7FE00010})


@case(may_pass=True)
def meta_length_too_long() -> bytes:
    """The meta group claims to reach into the data set."""
    return meta(group_length=4000) + joined(parts())


@case(may_pass=True)
def meta_length_too_short() -> bytes:
    """The meta group claims to end inside itself."""
    return meta(group_length=8) + joined(parts())


@case()
def meta_only() -> bytes:
    """Nothing behind the meta information."""
    return meta()


@case()
def unknown_syntax() -> bytes:
    """A transfer syntax that nobody knows."""
    return meta("1.2.3.4.5.6.7") + joined(parts())


@case()
def syntax_lies() -> bytes:
    """Named big endian, written little."""
    return meta(BIG) + joined(parts())


@case()
def syntax_without_value() -> bytes:
    """An empty transfer syntax and bytes that could be anything."""
    return meta("") + b"\x7f" * 400


@case()
def preamble_executable() -> bytes:
    """CVE-2019-11687: a program in the preamble, and no identity in the data set."""
    made = {tag: data for tag, data in parts().items() if tag not in {0x00080018, 0x0020000D}}
    return b"MZ" + meta()[2:] + joined(made)


@case()
def no_identity() -> bytes:
    """SOP Instance UID that is no UID."""
    return with_part(0x00080018, el(0x00080018, "UI", b"../../../etc/pwd"))


@case()
def elements_without_end() -> bytes:
    """A quarter of a million empty private elements."""
    body = b"".join(
        el(group << 16 | low, "LO", b"")
        for group in (0x0029, 0x002B, 0x002D, 0x002F, 0x0031)
        for low in range(0x1000, 0xF000)
    )
    made = joined({t: d for t, d in parts().items() if t <= 0x00280103})
    return meta() + made + body


@case()
def million_items() -> bytes:
    """A sequence of half a million empty items."""
    return with_part(0x00081140, el(0x00081140, "SQ", item(b"") * 500_000))


@case(may_pass=True)
def many_values() -> bytes:
    """A text of twenty thousand values."""
    return with_part(0x00101000, el(0x00101000, "LO", b"AB\\" * 20_000 + b"CD"))


@case()
def unknown_charset() -> bytes:
    """A character set that does not exist, and a name in it."""
    return with_part(0x00080005, el(0x00080005, "CS", even("ISO_IR 999")))
