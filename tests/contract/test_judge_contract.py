"""What every witness owes a pump, wherever it runs: in workers of this machine, or behind gRPC, whole or in pieces."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.stage_servers import Sent, chest_slice, remote_settings, signing_key, start_witness

from tarnhelm.common.limits import DEFAULT_LIMITS
from tarnhelm.common.stage import StageJob
from tarnhelm.common.stage_service.scratch import Scratch
from tarnhelm.gateway.stages.local_stage import LocalJudge, PoolPlan
from tarnhelm.gateway.stages.remote_judge import RemoteJudge
from tarnhelm.gateway.stages.remote_stage import JudgeCall, Mask
from tarnhelm.gateway.stages.spooled_stage import SpooledJudge
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan
from tarnhelm.metadata.core.stage import MetadataCore
from tarnhelm.witness.core import SealCheck, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.gateway.verdict import SignedVerdict


@dataclass
class Case:
    """A slice, what became of it, and the policy it was cleaned under."""

    source: bytes
    result: bytes
    policy: bytes
    policy_digest: str

    def call(self, **changes: Any) -> JudgeCall:
        fields = {
            "object_id": "object-1", "policy": self.policy, "policy_digest": self.policy_digest,
            "source_size": len(self.source), "result_size": len(self.result),
            "result_sha256": hashlib.sha256(self.result).hexdigest(),
        }  # fmt: skip
        return JudgeCall(**fields | changes)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    linkage = LocalLinkage(folder / "state")
    assigner = linkage.assigner(linkage.create("lung").id)
    config = MetadataConfig()
    source = folder / "source"
    source.write_bytes(chest_slice())
    MetadataCore(config)(StageJob("object-1", source, folder / "target"), assigner)
    assigner.close()
    policy = compile_plan(config).policy
    return Case(
        source.read_bytes(), (folder / "target").read_bytes(), json.dumps(dict(policy)).encode(), policy["digest"]
    )


@dataclass
class World:
    """A witness and the check of its signatures."""

    client: Any
    check: SealCheck

    def judge(self, call: JudgeCall, source: bytes, result: bytes) -> SignedVerdict:
        return self.client.judge(call, Sent(source).source, Sent(result).source)

    def signed(self, verdict: SignedVerdict) -> bool:
        message = signed_bytes(verdict.object_id, verdict.policy_digest, verdict.output_sha256, verdict.clean)
        return self.check(message, bytes.fromhex(verdict.signature))


@pytest.fixture(scope="module", params=["local", "remote", "streamed"])
def world(request, tmp_path_factory, case) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("witness")
    key = signing_key(folder / "key")
    check = SealCheck(key.public_key())
    if request.param == "local":
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        config = (case.policy.decode(), raw, DEFAULT_LIMITS)
        judge = LocalJudge(PoolPlan("tarnhelm.cli.workers:make_witness", config))
        made = World(SpooledJudge(judge, Scratch(folder, "judge")), check)
        yield made
        made.client.close()
        return
    server = start_witness(folder / "key", "--scratch", folder)
    made = World(RemoteJudge(remote_settings(request.param, server.target)), check)
    yield made
    made.client.close()
    assert server.stop() == 0


def test_a_clean_result_gets_a_signed_verdict_over_its_digest(world, case):
    call = case.call(source_sha256=hashlib.sha256(case.source).hexdigest())
    verdict = world.judge(call, case.source, case.result)
    assert (verdict.clean, verdict.code, dict(verdict.findings)) == (True, "", {})
    assert (verdict.object_id, verdict.output_sha256) == ("object-1", call.result_sha256)
    assert world.signed(verdict)


def test_a_result_that_still_names_somebody_is_not_clean(world, case):
    call = case.call(result_size=len(case.source), result_sha256=hashlib.sha256(case.source).hexdigest())
    verdict = world.judge(call, case.source, case.source)
    assert not verdict.clean
    assert verdict.code.startswith("WIT-")
    assert verdict.findings
    assert world.signed(verdict)


def test_other_bytes_than_announced_are_not_judged(world, case):
    for changes in ({"result_sha256": "0" * 64}, {"source_sha256": "0" * 64}, {"result_size": len(case.result) - 2}):
        verdict = world.judge(case.call(**changes), case.source, case.result)
        assert (verdict.clean, verdict.signature) == (False, "")
        assert verdict.code in ("STG-008", "WIT-008")


def test_another_policy_than_named_is_not_judged_under(world, case):
    verdict = world.judge(case.call(policy_digest="0" * 64), case.source, case.result)
    assert not verdict.clean
    assert verdict.code in ("WIT-007", "WIT-008")


class _GoneError(Exception):
    pass


def test_what_a_source_raises_goes_through(world, case):
    def broken() -> Iterator[bytes]:
        yield case.result[:100]
        raise _GoneError

    with pytest.raises(_GoneError):
        world.client.judge(case.call(), Sent(case.source).source, broken)
    assert world.judge(case.call(), case.source, case.result).clean


def test_masks_travel(world, case):
    verdict = world.judge(case.call(masks=(Mask(-1, 0, 0, 10, 10),)), case.source, case.result)
    assert verdict.clean


@pytest.mark.parametrize("form", ["remote", "streamed"])
def test_a_witness_that_is_not_there_is_away(case, form):
    judge = RemoteJudge(remote_settings(form, "127.0.0.1:1"))
    verdict = judge.judge(case.call(), Sent(case.source).source, Sent(case.result).source)
    judge.close()
    assert (verdict.clean, verdict.code, verdict.signature) == (False, "STG-005", "")
    closed = judge.judge(case.call(), Sent(case.source).source, Sent(case.result).source)
    assert closed.code == "STG-005"
