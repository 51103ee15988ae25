"""A worker under bounds: reads paths from stdin, cleans each with the metadata core, answers a JSON line each.

``python worker.py STATE ADDRESS_SPACE_MIB``: the address space is bounded above what the worker has after start, as
the pool of the command bounds it.
"""

# ruff: noqa: T201  (answers on stdout)
from __future__ import annotations

import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

MIB = 1 << 20


def bound_memory(mebibytes: int) -> None:
    """RLIMIT_AS above the present size."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + mebibytes * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def one(core: Any, assigner: Any, path: Path, number: int) -> dict[str, Any]:
    """Outcome of one file: a code of the catalogue, ``DONE``, or what crashed."""
    from tarnhelm.common.errors import TarnhelmError
    from tarnhelm.common.stage import StageJob

    target = path.with_suffix(".out")
    target.unlink(missing_ok=True)
    started = time.perf_counter()
    try:
        outcome = core(StageJob(f"{number:032x}", path, target, accept_unchecked_pixels=True), assigner)
        answer = {"outcome": "DONE", "removed": sorted({name for name, _ in (*outcome.actions, *outcome.findings)})}
    except TarnhelmError as error:
        answer = {"outcome": error.code, "text": error.safe_message}
    except Exception as error:  # noqa: BLE001  (that is what is looked for)
        answer = {"outcome": "CRASH", "text": f"{type(error).__name__}: {traceback.format_exc()[-600:]}"}
    if answer["outcome"] != "DONE" and target.exists():
        answer["left"] = True
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {**answer, "seconds": time.perf_counter() - started, "peak_mib": usage.ru_maxrss / 1024}


def main() -> None:
    """Serve until stdin ends."""
    from tarnhelm.linkage.local import LocalLinkage
    from tarnhelm.metadata.core.stage import MetadataConfig, make_core

    linkage = LocalLinkage(Path(sys.argv[1]))
    if not linkage.projects.list():
        linkage.create("hostile")
    assigner = linkage.assigner("hostile")
    core = make_core(MetadataConfig())
    bound_memory(int(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_STACK, (8 * MIB, 8 * MIB))
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        print(json.dumps(one(core, assigner, Path(line.strip()), number)), flush=True)


if __name__ == "__main__":
    main()
