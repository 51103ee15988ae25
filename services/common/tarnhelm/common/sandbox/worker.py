"""The other side of a pool: the fork server and the worker it forks.

Run by the pool as a fresh interpreter, so nothing of the parent's memory (keys, other objects) is in it.
The server imports the factory's module and nothing runs in it but fork and wait.
"""

from __future__ import annotations

import contextlib
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
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import MIB, Limits
from tarnhelm.common.sandbox.confine import address_space_bytes, confine, raise_memory_limit
from tarnhelm.common.sandbox.parcel import unpack
from tarnhelm.common.sandbox.wire import Codec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Caller", "Setup", "main"]

HEAD = struct.Struct("<IB")
SLOT = struct.Struct("<q")
HELLO, RESULTS, UPCALL, BROKEN = 1, 2, 3, 4
JOBS, REPLY, REFUSAL = 1, 2, 3
ITEM = struct.Struct("<IBI")
GOOD, FAILED, NO_MEMORY, FAULT = 0, 1, 2, 3
_FLUSH_SECONDS = 0.02
_FLUSH_BYTES = 64 * 1024
_CPU_FACTOR = 2
_MEMORY_STEP = 64 * MIB


@dataclass(frozen=True, slots=True)
class Setup:
    """What the parent tells a fork server once; comes from the parent, so a pickle will do.

    Attributes
    ----------
    factory
        ``module:callable``; called with ``config`` in each worker, gives ``core(job, caller) -> result``.
    result, request
        Dataclasses that may travel from worker to parent.
    """

    factory: str
    config: Any
    limits: Limits
    result: type
    request: type | None


class Caller:
    """A worker's way to ask its parent; the parent holds what a worker must not (keys)."""

    def __init__(self, channel: _Channel, codec: Codec[Any] | None) -> None:
        self._channel = channel
        self._codec = codec

    def __call__(self, request: Any) -> Any:
        """Ask and wait; raises the TarnhelmError that the parent answers with."""
        if self._codec is None:
            raise TypeError("this pool has no upcall")
        return self._channel.ask(self._codec.encode(request))

    assign = __call__
    """So that a caller is an :class:`tarnhelm.common.assign.Assigner`."""


class _Channel:
    """Frames over a socket; finished results travel with the next message that has to go anyway."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb", buffering=64 * 1024)
        self._ahead: deque[bytes] = deque()
        self._ready: list[bytes] = []
        self._ready_bytes = 0
        self._since = 0.0

    def next_jobs(self) -> bytes:
        return self._ahead.popleft() if self._ahead else self.read()[1]

    def read(self) -> tuple[int, bytes]:
        head = self._reader.read(HEAD.size)
        if len(head) < HEAD.size:
            os._exit(0)  # the parent has gone
        size, kind = HEAD.unpack(head)
        return kind, self._reader.read(size)

    def finish(self, seq: int, kind: int, payload: bytes) -> None:
        if not self._ready:
            self._since = time.monotonic()
        self._ready.append(ITEM.pack(seq, kind, len(payload)) + payload)
        self._ready_bytes += len(payload)
        if self._ready_bytes > _FLUSH_BYTES or time.monotonic() - self._since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._ready:
            self._sock.sendall(self._results())

    def send(self, kind: int, payload: bytes) -> None:
        self._sock.sendall(self._results() + HEAD.pack(len(payload), kind) + payload)

    def ask(self, payload: bytes) -> Any:
        self.send(UPCALL, payload)
        kind, answer = self.read()
        while kind == JOBS:  # sent ahead while this job was running
            self._ahead.append(answer)
            kind, answer = self.read()
        reply = unpack(pickle.loads(answer))  # noqa: S301  # the parent is the trusted side
        if kind == REFUSAL:
            raise reply
        return reply

    def _results(self) -> bytes:
        if not self._ready:
            return b""
        body = b"".join(self._ready)
        self._ready.clear()
        self._ready_bytes = 0
        return HEAD.pack(len(body), RESULTS) + body


def _resolve(factory: str) -> Callable[[Any], Any]:
    module, _, name = factory.partition(":")
    made: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
    return made


def _work(sock: socket.socket, slot_fd: int, setup: Setup) -> None:
    confined = confine(setup.limits, frozenset({sock.fileno(), slot_fd}))
    slot = mmap.mmap(slot_fd, SLOT.size)
    os.close(slot_fd)
    channel = _Channel(sock)
    try:
        core = _resolve(setup.factory)(setup.config)
    except TarnhelmError as error:
        channel.send(BROKEN, pickle_safe(error))
        os._exit(1)
    except Exception as error:  # noqa: BLE001  # the pool must hear of it; the text may hold anything
        channel.send(BROKEN, site_of(error))
        os._exit(1)
    codec: Codec[Any] = Codec(setup.result)
    caller = Caller(channel, Codec(setup.request) if setup.request is not None else None)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    base = address_space_bytes()
    channel.send(HELLO, confined.encode())
    room = -1
    while True:
        for seq, parcel, size in pickle.loads(channel.next_jobs()):  # noqa: S301  # the parent is the trusted side
            SLOT.pack_into(slot, 0, seq)
            steps = size // _MEMORY_STEP + 1
            if steps != room:
                raise_memory_limit(base, setup.limits, steps * _MEMORY_STEP)
                room = steps
            _limit_cpu(setup.limits, size)
            channel.finish(seq, *_one(core, unpack(parcel), caller, codec))
        channel.flush()
        SLOT.pack_into(slot, 0, -1)


def _limit_cpu(limits: Limits, size: int) -> None:
    used = time.process_time()
    soft = int(used + _CPU_FACTOR * limits.deadline_seconds(size)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _one(core: Callable[[Any, Caller], Any], job: Any, caller: Caller, codec: Codec[Any]) -> tuple[int, bytes]:
    try:
        return GOOD, codec.encode(core(job, caller))
    except TarnhelmError as error:
        return FAILED, pickle_safe(error)
    except MemoryError:
        pass
    except Exception as error:  # noqa: BLE001  # one bad file stops nothing; the text may hold a value
        return FAULT, site_of(error)
    gc.collect()
    return NO_MEMORY, b""


def pickle_safe(error: TarnhelmError) -> bytes:
    """Code and integer facts of an error, as text: ``CODE name=1 other=2``."""
    facts = " ".join(f"{name}={int(value)}" for name, value in error.facts.items() if name.isidentifier())
    return f"{error.code} {facts}".encode("ascii", "ignore")


def site_of(error: BaseException) -> bytes:
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
