"""Where a recipe keeps what its profile would not leave as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from tarnhelm.common.dicom.header import Encoding
from tarnhelm.metadata.core.recipe import ActionName, Literal
from tarnhelm.metadata.core.review.findings import Finding, some
from tarnhelm.metadata.core.rules.operations import OperationCode

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe import Rule
    from tarnhelm.metadata.core.review.reach import Reached
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler

__all__ = ["against_profile"]

_STAYS: Final = frozenset({OperationCode.COPY, OperationCode.SEQUENCE, OperationCode.PIXELS})


def against_profile(compiler: RuleCompiler, reached: Mapping[Rule, tuple[Reached, ...]]) -> Iterator[Finding]:
    """Find the attributes that a rule keeps though the profile removes, empties, replaces, maps or cleans them.

    Keeping a sequence is none of these: what is in it is decided by itself. A date that moves by days that stand in
    the recipe can be moved back by whoever has the recipe, so it counts as kept.
    """
    table = compiler.root("", Encoding.EXPLICIT_LITTLE)
    for rule, attributes in reached.items():
        if rule.action is ActionName.KEEP:
            exposed = []
            for one in (one for one in attributes if one.vr != "SQ"):
                says = compiler.profile_says(table.along(one.path[:-1]), one.tag, one.vr)
                if says.code not in _STAYS and says.label[1] != "KEEP":
                    exposed.append((one, says))
            if len(exposed) == 1:
                yield Finding(rule.line, "identity", f"keeps {some([exposed[0][0].tag])}; {exposed[0][1].reason}")
            elif exposed:
                names = some([one.tag for one, _ in exposed])
                yield Finding(rule.line, "identity", f"keeps what the profile would not leave as it is: {names}")
        elif rule.action is ActionName.JITTER and isinstance(rule.value, Literal):
            names = some([one.tag for one in attributes if one.vr in ("DA", "DT")])
            why = "by days that stand in the recipe, so it can be moved back; PSEUDO DATE moves by a secret offset"
            if names:
                yield Finding(rule.line, "identity", f"moves {names} {why}")
