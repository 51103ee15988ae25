"""A name server for one name, whose addresses a test changes (RFC 1035)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

_HEAD = struct.Struct(">6H")
_ADDRESS = struct.Struct(">HHHLH")


class NameServer:
    """Answers every question for an address (type A) with ``addresses``; says of all else that there is none."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = self._socket.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def target(self, port: int) -> str:
        """A gRPC name whose addresses this server gives."""
        return f"dns://127.0.0.1:{self.port}/stage.test:{port}"

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                query, caller = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(query), caller)

    def _answer(self, query: bytes) -> bytes:
        number = _HEAD.unpack_from(query)[0]
        end = query.index(b"\0", _HEAD.size) + 5
        question = query[_HEAD.size : end]
        wanted = int.from_bytes(question[-4:-2], "big")
        found = self.addresses if wanted == 1 else []
        self.asked += wanted == 1
        answers = b"".join(_ADDRESS.pack(0xC00C, 1, 1, 0, 4) + socket.inet_aton(address) for address in found)
        return _HEAD.pack(number, 0x8580, 1, len(found), 0, 0) + question + answers
