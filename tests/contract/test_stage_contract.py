"""What every stage owes a pump, wherever it runs: in workers of this machine, or behind gRPC, whole or in pieces."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from tests.support import stage_cores
from tests.support.stage_hosting import Assigning, Hosted
from tests.support.stage_servers import PLAN, Sent, chest_slice, default_config, remote_settings
from tests.support.vault_sessions import until

from tarnhelm.common.errors import ASSIGNER_AWAY, TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.common.stage import CONFIG, CONFIG_DIGEST, STAGE, StageJob, Status
from tarnhelm.common.stage_service.scratch import Scratch
from tarnhelm.common.stage_service.server import Settings
from tarnhelm.common.stage_service.service import WorkerPlan
from tarnhelm.gateway.stages.local_stage import LocalStage, PoolPlan
from tarnhelm.gateway.stages.path_stage import PathStage, Standing
from tarnhelm.gateway.stages.remote_stage import RemoteStage, counts_as_attempt
from tarnhelm.gateway.stages.spooled_stage import SpooledStage
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.metadata.worker import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.common.stage import StageOutcome

FACTORY = "tests.support.stage_cores:make_core"
LIMITS = Limits(worker_memory_bytes=512 << 20)
TICKET = b"ticket"
CT = chest_slice()
LITTER = Path(get_testdata_file("DICOMDIR", download=False)).read_bytes()
TEXT = Path(get_testdata_file("examples_palette.dcm", download=False)).read_bytes()
"""An ultrasound: text may stand in its pixels."""


class Assigners:
    """A project's assigner, which may be away."""

    def __init__(self, folder: Path) -> None:
        linkage = LocalLinkage(folder)
        self._assigner = linkage.assigner(linkage.create("lung").id)
        self.away = False

    def assign(self, request: AssignRequest) -> AssignReply:
        if self.away:
            raise TarnhelmError(ASSIGNER_AWAY)
        return self._assigner.assign(request)

    def close(self) -> None:
        self._assigner.close()


@dataclass
class World:
    """One way to run the stage, as a client that takes bytes and as a stage that takes files."""

    client: Any
    stage: Any
    in_hand: Callable[[], int]


class Worlds:
    """Makes worlds and ends them."""

    def __init__(self, kind: str, folder: Path, assigners: Assigners, config: bytes) -> None:
        self.kind = kind
        self.folder = folder
        self.assigners = assigners
        self.config = config
        self._ends: list[Callable[[], object]] = []

    def open(self, limits: Limits = LIMITS) -> World:
        self.folder.mkdir(exist_ok=True)
        if self.kind == "local":
            stage = LocalStage("metadata", PoolPlan(FACTORY, limits, 1, limits), self.assigners)
            client = SpooledStage(stage, Scratch(self.folder, "spool"))
            self._ends.append(client.close)
            return World(client, stage, lambda: stage.pool.pending)
        plan = WorkerPlan(FACTORY, STAGES, limits, 1, limits)
        hosted = Hosted(Settings("test", plan, self.folder), Assigning(self.assigners.assign))
        until(hosted.service.serving, "the workers do not start")
        self._ends.append(hosted.stop)
        remote = RemoteStage("metadata", remote_settings(self.kind, hosted.target))
        standing = Standing("project", self.config, lambda _object: TICKET)
        stage = PathStage(remote, standing)
        self._ends.append(stage.close)
        return World(remote, stage, lambda: hosted.service.objects)

    def close(self) -> None:
        for end in reversed(self._ends):
            end()


@pytest.fixture(scope="module")
def config() -> bytes:
    return default_config()[0]


@pytest.fixture(scope="module")
def assigners(tmp_path_factory) -> Iterator[Assigners]:
    made = Assigners(tmp_path_factory.mktemp("linkage"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=["local", "remote", "streamed"])
def worlds(request, tmp_path_factory, assigners, config) -> Iterator[Worlds]:
    made = Worlds(request.param, tmp_path_factory.mktemp("scratch"), assigners, config)
    yield made
    made.close()


@pytest.fixture(scope="module")
def world(worlds) -> World:
    return worlds.open()


def process(world: World, config: bytes, data: bytes, **changes: Any) -> tuple[StageOutcome, bytes]:
    sent = Sent(data)
    outcome = world.client.process(sent.call(TICKET, config, **changes), sent.source, sent.back.extend)
    return outcome, bytes(sent.back)


def submit(world: World, config: bytes, folder: Path, data: bytes, **changes: Any) -> tuple[StageOutcome, Path]:
    source, target = folder / "source", folder / "target"
    source.write_bytes(data)
    options = {CONFIG: config.decode(), CONFIG_DIGEST: hashlib.sha256(config).hexdigest(), STAGE: "metadata"}
    job = StageJob("object-1", source, target, PLAN, size=len(data), options=options, **changes)
    return world.stage.submit(job).result(timeout=120), target


def test_a_good_object_comes_back_with_its_digests_and_facts(world, config):
    outcome, back = process(world, config, CT)
    assert outcome.status is Status.DONE, outcome
    assert (outcome.code, outcome.message) == ("", "")
    assert outcome.output_sha256 == hashlib.sha256(back).hexdigest()
    assert (outcome.source_sha256, outcome.source_bytes) == (hashlib.sha256(CT).hexdigest(), len(CT))
    assert outcome.output_bytes == len(back)
    assert (outcome.facts.modality, outcome.facts.rows) == ("CT", 128)
    assert outcome.actions
    assert "113100" in outcome.methods
    assert world.client.name == "metadata"


def test_files_and_bytes_give_the_same_result(world, config, tmp_path):
    outcome, target = submit(world, config, tmp_path, CT)
    assert outcome.status is Status.DONE, outcome
    assert target.read_bytes() == process(world, config, CT)[1]


def test_every_way_to_run_it_gives_the_same_bytes_and_outcome(tmp_path, assigners, config):
    found = []
    for kind in ("local", "remote", "streamed"):
        worlds = Worlds(kind, tmp_path / kind, assigners, config)
        try:
            outcome, back = process(worlds.open(), config, CT)
        finally:
            worlds.close()
        found.append((back, outcome.facts, dict(outcome.actions), dict(outcome.findings), outcome.methods))
    assert found[0] == found[1] == found[2]


def test_litter_is_skipped(world, config, tmp_path):
    assert process(world, config, LITTER)[0].status is Status.SKIP
    outcome, target = submit(world, config, tmp_path, LITTER)
    assert (outcome.status, outcome.code) == (Status.SKIP, "DCM-002")
    assert not target.exists()


def test_what_is_cut_is_kept_back(world, config):
    outcome, back = process(world, config, CT[:-2000])
    assert (outcome.status, outcome.code[:3], back) == (Status.QUARANTINE, "DCM", b"")


def test_what_pixels_may_show_is_told_and_decided_by_whoever_knows_the_stages(world, config):
    outcome, back = process(world, config, TEXT)
    assert (outcome.status, outcome.facts.needs) == (Status.DONE, frozenset({"ocr"}))
    marked = dcmread(BytesIO(back))
    assert (marked.PatientIdentityRemoved, "PatientName" in marked) == ("NO", True)
    accepted, _ = process(world, config, TEXT, accept_unchecked_pixels=True)
    assert (accepted.status, accepted.facts.needs) == (Status.DONE, frozenset({"ocr"}))


def test_a_dry_run_gives_an_outcome_and_no_bytes(world, config, tmp_path):
    outcome, back = process(world, config, CT, dry_run=True)
    assert (outcome.status, back) == (Status.DONE, b"")
    assert outcome.actions
    outcome, target = submit(world, config, tmp_path, CT, dry_run=True)
    assert outcome.status is Status.DONE
    assert not target.exists()


@pytest.mark.parametrize(
    ("trap", "code"), [(stage_cores.DIE, "LIM-007"), (stage_cores.EAT, "LIM-008"), (stage_cores.FAULT, "STG-001")]
)
def test_a_hostile_file_harms_itself_alone(world, config, trap, code):
    outcome, back = process(world, config, trap)
    assert (outcome.status, outcome.code, back) == (Status.QUARANTINE, code, b"")
    assert "JANE" not in outcome.message
    assert process(world, config, CT)[0].status is Status.DONE


def test_a_file_that_hangs_its_worker_is_ended(worlds, config):
    world = worlds.open(Limits(seconds_per_object=1.0, worker_memory_bytes=512 << 20))
    outcome, _ = process(world, config, stage_cores.HANG)
    assert (outcome.status, outcome.code) == (Status.QUARANTINE, "LIM-006")
    until(lambda: world.in_hand() == 0, "something is still in hand")


def test_an_object_waits_while_the_assigner_is_away(world, config, assigners):
    assigners.away = True
    try:
        outcome, back = process(world, config, CT)
    finally:
        assigners.away = False
    assert (outcome.status, outcome.code, back) == (Status.RETRY, "LNK-045", b"")
    assert not counts_as_attempt(outcome)
    assert process(world, config, CT)[0].status is Status.DONE


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"size": len(CT) - 2}, {"size": len(CT) + 2}])
def test_other_bytes_than_announced_are_refused(world, config, change):
    outcome, back = process(world, config, CT, **change)
    assert (outcome.status, back) == (Status.QUARANTINE, b"")
    assert outcome.code in ("STG-007", "STG-008")


def test_a_configuration_that_cannot_be_used_quarantines(world, config):
    for wrong in (b"{}", config.replace(b'"plan":"', b'"plan":"0')):
        outcome, _ = process(world, wrong, CT)
        assert (outcome.status, outcome.code) == (Status.QUARANTINE, "STG-010")


class Summing(bytearray):
    """A sink that computes the digest of what it gets, of a little more where it is broken."""

    def __init__(self, more: bytes = b"") -> None:
        super().__init__()
        self.more = more

    def __call__(self, data: bytes) -> None:
        self.extend(data)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(bytes(self) + self.more).hexdigest()


def test_a_result_is_compared_with_the_digest_of_a_sink_that_has_it(world, config):
    sent, sink = Sent(CT), Summing()
    outcome = world.client.process(sent.call(TICKET, config), sent.source, sink)
    assert (outcome.status, outcome.output_sha256) == (Status.DONE, hashlib.sha256(sink).hexdigest())
    if isinstance(world.client, RemoteStage):
        lost = world.client.process(sent.call(TICKET, config), sent.source, Summing(b"more"))
        assert (lost.status, lost.code) == (Status.RETRY, "STG-006")


class _GoneError(Exception):
    pass


@pytest.mark.parametrize("place", ["source", "sink"])
def test_a_caller_that_gives_up_is_told_its_own_error_and_leaves_nothing(world, config, place):
    def broken() -> Iterator[bytes]:
        yield CT[:5000]
        raise _GoneError

    def full(_data: bytes) -> None:
        raise _GoneError

    sent = Sent(CT)
    call = sent.call(TICKET, config)
    with pytest.raises(_GoneError):
        world.client.process(call, broken if place == "source" else sent.source, full)
    until(lambda: world.in_hand() == 0, "something is still in hand")
    assert process(world, config, CT)[0].status is Status.DONE
