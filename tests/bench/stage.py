"""What an object costs on its way through the services, in milliseconds of processor time, beside the bare core.

``make bench-stage`` runs it. Every process counts its own time: the gateway's side (this process), the metadata
service with its workers, the assigner, the witness with its workers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.bench.ct_files import SIZES, make_files
from tests.support.assign_server import AssignServer, Gateway, LocalPlace, start_server
from tests.support.stage_servers import (
    PLAN,
    default_config,
    remote_settings,
    signing_key,
    start_metadata,
    start_witness,
)

from tarnhelm.common.heap import keep_freed_memory
from tarnhelm.common.stage import StageJob, Status
from tarnhelm.gateway.stages.remote_judge import RemoteJudge
from tarnhelm.gateway.stages.remote_stage import JudgeCall, RemoteStage, StageCall
from tarnhelm.metadata.core.plan import MetadataConfig
from tarnhelm.metadata.core.stage import MetadataCore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TICKS = os.sysconf("SC_CLK_TCK")


def _seconds_of(pid: int) -> float:
    """Processor time of a process and of all below it, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    own = sum(map(int, fields[11:15])) / _TICKS
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return own + sum(_seconds_of(int(child)) for child in children)


@dataclass
class Meter:
    """Processor time of several processes between two moments."""

    pids: dict[str, int]
    begun: dict[str, float] = field(default_factory=dict)
    wall: float = 0.0

    def __enter__(self) -> Self:
        self.begun = {name: _seconds_of(pid) for name, pid in self.pids.items()}
        self._own = time.process_time()
        self.wall = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self.wall
        self.spent = {name: _seconds_of(pid) - self.begun[name] for name, pid in self.pids.items()}
        self.spent["client"] = time.process_time() - self._own


@dataclass
class Rig:
    """Services that run, and a project."""

    place: LocalPlace
    project: Any
    gateway: Gateway
    assign: AssignServer
    metadata: AssignServer
    witness: AssignServer

    def stop(self) -> None:
        for server in (self.metadata, self.witness, self.assign):
            server.stop()


def _rig(folder: Path, workers: int) -> Rig:
    place, gateway = LocalPlace(folder), Gateway(folder)
    project = place.create("bench")
    assign = start_server(*place.arguments, "--ticket-key-file", gateway.key_file, "--subjects-per-hour", 100_000)
    signing_key(folder / "witness.key")
    scratch = folder / "scratch"
    scratch.mkdir()
    metadata = start_metadata(assign.target, "--workers", workers, "--scratch", scratch)
    witness = start_witness(folder / "witness.key", "--workers", workers, "--scratch", scratch, "--max-objects", 64)
    return Rig(place, project, gateway, assign, metadata, witness)


def _pieces(path: Path) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        with path.open("rb", buffering=0) as file:
            while data := file.read(1 << 20):
                yield data

    return pieces


def _bare(paths: Sequence[Path], rig: Rig, folder: Path) -> float:
    """Seconds of the core alone, in this process, with its two hashes and an assigner beside it."""
    assigner = rig.place.assigner(rig.project)
    core = MetadataCore(MetadataConfig())

    def clean(number: int, path: Path) -> None:
        target = folder / f"bare-{number}"
        core(StageJob(f"bare-{number}", path, target, PLAN), assigner)
        target.unlink()

    clean(-1, paths[0])
    begun = time.process_time()
    for number, path in enumerate(paths):
        clean(number, path)
    spent = time.process_time() - begun
    assigner.close()
    return spent


def _through(paths: Sequence[Path], rig: Rig, folder: Path, threads: int, form: str) -> tuple[Meter, Meter]:
    config, plan = default_config()
    policy = json.dumps(dict(plan.policy)).encode()
    stage = RemoteStage("metadata", remote_settings(form, rig.metadata.target))
    judge = RemoteJudge(remote_settings(form, rig.witness.target))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    results: dict[int, tuple[str, int]] = {}

    def clean(number: int) -> None:
        path = paths[number]
        name = f"object-{number}"
        ticket = rig.gateway.ticket(rig.project.id, object_id=name)
        call = StageCall(name, rig.project.id, ticket, PLAN, config, path.stat().st_size, digests[number])
        with (folder / name).open("wb", buffering=0) as target:
            outcome = stage.process(call, _pieces(path), target.write)
        if outcome.status is not Status.DONE:
            raise RuntimeError(outcome.code)
        results[number] = outcome.output_sha256, outcome.output_bytes

    def verify(number: int) -> None:
        digest, size = results[number]
        path, name = paths[number], f"object-{number}"
        call = JudgeCall(name, policy, plan.policy["digest"], path.stat().st_size, size, digest)
        verdict = judge.judge(call, _pieces(path), _pieces(folder / name))
        if not verdict.clean:
            raise RuntimeError(verdict.code)

    pids = {"metadata": rig.metadata.process.pid, "assign": rig.assign.process.pid, "witness": rig.witness.process.pid}
    meters = []
    with ThreadPoolExecutor(threads) as pool:
        for work in (clean, verify):
            list(pool.map(work, range(min(8, len(paths)))))  # workers compile and connections open
            with Meter(pids) as meter:
                list(pool.map(work, range(len(paths))))
            meters.append(meter)
    stage.close()
    judge.close()
    return meters[0], meters[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stage", description=__doc__)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", choices=list(SIZES), default="513 KB")
    parser.add_argument("--streamed", action="store_true", help="send objects in pieces, however small they are")
    given = parser.parse_args(arguments)
    keep_freed_memory()
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        (folder / "in").mkdir()
        make_files(folder / "in", given.files, given.size)
        paths = sorted((folder / "in").iterdir())
        rig = _rig(folder, given.workers)
        try:
            bare = _bare(paths, rig, folder)
            meters = _through(paths, rig, folder, given.threads, "streamed" if given.streamed else "whole")
        finally:
            rig.stop()
    lines = [f"bare core: {bare / len(paths) * 1e3:.2f} ms"]
    for step, meter in zip(("metadata", "witness"), meters, strict=True):
        parts = ", ".join(f"{who} {spent / len(paths) * 1e3:.2f}" for who, spent in meter.spent.items())
        total = sum(meter.spent.values()) / len(paths) * 1e3
        lines.append(f"{step}: {total:.2f} ms an object ({parts}); {len(paths) / meter.wall:.0f} objects/s")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
