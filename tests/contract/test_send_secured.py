"""``tarnhelm send`` and the door at an Apache Kafka that asks for TLS, a name and a password."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.support.brokers import Place
from tests.support.certificates import Authority
from tests.support.ingest_door import World, dicom, wait_until, write_pair
from tests.support.kafka import NO_PROCESS, PROPERTIES, KafkaServer, launcher, stop_kafka

pytestmark = pytest.mark.slow

SECURED = """listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SECURED://127.0.0.1:{secured}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SECURED://127.0.0.1:{secured}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
listener.name.secured.sasl.enabled.mechanisms=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_scanner="scanner-password";
ssl.keystore.type=PEM
ssl.keystore.certificate.chain={certificate}
ssl.keystore.key={key}
"""


@pytest.fixture
def secured(tmp_path):
    """A server with a listener that is open to the test's own broker, and a secured one; and the second's address."""
    if launcher() is None:
        pytest.skip(NO_PROCESS)
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("kafka")

    def inline(path):
        return path.read_text().replace("\n", "\\n")

    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        plain, secured_port = one.getsockname()[1], two.getsockname()[1]
    ports = {"plain": plain, "controller": plain + 1, "secured": secured_port}
    properties = SECURED.format(**ports, certificate=inline(pair.certificate), key=inline(pair.key))
    folder = Path(tempfile.mkdtemp(prefix="tarnhelm-kafka-"))
    server = KafkaServer(f"127.0.0.1:{plain}", "apache", folder, PROPERTIES + properties)
    try:
        server.start()
        yield server, f"127.0.0.1:{secured_port}", authority.ca_file
    finally:
        stop_kafka(server)


def test_only_who_knows_the_password_and_is_known_by_the_authority_sends(secured, tmp_path, monkeypatch):
    server, address, ca_file = secured
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    gateway, public = write_pair(tmp_path, "gateway")
    (tmp_path / "one.dcm").write_bytes(dicom(1, 2_000_000))
    password = tmp_path / "password"
    password.touch(mode=0o600)
    world = World(Place("kafka", server.address, server.session_seconds), tmp_path)
    try:
        world.start(world.settings(opening_key_files=(gateway,), unsealed_allowed=False))

        def send(*arguments):
            common = [str(tmp_path / "one.dcm"), "--to", f"kafka://{address}/{world.ingest}", "--seal-to", str(public)]
            login = ["--sasl-user", "scanner", "--sasl-password-file", str(password), "--sasl-mechanism", "PLAIN"]
            # In a process of its own: the library leaves sockets of refused connections to the collector.
            command = [Path(sys.executable).parent / "tarnhelm", "send", *common, *login, *arguments]
            done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            assert "another-password" not in done.stdout
            assert "scanner-password" not in done.stdout
            return done.returncode

        password.write_text("another-password")
        assert send("--tls", "--ca-file", str(ca_file)) == 4
        password.write_text("scanner-password\n")
        assert send() == 2  # a password in the clear
        other = Authority(tmp_path / "other")
        assert send("--tls", "--ca-file", str(other.ca_file)) == 4
        assert send("--tls", "--ca-file", str(ca_file)) == 0
        wait_until(lambda: [one.content for one in world.admitter.objects] == [dicom(1, 2_000_000)])
    finally:
        world.close()
