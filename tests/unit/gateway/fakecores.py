"""A small metadata core and a small witness: enough to drive the gateway and the command without DICOM.

A "DICOM file" here is text: ``FAKE`` and lines ``name=value``. The cleaner drops the line ``patient``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tarnhelm.common import errors
from tarnhelm.common.assign import Assigner, AssignReply, AssignRequest
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageJob, StageOutcome, Status
from tarnhelm.gateway.verdict import JudgeJob, SignedVerdict


def write_fake(path: Path, patient: str, number: int, behaviour: str = "good", size: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"FAKE\npatient={patient}\nnumber={number}\nbehaviour={behaviour}\npad={'x' * size}\n")


def parse(text: str) -> dict[str, str]:
    if not text.startswith("FAKE"):
        raise TarnhelmError(errors.NOT_DICOM)
    return dict(line.partition("=")[::2] for line in text.splitlines()[1:])


class FakeAssigner:
    def __init__(self) -> None:
        self.asked: list[AssignRequest] = []

    def assign(self, request: AssignRequest) -> AssignReply:
        self.asked.append(request)
        subject = "TH-" + hashlib.sha256(request.patient_id.encode()).hexdigest()[:12].upper()
        return AssignReply(subject, b"k" * 32, -100, "", {uid: f"2.25.{len(uid)}" for uid in request.uids})


def make_metadata(config: Mapping[str, Any]) -> Callable[[StageJob, Assigner], StageOutcome]:
    def core(job: StageJob, assigner: Assigner) -> StageOutcome:
        fields = parse(job.source.read_text())
        behaviour = fields["behaviour"]
        if behaviour == "die":
            os._exit(9)
        if behaviour == "hang":
            time.sleep(3600)
        if behaviour == "text" and not job.accept_unchecked_pixels:
            raise TarnhelmError(errors.TEXT_UNCHECKED)
        if behaviour == "busy":
            raise TarnhelmError(errors.LEDGER_BUSY)
        if behaviour == "slow":
            time.sleep(0.05)
        if behaviour == "greedy":
            assigner.assign(AssignRequest("someone else", "", "1.2", "", ()))
        reply = assigner.assign(AssignRequest(fields["patient"], "", "1.2", "", ("1.2.3",)))
        kept = "" if behaviour != "leak" else f"patient={fields['patient']}\n"
        text = f"FAKE\n{kept}subject={reply.subject_id}\nnumber={fields['number']}\npad={fields['pad']}\n"
        if not job.dry_run:
            job.target.write_text(text)
        facts = ObjectFacts(
            subject_id=reply.subject_id,
            study_uid="2.25.1",
            series_uid="2.25.2",
            sop_uid=f"2.25.{fields['number']}",
            instance_number=int(fields["number"]),
            modality="CT",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            gate_rule="fake",
        )
        return StageOutcome(
            Status.DONE,
            facts=facts,
            source_bytes=job.size,
            output_bytes=len(text),
            actions={("PatientName", "REMOVE"): 1},
            methods=("113100",),
        )

    return core


def sign(key: bytes, verdict: SignedVerdict) -> str:
    text = f"{verdict.object_id}|{verdict.policy_digest}|{verdict.output_sha256}|{verdict.clean}|{verdict.code}"
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def verify_with(key: bytes) -> Callable[[SignedVerdict], bool]:
    return lambda verdict: hmac.compare_digest(verdict.signature, sign(key, verdict))


def make_judge(config: Mapping[str, Any]) -> Callable[[JudgeJob, Any], SignedVerdict]:
    key, policy = config["key"], config["policy"]

    def judge(job: JudgeJob, _caller: Any) -> SignedVerdict:
        source, result = parse(job.source.read_text()), job.result.read_bytes()
        leaked = source["patient"].encode() in result
        verdict = SignedVerdict(
            job.object_id,
            policy,
            hashlib.sha256(result).hexdigest(),
            clean=not leaked,
            code="WIT-001" if leaked else "",
            findings={("WIT-001", "PatientName"): 1} if leaked else {},
        )
        signature = sign(key, verdict)
        return SignedVerdict(
            verdict.object_id,
            verdict.policy_digest,
            verdict.output_sha256,
            clean=verdict.clean,
            code=verdict.code,
            signature=signature,
            findings=verdict.findings,
        )

    return judge
