"""The search: identifiers of the source in all bytes of the result that are not pixels.

Two rules. *Same place*: an identifying attribute that holds the very value of the source was not replaced, and that is
no chance, however short the value. *Anywhere*: all other bytes, compacted, are swept for all needles at once; the few
places that remain are read as their element asks and judged by the table in docs/concepts/witness.md.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from tarnhelm.witness.core.charsets import decode
from tarnhelm.witness.core.elements import STANDARD_SCHEMES, is_standard_uid
from tarnhelm.witness.core.finding import IDENTIFIER, UID, Finding, position_of
from tarnhelm.witness.core.harvest import Harvest, Position, charset_of, declared_in, identifiers_of, is_placeholder
from tarnhelm.witness.core.identifiers import Id, Identifier, Name
from tarnhelm.witness.core.reading import Place, Reading, place_of
from tarnhelm.witness.core.text import compact, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tarnhelm.witness.core.needles import Needles
    from tarnhelm.witness.core.parsed import Parsed
    from tarnhelm.witness.core.policy import Policy

__all__ = ["UID_PREFIX", "Region", "Scan", "may_stay", "origins_of", "uid_prefixes"]

Region = tuple[str, bytes]
"""Name and bytes of a stretch that belongs to no element: a segment of a code stream."""

_CODE_TAGS: Final = frozenset({0x00080100, 0x00080103, 0x00080104, 0x00080105, 0x0008010F, 0x00080119, 0x00080120})
UID_PREFIX: Final = 12
_KEPT_BYTES: Final = np.array([bool(compact(bytes([byte]))) for byte in range(256)])
_SAME_SPACE: Final = 1e5
_ESCAPE: Final = b"\x1b"


class Scan:
    """One search of one result."""

    def __init__(
        self, source: Parsed, result: Parsed, harvests: tuple[Harvest, Harvest], policy: Policy, regions: list[Region]
    ) -> None:
        self.source = source
        self.result = result
        self.wanted, self.present = harvests
        self.policy = policy
        self.regions = regions
        _, start, length = result.pixel or (0, len(result.buf), 0)
        self._cut, self._gap = start, length
        buf = result.buf
        self.head = bytes(buf[:start]) + bytes(buf[start + length :])
        self._charsets = charset_of(result)
        self._readings: dict[int, Reading] = {}

    def findings(self, needles: Needles) -> Iterator[Finding]:
        """Yield all findings of both rules."""
        yield from self._same_place()
        swept = compact(self.head)
        if not self.policy.uids_kept:
            yield from self._uids(swept)
        asked: set[tuple[int, int]] = set()
        hits = needles.search(swept)
        if hits:
            origins = origins_of(self.head)
            for number, begin, length, literal in hits:
                first, last = int(origins[begin]), int(origins[begin + length - 1])
                for index in {self.element_at(first), self.element_at(last)}:
                    if (number, index) in asked:
                        continue
                    finding = self.judge(needles.identifiers[number], index, literal)
                    if finding is not None or not literal:
                        asked.add((number, index))  # else another encoding of the name may still be evidence
                    if finding is not None:
                        yield finding
        yield from self._decoded(needles, asked)
        yield from self._outside(needles)

    # --- the same value at the same place ------------------------------------------------------------------

    def _same_place(self) -> Iterator[Finding]:
        wanted = self.wanted.positions
        shared = wanted.keys() & self.present.positions.keys()
        if not shared:
            return
        raw_declared = charset_of(self.source).get(0, b"")
        for position in shared:
            path, tag, _ = position
            kind = wanted[position]
            if may_stay(self.policy, position, kind, self.creator_by_path(path, tag), raw_declared):
                continue
            if self._is_chance(position, kind, raw_declared):
                continue
            yield Finding(IDENTIFIER, position_of(path, tag), kind)

    def _is_chance(self, position: Position, kind: str, declared: bytes) -> bool:
        """At a position of surrogates, equality may be chance where few values are possible."""
        path, tag, raw = position
        if kind in {"date", "birth"} and raw[:8] == b"19000101":
            return True
        surrogates = self.policy.surrogate.classes((*path, tag), self.creator_by_path(path, tag))
        if kind == "date" and (surrogates or self.policy.dates == "shifted"):
            return not self._unshifted(path, tag)
        if not surrogates:
            return False
        if kind == "birth":
            return raw[4:8] == b"0101"
        form = {"name": "name", "id": "id"}.get(kind)
        if form is None:
            return kind == "place"
        found = [identifier for identifier, _ in identifiers_of((form, kind, True, raw, declared))]
        if form == "name":
            return not any(isinstance(one, Name) and len(one.parts) > 1 for one in found)
        return not any(isinstance(one, Id) and one.space >= _SAME_SPACE for one in found)

    def _unshifted(self, path: tuple[int, ...], tag: int) -> bool:
        """Compare a date attribute's values one by one: days of several items may equal each other's by chance."""
        before = [p[2] for p in _values_at(self.source, path, tag)]
        after = [p[2] for p in _values_at(self.result, path, tag)]
        if len(before) == len(after):
            return any(a == b for a, b in zip(before, after, strict=True))
        return set(after) <= set(before)

    # --- UIDs -----------------------------------------------------------------------------------------------

    def _uids(self, swept: bytes) -> Iterator[Finding]:
        wanted = self.wanted.uids
        for path, tag, raw in self.present.uid_positions:
            hit = [uid for uid in raw.split(b"\\") if uid.strip(b" \0") in wanted]
            if hit:
                admitted = self.policy.keep.classes((*path, tag), self.creator_by_path(path, tag))
                if not admitted & {"uid", "*"}:
                    yield Finding(UID, position_of(path, tag), "uid", len(hit))
        if not any(prefix in swept for prefix in uid_prefixes(wanted)):
            return
        origins = None
        for uid in wanted:
            core = uid.replace(b".", b"")
            begin = swept.find(core)
            while begin >= 0:
                if origins is None:
                    origins = origins_of(self.head)
                index = self.element_at(int(origins[begin]))
                finding = self._uid_in(uid, index)
                if finding is not None:
                    yield finding
                begin = swept.find(core, begin + 1)

    def _uid_in(self, uid: bytes, index: int) -> Finding | None:
        path, tag, vr, raw, _ = self._region(index)
        if vr == b"UI" and (
            is_standard_uid(raw.rstrip(b"\0 ")) or any(p.strip(b"\0 ") == uid for p in raw.split(b"\\"))
        ):
            return None  # judged as a whole above
        if not re.search(rb"(?<![0-9.])" + re.escape(uid) + rb"(?![0-9])", raw.replace(b"\0", b"")):
            return None
        admitted = self.policy.keep.classes((*path, tag), self._creator(index)) if tag else frozenset()
        return None if admitted & {"uid", "*"} else Finding(UID, self._name(index), "uid")

    # --- anywhere -------------------------------------------------------------------------------------------

    def judge(self, identifier: Identifier, index: int, literal: bytes) -> Finding | None:
        """Judge one proposal of the search: the element (-1: outside of all) as what it is, by the table."""
        path, tag, vr, raw, container = self._region(index)
        kind = identifier.identifier_class
        if kind == "date" and self.policy.dates == "kept":
            return None
        place = place_of(tag, vr, standard_code=self._standard_code(tag, container)) if tag else Place.OUTSIDE
        surrogate = changed = False
        if tag:
            creator = self._creator(index)
            admitted = self.policy.keep.classes((*path, tag), creator)
            if admitted and self._admits(admitted, kind, path, tag, raw):
                return None
            surrogate = bool(self.policy.surrogate.classes((*path, tag), creator))
            surrogate = surrogate or (place is Place.DATE and self.policy.dates == "shifted")
            if place is Place.DATE and kind == "birth" and self.policy.dates == "kept" and self._is_event(identifier):
                return None
            if place is Place.UID and self._uid_settled(raw, admitted):
                return None
            changed = raw not in self._source_values.get((path, tag), ())
        reading = self._readings.get(index)
        if reading is None:
            declared = declared_in(self.result, self._charsets, container)
            reading = self._readings[index] = Reading(raw, declared, place)
        if literal:
            stands = literal in compact(raw) and not surrogate and place not in {Place.NUMBER, Place.UID, Place.DATE}
            stands = stands or identifier.stands_in(reading, surrogate=surrogate, changed=changed)
        else:
            stands = identifier.stands_in(reading, surrogate=surrogate, changed=changed)
        return Finding(IDENTIFIER, self._name(index), kind) if stands else None

    def _admits(self, admitted: frozenset[str], kind: str, path: tuple[int, ...], tag: int, raw: bytes) -> bool:
        if "*" in admitted or kind in admitted or (kind == "birth" and "date" in admitted):
            return True
        # The whole value of the source stands here because the recipe keeps this attribute: what it holds besides
        # its own class (a patient's name inside his number) was kept with it.
        own = self.wanted.positions.get((path, tag, raw.rstrip(b"\0 ")))
        return own is not None and own != "text" and own in admitted

    def _is_event(self, identifier: Identifier) -> bool:
        """Tell whether a birth date is also the date of an event that the policy keeps (a newborn's study)."""
        day = getattr(identifier, "day", None)
        digits = f"{day[0]:04}{day[1]:02}{day[2]:02}".encode() if day else b"-"
        return any(kind == "date" and p[2].startswith(digits) for p, kind in self.wanted.positions.items())

    def _uid_settled(self, raw: bytes, admitted: frozenset[str]) -> bool:
        """UIDs that are standard, kept, or the source's own are judged as UIDs, not by what their digits spell."""
        if self.policy.uids_kept or admitted & {"uid", "*"}:
            return True
        return all(is_standard_uid(uid) or uid in self.wanted.uids for uid in raw.rstrip(b"\0 ").split(b"\\"))

    def _decoded(self, needles: Needles, asked: set[tuple[int, int]]) -> Iterator[Finding]:
        """Search the text of every element that is not plain ASCII, decoded and folded."""
        buf = self.result.buf
        escaped = _ESCAPE in self.head
        for _, _, start, length, container in self.result.texts:
            raw = bytes(buf[start : start + length])
            if raw.isascii() and not (escaped and _ESCAPE in raw):
                continue
            index = bisect_right(self._starts, start) - 1
            text = fold(decode(raw, declared_in(self.result, self._charsets, container)))
            for number, _, _, _ in needles.search(compact(text.encode("utf-8", "replace"))):
                if (number, index) not in asked:
                    asked.add((number, index))
                    finding = self.judge(needles.identifiers[number], index, b"")
                    if finding is not None:
                        yield finding

    def _outside(self, needles: Needles) -> Iterator[Finding]:
        """Search what belongs to no element: segments and tails of code streams."""
        for name, raw in self.regions:
            swept = compact(raw)
            for number, _, _, literal in needles.search(swept):
                identifier = needles.identifiers[number]
                if identifier.identifier_class == "date" and self.policy.dates == "kept":
                    continue
                reading = Reading(raw, self._charsets.get(0, b""), Place.OUTSIDE)
                if literal or identifier.stands_in(reading, surrogate=False, changed=True):
                    yield Finding(IDENTIFIER, name, identifier.identifier_class)
            plain = raw.replace(b"\0", b"")
            if not self.policy.uids_kept and any(uid in plain for uid in self.wanted.uids):
                yield Finding(UID, name, "uid")

    # --- where things stand ---------------------------------------------------------------------------------

    @cached_property
    def _starts(self) -> list[int]:
        return [element[2] for element in self.result.elements]

    def element_at(self, offset: int) -> int:
        """Return the element in whose value a byte of ``head`` lies, -1 for none."""
        if offset >= self._cut:
            offset += self._gap
        index = bisect_right(self._starts, offset) - 1
        while index >= 0:
            _, _, start, length, _ = self.result.elements[index]
            if start <= offset < start + length:
                return index
            if length:
                break
            index -= 1
        return -1

    def _region(self, index: int) -> tuple[tuple[int, ...], int, bytes, bytes, int]:
        if index < 0:
            return (), 0, b"", bytes(self.result.buf[:128]), 0
        tag, vr, start, length, container = self.result.elements[index]
        return (
            self.result.containers[container].path,
            tag,
            vr,
            bytes(self.result.buf[start : start + length]),
            container,
        )

    def _name(self, index: int) -> str:
        if index < 0:
            return "preamble"
        element = self.result.elements[index]
        return position_of(self.result.containers[element[4]].path, element[0])

    @cached_property
    def _source_values(self) -> dict[tuple[tuple[int, ...], int], set[bytes]]:
        found: defaultdict[tuple[tuple[int, ...], int], set[bytes]] = defaultdict(set)
        buf = self.source.buf
        for tag, _, start, length, container in self.source.elements:
            if length <= 4096:
                found[self.source.containers[container].path, tag].add(bytes(buf[start : start + length]))
        return found

    @cached_property
    def _creators(self) -> dict[tuple[int, int], str]:
        """(container, group and block) → private creator."""
        buf = self.result.buf
        return {
            (container, (tag >> 16) << 8 | tag & 0xFF): bytes(buf[start : start + length])
            .decode("latin-1")
            .strip(" \0")
            for tag, _, start, length, container in self.result.elements
            if tag & 0x10000 and 0x10 <= tag & 0xFFFF <= 0xFF
        }

    def _creator(self, index: int) -> str:
        tag, _, _, _, container = self.result.elements[index]
        return self._creators.get((container, (tag >> 16) << 8 | tag >> 8 & 0xFF), "") if tag & 0x10000 else ""

    def creator_by_path(self, path: tuple[int, ...], tag: int) -> str:
        """Return the creator of a private attribute of the result, the first of the path; nothing for a public one."""
        if not tag & 0x10000:
            return ""
        for index, element in enumerate(self.result.elements):
            if element[0] == tag and self.result.containers[element[4]].path == path:
                return self._creator(index)
        return ""

    def _standard_code(self, tag: int, container: int) -> bool:
        return tag in _CODE_TAGS and (self.result.value(0x00080102, container) or b"").strip(b" \0") in STANDARD_SCHEMES


def uid_prefixes(uids: Iterable[bytes]) -> set[bytes]:
    """Return the beginnings of UIDs as they stand in a compacted haystack."""
    return {uid.replace(b".", b"")[:UID_PREFIX] for uid in uids}


def origins_of(head: bytes) -> NDArray[np.intp]:
    """Return where each byte of a compacted haystack stood before."""
    return _KEPT_BYTES[np.frombuffer(head, np.uint8)].nonzero()[0]


def may_stay(policy: Policy, position: Position, kind: str, creator: str, declared: bytes) -> bool:
    """Tell whether an identifier of the source may stand unchanged in its own attribute."""
    path, tag, raw = position
    if kind == "date" and policy.dates == "kept":
        return True
    admitted = policy.keep.classes((*path, tag), creator)
    if admitted and ("*" in admitted or kind in admitted or (kind == "birth" and "date" in admitted)):
        return True
    return is_placeholder(fold(decode(raw, declared)))


def _values_at(parsed: Parsed, path: tuple[int, ...], tag: int) -> list[tuple[int, int, bytes]]:
    return [
        (start, container, bytes(parsed.buf[start : start + length]))
        for found, _, start, length, container in parsed.elements
        if found == tag and parsed.containers[container].path == path
    ]
