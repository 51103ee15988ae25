"""A worker's end of the socket: jobs and answers come in, results and questions go out."""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.sandbox import frames
from tarnhelm.common.sandbox.parcel import unpack

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from tarnhelm.common.sandbox.wire import Codec

__all__ = ["Caller", "Channel"]

_FLUSH_SECONDS = 0.02
_FLUSH_BYTES = 64 * 1024


class Channel:
    """Frames over a socket; finished results travel with the next message that has to go anyway."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb", buffering=64 * 1024)
        self._ahead: deque[bytes] = deque()
        self._ready: list[bytes] = []
        self._ready_bytes = 0
        self._since = 0.0

    def next_jobs(self) -> Any:
        """Wait for jobs: a list of (number, parcel, size). Results go out first unless more work is here already."""
        if self._ahead:
            payload = self._ahead.popleft()
        else:
            self.flush()
            payload = self._read()[1]
        return pickle.loads(payload)  # noqa: S301  # the parent is the trusted side

    def finish(self, number: int, kind: int, body: bytes) -> None:
        """Keep a result until it is worth a message."""
        if not self._ready:
            self._since = time.monotonic()
        self._ready.append(frames.item(number, kind, body))
        self._ready_bytes += len(body)
        if self._ready_bytes > _FLUSH_BYTES or time.monotonic() - self._since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send the results."""
        if self._ready:
            self._sock.sendall(self._results())

    def send(self, kind: int, payload: bytes) -> None:
        """Send one frame, and the results before it."""
        self._sock.sendall(self._results() + frames.frame(kind, payload))

    def ask(self, questions: Sequence[tuple[int, bytes]]) -> list[Any]:
        """Ask the parent for all (number of the job, encoded question) at once; a refusal is a TarnhelmError."""
        payload = b"".join(frames.item(number, frames.QUESTION, body) for number, body in questions)
        self.send(frames.UPCALL, payload)
        kind, answer = self._read()
        while kind == frames.JOBS:  # sent ahead while this batch was running
            self._ahead.append(answer)
            kind, answer = self._read()
        return [unpack(parcel) for parcel in pickle.loads(answer)]  # noqa: S301  # the parent is the trusted side

    def _read(self) -> tuple[int, bytes]:
        head = self._reader.read(frames.HEAD.size)
        if len(head) < frames.HEAD.size:
            os._exit(0)  # the parent has gone
        size, kind = frames.HEAD.unpack(head)
        return kind, self._reader.read(size)

    def _results(self) -> bytes:
        if not self._ready:
            return b""
        body = b"".join(self._ready)
        self._ready.clear()
        self._ready_bytes = 0
        return frames.frame(frames.RESULTS, body)


class Caller:
    """A worker's way to ask its parent; the parent holds what a worker must not (keys)."""

    def __init__(self, channel: Channel, codec: Codec[Any] | None) -> None:
        self._channel = channel
        self._codec = codec
        self.number = -1
        """The job that asks."""

    def __call__(self, request: Any) -> Any:
        """Ask and wait; raises the TarnhelmError that the parent answers with."""
        (reply,) = self.ask_all([(self.number, request)])
        if isinstance(reply, TarnhelmError):
            raise reply
        return reply

    assign = __call__
    """So that a caller is an :class:`tarnhelm.common.assign.Assigner`."""

    def ask_all(self, requests: Sequence[tuple[int, Any]]) -> list[Any]:
        """Ask for several jobs at once; an answer may be a TarnhelmError."""
        if self._codec is None:
            raise TypeError("this pool has no upcall")
        encode = self._codec.encode
        return self._channel.ask([(number, encode(request)) for number, request in requests])
