from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "gateway")]


class Done(NamedTuple):
    """What one command line said and how it ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def tarnhelm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command over small stand-ins for metadata and witness, with a state directory of its own."""
    from run_fake import FakeServices

    from tarnhelm.cli.main import run

    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object, code: int | None = 0) -> Done:
        returncode = run([str(argument) for argument in arguments], FakeServices())
        done = Done(returncode, *capfd.readouterr())
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        return done

    return call
