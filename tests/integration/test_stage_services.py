"""Metadata, assign and witness servers as real processes: an object goes through them as it does on a laptop."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.bench.ct_files import make_files
from tests.support.assign_server import LocalPlace
from tests.support.stage_servers import Sent, default_config, signing_key, start_metadata, start_witness

from tarnhelm.common.stage import Status
from tarnhelm.gateway.remote_judge import RemoteJudge
from tarnhelm.gateway.remote_stage import JudgeCall, RemoteSettings, RemoteStage

COMMAND = "import sys; from tarnhelm.cli.main import main; sys.argv[0] = 'tarnhelm'; main()"


@pytest.fixture(scope="module")
def ct_files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    make_files(folder, 4, "16 KB")
    return folder


def _cleaned_on_a_laptop(state: Path, project: str, source: Path, out: Path) -> dict[str, bytes]:
    """Clean a folder by the command; sha256 of each source → the bytes that came out of it."""
    environment = dict(os.environ, TARNHELM_STATE=str(state))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "clean", str(source), str(out), "--project", project],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path.read_bytes() for path in out.rglob("*.dcm")}


def test_a_ct_goes_through_the_services_and_comes_out_like_on_a_laptop(
    tmp_path: Path, ct_files: Path, gateway, launch
) -> None:
    place = LocalPlace(tmp_path)
    project = place.create("lung")
    assign = launch(place)
    key = signing_key(tmp_path / "witness.key")
    config, plan = default_config()
    metadata = start_metadata(assign.target)
    witness = start_witness(tmp_path / "witness.key")
    stage = RemoteStage("metadata", RemoteSettings(metadata.target))
    judge = RemoteJudge(RemoteSettings(witness.target))
    made = set()
    try:
        for number, path in enumerate(sorted(ct_files.iterdir())):
            sent = Sent(path.read_bytes())
            name = f"object-{number}"
            ticket = gateway.ticket(project.id, object_id=name)
            outcome = stage.process(sent.call(ticket, config, object_id=name), sent.source, sent.back.extend)
            assert outcome.status is Status.DONE, outcome
            assert outcome.output_sha256 == hashlib.sha256(sent.back).hexdigest()
            assert outcome.facts.modality == "CT"
            call = JudgeCall(
                name, json.dumps(dict(plan.policy)).encode(), plan.policy["digest"], len(sent.data), len(sent.back),
                outcome.output_sha256,
            )  # fmt: skip
            verdict = judge.judge(call, sent.source, Sent(bytes(sent.back)).source)
            assert verdict.clean, verdict
            assert _signed(key, verdict)
            made.add(outcome.output_sha256)
        with urllib.request.urlopen(f"http://127.0.0.1:{metadata.metrics_port}/metrics", timeout=10) as answer:
            told = answer.read().decode()
        assert 'tarnhelm_stage_outcomes_total{code="",stage="metadata",status="done"} 4.0' in told
    finally:
        stage.close()
        judge.close()
        assert metadata.stop() == 0
        assert witness.stop() == 0
    assign.stop()
    here = _cleaned_on_a_laptop(place.state, "lung", ct_files, tmp_path / "out")
    assert made == set(here)


def _signed(key, verdict) -> bool:
    from tarnhelm.witness.core import SealCheck, signed_bytes

    message = signed_bytes(verdict.object_id, verdict.policy_digest, verdict.output_sha256, verdict.clean)
    return SealCheck(key.public_key())(message, bytes.fromhex(verdict.signature))
