"""The gateway split into processes that know each other by certificates, as ``deploy/compose`` runs it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import grpc
import httpx
import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage
from tarnhelm.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    linkage_pb2,
    linkage_pb2_grpc,
    stage_pb2_grpc,
    witness_pb2_grpc,
)
from tests.integration.test_clean import PLANTED, chest_series
from tests.kill.senders import TRANSFER_SYNTAX, _let_go
from tests.support.faults import await_true
from tests.support.split import Deployment

pytestmark = pytest.mark.timeout(600)

CALLS = {
    "assign": lambda channel: linkage_pb2_grpc.AssignServiceStub(channel).Assign(
        linkage_pb2.AssignRequest(), timeout=20
    ),
    "metadata-service": lambda channel: list(stage_pb2_grpc.StageServiceStub(channel).Process(iter(()), timeout=20)),
    "witness-service": lambda channel: witness_pb2_grpc.WitnessServiceStub(channel).Judge(iter(()), timeout=20),
    "admin": lambda channel: admin_pb2_grpc.AdminServiceStub(channel).GetStatus(
        admin_pb2.GetStatusRequest(), timeout=20
    ),
}
LET_IN = {
    "assign": "metadata",
    "metadata-service": "gateway",
    "witness-service": "gateway",
    "admin": "gateway",
}


@pytest.fixture
def deployment(tmp_path, own_kafka, postgres, s3_server, bao):
    made = Deployment(tmp_path / "deployment", own_kafka, postgres, s3_server, bao)
    try:
        yield made.start()
    finally:
        made.close()


def send(deployment, paths, seconds=120.0):
    """Send a study by C-STORE over TLS, as the PACS that the door knows; again, until each object is taken."""
    deadline = time.monotonic() + seconds
    await_true(lambda: listens(deployment.ports["dicom"]), seconds, deployment.said)
    tls = ssl.create_default_context(cafile=deployment.ca_file)
    waiting = list(paths)
    while waiting:
        assert time.monotonic() < deadline, deployment.said()
        ae = AE("PACS")
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        ae.add_requested_context(CTImageStorage, TRANSFER_SYNTAX)
        association = ae.associate(
            "127.0.0.1", deployment.ports["dicom"], ae_title="TRIAL7", tls_args=(tls, "127.0.0.1")
        )
        while association.is_established and waiting:
            if association.send_c_store(waiting[0]).get("Status") != 0x0000:
                break
            del waiting[0]
        _let_go(association)
        time.sleep(0.2)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def channel_with(deployment, name, certificate, key):
    pair = grpc.ssl_channel_credentials(deployment.ca_file.read_bytes(), key.read_bytes(), certificate.read_bytes())
    return grpc.secure_channel(f"127.0.0.1:{deployment.ports[name]}", pair)


def refusal(deployment, name, certificate, key):
    """What a caller with that certificate is told; None where he is let in."""
    with channel_with(deployment, name, certificate, key) as channel:
        try:
            CALLS[name](channel)
        except grpc.RpcError as error:
            return error.code()
    return None


def test_a_study_goes_through_and_strangers_are_refused(deployment, tmp_path):
    source = chest_series(tmp_path / "source", 8)
    paths = sorted(source.iterdir())
    send(deployment, paths)
    assert deployment.await_end(8) == {"released": 8}, deployment.said()
    released = [dcmread(path) for path in deployment.released().values()]
    assert {one.PixelData for one in released} == {dcmread(path).PixelData for path in paths}
    assert len({str(one.PatientID) for one in released}) == 1
    everything = [path.read_bytes() for path in deployment.clean.rglob("*.dcm")]
    everything += [path.read_bytes() for path in (deployment.folder / "log").iterdir()]
    assert not any(word.encode() in content for word in PLANTED for content in everything)
    key = deployment.config / "keys" / "manifest.pub.pem"
    await_true(lambda: len(deployment.manifest()) == 8, 30, deployment.said)
    deployment._said("manifest", "verify", deployment.state / "manifest", "--key", key)

    # Who is not named is refused by the service, who comes with another authority's certificate by the handshake.
    for name, friend in LET_IN.items():
        pair = [deployment.secrets / f"{friend}.{kind}" for kind in ("crt", "key")]
        heard = refusal(deployment, name, *pair)  # about what he asked, which was nothing sensible
        refused = grpc.StatusCode.UNAUTHENTICATED if name == "admin" else grpc.StatusCode.PERMISSION_DENIED
        assert heard not in (refused, grpc.StatusCode.UNAVAILABLE), name
        pair = [deployment.secrets / f"stranger.{kind}" for kind in ("crt", "key")]
        assert refusal(deployment, name, *pair) is refused, name
        other = deployment.other
        assert refusal(deployment, name, other.certificate, other.key) is grpc.StatusCode.UNAVAILABLE, name
    # The page stands in front of the administration.
    tls = ssl.create_default_context(cafile=deployment.ca_file)
    with httpx.Client(verify=tls, trust_env=False, timeout=20) as client:
        page = client.get(f"https://127.0.0.1:{deployment.ports['web']}/", follow_redirects=True)
        assert page.status_code == 200, page.text[:300]

    # SIGTERM: whoever is asked finishes what it has in hand and ends well, callers before who is called.
    for name in reversed(list(deployment.processes)):
        assert deployment.processes[name].end() == 0, (name, deployment.said())


@pytest.mark.slow
def test_a_second_replica_shares_the_work_and_one_that_drains_loses_nothing(deployment, tmp_path):
    first = deployment.processes["metadata"]
    second = deployment.start_one("metadata", "-2")
    count = 0
    deadline = time.monotonic() + 120
    while not (first.outcomes("metadata") and second.outcomes("metadata")):
        assert time.monotonic() < deadline, deployment.said()
        send(deployment, sorted(chest_series(tmp_path / f"source-{count}", 12, seed=count).iterdir()))
        count += 12
        deployment.await_end(count)
    before = first.outcomes("metadata"), second.outcomes("metadata")
    send(deployment, sorted(chest_series(tmp_path / "shared", 60, seed=1001).iterdir()))
    count += 60
    assert deployment.await_end(count) == {"released": count}
    shares = first.outcomes("metadata") - before[0], second.outcomes("metadata") - before[1]
    assert sum(shares) >= 60
    assert min(shares) >= 0.25 * sum(shares), shares  # objects go to partitions by their ids

    # One of them drains in the middle of the work, then everything that is not a service does, and starts again.
    send(deployment, sorted(chest_series(tmp_path / "drained", 40, seed=1002).iterdir()))
    assert second.end() == 0, deployment.said()
    for role in ("metadata", "witness", "release"):
        assert deployment.processes[role].end() == 0, deployment.said()
        deployment.start_one(role)
    count += 40
    assert deployment.await_end(count) == {"released": count}
    assert len(deployment.released()) == count
    await_true(lambda: len(deployment.manifest()) == count, 60, deployment.said)
