"""A steward's command that is killed when it is about to make its nth thing durable::

python -m tests.support.steward_killer N COMMAND...
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tarnhelm.reveal.steward.tool.main import run


def arm(number: int) -> None:
    """Die instead of the nth call that puts something on the disk: a file synced, a file put in its place or away."""
    left = [number]

    def mortal(work: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*given, **named)

        return call

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, mortal(getattr(os, name)))


if __name__ == "__main__":
    arm(int(sys.argv[1]))
    raise SystemExit(run(sys.argv[2:]))
