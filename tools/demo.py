"""Make a small hospital's worth of DICOM, clean it, and say where to look: ``python tools/demo.py FOLDER``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parent


def main() -> int:
    """Run the demonstration; what is in FOLDER from an earlier one is replaced."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scans, cleaned = folder / "scans", folder / "cleaned"
    subprocess.run([sys.executable, TOOLS / "demo_corpus.py", scans], check=True)
    command = Path(sys.executable).with_name("tarnhelm")
    environment = {**os.environ, "TARNHELM_STATE": str(folder / "state")}
    print(f"\n$ tarnhelm clean {scans} {cleaned}\n", flush=True)
    run = subprocess.run([command, "clean", scans, cleaned], check=False, env=environment)
    # Exit code 1 says that some objects wait in quarantine: the demonstration holds kinds that must.
    if run.returncode not in (0, 1):
        return run.returncode
    page = next(cleaned.rglob("index.html"), None)
    if page is None:
        return 3
    print(
        f"\nThe report: {page}\nWhat was held back, and why: TARNHELM_STATE={folder / 'state'} tarnhelm quarantine list"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
