"""The other side of a pool: the fork server and the worker it forks.

Run by the pool as a fresh interpreter, so nothing of the parent's memory (keys, other objects) is in it.
The server imports the factory's module and nothing runs in it but fork and wait.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tarnhelm.common.errors import NO_SPACE, TarnhelmError
from tarnhelm.common.heap import keep_freed_memory
from tarnhelm.common.limits import MIB, Limits
from tarnhelm.common.sandbox import frames
from tarnhelm.common.sandbox.channel import Caller, Channel
from tarnhelm.common.sandbox.confine import address_space_bytes, confine, raise_memory_limit
from tarnhelm.common.sandbox.parcel import unpack
from tarnhelm.common.sandbox.steps import SteppedCore
from tarnhelm.common.sandbox.wire import Codec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Setup", "main"]

_CPU_FACTOR = 2
_MEMORY_STEP = 64 * MIB
_HELD_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class Setup:
    """What the parent tells a fork server once; comes from the parent, so a pickle will do.

    Attributes
    ----------
    factory
        ``module:callable``; called with ``config`` in each worker, gives ``core(job, caller) -> result`` or a
        :class:`~tarnhelm.common.sandbox.steps.SteppedCore`.
    result, request
        Dataclasses that may travel from worker to parent.
    """

    factory: str
    config: Any
    limits: Limits
    result: type
    request: type | None


class _Stopped(NamedTuple):
    """A job of a stepped core that waits for an answer."""

    number: int
    size: int
    steps: Generator[Any, Any, Any]
    question: Any


class _Work:
    """One worker's life after its start: batches of jobs, each job within its bounds."""

    def __init__(self, core: Any, channel: Channel, slot: mmap.mmap, setup: Setup) -> None:
        self._core = core
        self._channel = channel
        self._slot = slot
        self._limits = setup.limits
        self._codec: Codec[Any] = Codec(setup.result)
        self._caller = Caller(channel, Codec(setup.request) if setup.request is not None else None)
        self._base = address_space_bytes()
        self._room = -1

    def run(self) -> None:
        """Work until the parent has gone."""
        while True:
            batch = self._channel.next_jobs()
            self._make_room(sum(size for _, _, size in batch))
            if isinstance(self._core, SteppedCore):
                self._together(self._core, batch)
            else:
                self._one_by_one(batch)
            frames.SLOT.pack_into(self._slot, 0, -1)

    def _one_by_one(self, batch: Sequence[tuple[int, Any, int]]) -> None:
        for number, parcel, size in batch:
            self._at(number, size)
            self._caller.number = number
            self._attempt(number, lambda parcel=parcel: self._core(unpack(parcel), self._caller))  # type: ignore[misc]

    def _together(self, core: SteppedCore, batch: Sequence[tuple[int, Any, int]]) -> None:
        stopped: list[_Stopped] = []
        for number, parcel, size in batch:
            steps = core.begin(unpack(parcel))
            self._advance(_Stopped(number, size, steps, None), None, stopped)
        while stopped:
            asked, stopped = stopped, []
            for one, answer in zip(asked, self._answers(core, asked), strict=True):
                self._advance(one, answer, stopped)

    def _answers(self, core: SteppedCore, asked: Sequence[_Stopped]) -> Sequence[Any]:
        try:
            found = core.answers([one.question for one in asked])
            if found is None:
                found = self._caller.ask_all([(one.number, one.question) for one in asked])
        except Exception as error:  # noqa: BLE001  # then no job of the batch has an answer
            return [error] * len(asked)
        return found

    def _advance(self, one: _Stopped, answer: Any, stopped: list[_Stopped]) -> None:
        self._at(one.number, one.size)

        def step() -> Any:
            try:
                question = one.steps.throw(answer) if isinstance(answer, Exception) else one.steps.send(answer)
            except StopIteration as done:
                return done.value
            stopped.append(one._replace(question=question))
            return _WAITS

        self._attempt(one.number, step)

    def _attempt(self, number: int, work: Callable[[], Any]) -> None:
        """Do one piece of work and keep its result or what went wrong."""
        kind, body = frames.NO_MEMORY, b""
        try:
            result = work()
            if result is _WAITS:
                return
            kind, body = frames.GOOD, self._codec.encode(result)
        except TarnhelmError as error:
            kind, body = frames.FAILED, _named(error)
        except MemoryError:
            gc.collect()
        except OSError as error:
            # A full disk is no fault of the object's: it waits, like for any dependency.
            full = error.errno in _DISK_FULL
            kind, body = (frames.FAILED, _named(_NO_SPACE)) if full else (frames.FAULT, _site_of(error))
        except Exception as error:  # noqa: BLE001  # one bad file stops nothing; the text may hold a value
            kind, body = frames.FAULT, _site_of(error)
        self._channel.finish(number, kind, body)

    def _at(self, number: int, size: int) -> None:
        """Say which job is at work (the parent watches its time) and bound its processor time."""
        frames.SLOT.pack_into(self._slot, 0, number)
        soft = int(time.process_time() + _CPU_FACTOR * self._limits.deadline_seconds(size)) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))

    def _make_room(self, size: int) -> None:
        steps = size // _MEMORY_STEP + 1
        if steps != self._room:
            raise_memory_limit(self._base, self._limits, steps * _MEMORY_STEP)
            self._room = steps


_WAITS = object()
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_SPACE = TarnhelmError(NO_SPACE)


def _resolve(factory: str) -> Callable[[Any], Any]:
    module, _, name = factory.partition(":")
    made: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
    return made


def _work(sock: socket.socket, slot_fd: int, setup: Setup) -> None:
    confined = confine(setup.limits, frozenset({sock.fileno(), slot_fd}))
    slot = mmap.mmap(slot_fd, frames.SLOT.size)
    os.close(slot_fd)
    channel = Channel(sock)
    try:
        core = _resolve(setup.factory)(setup.config)
    except TarnhelmError as error:
        channel.send(frames.BROKEN, _named(error))
        os._exit(1)
    except Exception as error:  # noqa: BLE001  # the pool must hear of it; the text may hold anything
        channel.send(frames.BROKEN, _site_of(error))
        os._exit(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    keep_freed_memory(_HELD_BYTES)
    work = _Work(core, channel, slot, setup)
    channel.send(frames.HELLO, confined.encode())
    work.run()


def _named(error: TarnhelmError) -> bytes:
    """Code and integer facts of an error, as text: ``CODE name=1 other=2``."""
    facts = " ".join(f"{name}={int(value)}" for name, value in error.facts.items() if name.isidentifier())
    return f"{error.code} {facts}".encode("ascii", "ignore")


def _site_of(error: BaseException) -> bytes:
    """Class of an unexpected error and the line of our own code it came from, never its text."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith("tarnhelm.") and not module.startswith("tarnhelm.common.sandbox"):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} {place}".encode("ascii", "ignore")[:200]


def main(control_fd: int) -> None:
    """Serve forks until the parent has gone: ``F`` fork, ``K`` kill, ``W`` wait, each answered."""
    control = socket.socket(fileno=control_fd)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # the parent decides; it drains on Ctrl-C
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)  # a stray traceback could hold a value
    os.close(null)
    size = struct.unpack("<I", _exactly(control, 4))[0]
    setup: Setup = pickle.loads(_exactly(control, size))  # noqa: S301  # from the parent
    with contextlib.suppress(Exception):  # a worker that cannot import says so itself
        _resolve(setup.factory)
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    while True:
        message, fds, _, _ = socket.recv_fds(control, 64, 2)
        if not message:
            break
        if message[:1] == b"F":
            pid = os.fork()
            if pid == 0:
                _child(control, fds, setup)
            for fd in fds:
                os.close(fd)
            children.add(pid)
            control.sendall(struct.pack("<i", pid))
            continue
        pid = struct.unpack("<i", message[1:5])[0]
        status = 0
        if pid in children:
            if message[:1] == b"K":
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            children.discard(pid)
        control.sendall(struct.pack("<i", os.waitstatus_to_exitcode(status)))
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _child(control: socket.socket, fds: list[int], setup: Setup) -> None:
    try:
        control.close()
        _work(socket.socket(fileno=fds[0]), fds[1], setup)
    except BaseException:  # noqa: BLE001  # nothing of the server may run in a child
        os._exit(1)
    os._exit(0)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            sys.exit(0)
        data += more
    return data
