"""Where the command keeps what is private, and which project an OUT belongs to.

Nothing is written into OUT to remember that: the state of a run lies at
``STATE/gateway/<project id>/<keyed digest of OUT>.sqlite``, so the digest of a folder finds its project.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.keys import GatewayKeys
from tarnhelm.gateway.state import SqliteState
from tarnhelm.linkage.core.projects import state_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Places", "StatePlace", "check_apart", "check_out", "locked", "write_private"]

_LOG_BYTES: Final = 16 << 20
REPORT_FOLDER: Final = "report"
REPORT_FILES: Final = ("objects.jsonl", "objects.csv", "index.html")


@dataclass(frozen=True, slots=True)
class StatePlace:
    """The state of one project in one OUT."""

    project_id: str
    path: Path

    def open(self) -> SqliteState:
        """Open it."""
        return SqliteState(self.path)

    def last_run(self) -> float:
        """When its last run began; 0 without one."""
        state = self.open()
        try:
            return max((run.started for run in state.runs()), default=0.0)
        finally:
            state.close()


class Places:
    """The private state directory of this user.

    Parameters
    ----------
    root
        Made with mode 0700 where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gateway = root / "gateway"

    @classmethod
    def of_user(cls) -> Places:
        """``TARNHELM_STATE``, else the XDG state directory."""
        return cls(state_directory(os.environ, Path.home()))

    def keys(self) -> GatewayKeys:
        """Return the gateway's keys, made at first use."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            return GatewayKeys.open(self.gateway)
        except OSError:
            raise TarnhelmError(errors.STATE_UNWRITABLE) from None

    @property
    def site_file(self) -> Path:
        """What this site adds to the cleaning of texts, in every project that is made from now on."""
        return self.root / "site.yaml"

    def state(self, keys: GatewayKeys, project_id: str, out: Path) -> StatePlace:
        """Where the state of a project in ``out`` lies."""
        folder = self.gateway / project_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return StatePlace(project_id, folder / f"{keys.place_digest(out)}.sqlite")

    def states_of(self, keys: GatewayKeys, out: Path) -> list[StatePlace]:
        """States of any project in ``out``, the one of the last run last: a folder may be emptied and used anew."""
        found = sorted(self.gateway.glob(f"*/{keys.place_digest(out)}.sqlite"))
        places = [StatePlace(path.parent.name, path) for path in found]
        return sorted(places, key=StatePlace.last_run) if len(places) > 1 else places

    def open_log(self) -> IO[str]:
        """Open the log of events (numbers and ids, no values) for appending; the one before is kept as ``.1``."""
        self.gateway.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.gateway / "events.jsonl"
        if path.exists() and path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".jsonl.1"))
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "w")

    def all_states(self) -> list[StatePlace]:
        """All states of this user."""
        return [StatePlace(path.parent.name, path) for path in sorted(self.gateway.glob("*/*.sqlite"))]


def check_apart(source: Path, out: Path) -> None:
    """Refuse IN in OUT and OUT in IN: originals and released objects must not mix."""
    if not os.access(source, os.R_OK):
        raise TarnhelmError(errors.NO_INPUT)
    inside, outside = source.resolve(), out.resolve()
    if inside == outside or inside in outside.parents or outside in inside.parents:
        raise TarnhelmError(errors.OUT_INSIDE_IN)


def check_out(out: Path, project_id: str, known: list[StatePlace]) -> None:
    """Refuse an OUT that holds another project's objects, or anything that is not ours.

    Raises
    ------
    TarnhelmError
        ``RUN-002``, ``RUN-003``.
    """
    if known and known[-1].project_id == project_id:
        return
    if known and _holds_anything(out):
        raise TarnhelmError(errors.OUT_OF_OTHER_PROJECT)
    if not out.exists():
        return
    if not out.is_dir():
        raise TarnhelmError(errors.OUT_UNWRITABLE)
    reported = _reported_project(out)
    if reported and reported != project_id:
        raise TarnhelmError(errors.OUT_OF_OTHER_PROJECT)
    if _holds_anything(out):
        raise TarnhelmError(errors.OUT_NOT_EMPTY)


def _holds_anything(out: Path) -> bool:
    return out.is_dir() and any(True for _ in out.iterdir())


def _reported_project(out: Path) -> str:
    """Return the project that a report in OUT names, on a machine that does not know OUT."""
    try:
        with (out / REPORT_FOLDER / REPORT_FILES[0]).open(encoding="utf-8") as stream:
            head = json.loads(stream.readline(65_536))
            return str(head.get("project_id", ""))
    except (OSError, ValueError, AttributeError):
        return ""


@contextmanager
def locked(place: StatePlace) -> Iterator[None]:
    """Hold the one lock of an OUT; raises ``GTW-005`` if another run has it."""
    fd = os.open(place.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TarnhelmError(errors.STATE_LOCKED) from None
        yield
    finally:
        os.close(fd)


def write_private(path: Path, text: str) -> None:
    """Put a text into a file that only this user can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
