"""How a STOW-RS door is set up: address, who may store where, bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tarnhelm.common.serve.settings import is_loopback
from tarnhelm.gateway.doors.naming import check_name

__all__ = ["StowDoorSettings", "StowRoute"]

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class StowRoute:
    """One base path and the project that is stored under it.

    Attributes
    ----------
    path
        Base of the service, ``/dicom-web/trial-7``; objects are posted to ``<path>/studies``. Empty: the root.
    project
        Opaque id.
    principals
        Who may store: the name of a bearer token in the token file, or a subject alternative name (DNS or URI) of a
        client certificate. Empty: everybody where the door listens on a loopback address only and knows neither
        tokens nor certificates, else nobody.
    """

    path: str
    project: str
    principals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError("the path of a route begins with a slash and does not end with one")


@dataclass(frozen=True, slots=True)
class StowDoorSettings:
    """Settings of one HTTP port.

    Attributes
    ----------
    name
        Name of the door: letters, digits, hyphens.
    listen
        ``host:port``; port 0 takes a free one. Off this machine TLS is needed.
    routes
        Base paths; a request to another path is not found.
    tls_certificate_file, tls_key_file
        PEM; both or none.
    client_ca_file
        PEM; with it every caller needs a certificate of this authority.
    tokens_file
        One line a token: sha256 of the token (64 hex digits), a space, the principal's name; ``#`` begins a comment.
        The file is read at the start and again when it has changed.
    max_connections
        At once.
    max_requests
        Requests that are read at once; further ones get 503.
    max_request_bytes, max_parts, max_part_bytes, max_part_header_bytes
        Bounds of a request; a part beyond ``max_part_bytes`` fails by itself, the others end the request with 413.
    header_seconds
        For TLS and the head of a request.
    stall_seconds
        Without one byte of the body.
    request_seconds, min_bytes_per_second
        A request may take ``request_seconds + size / min_bytes_per_second``.
    drain_seconds
        When the door closes, requests that have begun may take this long to end.
    """

    name: str = "stow"
    listen: str = "127.0.0.1:8042"
    routes: tuple[StowRoute, ...] = ()
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    client_ca_file: Path | None = None
    tokens_file: Path | None = None
    max_connections: int = 128
    max_requests: int = 16
    max_request_bytes: int = 16 << 30
    max_parts: int = 10_000
    max_part_bytes: int = 4 << 30
    max_part_header_bytes: int = 8_192
    header_seconds: float = 15.0
    stall_seconds: float = 30.0
    request_seconds: float = 120.0
    min_bytes_per_second: int = 16_384
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.routes:
            raise ValueError("a STOW-RS door needs a route")
        if len({route.path for route in self.routes}) < len(self.routes):
            raise ValueError("two routes have the same path")
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("a certificate and its key belong together")
        if self.client_ca_file is not None and self.tls_key_file is None:
            raise ValueError("client certificates need a server certificate")
        if self.tls_key_file is None and not self.loopback:
            raise ValueError("off this machine a server certificate is needed")
        if min(self.max_connections, self.max_requests, self.max_parts, self.min_bytes_per_second) < 1:
            raise ValueError("a bound is at least one")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the door."""
        return is_loopback(self.listen)
