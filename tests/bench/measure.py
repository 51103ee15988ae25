"""One command in a process of its own: CPU seconds, peak memory, wall clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Cost", "measure"]

LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and its children cost."""

    cpu_seconds: float
    wall_seconds: float
    peak_rss_mib: float
    code: int
    tail: str


def measure(command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run to the end; resources come from ``wait4``, so those of waited-for children are in them."""
    launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(log), *command]
    done = subprocess.run(launch, stdout=subprocess.PIPE, check=True, env={**os.environ, **(environment or {})})
    found = json.loads(done.stdout)
    return Cost(found["cpu"], found["wall"], found["rss"], found["code"], log.read_text(errors="replace")[-400:])
