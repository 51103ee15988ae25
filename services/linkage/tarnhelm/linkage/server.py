"""The assigner as a gRPC server: ``python -m tarnhelm.linkage.server --help``.

Gives surrogates and writes the way back; cannot read it. Keys stay in the vault, secrets come from files. On SIGTERM
it says NOT_SERVING, lets the calls in hand end, and goes.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from prometheus_client import Gauge
from tarnhelm.v1 import linkage_pb2_grpc

from tarnhelm.common import serve
from tarnhelm.common.errors import ASSIGN_FAILED, ASSIGN_REQUEST, Disposition, TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.common.tickets import TicketReader
from tarnhelm.linkage import backend as backends
from tarnhelm.linkage.availability import Availability
from tarnhelm.linkage.desk import Desk
from tarnhelm.linkage.quota import QuotaSettings
from tarnhelm.linkage.service import AssignService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.linkage.backend import Backend

__all__ = ["NAME", "assign_service", "main", "read_ticket_key"]

NAME: Final = "tarnhelm.v1.AssignService"
_FAULTS: Final = serve.Faults(malformed=ASSIGN_REQUEST, failed=ASSIGN_FAILED)


def read_ticket_key(path: Path) -> bytes:
    """Read a gateway's public ticket key (PEM, Ed25519); ValueError without a quotation where it is none."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a ticket key is an Ed25519 public key in PEM")  # noqa: TRY004 - a file's content, not a caller's type
    return key.public_bytes_raw()


def assign_service(
    backend: Backend, tickets: TicketReader, quota: QuotaSettings, events: EventLog, metrics: serve.CallMetrics
) -> serve.Service:
    """Make the service, its desk open.

    Raises
    ------
    TarnhelmError
        What keeps the backend from ever serving; one that is away for a while is none.
    """
    availability = Availability(backend.health, events)
    desk = Desk(backend, quota, events, availability)
    gauges = (
        ("tarnhelm_assign_subjects_last_hour", "Distinct subjects that were asked for.", lambda: desk.subjects),
        ("tarnhelm_assign_waiting", "Questions that nobody works on yet.", lambda: desk.waiting),
        ("tarnhelm_assign_available", "1 where vault and ledger serve.", availability.serving),
    )
    for name, text, value in gauges:
        Gauge(name, text, registry=metrics.registry).set_function(value)
    availability.open()
    desk.open()

    def close() -> None:
        desk.close()
        availability.close()
        backend.close()

    service = AssignService(desk, tickets)
    return serve.Service(
        NAME,
        lambda server: linkage_pb2_grpc.add_AssignServiceServicer_to_server(service, server),
        close,
        faults=_FAULTS,
        serving=availability.serving,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarnhelm.linkage.server",
        description="Give surrogates for admitted objects, and write the way back that it cannot read.",
        epilog="One machine: --state DIR --ticket-key-file gateway.pem. A hospital: see the guide to the assign server.",
    )
    backends.add_arguments(parser)
    group = parser.add_argument_group("admission")
    group.add_argument(
        "--ticket-key-file", type=Path, action="append", required=True, metavar="PEM",
        help="public ticket key of a gateway; repeat while a key is being changed",
    )  # fmt: skip
    group.add_argument(
        "--subjects-per-hour", type=int, default=QuotaSettings().subjects_per_hour, metavar="N",
        help="distinct subjects of a project that this replica answers for in an hour (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--alarm-share", type=float, default=QuotaSettings().alarm_share, metavar="SHARE",
        help="alarm where more than this share of an hour's objects name a subject of their own (default: %(default)s)",
    )  # fmt: skip
    serve.add_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT; 2 for settings that cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.subjects_per_hour < 1 or not 0 < given.alarm_share <= 1:
        parser.error("--subjects-per-hour begins at 1, --alarm-share lies between 0 and 1")
    try:
        settings = serve.settings_from(given, NAME)
        tickets = TicketReader([read_ticket_key(path) for path in given.ticket_key_file])
    except ValueError as error:
        parser.error(str(error))
    except OSError:
        parser.error("a key or certificate file cannot be read")
    if settings.client_ca_file is None and not serve.is_loopback(settings.listen):
        # Whoever reaches it may spend the tickets he finds: off this machine callers show who they are.
        parser.error("off this machine a client authority is needed (--client-ca-file)")
    _keep_memory_here()
    quota = QuotaSettings(given.subjects_per_hour, given.alarm_share)
    try:
        backend = backends.open_backend(backends.settings_from(given))
        serve.run(_serve(settings, backend, tickets, quota))
    except TarnhelmError as error:
        print(f"assign: {error.code} {error.safe_message} {error.kind.remedy}", file=sys.stderr)  # noqa: T201
        return 4 if error.disposition is Disposition.RETRY else 2
    except OSError:
        print("assign: a certificate or an address cannot be used", file=sys.stderr)  # noqa: T201
        return 2
    return 0


async def _serve(settings: serve.ServerSettings, backend: Backend, tickets: TicketReader, quota: QuotaSettings) -> None:
    metrics = serve.CallMetrics()
    service = assign_service(backend, tickets, quota, EventLog(sys.stderr, time.time), metrics)
    await serve.serve(settings, service, started=_started, metrics=metrics)


def _started(running: serve.Running) -> None:
    metrics = f", metrics on port {running.metrics.port}" if running.metrics else ""
    print(f"assign: listening on port {running.port}{metrics}", file=sys.stderr, flush=True)  # noqa: T201 - operators wait for it


def _keep_memory_here() -> None:
    """Write no memory to disk when the process dies, and no library's free text to the log."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.getLogger().addHandler(logging.NullHandler())


if __name__ == "__main__":
    raise SystemExit(main())
