"""An S3 server for the tests: the one of the shared tools, else moto out of PyPI; or one that is named.

``TARNHELM_TEST_S3`` takes an endpoint; ``TARNHELM_TEST_S3_ACCESS_KEY_FILE`` and ``TARNHELM_TEST_S3_SECRET_KEY_FILE``
name files with the keys of somebody who may make buckets (without them ``test`` and ``testtest``, as the shared
tool has them). ``TARNHELM_TOOLS`` says where the shared tools are.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tarnhelm.gateway.blobs.s3_client import S3Place, connect

TOOLS = Path(os.environ.get("TARNHELM_TOOLS", Path(__file__).resolve().parents[3] / "shared" / "tools"))
READY_SECONDS = 30.0


@dataclass
class S3Server:
    """A server at ``endpoint``; ``command`` starts it again on the same data, where it is ours and keeps any."""

    endpoint: str
    access_key_file: Path
    secret_key_file: Path
    command: list[str] = field(default_factory=list)
    durable: bool = True
    data: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    maker: Any = None
    """A client that makes buckets."""

    def place(self, bucket: str = "") -> S3Place:
        """Give the settings of a bucket; a new one where none is named."""
        found = S3Place(
            self.endpoint,
            bucket or f"tarnhelm-{uuid.uuid4().hex[:16]}",
            access_key_file=self.access_key_file,
            secret_key_file=self.secret_key_file,
            prefix="blobs",
        )
        if not bucket:
            if self.maker is None:
                self.maker = connect(found)
            self.maker.create_bucket(Bucket=found.bucket)
        return found

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        until = time.monotonic() + READY_SECONDS
        while not _answers(self.endpoint):
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                pytest.fail("the S3 server did not start")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to all of it."""
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None


@pytest.fixture(scope="session")
def s3_server():
    """One server for the whole run; skips where there is none."""
    with tempfile.TemporaryDirectory(prefix="tarnhelm-s3-") as folder:
        yield from _running(Path(folder))


@pytest.fixture
def own_s3_server():
    """One server for the test, which may kill it; skips where none keeps its data."""
    with tempfile.TemporaryDirectory(prefix="tarnhelm-s3-") as folder:
        for server in _running(Path(folder), named=False):
            if not server.durable:
                pytest.skip("moto keeps its objects in memory: needs the S3 server of the shared tools")
            yield server


def _running(folder, *, named=True):
    keys = {"access": "test", "secret": "testtest"}
    files = {}
    for kind, key in keys.items():
        files[kind] = folder / f"{kind}.key"
        files[kind].write_text(key)
        files[kind].chmod(0o600)
        given = os.environ.get(f"TARNHELM_TEST_S3_{kind.upper()}_KEY_FILE", "")
        if given and named:
            files[kind] = Path(given)
    endpoint = os.environ.get("TARNHELM_TEST_S3", "")
    if endpoint and named:
        yield S3Server(endpoint, files["access"], files["secret"])
        return
    port = _free_port()
    server = S3Server(f"http://127.0.0.1:{port}", files["access"], files["secret"])
    script = TOOLS / "s3" / "start.sh"
    if script.exists():
        server.data = folder / "data"
        server.command = [str(script), str(server.data), str(port)]
    elif importlib.util.find_spec("moto") is not None:
        server.durable = False
        server.command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    else:
        pytest.skip("no S3 server: pip install 'tarnhelm[servers]', or set TARNHELM_TOOLS or TARNHELM_TEST_S3")
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _answers(endpoint):
    try:
        requests.get(endpoint, timeout=1)
    except requests.RequestException:
        return False
    return True


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
