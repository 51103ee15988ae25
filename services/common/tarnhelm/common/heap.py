"""Keep freed memory for the next object instead of giving it back to the kernel after each.

An object of half a megabyte passes through several buffers. The C library's defaults return each of them to the kernel
and fetch it again page by page, which costs more processor time than to hash or to copy the object.
"""

from __future__ import annotations

import ctypes
from typing import Final

from tarnhelm.common.limits import MIB

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def keep_freed_memory(most_bytes: int = 128 * MIB) -> None:
    """Let this process hold memory that it has freed; does nothing where the C library has no such setting.

    Parameters
    ----------
    most_bytes
        What it may hold so.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, min(8 * MIB, most_bytes // 4))
    mallopt(_TRIM_THRESHOLD, most_bytes)
    mallopt(_TOP_PAD, min(8 * MIB, most_bytes // 16))
    mallopt(_ARENA_MAX, _ARENAS)  # each keeps its own; threads that come and go would leave many half empty
