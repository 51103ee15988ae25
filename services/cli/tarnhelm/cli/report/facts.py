"""What the report says about the run as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    site_digest
        sha256 of what the site adds to the cleaning of texts; empty where it adds nothing.
    witness_key
        Public key (hex) under which the witness of this run has signed.
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
    site_digest: str = ""
    witness_key: str = ""
    finished: float = 0.0
    interrupted: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON; the state keeps it for every run."""
        return {"report": "tarnhelm", "format": 1, **asdict(self)}

    def head(self, documents: Iterable[str]) -> dict[str, Any]:
        """As the first line of a report, with the witness's keys of all runs (``documents``, JSON) into this OUT."""
        runs = {
            run["run_id"]: {"policy_digest": run["policy_digest"], "witness_key": run.get("witness_key", "")}
            for run in map(json.loads, documents)
        }
        return {**self.document(), "runs": runs}
