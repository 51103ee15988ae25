"""The parent's handle on a fork server: fork a worker, end it, learn how it ended."""

from __future__ import annotations

import json
import mmap
import os
import pickle
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

from tarnhelm.common.sandbox.frames import SLOT
from tarnhelm.common.sandbox.worker import Setup

__all__ = ["ForkServer", "Forked"]

_BOOT: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from tarnhelm.common.sandbox.worker import main; main(int(sys.argv[2]))"
)
_KEPT_ENVIRONMENT: Final = ("LANG", "LC_ALL", "PATH", "TZ", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "TMPDIR")


@dataclass(slots=True)
class Forked:
    """A worker just forked: its socket and the page in which it writes the job it is at."""

    pid: int
    sock: socket.socket
    slot: mmap.mmap


class ForkServer:
    """A fresh interpreter that forks workers.

    It is started with ``exec``, so it inherits no memory, thread or descriptor of the parent, and with a
    short environment, so it inherits no secret that somebody put there.
    """

    def __init__(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
            [sys.executable, "-c", _BOOT, json.dumps([entry for entry in sys.path if entry]), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which drains
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._control = ours
        payload = pickle.dumps(setup)
        self._control.sendall(struct.pack("<I", len(payload)) + payload)

    def fork(self) -> Forked:
        """Fork one worker; raises OSError if the server has gone."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        memory = os.memfd_create("tarnhelm-slot", os.MFD_CLOEXEC)
        try:
            os.ftruncate(memory, SLOT.size)
            slot = mmap.mmap(memory, SLOT.size)
            SLOT.pack_into(slot, 0, -1)
            socket.send_fds(self._control, [b"F"], [theirs.fileno(), memory])
            pid = self._answer()
        except OSError:
            ours.close()
            raise
        finally:
            os.close(memory)
            theirs.close()
        ours.setblocking(False)
        return Forked(pid, ours, slot)

    def end(self, pid: int, *, kill: bool) -> int:
        """Wait for a worker (after SIGKILL if ``kill``); its exit status, or minus the signal's number."""
        self._control.sendall((b"K" if kill else b"W") + struct.pack("<i", pid))
        return self._answer()

    def close(self) -> None:
        """Stop the server; workers that still live are killed by it."""
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> int:
        data = b""
        while len(data) < 4:
            more = self._control.recv(4 - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        value: int = struct.unpack("<i", data)[0]
        return value
