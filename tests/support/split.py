"""The deployment of ``deploy/compose`` as processes of this machine, with real servers: Kafka, PostgreSQL, S3, OpenBao.

Command lines and configuration are those of the shipped files; only addresses and places are others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import requests
import yaml
from tests.support.assign_server import ServerPlace
from tests.support.certificates import Authority
from tests.support.gateway import ROOT, UNFINISHED, GatewayUnderTest, free_port
from tests.support.vault_sessions import private

COMPOSE = ROOT / "deploy" / "compose"
SERVICES = ("assign", "metadata-service", "witness-service")
ROLES = ("doors", "metadata", "witness", "release", "housekeeping", "admin", "web")
LABEL = "trial-7"


@dataclass
class Process:
    """One of the deployment's."""

    name: str
    popen: subprocess.Popen
    metrics_port: int

    def metrics(self):
        """Sample → value."""
        with contextlib.suppress(requests.RequestException):
            text = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).text
            lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
            return {name: float(value) for name, _, value in lines}
        return {}

    def outcomes(self, stage):
        """Objects that left a step in this process."""
        wanted = f'tarnhelm_gateway_outcomes_total{{code="",stage="{stage}"'
        return sum(value for name, value in self.metrics().items() if name.startswith(wanted))

    def end(self, seconds=60.0):
        """SIGTERM; returns the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)


@dataclass
class Deployment:
    """Everything, each process on its own.

    Attributes
    ----------
    kafka, postgres, s3, bao
        Running servers.
    """

    folder: Path
    kafka: object
    postgres: object
    s3: object
    bao: object
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self):
        self.config, self.secrets = self.folder / "config", self.folder / "secrets"
        self.clean, self.state = self.folder / "clean", self.folder / "state"
        for place in (self.config, self.config / "public", self.secrets, self.clean, self.folder / "log"):
            place.mkdir(mode=0o700, parents=True)
        self.compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
        self.ports = {name: free_port() for name in (*SERVICES, "admin", "web", "dicom")}
        self.command_line = GatewayUnderTest(self.folder / "commands")
        self.database = self.postgres.database()
        self._certificates()
        self._keys()
        (self.folder / "place").mkdir()
        self.place = ServerPlace(self.folder / "place", self.bao, self.postgres.database())
        self.project = self.place.create(LABEL)
        self._configuration()

    # --- what an administrator does beforehand ----------------------------------------------------------

    def _certificates(self):
        authority = Authority(self.folder / "authority")
        for name in ("assign", "metadata", "witness", "gateway", "stranger"):
            pair = authority.issue(name, name)
            for path, kind in ((pair.certificate, "crt"), (pair.key, "key")):
                private(self.secrets / f"{name}.{kind}", path.read_text())
        self.ca_file = authority.ca_file
        self.other = Authority(self.folder / "other").issue("gateway", "gateway")
        for place in (self.config, self.config / "public"):
            (place / "ca.pem").write_bytes(authority.ca_file.read_bytes())
        for kind in ("crt", "key"):
            private(self.config / f"gateway.{kind}", (self.secrets / f"gateway.{kind}").read_text())

    def _keys(self):
        keys = self.config / "keys"
        self._said("config", "keys", keys)
        (keys / "witness.pem").rename(self.secrets / "witness.pem")
        (self.config / "public" / "ticket.pub.pem").write_bytes((keys / "ticket.pub.pem").read_bytes())

    def _configuration(self):
        given = yaml.safe_load((COMPOSE / "gateway.yaml").read_text())
        given["state_dir"] = str(self.state)
        self.state.mkdir(mode=0o700)
        given["projects"][LABEL]["id"] = self.project.id
        given["broker"]["kafka"]["addresses"] = [self.kafka.address]
        place = self.s3.place()
        given["blobs"] = {
            "s3": {name: str(getattr(place, name)) for name in ("endpoint", "bucket", "prefix")}
            | {name: str(getattr(place, name)) for name in ("access_key_file", "secret_key_file")}
        }
        private(self.config / "postgres.address", self.database)
        given["scratch"] = str(self.folder / "arriving")
        for name in ("metadata", "witness"):
            given["services"][name]["target"] = f"dns:///127.0.0.1:{self.ports[f'{name}-service']}"
        given["doors"]["dicom"][0]["listen"] = f"127.0.0.1:{self.ports['dicom']}"
        given["destinations"]["archive"]["folder"]["folder"] = str(self.clean)
        given["web"]["admin"]["server"]["listen"] = f"127.0.0.1:{self.ports['admin']}"
        page = given["web"]["page"]
        page["accounts_file"] = str(self.state / "accounts.sqlite")
        page["listen"] = f"127.0.0.1:{self.ports['web']}"
        page["admin"]["target"] = f"127.0.0.1:{self.ports['admin']}"
        given["housekeeping"] = {"every_seconds": 1.0, "stalled_seconds": 5.0, "suspect_seconds": [1.0, 2.0]}
        self.file = self.config / "gateway.yaml"
        self.file.write_text(yaml.safe_dump(given))
        self._said("topics", "ensure", "--broker", self.kafka.address, "--allow-plaintext")
        self._said("config", "publish", self.file)

    def _said(self, *arguments):
        done = self.command_line.command(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    # --- processes -------------------------------------------------------------------------------------

    def start(self, *names):
        """Start processes, all of them in the order of who is called first where none is named."""
        for name in names or (*SERVICES, *ROLES):
            self.start_one(name)
        return self

    def start_one(self, name, instance=""):
        """Start one by the command line of its container."""
        words = self._here(name, shlex.split(self.compose[name]["command"]))
        port = free_port()
        command = [sys.executable, "-m", *words, "--metrics-listen", f"127.0.0.1:{port}"]
        key = f"{name}{instance}"
        with (self.folder / "log" / f"{key}.log").open("ab") as log:
            popen = subprocess.Popen(command, stdout=log, stderr=log, env=self.command_line.environment)
        self.processes[key] = Process(key, popen, port)
        return self.processes[key]

    def _here(self, name, words):
        places = {
            "/etc/tarnhelm/gateway.yaml": str(self.file),
            "/etc/tarnhelm": str(self.config / "public"),
            "/run/secrets": str(self.secrets),
            "0.0.0.0:50051": f"127.0.0.1:{self.ports.get(name)}",
            "assign:50051": f"127.0.0.1:{self.ports['assign']}",
        }
        found = []
        for word in words:
            for shipped, here in places.items():
                word = word.replace(shipped, here) if word.startswith(shipped) else word  # noqa: PLW2901
            found.append(word)
        if "--scratch" in found:
            scratch = self.folder / f"scratch-{name}"
            scratch.mkdir(exist_ok=True)
            found[found.index("--scratch") + 1] = str(scratch)
        if "--state" in found:  # keys in OpenBao and the ledger in PostgreSQL instead of a folder
            at = found.index("--state")
            found[at : at + 2] = map(str, self.place.arguments)
        return found

    def close(self):
        """End everything, whatever state it is in."""
        self.place.close()
        for one in self.processes.values():
            if one.popen.poll() is None:
                one.popen.kill()
            one.popen.wait()

    # --- looking ---------------------------------------------------------------------------------------

    def states(self):
        """State → number of objects."""
        with contextlib.closing(psycopg.connect(self.database)) as connection:
            return Counter(
                dict(connection.execute("SELECT state, count(*) FROM gateway.objects GROUP BY 1").fetchall())
            )

    def await_end(self, count, seconds=120.0):
        """Wait until so many objects have come to an end; returns the states."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states()
            if sum(states.values()) >= count and not any(states[name] for name in UNFINISHED):
                return states
            assert time.monotonic() < deadline, f"{states}\n{self.said()}"
            time.sleep(0.1)

    def released(self):
        """Sha256 → path, of what was released."""
        return {
            hashlib.sha256(path.read_bytes()).hexdigest(): path
            for path in self.clean.rglob("*.dcm")
            if ".incoming" not in path.parts
        }

    def manifest(self):
        """All manifest lines."""
        paths = sorted((self.state / "manifest").rglob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def said(self):
        """The last words of every process that is not well, for a failed assertion."""
        texts = []
        for one in self.processes.values():
            text = (self.folder / "log" / f"{one.name}.log").read_text(errors="replace")[-1200:]
            texts.append(f"--- {one.name}: {one.popen.poll()}\n{text}")
        return "\n".join(texts)
