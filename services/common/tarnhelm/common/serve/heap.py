"""Keep freed memory for the next object instead of giving it back to the kernel after each.

A message of half a megabyte passes through several buffers. The C library's defaults return each of them to the kernel
and fetch it again page by page, which costs more processor time than to hash or to copy the object.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

__all__ = ["keep_freed_memory", "settle_collector"]

_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_MIB: Final = 1 << 20
_ARENAS: Final = 2
_YOUNG_OBJECTS: Final = 20_000


def keep_freed_memory() -> None:
    """Let this process hold up to 128 MiB that it has freed; does nothing where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_MMAP_THRESHOLD, 8 * _MIB)
    mallopt(_TRIM_THRESHOLD, 128 * _MIB)
    mallopt(_TOP_PAD, 8 * _MIB)
    mallopt(_ARENA_MAX, _ARENAS)  # each keeps its own; threads that come and go would leave many half empty


def settle_collector() -> None:
    """Leave what stands now out of every later garbage collection, and collect less often; for when all is imported.

    The modules of a server are a hundred thousand objects that never go; to look at them again costs more than the
    garbage of some thousand objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
