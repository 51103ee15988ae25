"""A head that may show a face, on a running gateway: held with its cleaned header, accepted by two people, then released."""

from __future__ import annotations

import secrets
import time

import pytest
from pydicom import dcmread
from tarnhelm.v1 import admin_pb2, admin_pb2_grpc
from tests.integration.test_clean import PLANTED, chest_series
from tests.kill.senders import Errand, Senders
from tests.support.gateway import GatewayUnderTest, free_port

from tarnhelm.gateway.admin.client import channel_to, metadata_for
from tarnhelm.gateway.web.settings import AdminAddress

pytestmark = [
    pytest.mark.timeout(600),
    # pynetdicom's client leaves the socket of a connection that was cut off to the collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture
def people(tmp_path):
    files = {}
    for name in ("ann", "bo"):
        files[name] = tmp_path / f"{name}.token"
        files[name].touch(mode=0o600)
        files[name].write_text(secrets.token_urlsafe(32))
    return files


@pytest.fixture
def gateway(tmp_path, people):
    port = free_port()
    callers = [{"name": name, "role": "reviewer", "token_file": str(path)} for name, path in people.items()]
    page = {"accounts_file": str(tmp_path / "accounts.sqlite"), "listen": f"127.0.0.1:{free_port()}"}
    web = {"admin": {"server": {"listen": f"127.0.0.1:{port}"}, "callers": callers}, "page": page}
    made = GatewayUnderTest(tmp_path / "gateway", {"web": web}, web=True)
    made.admin = f"127.0.0.1:{port}"
    with made as started:
        yield started


def test_two_people_accept_what_one_alone_cannot(gateway, people, tmp_path):
    path = next(chest_series(tmp_path / "source", 1).iterdir())
    dataset = dcmread(path)
    dataset.BodyPartExamined = "HEAD"
    dataset.save_as(path)
    Senders(gateway).run([Errand(path, "dicom")], threads_each=1)
    assert gateway.await_end(1, 60) == {"quarantined": 1}
    ((_, code), _) = next(iter(gateway.codes().items()))
    assert code in {"PIX-001", "PIX-002", "PIX-003"}

    def decide(who, code=0):
        done = gateway.command(
            "quarantine", "accept", object_id, "--reason", "a phantom", "--gateway", gateway.admin,
            "--token-file", people[who],
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    listed = gateway.command("quarantine", "list", "--gateway", gateway.admin, "--token-file", people["ann"])
    assert listed.returncode == 0, listed.stderr
    assert code in listed.stdout
    ((object_id,),) = gateway._ask("SELECT object_id FROM objects")
    with channel_to(AdminAddress(gateway.admin), asynchronous=False) as channel:
        metadata = metadata_for(people["ann"].read_text())
        request = admin_pb2.ShowHeaderRequest(object_id=object_id)
        answer = admin_pb2_grpc.AdminServiceStub(channel).ShowHeader(request, metadata=metadata, timeout=60)
    header = str(answer)
    assert answer.stage == "metadata"
    assert "PatientID" in header
    assert not any(word in header for word in PLANTED)

    decide("ann")  # proposes
    decide("ann", code=1)  # and cannot confirm
    assert gateway.states() == {"quarantined": 1}
    decide("bo")
    deadline = time.monotonic() + 60
    while gateway.states() != {"released": 1}:
        assert time.monotonic() < deadline, (gateway.codes(), gateway.said())
        time.sleep(0.2)
    (content,) = gateway.released().values()
    assert not any(word.encode() in content for word in PLANTED)
    while not gateway.manifest() and time.monotonic() < deadline:
        time.sleep(0.1)  # the files follow the state
    (line,) = gateway.manifest()
    assert line["document"]["accepted_unchecked"] is True
    while True:  # the status is measured every few seconds
        watched = gateway.command("watch", "--once", "--gateway", gateway.admin, "--token-file", people["bo"])
        assert watched.returncode == 0, watched.stderr
        if "released" in watched.stdout.lower():
            break
        assert time.monotonic() < deadline, watched.stdout
