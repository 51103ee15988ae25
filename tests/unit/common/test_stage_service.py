"""A stage behind gRPC: what it refuses, what it bounds, how calls end, who may call, how it goes."""

from __future__ import annotations

import contextlib
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tarnhelm.v1 import stage_pb2, stage_pb2_grpc
from tests.support import stage_cores
from tests.support.certificates import Authority
from tests.support.stage_hosting import CONFIG, Assigning, Hosted, header
from tests.support.stage_servers import Sent, remote_settings
from tests.support.vault_sessions import until

from tarnhelm.common.assign import AssignReply
from tarnhelm.common.limits import Limits
from tarnhelm.common.stage import Status
from tarnhelm.common.stage_service.server import NAME, Settings
from tarnhelm.common.stage_service.service import Bounds, WorkerPlan
from tarnhelm.gateway.stages.remote_stage import RemoteStage, counts_as_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGE = stage_cores.COPY + bytes(range(256)) * 80_000


def assigning() -> Assigning:
    return Assigning(lambda _request: AssignReply("subject", b"k" * 32, -1, "", {}))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Hosted]]:
    """Start services that end with the test."""
    running: list[Hosted] = []

    def start(assign: Any = None, *, bounds: Bounds = Bounds(), seconds: float = 60.0, **serving: Any) -> Hosted:  # noqa: B008
        limits = Limits(seconds_per_object=seconds, worker_memory_bytes=512 << 20)
        plan = WorkerPlan(stage_cores.FACTORY, ("metadata", "finalise"), limits, 1, limits)
        made = Hosted(Settings("test", plan, tmp_path, bounds), assign or assigning(), **serving)
        running.append(made)
        until(made.service.serving, "the workers do not start")
        return made

    yield start
    for one in running:
        if one.open:
            one.stop()


@pytest.fixture(params=["whole", "streamed"])
def form(request) -> str:
    """How small objects travel; large ones go in pieces in either form."""
    return request.param


@pytest.fixture
def client(form) -> Iterator[Callable[..., RemoteStage]]:
    with contextlib.ExitStack() as ends:

        def open_client(target: str, **settings: Any) -> RemoteStage:
            made = RemoteStage("metadata", remote_settings(form, target, **settings))
            ends.callback(made.close)
            return made

        yield open_client


def process(stage: RemoteStage, data: bytes, **changes: Any) -> tuple[Any, bytes]:
    sent = Sent(data)
    outcome = stage.process(sent.call(b"ticket", CONFIG, **changes), sent.source, sent.back.extend)
    return outcome, bytes(sent.back)


def chunk(data: bytes, part: int = 0) -> stage_pb2.ProcessRequest:
    return stage_pb2.ProcessRequest(chunk=stage_pb2.JobChunk(part=part, data=data))


def ended_with(target: str, *requests: stage_pb2.ProcessRequest) -> tuple[grpc.StatusCode, str]:
    """Status and code of a call that sends just these messages."""
    with grpc.insecure_channel(target) as channel:
        call = stage_pb2_grpc.StageServiceStub(channel).Process(iter(requests), timeout=30)
        try:
            for _ in call:
                pass
        except grpc.RpcError as error:
            return error.code(), dict(error.trailing_metadata() or ()).get("tarnhelm-code", "")
        return grpc.StatusCode.OK, ""


def health(target: str) -> str:
    with grpc.insecure_channel(target) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=NAME), timeout=10)
        except grpc.RpcError:
            return "gone"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def test_large_objects_come_and_go_in_pieces(host, client):
    outcome, back = process(client(host().target), LARGE)
    assert outcome.status is Status.DONE
    assert back == LARGE


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (3 << 20) - 9, 3 << 20, (4 << 20) - 9, 4 << 20, (7 << 20) + 1])
def test_objects_of_every_size_come_back_whole(host, client, size):
    data = stage_cores.COPY + LARGE[:size]
    outcome, back = process(client(host().target), data)
    assert outcome.status is Status.DONE
    assert back == data


def test_a_caller_that_gives_up_in_the_middle_of_a_large_object_leaves_nothing(host, client):
    hosted = host()
    stage = client(hosted.target)
    sent = Sent(LARGE, step=1 << 20)
    taken: list[int] = []

    def short_of_room(data: bytes) -> None:
        taken.append(len(data))
        if len(taken) == 9:
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        stage.process(sent.call(b"ticket", CONFIG), sent.source, short_of_room)
    until(lambda: hosted.service.objects == 0, "something stays in hand")
    assert process(stage, GOOD)[0].status is Status.DONE


def test_closing_a_client_ends_its_calls(host, form):
    assign = assigning()
    assign.holding = True
    stage = RemoteStage("metadata", remote_settings(form, host(assign).target))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(process, stage, stage_cores.ASK)
        until(lambda: assign.held, "nobody asks")
        stage.close()
        assert call.result(30)[0].status is Status.RETRY
    stage.close()


GOOD = stage_cores.COPY


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [chunk(GOOD)],
        [header(GOOD, object_id="")],
        [header(GOOD, object_id="a b")],
        [header(GOOD, plan_digest="x")],
        [header(GOOD, stage="ocr")],
        [header(GOOD, stage="")],
        [header(GOOD, config_digest="0" * 64)],
        [header(GOOD, config=b"\xff", config_digest=sha256(b"\xff").hexdigest())],
        [header(GOOD, parts=[])],
        [header(GOOD, parts=[stage_pb2.JobPart(size=9, sha256="zz")])],
        [header(GOOD, facts={"study_uid": "DOE^JANE"})],
        [header(GOOD, earlier=[stage_pb2.StageResult(stage="metadata")])],
        [header(GOOD), header(GOOD)],
        [header(GOOD), chunk(GOOD, part=1)],
        [header(GOOD), chunk(b"")],
        [header(GOOD), chunk(GOOD + b"x")],
    ],
)
def test_what_does_not_follow_the_protocol_is_refused(refusing, requests):
    assert ended_with(refusing.target, *requests) == (grpc.StatusCode.INVALID_ARGUMENT, "STG-007")


@pytest.fixture(scope="module")
def refusing(tmp_path_factory) -> Iterator[Hosted]:
    limits = Limits(max_object_bytes=10_000, worker_memory_bytes=512 << 20)
    plan = WorkerPlan(stage_cores.FACTORY, ("metadata", "finalise"), limits, 1, limits)
    made = Hosted(Settings("test", plan, tmp_path_factory.mktemp("refusing")))
    until(made.service.serving, "the workers do not start")
    yield made
    made.stop()


def test_other_bytes_than_announced_are_lost_data(refusing):
    loss = grpc.StatusCode.DATA_LOSS, "STG-008"
    assert ended_with(refusing.target, header(GOOD), chunk(GOOD[:-1])) == loss
    assert ended_with(refusing.target, header(GOOD), chunk(GOOD[:-1] + b"?")) == loss
    assert refusing.service.objects == 0


def test_an_object_beyond_the_bounds_is_not_taken(refusing):
    large = b"x" * 10_001
    assert ended_with(refusing.target, header(large)) == (grpc.StatusCode.FAILED_PRECONDITION, "LIM-001")
    bounded = header(GOOD, limits=stage_pb2.JobLimits(max_object_bytes=2))
    assert ended_with(refusing.target, bounded) == (grpc.StatusCode.FAILED_PRECONDITION, "LIM-001")


def test_a_stage_without_an_assigner_answers_no_question(refusing, client):
    outcome, _ = process(client(refusing.target), stage_cores.ASK)
    assert (outcome.status, outcome.code) == (Status.QUARANTINE, "STG-003")


def test_a_worker_may_ask_for_one_subject_only(host, client):
    outcome, _ = process(client(host().target), stage_cores.TWICE)
    assert (outcome.status, outcome.code) == (Status.QUARANTINE, "STG-004")


@pytest.mark.parametrize("bounds", [Bounds(max_objects=1), Bounds(max_scratch_bytes=2 * len(stage_cores.ASK) + 1)])
def test_a_full_service_takes_nothing_on_and_says_so_before_it_accepts(host, client, bounds):
    assign = assigning()
    assign.holding = True
    hosted = host(assign, bounds=bounds)
    stage = client(hosted.target)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(process, stage, stage_cores.ASK)
        until(lambda: assign.held, "nobody asks")
        for data in [LARGE, *[stage_cores.ASK] * 20]:  # the refusal arrives while the object is still being sent
            outcome, _ = process(stage, data)
            assert (outcome.status, outcome.code) == (Status.RETRY, "STG-005")
        hosted.call(assign.let_go)
        assert first.result(60)[0].status is Status.DONE
    assert process(stage, stage_cores.ASK)[0].status is Status.DONE


def test_questions_of_many_objects_wait_together(host, client):
    assign = assigning()
    assign.holding = True
    hosted = host(assign)
    stage = client(hosted.target)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(process, stage, stage_cores.ASK + bytes([n])) for n in range(4)]
        until(lambda: hosted.service.objects == 4, "calls do not come in")
        while not all(call.done() for call in calls):
            until(lambda: assign.held or all(call.done() for call in calls), "nobody asks")
            hosted.call(lambda: assign.let_go(holding=True))
        assert {call.result()[0].status for call in calls} == {Status.DONE}


def test_a_caller_that_goes_frees_everything_and_nothing_more_is_asked_for_it(host, form):
    assign = assigning()
    assign.holding = True
    hosted = host(assign)
    with grpc.insecure_channel(hosted.target) as channel:
        stub = stage_pb2_grpc.StageServiceStub(channel)

        def begin() -> Any:
            asked = header(stage_cores.ASK, ticket=b"ticket")
            if form == "streamed":
                return stub.Process(iter([asked, chunk(stage_cores.ASK)]))
            return stub.ProcessWhole.future(stage_pb2.ProcessWholeRequest(header=asked.header, data=stage_cores.ASK))

        busy = begin()
        until(lambda: assign.held, "nobody asks")
        queued = begin()
        until(lambda: hosted.service.objects == 2, "the second call does not come in")
        queued.cancel()
        busy.cancel()
        until(lambda: hosted.service.objects <= 1, "the queued call stays in hand")
    asked = len(assign.tickets)
    hosted.call(assign.let_go)
    until(lambda: hosted.service.objects == 0, "something stays in hand")
    assert hosted.service.bytes_in_hand == 0
    assert len(assign.tickets) == asked
    assert [path.name for path in hosted.service.scratch.folder.iterdir()] == ["lock"]


def test_a_call_ends_at_its_deadline(host, client):
    stage = client(host(seconds=30.0).target, margin_seconds=-29.0)
    outcome, _ = process(stage, stage_cores.HANG, limits=Limits(seconds_per_object=30.0))
    assert outcome.status is Status.RETRY
    assert counts_as_attempt(outcome)


def test_the_narrower_time_of_caller_and_service_holds(host, client):
    stage = client(host(seconds=600.0).target)
    outcome, _ = process(stage, stage_cores.HANG, limits=Limits(seconds_per_object=1.0))
    assert (outcome.status, outcome.code) == (Status.QUARANTINE, "LIM-006")


def test_draining_lets_the_call_in_hand_end_and_takes_no_other(host, client):
    assign = assigning()
    assign.holding = True
    hosted = host(assign, drain_seconds=0.5)
    stage = client(hosted.target)
    until(lambda: health(hosted.target) == "SERVING", "it does not serve")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(process, stage, stage_cores.ASK)
        until(lambda: assign.held, "nobody asks")
        drained = hosted.drain()
        until(lambda: health(hosted.target) == "NOT_SERVING", "it still serves")
        until(lambda: health(hosted.target) == "gone", "it takes calls on")
        assert process(client(hosted.target), GOOD)[0].code == "STG-005"
        assert not drained.done()
        hosted.call(assign.let_go)
        assert call.result(60)[0].status is Status.DONE
        drained.result(60)
    hosted.end()


def test_workers_that_cannot_start_are_told_and_nothing_is_taken(tmp_path, client):
    plan = WorkerPlan("tests.support.stage_cores:no_such_factory", ("metadata",), None, 1)
    hosted = Hosted(Settings("test", plan, tmp_path))
    try:
        assert health(hosted.target) == "NOT_SERVING"
        outcome, _ = process(client(hosted.target), GOOD)
        assert (outcome.status, outcome.code) == (Status.RETRY, "STG-005")
    finally:
        hosted.stop()


@pytest.mark.parametrize(
    ("listed", "serves"),
    [(NAME, "both"), (f"/{NAME}/Process", "streamed"), (f"/{NAME}/ProcessWhole", "whole")],
)
def test_a_method_serves_the_callers_it_names(tmp_path, host, client, form, listed, serves):
    authority = Authority(tmp_path / "ca")
    server, gateway, other = (authority.issue(name, f"{name}.test") for name in ("stage", "gateway", "other"))
    hosted = host(
        tls_certificate_file=server.certificate,
        tls_key_file=server.key,
        client_ca_file=authority.ca_file,
        callers={listed: frozenset({"gateway.test"})},
    )
    # Where one method alone is listed, the other is nobody's.
    allowed = (Status.DONE, "") if serves in ("both", form) else (Status.RETRY, "STG-005")
    for pair, expected in ((gateway, allowed), (other, (Status.RETRY, "STG-005"))):
        stage = client(hosted.target, ca_file=authority.ca_file, certificate_file=pair.certificate, key_file=pair.key)
        outcome, _ = process(stage, GOOD)
        assert (outcome.status, outcome.code) == expected
    bare = client(hosted.target, ca_file=authority.ca_file)
    assert process(bare, GOOD)[0].code == "STG-005"


def test_a_service_that_is_not_there_is_away(client):
    outcome, _ = process(client("127.0.0.1:1"), GOOD)
    assert (outcome.status, outcome.code) == (Status.RETRY, "STG-005")
    assert not counts_as_attempt(outcome)


def test_a_closed_client_says_away(host, form):
    stage = RemoteStage("metadata", remote_settings(form, host().target))
    stage.close()
    assert process(stage, GOOD)[0].code == "STG-005"


def test_metrics_tell_outcomes_and_what_is_in_hand(host, client):
    hosted = host(metrics_listen="127.0.0.1:0")
    stage = client(hosted.target)
    process(stage, GOOD)
    process(stage, stage_cores.FAULT)
    with urllib.request.urlopen(f"http://127.0.0.1:{hosted.running.metrics.port}/metrics", timeout=10) as answer:
        told = answer.read().decode()
    assert 'tarnhelm_stage_outcomes_total{code="",stage="metadata",status="done"} 1.0' in told
    assert 'tarnhelm_stage_outcomes_total{code="STG-001",stage="metadata",status="quarantine"} 1.0' in told
    assert "tarnhelm_stage_available 1.0" in told
    assert "object-1" not in told


def test_many_callers_at_once_get_each_their_own(host, client):
    stage = client(host().target)
    objects = [stage_cores.COPY + str(n).encode() * 1000 for n in range(60)]
    with ThreadPoolExecutor(12) as pool:
        assert [back for _, back in pool.map(lambda data: process(stage, data), objects)] == objects
    assert threading.active_count() < 60
