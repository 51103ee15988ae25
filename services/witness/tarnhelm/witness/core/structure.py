"""The form of the result: file meta, identity, markers, private attributes, and what no search can read.

The walk has already proved that every byte belongs to an element, that lengths fit and that tags ascend.
"""

from __future__ import annotations

import struct
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.charsets import is_known
from tarnhelm.witness.core.elements import TEXT_VRS
from tarnhelm.witness.core.finding import IDENTIFIER, STRUCTURE, UNDECIDED, Finding, position_of
from tarnhelm.witness.core.harvest import charset_of, is_placeholder
from tarnhelm.witness.core.parsed import Element, Parsed
from tarnhelm.witness.core.text import fold
from tarnhelm.witness.core.walk import PLAIN_SYNTAXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.witness.core.policy import Policy

__all__ = ["check_structure"]

_META: Final = frozenset({0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013})
_META_WANTED: Final = (0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012)
_IDENTITY: Final = ((0x00100010, "name"), (0x00100020, "id"))
_REMOVED, _METHOD, _METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
_PADDING: Final = 0xFFFCFFFC
_DOCUMENT: Final = 0x00420011
_WATCHED: Final = frozenset({0x50, 0x60, 0xFF})


def check_structure(source: Parsed, result: Parsed, policy: Policy) -> Iterator[Finding]:
    """Yield what is wrong with the form of the result."""
    if any(result.buf[:128]):
        yield Finding(STRUCTURE, "preamble", "preamble")
    yield from _meta(source, result, policy)
    yield from _identity(source, result, policy)
    yield from _markers(result)
    private = False
    odd = [
        e for e in result.elements if e[0] & 0x10000 or not e[0] & 0xFFFF or e[0] >> 24 in _WATCHED or e[0] == _DOCUMENT
    ]
    for tag, _, start, length, container in odd:
        if tag & 0x10000:
            private = True
        elif not tag & 0xFFFF and container != 1:
            if length != 4 or container or not _group_length_fits(result, tag, start):
                yield Finding(STRUCTURE, f"{tag:08X}", "group-length")
        elif tag & 0xFF000000 in {0x50000000, 0x60000000}:
            yield from _plane(result, policy, tag, container)
        elif tag == _PADDING:
            if any(result.buf[start : start + length]):
                yield Finding(STRUCTURE, f"{tag:08X}", "padding")
        elif tag == _DOCUMENT and length:
            yield Finding(UNDECIDED, f"{tag:08X}", "document")
    if private:
        yield from _private(result, policy, odd)
    yield from _charsets(result)


def _meta(source: Parsed, result: Parsed, policy: Policy) -> Iterator[Finding]:
    rows = list(takewhile(lambda e: e[4] == 1, result.elements))
    found = {e[0]: bytes(result.buf[e[2] : e[2] + e[3]]) for e in rows}
    for tag in found.keys() - _META:
        if not policy.keep.classes((tag,), ""):
            yield Finding(STRUCTURE, f"{tag:08X}", "meta")
    for tag in _META_WANTED:
        if not found.get(tag):
            yield Finding(STRUCTURE, f"{tag:08X}", "meta-missing")
    if found.get(0x00020001, b"\0\1") != b"\0\1":
        yield Finding(STRUCTURE, "00020001", "meta")
    head = next((e for e in rows if e[0] == 0x00020000), None)
    if head is not None:
        length = struct.unpack_from("<I", result.buf, head[2])[0] if head[3] == 4 else -1
        if head[2] + head[3] + length != result.data_start:
            yield Finding(STRUCTURE, "00020000", "group-length")
    # A source without meta information is written in the syntax that its bytes show.
    wanted = {source.syntax} if source.syntax else PLAIN_SYNTAXES
    if result.syntax not in wanted:
        yield Finding(STRUCTURE, "00020010", "syntax")
    for meta, tag in ((0x00020002, 0x00080016), (0x00020003, 0x00080018)):
        value = result.value(tag)
        if not value or _uid(value) != _uid(found.get(meta, b"")):
            yield Finding(STRUCTURE, f"{meta:08X}", "meta-differs")
    if _uid(source.value(0x00080016) or b"") != _uid(result.value(0x00080016) or b""):
        yield Finding(STRUCTURE, "00080016", "class")


def _uid(value: bytes) -> bytes:
    return value.rstrip(b"\0 ")


def _identity(source: Parsed, result: Parsed, policy: Policy) -> Iterator[Finding]:
    """Patient's Name and ID: where a surrogate was promised it must stand, and it must be another one."""
    for tag, kind in _IDENTITY:
        before, after = source.value(tag), result.value(tag)
        if after is None:
            if before is not None and policy.surrogate.classes((tag,), ""):
                yield Finding(STRUCTURE, f"{tag:08X}", "identity-missing")
            continue
        old = fold((before or b"").decode("latin-1")).strip(" \0")
        new = fold(after.decode("latin-1")).strip(" \0")
        long = len(new) >= 5 or (kind == "name" and "^" in new)
        if (
            new
            and new == old
            and long
            and not is_placeholder(new)
            and not policy.keep.classes((tag,), "") & {kind, "*"}
        ):
            yield Finding(IDENTIFIER, f"{tag:08X}", kind)


def _markers(result: Parsed) -> Iterator[Finding]:
    removed = (result.value(_REMOVED) or b"").strip(b" \0")
    if removed not in {b"YES", b"NO"}:
        yield Finding(STRUCTURE, f"{_REMOVED:08X}", "marker")
    elif removed == b"YES" and not result.value(_METHOD) and _METHOD_CODES not in result.top:
        yield Finding(STRUCTURE, f"{_METHOD:08X}", "marker")


def _group_length_fits(result: Parsed, tag: int, start: int) -> bool:
    """Tell whether a group length is right: four bytes that nobody reads are four bytes to hide something in."""
    (length,) = struct.unpack_from("<I" if result.little else ">I", result.buf, start)
    group = tag >> 16
    later = [t for t in result.top if t >> 16 > group]
    if not later:
        return bool(start + 4 + length == result.end)
    following = result.top[min(later)]
    head = (
        12
        if result.explicit and following[2] >= 12 and following[1] in {b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"}
        else 8
    )
    return bool(start + 4 + length == following[2] - head)


def _plane(result: Parsed, policy: Policy, tag: int, container: int) -> Iterator[Finding]:
    """Overlay planes and curves are pictures that no search reads: they stay only where the policy names them."""
    path = (*result.containers[container].path, tag)
    if (tag & 0xFFFF) == 0x3000 and not policy.keep.classes(path, ""):
        yield Finding(STRUCTURE, position_of(path[:-1], tag), "plane")


def _private(result: Parsed, policy: Policy, odd: list[Element]) -> Iterator[Finding]:
    """Only private attributes of the policy's list may stand in the result, each under its own creator."""
    buf = result.buf
    creators: dict[tuple[int, int, int], str] = {}
    unnamed: dict[tuple[int, int, int], Finding] = {}
    for tag, _, start, length, container in odd:
        if not tag & 0x10000:
            continue
        group, element = tag >> 16, tag & 0xFFFF
        path = result.containers[container].path
        if 0x10 <= element <= 0xFF:
            creator = bytes(buf[start : start + length]).decode("latin-1").strip(" \0")
            creators[container, group, element] = creator
            if not any(creator == known and group == number for number, known, _ in policy.private_keep) and not any(
                positions.names_creator(group, creator) for positions in (policy.keep, policy.surrogate)
            ):
                unnamed[container, group, element] = Finding(STRUCTURE, position_of(path, tag), "private-creator")
            continue
        creator = creators.get((container, group, element >> 8), "")
        if not creator or element < 0x1000:
            yield Finding(STRUCTURE, position_of(path, tag), "private")
            continue
        key = group, creator, element & 0xFF
        admitted = policy.keep.classes((*path, tag), creator) or policy.surrogate.classes((*path, tag), creator)
        if admitted:
            # Kept by its number: then the creator of its block stays with it, whatever its name.
            unnamed.pop((container, group, element >> 8), None)
        elif key not in policy.private_keep:
            yield Finding(STRUCTURE, position_of(path, tag), "private")
    yield from unnamed.values()


def _charsets(result: Parsed) -> Iterator[Finding]:
    unknown = {container for container, declared in charset_of(result).items() if not is_known(declared)}
    if not unknown:
        return
    buf = result.buf
    if any(e[1] in TEXT_VRS and not bytes(buf[e[2] : e[2] + e[3]]).isascii() for e in result.elements):
        yield Finding(UNDECIDED, "00080005", "charset")
