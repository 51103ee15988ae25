"""How a gRPC server is started: address, certificates, who may call, how it ends."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

__all__ = ["ServerSettings", "add_arguments", "is_loopback", "settings_from"]

_NOBODY: Mapping[str, frozenset[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings that all servers share.

    Attributes
    ----------
    listen
        ``host:port``; port 0 takes a free one. Without TLS the host must be a loopback address.
    tls_certificate_file, tls_key_file
        PEM; both or none.
    client_ca_file
        PEM; with it every caller needs a certificate of this authority.
    callers
        Full method name (``/package.Service/Method``) or service name → the names (subject alternative names:
        DNS or URI) that a caller's certificate must hold one of. A method without names of its own has those of
        its service; where other methods of the service have names, and neither it nor the service has, nobody may
        call it. A service that is not listed at all may be called by whoever the authority signed.
    drain_seconds
        How long NOT_SERVING is told before no new call is taken.
    grace_seconds
        How long calls in hand may take after that.
    connection_age_seconds
        A connection is closed after this, so that a new replica gets its share of the callers.
    message_bytes
        Largest message that is taken; a service that needs larger ones says so itself.
    metrics_listen
        ``host:port`` of the metrics, which are not encrypted and name nobody; empty: none are served.
    """

    listen: str = "127.0.0.1:50051"
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    client_ca_file: Path | None = None
    callers: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NOBODY)
    drain_seconds: float = 2.0
    grace_seconds: float = 30.0
    connection_age_seconds: int = 300
    message_bytes: int = 6 << 20
    reflection: bool = False
    metrics_listen: str = ""

    def __post_init__(self) -> None:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("a certificate and its key belong together")
        if self.client_ca_file is not None and self.tls_key_file is None:
            raise ValueError("client certificates need a server certificate")
        if self.callers and self.client_ca_file is None:
            raise ValueError("a list of callers needs a client authority")
        if self.tls_key_file is None and not is_loopback(self.listen):
            raise ValueError("off this machine a server certificate is needed")
        if self.tls_key_file is not None and _is_exposed(self.tls_key_file):
            raise ValueError("everybody on this machine can read the certificate's key")
        if self.connection_age_seconds < 1:
            raise ValueError("the age of a connection begins at 1 second")
        if self.metrics_listen and not self.metrics_listen.rpartition(":")[2].isdecimal():
            raise ValueError("the address of the metrics is host:port")


def _is_exposed(path: Path) -> bool:
    """Whether everybody on this machine can read a key; one that is not there is told of when it is read."""
    try:
        return bool(path.stat().st_mode & 0o007)
    except OSError:
        return False


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach an address."""
    host = listen.rpartition(":")[0].strip("[]")
    if listen.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def add_arguments(parser: argparse.ArgumentParser, *, port: int = 50051) -> None:
    """Add the options that all servers share."""
    group = parser.add_argument_group("server")
    group.add_argument("--listen", default=f"127.0.0.1:{port}", metavar="HOST:PORT", help="default: %(default)s")
    group.add_argument("--tls-certificate-file", type=Path, metavar="PEM", help="needed off this machine")
    group.add_argument("--tls-key-file", type=Path, metavar="PEM")
    group.add_argument("--client-ca-file", type=Path, metavar="PEM", help="require client certificates of this CA")
    group.add_argument(
        "--caller", action="append", default=[], metavar="NAME",
        help="subject alternative name (DNS or URI) that may call; repeat; default: whoever the CA signed",
    )  # fmt: skip
    group.add_argument("--drain-seconds", type=float, default=2.0, help="default: %(default)s")
    group.add_argument("--grace-seconds", type=float, default=30.0, help="default: %(default)s")
    group.add_argument(
        "--connection-age-seconds", type=int, default=300, metavar="N",
        help="close connections after this, so that a new replica gets its share (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--reflection", action="store_true", help="serve gRPC reflection")
    group.add_argument(
        "--metrics-listen", default="", metavar="[HOST:]PORT",
        help="serve Prometheus metrics there; a port alone is one of 127.0.0.1; default: none",
    )  # fmt: skip


def settings_from(given: argparse.Namespace, service: str) -> ServerSettings:
    """Settings from parsed options; ValueError where they do not fit together, OSError for a file that is not there."""
    metrics = given.metrics_listen
    return ServerSettings(
        listen=given.listen,
        tls_certificate_file=given.tls_certificate_file,
        tls_key_file=given.tls_key_file,
        client_ca_file=given.client_ca_file,
        callers={service: frozenset(given.caller)} if given.caller else _NOBODY,
        drain_seconds=given.drain_seconds,
        grace_seconds=given.grace_seconds,
        connection_age_seconds=given.connection_age_seconds,
        reflection=given.reflection,
        metrics_listen=f"127.0.0.1:{metrics}" if metrics.isdecimal() else metrics,
    )
