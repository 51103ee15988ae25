"""What may stay where: the policy that the metadata compiler makes of a recipe, read strictly.

The policy is the only thing the witness takes from the cleaning side, and it holds rules alone, never values. A key
that is not known, a position that cannot be read or a class that does not exist is an error: a policy that is
half understood would let an identifier pass.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import WITNESS_POLICY, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLASSES", "Policy", "Positions"]

CLASSES: Final = frozenset({"name", "id", "date", "time", "uid", "place", "organisation", "birth", "text", "*"})
_KEYS: Final = frozenset({"version", "digest", "keep", "surrogate", "uids", "dates", "private_keep", "standard_uids"})
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_REPEATING = re.compile(r"([0-9A-Fa-f]{2})xx([0-9A-Fa-f]{4})")
_GROUPS = re.compile(r"(?=.*x)[0-9A-Fa-fx]{3}[13579BDFbdf][0-9A-Fa-fx]{4}")
"""Private attributes by number, whatever their creator: any digit but the last of the group may be ``x``."""
_PRIVATE = re.compile(r'([0-9A-Fa-f]{4})"(.+)"([0-9A-Fa-f]{2}|xx)')
_STEP = re.compile(
    r'(?P<wild>\*\*|\?)|(?P<tag>[0-9A-Fa-fx]{8})|(?P<group>[0-9A-Fa-f]{4})"(?P<creator>[^"]+)"(?P<low>[0-9A-Fa-f]{2}|xx)'
)
"""A step of a path: any number of steps, any one step, a tag with open digits, a private tag under its creator."""
_HEX = re.compile(r"[0-9a-f]{64}")
_LONGEST_PATH: Final = 64
_EXACT: Final = 0xFFFF_FFFF
_PRIVATE_BIT: Final = 0x0001_0000

PrivateKey = tuple[int, str, int]
"""Group, creator, lower byte of the element."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a tag ``t`` is meant if ``t & mask == value``; ``creator`` counts for the attribute itself."""

    mask: int
    value: int
    creator: str = ""


_ANY_STEP: Final = Step(0, 0)
Trail = tuple["Step | None", ...]
"""Steps from the root to the attribute; None stands for any number of them."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Positions and the identifier classes that each of them admits.

    Attributes
    ----------
    anywhere
        Attribute tag → classes, at any depth.
    paths
        Tags from the root, sequences without item numbers → classes.
    trails
        Steps from the root, where more than one path is meant → classes.
    repeating
        (first byte of the group, element) → classes, for 50xx and 60xx.
    private
        (group, creator in lower case, lower byte) → classes.
    masked
        (mask, value, classes) of private tags by number: a tag ``t`` is meant if ``t & mask == value``.
    """

    anywhere: Mapping[int, frozenset[str]] = field(default_factory=dict)
    paths: Mapping[tuple[int, ...], frozenset[str]] = field(default_factory=dict)
    repeating: Mapping[tuple[int, int], frozenset[str]] = field(default_factory=dict)
    private: Mapping[PrivateKey, frozenset[str]] = field(default_factory=dict)
    masked: tuple[tuple[int, int, frozenset[str]], ...] = ()
    trails: tuple[tuple[Trail, frozenset[str]], ...] = ()

    def classes(self, path: tuple[int, ...], creator: str) -> frozenset[str]:
        """Return the classes admitted at ``path`` (its last tag is the attribute itself)."""
        tag = path[-1]
        found = self.anywhere.get(tag, frozenset())
        if self.paths:
            found |= self.paths.get(path, frozenset())
        if self.repeating:
            found |= self.repeating.get((tag >> 24, tag & 0xFFFF), frozenset())
        if creator and self.private:
            found |= self.private.get((tag >> 16, creator.lower(), tag & 0xFF), frozenset())
        for mask, value, classes in self.masked:
            if tag & mask == value:
                found |= classes
        for trail, classes in self.trails:
            if _fits(trail, path, creator.lower()):
                found |= classes
        return found

    def names_creator(self, group: int, creator: str) -> bool:
        """Tell whether a private creator is named for a group."""
        folded = creator.lower()
        if any(number == group and known == folded for number, known, _ in self.private):
            return True
        ends = [trail[-1] for trail, _ in self.trails]
        return any(end is not None and end.value >> 16 == group and end.creator == folded for end in ends)


def _fits(trail: Trail, path: tuple[int, ...], creator: str) -> bool:
    """Compare from the end: ``reach`` holds how much of the path the steps so far leave over."""
    last = trail[-1]
    if last is not None and last.creator and last.creator != creator:
        return False
    if (last is None or last is _ANY_STEP) and path[-1] & _PRIVATE_BIT:
        return False  # a private attribute stays only where it is named
    reach = {len(path)}
    for step in reversed(trail):
        if step is None:
            reach = set(range(max(reach) + 1))
        else:
            reach = {at - 1 for at in reach if at and path[at - 1] & step.mask == step.value}
        if not reach:
            return False
    return 0 in reach


@dataclass(frozen=True, slots=True)
class Policy:
    """One recipe's promises, as far as the witness needs them.

    Attributes
    ----------
    digest
        64 hex digits under which the plan knows this policy: sha256 over the canonical JSON of all its other keys. They
        stand in the signed verdict.
    keep
        Where the recipe keeps the source's own identifier of a class.
    surrogate
        Where a surrogate stands, so that a likeness by chance is no finding.
    uids_kept
        Instance UIDs stay as they are.
    dates
        ``removed``, ``shifted`` or ``kept``.
    private_keep
        Private attributes that may stand in the result.
    """

    digest: str
    keep: Positions = field(default_factory=Positions)
    surrogate: Positions = field(default_factory=Positions)
    uids_kept: bool = False
    dates: str = "removed"
    private_keep: frozenset[PrivateKey] = frozenset()

    @classmethod
    def from_json(cls, document: str | bytes) -> Policy:
        """Read a policy document.

        Parameters
        ----------
        document
            UTF-8 JSON as described in docs/concepts/witness.md.

        Raises
        ------
        TarnhelmError
            ``WIT-007`` for anything that is not exactly such a document.
        """
        try:
            raw = json.loads(document, object_pairs_hook=_no_duplicates)
            if not isinstance(raw, dict) or not raw.keys() <= _KEYS or not {"version", "digest"} <= raw.keys():
                raise ValueError  # noqa: TRY301
            if raw["version"] != 1 or raw["version"] is True or raw.get("standard_uids", "builtin") != "builtin":
                raise ValueError  # noqa: TRY301
            if not _HEX.fullmatch(raw["digest"]) or raw["digest"] != _digest(raw):
                raise ValueError  # noqa: TRY301
            return cls(
                digest=raw["digest"],
                keep=_positions(raw.get("keep", {}), listed=True),
                surrogate=_positions(raw.get("surrogate", {}), listed=False),
                uids_kept=_choice(raw.get("uids", "mapped"), ("mapped", "kept")) == "kept",
                dates=_choice(raw.get("dates", "removed"), ("removed", "shifted", "kept")),
                private_keep=frozenset(_private_row(row) for row in _typed(raw.get("private_keep", []), list)),
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            raise TarnhelmError(WITNESS_POLICY) from None


def _digest(raw: dict[str, Any]) -> str:
    """Compute the digest of a document: what a verdict vouches for is the rules themselves, not a name for them."""
    rules = {key: value for key, value in raw.items() if key != "digest"}
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _choice(value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError
    return str(value)


def _private_row(row: Any) -> PrivateKey:
    creator, group, low = _typed(row, list)
    if isinstance(group, str):
        group = int(group, 16)
    if isinstance(low, str):
        low = int(low, 16)
    if not isinstance(creator, str) or not isinstance(group, int) or not isinstance(low, int):
        raise TypeError
    if not creator or not group & 1 or not 0 <= group <= 0xFFFF or not 0 <= low <= 0xFF:
        raise ValueError
    return group, creator, low


def _positions(raw: Any, *, listed: bool) -> Positions:
    anywhere: dict[int, frozenset[str]] = {}
    paths: dict[tuple[int, ...], frozenset[str]] = {}
    repeating: dict[tuple[int, int], frozenset[str]] = {}
    private: dict[PrivateKey, frozenset[str]] = {}
    masked: list[tuple[int, int, frozenset[str]]] = []
    trails: list[tuple[Trail, frozenset[str]]] = []
    for position, value in _typed(raw, dict).items():
        classes = frozenset(_typed(value, list)) if listed else frozenset({_typed(value, str)})
        if not classes <= CLASSES:
            raise ValueError
        if _TAG.fullmatch(position):
            anywhere[int(position, 16)] = classes
        elif match := _REPEATING.fullmatch(position):
            repeating[int(match[1], 16), int(match[2], 16)] = classes
        elif _GROUPS.fullmatch(position):
            mask = int("".join("0" if digit == "x" else "F" for digit in position), 16)
            masked.append((mask, int(position.replace("x", "0"), 16), classes))
        elif match := _PRIVATE.fullmatch(position):
            for low in range(256) if match[3] == "xx" else [int(match[3], 16)]:
                private[int(match[1], 16), match[2].strip().lower(), low] = classes
        else:
            trail = _trail(position)
            tags = [step.value for step in trail if step is not None and step.mask == _EXACT and not step.creator]
            if len(tags) == len(trail):
                paths[tuple(tags)] = classes
            else:
                trails.append((trail, classes))
    return Positions(anywhere, paths, repeating, private, tuple(masked), tuple(trails))


def _trail(position: str) -> Trail:
    """Read a path of two steps and more, or of one behind a point: the attribute in the data set itself."""
    steps: list[Step | None] = []
    alone = at = int(position.startswith("."))
    while match := _STEP.match(position, at):
        steps.append(_step(match))
        at = match.end()
        if at == len(position):
            break
        if position[at] != ".":
            raise ValueError
        at += 1
    if at != len(position) or position.endswith(".") or not 2 - alone <= len(steps) <= _LONGEST_PATH:
        raise ValueError
    if all(step is None or step is _ANY_STEP for step in steps):
        raise ValueError
    return tuple(steps)


def _step(match: re.Match[str]) -> Step | None:
    if match["wild"]:
        return None if match["wild"] == "**" else _ANY_STEP
    if match["tag"]:
        digits = match["tag"]
        mask = int("".join("0" if digit == "x" else "F" for digit in digits), 16)
        return Step(mask, int(digits.replace("x", "0"), 16))
    group, creator = int(match["group"], 16), match["creator"].strip().lower()
    if not group & 1 or not creator:
        raise ValueError
    if match["low"] == "xx":
        return Step(0xFFFF_0000, group << 16, creator)
    return Step(0xFFFF_00FF, group << 16 | int(match["low"], 16), creator)
