"""A server that dies between audit, store and answer: never an answer without a line, never two answers."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.test_reveal_server import answered, approved, events, hospital, values
from tests.support.postgres import postgres
from tests.support.reveal_killer import POINTS, SPENT
from tests.support.reveal_server import CANARIES
from tests.support.vault_sessions import error_of

__all__ = ["hospital", "postgres"]

ROOT = Path(__file__).resolve().parents[2]


class Mortal:
    """A server in a process of its own."""

    def __init__(self, hospital, point):
        config = hospital.folder / "server.toml"
        config.write_text(hospital.config())
        state = hospital.folder / "server-one"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.reveal_killer", str(state), str(config), point],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stderr.readline()
        found = re.search(r"listening on port (\d+)", line)
        assert found, line + self.process.stderr.read()
        self.port = int(found.group(1))

    def close(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stderr.close()


@pytest.mark.parametrize("point", POINTS)
def test_a_death_in_the_middle_gives_neither_two_answers_nor_one_without_a_line(hospital, point):
    mortal = Mortal(hospital, point)
    hospital.closing.callback(mortal.close)
    bob, view = approved(hospital, mortal)
    spool = io.BytesIO()
    assert error_of(bob.answer, view, hospital.wish(view), spool).code == "RVL-045"
    assert spool.getvalue() == b""
    assert mortal.process.wait(30) == -9
    replica = hospital.start()
    lines = [event for event, _ in events(replica)]
    assert ("used" in lines) is (point in SPENT)
    assert ("mended" in lines) is point.startswith("torn")
    again = hospital.office("bob", replica.port)
    if point in SPENT:
        assert error_of(again.answer, view, hospital.wish(view), io.BytesIO()).code == "RVL-017"
    else:
        assert set(CANARIES.values()) <= values(answered(hospital, again, view))
    assert error_of(again.answer, view, hospital.wish(view), io.BytesIO()).code == "RVL-017"
    replica.close()
    assert [report.problem for report in replica.here.verify()] == [None]
    assert [event for event, _ in events(replica)].count("used") == 1
