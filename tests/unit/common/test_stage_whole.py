"""Objects that travel in one message: the same refusals, bounds and results as in a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from tarnhelm.v1 import stage_pb2, stage_pb2_grpc
from tests.support import stage_cores
from tests.support.stage_hosting import Hosted, header
from tests.support.stage_servers import Sent
from tests.support.vault_sessions import until

from tarnhelm.common.limits import Limits
from tarnhelm.common.stage import Status
from tarnhelm.common.stage_service.server import NAME, Settings
from tarnhelm.common.stage_service.service import WorkerPlan
from tarnhelm.gateway.stages.remote_channel import gathered
from tarnhelm.gateway.stages.remote_stage import RemoteSettings, RemoteStage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = stage_cores.COPY


def start(folder: Path, **bounds: int) -> Hosted:
    limits = Limits(worker_memory_bytes=512 << 20, **bounds)
    made = Hosted(Settings("test", WorkerPlan(stage_cores.FACTORY, ("metadata",), limits, 1, limits), folder))
    until(made.service.serving, "the workers do not start")
    return made


@pytest.fixture(scope="module")
def hosted(tmp_path_factory) -> Iterator[Hosted]:
    made = start(tmp_path_factory.mktemp("hosted"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def refusing(tmp_path_factory) -> Iterator[Hosted]:
    made = start(tmp_path_factory.mktemp("refusing"), max_object_bytes=10_000)
    yield made
    made.stop()


@pytest.fixture
def stage(hosted) -> Iterator[RemoteStage]:
    made = RemoteStage("metadata", RemoteSettings(hosted.target))
    yield made
    made.close()


def whole_ended_with(target: str, asked: stage_pb2.ProcessRequest, data: bytes) -> tuple[grpc.StatusCode, str, bool]:
    """Status and code of a call in one message, and whether the service had accepted it."""
    request = stage_pb2.ProcessWholeRequest(header=asked.header, data=data)
    options = (("grpc.max_send_message_length", -1),)
    with grpc.insecure_channel(target, options) as channel:
        try:
            stage_pb2_grpc.StageServiceStub(channel).ProcessWhole(request, timeout=30)
        except grpc.RpcError as error:
            accepted = "tarnhelm-accepted" in dict(error.initial_metadata() or ())
            return error.code(), dict(error.trailing_metadata() or ()).get("tarnhelm-code", ""), accepted
        return grpc.StatusCode.OK, "", True


@pytest.mark.parametrize(
    ("asked", "data", "status", "code", "accepted"),
    [
        (stage_pb2.ProcessRequest(), GOOD, "INVALID_ARGUMENT", "STG-007", False),
        (header(GOOD, object_id="a b"), GOOD, "INVALID_ARGUMENT", "STG-007", False),
        (header(GOOD, config_digest="0" * 64), GOOD, "INVALID_ARGUMENT", "STG-007", False),
        (header(b"x" * 10_001), b"x" * 10_001, "FAILED_PRECONDITION", "LIM-001", False),
        (header(GOOD), GOOD + b"x", "INVALID_ARGUMENT", "STG-007", True),
        (header(GOOD), GOOD[:-1], "DATA_LOSS", "STG-008", True),
        (header(GOOD), b"", "DATA_LOSS", "STG-008", True),
        (header(GOOD), GOOD[:-1] + b"?", "DATA_LOSS", "STG-008", True),
        (header(GOOD), bytes(9 << 20), "RESOURCE_EXHAUSTED", "", False),
        (header(GOOD), GOOD, "OK", "", True),
    ],
)
def test_one_message_is_judged_as_a_stream_is(refusing, asked, data, status, code, accepted):
    assert whole_ended_with(refusing.target, asked, data) == (grpc.StatusCode[status], code, accepted)
    assert (refusing.service.objects, refusing.service.bytes_in_hand) == (0, 0)
    left = {path.name for path in refusing.service.scratch.folder.iterdir()}
    assert status == "OK" or left == {"lock"}
    until(lambda: not spares(refusing), "what was good stays in the scratch")


def spares(hosted: Hosted) -> list[Path]:
    """Files that wait for the next object."""
    return [path for path in hosted.service.scratch.folder.iterdir() if path.name != "lock"]


def test_files_are_used_again_and_hold_nothing_of_the_object_before(tmp_path):
    limits = Limits(worker_memory_bytes=512 << 20)
    plan = WorkerPlan(stage_cores.FACTORY, ("metadata",), limits, 1, limits, overwrites=True)
    hosted = Hosted(Settings("test", plan, tmp_path))
    stage = RemoteStage("metadata", RemoteSettings(hosted.target))
    try:
        until(hosted.service.serving, "the workers do not start")
        for size in (300_000, 10, 200_000, 0, 300_001, 1):
            sent = Sent(GOOD + bytes(range(1, 251)) * (size // 250) + b"x" * (size % 250))
            outcome = stage.process(sent.call(b"ticket", b"{}"), sent.source, sent.back.extend)
            assert (outcome.status, sent.back) == (Status.DONE, sent.data)
            assert len(spares(hosted)) <= 2
        until(lambda: not spares(hosted), "what was good stays in the scratch")
        for trap in (stage_cores.FAULT, stage_cores.EAT):
            for data in (GOOD + bytes(1000), trap):
                sent = Sent(data)
                outcome = stage.process(sent.call(b"ticket", b"{}"), sent.source, sent.back.extend)
            assert outcome.status is Status.QUARANTINE
            assert not spares(hosted), "after an error nothing waits"
    finally:
        stage.close()
        hosted.stop()


def test_a_request_with_its_fields_in_another_order_is_read_all_the_same(hosted):
    head, data = stage_pb2.ProcessWholeRequest(header=header(GOOD).header), stage_pb2.ProcessWholeRequest(data=GOOD)
    with grpc.insecure_channel(hosted.target) as channel:
        ask = channel.unary_unary(
            f"/{NAME}/ProcessWhole", response_deserializer=stage_pb2.ProcessWholeResponse.FromString
        )
        for request in (head, data), (data, head):
            answer = ask(b"".join(part.SerializeToString() for part in request), timeout=30)
            assert answer.data == GOOD
            assert answer.result.output_bytes == len(GOOD)


def test_bytes_that_are_no_message_are_refused(refusing):
    with grpc.insecure_channel(refusing.target) as channel:
        ask = channel.unary_unary(f"/{NAME}/ProcessWhole")
        with pytest.raises(grpc.RpcError) as caught:
            ask(b"\xff\xff\xff", timeout=30)
    assert dict(caught.value.trailing_metadata())["tarnhelm-code"] == "STG-007"


def test_more_than_one_message_may_hold_is_refused_even_where_it_would_fit(hosted):
    data = stage_cores.COPY + bytes(4 << 20)
    found = whole_ended_with(hosted.target, header(data), data)
    assert found == (grpc.StatusCode.INVALID_ARGUMENT, "STG-007", True)


@pytest.mark.parametrize("more", [1 << 20, (8 << 20) - 100, 8 << 20, 9 << 20])
def test_a_result_may_be_far_larger_than_its_object(stage, more):
    data = stage_cores.GROW + str(more).encode()
    sent = Sent(data)
    outcome = stage.process(sent.call(b"ticket", b"{}"), sent.source, sent.back.extend)
    assert outcome.status is Status.DONE
    assert sent.back == data + bytes(more)


def test_an_object_with_a_large_configuration_goes_as_it_fits(stage):
    large = b" " * (4 << 20)
    for size in (1000, (4 << 20) - len(GOOD)):
        sent = Sent(GOOD + bytes(size))
        outcome = stage.process(sent.call(b"ticket", large), sent.source, sent.back.extend)
        assert (outcome.status, outcome.code) == (Status.DONE, "")
        assert sent.back == sent.data


def test_only_as_much_is_gathered_as_is_sent():
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(1000)

    assert len(gathered(endless, 2500)) == 2501
    assert len(taken) == 3
    data = bytes(5)
    assert gathered(lambda: iter([data]), 5) is data
    assert gathered(lambda: iter([]), 5) == b""


def test_no_client_sends_more_than_a_service_takes():
    with pytest.raises(ValueError, match="one message"):
        RemoteSettings("127.0.0.1:1", whole_bytes=(4 << 20) + 1)
