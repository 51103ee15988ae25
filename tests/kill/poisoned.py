"""A metadata service in which some objects are poison: one kills its worker, one never ends.

``python -m tests.kill.poisoned`` takes the options of ``python -m tarnhelm.metadata.server``. A fault of the parser that
a file could use for this is not known; so the worker itself looks for a mark in the file, and everything around it (the
sandbox, the service, the pumps) is the real one.
"""

from __future__ import annotations

import ctypes
import dataclasses
import sys
import time

from tarnhelm.common.stage_service import server as stages
from tarnhelm.metadata import server
from tarnhelm.metadata.worker import ConfiguredCores

KILLS = b"POISON THAT KILLS ITS WORKER"
HANGS = b"POISON THAT NEVER ENDS"
SECONDS = 6.0


class Poisoned(ConfiguredCores):
    """The real cores, but for objects with a mark."""

    def begin(self, job):
        """Look for the mark, then work."""
        content = job.source.read_bytes()
        if KILLS in content:
            ctypes.string_at(0)  # what a fault in a compiled decoder does; a worker may not even signal itself
        if HANGS in content:
            time.sleep(3600)
        return (yield from super().begin(job))


def make_worker(limits):
    """Make the core of one worker."""
    return Poisoned(limits)


def main():
    """Serve, with less patience for an object than usual."""
    usual = stages.settings_from

    def settings_from(given, name, factory, steps):
        del factory
        made = usual(given, name, "tests.kill.poisoned:make_worker", steps)
        limits = dataclasses.replace(made.plan.limits, seconds_per_object=SECONDS)
        return dataclasses.replace(made, plan=dataclasses.replace(made.plan, limits=limits))

    stages.settings_from = settings_from
    return server.main()


if __name__ == "__main__":
    sys.exit(main())
