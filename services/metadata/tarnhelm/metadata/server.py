"""The metadata stage as a gRPC server: ``python -m tarnhelm.metadata.server --help``.

It holds no key: surrogates come from the assigner, asked with the ticket that came with each object. Hostile files are
read in confined worker processes. On SIGTERM it says NOT_SERVING, lets the calls in hand end, and goes.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common import serve
from tarnhelm.common.assign_client import AssignCalls
from tarnhelm.common.stage_service import server as stages
from tarnhelm.metadata.worker import FACTORY, STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_NAME: Final = "metadata"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarnhelm.metadata.server",
        description="Clean the metadata of objects that a gateway sends, and write their markers.",
    )
    group = parser.add_argument_group("assigner")
    group.add_argument("--assign", required=True, metavar="TARGET", help="host:port or gRPC name of the assign server")
    group.add_argument(
        "--assign-ca-file", type=Path, metavar="PEM", help="authority of its certificate; needed off this machine"
    )
    group.add_argument("--assign-certificate-file", type=Path, metavar="PEM", help="what to show it, where it asks")
    group.add_argument("--assign-key-file", type=Path, metavar="PEM")
    group.add_argument(
        "--assign-seconds",
        type=float,
        default=20.0,
        metavar="N",
        help="how long one question may take (default: %(default)s)",
    )
    stages.add_arguments(parser)
    serve.add_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT; 2 for settings that cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.assign_certificate_file is None) != (given.assign_key_file is None):
        parser.error("a certificate and its key belong together")
    try:
        served = serve.settings_from(given, stages.NAME)
        settings = stages.settings_from(given, _NAME, FACTORY, STAGES)
    except ValueError as error:
        parser.error(str(error))
    except OSError:
        parser.error("a certificate file cannot be read")
    _keep_memory_here()
    plan = replace(settings.plan, config=settings.plan.limits, overwrites=True)
    try:
        serve.run(_serve(served, replace(settings, plan=plan), given))
    except OSError:
        print("metadata: a certificate, folder or address cannot be used", file=sys.stderr)  # noqa: T201
        return 2
    return 0


async def _serve(served: serve.ServerSettings, settings: stages.Settings, given: argparse.Namespace) -> None:
    metrics = serve.CallMetrics()
    assign = AssignCalls(
        given.assign,
        ca_file=given.assign_ca_file,
        certificate_file=given.assign_certificate_file,
        key_file=given.assign_key_file,
        timeout_seconds=given.assign_seconds,
    )
    try:
        service, _ = stages.stage_service(settings, metrics, assign=assign.begin)
        await serve.serve(served, service, started=_started, metrics=metrics)
    finally:
        await assign.close()


def _started(running: serve.Running) -> None:
    metrics = f", metrics on port {running.metrics.port}" if running.metrics else ""
    print(f"metadata: listening on port {running.port}{metrics}", file=sys.stderr, flush=True)  # noqa: T201 - operators wait for it


def _keep_memory_here() -> None:
    """Write no memory to disk when the process dies, and no library's free text to the log."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.getLogger().addHandler(logging.NullHandler())


if __name__ == "__main__":
    raise SystemExit(main())
