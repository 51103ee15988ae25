"""The processes of ``tarnhelm up``: who dies is started again, and all end with the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tarnhelm.cli.up.supervisor import Child, Supervisor


def python(name, code, order=0):
    return Child(name, (sys.executable, "-u", "-c", code), order)


def await_(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def group(tmp_path):
    made = []

    def make(*children, **options):
        told = []
        supervisor = Supervisor(
            children, tmp_path / "log", {"PATH": os.environ["PATH"]},
            told=lambda one, what: told.append((one.child.name, what)), **options,
        )  # fmt: skip
        supervisor.start()
        made.append(supervisor)
        return supervisor, told

    yield make
    for supervisor in made:
        supervisor.stop()


def test_who_dies_is_started_again_and_the_others_go_on(group):
    supervisor, told = group(
        python("one", "import time; time.sleep(600)"), python("two", "import time; time.sleep(600)")
    )
    first, second = (one.pid for one in supervisor.watched)
    os.kill(first, signal.SIGKILL)

    def back():
        supervisor.look()
        return supervisor.watched[0].pid not in {0, first}

    await_(back)
    assert supervisor.watched[0].status == -signal.SIGKILL
    assert supervisor.watched[0].starts == 2
    assert supervisor.watched[1].pid == second
    assert told.count(("one", "ended")) == 1


def test_who_dies_at_once_waits_longer_each_time(tmp_path):
    now = [0.0]
    supervisor = Supervisor([python("bad", "raise SystemExit(3)")], tmp_path / "log", {}, clock=lambda: now[0])
    supervisor.start()
    waits = []
    for _ in range(8):
        one = supervisor.watched[0]
        one.process.wait()
        supervisor.look()
        waits.append(one.next_start - now[0])
        now[0] = one.next_start
        supervisor.look()
    assert supervisor.watched[0].status == 3
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])
    supervisor.stop()


def test_they_end_in_the_order_of_their_need_and_a_deaf_one_is_killed(group, tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    supervisor, told = group(
        python("service", "import time; time.sleep(600)"), python("door", deaf, order=1), grace_seconds=0.5
    )
    await_(lambda: b"deaf" in (tmp_path / "log" / "door.log").read_bytes())
    supervisor.stop()
    assert told[-2:] == [("door", "killed"), ("service", "stopped")]
    assert (tmp_path / "log" / "door.log").stat().st_mode & 0o777 == 0o600


def test_nobody_stays_behind_when_the_supervisor_is_killed(tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tarnhelm.cli.up.supervisor import Child, Supervisor\n"
        "child = Child('child', (sys.executable, '-c', 'import time; time.sleep(600)'))\n"
        f"group = Supervisor([child], Path({str(tmp_path)!r}), {{}})\n"
        "group.start(); print(group.watched[0].pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        child = int(parent.stdout.readline())
        parent.kill()
    await_(lambda: not _running(child))


def _running(pid):
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="ascii") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
