"""Sums over all objects of a state, taken in one pass while the lines are written."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tarnhelm.gateway.record import ObjectRecord, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.common.stage import StageOutcome

__all__ = ["Collected", "line_of"]


@dataclass(slots=True)
class Collected:
    """What the page shows."""

    states: Counter[str] = field(default_factory=Counter)
    codes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    modalities: Counter[str] = field(default_factory=Counter)
    gate_rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    actions: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    subjects: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    released_bytes: int = 0
    unchecked: int = 0
    _mappings: dict[int, tuple[Mapping[tuple[str, str], int], int]] = field(default_factory=dict)
    _done: dict[int, tuple[Mapping[tuple[str, str], int], dict[str, int]]] = field(default_factory=dict)

    def take(self, record: ObjectRecord, outcome: StageOutcome | None, verdict: Mapping[tuple[str, str], int]) -> None:
        """Add one object."""
        self.states[record.state.value] += 1
        if record.code:
            self.codes[record.state.value][record.code] += 1
        for key, count in verdict.items():
            self.verdicts[key] += count
        if outcome is None or record.state not in (State.RELEASED, State.READY):
            return
        facts = outcome.facts
        if facts is not None:
            self.modalities[facts.modality or "–"] += 1
            self.gate_rules[facts.gate_rule or "–", ", ".join(sorted(facts.needs))] += 1
            self.subjects.add(facts.subject_id)
            self.studies.add(facts.study_uid)
            self.unchecked += bool(facts.needs)
        self.released_bytes += outcome.output_bytes
        for code in outcome.methods:
            self.methods[code] += 1
        if outcome.findings:
            self.findings.update(outcome.findings)
        _, seen = self._mappings.get(id(outcome.actions), (outcome.actions, 0))
        self._mappings[id(outcome.actions)] = (outcome.actions, seen + 1)
        if len(self._mappings) > 1024:
            self._sum()

    def done_of(self, actions: Mapping[tuple[str, str], int]) -> dict[str, int]:
        """Action → how often; the objects of a series share one mapping, which is summed once."""
        known = self._done.get(id(actions))
        if known is not None and known[0] is actions:
            return known[1]
        done: Counter[str] = Counter()
        for (_, action), count in actions.items():
            if action:
                done[action] += count
        if len(self._done) > 1024:
            self._done.clear()
        self._done[id(actions)] = actions, dict(done)
        return dict(done)

    def attributes(self) -> list[tuple[str, list[tuple[str, int]]]]:
        """Attribute → what was done to it how often, by name."""
        self._sum()
        return [(name, counts.most_common()) for name, counts in sorted(self.actions.items())]

    def _sum(self) -> None:
        for mapping, times in self._mappings.values():
            for (attribute, action), count in mapping.items():
                if not action:
                    continue
                self.actions[attribute][action] += count * times
        self._mappings.clear()


def line_of(
    record: ObjectRecord,
    outcome: StageOutcome | None,
    verdict: Mapping[tuple[str, str], int],
    done: Mapping[str, int],
) -> dict[str, Any]:
    """One line of ``objects.jsonl``: surrogates, codes and counts; ``done`` sums the outcome's actions."""
    line: dict[str, Any] = {"object": record.object_id, "state": record.state.value}
    if record.code:
        line["code"] = record.code
    if record.state is State.RELEASED:
        line |= {
            "path": record.output_path,
            "sha256": record.output_sha256,
            "run": record.run_id,
            "verdict": record.verdict,
        }
    if record.accepted:
        line["accepted_unchecked_pixels"] = True
    if verdict:
        line["witness"] = [[code, where, count] for (code, where), count in sorted(verdict.items())]
    if outcome is None:
        return line
    if outcome.message:
        line["message"] = outcome.message
    if outcome.facts is not None:
        facts = outcome.facts
        line |= {
            "sop_class": facts.sop_class_uid,
            "modality": facts.modality,
            "transfer_syntax": facts.transfer_syntax_uid,
            "gate_rule": facts.gate_rule,
            "needs": sorted(facts.needs),
            "bytes": outcome.output_bytes,
            "methods": list(outcome.methods),
        }
    if done:
        line["actions"] = done
    if outcome.findings:
        line["findings"] = [[code, where, count] for (code, where), count in sorted(outcome.findings.items())]
    return line
