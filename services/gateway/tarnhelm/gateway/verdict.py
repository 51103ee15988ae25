"""The witness as the pump sees it: a job in, a signed verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["Judge", "JudgeJob", "SignedVerdict"]


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """Source and result of one object; of the stages' own reports it carries only the masks."""

    object_id: str
    source: Path
    result: Path
    policy_digest: str
    size: int = 0
    masks: str = ""
    """JSON of the reported masks, empty for none."""


@dataclass(frozen=True, slots=True)
class SignedVerdict:
    """What the witness signed.

    Attributes
    ----------
    code
        Empty for a clean object, else ``WIT-…`` or ``LIM-…``.
    findings
        (finding code, attribute) → count; no values.
    signature
        Hex, over (object id, policy digest, output sha256, clean); of this verdict alone, or of a batch with this
        verdict's path in it.
    """

    object_id: str
    policy_digest: str
    output_sha256: str
    clean: bool
    code: str = ""
    signature: str = ""
    findings: Mapping[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0


class Judge(Protocol):
    """The witness, in worker processes or behind gRPC."""

    def submit(self, job: JudgeJob) -> Future[SignedVerdict]:
        """Judge one object; what cannot be judged is a verdict that is not clean."""
        ...

    def close(self) -> None:
        """Finish what runs, then stop."""
        ...
