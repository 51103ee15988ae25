"""The assigner as a gRPC server: ``python -m tarnhelm.linkage.server --help``.

Gives surrogates and writes the way back; cannot read it. Keys stay in the vault, secrets come from files. On SIGTERM
it says NOT_SERVING, lets the calls in hand end, and goes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tarnhelm.v1 import linkage_pb2_grpc

from tarnhelm.common import serve
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.common.tickets import TicketReader
from tarnhelm.linkage import backend as backends
from tarnhelm.linkage.desk import Desk
from tarnhelm.linkage.quota import QuotaSettings
from tarnhelm.linkage.service import AssignService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tarnhelm.linkage.backend import Backend

__all__ = ["assign_service", "main", "read_ticket_key"]

NAME: Final = "tarnhelm.v1.AssignService"


def read_ticket_key(path: Path) -> bytes:
    """Read a gateway's public ticket key (PEM, Ed25519); ValueError without a quotation where it is none."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("ticket key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("ticket key")  # noqa: TRY004 - a file's content, not a caller's type
    return key.public_bytes_raw()


def assign_service(backend: Backend, tickets: TicketReader, quota: QuotaSettings, events: EventLog) -> serve.Service:
    """Make the service, its desk open."""
    desk = Desk(backend.open_project, quota, events)
    desk.open()

    def close() -> None:
        desk.close()
        backend.close()

    service = AssignService(desk, tickets)
    return serve.Service(
        NAME, lambda server: linkage_pb2_grpc.add_AssignServiceServicer_to_server(service, server), close
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarnhelm.linkage.server",
        description="Give surrogates for admitted objects, and write the way back that it cannot read.",
        epilog="One machine: --state DIR --ticket-key-file gateway.pem. A hospital: see the guide to the vault.",
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
    """Run the server until SIGTERM or SIGINT; 2 for settings that cannot be used, 4 where a dependency is down."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.subjects_per_hour < 1 or not 0 < given.alarm_share <= 1:
        parser.error("--subjects-per-hour begins at 1, --alarm-share lies between 0 and 1")
    try:
        settings = serve.settings_from(given, NAME)
        tickets = TicketReader([read_ticket_key(path) for path in given.ticket_key_file])
        backend = backends.open_backend(backends.settings_from(given))
    except (OSError, ValueError) as error:
        parser.error(str(error) if isinstance(error, ValueError) else "a key or certificate file cannot be read")
    except TarnhelmError as error:
        print(f"assign: {error.code} {error.safe_message} {error.kind.remedy}", file=sys.stderr)  # noqa: T201
        return 4 if error.disposition.value == "retry" else 2
    quota = QuotaSettings(given.subjects_per_hour, given.alarm_share)
    events = EventLog(sys.stderr, time.time)
    try:
        asyncio.run(serve.serve(settings, assign_service(backend, tickets, quota, events), started=_started))
    except (OSError, ValueError):
        print("assign: a certificate or the address cannot be used", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _started(port: int) -> None:
    print(f"assign: listening on port {port}", file=sys.stderr, flush=True)  # noqa: T201 - the line operators wait for


if __name__ == "__main__":
    raise SystemExit(main())
