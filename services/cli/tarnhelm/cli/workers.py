"""Factories that run inside worker processes: the cores, fitted to the gateway's seams.

A module of its own, so that a worker imports the one service it runs and nothing of the command.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tarnhelm.gateway.verdict import JudgeJob, SignedVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.common.limits import Limits
    from tarnhelm.common.stage import StageCore

__all__ = ["make_metadata", "make_witness"]


def make_metadata(config: Any) -> StageCore:
    """Build the metadata core without its hashes: admission hashed the source, the witness hashes the result."""
    from tarnhelm.metadata.core.stage import MetadataCore  # noqa: PLC0415

    return MetadataCore(config, hash_bytes=False)


def make_witness(config: tuple[str, bytes, Limits]) -> Callable[[JudgeJob, Any], SignedVerdict]:
    """Build a witness from (policy JSON, raw Ed25519 private key, limits)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    from tarnhelm.witness.core import Policy, Witness  # noqa: PLC0415

    policy, key, limits = config
    witness = Witness(Policy.from_json(policy), Ed25519PrivateKey.from_private_bytes(key), limits)

    def judge(job: JudgeJob, _caller: Any) -> SignedVerdict:
        begun = time.perf_counter()
        verdict = witness.judge(job.source, job.result, job.object_id)
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
            seconds=time.perf_counter() - begun,
        )

    return judge
