"""What the page shows, in the order in which it shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tarnhelm.cli.console import sentence_of
from tarnhelm.cli.report.words import (
    ACTIONS,
    GONE,
    KEPT,
    NEEDS,
    REPLACED,
    Group,
    action_word,
    attribute_note,
    finding_meaning,
    group_of,
)
from tarnhelm.common.errors import CATALOGUE
from tarnhelm.gateway.record import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.cli.report.collect import Collected
    from tarnhelm.cli.report.facts import RunFacts
    from tarnhelm.gateway.state import Decision

__all__ = ["page_of"]

_HELD = (State.QUARANTINED, State.REJECTED, State.WAITING)


def page_of(facts: RunFacts, collected: Collected, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Everything the template needs."""
    states = collected.states
    fates = collected.attributes()
    return {
        "facts": facts,
        "started": _time(facts.started),
        "finished": _time(facts.finished) if facts.finished else "",
        "seconds": max(facts.finished - facts.started, 0.0) if facts.finished else 0.0,
        "released": states[State.RELEASED.value],
        "would_release": states[State.READY.value] if facts.dry_run else 0,
        "quarantined": states[State.QUARANTINED.value],
        "rejected": states[State.REJECTED.value],
        "skipped": states[State.SKIPPED.value],
        "unfinished": sum(
            states[state.value]
            for state in (State.ADMITTED, State.RUNNING, State.WITNESSING, State.VERIFIED, State.WAITING)
        ),
        "subjects": len(collected.subjects),
        "studies": len(collected.studies),
        "megabytes": collected.released_bytes / 1e6,
        "held": _code_rows(collected, _HELD),
        "passed": _code_rows(collected, (State.SKIPPED,)),
        "modalities": collected.modalities.most_common(),
        "gate_rules": _gate_rows(collected),
        "methods": [(code, meaning, collected.methods[code]) for code, meaning in facts.methods],
        "attributes": [(group, _attributes_of(group, fates)) for group in (REPLACED, GONE, KEPT)],
        "words": _words_of(fates),
        "findings": [
            (code, finding_meaning(code), where, count) for (code, where), count in collected.findings.most_common(200)
        ],
        "verdicts": [(code, where, count) for (code, where), count in collected.verdicts.most_common(200)],
        "accepted": sum(decision.kind == "accept" for decision in decisions),
        "unchecked": collected.unchecked,
        "decisions": [
            (decision.object_id, decision.kind, decision.code, decision.by, decision.reason, _time(decision.decided))
            for decision in decisions
        ],
    }


def _code_rows(collected: Collected, states: Sequence[State]) -> list[dict[str, Any]]:
    return [
        _code_row(code, count, state)
        for state in states
        for code, count in sorted(collected.codes[state.value].items(), key=lambda item: (-item[1], item[0]))
    ]


def _gate_rows(collected: Collected) -> list[tuple[list[tuple[str, str]], str, int]]:
    """Give for each pair of rules that decided: names with their conditions, what stayed unchecked, objects."""
    from tarnhelm.metadata.core.gate import FACE_RULES, TEXT_RULES  # noqa: PLC0415 - tables that --help needs not

    said = {rule.name: rule.when for rule in (*TEXT_RULES, *FACE_RULES)}
    return [
        (
            [(name, said.get(name, "")) for name in rules.split()],
            " and ".join(NEEDS.get(need, need) for need in sorted(needs.split(", "), reverse=True) if need),
            count,
        )
        for (rules, needs), count in collected.gate_rules.most_common()
    ]


_Fates = list[tuple[str, list[tuple[str, int]]]]


def _attributes_of(group: Group, fates: _Fates) -> list[tuple[str, str, list[tuple[str, int]]]]:
    """Name, note, and actions with counts, of the attributes that met this fate; one may stand in two groups."""
    rows = []
    for name, done in fates:
        here = [(action, count) for action, count in done if group_of(action) == group]
        if here:
            rows.append((name, attribute_note(name), here))
    return rows


def _words_of(fates: _Fates) -> list[tuple[str, str, str]]:
    """Give the legend: the words that occur, the group of each, and its meaning."""
    seen = {action_word(action) for _, done in fates for action, _ in done}
    return [(word, group.name, meaning) for word, (group, meaning) in ACTIONS.items() if word in seen]


def _code_row(code: str, count: int, state: State) -> dict[str, Any]:
    kind = CATALOGUE.get(code)
    return {
        "code": code,
        "state": state.value,
        "count": count,
        "message": sentence_of(kind) if kind else "",
        "remedy": kind.remedy if kind else "",
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
