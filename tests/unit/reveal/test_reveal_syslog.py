"""Lines and heads reach the log server in the form of RFC 5424, or somebody is told that they did not."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from reveal_hospital import START, Drawn, code_of

from tarnhelm.reveal.core.audit.anchors import heads_in
from tarnhelm.reveal.core.audit.lines import make_line
from tarnhelm.reveal.core.audit.syslog import Syslog, SyslogAddress
from tarnhelm.reveal.core.audit.verify import verify_chain
from tarnhelm.reveal.core.audit.writer import Audit

KEY = Ed25519PrivateKey.from_private_bytes(Drawn("writer")(32))
PUBLIC = KEY.public_key().public_bytes_raw()


def message_of(text=b"x"):
    stamp = datetime(2026, 11, 24, 3, 4, 5, 678900, tzinfo=UTC)
    log = Syslog(SyslogAddress.parse("udp://127.0.0.1:514"), clock=lambda: stamp, host="gate")
    return log.message(6, "AUDIT", text)


def test_a_message_has_the_form_of_rfc_5424():
    assert message_of() == f"<110>1 2026-11-24T03:04:05.678900Z gate tarnhelm-reveal {os.getpid()} AUDIT - x".encode()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("udp://log", SyslogAddress("udp", "log", 514)),
        ("tcp://[::1]:6000", SyslogAddress("tcp", "::1", 6000)),
        ("tls://log?ca=/etc/ca.pem", SyslogAddress("tls", "log", 6514, ca="/etc/ca.pem")),
        ("unix:///dev/log", SyslogAddress("unix", "/dev/log")),
    ],
)
def test_addresses(text, address):
    assert SyslogAddress.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "log",
        "http://log",
        "udp://",
        "tcp://log:port",
        "udp://log?ca=x",
        "tls://log?verify=no",
        "unix:dev",
        "tls://log?ca",
    ],
)
def test_addresses_that_are_none(text):
    assert code_of(lambda: SyslogAddress.parse(text)) == "RVL-031"


def served(server, received, *, wrap=None):
    connection, _ = server.accept()
    with wrap(connection) if wrap else connection as stream:
        while block := stream.recv(65536):
            received.append(block)


def octets(content):
    """Messages of RFC 6587, 3.4.1."""
    while content:
        count, _, rest = content.partition(b" ")
        yield rest[: int(count)]
        content = rest[int(count) :]


def audited(address, folder):
    log = Syslog(SyslogAddress.parse(address))
    with Audit(folder, "w", KEY, clock=lambda: START, anchors=[log], sinks=[log]) as audit:
        lines = [audit.append("read", person="alice", lines=number) for number in range(3)]
        lines.append(audit.append("alarm", code="RVL-011", step="decide"))
    log.close()
    return lines


def check_copy(messages, lines):
    assert [message.partition(b" - ")[2] for message in messages[:4]] == [line.raw for line in lines]
    assert [message[:6] for message in messages] == [b"<110>1"] * 3 + [b"<105>1", b"<109>1"]
    (head,) = heads_in(messages)
    assert (head.sequence, head.sha, head.holds(PUBLIC)) == (4, lines[-1].sha, True)
    # The log server's copy is enough to check the chain.
    content = b"".join(line.raw + b"\n" for line in lines)
    assert verify_chain(content, "w", PUBLIC, [head]).problem is None


def test_over_tcp_the_log_server_gets_lines_and_heads(tmp_path):
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=served, args=(server, received))
        thread.start()
        lines = audited(f"tcp://127.0.0.1:{server.getsockname()[1]}", tmp_path / "a")
        thread.join()
    check_copy(list(octets(b"".join(received))), lines)


def test_over_udp_and_a_local_socket_too(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        lines = audited(f"udp://127.0.0.1:{server.getsockname()[1]}", tmp_path / "a")
        check_copy([server.recv(65536) for _ in range(5)], lines)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        lines = audited(f"unix://{tmp_path}/log", tmp_path / "b")
        check_copy([server.recv(65536) for _ in range(5)], lines)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=log", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_over_tls_the_server_is_checked(tmp_path, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        wrap = {"wrap": lambda plain: context.wrap_socket(plain, server_side=True)}
        thread = threading.Thread(target=served, args=(server, received), kwargs=wrap)
        thread.start()
        lines = audited(f"tls://127.0.0.1:{port}?ca={certificate}/cert.pem", tmp_path / "a")
        thread.join()
    check_copy(list(octets(b"".join(received))), lines)


def refusing(server, context, times):
    for _ in range(times):
        plain, _ = server.accept()
        with plain:
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                continue


def test_a_log_server_of_another_name_gets_nothing(tmp_path, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refusing, args=(server, context, 2))
        thread.start()
        log = Syslog(SyslogAddress.parse(f"tls://127.0.0.1:{server.getsockname()[1]}"))  # the system's list
        line = make_line("w", 1, START, "read", "0" * 64, {})
        assert code_of(lambda: log.line(line, alarm=False)) == "RVL-023"
        thread.join()


def test_a_connection_that_the_server_closed_is_made_anew(tmp_path):
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        log = Syslog(SyslogAddress.parse(f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        line = make_line("w", 1, START, "read", "0" * 64, {})
        log.line(line, alarm=False)
        first, _ = server.accept()
        first.close()
        thread = threading.Thread(target=served, args=(server, received))
        thread.start()
        log.line(line, alarm=False)
        log.close()
        thread.join()
    assert [message.partition(b" - ")[2] for message in octets(b"".join(received))] == [line.raw]


def test_a_log_server_that_is_away_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    log = Syslog(SyslogAddress.parse(f"tcp://127.0.0.1:{port}"))
    assert code_of(lambda: log.line(make_line("w", 1, START, "read", "0" * 64, {}), alarm=False)) == "RVL-023"
    missing = Syslog(SyslogAddress.parse(f"unix://{tmp_path}/none"))
    assert code_of(lambda: missing.line(make_line("w", 1, START, "read", "0" * 64, {}), alarm=False)) == "RVL-023"
