"""What the whole pipeline costs: from the DICOM door to the released file, through broker, gRPC services and witness.

``python -m tests.bench.pipeline`` runs ``tarnhelm up`` with all of its processes on this machine, sends CT images of
513 KB by C-STORE, and counts what is released. Beside it, in the same run: dcmtk's ``storescp``, which only receives,
and in one process without any of the rest, file in and file out: the rewriter, and the rewriter with the witness.
CPU time is read from the kernel for each process, its workers included; that of a Kafka server is told apart from ours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.ct_files import make_files
from tests.bench.table import machine
from tests.support.gateway import GatewayUnderTest, cpu_seconds, free_port, resident_bytes
from tests.support.kafka import KafkaServer, launcher

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "reference" / "benchmarks-pipeline.md"
MARKS = ("<!-- bench-pipeline: begin -->", "<!-- bench-pipeline: end -->")


@dataclass
class Row:
    """One measurement."""

    name: str
    objects: int
    seconds: float
    megabytes: float
    p50: float = 0.0
    p99: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    server: float = 0.0
    """CPU seconds of the Kafka server, which are not among ``cpu``."""
    memory: dict[str, float] = field(default_factory=dict)

    def text(self):
        """A line of the table."""
        each = 1000 * sum(self.cpu.values()) / self.objects
        latency = f"{self.p50:.2f} | {self.p99:.2f}" if self.p99 else "– | –"
        return (
            f"| {self.name} | {self.objects / self.seconds:,.0f} | {self.megabytes / self.seconds:,.0f} | {latency} "
            f"| {each:.1f} |"
        )

    def shares(self):
        """CPU-ms for each object by process."""
        return {name: 1000 * seconds / self.objects for name, seconds in sorted(self.cpu.items())}


def send(folders, port, title, at_once=12):
    """Send each folder by one of dcmtk's storescu, several at the same time; returns the seconds it took."""
    turns = iter(folders)
    lock = threading.Lock()
    failed = []

    def work():
        while True:
            with lock:
                folder = next(turns, None)
            if folder is None:
                return
            done = subprocess.run(
                ["storescu", "-aec", title, "-aet", "BENCH", "+sd", "-xe", "127.0.0.1", str(port), str(folder)],
                check=False,
                capture_output=True,
            )
            if done.returncode:
                failed.append(done.stderr[-300:])

    begun = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[:2]
    return time.monotonic() - begun


def drip(folders, port, title, seconds_each):
    """Send the folders one by one, each at its time."""
    begun = time.monotonic()
    for number, folder in enumerate(folders):
        time.sleep(max(0.0, begun + number * seconds_each - time.monotonic()))
        send([folder], port, title, at_once=1)


def split(files, folder, size):
    """Lay files into folders of so many each, by links; returns the folders."""
    found = []
    for number in range(0, len(files), size):
        place = folder / f"{number:06d}"
        place.mkdir(parents=True)
        for path in files[number : number + size]:
            os.link(path, place / path.name)
        found.append(place)
    return found


def latencies(gateway):
    """Seconds from the acceptance of each object to its release."""
    with closing(sqlite3.connect(f"file:{gateway.state / 'state.sqlite'}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT s.at - o.received FROM steps s JOIN objects o USING (object_id) WHERE s.step = 'released'"
        ).fetchall()
    return sorted(row[0] for row in rows)


def pipeline(name, gateway, folders, count, size, *, per_folder=0.0, server=None):
    """Run objects through a gateway that is up; at full speed, or a folder each so many seconds."""
    pids = gateway.children()
    served = cpu_seconds(server.process.pid) if server else 0.0
    before = {role: cpu_seconds(pid) for role, pid in pids.items()}
    known = sum(gateway.states().values())
    begun = time.monotonic()
    sender = threading.Thread(
        target=(lambda: drip(folders, gateway.dicom_port, "TRIAL", per_folder))
        if per_folder
        else (lambda: send(folders, gateway.dicom_port, "TRIAL"))
    )
    sender.start()
    largest: dict[str, int] = {}
    deadline = begun + 900
    while True:
        time.sleep(0.2)
        for role, pid in pids.items():
            largest[role] = max(largest.get(role, 0), resident_bytes(pid))
        states = gateway.states()
        if states["released"] + states["quarantined"] >= known + count:
            break
        assert time.monotonic() < deadline, gateway.said()
    seconds = time.monotonic() - begun
    sender.join()
    assert not gateway.states()["quarantined"], gateway.codes()
    found = latencies(gateway)[-count:] if not known else latencies(gateway)
    cpu = {role: cpu_seconds(pid) - before[role] for role, pid in pids.items()}
    row = Row(name, count, seconds, size / 1e6, cpu=cpu, memory={role: used / 1e6 for role, used in largest.items()})
    if server:
        row.server = cpu_seconds(server.process.pid) - served
    if per_folder:
        row.p50, row.p99 = statistics.median(found), found[int(len(found) * 0.99) - 1]
    return row


def storescp(folders, folder, count, size):
    """dcmtk's storescp alone: what receiving costs at least."""
    port = free_port()
    server = subprocess.Popen(
        ["storescp", "-aet", "BENCH", "--fork", "+xa", "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        seconds = send(folders, port, "BENCH")
        return Row(
            "dcmtk storescp, which only receives", count, seconds, size / 1e6, cpu={"storescp": cpu_seconds(server.pid)}
        )
    finally:
        server.kill()
        server.wait()


def bare(name, mode, files, folder, size):
    """The core alone in one process (``tarnhelm_driver.py``); what its start costs is measured with one file, and taken off."""
    spent = []
    for number, some in enumerate((files[:1], files)):
        place = folder / f"{mode}-{number}"
        (source,) = split(some, place / "in", len(some))
        (place / "out").mkdir()
        told = subprocess.run(
            [sys.executable, "-I", "-S", str(HERE / "launch.py"), str(place / "log"), sys.executable,
             str(HERE / "tarnhelm_driver.py"), mode, str(source), str(place / "out"), str(place / "state")],
            check=True, capture_output=True,
        )  # fmt: skip
        spent.append(json.loads(told.stdout))
        assert len(list((place / "out").iterdir())) == len(some), (place / "log").read_text()[-300:]
        shutil.rmtree(place / "out")
    start, whole = spent
    seconds = max(whole["wall"] - start["wall"], 1e-6)
    return Row(name, len(files) - 1, seconds, size / 1e6, cpu={mode: whole["cpu"] - start["cpu"]})


def section(rows, load):
    """Text of the page's section."""
    lines = [
        "| what | objects/s | MB/s | p50 s | p99 s | CPU-ms for each object |",
        "|---|---:|---:|---:|---:|---:|",
        *(row.text() for row in rows),
        "",
    ]
    for row in rows:
        if len(row.cpu) > 1:
            shares = ", ".join(f"{name} {each:.1f}" for name, each in row.shares().items())
            lines += [f"{row.name}: CPU-ms by process: {shares}.", ""]
            if row.server:
                each = 1000 * row.server / row.objects
                lines += [f"{row.name}: the Kafka server itself: {each:.1f} CPU-ms for each object besides.", ""]
            memory = ", ".join(f"{name} {used:.0f}" for name, used in sorted(row.memory.items()))
            lines += [f"{row.name}: MB of memory, at most: {memory}.", ""]
    lines.append(
        f"{machine()}, load average {load:.1f} before the run; sender, broker and all services on the same cores."
    )
    return "\n".join(lines)


def measured(folder, count, *, kafka):
    """Measure everything; yields rows."""
    source = folder / "source"
    make_files(source, count, "513 KB")
    files = sorted(path for path in source.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    whole = split(files, folder / "whole", 100)
    if shutil.which("storescp"):
        (folder / "received").mkdir()
        yield storescp(whole, folder / "received", count, size)
        shutil.rmtree(folder / "received")
    yield bare("the rewriter alone, one process", "hashes", files, folder / "bare", size)
    yield bare("rewriter and witness, one process", "witness", files, folder / "bare", size)
    for name in ("embedded broker", "Apache Kafka") if kafka else ("embedded broker",):
        server, changes = None, {}
        if name == "Apache Kafka":
            server = KafkaServer(f"127.0.0.1:{free_port()}", "apache", folder / "kafka")
            (folder / "kafka").mkdir()
            server.start()
            changes = {"broker": {"kafka": {"addresses": [server.address]}}}
        try:
            with GatewayUnderTest(folder / name.replace(" ", "-"), changes) as gateway:
                full = pipeline(f"door → released, {name}", gateway, whole, count, size, server=server)
                yield full
            rate = count / full.seconds / 2
            with GatewayUnderTest(folder / f"half-{name.replace(' ', '-')}", changes) as gateway:
                few = max(1, int(rate / 8))
                parts = split(files, folder / f"parts-{name[0]}", few)
                yield pipeline(
                    f"the same at half load, {name}", gateway, parts, count, size, per_folder=few / rate, server=server
                )
        finally:
            if server is not None:
                server.kill()


def main():
    """Measure, print, and with ``--write`` bring the page up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1500, help="objects (default: %(default)s)")
    parser.add_argument("--no-kafka", action="store_true", help="the embedded broker alone")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tarnhelm-bench-") as made:
        rows = []
        for row in measured(Path(made), given.count, kafka=not given.no_kafka and launcher() is not None):
            sys.stderr.write(row.text() + "\n")
            rows.append(row)
    text = section(rows, load)
    sys.stdout.write(text + "\n")
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(MARKS[0])
        PAGE.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
