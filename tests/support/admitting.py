"""Admitters for tests of doors: one that remembers what came, one that has no room."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.intake import Arrival, Receipt, Reception


@dataclass(slots=True)
class Recorded:
    """One committed object; ``content`` is empty where the admitter keeps digests only."""

    arrival: Arrival
    sha256: str
    size: int
    content: bytes = field(repr=False)


class RecordingIntake:
    """Hashes what is written; after :meth:`commit` the admitter knows it."""

    def __init__(self, admitter: RecordingAdmitter, arrival: Arrival) -> None:
        self._admitter = admitter
        self._arrival = arrival
        self._digest = hashlib.sha256()
        self._content = bytearray()
        self._size = 0
        self._done = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._done
        self._digest.update(data)
        self._size += len(data)
        if self._admitter.keep:
            self._content += data
        if self._admitter.on_write is not None:
            self._admitter.on_write(self._size)

    def commit(self) -> Receipt:
        assert not self._done
        self._done = True
        receipt = self._admitter.enter(
            Recorded(self._arrival, self._digest.hexdigest(), self._size, bytes(self._content))
        )
        self._admitter.left(committed=True)
        return receipt

    def abort(self) -> None:
        if not self._done:
            self._done = True
            self._admitter.left(committed=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class RecordingAdmitter:
    """Takes everything and remembers it; equal bytes in one project are a duplicate.

    Attributes
    ----------
    open, aborted
        Intakes that were begun and neither committed nor aborted; those that were aborted.
    wait
        What :meth:`room` answers.
    answer
        What a commit answers instead; an error is raised.
    on_write
        Is called with the bytes so far, after each write.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.keep = keep
        self.objects: list[Recorded] = []
        self.open = self.aborted = 0
        self.wait = 0.0
        self.answer: Receipt | Exception | None = None
        self.begin_error: Exception | None = None
        self.on_write: Callable[[int], None] | None = None
        self._known: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def room(self) -> float:
        return self.wait

    def begin(self, arrival: Arrival) -> RecordingIntake:
        if self.begin_error is not None:
            raise self.begin_error
        with self._lock:
            self.open += 1
        return RecordingIntake(self, arrival)

    def enter(self, recorded: Recorded) -> Receipt:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        with self._lock:
            key = (recorded.arrival.project, recorded.sha256)
            reception = Reception.DUPLICATE if key in self._known else Reception.ACCEPTED
            self._known.add(key)
            self.objects.append(recorded)
        return Receipt(reception, f"id-{recorded.sha256[:16]}")

    def left(self, *, committed: bool) -> None:
        with self._lock:
            self.open -= 1
            self.aborted += not committed

    def accepted(self, project: str, sop_instance_uid: str) -> bool:
        with self._lock:
            return any(
                (entry.arrival.project, entry.arrival.sop_instance_uid) == (project, sop_instance_uid)
                for entry in self.objects
            )


class FullAdmitter(RecordingAdmitter):
    """Has no room: it says so before, and to whoever begins all the same."""

    def __init__(self, seconds: float = 30.0) -> None:
        super().__init__()
        self.wait = seconds
        self.begin_error = TarnhelmError(errors.NO_SPACE)
