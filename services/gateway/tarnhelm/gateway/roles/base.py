"""What each process of a gateway is put together with, and how it tells that it lives."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.board import Announcer, PartNote
from tarnhelm.gateway.board.sqlite import SqliteBoard
from tarnhelm.gateway.config.parts import private_line

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tarnhelm.common.events import EventLog
    from tarnhelm.gateway.board import Board
    from tarnhelm.gateway.config import GatewayConfig
    from tarnhelm.gateway.config.parts import SharedParts

__all__ = ["Part", "RoleContext", "announcing", "instance_name", "open_board", "run_together", "software_version"]

_INSTANCE: Final = 48


class Part(Protocol):
    """What runs until it is told to stop."""

    def run(self, stop: threading.Event) -> None:
        """Work; returns when ``stop`` is set and what was in hand is done."""
        ...


@dataclass(frozen=True, slots=True)
class RoleContext:
    """What a role gets.

    Attributes
    ----------
    parts
        None in a process whose roles need none.
    registry
        Of this process's metrics.
    instance
        Names this process among others of its role: host and process id.
    """

    config: GatewayConfig
    parts: SharedParts | None
    registry: CollectorRegistry
    log: EventLog
    instance: str

    @property
    def shared(self) -> SharedParts:
        """What all processes have in common."""
        if self.parts is None:
            raise TarnhelmError(errors.CONFIG_REFERENCE)
        return self.parts


def instance_name() -> str:
    """Name this process: the machine's name, as far as it is a word, and the process id."""
    host = "".join(
        letter for letter in os.uname().nodename if letter.isascii() and (letter.isalnum() or letter in ".-")
    )
    return f"{(host or 'host')[:_INSTANCE]}-{os.getpid()}"


def open_board(config: GatewayConfig) -> Board:
    """Open the board beside the state."""
    if config.state.postgres_file is None:
        return SqliteBoard(config.state_dir / "board.sqlite")
    from tarnhelm.gateway.board.postgres import PostgresBoard  # noqa: PLC0415  # one machine needs no driver

    return PostgresBoard(private_line(config.state.postgres_file))


@contextmanager
def announcing(context: RoleContext, gather: Callable[[], Iterable[PartNote]]) -> Iterator[None]:
    """Say on the board how this process's parts are, as long as it lives."""
    board = open_board(context.config)
    stop = threading.Event()
    announcer = Announcer(board, context.instance, gather, context.log, time.time)
    thread = threading.Thread(target=announcer.run, args=(stop,), name="tarnhelm-board", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        board.close()


def run_together(parts: Sequence[Part], stop: threading.Event) -> None:
    """Run several parts until they are told to stop; one that fails ends all, so that the process is started anew."""
    failures: list[BaseException] = []

    def run(part: Part) -> None:
        try:
            part.run(stop)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=run, args=(part,), name=f"tarnhelm-{n}") for n, part in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def software_version() -> str:
    """Version of the installed distribution, for the manifest."""
    try:
        return version("tarnhelm")
    except PackageNotFoundError:
        return "unpacked"
