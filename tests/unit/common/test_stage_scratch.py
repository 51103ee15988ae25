"""The folder of objects in hand: closed to others, and swept of what the dead left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tarnhelm.common.stage_service.scratch import Scratch

HOLD = """
import sys, time
from pathlib import Path
from tarnhelm.common.stage_service.scratch import Scratch
made = Scratch(Path(sys.argv[1]), "test")
made.path().write_bytes(b"x")
print(made.folder, flush=True)
time.sleep(60)
"""


def test_only_its_owner_may_look_into_it_and_it_goes_with_him(tmp_path):
    scratch = Scratch(tmp_path, "test")
    assert scratch.folder.stat().st_mode & 0o777 == 0o700
    names = {scratch.path() for _ in range(100)}
    assert len(names) == 100
    scratch.path().write_bytes(b"x")
    scratch.close()
    scratch.close()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_is_not(tmp_path):
    other = tmp_path / "tarnhelm-other-1"
    other.mkdir()
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry))
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    with held:
        folder = held.stdout.readline().strip()
        first = Scratch(tmp_path, "test")
        assert os.path.isdir(folder)  # noqa: PTH112
        held.send_signal(signal.SIGKILL)
        held.wait(30)
    second = Scratch(tmp_path, "test")
    assert not os.path.exists(folder)  # noqa: PTH110
    assert first.folder.exists()
    assert other.exists()
    first.close()
    second.close()
