"""The folder of objects in hand: closed to others, and swept of what the dead left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tarnhelm.common.stage_service.scratch import SPARE_SECONDS, Scratch, write_over

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
    assert len({scratch.path() for _ in range(100)}) == 100
    scratch.path().write_bytes(b"x")
    scratch.close()
    scratch.close()
    assert not list(tmp_path.iterdir())


def names(scratch: Scratch) -> set[str]:
    return {path.name for path in scratch.folder.iterdir()} - {"lock"}


def test_a_file_that_was_given_back_is_the_next_one_until_it_is_old(tmp_path):
    now = [100.0]
    scratch = Scratch(tmp_path, "test", clock=lambda: now[0])
    first = scratch.taken()
    write_over(first, b"a longer object")
    scratch.give_back(first, 15)
    assert scratch.taken() == first
    write_over(first, b"short")
    assert first.read_bytes() == b"short"
    assert scratch.taken() != first
    now[0] += SPARE_SECONDS / 2
    scratch.give_back(first, 5)
    scratch.tidy()
    assert names(scratch) == {first.name}
    now[0] += SPARE_SECONDS / 2
    scratch.tidy()
    assert not names(scratch)
    assert scratch.taken() not in (first, scratch.taken())
    scratch.close()


def test_what_is_old_large_or_one_too_many_is_not_kept(tmp_path):
    now = [100.0]
    scratch = Scratch(tmp_path, "test", clock=lambda: now[0])
    taken = [scratch.taken() for _ in range(100)]
    for path in taken:
        write_over(path, b"x")
    scratch.give_back(taken.pop(), (8 << 20) + 1)
    assert names(scratch) == {path.name for path in taken}
    for _ in range(10):
        scratch.give_back(taken.pop(), 8 << 20)
    assert len(names(scratch)) == len(taken) + 8
    scratch.drop(taken.pop())
    assert len(names(scratch)) == len(taken) + 8
    now[0] += SPARE_SECONDS
    scratch.tidy()
    for path in taken:
        scratch.give_back(path, 1)
    assert not names(scratch)
    scratch.close()


def test_kept_files_are_so_many_at_most_and_go_with_their_owner(tmp_path):
    scratch = Scratch(tmp_path, "test", clock=lambda: 0.0)
    for path in [scratch.taken() for _ in range(100)]:
        write_over(path, b"x")
        scratch.give_back(path, 1)
    assert len(names(scratch)) == 32
    scratch.close()
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=name):
            write_over(tmp_path / name, b"x")
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"


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
