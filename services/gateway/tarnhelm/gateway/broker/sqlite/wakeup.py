"""How processes wake each other: a datagram socket per member, in the broker's folder.

A consumer that has nothing to read sleeps in the kernel until a producer's datagram comes, so nobody asks in a
loop. The same socket tells who is alive: the kernel closes it with its process, however that dies, and a datagram
to it is refused at once. The folder is reached through its descriptor, because the address of such a socket may
have 107 bytes only.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["Bell", "Doorbells"]

_NAME: Final = "bells"


class Doorbells:
    """Rings the bells of others."""

    def __init__(self, folder: Path) -> None:
        place = folder / _NAME
        place.mkdir(mode=0o700, exist_ok=True)
        self._folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.sweep(self.ring([one.name for one in place.iterdir()]))

    def bell(self, member: str) -> Bell:
        """Hang up a bell of one's own."""
        return Bell(self, member)

    def ring(self, members: Iterable[str]) -> list[str]:
        """Wake these members; returns those whose process is gone."""
        gone = []
        for member in members:
            try:
                self._socket.sendto(b"!", self.address(member))
            except BlockingIOError:
                pass  # its queue is full of calls: it will wake up
            except (ConnectionRefusedError, FileNotFoundError):
                gone.append(member)
            except OSError:
                pass  # unknown is not dead: the heartbeat decides
        return gone

    def address(self, member: str) -> str:
        """Return a short address of a member's socket."""
        return f"/proc/self/fd/{self._folder}/{member}"

    def sweep(self, members: Iterable[str]) -> None:
        """Take down the bells of members that are gone."""
        for member in members:
            with contextlib.suppress(OSError):
                os.unlink(member, dir_fd=self._folder)  # relative to the open folder

    def close(self) -> None:
        """Let go of the folder."""
        self._socket.close()
        os.close(self._folder)


class Bell:
    """One member's own bell."""

    def __init__(self, bells: Doorbells, member: str) -> None:
        self._bells = bells
        self._member = member
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(bells.address(member))

    def wait(self, seconds: float) -> None:
        """Sleep until somebody rings, or the time is over."""
        if seconds > 0:
            # poll and not select: a process may have more than 1,024 descriptors.
            waiting = select.poll()
            waiting.register(self._socket, select.POLLIN)
            waiting.poll(int(seconds * 1000) + 1)

    def quiet(self) -> None:
        """Forget the calls so far."""
        try:
            while self._socket.recv(16):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Take the bell down."""
        self._socket.close()
        self._bells.sweep([self._member])
