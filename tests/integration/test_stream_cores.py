"""A CT image through the real cores: door, metadata stage, witness, verified; all in one process group."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pydicom
import pytest
from tests.bench.ct_files import make_files
from tests.support.stream import PROJECT, World, WorldSettings

from tarnhelm.cli.services import Recipe, TarnhelmServices
from tarnhelm.common.limits import DEFAULT_LIMITS
from tarnhelm.common.stage_service.scratch import Scratch
from tarnhelm.gateway.fsm import Lifecycle
from tarnhelm.gateway.intake import Reception
from tarnhelm.gateway.plans import ProjectPlan
from tarnhelm.gateway.record import State
from tarnhelm.gateway.stages.local_stage import LocalJudge, LocalStage, PoolPlan
from tarnhelm.gateway.stages.spooled_stage import SpooledJudge, SpooledStage
from tarnhelm.gateway.verdict import VerdictCheck
from tarnhelm.linkage.local import LocalLinkage

COUNT = 6


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    make_files(folder, COUNT, "16 KB")
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def gateway(tmp_path):
    services = TarnhelmServices()
    prepared = services.prepare(Recipe(), DEFAULT_LIMITS)
    witness = services.witness(prepared, DEFAULT_LIMITS)
    linkage = LocalLinkage(tmp_path / "linkage")
    assigner = linkage.assigner(linkage.create("lung").id)
    world = World(tmp_path / "gateway", WorldSettings(workers=2))
    world.plan = ProjectPlan(
        PROJECT,
        prepared.digest,
        services.config_text(prepared),
        json.dumps(dict(prepared.policy)),
        prepared.policy_digest,
        prepared.recipe_digest,
        accept_unchecked_pixels=True,
    )
    world.state.put_plan(world.plan)
    stage = LocalStage("metadata", PoolPlan(services.metadata_factory, prepared.config), assigner)
    world.stages = {"metadata": SpooledStage(stage, Scratch(tmp_path, "metadata"))}
    judge = LocalJudge(PoolPlan(services.witness_factory, witness.config))
    world.judge = SpooledJudge(judge, Scratch(tmp_path, "witness"))
    world.life = Lifecycle(VerdictCheck([bytes.fromhex(witness.public_key)]))
    yield world
    world.stop()
    world.stages["metadata"].close()
    world.judge.close()
    assigner.close()
    world.close()


def test_images_become_verified_and_a_copy_by_another_door_is_the_same_object(gateway, files):
    receipts = [gateway.send(path.read_bytes()) for path in files]
    gateway.start()
    gateway.wait(State.VERIFIED, count=COUNT, seconds=60)
    for path, receipt in zip(files, receipts, strict=True):
        before = pydicom.dcmread(path)
        record = gateway.state.get(receipt.object_id)
        after = pydicom.dcmread(io.BytesIO(gateway.result(receipt.object_id)))
        assert str(before.PatientName) not in str(after.PatientName)
        assert after.PixelData == before.PixelData
        outcome = gateway.state.outcome(receipt.object_id, "metadata", record.plan_digest)
        assert outcome.facts.sop_uid == after.SOPInstanceUID
        assert outcome.output_sha256 == record.output_sha256
    again = pydicom.dcmread(files[0])
    again.preamble = b"another sender".ljust(128, b"\0")
    again.file_meta.ImplementationVersionName = "ANOTHER"
    written = io.BytesIO()
    again.save_as(written)
    assert written.getvalue() != files[0].read_bytes()
    found = gateway.send(written.getvalue())
    assert found == replace(receipts[0], reception=Reception.DUPLICATE)
