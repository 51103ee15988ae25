"""What one run does with every object, and what it has done so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tarnhelm.common.limits import DEFAULT_LIMITS, MIB, Limits

__all__ = ["Plan", "RunCounts"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The road of an object, fixed for a run.

    Attributes
    ----------
    digest
        sha256 (hex) of recipe, policy, pins and versions; outcomes are recorded under it.
    policy_digest
        Of the policy that the witness judges by; a verdict under another one releases nothing.
    stages
        Names in order; the first is ``metadata``.
    accept_unchecked_pixels
        The user's express decision for the whole run.
    """

    project: str
    digest: str
    policy_digest: str
    run_id: str
    stages: tuple[str, ...] = ("metadata",)
    accept_unchecked_pixels: bool = False
    dry_run: bool = False
    resume: bool = False
    limits: Limits = DEFAULT_LIMITS
    max_bytes_in_flight: int = 256 * MIB
    max_objects_in_flight: int = 256
    release_batch: int = 96
    retry_seconds: float = 2.0
    max_parks: int = 5

    def outcome_key(self, *, accepted: bool) -> str:
        """Digest under which an outcome is recorded: what was accepted is another outcome."""
        return f"{self.digest}+accepted" if accepted else self.digest


@dataclass(slots=True)
class RunCounts:
    """What a run has met; every source is counted once, in exactly one of the lines after ``in_flight``."""

    sources: int = 0
    source_bytes: int = 0
    done_bytes: int = 0
    in_flight: int = 0
    released: int = 0
    would_release: int = 0
    quarantined: int = 0
    rejected: int = 0
    skipped: int = 0
    duplicates: int = 0
    resumed: int = 0
    waiting: int = 0
    integrity: int = 0
    released_bytes: int = 0
    gone: int = 0
    """Of the resumed ones: released, and no longer in OUT."""
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Sources that need nothing more."""
        return (
            self.released
            + self.would_release
            + self.quarantined
            + self.rejected
            + self.skipped
            + self.duplicates
            + self.resumed
            + self.waiting
        )
