"""Who may call: mutual TLS, and a list of names for each method."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tarnhelm.v1 import linkage_pb2 as pb
from tarnhelm.v1 import linkage_pb2_grpc
from tests.support.assign_server import METHOD, NAME, LocalPlace
from tests.support.canaries import canary_requests
from tests.support.certificates import Authority

from tarnhelm.common import serve
from tarnhelm.common.assign_client import AssignChannel, channel_to
from tarnhelm.common.errors import ASSIGN_FAILED, ASSIGN_REQUEST, TarnhelmError
from tarnhelm.linkage.server import main

ONE = canary_requests(1)[0]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "tls")


@pytest.fixture
def tls(authority):
    """Arguments of a server that wants certificates."""
    pair = authority.issue("assign", "localhost")
    return [
        "--tls-certificate-file",
        pair.certificate,
        "--tls-key-file",
        pair.key,
        "--client-ca-file",
        authority.ca_file,
    ]


def code(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.code


def test_only_the_named_callers_may_assign(tmp_path, launch, gateway, authority, tls):
    place = LocalPlace(tmp_path)
    project = place.create("lung")
    metadata = authority.issue("metadata", "metadata.tarnhelm.svc")
    ocr = authority.issue("ocr", "ocr.tarnhelm.svc")
    stranger = Authority(tmp_path / "other", "other authority").issue("metadata", "metadata.tarnhelm.svc")
    server = launch(
        place, *tls, "--caller", "metadata.tarnhelm.svc", tls=(authority.ca_file, metadata.certificate, metadata.key)
    )
    assert server.ask(gateway.ticket(project.id), ONE).subject_id
    assert server.health() == "SERVING"
    before = place.ledger(project).counts()

    def asked_as(ca, pair):
        made = channel_to(
            server.target, ca_file=ca, certificate_file=pair and pair.certificate, key_file=pair and pair.key
        )
        channel = AssignChannel(made, timeout_seconds=5)
        try:
            return code(channel.ask, gateway.ticket(project.id), ONE)
        finally:
            channel.close()

    assert asked_as(authority.ca_file, ocr) == "LNK-046"  # a good certificate of another service
    assert asked_as(authority.ca_file, stranger) == "LNK-045"  # the right name of another authority
    assert asked_as(authority.ca_file, None) == "LNK-045"  # no certificate
    assert asked_as(None, None) == "LNK-045"  # plaintext
    assert place.ledger(project).counts() == before


def test_each_method_has_names_of_its_own(authority, tmp_path):
    """The names of a method go before those of its service; an empty list is nobody."""
    pairs = {name: authority.issue(name, name) for name in ("assign", "one", "two")}

    class Echo(linkage_pb2_grpc.AssignServiceServicer):
        async def Assign(self, _request, _context):  # noqa: N802 - the protocol's name
            return pb.AssignResponse(subject_id="echo")

    async def may(callers):
        service = serve.Service(
            NAME,
            lambda server: linkage_pb2_grpc.add_AssignServiceServicer_to_server(Echo(), server),
            lambda: None,
            faults=serve.Faults(ASSIGN_REQUEST, ASSIGN_FAILED),
        )
        settings = serve.ServerSettings(
            "127.0.0.1:0", pairs["assign"].certificate, pairs["assign"].key, authority.ca_file, callers, 0.0
        )
        running = await serve.start(settings, service)
        found = {}
        for name in ("one", "two"):
            credentials = grpc.ssl_channel_credentials(
                authority.ca_file.read_bytes(), pairs[name].key.read_bytes(), pairs[name].certificate.read_bytes()
            )
            async with grpc.aio.secure_channel(f"127.0.0.1:{running.port}", credentials) as channel:
                health = health_pb2_grpc.HealthStub(channel)
                assert (await health.Check(health_pb2.HealthCheckRequest())).status == 1
                watched = health.Watch(health_pb2.HealthCheckRequest())
                assert (await watched.read()).status == 1
                watched.cancel()
                try:
                    await linkage_pb2_grpc.AssignServiceStub(channel).Assign(pb.AssignRequest(), timeout=5)
                    found[name] = "OK"
                except grpc.aio.AioRpcError as error:
                    found[name] = error.code().name
        await running.drain()
        assert set(found.values()) <= {"OK", "PERMISSION_DENIED"}
        return {name for name, status in found.items() if status == "OK"}

    assert asyncio.run(may({})) == {"one", "two"}
    assert asyncio.run(may({NAME: frozenset({"one"})})) == {"one"}
    assert asyncio.run(may({NAME: frozenset({"one"}), METHOD: frozenset({"two", "three"})})) == {"two"}
    assert asyncio.run(may({NAME: frozenset({"one"}), METHOD: frozenset()})) == set()


def test_off_this_machine_nothing_is_served_without_certificates(tmp_path, gateway, tls, capsys):
    common = ["--state", str(tmp_path / "state"), "--ticket-key-file", str(gateway.key_file)]
    pair = [str(entry) for entry in tls[:4]]
    for wrong, why in (
        (["--listen", "0.0.0.0:0"], "server certificate"),
        (["--listen", "0.0.0.0:0", *pair], "client authority"),
        (["--caller", "metadata"], "client authority"),
        (pair[:2], "belong together"),
        (["--client-ca-file", str(tls[5])], "server certificate"),
        (["--metrics-listen", "here"], "host:port"),
        (["--subjects-per-hour", "0"], "begins at 1"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main([*common, *wrong])
        assert why in capsys.readouterr().err


def test_an_address_that_is_taken_is_a_setting(tmp_path, launch, gateway):
    place = LocalPlace(tmp_path)
    server = launch(place)
    arguments = [sys.executable, "-m", "tarnhelm.linkage.server", "--listen", server.target, *place.arguments]
    done = subprocess.run(
        check=False,
        args=[*map(str, arguments), "--ticket-key-file", str(gateway.key_file)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
