"""The witness as a gRPC server: ``python -m tarnhelm.witness.server --help``.

The key comes from a file, never from the environment or the command line. With a client CA only callers that it has
signed are served. On SIGTERM the server says NOT_SERVING, lets the calls in hand end, and goes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tarnhelm.v1 import witness_pb2 as pb
from tarnhelm.v1 import witness_pb2_grpc

from tarnhelm.common import serve
from tarnhelm.common.errors import WITNESS_REQUEST, WITNESS_UNDECIDED
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.common.stage_service.scratch import Scratch
from tarnhelm.common.stage_service.whole import MESSAGE_BYTES
from tarnhelm.witness.convert import request_of
from tarnhelm.witness.pool import JudgePool
from tarnhelm.witness.service import Bounds, WitnessService
from tarnhelm.witness.worker import FACTORY

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NAME", "Settings", "main", "read_signing_key", "witness_service"]

NAME: Final = "tarnhelm.v1.WitnessService"
_FAULTS: Final = serve.Faults(malformed=WITNESS_REQUEST, failed=WITNESS_UNDECIDED)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the witness is started with; :class:`~tarnhelm.common.serve.ServerSettings` says how it is served.

    Attributes
    ----------
    signing_key_file
        PEM (PKCS 8) of an Ed25519 key.
    scratch
        Folder for objects in hand.
    workers
        Judging processes.
    factory
        ``module:callable`` that makes the core of a worker.
    """

    signing_key_file: Path
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    workers: int = 2
    bounds: Bounds = field(default_factory=Bounds)
    limits: Limits = DEFAULT_LIMITS
    factory: str = FACTORY


def read_signing_key(path: Path) -> bytes:
    """Read the Ed25519 key of a PEM file; ValueError without a quotation where it is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise ValueError("signing key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("signing key")  # noqa: TRY004 - a file's content, not a caller's type
    return key.private_bytes_raw()


def witness_service(settings: Settings) -> tuple[serve.Service, JudgePool]:
    """Make the service in the running event loop, and the pool that judges for it; the service closes the pool.

    Raises
    ------
    OSError
        The key cannot be read, or the scratch folder cannot be made.
    ValueError
        The signing key is none.
    """
    key = read_signing_key(settings.signing_key_file)
    scratch = Scratch(settings.scratch, "witness")
    pool = JudgePool(key, settings.workers, settings.limits, settings.factory)
    service = WitnessService(pool, scratch, settings.limits, settings.bounds)
    pool.every_tick(service.tidy)
    made = serve.Service(
        NAME,
        lambda server: witness_pb2_grpc.add_WitnessServiceServicer_to_server(service, server),
        service.close,
        faults=_FAULTS,
        serving=service.serving,
        message_bytes=MESSAGE_BYTES,
        forms={"JudgeWhole": (request_of, pb.JudgeWholeResponse.SerializeToString)},
    )
    return made, pool


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarnhelm.witness.server",
        description="Judge cleaned objects against their sources and sign the verdict.",
    )
    parser.add_argument(
        "--signing-key-file", type=Path, required=True, metavar="PEM", help="Ed25519 key of the verdicts"
    )
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="folder for objects in hand")
    parser.add_argument("--workers", type=int, default=2, help="judging processes (default: %(default)s)")
    parser.add_argument("--max-objects", type=int, default=16, help="objects in hand at once (default: %(default)s)")
    parser.add_argument(
        "--max-scratch-gib", type=float, default=8.0, help="bytes in hand at once (default: %(default)s)"
    )
    serve.add_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT; 2 for settings that cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if min(given.workers, given.max_objects) < 1:
        parser.error("--workers and --max-objects begin at 1")
    try:
        served = serve.settings_from(given, NAME)
    except ValueError as error:
        parser.error(str(error))
    except OSError:
        parser.error("a certificate file cannot be read")
    settings = Settings(
        signing_key_file=given.signing_key_file,
        scratch=given.scratch,
        workers=given.workers,
        bounds=Bounds(given.max_objects, int(given.max_scratch_gib * (1 << 30))),
    )
    try:
        serve.run(_serve(served, settings))
    except (OSError, ValueError):
        print("witness: a key, certificate, folder or address cannot be used", file=sys.stderr)  # noqa: T201
        return 2
    return 0


async def _serve(served: serve.ServerSettings, settings: Settings) -> None:
    service, _ = witness_service(settings)
    await serve.serve(served, service, started=_started, metrics=serve.CallMetrics())


def _started(running: serve.Running) -> None:
    metrics = f", metrics on port {running.metrics.port}" if running.metrics else ""
    print(f"witness: listening on port {running.port}{metrics}", file=sys.stderr, flush=True)  # noqa: T201 - operators wait for it


if __name__ == "__main__":
    raise SystemExit(main())
