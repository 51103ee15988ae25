"""References to a web server: no redirect, no inner address, the address that was looked at is the one that is asked.

A gateway that fetches what others name is a way into the hospital's network (server-side request forgery). So the
host comes from the configuration, its name is resolved once, every address is looked at before one is connected to, and
an answer other than 200 is none.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.reference_uri import segments_of
from tarnhelm.gateway.ingest.sealing import read_key_file

if TYPE_CHECKING:
    from tarnhelm.gateway.doors.ingest_settings import HttpReferences, ReferenceSettings

__all__ = ["HttpSource", "Resolve", "addresses_of", "may_be_asked"]

Resolve = Callable[[str, int], Sequence[str]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PIECE_BYTES: Final = 256 * 1024
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_AGAIN: Final = frozenset({408, 425, 429, *range(500, 600)})
_TRANSLATED: Final = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::ffff:0:0/96")
)
"""IPv6 networks whose addresses hold an IPv4 address that somebody else unpacks (RFC 6052, 8215, 3056, 4380, 4291)."""
_METADATA: Final = tuple(
    ipaddress.ip_network(text) for text in ("169.254.0.0/16", "fd00:ec2::/32", "100.100.100.200/32")
)
"""Where clouds keep credentials for whoever asks from inside."""


def addresses_of(host: str, port: int) -> list[str]:
    """Resolve a name by the system's resolver; raises ING-015."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise TarnhelmError(errors.REFERENCE_AWAY) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def may_be_asked(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is a public one, or lies in one of the networks; never a link-local or a metadata address."""
    try:
        there = ipaddress.ip_address(address)
    except ValueError:  # an address with a scope is a link-local one
        return False
    never = there.is_link_local or there.is_multicast or there.is_unspecified
    never = never or (there.is_reserved and not there.is_loopback)
    if never or any(there in network for network in (*_METADATA, *_TRANSLATED)):
        return False
    return there.is_global or any(there in network for network in networks)


class HttpSource:
    """One prefix of a web server; safe among threads, a connection for each request."""

    def __init__(
        self,
        place: HttpReferences,
        settings: ReferenceSettings,
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = addresses_of,
    ) -> None:
        self._place = place
        self._settings = settings
        self._monotonic = monotonic
        self._resolve = resolve
        self._networks = [ipaddress.ip_network(network) for network in place.networks]
        url = urlsplit(place.prefix)
        self._host = url.hostname or ""
        self._netloc = url.netloc
        self._base = url.path
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._context = _context_of(place) if url.scheme == "https" else None

    def pieces(self, rest: str, size: int) -> Iterator[bytes]:
        """Yield the body of one answer."""
        segments_of(rest.partition("?")[0])
        allowed = self._settings.silence_seconds + size / self._settings.slowest_bytes_per_second
        with self._connected(allowed) as stream:
            connection = http.client.HTTPConnection(self._host, self._port)
            connection.auto_open = 0  # what is closed stays closed: a new connection would resolve the name anew
            connection.sock = stream
            connection.putrequest("GET", self._base + rest, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self._netloc)
            connection.putheader("Accept-Encoding", "identity")
            connection.putheader("Connection", "close")
            if self._place.bearer_token_file is not None:
                connection.putheader("Authorization", f"Bearer {_token(self._place)}")
            connection.endheaders()
            with connection.getresponse() as answer:
                _check(answer, size)
                yield from _body(answer, size)

    @contextlib.contextmanager
    def _connected(self, seconds: float) -> Iterator[socket.socket]:
        """Connect to an address that was looked at; after so many seconds, whatever goes on is cut off."""
        until = self._monotonic() + self._settings.connect_seconds + seconds
        address = self._address()
        with contextlib.ExitStack() as opened:
            try:
                plain = opened.enter_context(
                    socket.create_connection((address, self._port), self._settings.connect_seconds)
                )
                plain.settimeout(self._settings.silence_seconds)
                twin = opened.enter_context(plain.dup())  # wrapping in TLS takes the first one away
                cut = threading.Timer(max(0.0, until - self._monotonic()), _cut_off, [twin])
                cut.daemon = True
                cut.start()
                opened.callback(cut.cancel)
                stream = plain
                if self._context is not None:
                    stream = opened.enter_context(self._context.wrap_socket(plain, server_hostname=self._host))
                yield stream
            except (OSError, http.client.HTTPException):
                raise TarnhelmError(errors.REFERENCE_AWAY) from None

    def _address(self) -> str:
        found = self._resolve(self._host, self._port)
        if not found:
            raise TarnhelmError(errors.REFERENCE_AWAY)
        if not all(may_be_asked(one, self._networks) for one in found):
            raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED)
        return found[0]


def _body(answer: http.client.HTTPResponse, size: int) -> Iterator[bytes]:
    left = size + 1  # one byte more than promised is seen, and no further ones
    while left > 0 and (piece := answer.read(min(left, _PIECE_BYTES))):
        left -= len(piece)
        yield piece
    if left > 1 and not answer.chunked:  # cut off: the library takes that for the end
        raise TarnhelmError(errors.REFERENCE_AWAY)


def _check(answer: http.client.HTTPResponse, size: int) -> None:
    if answer.status in _REDIRECTS:
        raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED)
    if answer.status in _AGAIN:
        raise TarnhelmError(errors.REFERENCE_AWAY)
    if answer.status != _OK:
        raise TarnhelmError(errors.REFERENCE_GONE)
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    if encoded or (answer.length is not None and answer.length != size):
        raise TarnhelmError(errors.PAYLOAD_DIFFERS)


def _cut_off(stream: socket.socket) -> None:
    with contextlib.suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


def _context_of(place: HttpReferences) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=place.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if place.certificate_file is not None and place.key_file is not None:
            read_key_file(place.key_file, errors.INGEST_SETTINGS, private=True)
            context.load_cert_chain(place.certificate_file, place.key_file)
    except (OSError, ValueError):
        raise TarnhelmError(errors.INGEST_SETTINGS) from None
    return context


def _token(place: HttpReferences) -> str:
    assert place.bearer_token_file is not None  # noqa: S101  # asked by the caller
    token = read_key_file(place.bearer_token_file, errors.REFERENCE_AWAY, private=True).strip()
    if not token or not token.isascii() or any(byte <= 0x20 for byte in token):
        raise TarnhelmError(errors.REFERENCE_AWAY)
    return token.decode("ascii")
