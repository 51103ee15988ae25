"""Factories that run inside worker processes: the cores, fitted to the gateway's seams.

A module of its own, so that a worker imports the one service it runs and nothing of the command.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tarnhelm.common.sandbox import SteppedCore
from tarnhelm.gateway.verdict import JudgeJob, SignedVerdict

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.common.limits import Limits
    from tarnhelm.common.stage import StageJob, StageOutcome
    from tarnhelm.metadata.core.stage import MetadataCore
    from tarnhelm.witness.core import Verdict, Witness

__all__ = ["Cleaner", "Judging", "make_metadata", "make_witness"]


class Cleaner(SteppedCore):
    """The metadata core; what the objects of a batch ask the assigner goes to the parent in one message."""

    def __init__(self, core: MetadataCore) -> None:
        self._core = core

    def begin(self, job: StageJob) -> Generator[AssignRequest, AssignReply, StageOutcome]:
        """Clean one object."""
        return self._core.steps(job)


class Judging(SteppedCore):
    """The witness; the verdicts of a batch are signed together, each still good by itself."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def begin(self, job: JudgeJob) -> Generator[Verdict, Verdict, SignedVerdict]:
        """Judge one object and have the verdict signed."""
        begun = time.perf_counter()
        verdict = self._witness.examine(job.source, job.result, job.object_id)
        seconds = time.perf_counter() - begun
        verdict = yield verdict
        findings: dict[tuple[str, str], int] = {}
        for finding in verdict.findings:
            where = f"{finding.position} {finding.identifier_class}".strip()
            findings[finding.code, where] = findings.get((finding.code, where), 0) + finding.count
        return SignedVerdict(
            verdict.object_id,
            verdict.policy_digest,
            verdict.output_sha256,
            clean=verdict.clean,
            code=verdict.code,
            signature=verdict.signature.hex(),
            findings=findings,
            seconds=seconds,
        )

    def answers(self, questions: Sequence[Verdict]) -> Sequence[Verdict]:
        """Sign them."""
        return self._witness.sign_all(questions)


def make_metadata(config: Any) -> Cleaner:
    """Build the metadata core without its hashes: admission hashed the source, the witness hashes the result."""
    from tarnhelm.metadata.core.stage import MetadataCore  # noqa: PLC0415

    return Cleaner(MetadataCore(config, hash_source=False, hash_output=False))


def make_witness(config: tuple[str, bytes, Limits]) -> Judging:
    """Build a witness from (policy JSON, raw Ed25519 private key, limits)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    from tarnhelm.witness.core import Policy, Witness  # noqa: PLC0415

    policy, key, limits = config
    return Judging(Witness(Policy.from_json(policy), Ed25519PrivateKey.from_private_bytes(key), limits))
