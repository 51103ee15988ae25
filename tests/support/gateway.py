"""A whole gateway under test: ``tarnhelm up`` with all of its processes, on free ports of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tarnhelm.linkage.local import LocalLinkage

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from tarnhelm.cli.main import main; sys.argv[0] = 'tarnhelm'; main()"
TICKS = os.sysconf("SC_CLK_TCK")
UNFINISHED = ("received", "admitted", "running", "ready", "witnessing", "verified", "waiting")


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class GatewayUnderTest:
    """A gateway of one project ``trial``.

    Attributes
    ----------
    folder
        Holds all of it.
    changes
        Sections of the configuration that replace the usual ones.
    """

    folder: Path
    changes: dict = field(default_factory=dict)
    web: bool = False
    process: subprocess.Popen | None = field(default=None, repr=False)

    def __post_init__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.linkage_state = self.folder / "linkage"
        self.state = self.folder / "state"
        self.inbox, self.out = self.folder / "in", self.folder / "out"
        self.dicom_port, self.stow_port = free_port(), free_port()
        self.config_file = self.folder / "gateway.yaml"
        self.log = self.folder / "up.log"
        LocalLinkage(self.linkage_state)

    def configuration(self):
        """The configuration as plain data."""
        return {
            "state_dir": str(self.state),
            "projects": {"trial": {}},
            "doors": {
                "dicom": [{"listen": f"127.0.0.1:{self.dicom_port}", "titles": {"TRIAL": {"project": "trial"}}}],
                "stow": [{"listen": f"127.0.0.1:{self.stow_port}", "routes": [{"path": "/trial", "project": "trial"}]}],
                "folder": [{"folder": str(self.inbox), "project": "trial", "settle_seconds": 0.5, "poll_seconds": 0.3}],
                "ingest": [{"project": "trial", "session_seconds": 6.0}],
                "room": {"min_free_bytes": 1 << 28, "max_full_share": 0.99},
            },
            "destinations": {"out": {"folder": {"folder": str(self.out)}}},
            "housekeeping": {
                "every_seconds": 0.5,
                "stalled_seconds": 3.0,
                "suspect_seconds": [0.5, 1.0],
                "parked_seconds": 1.0,
            },
            **self.changes,
        }

    @property
    def environment(self):
        """Of the command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "TARNHELM_STATE": str(self.linkage_state),
            "COLUMNS": "200",
        }

    def command(self, *arguments, **options):
        """Run ``tarnhelm`` to its end."""
        given = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        return subprocess.run(
            given, env=self.environment, text=True, capture_output=True, timeout=600, check=False, **options
        )

    def start(self, seconds=120.0):
        """Start and wait until all doors are open."""
        self.config_file.write_text(yaml.safe_dump(self.configuration()))
        given = [sys.executable, "-c", COMMAND, "up", "--config", str(self.config_file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*given, "--web" if self.web else "--no-web"], stdout=log, stderr=log, env=self.environment
            )
        deadline = time.monotonic() + seconds
        while b"tarnhelm is up" not in self.log.read_bytes():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return self

    def stop(self, seconds=90.0):
        """Ask it to end, and wait; returns the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None
            self.log.write_bytes(b"")

    def kill(self):
        """SIGKILL the supervisor; its children are told by the kernel."""
        children = list(self.children().values())
        self.process.kill()
        self.process.wait()
        self.process = None
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.log.write_bytes(b"")

    def said(self):
        """What all processes wrote, for a failed assertion."""
        texts = [self.log.read_text(errors="replace")[-2000:]]
        for path in sorted((self.state / "log").glob("*.log")):
            texts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}")
        return "\n".join(texts)

    def children(self):
        """Name → process id of the supervisor's children that live."""
        found = {}
        if self.process is None:
            return found
        for pid in children_of(self.process.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if "tarnhelm.gateway" in words:
                    found[words[words.index("tarnhelm.gateway") + 1]] = pid
                else:
                    for module in ("tarnhelm.metadata.server", "tarnhelm.linkage.server", "tarnhelm.witness.server"):
                        if module in words:
                            found[module.split(".")[1] + "-service"] = pid
        return found

    # --- what it knows ---------------------------------------------------------------------------------

    def states(self):
        """State → number of objects."""
        rows = self._ask("SELECT state, count(*) FROM objects GROUP BY state")
        return Counter(dict(rows))

    def codes(self):
        """(state, code) → number of objects."""
        return Counter(
            {row[:2]: row[2] for row in self._ask("SELECT state, code, count(*) FROM objects GROUP BY 1, 2")}
        )

    def _ask(self, query):
        path = self.state / "state.sqlite"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query).fetchall()

    def await_end(self, objects, seconds=300.0, look=0.25):
        """Wait until so many objects are known and all have come to an end; returns the states."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states()
            if sum(states.values()) >= objects and not any(states[name] for name in UNFINISHED):
                return states
            assert time.monotonic() < deadline, f"{states}\n{self.said()}"
            time.sleep(look)

    def released(self):
        """Surrogate path → bytes, of the folder that it releases into."""
        return {
            path.relative_to(self.out).as_posix(): path.read_bytes()
            for path in self.out.rglob("*.dcm")
            if ".incoming" not in path.parts
        }

    def manifest(self):
        """All manifest lines."""
        lines = []
        for path in sorted((self.state / "manifest").rglob("*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        if self.process is not None:
            self.stop()


def children_of(pid):
    """Process ids of the children of a process, those of its threads included."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid):
    """CPU time of a process and of everything below it, ended children included."""
    total = 0.0
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, words[11:15])) / TICKS
        for child in children_of(pid):
            total += cpu_seconds(child)
    return total


def resident_bytes(pid):
    """Memory of a process, of its children not."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
