"""One process of a gateway: ``python -m tarnhelm.gateway ROLE --config FILE``.

Roles of one process may be several; on SIGTERM each finishes what it has in hand. A role that fails ends the process
with exit code 1, and whoever supervises it starts it again.
"""

from __future__ import annotations

import argparse
import logging
import resource
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client.process_collector import ProcessCollector

from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.common.serve import MetricsServer, keep_freed_memory, settle_collector
from tarnhelm.gateway.config import load_config
from tarnhelm.gateway.config.parts import SharedParts
from tarnhelm.gateway.metrics import StrictRegistry, names_of
from tarnhelm.gateway.roles.base import RoleContext, instance_name, run_together
from tarnhelm.gateway.roles.log import EventStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ROLES", "main"]

ROLES: Final = {
    "doors": "doors:run",
    "metadata": "pumps:run_metadata",
    "witness": "pumps:run_witness",
    "release": "release:run",
    "housekeeping": "housekeeping:run",
    "admin": "admin:run",
    "web": "web:run",
}
"""Role → module in :mod:`tarnhelm.gateway.roles` and the function in it."""
_WITHOUT_PARTS: Final = frozenset({"web"})
"""The page has no access to bytes and states but through the administration."""


class _Role:
    def __init__(self, run: Callable[[RoleContext, threading.Event], None], context: RoleContext) -> None:
        self._run = run
        self._context = context

    def run(self, stop: threading.Event) -> None:
        self._run(self._context, stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarnhelm.gateway", description="Run one or more roles of a gateway until SIGTERM."
    )
    parser.add_argument("roles", nargs="+", choices=sorted(ROLES), metavar="ROLE", help=", ".join(sorted(ROLES)))
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the deployment's configuration")
    parser.add_argument(
        "--metrics-listen",
        default="",
        metavar="HOST:PORT",
        help="where this process tells its metrics; default: nowhere",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run roles; 0 after SIGTERM, 2 for a configuration that cannot be used, 4 where a dependency is down, else 1."""
    given = _parser().parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory holds what may not reach a disk
    keep_freed_memory()
    logging.getLogger().addHandler(logging.NullHandler())  # no library's free text in our log
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        config = load_config(given.config)
        shared = None if set(given.roles) <= _WITHOUT_PARTS else SharedParts.open(config)
        registry = StrictRegistry(names_of(config))
        ProcessCollector(registry=registry)
        metrics = MetricsServer(given.metrics_listen, registry) if given.metrics_listen else None
        instance = instance_name()
        stream = EventStream(sys.stderr, instance)
        context = RoleContext(config, shared, registry, EventLog(stream, time.time), instance)
        if shared is not None:
            stream.publish_to(shared.broker)
        roles = [_Role(_function(name), context) for name in given.roles]
        settle_collector()
        try:
            run_together(roles, stop)
        finally:
            if metrics is not None:
                metrics.close()
            stream.publish_to(None)
            if shared is not None:
                shared.close()
    except TarnhelmError as error:
        print(f"{error.code} {error.safe_message} {error.kind.remedy}", file=sys.stderr)  # noqa: T201
        for problem in getattr(error, "problems", ()):
            print(f"  {problem}", file=sys.stderr)  # noqa: T201
        return {Disposition.USAGE: 2, Disposition.RETRY: 4}.get(error.disposition, 1)
    return 0


def _function(role: str) -> Callable[[RoleContext, threading.Event], None]:
    module, _, name = ROLES[role].partition(":")
    found: Callable[[RoleContext, threading.Event], None] = getattr(
        import_module(f"tarnhelm.gateway.roles.{module}"), name
    )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
