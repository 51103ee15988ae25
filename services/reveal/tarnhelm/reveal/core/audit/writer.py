"""Writing an audit: each line is on the disk before what it tells of happens, or nothing happens."""

from __future__ import annotations

import fcntl
import io
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from tarnhelm.common.errors import AUDIT_DAMAGED, AUDIT_UNWRITABLE, CLOCKS_DIFFER, TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory
from tarnhelm.reveal.core.audit.lines import ALARMS, START, AuditLine, Head, make_line
from tarnhelm.reveal.core.audit.verify import read_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tarnhelm.reveal.core.audit.anchors import Anchor, LineSink

__all__ = ["Audit", "AuditSettings"]

_TURN_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How an audit is written.

    Attributes
    ----------
    head_every_lines, head_every_seconds
        A head is signed and anchored after so many lines, or at the next line after so long.
    skew_seconds
        By so much the clock may have gone back since the last line.
    lock_seconds
        So long another process may keep the file.
    """

    head_every_lines: int = 64
    head_every_seconds: int = 300
    skew_seconds: int = 300
    lock_seconds: float = 10.0


@dataclass(slots=True)
class _Tail:
    """Where the chain ends, and what was used; the lines themselves are not kept."""

    sequence: int = 0
    sha: str = START
    time: int = 0
    unsigned: int = 0
    last: AuditLine | None = None
    register: str = ""
    used: set[str] = field(default_factory=set)

    def take(self, line: AuditLine) -> None:
        self.sequence, self.sha, self.time, self.last = line.sequence, line.sha, line.time, line
        self.unsigned += 1
        if line.event == "used":
            self.used.add(str(line.fields.get("case", "")))
        if "register" in line.fields:
            self.register = str(line.fields["register"])


class Audit:
    """One writer's chain. Holds the file's lock from opening to closing; safe among threads.

    Parameters
    ----------
    folder
        Private; holds ``<writer>.jsonl``. Other writers' files in it are read for what was used.
    writer
        As enrolled in the register.
    key
        The writer's, to sign heads.
    clock
        Seconds since 1970.
    anchors, sinks
        All of them have to take what they are given, or nothing is answered.

    Raises
    ------
    TarnhelmError
        RVL-021 where the chain does not hold; nothing is added to a broken chain. RVL-022 (RETRY) where the
        file is another's at present or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        key: Ed25519PrivateKey,
        *,
        clock: Callable[[], int],
        anchors: Sequence[Anchor] = (),
        sinks: Sequence[LineSink] = (),
        settings: AuditSettings | None = None,
    ) -> None:
        self._writer = writer
        self._key = key
        self._clock = clock
        self._anchors = tuple(anchors)
        self._sinks = tuple(sinks)
        self._settings = settings or AuditSettings()
        self._lock = threading.RLock()
        self._broken = False
        self._head_time = clock()
        path = private_directory(folder) / f"{writer}.jsonl"
        self._file = self._opened(path)
        try:
            self._tail, torn = self._read(path)
            self._others = _used_by_others(folder, writer)
            if torn:
                self._mend(torn)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def last(self) -> AuditLine | None:
        """The last line."""
        return self._tail.last

    @property
    def register_digest(self) -> str:
        """What the last line about the register says of its end; empty before the first."""
        return self._tail.register

    def was_used(self, case: str) -> bool:
        """Whether any line says that the case was used, so that a store put back from a copy cannot use it again."""
        return case in self._tail.used or case in self._others

    def append(self, event: str, **fields: int | str) -> AuditLine:
        """Write a line and return when it is on the disk.

        Raises
        ------
        TarnhelmError
            RVL-022 (RETRY), after which this writer writes no more; RVL-023 (RETRY) where the line is on the
            disk and an anchor or log server did not take it; RVL-013 where the clock went back.
        """
        with self._lock:
            if self._broken:
                raise TarnhelmError(AUDIT_UNWRITABLE)
            now = self._clock()
            if now < self._tail.time - self._settings.skew_seconds:
                raise TarnhelmError(CLOCKS_DIFFER, seconds=self._settings.skew_seconds)
            tail = self._tail
            line = make_line(self._writer, tail.sequence + 1, max(now, tail.time), event, tail.sha, fields)
            self._write(line.raw + b"\n")
            tail.take(line)
            for sink in self._sinks:
                sink.line(line, alarm=event in ALARMS)
            due = now - self._head_time >= self._settings.head_every_seconds
            if due or tail.unsigned >= self._settings.head_every_lines:
                self.head()
            return line

    def head(self) -> Head:
        """Sign the last line and have every anchor keep it; RVL-023 (RETRY) where one does not."""
        with self._lock:
            if self._tail.last is None:
                self.append("started", register="")
            last = self._tail.last
            if last is None:
                raise TarnhelmError(AUDIT_UNWRITABLE)
            now = self._clock()
            head = Head.of(last, now, self._key)
            for anchor in self._anchors:
                anchor.put(head)
            self._tail.unsigned = 0
            self._head_time = now
            return head

    def close(self) -> None:
        """Anchor what is not yet anchored, and let the file go."""
        with self._lock:
            if self._file.closed:
                return
            try:
                if self._tail.unsigned and not self._broken:
                    self.head()
            finally:
                self._file.close()

    def _write(self, content: bytes) -> None:
        # Until the line is known to be on the disk this writer is broken: how much of it is there is unknown
        # after a failure, and the next process looks.
        self._broken = True
        try:
            written = self._file.write(content)
            os.fsync(self._file.fileno())
        except OSError:
            raise TarnhelmError(AUDIT_UNWRITABLE) from None
        if written != len(content):
            raise TarnhelmError(AUDIT_UNWRITABLE)
        self._broken = False

    def _opened(self, path: Path) -> io.FileIO:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        except OSError:
            raise TarnhelmError(AUDIT_UNWRITABLE) from None
        stream = io.FileIO(descriptor, "r+")
        deadline = time.monotonic() + self._settings.lock_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= deadline:
                    stream.close()
                    raise TarnhelmError(AUDIT_UNWRITABLE) from None
                time.sleep(_TURN_SECONDS)
            else:
                return stream

    def _read(self, path: Path) -> tuple[_Tail, int]:
        chain = read_chain(path.read_bytes(), self._writer)
        if chain.problem is not None:
            raise TarnhelmError(AUDIT_DAMAGED, line=chain.problem.line)
        tail = _Tail()
        for line in chain.lines:
            tail.take(line)
        # Lines that a dead process left without a head are covered by the next head.
        tail.unsigned = 0
        return tail, chain.torn

    def _mend(self, torn: int) -> None:
        """Cut off an unfinished last line: a crash while writing; nothing was answered for it. The audit says so."""
        try:
            descriptor = self._file.fileno()
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn)
        except OSError:
            raise TarnhelmError(AUDIT_UNWRITABLE) from None
        self.append("mended", bytes=torn)


def _used_by_others(folder: Path, writer: str) -> frozenset[str]:
    found: set[str] = set()
    for path in folder.glob("*.jsonl"):
        if path.stem != writer:
            lines = read_chain(path.read_bytes(), path.stem).lines
            found |= {str(line.fields.get("case", "")) for line in lines if line.event == "used"}
    return frozenset(found)
