"""The beginning of a file: preamble, file meta information, and how the data set behind them is written (PS3.10 §7.1)."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.key_table import LONG_VRS, SHORT_VRS, Encoding
from tarnhelm.common.errors import TarnhelmError

__all__ = ["DEFLATED", "EXPLICIT_BIG", "EXPLICIT_LITTLE", "IMPLICIT_LITTLE", "JPIP_DEFLATED", "FileStart", "read_start"]

EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
JPIP_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

_UNDEFINED: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class FileStart:
    """Where the data set of a file begins and how it is written.

    Attributes
    ----------
    dataset
        Byte position of the first element of the data set.
    syntax
        Transfer Syntax UID; of a file without meta information the one that the bytes show.
    encoding
        Encoding of the data set (after inflating, where ``deflated``).
    meta
        Elements of group 0002 by tag → (start, end) of the value; empty where there is none.
    preamble
        The file has the 128 bytes and ``DICM``.
    """

    dataset: int
    syntax: str
    encoding: Encoding
    deflated: bool
    meta: dict[int, tuple[int, int]]
    preamble: bool


def read_start(buffer: bytes | mmap.mmap, known_syntaxes: frozenset[str]) -> FileStart:
    """Read the preamble and the file meta information (PS3.10 §7.1).

    Files without preamble, without ``DICM`` or without meta information are common in old archives; they are
    read where the first element says clearly what it is.

    Raises
    ------
    TarnhelmError
        ``DCM-001`` not DICOM, ``DCM-002`` a DICOMDIR, ``DCM-008`` unknown syntax, ``DCM-009`` damaged meta.
    """
    if len(buffer) < 8:
        raise TarnhelmError(errors.NOT_DICOM)
    preamble = buffer[128:132] == b"DICM"
    start = 132 if preamble else (4 if buffer[:4] == b"DICM" else 0)
    meta, pos = _read_meta(buffer, start)
    if not meta:
        if preamble and buffer[start : start + 2] == b"\x02\x00":
            raise TarnhelmError(errors.BAD_META)
        return _guess(buffer, start, preamble=preamble)
    raw = meta.get(0x00020010)
    if raw is None:
        return _guess(buffer, pos, preamble=preamble, meta=meta)
    syntax = buffer[raw[0] : raw[1]].rstrip(b"\0 ").decode("ascii", "replace")
    sop_class = meta.get(0x00020002)
    if sop_class and buffer[sop_class[0] : sop_class[1]].rstrip(b"\0 ") == b"1.2.840.10008.1.3.10":
        raise TarnhelmError(errors.DICOMDIR)
    if syntax not in known_syntaxes:
        raise TarnhelmError(errors.UNKNOWN_SYNTAX)
    encoding = Encoding.EXPLICIT_LITTLE
    if syntax == IMPLICIT_LITTLE:
        encoding = Encoding.IMPLICIT_LITTLE
    elif syntax == EXPLICIT_BIG:
        encoding = Encoding.EXPLICIT_BIG
    deflated = syntax == DEFLATED or syntax in JPIP_DEFLATED
    return FileStart(pos, syntax, encoding, deflated, meta, preamble)


def _read_meta(buffer: bytes | mmap.mmap, pos: int) -> tuple[dict[int, tuple[int, int]], int]:
    """Elements of group 0002, which are always Explicit VR Little Endian."""
    meta: dict[int, tuple[int, int]] = {}
    total = len(buffer)
    last = -1
    while True:
        head = buffer[pos : pos + 8]
        if head[:2] != b"\x02\x00":
            return meta, pos
        if len(head) < 8:
            raise TarnhelmError(errors.BAD_META)
        tag = 0x00020000 | head[2] | head[3] << 8
        vr = head[4:6]
        if vr in SHORT_VRS:
            value = pos + 8
            length = head[6] | head[7] << 8
        elif vr in LONG_VRS:
            value = pos + 12
            length = int.from_bytes(buffer[pos + 8 : value], "little")
        else:
            raise TarnhelmError(errors.BAD_META)
        stop = value + length
        if tag <= last or length == _UNDEFINED or stop > total or len(meta) > 64:
            raise TarnhelmError(errors.BAD_META)
        last = tag
        meta[tag] = (value, stop)
        pos = stop


def _guess(
    buffer: bytes | mmap.mmap, pos: int, *, preamble: bool, meta: dict[int, tuple[int, int]] | None = None
) -> FileStart:
    """Find out how a data set without a named syntax is written: by its first element, group 0008 as a rule."""
    head = bytes(buffer[pos : pos + 8])
    if len(head) < 8:
        raise TarnhelmError(errors.NOT_DICOM if not preamble else errors.BAD_META)
    vr = head[4:6]
    explicit = vr in SHORT_VRS or vr in LONG_VRS or vr == b"SQ"
    little = int.from_bytes(head[:2], "little")
    big = int.from_bytes(head[:2], "big")
    plausible = {0x0008, 0x0004, 0x0010} if not preamble else set(range(0x0004, 0x0040, 2))
    if little in plausible and explicit:
        encoding, syntax = Encoding.EXPLICIT_LITTLE, EXPLICIT_LITTLE
    elif big in plausible and explicit:
        encoding, syntax = Encoding.EXPLICIT_BIG, EXPLICIT_BIG
    elif little in plausible and int.from_bytes(head[4:8], "little") <= len(buffer) - pos - 8:
        encoding, syntax = Encoding.IMPLICIT_LITTLE, IMPLICIT_LITTLE
    else:
        raise TarnhelmError(errors.NOT_DICOM if not preamble else errors.BAD_META)
    if little == 0x0004 and not preamble:
        raise TarnhelmError(errors.DICOMDIR)
    return FileStart(pos, syntax, encoding, deflated=False, meta=meta or {}, preamble=preamble)
