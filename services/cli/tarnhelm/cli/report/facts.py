"""What the report says about the run as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["RunFacts"]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The head of a report.

    Attributes
    ----------
    methods
        (code, meaning) of CID 7050 that the plan may apply; each object says which were applied.
    outcome_keys
        Digests under which the run's outcomes are recorded.
    """

    run_id: str
    project: str
    project_id: str
    revision: int
    version: str
    plan_digest: str
    policy_digest: str
    recipe_name: str
    recipe_digest: str
    profiles: tuple[str, ...]
    methods: tuple[tuple[str, str], ...]
    conflicts: tuple[str, ...]
    edition: str
    who_can_reidentify: str
    accept_unchecked_pixels: bool
    dry_run: bool
    sample: int
    started: float
    outcome_keys: tuple[str, ...]
    finished: float = 0.0
    interrupted: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"report": "tarnhelm", "format": 1, **asdict(self)}
