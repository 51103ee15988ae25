"""Combines profiles by name into one :class:`Profile`."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import PROFILE_DATES_CONFLICT, PROFILE_NEEDS_STAGE, PROFILE_UNKNOWN, TarnhelmError
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.profiles.decision import ProfileConflict, ProfileDecision
from tarnhelm.metadata.core.profiles.names import BASIC, METHODS, NEEDS_STAGE, OPTION_OF, PROFILE_NAMES
from tarnhelm.metadata.core.profiles.profile import RULES_VERSION, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ProfileError", "combine"]

_VERBS: Final = {
    "X": "removes",
    "Z": "empties",
    "D": "replaces",
    "U": "maps",
    "K": "keeps",
    "C": "cleans",
}
_PROTECTION: Final = {"C": 0, "K": 1}
"""Lower wins where two options differ: what is cleaned is still there for whoever wanted it kept."""


class ProfileError(TarnhelmError):
    """A list of profiles that cannot be combined; names the profile that was probably meant."""

    @property
    def safe_message(self) -> str:
        """The catalogue's sentence and a suggestion out of the closed list of names."""
        nearest = self.facts.get("nearest", -1)
        suggestion = f" Did you mean {PROFILE_NAMES[nearest]}?" if nearest >= 0 else ""
        return super().safe_message + suggestion


def combine(names: Sequence[str], available: frozenset[str] = frozenset()) -> Profile:
    """Combine profiles; basicProfile is part of every combination.

    An option changes exactly the rows that Table E.1-1 gives it. Where two options give a row different
    codes, the one that cleans wins over the one that keeps: a device's calibration date under
    rtnDevIdOpt and rtnLongModifDatesOpt is shifted with all other dates, not kept beside them.

    Parameters
    ----------
    names
        Profile names, in any order, repeats allowed; none at all is basicProfile alone.
    available
        Stages that are installed: ``ocr`` fulfils cleanPixDataOpt, ``imaging`` cleanRecogVisFeatOpt.

    Raises
    ------
    ProfileError
        PRF-001 for a profile that no available stage fulfils, PRF-002 for full and modified dates
        together, PRF-003 for an unknown name.
    """
    for position, name in enumerate(names, start=1):
        if name not in PROFILE_NAMES:
            raise ProfileError(PROFILE_UNKNOWN, position=position, nearest=_nearest(name))
        if name in NEEDS_STAGE and NEEDS_STAGE[name] not in available:
            raise ProfileError(PROFILE_NEEDS_STAGE, position=position)
    chosen = tuple(name for name in PROFILE_NAMES if name == BASIC or name in names)
    if {"rtnLongFullDatesOpt", "rtnLongModifDatesOpt"} <= set(chosen):
        raise ProfileError(PROFILE_DATES_CONFLICT)
    return _combined(chosen)


def _nearest(name: str) -> int:
    """Index of the name that was probably meant, -1 if none comes near; case does not count."""
    folded = {known.lower(): index for index, known in enumerate(PROFILE_NAMES)}
    close = get_close_matches(name.lower()[:64], folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else -1


@lru_cache(maxsize=32)
def _combined(names: tuple[str, ...]) -> Profile:
    options, items = _ByOption(names), _ByOption(names)
    single = standard.attribute_rules()
    rows = {
        tag: options.decide(f"E.1-1 {rule.label}", rule.name, rule.basic, rule.options) for tag, rule in single.items()
    }
    patterns = {
        pattern: options.decide(f"E.1-1 {rule.label}", rule.name, rule.basic, rule.options)
        for pattern, rule in standard.repeating_rules().items()
    }
    content = {
        (rule.scheme, rule.code, rule.value_type): items.decide(
            f"E.3.4-1 ({rule.scheme}, {rule.code})", rule.meaning, rule.basic, rule.options
        )
        for rule in standard.content_item_rules()
    }
    text = "\n".join(("profile", str(RULES_VERSION), standard.digest(), *names))
    return Profile(
        names=names,
        method_codes=tuple(METHODS[name] for name in names),
        # The content item table has no say without its option, so neither have its conflicts.
        conflicts=(*options.conflicts, *(items.conflicts if "cleanStructContOpt" in names else ())),
        digest=sha256(text.encode()).hexdigest(),
        rows=rows,
        patterns=patterns,
        content_items=content,
    )


class _ByOption:
    """Decides rows for one set of names and notes where its options disagree."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._columns = tuple((OPTION_OF[name], name) for name in names if name in OPTION_OF)
        self.conflicts: list[ProfileConflict] = []

    def decide(self, row: str, name: str, basic: str, options: Mapping[str, str]) -> ProfileDecision:
        """Basic's code, or that of the options that have a cell in this row."""
        found = [(profile, options[column]) for column, profile in self._columns if column in options]
        if not found:
            return ProfileDecision(basic, row, f"{BASIC} {_verb(basic)} {name}", BASIC)
        winner, action = min(found, key=lambda cell: (_PROTECTION[cell[1]], cell[0] != "rtnLongModifDatesOpt"))
        if len({code for _, code in found}) > 1:
            self.conflicts.append(ProfileConflict(row, name, tuple(found), winner, action))
        verb = "shifts" if winner == "rtnLongModifDatesOpt" else _VERBS[action]
        return ProfileDecision(action, row, f"{winner} {verb} {name} ({BASIC}: {basic})", winner)


def _verb(code: str) -> str:
    """``X/Z/D`` → "removes, empties or replaces"."""
    verbs = [_VERBS[choice] for choice in code.removesuffix("*").split("/")]
    return verbs[0] if len(verbs) == 1 else f"{', '.join(verbs[:-1])} or {verbs[-1]}"
