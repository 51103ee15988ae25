"""What an assigned object costs over gRPC: hot and cold, on one machine's state directory and on a hospital's servers.

The server is pinned to one core, clients (and OpenBao and PostgreSQL) to the others. ``make bench-assign`` runs it and
writes the table into ``docs/reference/benchmarks-linkage.md``.

- *hot*: objects of subjects and studies that were assigned before; each has a ticket and UIDs of its own.
- *cold*: each object is the first of its subject and study, so all of its way back is sealed and written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from tarnhelm.v1 import linkage_pb2 as pb
from tarnhelm.v1 import linkage_pb2_grpc
from tests.bench.ledger import server as postgres_server
from tests.support.assign_server import AssignServer, Gateway, LocalPlace, ServerPlace, start_server
from tests.support.openbao import binary, start_bao

from tarnhelm.common import serve
from tarnhelm.common.assign import AssignRequest, ValueKind, ValueQuery
from tarnhelm.common.assign_client import query_bytes
from tarnhelm.common.tickets import TicketReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks-linkage.md"
MARKS = ("<!-- bench-assign: begin -->", "<!-- bench-assign: end -->")
SUBJECTS = 500
PINNED = ("taskset", "-c", "0") if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else ()
UIDS = 5
"""Distinct UIDs of an image: study, series, instance, frame of reference, one that is referred to."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    place: str
    what: str
    in_flight: int
    rate: float
    half_ms: float
    most_ms: float
    cpu_us: float
    mebibytes: float

    def text(self) -> str:
        """Give it as Markdown."""
        return (
            f"| {self.place} | {self.what} | {self.in_flight} | {self.rate:,.0f} | {self.half_ms:.1f} | {self.most_ms:.1f} "
            f"| {self.cpu_us:,.0f} | {1e6 / self.cpu_us:,.0f} | {f'{self.mebibytes:.0f}' if self.mebibytes else '–'} |"
        )


def question(subject: int, instance: int) -> AssignRequest:
    """Ask as the metadata service does for an image."""
    study = f"1.2.840.99.{subject}.1"
    return AssignRequest(
        patient_id=f"MRN{subject:07}",
        issuer="HOSPITAL",
        study_uid=study,
        sex="FM"[subject % 2],
        uids=(study, f"{study}.1", f"{study}.1.{instance}", f"{study}.2", f"{study}.1.{instance}.9"),
        values=(
            ValueQuery(ValueKind.ID_ALPHANUMERICAL, "accession", f"AX{subject:07}"),
            ValueQuery(ValueKind.KEY, "SURNAME", f"physician {subject % 50}"),
        ),
        way_back=(
            ("patient_name", f"NAME^SUBJECT{subject}"),
            ("birth_date", "19571103"),
            ("accession_number", f"AX{subject:07}"),
            ("study_date", "20240503"),
        ),
    )


class Clock:
    """CPU seconds and memory of a process, as the kernel counts them."""

    def __init__(self, process: int) -> None:
        self._folder = Path(f"/proc/{process}")
        self._ticks = os.sysconf("SC_CLK_TCK")

    def cpu_seconds(self) -> float:
        """User and system time."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self._ticks

    def mebibytes(self) -> float:
        """Resident memory."""
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def drive(port: int, messages: Sequence[pb.AssignRequest], in_flight: int) -> tuple[float, list[float]]:
    """Send all with so many at a time; give the seconds it took and those of each call."""
    taken: list[float] = []
    left = iter(messages)
    async with contextlib.AsyncExitStack() as stack:
        # A channel each for eight: as many connections as a few pods have.
        stubs = []
        for number in range(max(1, in_flight // 8)):
            options = (("grpc.use_local_subchannel_pool", 1), ("bench.number", number))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options))
            stubs.append(linkage_pb2_grpc.AssignServiceStub(channel))

        async def work(stub: Any) -> None:
            for message in left:
                begin = time.perf_counter()
                await stub.Assign(message, timeout=60)
                taken.append(time.perf_counter() - begin)

        begin = time.perf_counter()
        await asyncio.gather(*(work(stubs[number % len(stubs)]) for number in range(in_flight)))
        return time.perf_counter() - begin, taken


def measured(place: str, what: str, server: AssignServer, messages: Sequence[pb.AssignRequest], in_flight: int) -> Row:
    """Measure one run."""
    clock = Clock(server.process.pid)
    before = clock.cpu_seconds()
    seconds, taken = asyncio.run(drive(server.port, messages, in_flight))
    cpu = clock.cpu_seconds() - before
    quantiles = statistics.quantiles(taken, n=100)
    return Row(
        place, what, in_flight, len(messages) / seconds, quantiles[49] * 1000, quantiles[98] * 1000,
        cpu / len(messages) * 1e6, clock.mebibytes(),
    )  # fmt: skip


def rows(name: str, place: Any, folder: Path, count: int) -> Iterator[Row]:
    """Measure one backend."""
    gateway = Gateway(folder, name.partition(" ")[0])
    project = place.create("bench")

    def messages(questions: Sequence[AssignRequest]) -> list[pb.AssignRequest]:
        return [
            pb.AssignRequest(ticket=gateway.ticket(project.id, lifetime_seconds=3600), query=query_bytes(request))
            for request in questions
        ]

    options = ["--ticket-key-file", gateway.key_file, "--subjects-per-hour", 1_000_000, "--alarm-share", 1.0]
    server = start_server(*place.arguments, *options, prefix=PINNED)
    try:
        known = [question(subject, 0) for subject in range(SUBJECTS)]
        asyncio.run(drive(server.port, messages(known), 64))
        hot = [question(number % SUBJECTS, 1 + number // SUBJECTS) for number in range(count)]
        for in_flight in (1, 64):
            some = hot[: count // 8] if in_flight == 1 else hot
            yield measured(name, "hot object", server, messages(some), in_flight)
        cold = [question(SUBJECTS + number, 0) for number in range(count // 2)]
        for in_flight, some in ((1, cold[: count // 32]), (64, cold[count // 32 :])):
            yield measured(name, "cold subject", server, messages(some), in_flight)
    finally:
        server.stop()


async def floor() -> None:
    """Serve answers of the same size that nothing is done for: what gRPC costs alone."""

    class Empty(linkage_pb2_grpc.AssignServiceServicer):
        async def Assign(self, _request: Any, _context: Any) -> pb.AssignResponse:  # noqa: N802 - the protocol's name
            return pb.AssignResponse(subject_id="x" * 20, subject_key=b"x" * 32, uids=["2.25." + "1" * 39] * UIDS)

    server = grpc.aio.server()
    linkage_pb2_grpc.add_AssignServiceServicer_to_server(Empty(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stderr.write(f"listening on port {port}\n")
    sys.stderr.flush()
    await server.wait_for_termination()


def floors(folder: Path, count: int) -> Iterator[Row]:
    """Measure what no code of ours can make faster: an empty call, and the check of a signature."""
    gateway = Gateway(folder, "floor")
    tickets = [gateway.ticket("0" * 32) for _ in range(min(count, 2000))]
    query = query_bytes(question(1, 1))
    server = AssignServer.started([*PINNED, sys.executable, "-m", "tests.bench.assign", "--floor"])
    try:
        messages = [pb.AssignRequest(ticket=ticket, query=query) for ticket in tickets] * max(1, count // len(tickets))
        measured("–", "warm", server, messages[:500], 64)
        yield measured("–", "floor: empty call", server, messages, 64)
    finally:
        server.stop(kill=True)
    reader = TicketReader([gateway.key.public_key().public_bytes_raw()])
    taken = []
    used = time.process_time()
    for ticket in tickets:
        begin = time.perf_counter()
        reader.read(ticket)
        taken.append(time.perf_counter() - begin)
    used = (time.process_time() - used) / len(tickets)
    quantiles = statistics.quantiles(taken, n=100)
    yield Row(
        "–", "floor: signature", 1, len(taken) / sum(taken), quantiles[49] * 1000, quantiles[98] * 1000, used * 1e6, 0
    )


def table(found: Sequence[Row], count: int, load: float) -> str:
    """Give the section of the page."""
    when = dt.datetime.now(dt.UTC).date().isoformat()
    head = (
        "| keys and ledger | what | in flight | objects/s | p50 ms | p99 ms | server CPU µs/object | objects per CPU-second "
        "| server MiB |\n|---|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    machine = (
        f"{when}, load average {load:.1f} before the run, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"grpcio {grpc.__version__}; the server on one core, clients, OpenBao and PostgreSQL on the others; {count:,} hot "
        f"objects of {SUBJECTS} subjects and {count // 2:,} cold ones, {UIDS} UIDs and two values each; a ticket for each."
    )
    return "\n".join([head, *(row.text() for row in found), "", machine])


def write(section: str) -> None:
    """Put the section between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(f"{before}{MARKS[0]}\n\n{section}\n\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> int:
    """Measure, print, and with ``--write`` bring the page up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="hot objects (default: %(default)s)")
    parser.add_argument("--local", action="store_true", help="the state directory alone")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--floor", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.floor:
        serve.run(floor())
        return 0
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)))
    load = os.getloadavg()[0]
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tarnhelm-bench-") as made:
        folder = Path(made)
        found += floors(folder, given.count)
        found += rows("files (SQLite)", LocalPlace(folder), folder, given.count)
        if not given.local and binary() is not None:
            with postgres_server(folder) as address:
                if address is not None:
                    (folder / "bao").mkdir()
                    bao = start_bao(folder / "bao")
                    try:
                        place = ServerPlace(folder, bao, address)
                        found += rows("OpenBao, PostgreSQL", place, folder, given.count)
                        place.close()
                    finally:
                        bao.close()
    section = table(found, given.count, load)
    sys.stdout.write(section + "\n")
    if given.write:
        write(section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
