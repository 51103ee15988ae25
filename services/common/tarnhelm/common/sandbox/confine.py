"""What a worker may not do, set by the kernel where it can be.

Real on Linux for x86_64 and aarch64: a seccomp filter refuses new sockets, connections, other programs,
signals to and memory of other processes, namespaces, mounts, keys, io_uring. Elsewhere an audit hook refuses
sockets and programs to Python code only; the pool says which of the two is in force. Files are not
confined: a worker runs as the user who started it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path
from typing import Final

from tarnhelm.common.limits import MIB, Limits

__all__ = ["address_space_bytes", "confine", "raise_memory_limit"]

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_SIGKILL: Final = 9
_ALLOW: Final = 0x7FFF_0000
_REFUSE: Final = 0x0005_0001  # errno EPERM
_KILL: Final = 0x8000_0000
_X32: Final = 0x4000_0000

# Both columns in this order: socket socketpair bind listen accept accept4 connect | execve execveat |
# ptrace process_vm_readv process_vm_writev | kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo |
# mount umount2 pivot_root chroot unshare setns | add_key request_key keyctl | bpf perf_event_open userfaultfd |
# init_module finit_module kexec_load open_by_handle_at
_X86_64: Final = (
    *(41, 53, 49, 50, 43, 288, 42),
    *(59, 322),
    *(101, 310, 311),
    *(62, 200, 234, 129, 297),
    *(165, 166, 155, 161, 272, 308),
    *(248, 249, 250),
    *(321, 298, 323),
    *(175, 313, 246, 304),
)
_AARCH64: Final = (
    *(198, 199, 200, 201, 202, 242, 203),
    *(221, 281),
    *(117, 270, 271),
    *(129, 130, 131, 138, 240),
    *(40, 39, 41, 51, 97, 268),
    *(217, 218, 219),
    *(280, 241, 282),
    *(105, 273, 104, 265),
)
# pidfd_send_signal, io_uring_setup, io_uring_enter, io_uring_register, pidfd_open, pidfd_getfd
_EVERYWHERE: Final = (424, 425, 426, 427, 434, 438)
_MACHINES: Final = {"x86_64": (0xC000_003E, _X86_64), "aarch64": (0xC000_00B7, _AARCH64)}


def confine(limits: Limits, keep: frozenset[int]) -> str:
    """Give up what a worker does not need; returns ``seccomp`` or ``audit hook``.

    Parameters
    ----------
    limits
        Bounds of one object; the file size a worker may write follows from them.
    keep
        Descriptors that stay open beside 0, 1 and 2.
    """
    _close_others(keep)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold identifiers
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    writable = 2 * limits.max_object_bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (writable, writable))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _filter_calls(libc):
        return "seccomp"
    sys.addaudithook(_refuse)
    return "audit hook"


def _close_others(keep: frozenset[int]) -> None:
    low = 3
    for fd in sorted(keep):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 4096)


def _filter_calls(libc: ctypes.CDLL) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.platform != "linux":
        return False
    program = _program(*machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)))
    return int(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0)) == 0


def _program(architecture: int, calls: tuple[int, ...]) -> bytes:
    """Classic BPF over ``struct seccomp_data``: number at byte 0, architecture at byte 4."""
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    refused = (*calls, *_EVERYWHERE)
    lines = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (answer, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, len(refused) + 1, 0, _X32),
    ]
    for place, number in enumerate(refused):
        lines.append((equal, len(refused) - place, 0, number))
    lines += [(answer, 0, 0, _ALLOW), (answer, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


_REFUSED_EVENTS: Final = frozenset(
    {
        "socket.__new__",
        "socket.connect",
        "socket.bind",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.killpg",
        "pty.spawn",
    }
)


def _refuse(event: str, _args: object) -> None:
    if event in _REFUSED_EVENTS:
        raise PermissionError


def address_space_bytes() -> int:
    """Address space of this process now."""
    return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()


def raise_memory_limit(base_bytes: int, limits: Limits, object_bytes: int) -> None:
    """Let the process have ``worker_memory_bytes`` beyond its start, and room to map the object twice."""
    room = base_bytes + limits.worker_memory_bytes + 2 * object_bytes + 16 * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        room = min(room, hard)
    resource.setrlimit(resource.RLIMIT_AS, (room, hard))
