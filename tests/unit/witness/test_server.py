"""The server over a real loopback socket: verdicts, refusals, bounds, health, mTLS, draining."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pairs import DIGEST, Pair, policy
from tarnhelm.v1 import witness_pb2 as pb
from tarnhelm.v1 import witness_pb2_grpc

from tarnhelm.common import serve
from tarnhelm.common.limits import Limits
from tarnhelm.witness.convert import verdict_of
from tarnhelm.witness.core import Finding, verify_verdict
from tarnhelm.witness.server import Settings, main, witness_service
from tarnhelm.witness.service import Bounds
from tarnhelm.witness.worker import make_worker

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.witness.core import Verdict
    from tarnhelm.witness.pool import Case

SOURCE, RESULT = Pair().build()
SOURCE_PART, RESULT_PART = pb.WITNESS_PART_SOURCE, pb.WITNESS_PART_RESULT
PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.fixture
def key_file(tmp_path, key) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(*PEM))
    return path


def _header(source: bytes = SOURCE, result: bytes = RESULT, **changes) -> pb.JudgeRequest:
    fields = {
        "object_id": "object-1",
        "policy": policy(),
        "policy_digest": DIGEST,
        "source_bytes": len(source),
        "result_bytes": len(result),
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "result_sha256": hashlib.sha256(result).hexdigest(),
    }
    return pb.JudgeRequest(header=pb.JudgeHeader(**fields | changes))


def _chunks(source: bytes = SOURCE, result: bytes = RESULT, step: int = 65536) -> list[pb.JudgeRequest]:
    return [
        pb.JudgeRequest(chunk=pb.JudgeChunk(part=part, data=data[at : at + step]))
        for part, data in ((SOURCE_PART, source), (RESULT_PART, result))
        for at in range(0, len(data), step)
    ]


async def _call(channel: grpc.aio.Channel, requests: list[pb.JudgeRequest]) -> pb.JudgeResponse:
    return await witness_pb2_grpc.WitnessServiceStub(channel).Judge(iter(requests), timeout=30)


async def _healthy(health) -> None:
    """Wait until the servicer of health says SERVING: a worker has started."""
    request = health_pb2.HealthCheckRequest(service="tarnhelm.v1.WitnessService")
    while (await health.Check(request, None)).status != health_pb2.HealthCheckResponse.SERVING:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _serving(key_file: Path, work, **changes):
    """Run ``work(channel, running)`` against a fresh server; ``running.pool`` is what judges."""

    async def run():
        of_witness = {name: changes.pop(name) for name in ("bounds", "limits", "factory") if name in changes}
        service, pool = witness_service(
            Settings(signing_key_file=key_file, scratch=key_file.parent, workers=1, **of_witness)
        )
        served = serve.ServerSettings(listen="127.0.0.1:0", drain_seconds=0.0, **changes)
        running = await serve.start(served, service)
        try:
            await _healthy(running.health)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
                return await asyncio.wait_for(
                    work(channel, SimpleNamespace(pool=pool, port=running.port, health=running.health)), 60
                )
        finally:
            await running.drain()

    return asyncio.run(run())


def test_verdicts_over_the_wire(key, key_file):
    spoiled = RESULT.replace(b"AXIAL 5.0 MM LUNG", b"KOWALCZYK JADWIGA")

    async def work(channel, running):
        clean = verdict_of(await _call(channel, [_header(), *_chunks()]))
        found = verdict_of(await _call(channel, [_header(result=spoiled), *_chunks(result=spoiled, step=1000)]))
        return clean, found

    clean, found = _serving(key_file, work)
    assert clean.clean
    assert clean.output_sha256 == hashlib.sha256(RESULT).hexdigest()
    assert [(f.code, f.position, f.identifier_class) for f in found.findings] == [("WIT-001", "0008103E", "name")]
    assert verify_verdict(key.public_key(), clean)
    assert verify_verdict(key.public_key(), found)
    assert not list(key_file.parent.glob("tarnhelm-witness-*"))  # nothing stays in the scratch


REFUSED = [
    # requests, status, code of the catalogue
    ([], "INVALID_ARGUMENT", "WIT-008"),
    (_chunks(), "INVALID_ARGUMENT", "WIT-008"),  # no header
    ([_header()], "INVALID_ARGUMENT", "WIT-008"),  # no parts
    ([_header(), *_chunks()[:1]], "INVALID_ARGUMENT", "WIT-008"),  # one part
    ([_header(), *_chunks()[::-1]], "INVALID_ARGUMENT", "WIT-008"),  # result first
    ([_header(), *_chunks(), *_chunks()[-1:]], "INVALID_ARGUMENT", "WIT-008"),  # more than announced
    ([_header(), _header()], "INVALID_ARGUMENT", "WIT-008"),
    ([_header(result_sha256="0" * 64), *_chunks()], "INVALID_ARGUMENT", "WIT-008"),
    ([_header(source_sha256="0" * 64), *_chunks()], "INVALID_ARGUMENT", "WIT-008"),
    ([_header(policy_digest="0" * 64), *_chunks()], "INVALID_ARGUMENT", "WIT-008"),
    ([_header(object_id="a b"), *_chunks()], "INVALID_ARGUMENT", "WIT-008"),
    ([_header(policy=b"{}"), *_chunks()], "INVALID_ARGUMENT", "WIT-007"),
    ([_header(source_bytes=1 << 40), *_chunks()], "FAILED_PRECONDITION", "LIM-001"),
]


def test_requests_out_of_order_or_bounds_are_refused(key_file):
    async def work(channel, running):
        answers = []
        for requests, _, _ in REFUSED:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await _call(channel, requests)
            answers.append(
                (caught.value.code().name, dict(caught.value.trailing_metadata() or ()).get("tarnhelm-code"))
            )
            assert "Kowalczyk" not in str(caught.value)
        assert (await _call(channel, [_header(), *_chunks()])).clean  # and the server is none the worse
        return answers

    assert _serving(key_file, work) == [(status, code) for _, status, code in REFUSED]


async def _call_whole(
    channel: grpc.aio.Channel, header: pb.JudgeRequest, source: bytes, result: bytes
) -> pb.JudgeResponse:
    request = pb.JudgeWholeRequest(header=header.header, source=source, result=result)
    return (await witness_pb2_grpc.WitnessServiceStub(channel).JudgeWhole(request, timeout=30)).verdict


REFUSED_WHOLE = [
    # header, source, result, status, code of the catalogue
    (pb.JudgeRequest(), SOURCE, RESULT, "INVALID_ARGUMENT", "WIT-008"),
    (_header(), SOURCE, b"", "INVALID_ARGUMENT", "WIT-008"),
    (_header(), SOURCE, RESULT[:-1], "INVALID_ARGUMENT", "WIT-008"),
    (_header(), SOURCE + b"x", RESULT, "INVALID_ARGUMENT", "WIT-008"),
    (_header(), RESULT, SOURCE, "INVALID_ARGUMENT", "WIT-008"),
    (_header(result_sha256="0" * 64), SOURCE, RESULT, "INVALID_ARGUMENT", "WIT-008"),
    (_header(source_sha256="0" * 64), SOURCE, RESULT, "INVALID_ARGUMENT", "WIT-008"),
    (_header(policy_digest="0" * 64), SOURCE, RESULT, "INVALID_ARGUMENT", "WIT-008"),
    (_header(policy=b"{}"), SOURCE, RESULT, "INVALID_ARGUMENT", "WIT-007"),
    (_header(source_bytes=1 << 40), SOURCE, RESULT, "FAILED_PRECONDITION", "LIM-001"),
    (_header(source=bytes(4 << 20)), bytes(4 << 20), RESULT, "INVALID_ARGUMENT", "WIT-008"),  # more than goes whole
    (_header(), bytes(9 << 20), RESULT, "RESOURCE_EXHAUSTED", None),  # more than a message holds
]


def test_parts_in_one_message_are_judged_as_those_of_a_stream(key, key_file):
    async def work(channel, running):
        answers = []
        for header, source, result, _, _ in REFUSED_WHOLE:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await _call_whole(channel, header, source, result)
            trailing = dict(caught.value.trailing_metadata() or ())
            answers.append((caught.value.code().name, trailing.get("tarnhelm-code")))
            assert "Kowalczyk" not in str(caught.value)
        streamed = await _call(channel, [_header(), *_chunks()])
        return answers, verdict_of(streamed), verdict_of(await _call_whole(channel, _header(), SOURCE, RESULT))

    answers, streamed, whole = _serving(key_file, work)
    assert answers == [(status, code) for *_, status, code in REFUSED_WHOLE]
    assert whole == streamed
    assert whole.clean
    assert verify_verdict(key.public_key(), whole)


def test_files_are_used_again_for_a_moment_and_hold_nothing_of_the_object_before(key_file):
    spoiled = RESULT.replace(b"AXIAL 5.0 MM LUNG", b"KOWALCZYK JADWIGA") + bytes(10_000)

    async def work(channel, running):
        def parts() -> int:
            return len(list(key_file.parent.glob("tarnhelm-witness-*/[0-9a-f]")))

        answers = []
        for result in (spoiled, RESULT, spoiled, RESULT):
            verdict = verdict_of(await _call_whole(channel, _header(result=result), SOURCE, result))
            answers.append((verdict.clean, verdict.output_sha256 == hashlib.sha256(result).hexdigest()))
            assert parts() <= 2
        with pytest.raises(grpc.aio.AioRpcError):
            await _call_whole(channel, _header(), SOURCE, RESULT[:-1])
        assert not parts(), "after an error nothing waits"
        await _call_whole(channel, _header(), SOURCE, RESULT)
        while parts():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return answers

    assert _serving(key_file, work) == [(False, True), (True, True)] * 2


def test_a_call_in_one_message_can_be_given_up(key_file):
    async def work(channel, running):
        for pid in running.pool.pids():
            os.kill(pid, signal.SIGSTOP)
        request = pb.JudgeWholeRequest(header=_header().header, source=SOURCE, result=RESULT)
        stub = witness_pb2_grpc.WitnessServiceStub(channel)
        call = stub.JudgeWhole(request)
        parts = key_file.parent.glob
        while len(list(parts("tarnhelm-witness-*/[0-9a-f]"))) < 2:  # noqa: ASYNC110 - accepted, and written
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call_whole(channel, _header(), SOURCE, RESULT)
        call.cancel()
        for pid in running.pool.pids():
            os.kill(pid, signal.SIGCONT)
        while True:  # room comes back when the worker has let go
            with contextlib.suppress(grpc.aio.AioRpcError):
                return caught.value.code().name, (await _call_whole(channel, _header(), SOURCE, RESULT)).clean
            await asyncio.sleep(0.01)

    assert _serving(key_file, work, bounds=Bounds(max_objects=1)) == ("RESOURCE_EXHAUSTED", True)


def test_a_full_server_says_so(key_file):
    async def work(channel, running):
        release = asyncio.Event()

        async def slow():
            yield _header()
            await release.wait()
            for chunk in _chunks():
                yield chunk

        first = witness_pb2_grpc.WitnessServiceStub(channel).Judge(slow())
        await first.initial_metadata()  # accepted
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call(channel, [_header(), *_chunks()])
        release.set()
        return caught.value.code().name, (await first).clean

    assert _serving(key_file, work, bounds=Bounds(max_objects=1)) == ("RESOURCE_EXHAUSTED", True)


def test_a_client_that_stalls_meets_the_deadline(key_file):
    async def work(channel, running):
        async def stalled():
            yield _header()
            await asyncio.sleep(30)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await witness_pb2_grpc.WitnessServiceStub(channel).Judge(stalled())
        return caught.value.code().name

    assert _serving(key_file, work, limits=Limits(seconds_per_object=0.2)) == "DEADLINE_EXCEEDED"


def test_a_worker_that_is_killed_costs_no_object(key_file):
    async def work(channel, running):
        assert (await _call(channel, [_header(), *_chunks()])).clean
        for pid in running.pool.pids():
            os.kill(pid, signal.SIGKILL)
        return (await _call(channel, [_header(), *_chunks()])).clean

    assert _serving(key_file, work)


def make_fatal(limits: Limits):
    """A worker that one object kills, that lies about others, and judges the rest."""
    examine = make_worker(limits)

    def core(case: Case, caller: object) -> Verdict:
        if case.object_id == "fatal":
            os._exit(3)
        found = examine(case, caller)
        lies = {
            "another": {"object_id": "object-1"},
            "policy": {"policy_digest": "0" * 64},
            "clean": {"findings": (Finding("WIT-001", "0008103E", "name"),)},
            "code": {"code": "WIT-001"},
        }
        return replace(found, **lies.get(case.object_id, {}))

    return core


def test_an_object_that_kills_its_worker_is_refused_and_no_other_suffers(key_file):
    async def work(channel, running):
        others = [asyncio.ensure_future(_call(channel, [_header(), *_chunks()])) for _ in range(3)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call(channel, [_header(object_id="fatal"), *_chunks()])
        trailing = dict(caught.value.trailing_metadata() or ())
        return caught.value.code().name, trailing.get("tarnhelm-code"), all([(await one).clean for one in others])

    assert _serving(key_file, work, factory="test_server:make_fatal") == ("FAILED_PRECONDITION", "LIM-007", True)


@pytest.mark.parametrize("lie", ["another", "policy", "clean", "code"])
def test_a_worker_gets_no_signature_for_anything_but_the_object_it_was_given(key_file, lie):
    async def work(channel, running):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call(channel, [_header(object_id=lie), *_chunks()])
        return dict(caught.value.trailing_metadata() or ()).get("tarnhelm-code")

    assert _serving(key_file, work, factory="test_server:make_fatal") == "WIT-004"


def test_verdicts_that_come_in_together_are_signed_together_and_each_is_good_alone(key, key_file):
    async def work(channel, running):
        calls = [_call(channel, [_header(object_id=f"object-{n}"), *_chunks()]) for n in range(12)]
        return [verdict_of(found) for found in await asyncio.gather(*calls)]

    found = _serving(key_file, work)
    assert all(verify_verdict(key.public_key(), one) and one.clean for one in found)
    assert len({one.object_id for one in found}) == 12


def test_workers_are_confined(key_file):
    async def work(channel, running):
        return running.pool.confinement

    assert _serving(key_file, work) in ("seccomp", "audit hook")


def test_health_follows_the_server(key_file):
    async def work(channel, running):
        stub = health_pb2_grpc.HealthStub(channel)
        names = ("", "tarnhelm.v1.WitnessService")
        before = [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]
        await running.health.enter_graceful_shutdown()
        after = [(await stub.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]
        return before, after

    serving, gone = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert _serving(key_file, work) == ([serving] * 2, [gone] * 2)


def test_reflection_is_served_only_when_asked_for(key_file):
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def work(channel, running):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        try:
            return {s.name async for r in stub.ServerReflectionInfo(requests) for s in r.list_services_response.service}
        except grpc.aio.AioRpcError as error:
            return error.code().name

    assert "tarnhelm.v1.WitnessService" in _serving(key_file, work, reflection=True)
    assert _serving(key_file, work) == "UNIMPLEMENTED"


def _certificate(folder: Path, name: str, issuer: tuple | None = None) -> tuple:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(issuer[0] if issuer else private, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").touch(mode=0o600)
    (folder / f"{name}.key").write_bytes(private.private_bytes(*PEM))
    return private, made


def test_only_clients_of_the_authority_are_served(tmp_path, key_file):
    authority = _certificate(tmp_path, "ca")
    for name in ("server", "client"):
        _certificate(tmp_path, name, authority)
    _certificate(tmp_path, "stranger")

    def credentials(name: str | None):
        pair = (
            ((tmp_path / f"{name}.key").read_bytes(), (tmp_path / f"{name}.pem").read_bytes()) if name else (None, None)
        )
        return grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes(), *pair)

    async def work(_, running):
        answers = []
        for name in ("client", "stranger", None):
            target = f"127.0.0.1:{running.port}"
            options = (("grpc.ssl_target_name_override", "localhost"),)
            async with grpc.aio.secure_channel(target, credentials(name), options) as channel:
                try:
                    answers.append((await _call(channel, [_header(), *_chunks()])).clean)
                except grpc.aio.AioRpcError as error:
                    answers.append(error.code().name)
        return answers

    tls = {
        "tls_certificate_file": tmp_path / "server.pem",
        "tls_key_file": tmp_path / "server.key",
        "client_ca_file": tmp_path / "ca.pem",
    }
    assert _serving(key_file, work, **tls) == [True, "UNAVAILABLE", "UNAVAILABLE"]


def test_the_command_serves_and_drains(tmp_path, key_file):
    command = [sys.executable, "-m", "tarnhelm.witness.server", "--listen", "127.0.0.1:0", "--workers", "1",
               "--signing-key-file", str(key_file), "--scratch", str(tmp_path), "--drain-seconds", "0"]  # fmt: skip
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONWARNINGS="")
    ) as process:
        line = process.stderr.readline()
        port = int(line.rsplit(" ", 1)[1])

        async def work():
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = health_pb2_grpc.HealthStub(channel)
                await _healthy(SimpleNamespace(Check=lambda request, _context: stub.Check(request)))
                return (await _call(channel, [_header(), *_chunks()])).clean

        assert asyncio.run(work())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_bytes_that_are_no_message_are_refused_with_the_code(key_file):
    async def work(channel, running):
        call = channel.stream_unary("/tarnhelm.v1.WitnessService/Judge")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(iter([b"Kowalczyk\xff"]))
        assert "Kowalczyk" not in str(caught.value)
        return caught.value.code().name, dict(caught.value.trailing_metadata() or ()).get("tarnhelm-code")

    assert _serving(key_file, work) == ("INVALID_ARGUMENT", "WIT-008")


def test_a_key_that_everybody_can_read_is_refused(tmp_path, key_file, capsys):
    for name in ("a.pem", "a.key"):
        (tmp_path / name).write_text("x")
    (tmp_path / "a.key").chmod(0o644)
    tls = ["--tls-certificate-file", str(tmp_path / "a.pem"), "--tls-key-file", str(tmp_path / "a.key")]
    with pytest.raises(SystemExit, match="2"):
        main(["--signing-key-file", str(key_file), *tls])
    assert "everybody" in capsys.readouterr().err


def test_help_and_bad_settings(tmp_path, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--signing-key-file" in capsys.readouterr().out
    for wrong in (
        ["--signing-key-file", "x", "--tls-key-file", "y"],
        ["--signing-key-file", "x", "--client-ca-file", "y"],
        [],
    ):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)
    (tmp_path / "bad").write_text("secret of nobody")
    capsys.readouterr()
    assert main(["--signing-key-file", str(tmp_path / "bad")]) == 2
    assert "secret" not in capsys.readouterr().err
