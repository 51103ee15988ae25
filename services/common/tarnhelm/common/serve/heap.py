"""The garbage collector of a server: its modules are not looked at for every object."""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["settle_collector"]

_YOUNG_OBJECTS: Final = 20_000


def settle_collector() -> None:
    """Leave what stands now out of every later garbage collection, and collect less often; for when all is imported.

    The modules of a server are a hundred thousand objects that never go; to look at them again costs more than the
    garbage of some thousand objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
