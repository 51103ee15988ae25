"""``tarnhelm up``: doors, pumps, services, broker and page of one machine, until they are asked to end."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from tarnhelm.cli.config_commands import loaded
from tarnhelm.cli.console import ExitCode, err, out, reports_errors
from tarnhelm.cli.places import Places
from tarnhelm.cli.services import Services
from tarnhelm.cli.up.keys import make_keys
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from tarnhelm.cli.up.arrangement import Rooms
    from tarnhelm.cli.up.supervisor import Supervisor, Watched
    from tarnhelm.gateway.config import GatewayConfig

__all__ = ["register"]

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder below it is made with mkdtemp, 0700
_LEAST_MEMORY: Final = 2 << 30
"""A smaller file system in memory is a container's default and too small for scratch."""
_READY_SECONDS: Final = 90.0
_LOOK_SECONDS: Final = 0.1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


@reports_errors
def up(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A configuration (YAML); see `tarnhelm config`.")
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Without --config: holds the folders `in` and `out`.")
    ] = Path("tarnhelm-data"),
    project: Annotated[
        str, typer.Option("--project", metavar="LABEL", help="Without --config: made where it is missing.")
    ] = "local",
    web: Annotated[bool, typer.Option("--web/--no-web", help="The page for operators.")] = True,
) -> None:
    """Run the gateway on this machine: doors, pumps, services, an embedded broker and the page, each a process of its own.

    Without --config everything listens on this machine only: put files into DIR/in, send to the AE title TARNHELM on port 11112, post to http://127.0.0.1:8042/dicom-web, or produce with `tarnhelm send`; what is released appears in DIR/out. What dies is started again. Ctrl-C lets what is in hand end; nothing that was accepted is lost, whatever ends how.

    [bold]Examples[/bold]

        tarnhelm up
        tarnhelm up --data /srv/images --project trial-7
        tarnhelm up --config /etc/tarnhelm/gateway.yaml

    [bold]Exit codes[/bold]

        0 it was asked to end · 2 the configuration cannot be used · 130 ended in a hurry
    """
    try:
        from tarnhelm.cli.up.arrangement import default_config  # noqa: PLC0415 - optional
    except ImportError:
        raise TarnhelmError(errors.PART_MISSING) from None
    places = Places.of_user()
    given = loaded(config) if config is not None else default_config(places.root / "up", data.absolute(), project)
    LocalLinkage(places.root)  # makes this user's private state directory, where it is missing
    with _alone(given.state_dir), _rooms(given.state_dir) as rooms:
        _run(given, context.obj, places, rooms, web=web)


def _run(given: GatewayConfig, services: Services, places: Places, rooms: Rooms, *, web: bool) -> None:
    from tarnhelm.cli.up.arrangement import children_of, filled  # noqa: PLC0415
    from tarnhelm.cli.up.plans import known_ids, publish_plans  # noqa: PLC0415
    from tarnhelm.cli.up.supervisor import Supervisor  # noqa: PLC0415
    from tarnhelm.gateway.config import with_ids, write_config  # noqa: PLC0415
    from tarnhelm.gateway.config.parts import open_broker  # noqa: PLC0415

    keys = make_keys(given.key_folder, witness=given.services.witness is None)
    named = known_ids(given, LocalLinkage(places.root), make=True)
    config = with_ids(filled(named, rooms, keys, web=web))
    for door in config.doors.folder:
        door.folder.mkdir(parents=True, exist_ok=True)
    broker = open_broker(config)
    try:
        broker.ensure()
    finally:
        broker.close()
    publish_plans(named, services, places, make=True)
    effective = given.state_dir / "run" / "gateway.json"
    write_config(config, effective)
    supervisor = Supervisor(
        children_of(config, given, effective, rooms, keys, places.root),
        given.state_dir / "log",
        _environment(),
        told=_told,
    )
    with _asked_to_end() as ending:
        supervisor.start()
        _await_doors(config, supervisor, ending)
        if not ending():
            _show(config)
        while not ending():
            supervisor.look()
            time.sleep(_LOOK_SECONDS)
        err().print("ending: what is in hand is finished first (Ctrl-C again ends at once)")
        try:
            supervisor.stop()
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None


@contextmanager
def _asked_to_end() -> Iterator[Callable[[], bool]]:
    """Turn the first signal into a wish and the second into a KeyboardInterrupt."""
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Hold the one lock of a state directory; raises CFG-006 if another group has it."""
    run = state_dir / "run"
    try:
        for folder in (state_dir, run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(run / "up.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        raise TarnhelmError(errors.STATE_UNWRITABLE) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TarnhelmError(errors.ALREADY_UP) from None
        yield
    finally:
        os.close(fd)


@contextmanager
def _rooms(state_dir: Path) -> Iterator[Rooms]:
    """Make folders for sockets and scratch; what a killed start has left is removed first."""
    from tarnhelm.cli.up.arrangement import Rooms  # noqa: PLC0415

    note = state_dir / "run" / "rooms"
    if note.exists():
        for line in note.read_text("utf-8").splitlines():
            if Path(line).name.startswith("tarnhelm-"):
                shutil.rmtree(line, ignore_errors=True)
    sockets = Path(tempfile.mkdtemp(prefix="tarnhelm-"))
    scratch = Path(tempfile.mkdtemp(prefix="tarnhelm-", dir=_scratch_parent(state_dir)))
    note.write_text(f"{sockets}\n{scratch}\n", "utf-8")
    try:
        yield Rooms(sockets, scratch)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)
        note.unlink(missing_ok=True)


def _scratch_parent(state_dir: Path) -> Path:
    """In memory where there is enough of it: then nothing of an object reaches the disk unencrypted."""
    try:
        found = os.statvfs(_MEMORY)
        if found.f_bavail * found.f_frsize >= _LEAST_MEMORY and os.access(_MEMORY, os.W_OK):
            return _MEMORY
    except OSError:
        pass
    folder = state_dir / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _environment() -> dict[str, str]:
    """Hand on what a process needs to start, and no more: no proxy, no credential of the user's."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


def _await_doors(config: GatewayConfig, supervisor: Supervisor, ending: Callable[[], bool]) -> None:
    """Wait until every door and the page take connections; whoever dies meanwhile is started again."""
    listening = [*(door.listen for door in config.doors.dicom), *(door.listen for door in config.doors.stow)]
    if config.web.page is not None:
        listening.append(config.web.page.listen)
    waiting = [address for address in listening if not address.endswith(":0")]
    deadline = time.monotonic() + _READY_SECONDS
    while waiting and not ending() and time.monotonic() < deadline:
        supervisor.look()
        waiting = [address for address in waiting if not _answers(address)]
        time.sleep(_LOOK_SECONDS)
    if waiting and not ending():
        supervisor.stop()
        raise TarnhelmError(errors.PORT_TAKEN)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        with socket.create_connection(("127.0.0.1" if host in {"", "0.0.0.0", "::"} else host, int(port)), 0.5):  # noqa: S104
            return True
    except OSError:
        return False


def _told(one: Watched, what: str) -> None:
    if what == "ended":
        err().print(f"{one.child.name} ended ({one.status}); it is started again", markup=False)
    elif what == "killed":
        err().print(f"{one.child.name} did not end in time and was killed", markup=False)


def _show(config: GatewayConfig) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ignore")
    page = config.web.page
    if page is not None:
        scheme = "https" if page.tls_certificate_file else "http"
        table.add_row("page", page.public_url or f"{scheme}://{page.listen}")
    for dicom in config.doors.dicom:
        table.add_row("DICOM", f"{', '.join(dicom.titles)} on {dicom.listen}")
    for stow in config.doors.stow:
        scheme = "https" if stow.tls_certificate_file else "http"
        for route in stow.routes:
            table.add_row("STOW-RS", f"{scheme}://{stow.listen}{route.path}/studies")
    for folder in config.doors.folder:
        table.add_row("folder", str(folder.folder))
    for ingest in config.doors.ingest:
        table.add_row("topic", ingest.topic)
    for name, destination in config.destinations.items():
        where = destination.folder.folder if destination.folder is not None else ""
        table.add_row("released to", f"{name} {where}".strip())
    table.add_row("logs", str(config.state_dir / "log"))
    out().print(table)
    if page is not None and (link := _first_run_link(config.state_dir)):
        out().print(link, markup=False, soft_wrap=True)
    out().print("tarnhelm is up; Ctrl-C ends it")


def _first_run_link(state_dir: Path) -> str:
    """Return what the page says while nobody has an account; empty where somebody has."""
    from tarnhelm.gateway.roles.web import first_run_file  # noqa: PLC0415

    try:
        return first_run_file(state_dir).read_text("utf-8").strip()
    except OSError:
        return ""
