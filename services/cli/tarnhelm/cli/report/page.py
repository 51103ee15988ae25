"""What the page shows, in the order in which it shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import CATALOGUE
from tarnhelm.gateway.record import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.cli.report.collect import Collected
    from tarnhelm.cli.report.facts import RunFacts
    from tarnhelm.gateway.state import Decision

__all__ = ["page_of"]

_GONE = ("REMOVE", "BLANK")


def page_of(facts: RunFacts, collected: Collected, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Everything the template needs."""
    states = collected.states
    held = [
        _code_row(code, count, state)
        for state in (State.QUARANTINED, State.REJECTED, State.WAITING, State.SKIPPED)
        for code, count in sorted(collected.codes[state.value].items(), key=lambda item: -item[1])
    ]
    attributes = collected.attributes()
    most = max((sum(count for _, count in done) for _, done in attributes), default=1)
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
        "held": held,
        "modalities": collected.modalities.most_common(),
        "gate_rules": [(rule, needs, count) for (rule, needs), count in collected.gate_rules.most_common()],
        "methods": [(code, meaning, collected.methods[code]) for code, meaning in facts.methods],
        "attributes": [
            (
                name,
                [(action, count, _kind(action)) for action, count in done],
                round(100 * sum(c for _, c in done) / most),
            )
            for name, done in attributes
        ],
        "findings": [(code, where, count) for (code, where), count in collected.findings.most_common(200)],
        "verdicts": [(code, where, count) for (code, where), count in collected.verdicts.most_common(200)],
        "accepted": sum(decision.kind == "accept" for decision in decisions),
        "unchecked": collected.unchecked,
        "decisions": [
            (decision.object_id, decision.kind, decision.code, decision.by, decision.reason, _time(decision.decided))
            for decision in decisions
        ],
    }


def _code_row(code: str, count: int, state: State) -> dict[str, Any]:
    kind = CATALOGUE.get(code)
    message = kind.message if kind else ""
    return {
        "code": code,
        "state": state.value,
        "count": count,
        "message": _without_places(message),
        "remedy": kind.remedy if kind else "",
    }


def _without_places(message: str) -> str:
    """Return the catalogue's sentence for many objects at once: its places hold different numbers for each."""
    words = [word if "{" not in word else "…" for word in message.split(" ")]
    return " ".join(words)


def _kind(action: str) -> str:
    first = action.split(" ", maxsplit=1)[0]
    if first in _GONE:
        return "gone"
    if first == "KEEP":
        return "kept"
    return "changed"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
