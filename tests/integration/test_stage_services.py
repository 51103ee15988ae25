"""Metadata, assign and witness servers as real processes: an object goes through them as it does on a laptop."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pydicom
import pytest
from pydicom.data import get_testdata_file
from tests.bench.ct_files import make_files
from tests.support.assign_server import AssignServer, LocalPlace
from tests.support.stage_servers import (
    Sent,
    chest_slice,
    default_config,
    remote_settings,
    signing_key,
    start_metadata,
    start_witness,
)
from tests.support.vault_sessions import until

from tarnhelm.common.stage import StageOutcome, Status
from tarnhelm.common.stage_service.server import NAME
from tarnhelm.gateway.stages.remote_judge import RemoteJudge
from tarnhelm.gateway.stages.remote_stage import JudgeCall, RemoteSettings, RemoteStage, counts_as_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@dataclass
class House:
    """Assigner and metadata service of a project."""

    project: str
    assign: AssignServer
    metadata: AssignServer
    stage: RemoteStage
    ticket: Callable[[], bytes]


@pytest.fixture(params=["whole", "streamed"])
def form(request) -> str:
    """How objects travel."""
    return str(request.param)


@pytest.fixture
def house(tmp_path: Path, gateway, launch, form: str) -> Iterator[House]:
    place = LocalPlace(tmp_path)
    project = place.create("lung").id
    assign = launch(place)
    metadata = start_metadata(assign.target, "--scratch", tmp_path)
    stage = RemoteStage("metadata", remote_settings(form, metadata.target))
    made = House(project, assign, metadata, stage, lambda: gateway.ticket(project, object_id="object-1"))
    yield made
    stage.close()
    if metadata.process.poll() is None:
        metadata.stop(kill=True)


def test_a_call_in_hand_ends_well_when_the_service_is_told_to_go(house: House, tmp_path: Path) -> None:
    config, _ = default_config()
    sent = Sent(chest_slice())
    process = house.stage.process
    assert process(sent.call(house.ticket(), config), sent.source, lambda _data: None).status is Status.DONE
    house.assign.process.send_signal(signal.SIGSTOP)  # the object waits for its surrogates
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(process, sent.call(house.ticket(), config), sent.source, sent.back.extend)
        until(lambda: "tarnhelm_stage_objects_in_hand 1.0" in told_by(house.metadata), "the call does not come in")
        house.metadata.process.send_signal(signal.SIGTERM)
        until(lambda: health_of(house.metadata) != "SERVING", "it still serves")
        house.assign.process.send_signal(signal.SIGCONT)
        assert call.result(60).status is Status.DONE
    assert house.metadata.process.wait(60) == 0
    assert not list(tmp_path.glob("tarnhelm-metadata-*"))


def test_objects_wait_while_the_assigner_is_away_and_go_on_when_it_is_back(house: House, gateway, launch) -> None:
    config, _ = default_config()
    sent = Sent(chest_slice())
    house.assign.stop(kill=True)
    outcome = house.stage.process(sent.call(house.ticket(), config), sent.source, sent.back.extend)
    assert (outcome.status, outcome.code, sent.back) == (Status.RETRY, "LNK-045", b"")
    assert not counts_as_attempt(outcome)


def test_a_ticket_that_nobody_signed_is_no_fault_of_the_object(house: House) -> None:
    config, _ = default_config()
    sent = Sent(chest_slice())
    outcome = house.stage.process(sent.call(b"no ticket", config), sent.source, sent.back.extend)
    assert outcome.status is not Status.DONE
    assert (outcome.status, outcome.code) == (Status.RETRY, "LNK-040")


def test_a_service_that_is_killed_loses_what_it_had_and_leaves_nothing_behind(house: House, tmp_path: Path) -> None:
    config, _ = default_config()
    sent = Sent(chest_slice())
    process = house.stage.process
    assert process(sent.call(house.ticket(), config), sent.source, lambda _data: None).status is Status.DONE
    house.assign.process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(process, sent.call(house.ticket(), config), sent.source, sent.back.extend)
        until(lambda: "tarnhelm_stage_objects_in_hand 1.0" in told_by(house.metadata), "the call does not come in")
        house.metadata.stop(kill=True)
        outcome = call.result(60)
    house.assign.process.send_signal(signal.SIGCONT)
    assert (outcome.status, outcome.code) == (Status.RETRY, "STG-006")
    assert counts_as_attempt(outcome)
    assert list(tmp_path.glob("tarnhelm-metadata-*/*"))
    again = start_metadata(house.assign.target, "--scratch", tmp_path)
    assert not list(tmp_path.glob("tarnhelm-metadata-*/[0-9a-f]"))
    assert again.stop() == 0


def test_a_stage_in_between_and_the_markers_at_the_end(house: House) -> None:
    """A stage that copies stands for one that cleaned pixels: its outcome is what the markers are made of."""
    config, _ = default_config()
    sent = Sent(Path(get_testdata_file("examples_palette.dcm", download=False)).read_bytes())
    call = sent.call(house.ticket(), config, accept_unchecked_pixels=True)
    first = house.stage.process(call, sent.source, sent.back.extend)
    assert first.facts.needs == {"ocr"}
    assert pydicom.dcmread(io.BytesIO(sent.back)).PatientIdentityRemoved == "NO"
    copied = StageOutcome(Status.DONE, methods=("113101",), output_sha256=first.output_sha256)
    work = Sent(bytes(sent.back))
    finalise = RemoteStage("finalise", RemoteSettings(house.metadata.target))
    last = finalise.process(
        work.call(b"", config, facts=first.facts, earlier=(("metadata", first), ("ocr", copied))),
        work.source,
        work.back.extend,
    )
    finalise.close()
    assert last.status is Status.DONE, last
    assert last.methods == (*first.methods, "113101")
    before, after = (pydicom.dcmread(io.BytesIO(one.data if one is work else one)) for one in (work, bytes(work.back)))
    assert after.PatientIdentityRemoved == "YES"
    assert after.BurnedInAnnotation == "NO"
    assert after.PixelData == before.PixelData
    changed = {
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "BurnedInAnnotation",
    }
    assert all(before.get(element.tag) == element for element in after if element.keyword not in changed)


def told_by(server: AssignServer) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def health_of(server: AssignServer) -> str:
    try:
        return server.health(NAME)
    except grpc.RpcError:
        return "gone"


def _signed(key, verdict) -> bool:
    from tarnhelm.witness.core import SealCheck, signed_bytes

    message = signed_bytes(verdict.object_id, verdict.policy_digest, verdict.output_sha256, verdict.clean)
    return SealCheck(key.public_key())(message, bytes.fromhex(verdict.signature))


def test_a_witness_that_is_killed_loses_what_it_had_and_says_before_what_it_does_not_take(
    tmp_path: Path, form: str
) -> None:
    signing_key(tmp_path / "witness.key")
    witness = start_witness(tmp_path / "witness.key", "--scratch", tmp_path, "--max-objects", 1)
    judge = RemoteJudge(remote_settings(form, witness.target))
    _, plan = default_config()
    source, digest = chest_slice(), "0" * 64
    policy = json.dumps(dict(plan.policy)).encode()
    call = JudgeCall("object-1", policy, plan.policy["digest"], len(source), len(source), digest)
    assert judge.judge(call, Sent(source).source, Sent(source).source).code == "WIT-008"  # a worker is there
    workers = below(witness.process.pid)
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(judge.judge, call, Sent(source).source, Sent(source).source)
            until(lambda: len(list(tmp_path.glob("tarnhelm-witness-*/[0-9a-f]"))) == 2, "nothing arrives")
            refused = judge.judge(call, Sent(source).source, Sent(source).source)
            witness.stop(kill=True)
            lost = first.result(60)
    finally:
        judge.close()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if witness.process.poll() is None:
            witness.stop(kill=True)
    assert (refused.clean, refused.code, refused.signature) == (False, "STG-005", "")
    assert (lost.clean, lost.code, lost.signature) == (False, "STG-006", "")


def below(pid: int) -> list[int]:
    """All processes that a process has started."""
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return children + [found for child in children for found in below(child)]
