"""A byte writer for DICOM, free to write what a library would refuse.

It knows nothing of attributes: an element is a tag, a VR and a value, and the writer turns a tree of
them into bytes in the form asked for (PS3.5 §7): implicit or explicit, little or big endian, with
sequences of defined or undefined length, group lengths, elements hidden as UN.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pydicom.charset import convert_encodings, encode_string
from pydicom.valuerep import PersonName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["SYNTAXES", "El", "Form", "Fragments", "dataset_bytes", "file_bytes"]

LONG_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
NUMBERS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "FL": "f",
    "FD": "d",
    "UV": "Q",
    "SV": "q",
    "OF": "f",
    "OD": "d",
    "OL": "I",
}
CHARSET_VRS: Final = frozenset({"SH", "LO", "ST", "LT", "UC", "UT"})
UNDEFINED: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Fragments:
    """Encapsulated pixel data: one or more frames, each cut into ``pieces`` fragments (PS3.5 §A.4)."""

    frames: tuple[bytes, ...]
    pieces: int = 1
    with_table: bool = True

    def cut(self) -> list[list[bytes]]:
        """Fragments of each frame, all of even length."""
        frames = []
        for frame in self.frames:
            data = frame + b"\0" * (len(frame) % 2)
            step = max(2, (len(data) // self.pieces + 1) // 2 * 2)
            frames.append([data[at : at + step] for at in range(0, len(data), step)] or [b""])
        return frames


Value = "bytes | str | tuple[float, ...] | tuple[int, ...] | list[list[El]] | Fragments"


@dataclass(slots=True)
class El:
    """One data element; ``un`` writes it with VR UN, ``undefined`` without a length."""

    tag: int
    vr: str
    value: bytes | str | tuple[float, ...] | list[list[El]] | Fragments
    un: bool = False
    undefined: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """How a data set is written."""

    explicit: bool = True
    little: bool = True
    deflated: bool = False
    charsets: tuple[str, ...] = ()
    group_lengths: bool = False
    encodings: list[str] = field(default_factory=lambda: ["iso8859"])

    @classmethod
    def of(cls, syntax: str, charset: str = "", *, group_lengths: bool = False) -> Form:
        """The form that the transfer syntax asks for; every encapsulated one is explicit little endian."""
        names = charset.split("\\") if charset else [""]
        return cls(
            explicit=syntax != "1.2.840.10008.1.2",
            little=syntax != "1.2.840.10008.1.2.2",
            deflated=syntax == "1.2.840.10008.1.2.1.99",
            charsets=tuple(names),
            group_lengths=group_lengths,
            encodings=list(convert_encodings(names)),
        )


SYNTAXES: Final = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big": "1.2.840.10008.1.2.2",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "jpeg-extended": "1.2.840.10008.1.2.4.51",
    "jpeg-lossless": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-ls-near": "1.2.840.10008.1.2.4.81",
    "j2k-lossless": "1.2.840.10008.1.2.4.90",
    "j2k": "1.2.840.10008.1.2.4.91",
    "mpeg2": "1.2.840.10008.1.2.4.100",
    "mpeg4": "1.2.840.10008.1.2.4.102",
    "htj2k-lossless": "1.2.840.10008.1.2.4.201",
    "htj2k": "1.2.840.10008.1.2.4.203",
}


def text_bytes(vr: str, text: str, encodings: Sequence[str]) -> bytes:
    """Text in the data set's character sets; a person name switches at each delimiter (PS3.5 §6.1.2.5.3)."""
    if vr == "PN":
        return b"\\".join(bytes(PersonName(part, list(encodings)).encode(list(encodings))) for part in text.split("\\"))
    if vr in CHARSET_VRS:
        return bytes(encode_string(text, list(encodings)))
    return text.encode("latin-1")


def raw_value(el: El, form: Form) -> bytes:
    """The value field of an element that is neither a sequence nor encapsulated."""
    order = "<" if form.little else ">"
    value = el.value
    if isinstance(value, bytes):
        value += b"\0" * (len(value) % 2)
        if not form.little and el.vr == "OW":
            swapped = bytearray(value)
            swapped[0::2], swapped[1::2] = value[1::2], value[0::2]
            return bytes(swapped)
        return value
    if isinstance(value, str):
        data = text_bytes(el.vr, value, form.encodings)
        return data + (b"\0" if el.vr == "UI" else b" ") * (len(data) % 2)
    if el.vr == "AT":
        return b"".join(struct.pack(order + "HH", int(tag) >> 16, int(tag) & 0xFFFF) for tag in value)
    return struct.pack(f"{order}{len(value)}{NUMBERS[el.vr]}", *value)


def item_bytes(items: list[list[El]], form: Form, *, undefined: bool) -> bytes:
    """Items of a sequence, each with a length of its own or with delimiters (PS3.5 §7.5)."""
    order = "<" if form.little else ">"
    inner = replace(form, group_lengths=False)
    out = []
    for item in items:
        data = dataset_bytes(item, inner)
        if undefined:
            out.append(
                struct.pack(order + "HHI", 0xFFFE, 0xE000, UNDEFINED)
                + data
                + struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0)
            )
        else:
            out.append(struct.pack(order + "HHI", 0xFFFE, 0xE000, len(data)) + data)
    if undefined:
        out.append(struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0))
    return b"".join(out)


def fragment_bytes(fragments: Fragments) -> bytes:
    """Offset table, fragments and delimiter of encapsulated pixel data."""
    frames = fragments.cut()
    table = b""
    if fragments.with_table:
        at, offsets = 0, []
        for frame in frames:
            offsets.append(at)
            at += sum(8 + len(piece) for piece in frame)
        table = struct.pack(f"<{len(offsets)}I", *offsets)
    pieces = [table, *(piece for frame in frames for piece in frame)]
    body = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(piece)) + piece for piece in pieces)
    return body + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def header(el: El, vr: str, length: int, form: Form) -> bytes:
    """Tag, VR and length."""
    order = "<" if form.little else ">"
    tag = struct.pack(order + "HH", el.tag >> 16, el.tag & 0xFFFF)
    if not form.explicit:
        return tag + struct.pack(order + "I", length)
    if vr in LONG_VRS:
        return tag + vr.encode() + b"\0\0" + struct.pack(order + "I", length)
    return tag + vr.encode() + struct.pack(order + "H", length)


def element_bytes(el: El, form: Form) -> bytes:
    """One element."""
    if isinstance(el.value, Fragments):
        return header(el, "OB", UNDEFINED, form) + fragment_bytes(el.value)
    inner = Form(explicit=False, encodings=form.encodings) if el.un else form  # UN holds implicit little endian
    # Readers disagree on UN of undefined length inside big endian (PS3.5 §6.2.2 note): a defined length there.
    undefined = el.undefined and (form.little or not el.un)
    data = item_bytes(el.value, inner, undefined=undefined) if isinstance(el.value, list) else raw_value(el, inner)
    return header(el, "UN" if el.un else el.vr, UNDEFINED if undefined else len(data), form) + data


def grouped(elements: Iterable[El], form: Form) -> Iterator[bytes]:
    """Elements with a group length in front of each group (PS3.5 §7.2, retired but alive)."""
    order = "<" if form.little else ">"
    groups: dict[int, list[bytes]] = {}
    for el in elements:
        groups.setdefault(el.tag >> 16, []).append(element_bytes(el, form))
    for group, parts in groups.items():
        data = b"".join(parts)
        yield header(El(group << 16, "UL", b""), "UL", 4, form) + struct.pack(order + "I", len(data)) + data


def dataset_bytes(elements: Iterable[El], form: Form) -> bytes:
    """A data set in the order of its tags."""
    ordered = sorted(elements, key=lambda el: el.tag)
    if form.group_lengths:
        return b"".join(grouped(ordered, form))
    return b"".join([element_bytes(el, form) for el in ordered])


def file_bytes(
    meta: Iterable[El],
    elements: Iterable[El],
    form: Form,
    *,
    preamble: bytes | None = b"\0" * 128,
    with_meta: bool = True,
    tail: bytes = b"",
) -> bytes:
    """A whole file (PS3.10 §7.1): preamble, meta information with its length, data set, and whatever follows.

    ``preamble=None`` leaves out preamble and prefix, ``with_meta=False`` the meta information as well.
    """
    data = dataset_bytes(elements, form)
    if form.deflated:
        packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
        data += b"\0" * (len(data) % 2)
    if not with_meta:
        return data + tail
    plain = Form()
    body = b"".join(element_bytes(el, plain) for el in sorted(meta, key=lambda el: el.tag))
    body = element_bytes(El(0x00020000, "UL", (len(body),)), plain) + body
    head = b"" if preamble is None else preamble.ljust(128, b"\0")[:128] + b"DICM"
    return head + body + data + tail
