"""Toxiproxy between two parts of a gateway: connections that are cut, slowed, or silent.

The real server of ``TARNHELM_TOOLS`` (default: ``shared/tools`` beside the repository) and a client of its HTTP API.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from tests.support.gateway import free_port

ROOT = Path(__file__).parents[2]
NO_SERVER = "no Toxiproxy: set TARNHELM_TOOLS"
READY_SECONDS = 60.0
DIRECTIONS = ("upstream", "downstream")


def launcher():
    """The script that starts it, or None."""
    script = Path(os.environ.get("TARNHELM_TOOLS") or ROOT.parent / "shared" / "tools") / "tool"
    return script if os.access(script, os.X_OK) and (script.parent / "bin" / "toxiproxy-server.xz").exists() else None


@dataclass
class Link:
    """One proxy: whoever connects to ``address`` reaches what it stands before, as well as the link is."""

    server: Toxiproxy
    name: str
    port: int

    @property
    def address(self):
        """``host:port`` for clients."""
        return f"127.0.0.1:{self.port}"

    def cut(self):
        """Reset what is connected and what will be."""
        for direction in DIRECTIONS:
            self._toxic("reset_peer", direction, timeout=0)

    def slow(self, *, milliseconds=200, jitter=100, kilobytes=256):
        """Let every piece come late, and few of them at a time."""
        for direction in DIRECTIONS:
            self._toxic("latency", direction, latency=milliseconds, jitter=jitter)
            self._toxic("bandwidth", direction, rate=kilobytes)

    def hush(self):
        """Half-open: connections stand and can be made, and nothing comes through any more."""
        for direction in DIRECTIONS:
            self._toxic("timeout", direction, timeout=0)

    def down(self):
        """Close everything and refuse new connections."""
        self._enable(enabled=False)

    def heal(self):
        """Let everything through again. What had been silent is reset, as by a router that forgot the connection."""
        silent = False
        for toxic in self.server.ask("GET", f"/proxies/{self.name}/toxics"):
            silent = silent or toxic["type"] == "timeout"
            if toxic["type"] != "timeout":
                self.server.ask("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        if silent:  # bytes are missing in the middle: nobody may go on with such a connection
            self._enable(enabled=False)
            for toxic in self.server.ask("GET", f"/proxies/{self.name}/toxics"):
                self.server.ask("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        self._enable(enabled=True)

    def _enable(self, *, enabled):
        self.server.ask("POST", f"/proxies/{self.name}", {"enabled": enabled})

    def _toxic(self, kind, direction, **attributes):
        document = {"name": f"{kind}-{direction}", "type": kind, "stream": direction, "attributes": attributes}
        self.server.ask("POST", f"/proxies/{self.name}/toxics", document)


@dataclass
class Toxiproxy:
    """A running server."""

    folder: Path
    port: int = 0
    links: dict[str, Link] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self):
        """Start it and wait until it answers."""
        self.port = free_port()
        self._http = requests.Session()
        self._http.trust_env = False
        guard = [tool, "--pdeathsig", "KILL", "--"] if (tool := shutil.which("setpriv")) else []
        command = [*guard, str(launcher()), "toxiproxy-server", "-host", "127.0.0.1", "-port", str(self.port)]
        with (self.folder / "toxiproxy.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(requests.ConnectionError):
                self.ask("GET", "/version", plain=True)
                return self
            assert self.process.poll() is None, (self.folder / "toxiproxy.log").read_text()
            assert time.monotonic() < deadline, "Toxiproxy does not answer"
            time.sleep(0.05)

    def stop(self):
        """End it, and with it all connections."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self._http.close()

    def link(self, name, upstream):
        """Stand before ``upstream`` (``host:port``), which need not be there yet."""
        made = self.ask("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
        self.links[name] = Link(self, name, int(made["listen"].rpartition(":")[2]))
        return self.links[name]

    def ask(self, method, path, document=None, *, plain=False):
        """One request of its API."""
        answer = self._http.request(method, f"http://127.0.0.1:{self.port}{path}", json=document, timeout=20)
        assert answer.ok, (method, path, answer.status_code, answer.text)
        return None if plain or not answer.content else answer.json()


@pytest.fixture(scope="module")
def toxiproxy():
    """A server for the tests of one module."""
    if launcher() is None:
        pytest.skip(NO_SERVER)
    with tempfile.TemporaryDirectory(prefix="tarnhelm-toxiproxy-") as folder:
        server = Toxiproxy(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
