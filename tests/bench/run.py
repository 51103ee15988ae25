"""``python -m tests.bench.run``: all contestants over the same generated CT files, in one run.

Writes a table into ``docs/reference/benchmarks.md`` (between its markers) and the figures as JSON. Each contestant
runs in a process of its own. CPU seconds of a file: those of N files less those of one file, by N - 1, so that the
start of an interpreter does not count; the best of several rounds, because noise only adds.
"""

# ruff: noqa: T201  (a command of its own: it prints)
from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.ct_files import PLANTED, SIZES, SLICES, USEFUL, make_files
from tests.bench.measure import Cost, measure
from tests.bench.score import score
from tests.bench.table import flat_section, machine, write_page

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
PACKAGES = ("dicom-anonymizer==2.1.0", "dicognito==0.19.0", "deid==0.4.13", "dcmanon==0.3.1", "python-gdcm==3.2.6")


SLOW_SECONDS = 15.0
SLOW_SHARE = 4
#: Contestants that also run over files of which no two are alike.
UNLIKE = frozenset({"copy", "rewriter", "witness", "command", "dcmanon", "pydicom-undecoded"})


@dataclass(frozen=True)
class Contestant:
    """One row: how it is called, and whether its results are judged."""

    name: str
    label: str
    command: Callable[[Path, Path], list[str]]
    present: Callable[[], bool]
    judged: bool = True
    slow: bool = False
    """A quarter of the files will do: its start is nothing beside its work."""


def contestants(venv: Path, work: Path) -> list[Contestant]:
    """All rows in the order of the table."""
    python = venv / "bin" / "python"

    def driver(name: str, interpreter: str) -> Callable[[Path, Path], list[str]]:
        return lambda source, target: [interpreter, str(HERE / "drivers.py"), name, str(source), str(target)]

    def ours(mode: str) -> Callable[[Path, Path], list[str]]:
        return lambda source, target: [
            sys.executable,
            str(HERE / "tarnhelm_driver.py"),
            mode,
            str(source),
            str(target),
            str(work / "state"),
        ]

    def has(module: str) -> Callable[[], bool]:
        return lambda: (
            python.exists()
            and subprocess.run([str(python), "-c", f"import {module}"], capture_output=True, check=False).returncode
            == 0
        )

    def has_ours(mode: str) -> Callable[[], bool]:
        return lambda: (
            subprocess.run(
                [sys.executable, str(HERE / "tarnhelm_driver.py"), mode, "--probe"], capture_output=True, check=False
            ).returncode
            == 0
        )

    gdcm = str(venv / "bin" / "gdcmanon") if (venv / "bin" / "gdcmanon").exists() else (shutil.which("gdcmanon") or "")
    certificate = work / "gdcm.pem"
    return [
        Contestant("copy", "file copy", driver("copy", sys.executable), lambda: True),
        Contestant("rewriter", "**Tarnhelm**, rewriter alone, no hashing", ours("rewriter"), has_ours("rewriter")),
        Contestant("hashes", "**Tarnhelm**, rewriter and both hashes", ours("hashes"), has_ours("hashes"), judged=False),
        Contestant("witness", "**Tarnhelm**, rewriter, both hashes and witness", ours("witness"), has_ours("witness")),
        Contestant("command", "**Tarnhelm**, the whole command, `-p 1`", ours("command"), has_ours("command")),
        Contestant("dcmanon", "dcmanon 0.3.1 (Rust)", driver("dcmanon", str(python)), has("dcmanon")),
        Contestant(
            "gdcmanon", "gdcmanon (C++)",
            lambda source, target: [gdcm, "-e", "-c", str(certificate), "-r", "--continue", "-i", str(source), "-o", str(target)],
            lambda: bool(gdcm) and make_certificate(certificate),
        ),
        Contestant("pydicom-undecoded", "pydicom read and write, undecoded", driver("pydicom-undecoded", sys.executable), lambda: True, judged=False),
        Contestant("pydicom-decoded", "pydicom read and write, all decoded", driver("pydicom-decoded", sys.executable), lambda: True, judged=False, slow=True),
        Contestant("dicom-anonymizer", "dicom-anonymizer 2.1.0", driver("dicom-anonymizer", str(python)), has("dicomanonymizer"), slow=True),
        Contestant("dicognito", "dicognito 0.19.0", driver("dicognito", str(python)), has("dicognito"), slow=True),
        Contestant("deid", "deid 0.4.13", driver("deid", str(python)), has("deid"), slow=True),
    ]  # fmt: skip


def make_certificate(path: Path) -> bool:
    """A throw-away certificate: gdcmanon encrypts what it replaces to it."""
    if path.exists():
        return True
    openssl = shutil.which("openssl")
    if not openssl:
        return False
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=bench",
        "-days",
        "2",
        "-keyout",
        f"{path}.key",
        "-out",
        str(path),
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def memory_folder() -> str | None:
    """A file system in memory, if there is one with room: a disk's moods are no tool's merit."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 4 << 30 else None


def make_venv(venv: Path) -> None:
    """Install the other tools, each by itself: one that fails makes one row empty."""
    if (venv / "bin" / "python").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    for package in PACKAGES:
        subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", package], check=False)


def run_over(each: Contestant, folder: Path, target: Path, log: Path) -> Cost:
    """Run one contestant into an empty folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return measure(each.command(folder, target), log)


@dataclass
class Timing:
    """The best of the rounds of one contestant."""

    start: float = math.inf
    best: Cost | None = None
    files: int = 0

    def round(self, each: Contestant, single: Path, many: Path, target: Path, log: Path) -> None:
        """One run over a single file, one over all; the results of the second stay in ``target``."""
        self.files = sum(1 for _ in many.iterdir())
        for folder in (single, many):
            cost = run_over(each, folder, target, log)
            if folder is single:
                self.start = min(self.start, cost.cpu_seconds)
            elif self.best is None or cost.cpu_seconds < self.best.cpu_seconds:
                self.best = cost

    def row(self) -> dict[str, Any]:
        """Figures for the table."""
        if self.best is None:
            return {"absent": True}
        seconds = max(self.best.cpu_seconds - self.start, 1e-6) / max(1, self.files - 1)
        made = {
            "files": self.files,
            "files_per_cpu_second": 1 / seconds,
            "peak_rss_mib": self.best.peak_rss_mib,
            "code": self.best.code,
        }
        return {**made, "wall_seconds": self.best.wall_seconds, "tail": self.best.tail if self.best.code > 1 else ""}


def race(
    size: str, rows: list[Contestant], work: Path, *, count: int, rounds: int, only: set[str], alike: int = SLICES
) -> dict[str, dict[str, Any]]:
    """All contestants over files of one size, in turn in each round, so that a slow minute of the machine hits all."""
    folder = work / f"{size.replace(' ', '')}-{alike}" / "in"
    print(f"making {count} files of {size}, {alike} alike", flush=True)
    manifest = make_files(folder, count, size, alike=alike)
    single = folder.parent / "one"
    single.mkdir(exist_ok=True)
    shutil.copyfile(folder / "ct_00000.dcm", single / "ct_00000.dcm")
    # The noise of an interpreter's start is more than the work of the fast ones on a few files.
    few = folder.parent / "few"
    few.mkdir(exist_ok=True)
    half, middle = max(1, count // SLOW_SHARE // 2), count // 2  # as many of each of the two studies
    manifest = replace(manifest, files=manifest.files[:half] + manifest.files[middle : middle + half])
    for entry in manifest.files:
        os.link(folder / entry.path, few / entry.path)
    runners = [each for each in rows if (not only or each.name in only) and each.present()]
    timings = {each.name: Timing() for each in runners}
    quality: dict[str, dict[str, Any]] = {}
    for number in range(rounds):
        for each in runners:
            timing, target = timings[each.name], work / "out" / each.name
            if timing.best and timing.best.cpu_seconds > SLOW_SECONDS:
                continue  # noise is no matter beside that
            log = work / f"{each.name}.log"
            timing.round(each, single, few if each.slow else folder, target, log)
            if number == 0 and each.judged and each.name != "copy" and size == "16 KB" and alike == SLICES:
                if not each.slow:
                    run_over(each, few, target, log)
                quality[each.name] = {
                    "score": asdict(score(target, manifest)),
                    "witness_finds": witness_finds(few, target),
                }
            shutil.rmtree(target, ignore_errors=True)
            speed = timing.row()["files_per_cpu_second"]
            print(f"{size:>7} round {number + 1}  {each.label:<52} {speed:>9,.0f}", flush=True)
    absent = {each.name: {"label": each.label, "absent": True} for each in rows if not only or each.name in only}
    measured = {
        each.name: {"label": each.label, **timings[each.name].row(), **quality.get(each.name, {})} for each in runners
    }
    measured = {**absent, **measured}
    if "witness" in timings:
        measured["witness"]["hash_seconds"] = hash_seconds(folder / "ct_00000.dcm")
    return measured


def hash_seconds(path: Path) -> float:
    """CPU seconds for the sha256 of a source and of a result of its size: the best of many."""
    data = path.read_bytes()
    best = math.inf
    for _ in range(50):
        started = time.process_time()
        for _ in range(8):
            hashlib.sha256(data).digest()
        best = min(best, (time.process_time() - started) / 4)
    return best


def witness_finds(source: Path, target: Path) -> dict[str, Any] | None:
    """What the witness says of another tool's output: objects condemned, findings by code; None where it is absent."""
    command = [sys.executable, str(HERE / "tarnhelm_driver.py"), "verdicts", str(source), str(target), ""]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def flat(count: int, work: Path) -> dict[str, Any] | None:
    """Peak and resident memory of the rewriter over many files, sampled while it runs."""
    folder = work / "flat"
    one = work / f"16KB-{SLICES}" / "in"
    names = sorted(one.iterdir())
    folder.mkdir(exist_ok=True)
    for index in range(count):
        target = folder / f"f_{index:06d}.dcm"
        if not target.exists():
            os.link(names[index % len(names)], target)
    out = work / "flat-out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [sys.executable, str(HERE / "tarnhelm_driver.py"), "witness", str(folder), str(out), str(work / "state")]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    samples: list[tuple[int, float]] = []
    while child.poll() is None:
        time.sleep(0.25)
        try:
            pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            break
        if pages:  # none: it has ended, and nobody has asked for its exit code yet
            samples.append((sum(1 for _ in os.scandir(out)), pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
    code = child.wait()
    shutil.rmtree(folder)
    shutil.rmtree(out)
    if code != 0 or not samples:
        return None
    tenth = [rss for done, rss in samples if done >= count // 10]
    return {
        "files": count,
        "rss_after_a_tenth_mib": tenth[0] if tenth else samples[0][1],
        "rss_at_the_end_mib": samples[-1][1],
        "samples": samples[:: max(1, len(samples) // 40)],
    }


def main() -> int:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "-n",
        "--files",
        type=int,
        default=4000,
        help="files of 16 KB; a quarter as many of 513 KB, and for the slow tools (default 4000)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of which the best counts (default 3)")
    parser.add_argument("--only", default="", help="contestants to run, separated by commas")
    parser.add_argument(
        "--flat", type=int, default=10_000, help="files for the memory curve, 0 for none (default 10000)"
    )
    parser.add_argument(
        "--tools-venv",
        type=Path,
        default=ROOT / "build" / "bench-venv",
        help="environment of the other tools, made if missing",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=None,
        help="folder for files and results (default: a temporary one, in memory where there is room)",
    )
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="figures")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose table is replaced")
    options = parser.parse_args()
    make_venv(options.tools_venv)
    only = {name for name in options.only.split(",") if name}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory_folder()) as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        rows = contestants(options.tools_venv.absolute(), work)
        sizes = {}
        for size in SIZES:
            count = options.files if size == "16 KB" else max(20, options.files // 4)
            sizes[size] = race(size, rows, work, count=count, rounds=options.rounds, only=only)
        unlike = race(
            "16 KB", rows, work, count=max(20, options.files // 8), rounds=options.rounds, alike=1,
            only=UNLIKE & only if only else UNLIKE,
        )  # fmt: skip
        curve = flat(options.flat, work) if options.flat and (not only or "witness" in only) else None
    document = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine(), "python": platform.python_version(),
        "files": options.files, "planted": PLANTED, "useful": len(USEFUL), "sizes": sizes, "unlike": unlike, "flat": curve,
        "load": (load, os.getloadavg()[0]),
    }  # fmt: skip
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=1))
    write_page(options.page, document)
    print(flat_section(document))
    print(f"table: {options.page}\nfigures: {options.json}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
