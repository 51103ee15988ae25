"""The folder door: files that are put down are taken in, and taken away once they are safe.

It looks at intervals instead of asking the kernel for events: those do not come for files that another machine writes
over NFS or SMB, which is how such a folder is filled.
"""

from __future__ import annotations

import math
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tarnhelm.common import errors, events
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
from tarnhelm.gateway.doors.metrics import DoorMetrics
from tarnhelm.gateway.intake import Admitter, Arrival, Reception
from tarnhelm.gateway.part10 import read_head

__all__ = ["FolderDoor"]

_UNFINISHED: Final = (".part", ".partial", ".tmp", ".crdownload", ".filepart", "~")
_CHUNK_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 16
_FIRST_RETRY_SECONDS: Final = 1.0
_LAST_RETRY_SECONDS: Final = 30.0
_NOW: Final = 0.0, 0.0
_FAULT_SECONDS: Final = 5.0
_EMPTY_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file looked like, and since when."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    since: float


class FolderDoor:
    """Takes files out of one folder, in one thread.

    A file counts as whole when nothing about it has changed for a while. It is removed after its receipt only: a
    process that is killed in between finds the file again, and admission finds a duplicate. Two processes may watch
    the same folder.

    Parameters
    ----------
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        settings: FolderDoorSettings,
        admitter: Admitter,
        *,
        metrics: DoorMetrics | None = None,
        log: EventLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._admitter = admitter
        self._metrics = metrics or DoorMetrics()
        self._log = log or EventLog(None, time.time)
        self._clock = clock
        self._seen: dict[str, _Look] = {}
        self._later: dict[str, tuple[float, float]] = {}
        """File → when it is tried again, and after how long a wait."""

    def run(self, stop: threading.Event) -> None:
        """Look until ``stop`` is set; raises DOR-010 where the folders do not allow it."""
        self.check()
        self._log(events.DOOR_OPENED, door=self.settings.name, port=0)
        while not stop.is_set():
            try:
                wait = self.look(stop)
            except Exception:  # noqa: BLE001 - a state or a folder that is away for a while must not end the door
                wait = _FAULT_SECONDS
                code = errors.DOOR_FAULT.code
                self._metrics.refused.labels(self.settings.name, code).inc()
                self._log(events.DOOR_WAITS, door=self.settings.name, code=code, seconds=int(wait))
            stop.wait(max(wait, self.settings.poll_seconds))
        self._log(events.DOOR_CLOSED, door=self.settings.name)

    def check(self) -> None:
        """Make the folders for what is taken away; raises DOR-010 where a file could not be moved there."""
        settings = self.settings
        try:
            device = settings.folder.stat().st_dev
            for folder in (settings.refused, settings.accepted_folder):
                if folder is not None:
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    if folder.stat().st_dev != device:
                        raise TarnhelmError(errors.DOOR_SHUT)
            if not os.access(settings.folder, os.R_OK | os.W_OK | os.X_OK):
                raise TarnhelmError(errors.DOOR_SHUT)
        except OSError:
            raise TarnhelmError(errors.DOOR_SHUT) from None

    def look(self, stop: threading.Event | None = None) -> float:
        """Look once and take what is whole; return the seconds for which there is no room, 0.0 where there is."""
        settings, now = self.settings, self._clock()
        found: dict[str, _Look] = {}
        for path, status in self._files():
            known = self._seen.get(path)
            facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            same = known is not None and (known.size, known.mtime_ns, known.ctime_ns, known.inode) == facts
            found[path] = known if same and known is not None else _Look(*facts, now)
            if len(found) >= settings.max_files_per_look:
                break
        self._seen = found
        self._later = {path: later for path, later in self._later.items() if path in found}
        for path, look in sorted(found.items(), key=lambda entry: entry[1].mtime_ns):
            if stop is not None and stop.is_set():
                break
            if now - look.since < settings.settle_seconds or self._later.get(path, _NOW)[0] > now:
                continue
            wait = self._admitter.room()
            if wait > 0:
                self._log(events.DOOR_WAITS, door=settings.name, code=errors.DOOR_FULL.code, seconds=math.ceil(wait))
                return wait
            self._take(path, look)
        return 0.0

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield regular files; links are not followed, and names that say *unfinished* are left alone."""
        waiting = [(os.fspath(self.settings.folder), 0, 0.0)]
        while waiting:
            folder, depth, mtime = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            if not entries and depth:
                self._tidy(folder, mtime)
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(_UNFINISHED):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if depth < _MAX_DEPTH:
                        waiting.append((entry.path, depth + 1, status.st_mtime))
                elif stat.S_ISREG(status.st_mode):
                    yield entry.path, status

    def _take(self, path: str, look: _Look) -> None:
        name = self.settings.name
        try:
            reception, code = self._admit(path, look)
        except TarnhelmError as error:
            if error.disposition is Disposition.RETRY:
                self._put_off(path, error.code)
                return
            reception, code = Reception.REFUSED, error.code
        except FileNotFoundError:
            return
        except Exception:  # noqa: BLE001 - one file must not stop the door, and its text may quote a path
            self._put_off(path, errors.DOOR_FAULT.code)
            return
        if reception is None:
            self._seen.pop(path, None)
            return
        self._metrics.objects.labels(name, reception.value).inc()
        try:
            self._take_away(path, look, reception, code)
        except OSError:
            self._put_off(path, errors.DOOR_FAULT.code)

    def _admit(self, path: str, look: _Look) -> tuple[Reception | None, str]:
        """Hand a file in; None where it changed while it was read."""
        settings = self.settings
        project = self._project(path)
        if not project:
            return Reception.REFUSED, errors.CALLER_UNKNOWN.code
        if look.size > settings.max_object_bytes:
            return Reception.REFUSED, errors.TOO_LARGE.code
        if not look.size:
            return Reception.REFUSED, errors.NO_OBJECT.code
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            return Reception.REFUSED, errors.UNREADABLE.code
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            if not _same(os.fstat(stream.fileno()), look):
                return None, ""
            buffer = memoryview(bytearray(min(_CHUNK_BYTES, look.size + 1)))
            count = stream.readinto(buffer) or 0
            head = read_head(buffer[:count])
            arrival = Arrival(
                project=project,
                door=settings.name,
                sop_instance_uid=head.sop_instance_uid if head is not None else "",
                size=look.size,
            )
            with self._admitter.begin(arrival) as intake:
                while count:
                    intake.write(buffer[:count])
                    count = stream.readinto(buffer) or 0
                if not _same(os.fstat(stream.fileno()), look):
                    return None, ""
                receipt = intake.commit()
        self._metrics.bytes.labels(settings.name).inc(look.size)
        return receipt.reception, receipt.code

    def _project(self, path: str) -> str:
        parts = Path(path).relative_to(self.settings.folder).parts
        return (
            self.settings.subfolders.get(parts[0], self.settings.project) if len(parts) > 1 else self.settings.project
        )

    def _take_away(self, path: str, look: _Look, reception: Reception, code: str) -> None:
        """Remove or move the file that was read, unless another one stands in its place by now."""
        settings = self.settings
        self._seen.pop(path, None)
        if not _same(Path(path).lstat(), look):
            return
        if reception is Reception.REFUSED:
            opaque = secrets.token_hex(16)
            target: Path | None = settings.refused / opaque
            self._metrics.refused.labels(settings.name, code).inc()
            self._log(events.FILE_NOT_TAKEN, door=settings.name, code=code, file=opaque)
        else:
            target = settings.accepted_folder / secrets.token_hex(16) if settings.accepted_folder else None
        if target is None:
            Path(path).unlink()
        else:
            Path(path).rename(target)

    def _tidy(self, folder: str, mtime: float) -> None:
        """Remove a folder that has long been empty, but one that the settings name: its name may name a patient."""
        path = Path(folder)
        if path.parent == self.settings.folder and path.name in self.settings.subfolders:
            return
        if time.time() - mtime > _EMPTY_SECONDS:
            with suppress(OSError):
                path.rmdir()

    def _put_off(self, path: str, code: str) -> None:
        wait = min(2 * self._later.get(path, _NOW)[1] or _FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS)
        self._later[path] = self._clock() + wait, wait
        self._metrics.refused.labels(self.settings.name, code).inc()
        self._log(events.DOOR_WAITS, door=self.settings.name, code=code, seconds=int(wait))


def _same(status: os.stat_result, look: _Look) -> bool:
    facts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return facts == (look.size, look.mtime_ns, look.ctime_ns, look.inode)
