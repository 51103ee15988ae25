"""Killed at each point where something becomes durable, a run loses nothing and releases nothing twice."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakecores
import pytest
from run_fake import FakeServices

import tarnhelm.cli.run
from tarnhelm.cli.main import run
from tarnhelm.gateway import release
from tarnhelm.gateway.record import ManifestEntry
from tarnhelm.gateway.run import book, outgoing
from tarnhelm.gateway.run.plan import Plan
from tarnhelm.gateway.state import SqliteState, batch

COUNT = 40
POINTS: dict[str, tuple[type, str]] = {
    "the state is committed": (SqliteState, "flush"),
    "a batch is written and not committed": (batch.Batch, "write"),
    "the way back is sealed": (book.Book, "seal"),
    "files are synced": (release._Disk, "sync"),
    "a file gets its name": (release._Disk, "rename_to_free"),
    "releases are recorded": (outgoing.Outgoing, "_delivered"),
    "an object is released": (outgoing.Outgoing, "_released"),
    "an object is held": (book.Book, "end"),
}


SHORT = {
    ("a batch is written and not committed", False),
    ("files are synced", True),
    ("a file gets its name", False),
    ("releases are recorded", True),
}
"""(point, before) of the short form."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(COUNT):
        fakecores.write_fake(tmp_path / "in" / f"{number % 4}" / f"{number}.dcm", f"Doe{number % 3}", number + 1)
    fakecores.write_fake(tmp_path / "in" / "leak", "Roe", 1, "leak")
    fakecores.write_fake(tmp_path / "in" / "text", "Roe", 2, "text")
    return tmp_path / "in"


def die_at(patch: pytest.MonkeyPatch, owner: type, name: str, call: int, *, before: bool) -> None:
    """SIGKILL this process at the given call of a method."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = [0]

    @functools.wraps(original)
    def dying(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if before and calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **named)
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    patch.setattr(owner, name, dying)


def killed_run(
    arguments: list[str], patch: pytest.MonkeyPatch, owner: type, name: str, call: int, *, before: bool
) -> int:
    """Run the command in a child that dies on the way; the signal that ended it, 0 if it lived."""
    child = os.fork()
    if child == 0:
        try:
            patch.setattr(tarnhelm.cli.run, "Plan", functools.partial(Plan, release_batch=8, max_objects_in_flight=16))
            die_at(patch, owner, name, call, before=before)
            run(arguments, FakeServices())
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def released(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.dcm")}


def manifest_of(path: Path) -> list[ManifestEntry]:
    state = SqliteState(path)
    try:
        return list(state.manifest())
    finally:
        state.close()


@pytest.mark.parametrize(
    ("point", "before"),
    [
        pytest.param(point, before, marks=[] if (point, before) in SHORT else pytest.mark.slow)
        for point in POINTS
        for before in (True, False)
    ],
)
def test_a_run_killed_when(
    point: str, before: bool, source: Path, tarnhelm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = POINTS[point]
    tarnhelm("project", "create", "one")
    tarnhelm("clean", source, tmp_path / "whole", "--project", "one", code=1)
    wanted = released(tmp_path / "whole")
    assert len(wanted) == COUNT
    out = tmp_path / "out"
    arguments = ["clean", str(source), str(out), "--project", "one", "--resume"]
    deaths = 0
    for call in (2, 3, 11):
        with monkeypatch.context() as patch:
            deaths += killed_run(arguments, patch, owner, name, call, before=before) == signal.SIGKILL
        assert released(out).items() <= wanted.items(), "OUT holds something that a whole run does not release"
    assert deaths
    tarnhelm(*arguments, code=1)
    assert released(out) == wanted
    lines = [json.loads(line) for line in (out / "report" / "objects.jsonl").read_text().splitlines()[1:]]
    assert sorted(line["path"] for line in lines if line["state"] == "released") == sorted(wanted)
    assert sorted(line["code"] for line in lines if line["state"] == "quarantined") == ["PIX-001", "WIT-001"]
    entries = [
        entry.object_id
        for path in sorted((tmp_path / "state" / "gateway").glob("*/*.sqlite"))
        for entry in manifest_of(path)
    ]
    assert len(entries) == 2 * COUNT
    assert max(map(entries.count, entries)) == 2  # once in each OUT
    assert not list((tmp_path / "state").rglob("*.part"))
