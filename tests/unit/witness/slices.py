"""A series of slices, cheap enough for thousands: what differs from slice to slice is what differs in real ones."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from pairs import CREATOR, CT_CLASS, Person, Surrogate, shifted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Rows", "file_of", "person", "run_length_coded", "sequence", "slice_pair"]

Rows = dict[int, tuple[str, bytes]]
_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def _row(tag: int, vr: str, value: bytes, *, undefined: bool = False) -> bytes:
    value += (b"\0" if vr in {"UI", "OB", "UN"} else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = 0xFFFFFFFF if undefined else len(value)
    return head + (struct.pack("<HI", 0, length) if vr in _LONG else struct.pack("<H", length)) + value


def sequence(rows: Rows, *, undefined: bool) -> bytes:
    """The value of a sequence of one item, its lengths written down or left open."""
    body = b"".join(_row(tag, vr, value) for tag, (vr, value) in sorted(rows.items()))
    if undefined:
        return (
            b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + body + b"\xfe\xff\x0d\xe0" + bytes(4) + b"\xfe\xff\xdd\xe0" + bytes(4)
        )
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(body)) + body


def file_of(rows: Rows) -> bytes:
    """A Part 10 file in explicit little endian; what ends in a delimiter of sequences is of undefined length."""
    meta = (
        _row(0x00020001, "OB", b"\0\1") + _row(0x00020002, "UI", CT_CLASS.encode()) + _row(0x00020003, "UI", rows[0x00080018][1])
        + _row(0x00020010, *rows.get(0x00020010, ("UI", b"1.2.840.10008.1.2.1"))) + _row(0x00020012, "UI", b"2.25.302610263426473645")
    )  # fmt: skip
    body = b"".join(
        _row(tag, vr, value, undefined=vr in {"SQ", "OB"} and value.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0"))
        for tag, (vr, value) in sorted(rows.items())
        if tag >> 16 != 2
    )
    return b"\0" * 128 + b"DICM" + _row(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body


def run_length_coded(frame: bytes) -> Rows:
    """Pixel data of 4 by 4 pixels of 16 bits in RLE (PS3.5 annex G), and their transfer syntax."""
    planes = [b"\x0f" + frame[byte::2] + b"\0" for byte in (1, 0)]
    coded = struct.pack("<16I", 2, 64, 64 + len(planes[0]), *[0] * 13) + b"".join(planes)
    items = b"\xfe\xff\x00\xe0" + bytes(4) + b"\xfe\xff\x00\xe0" + struct.pack("<I", len(coded)) + coded
    return {
        0x00020010: ("UI", b"1.2.840.10008.1.2.5"),
        0x7FE00010: ("OB", items + b"\xfe\xff\xdd\xe0" + bytes(4)),
    }


def person(number: int) -> Person:
    """Somebody else for each number."""
    letters = "".join("bdfgklmnprst"[number // 12**place % 12] + "aeiou"[number // 5**place % 5] for place in range(5))
    return replace(
        Person(),
        name=f"{letters.title()}^Jadwiga",
        number=f"MRN-{4400000 + number}",
        birth=f"19{30 + number % 60}{1 + number % 12:02}{2 + number % 27:02}",
        accession=f"ACC{8800000 + number}",
        study_id=f"ST{90000 + number}",
        root=f"1.3.12.2.1107.5.1.4.{70000 + number}",
    )


def slice_pair(
    number: int,
    who: Person | None = None,
    spoil: Callable[[Rows], None] | None = None,
    spoil_source: Callable[[Rows], None] | None = None,
    surrogate: Surrogate | None = None,
) -> tuple[bytes, bytes]:
    """Source and clean result of a slice; ``spoil`` changes the result, ``spoil_source`` the source alone."""
    who, other = who or Person(), surrogate or Surrogate()
    stem = f"{who.root}.30000024998877"
    common: Rows = {
        0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\AXIAL"),
        0x00080016: ("UI", CT_CLASS.encode()),
        0x00080030: ("TM", b"101112.345"),
        0x00080033: ("TM", f"1011{number % 60:02}.{number % 997:03}".encode()),
        0x00080060: ("CS", b"CT"),
        0x00080070: ("LO", b"Philips"),
        0x0008103E: ("LO", b"AXIAL 5.0 MM LUNG"),
        0x00180050: ("DS", b"5.0"),
        0x00181151: ("IS", str(200 + number % 13).encode()),
        0x00191000 + 0x0A: ("LO", f"SLICE {number}".encode()),
        0x00190010: ("LO", CREATOR.encode()),
        0x00200013: ("IS", str(number).encode()),
        0x00200032: ("DS", f"-175.2\\-180.0\\{number}.5".encode()),
        0x00204000: ("LT", f"image {number} of the series".encode()),
        0x00280002: ("US", b"\1\0"), 0x00280004: ("CS", b"MONOCHROME2"), 0x00280010: ("US", b"\4\0"),
        0x00280011: ("US", b"\4\0"), 0x00280100: ("US", b"\x10\0"), 0x00280101: ("US", b"\x0c\0"),
        0x00280102: ("US", b"\x0b\0"), 0x00280103: ("US", b"\0\0"), 0x00280107: ("US", struct.pack("<H", number % 4096)),
        0x7FE00010: ("OW", struct.pack("<16H", *((number * 7 + n) % 4096 for n in range(16)))),
    }  # fmt: skip

    def references(study: str, instance: str) -> Rows:
        item: Rows = {0x00081150: ("UI", CT_CLASS.encode()), 0x00081155: ("UI", instance.encode())}
        closed = {0x00081155: ("UI", instance.encode()), 0x00081150: ("UI", CT_CLASS.encode())}
        return {
            0x0020000D: ("UI", study.encode()),
            0x00081140: ("SQ", sequence(item, undefined=True)),
            0x00082112: ("SQ", sequence(closed, undefined=False)),
        }

    source = common | references(f"{stem}.2", f"{stem}.1.{number - 1}") | {
        0x00080018: ("UI", f"{stem}.1.{number}".encode()),
        0x00080020: ("DA", who.study_date.encode()),
        0x0008002A: ("DT", f"{who.study_date}1011{number % 60:02}".encode()),
        0x00080050: ("SH", who.accession.encode()),
        0x00080080: ("LO", who.institution.encode()),
        0x00080090: ("PN", who.referring.encode()),
        0x00081010: ("SH", who.station.encode()),
        0x00081070: ("PN", who.operator.encode()),
        0x00100010: ("PN", who.name.encode()),
        0x00100020: ("LO", who.number.encode()),
        0x00100030: ("DA", who.birth.encode()),
        0x00181000: ("LO", who.serial.encode()),
        0x0020000E: ("UI", f"{stem}.3".encode()),
        0x00200010: ("SH", who.study_id.encode()),
        0x00291010: ("OB", b"SV10" + who.name.encode() + bytes([number % 251])),
        0x00290010: ("LO", b"SIEMENS CSA HEADER"),
    }  # fmt: skip
    result = common | references(f"2.25.{9 * 10**37 + 2}", f"2.25.{9 * 10**37 + 1000 + number}") | {
        0x00080018: ("UI", f"2.25.{9 * 10**37 + 1001 + number}".encode()),
        0x00080020: ("DA", shifted(who.study_date, other.days).encode()),
        0x0008002A: ("DT", f"{shifted(who.study_date, other.days)}1011{number % 60:02}".encode()),
        0x00080050: ("SH", other.accession.encode()),
        0x00080090: ("PN", b"Gagnon^Luc"),
        0x00100010: ("PN", other.name.encode()),
        0x00100020: ("LO", other.number.encode()),
        0x00100030: ("DA", who.birth[:4].encode() + b"0101"),
        0x00120062: ("CS", b"YES"),
        0x00120063: ("LO", b"Tarnhelm 1: basicProfile"),
        0x0020000E: ("UI", f"2.25.{9 * 10**37 + 3}".encode()),
        0x00200010: ("SH", other.study_id.encode()),
    }  # fmt: skip
    if spoil_source:
        spoil_source(source)
    if spoil:
        spoil(result)
    return file_of(source), file_of(result)
