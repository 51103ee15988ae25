"""Lines and heads to a log server: RFC 5424 over UDP (5426), TCP (6587, counted octets), TLS (5425), or a local socket.

The message is the audit line itself, so that the server's file is a second copy of the chain. UDP and the local
socket cannot tell whether a message arrived; TCP and TLS tell most of the time.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from tarnhelm.common.errors import ANCHOR_AWAY, BAD_REVEAL_SETTINGS, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tarnhelm.reveal.core.audit.lines import AuditLine, Head

__all__ = ["Syslog", "SyslogAddress"]

_FACILITY: Final = 13
"""Log audit (RFC 5424, table 1)."""
_INFORMATIONAL: Final = 6
_NOTICE: Final = 5
_ALERT: Final = 1
_TIMEOUT_SECONDS: Final = 5.0
_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
_QUERY: Final = frozenset({"ca", "cert", "key"})


@dataclass(frozen=True, slots=True)
class SyslogAddress:
    """Where the log server is.

    Attributes
    ----------
    scheme
        ``udp``, ``tcp``, ``tls`` or ``unix``.
    host, port
        Of the server; for ``unix`` the host is the path of the socket.
    ca, cert, key
        Files in PEM for TLS: whom to trust instead of the system's list, and what to show.
    """

    scheme: str
    host: str
    port: int = 0
    ca: str = ""
    cert: str = ""
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> SyslogAddress:
        """Read ``udp://host:514``, ``tcp://host:601``, ``tls://host:6514?ca=FILE`` or ``unix:///dev/log``; RVL-031."""
        try:
            parts = urlsplit(text)
            query = {
                name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()
            }
            if parts.scheme == "unix" and parts.path.startswith("/") and not query:
                return cls("unix", parts.path)
            if parts.scheme not in _PORTS or not parts.hostname or not query.keys() <= _QUERY:
                raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)
            if query and parts.scheme != "tls":
                raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)
            return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], **query)
        except ValueError:
            raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None


class Syslog:
    """Implements ``Anchor`` and ``LineSink``; one connection, opened when needed and once again when broken.

    Parameters
    ----------
    address
        Of the server.
    clock
        Gives the time, in UTC.
    host
        Name of this machine in the messages.
    """

    def __init__(
        self,
        address: SyslogAddress,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        host: str = "",
    ) -> None:
        self._address = address
        self._clock = clock
        self._host = host or socket.gethostname()[:255] or "-"
        self._socket: socket.socket | None = None

    def line(self, line: AuditLine, *, alarm: bool) -> None:
        """See :class:`~tarnhelm.reveal.core.audit.anchors.LineSink`."""
        self._send(_ALERT if alarm else _INFORMATIONAL, "AUDIT", line.raw)

    def put(self, head: Head) -> None:
        """See :class:`~tarnhelm.reveal.core.audit.anchors.Anchor`."""
        self._send(_NOTICE, "HEAD", head.to_bytes())

    def heads(self, writer: str) -> Iterator[Head]:
        """Nothing: a log server is not read back from here. Give its file to ``audit verify --heads``."""
        del writer
        return iter(())

    def close(self) -> None:
        """Let the connection go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def message(self, severity: int, kind: str, text: bytes) -> bytes:
        """One message of RFC 5424, section 6."""
        stamp = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        head = f"<{_FACILITY * 8 + severity}>1 {stamp} {self._host} tarnhelm-reveal {os.getpid()} {kind} - "
        return head.encode("ascii", "replace") + text

    def _send(self, severity: int, kind: str, text: bytes) -> None:
        message = self.message(severity, kind, text)
        if self._address.scheme in {"tcp", "tls"}:
            message = str(len(message)).encode() + b" " + message
        for attempt in (1, 2):
            try:
                self._connected().sendall(message)
            except (OSError, ValueError):
                self.close()
                if attempt == 2:
                    raise TarnhelmError(ANCHOR_AWAY) from None
            else:
                return

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._connect()
        elif self._address.scheme in {"tcp", "tls"} and _hung_up(self._socket):
            self.close()
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        where = self._address
        if where.scheme == "unix":
            return _connected_unix(where.host)
        if where.scheme == "udp":
            family, kind, protocol, _, target = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_DGRAM)[0]
            found = socket.socket(family, kind, protocol)
            found.settimeout(_TIMEOUT_SECONDS)
            found.connect(target)
            return found
        plain = socket.create_connection((where.host, where.port), timeout=_TIMEOUT_SECONDS)
        if where.scheme == "tcp":
            return plain
        try:
            context = ssl.create_default_context(cafile=where.ca or None)
            if where.cert:
                context.load_cert_chain(where.cert, where.key or None)
            return context.wrap_socket(plain, server_hostname=where.host)
        except (OSError, ValueError):
            plain.close()
            raise


def _connected_unix(path: str) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found.settimeout(_TIMEOUT_SECONDS)
        found.connect(path)
    except OSError:
        found.close()
        raise
    return found


def _hung_up(connection: socket.socket) -> bool:
    """Whether the server closed: a log server sends nothing, so anything to read is the end."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(_TIMEOUT_SECONDS)
