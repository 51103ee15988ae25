"""What one clean slice proves of the next: most of a series' headers is the same, and was searched already.

A *proof* is made of a pair that the whole witness has found clean. It holds for another pair of the same two patterns when
everything that differs from the pair it was made of has been looked at again. It can only say "clean" or nothing: whatever
it does not cover, any identifier that so much as seems to stand in what differs, goes the long way, so no finding is
ever made or lost here. That the judgement reads nothing else of a file than what is compared here is argued clause by clause
below; a test holds memoised and fresh witnesses against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.charsets import decode, is_known
from tarnhelm.witness.core.harvest import Harvest, Position, Value, charset_of, declared_in, gather
from tarnhelm.witness.core.parsed import Parsed
from tarnhelm.witness.core.pattern import Match, Pattern, Patterns
from tarnhelm.witness.core.pixels import compare_described, description_of
from tarnhelm.witness.core.policy import Policy
from tarnhelm.witness.core.scan import UID_PREFIX, Scan, may_stay, origins_of, uid_prefixes
from tarnhelm.witness.core.text import compact, fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tarnhelm.common.limits import Limits
    from tarnhelm.witness.core.needles import NeedleCache, Needles
    from tarnhelm.witness.core.parsed import Buffer

__all__ = ["Look", "Pair", "Series"]

_ESCAPE: Final = b"\x1b"
_APART: Final = b"\0"
"""Between stretches that are no neighbours: no compacted needle holds a NUL."""
_MOST_PROOFS: Final = 20
_MOST_MET: Final = 1024
_EAGER: Final = 24
_SERIES: Final = 0x0020000E
_META_LENGTH, _META_INSTANCE, _INSTANCE = 0x00020000, 0x00020003, 0x00080018
_META_LENGTH_AT: Final = 140


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair that was walked and judged clean."""

    source: Parsed
    result: Parsed
    wanted: Harvest
    present: Harvest


@dataclass(frozen=True, slots=True)
class _Side:
    """What all files of a pattern hold.

    Attributes
    ----------
    harvest
        Of the elements that are no holes.
    charsets
        Container → Specific Character Set; never a hole.
    """

    harvest: Harvest
    charsets: dict[int, bytes]

    @classmethod
    def of(cls, parsed: Parsed, pattern: Pattern) -> _Side:
        holes = frozenset(pattern.holes_in(parsed))
        named = [row for row in parsed.named if row not in holes]
        charsets = charset_of(parsed)
        return cls(gather(replace(parsed, named=named), charsets), charsets)

    def harvest_of(self, match: Match) -> Harvest:
        """Gather what stands in the holes of a file."""
        holes, spans = match.pattern.holes, match.spans
        match.parsed.named = [
            (holes[n].row[0], holes[n].row[1], *spans[n], holes[n].row[4]) for n in match.pattern.named
        ]
        return gather(match.parsed, self.charsets)


@dataclass(frozen=True, slots=True)
class _Proof:
    """That pairs of two patterns are clean, as far as they are alike.

    Attributes
    ----------
    values
        The needles' values: the shared ones and those that stood in holes so far.
    shared
        The compacted stretches of the result between the holes, apart from each other.
    glue
        What stands before, between and after the holes, as far as a needle reaches across.
    instance
        Where the SOP Instance UID of file meta and data set stand: the holes, or None for the shared value.
    """

    source: _Side
    result: _Side
    described: dict[str, bytes]
    needles: Needles
    values: frozenset[Value]
    prefixes: frozenset[bytes]
    shared: bytes
    glue: tuple[bytes, ...]
    creators: dict[tuple[tuple[int, ...], int], str]
    instance: tuple[int | None, int | None, bytes]

    def replaced(self, policy: Policy) -> bool:
        """Tell that no identifier of the shared part of the source stands in its attribute in that of the result."""
        source, result = self.source.harvest, self.result.harvest
        told = not policy.uids_kept and (
            not source.uids.isdisjoint(result.uids) or any(prefix in self.shared for prefix in self.prefixes)
        )
        return not told and self._kept(source.positions, result.positions, policy)

    def holds(self, before: Match, after: Match, wanted: Harvest, policy: Policy, limits: Limits) -> bool:
        """Tell whether a pair that fits both patterns is clean beyond doubt; ``wanted`` stands in the source's holes."""
        size = 0 if after.parsed.pixel is None else after.parsed.pixel[2]
        if len(after.parsed.buf) - size > limits.max_header_bytes or not self._well_formed(after):
            return False
        if not self._replaced(wanted, self.result.harvest_of(after), policy):
            return False
        if not self._holes_are_clean(wanted, after, policy):
            return False
        if after.parsed.pixel is None:
            return True
        findings, regions = compare_described(before.parsed, after.parsed, (), self.described)
        uids = [] if policy.uids_kept else [*self.source.harvest.uids, *wanted.uids]
        return not findings and all(self._region_is_clean(raw, uids, policy) for _, raw in regions)

    def _well_formed(self, after: Match) -> bool:
        """Check anew what the form of a result owes to values that differ (see structure.py)."""
        buf = after.parsed.buf
        if buf[_META_LENGTH_AT - 2 : _META_LENGTH_AT] != b"\4\0":
            return False
        length = int.from_bytes(buf[_META_LENGTH_AT : _META_LENGTH_AT + 4], "little")
        if _META_LENGTH_AT + 4 + length != after.parsed.data_start:
            return False
        meta, own, shared = self.instance
        if meta is None and own is None:
            return True
        values = [shared if place is None else after.value(place).rstrip(b"\0 ") for place in (meta, own)]
        return values[0] == values[1]

    def _replaced(self, wanted: Harvest, present: Harvest, policy: Policy) -> bool:
        """Tell that no value of the source stands in its own attribute, and no UID in any UID attribute."""
        source, result = self.source.harvest, self.result.harvest
        if not policy.uids_kept and not (
            present.uids.isdisjoint(source.uids)
            and present.uids.isdisjoint(wanted.uids)
            and wanted.uids.isdisjoint(result.uids)
        ):
            return False
        return (
            self._kept(wanted.positions, present.positions, policy)
            and self._kept(wanted.positions, result.positions, policy)
            and self._kept(source.positions, present.positions, policy)
        )

    def _kept(self, wanted: dict[Position, str], present: dict[Position, str], policy: Policy) -> bool:
        """Tell that what stands where it stood stands there because the policy keeps it."""
        declared = self.source.charsets.get(0, b"")
        return all(
            may_stay(policy, one, wanted[one], self.creators.get(one[:2], ""), declared)
            for one in wanted.keys() & present.keys()
        )

    def _holes_are_clean(self, wanted: Harvest, after: Match, policy: Policy) -> bool:
        """Search what stands in the holes, and across their edges."""
        for place in after.pattern.texts:
            raw = after.value(place)
            if not raw.isascii() or _ESCAPE in raw:
                return False
        parts = [self.glue[0]]
        for place, glue in enumerate(self.glue[1:]):
            parts += (compact(after.piece(place)), glue)
        swept = b"".join(parts)
        if not policy.uids_kept:
            fresh = uid_prefixes(wanted.uids)
            if any(prefix in swept for prefix in self.prefixes | fresh) or any(one in self.shared for one in fresh):
                return False
        hits = self.needles.search(swept)
        if not hits:
            return True
        bounds, at = [], 0
        for number, part in enumerate(parts):
            if not number % 2:
                bounds.append((at, at + len(part)))
            at += len(part)
        return all(
            self._ignored(number, policy) or any(low <= begin and begin + length <= high for low, high in bounds)
            for number, begin, length, _ in hits
        )

    def _ignored(self, number: int, policy: Policy) -> bool:
        return policy.dates == "kept" and self.needles.identifiers[number].identifier_class == "date"

    def _region_is_clean(self, raw: bytes, uids: Iterable[bytes], policy: Policy) -> bool:
        if any(not self._ignored(number, policy) for number, _, _, _ in self.needles.search(compact(raw))):
            return False
        plain = raw.replace(b"\0", b"")
        return not any(uid in plain for uid in uids)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a pair before it is walked: ``clean`` is a verdict; ``known`` says that it teaches nothing new."""

    clean: bool = False
    known: bool = False


class Series:
    """Proofs of the last series judged under one policy. Bounded, because they hold identifiers."""

    def __init__(self, policy: Policy, limits: Limits, needles: NeedleCache) -> None:
        self._policy = policy
        self._limits = limits
        self._needles = needles
        self._sources = Patterns(limits, strict=False)
        self._results = Patterns(limits, strict=True)
        self._proofs: OrderedDict[tuple[int, int], _Proof | None] = OrderedDict()
        self._met: OrderedDict[int, int] = OrderedDict()
        self._lock = Lock()

    def look(self, before: Buffer, after: Buffer) -> Look:
        """Compare a pair, to be judged without masks, with those before it."""
        result = self._results.find(after)
        source = self._sources.find(before) if result is not None else None
        if result is None or source is None:
            return Look()
        pair = source.pattern.number, result.pattern.number
        proof = self._proofs.get(pair)
        if proof is None:
            return Look(known=pair in self._proofs)
        wanted = proof.source.harvest_of(source)
        if not proof.values.issuperset(wanted.values):
            return Look()
        return Look(proof.holds(source, result, wanted, self._policy, self._limits), known=True)

    def learn(self, pair: Pair) -> None:
        """Remember a pair that was found clean, without masks."""
        if not self._worth_it(pair):
            return
        source, result = self._sources.learn(pair.source), self._results.learn(pair.result)
        if source is None or result is None:
            return
        proof = self._proof(pair, source, result)
        with self._lock:
            self._proofs[source.number, result.number] = proof
            self._proofs.move_to_end((source.number, result.number))
            while len(self._proofs) > _MOST_PROOFS:
                self._proofs.popitem(last=False)

    def _worth_it(self, pair: Pair) -> bool:
        """Tell whether more like this pair may follow: to learn costs as much as to judge.

        Nothing is learned of the first of a series, and ever less of a series that never fits what was learned.
        """
        kind = hash((pair.source.value(_SERIES), len(pair.source.elements), len(pair.result.elements)))
        with self._lock:
            times = self._met[kind] = self._met.pop(kind, 0) + 1
            while len(self._met) > _MOST_MET:
                self._met.popitem(last=False)
        return 1 < times <= _EAGER or not times % _EAGER

    def _proof(self, pair: Pair, source: Pattern, result: Pattern) -> _Proof | None:
        """Make a proof; None where the shared part by itself asks for a look at each file."""
        policy = self._policy
        if result.nested or not _form_is_shared(pair.result):
            return None
        sides = _Side.of(pair.source, source), _Side.of(pair.result, result)
        creators = _creators(pair.result)
        needles = self._needles.get(pair.wanted.values)
        reach = max((len(row[0]) for rows in needles.grams.values() for row in rows), default=0)
        reach = max(reach, UID_PREFIX) - 1
        stretches = [compact(part) for part in (*result.shared[:-1], result.shared[-1] + result.tail)]
        proof = _Proof(
            source=sides[0],
            result=sides[1],
            described=description_of(pair.source),
            needles=needles,
            values=frozenset(pair.wanted.values),
            prefixes=frozenset(uid_prefixes(sides[0].harvest.uids)),
            shared=_APART.join(stretches),
            glue=tuple(
                _glue(part, reach, first=not n, last=n == len(stretches) - 1) for n, part in enumerate(stretches)
            ),
            creators=creators,
            instance=_instance(pair.result, result),
        )
        if not proof.replaced(policy):
            return None
        return proof if self._shared_is_clean(pair, result, needles) else None

    def _shared_is_clean(self, pair: Pair, pattern: Pattern, needles: Needles) -> bool:
        """Judge what the needles find outside the holes, as strictly as any source of these patterns could ask.

        What a source's own values excuse (a number that stood there before, a day the recipe keeps elsewhere) is excused
        by nothing here: the judgement is made against an empty source.
        """
        scan = Scan(Parsed(b""), pair.result, (Harvest(pair.wanted.values), pair.present), self._policy, [])
        rows = pattern.holes_in(pair.result)
        holes = [(row[2] - hole.width, row[2] + row[3]) for row, hole in zip(rows, pattern.holes, strict=True)]
        proposed: set[tuple[int, int, bytes]] = set()
        hits = needles.search(compact(scan.head))
        if hits:
            origins = origins_of(scan.head)
            for number, begin, length, literal in hits:
                places = origins[begin : begin + length].tolist()
                # The head lacks the pixel data, and all holes stand before them: offsets agree.
                if not any(low <= place < high for place in places for low, high in holes):
                    proposed |= {(number, scan.element_at(place), literal) for place in (places[0], places[-1])}
        charsets = charset_of(pair.result)
        for row in pair.result.texts:
            raw = bytes(pair.result.buf[row[2] : row[2] + row[3]])
            if row not in rows and (not raw.isascii() or _ESCAPE in raw):
                text = fold(decode(raw, declared_in(pair.result, charsets, row[4])))
                index = pair.result.elements.index(row)
                spoken = needles.search(compact(text.encode("utf-8", "replace")))
                proposed |= {(number, index, b"") for number, _, _, _ in spoken}
        return all(
            scan.judge(needles.identifiers[number], index, literal) is None for number, index, literal in proposed
        )


def _form_is_shared(result: Parsed) -> bool:
    """Tell whether the form of a result hangs on no value that may differ, but those checked anew."""
    first = result.elements[0]
    return (
        first[:4] == (_META_LENGTH, b"UL", _META_LENGTH_AT, 4)
        and all(row[0] & 0xFFFF or row[4] == 1 for row in result.elements)
        and all(is_known(declared) for declared in charset_of(result).values())
    )


def _creators(result: Parsed) -> dict[tuple[tuple[int, ...], int], str]:
    """(path, private attribute) → creator, of the attributes that may identify."""
    scan = Scan(Parsed(b""), result, (Harvest(), Harvest()), Policy(""), [])
    places = {(result.containers[row[4]].path, row[0]) for row in result.named if row[0] & 0x10000}
    return {place: scan.creator_by_path(*place) for place in places}


def _instance(result: Parsed, pattern: Pattern) -> tuple[int | None, int | None, bytes]:
    places: dict[tuple[int, int], int] = {
        (hole.row[0], hole.row[4]): number for number, hole in enumerate(pattern.holes)
    }
    shared = (result.value(_INSTANCE) or b"").rstrip(b"\0 ")
    return places.get((_META_INSTANCE, 1)), places.get((_INSTANCE, 0)), shared


def _glue(part: bytes, reach: int, *, first: bool, last: bool) -> bytes:
    """Return of a stretch what a needle that touches a hole can cover."""
    if first:
        return part[max(len(part) - reach, 0) :] if not last else b""
    if last:
        return part[:reach]
    return part if len(part) <= 2 * reach else part[:reach] + _APART + part[len(part) - reach :]
