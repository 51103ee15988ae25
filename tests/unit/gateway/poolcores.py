"""Cores that the tests run in worker processes: good ones, and every way to misbehave."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    pid: int
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    text: str


@dataclass(frozen=True, slots=True)
class Liar:
    text: bytes
    pid: int


def make_core(config: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
    if config.get("broken"):
        raise RuntimeError("JANE DOE")
    prefix = config.get("prefix", "")

    def core(job: str, caller: Any) -> Any:
        kind, _, rest = job.partition(" ")
        if kind == "die":
            os._exit(3)
        if kind == "segfault":
            ctypes.string_at(0)
        if kind == "hang":
            time.sleep(3600)
        if kind == "spin":
            while True:
                pass
        if kind == "eat":
            return Reply(str(len(bytearray(int(rest)))), os.getpid())
        if kind == "fault":
            raise ValueError("JANE DOE")
        if kind == "refuse":
            raise TarnhelmError(errors.TOO_DEEP, limit=7)
        if kind == "ask":
            return Reply(caller(Question(rest)), os.getpid())
        if kind == "socket":
            return Reply(_refused(socket.socket), os.getpid())
        if kind == "program":
            return Reply(_refused(lambda: subprocess.run(["/bin/true"], check=False)), os.getpid())
        if kind == "kill":
            return Reply(_refused(lambda: os.kill(os.getppid(), 0)), os.getpid())
        if kind == "files":
            return Reply(_refused(lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]), os.getpid())
        if kind == "environment":
            return Reply(os.environ.get("TARNHELM_TEST_SECRET", "none"), os.getpid())
        if kind == "lie":
            return Liar(b"", 0)
        if kind == "forge":  # what a worker does that a file has taken over
            caller._channel._sock.sendall(b"\x05\x00\x00\x00\x02hello")
            time.sleep(3600)
        if kind == "pickle":
            payload = b"cposix\nsystem\n(S'touch /tmp/tarnhelm-owned'\ntR."
            caller._channel._sock.sendall(len(payload).to_bytes(4, "little") + b"\x03" + payload)
            time.sleep(3600)
        if kind == "huge":
            caller._channel._sock.sendall(b"\xff\xff\xff\x7f\x02")
            time.sleep(3600)
        return Reply(prefix + job, os.getpid(), {("PatientName", "REPLACE"): 1})

    return core


def _refused(call: Callable[[], object]) -> str:
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "allowed"
