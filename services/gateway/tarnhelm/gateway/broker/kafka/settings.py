"""How Apache Kafka is reached: addresses, TLS, who we are. Secrets come from files only."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["KafkaSettings", "Sasl"]

_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_RECONNECT_MS: Final = 50
_RECONNECT_MOST_MS: Final = 2000
_MOST_GATHER_MS: Final = 1000
"""A member of a group that is not in its client's ``poll`` for longer would hold up the others."""


@dataclass(frozen=True, slots=True)
class Sasl:
    """A name and a password.

    Attributes
    ----------
    mechanism
        ``SCRAM-SHA-512``, ``SCRAM-SHA-256`` or ``PLAIN``; the last one tells the password to the server and is
        taken with TLS only.
    password_file
        Read whenever a client is made; must not be readable by everybody.
    """

    username: str
    password_file: Path
    mechanism: str = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the brokers are and how they are spoken to.

    Attributes
    ----------
    addresses
        ``host:port`` of one or more brokers to begin with.
    tls
        Encrypt. Without it the addresses must be loopback ones, unless ``plaintext_allowed`` says that something
        else encrypts on the way (a service mesh).
    ca_file, certificate_file, key_file
        PEM. Without ``ca_file`` the system's authorities count; certificate and key are ours, for a broker that
        asks for them.
    replication, min_in_sync
        What ``ensure`` gives to new topics: copies of each record, and how many of them must be written before a
        record is acknowledged. 0: the broker's defaults.
    max_bytes_in_flight
        Bytes that may wait for acknowledgement before ``publish`` refuses.
    delivery_seconds
        How long a record is tried before its future fails.
    request_seconds
        How long one request may take.
    gather_ms
        From one request with records to the next, and from one fetch to the next while records come one by one: those
        that come in between go together. What comes after a pause does not wait.
    """

    addresses: tuple[str, ...]
    client_id: str = "tarnhelm-gateway"
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    sasl: Sasl | None = None
    plaintext_allowed: bool = False
    replication: int = 0
    min_in_sync: int = 0
    max_bytes_in_flight: int = 64 << 20
    delivery_seconds: float = 120.0
    request_seconds: float = 30.0
    gather_ms: int = 40

    def __post_init__(self) -> None:
        if not self._sound():
            raise TarnhelmError(errors.BROKER_SETTINGS)

    def _sound(self) -> bool:
        if not self.addresses or not all(_port(address) for address in self.addresses):
            return False
        if (self.certificate_file is None) != (self.key_file is None):
            return False
        if not self.tls:
            if self.ca_file or self.key_file or (self.sasl and self.sasl.mechanism == "PLAIN"):
                return False
            if not self.plaintext_allowed and not all(_is_loopback(address) for address in self.addresses):
                return False
        if self.sasl is not None and (self.sasl.mechanism not in _MECHANISMS or not self.sasl.username):
            return False
        waits = 0 < self.request_seconds < self.delivery_seconds and 0 <= self.gather_ms <= _MOST_GATHER_MS
        return waits and self.max_bytes_in_flight > 0 and 0 <= self.min_in_sync <= max(self.replication, 0)

    def client_configs(self) -> dict[str, Any]:
        """Return what producer, consumer and administrator have in common; reads the files.

        Raises
        ------
        TarnhelmError
            BRK-006: a file is missing, damaged, or a secret that everybody can read.
        """
        configs: dict[str, Any] = {
            "bootstrap_servers": list(self.addresses),
            "client_id": self.client_id,
            "security_protocol": ("SASL_" if self.sasl else "") + ("SSL" if self.tls else "PLAINTEXT"),
            "request_timeout_ms": round(self.request_seconds * 1000),
            "bootstrap_timeout_ms": round(self.request_seconds * 1000),
            "reconnect_backoff_ms": _RECONNECT_MS,
            "reconnect_backoff_max_ms": _RECONNECT_MOST_MS,
        }
        if self.sasl is not None:
            configs["sasl_mechanism"] = self.sasl.mechanism
            configs["sasl_plain_username"] = self.sasl.username
            configs["sasl_plain_password"] = _secret(self.sasl.password_file)
        if self.tls:
            configs["ssl_context"] = self._tls_context()
        return configs

    def _tls_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate_file is not None and self.key_file is not None:
                _check_private(self.key_file)
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ValueError):
            raise TarnhelmError(errors.BROKER_SETTINGS) from None
        return context


def _secret(path: Path) -> str:
    try:
        _check_private(path)
        text = path.read_text("utf-8").strip()
    except (OSError, ValueError):
        raise TarnhelmError(errors.BROKER_SETTINGS) from None
    if not text:
        raise TarnhelmError(errors.BROKER_SETTINGS)
    return text


def _check_private(path: Path) -> None:
    if path.stat().st_mode & 0o007:
        raise TarnhelmError(errors.BROKER_SETTINGS)


def _port(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 1 << 16


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
