"""The witness as a gRPC server: ``python -m tarnhelm.witness.server --help``.

The key comes from a file, never from the environment or the command line. With a client CA only callers that it has
signed are served. On SIGTERM the server says NOT_SERVING, lets the calls in hand end, and goes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tarnhelm.v1 import witness_pb2, witness_pb2_grpc

from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.witness.interceptor import ErrorInterceptor
from tarnhelm.witness.pool import JudgePool
from tarnhelm.witness.service import Bounds, WitnessService

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Running", "Settings", "main", "read_signing_key", "start"]

_NAME: Final = "tarnhelm.v1.WitnessService"
_MESSAGE_BYTES: Final = 6 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with.

    Attributes
    ----------
    signing_key_file
        PEM (PKCS 8) of an Ed25519 key.
    tls_certificate_file, tls_key_file
        PEM; both or none.
    client_ca_file
        PEM; with it a client certificate is required.
    drain_seconds
        How long NOT_SERVING is told before no new call is taken.
    grace_seconds
        How long calls in hand may take after that.
    """

    signing_key_file: Path
    listen: str = "127.0.0.1:50051"
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    client_ca_file: Path | None = None
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    workers: int = 2
    bounds: Bounds = field(default_factory=Bounds)
    limits: Limits = DEFAULT_LIMITS
    drain_seconds: float = 2.0
    grace_seconds: float = 30.0
    connection_age_seconds: int = 300
    reflection: bool = False


@dataclass(slots=True)
class Running:
    """A started server."""

    server: Any
    health: Any
    pool: JudgePool
    port: int
    settings: Settings

    async def drain(self) -> None:
        """Tell NOT_SERVING, let the calls in hand end, stop the workers."""
        await self.health.enter_graceful_shutdown()
        await asyncio.sleep(self.settings.drain_seconds)
        await self.server.stop(self.settings.grace_seconds)
        await asyncio.to_thread(self.pool.close)


def read_signing_key(path: Path) -> bytes:
    """Read the Ed25519 key of a PEM file; ValueError without a quotation where it is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise ValueError("signing key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("signing key")  # noqa: TRY004 - a file's content, not a caller's type
    return key.private_bytes_raw()


def _credentials(settings: Settings) -> Any:
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    pair = settings.tls_key_file.read_bytes(), settings.tls_certificate_file.read_bytes()
    authority = settings.client_ca_file.read_bytes() if settings.client_ca_file else None
    return grpc.ssl_server_credentials([pair], root_certificates=authority, require_client_auth=authority is not None)


async def start(settings: Settings) -> Running:
    """Start a server; port 0 in ``settings.listen`` takes a free one.

    Raises
    ------
    OSError
        A file cannot be read or the address cannot be taken.
    ValueError
        The signing key is none.
    """
    pool = JudgePool(read_signing_key(settings.signing_key_file), settings.workers, settings.limits)
    server = grpc.aio.server(
        interceptors=(ErrorInterceptor(),),
        options=(
            ("grpc.max_receive_message_length", _MESSAGE_BYTES),
            ("grpc.max_connection_age_ms", settings.connection_age_seconds * 1000),
            ("grpc.max_connection_age_grace_ms", int(settings.grace_seconds * 1000)),
            ("grpc.so_reuseport", 0),
        ),
    )
    service = WitnessService(pool, settings.scratch, settings.limits, settings.bounds)
    witness_pb2_grpc.add_WitnessServiceServicer_to_server(service, server)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    if settings.reflection:
        from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - optional

        names = (witness_pb2.DESCRIPTOR.services_by_name["WitnessService"].full_name, health.SERVICE_NAME)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    credentials = _credentials(settings)
    try:
        if credentials is None:
            port = server.add_insecure_port(settings.listen)
        else:
            port = server.add_secure_port(settings.listen, credentials)
    except RuntimeError:
        pool.close()
        raise OSError("address") from None
    await server.start()
    for name in ("", _NAME):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    return Running(server, checks, pool, port, settings)


async def _serve(settings: Settings) -> None:
    running = await start(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print(f"witness: listening on port {running.port}", file=sys.stderr, flush=True)  # noqa: T201 - the line operators wait for
    await stop.wait()
    await running.drain()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarnhelm.witness.server",
        description="Judge cleaned objects against their sources and sign the verdict.",
    )
    parser.add_argument("--listen", default="127.0.0.1:50051", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument(
        "--signing-key-file", type=Path, required=True, metavar="PEM", help="Ed25519 key of the verdicts"
    )
    parser.add_argument("--tls-certificate-file", type=Path, metavar="PEM")
    parser.add_argument("--tls-key-file", type=Path, metavar="PEM")
    parser.add_argument("--client-ca-file", type=Path, metavar="PEM", help="require client certificates of this CA")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="folder for objects in hand")
    parser.add_argument("--workers", type=int, default=2, help="judging processes (default: %(default)s)")
    parser.add_argument("--max-objects", type=int, default=16, help="objects in hand at once (default: %(default)s)")
    parser.add_argument(
        "--max-scratch-gib", type=float, default=8.0, help="bytes in hand at once (default: %(default)s)"
    )
    parser.add_argument("--drain-seconds", type=float, default=2.0, help="default: %(default)s")
    parser.add_argument("--grace-seconds", type=float, default=30.0, help="default: %(default)s")
    parser.add_argument("--reflection", action="store_true", help="serve gRPC reflection")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until SIGTERM or SIGINT; 2 for settings that cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.tls_certificate_file is None) != (given.tls_key_file is None):
        parser.error("--tls-certificate-file and --tls-key-file belong together")
    if given.client_ca_file is not None and given.tls_key_file is None:
        parser.error("--client-ca-file needs a TLS key and certificate")
    if min(given.workers, given.max_objects) < 1:
        parser.error("--workers and --max-objects begin at 1")
    settings = Settings(
        signing_key_file=given.signing_key_file,
        listen=given.listen,
        tls_certificate_file=given.tls_certificate_file,
        tls_key_file=given.tls_key_file,
        client_ca_file=given.client_ca_file,
        scratch=given.scratch,
        workers=given.workers,
        bounds=Bounds(given.max_objects, int(given.max_scratch_gib * (1 << 30))),
        drain_seconds=given.drain_seconds,
        grace_seconds=given.grace_seconds,
        reflection=given.reflection,
    )
    try:
        asyncio.run(_serve(settings))
    except (OSError, ValueError):
        print("witness: a key, certificate, folder or address cannot be used", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
