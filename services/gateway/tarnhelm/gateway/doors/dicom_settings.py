"""How a DICOM door is set up: addresses, titles, who may call, bounds."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tarnhelm.common.serve.settings import is_loopback
from tarnhelm.gateway.doors.naming import check_name

__all__ = ["CommitmentPeer", "DicomDoorSettings", "DicomTitle"]

_MAX_TITLE: int = 16


@dataclass(frozen=True, slots=True)
class DicomTitle:
    """One called AE title and what comes in under it.

    Attributes
    ----------
    project
        Opaque id of the project that its objects belong to.
    callers
        Calling AE titles that may associate. Empty: everybody where the door listens on a loopback address only,
        else nobody.
    caller_networks
        Addresses or networks (``10.1.2.0/24``) that a caller must come from; empty: any.
    certificate_names
        Subject alternative names (DNS or URI) of which the caller's certificate must hold one; empty: whoever the
        client authority signed.
    """

    project: str
    callers: tuple[str, ...] = ()
    caller_networks: tuple[str, ...] = ()
    certificate_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for caller in self.callers:
            check_title(caller)
        for network in self.caller_networks:
            ipaddress.ip_network(network)


@dataclass(frozen=True, slots=True)
class CommitmentPeer:
    """Where a caller takes the reports of storage commitment when its association has ended.

    Attributes
    ----------
    address
        ``host:port``.
    ca_file
        PEM; with it the report goes over TLS, to a peer whose certificate this authority signed for that host. The
        door shows its own certificate.
    """

    address: str
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.address.rpartition(":")[2].isdecimal():
            raise ValueError("the address of a peer is host:port")


@dataclass(frozen=True, slots=True)
class DicomDoorSettings:
    """Settings of one listening port.

    Attributes
    ----------
    name
        Name of the door: letters, digits, hyphens.
    listen
        ``host:port``; port 0 takes a free one.
    titles
        Called AE title → its settings; another title is rejected.
    tls_certificate_file, tls_key_file
        PEM; both or none. With them the port speaks TLS (1.2 or newer) only.
    client_ca_file
        PEM; with it every caller needs a certificate of this authority.
    unknown_sop_classes
        Take objects of private SOP classes and of those newer than this version too.
    commitment_peers
        Calling AE title → where its commitment reports go when it has closed the association.
    max_associations
        At once, in this process.
    max_associations_per_caller
        Of one calling AE title.
    max_connections_per_address
        Of one network address, associated or not.
    max_pdu_bytes
        The largest P-DATA-TF PDU that callers may send (PS3.8 D.1); a longer one aborts the association.
    max_object_bytes
        A larger data set gets 0xC000.
    associate_seconds
        From the connection to the end of the A-ASSOCIATE-RQ, TLS included (the ARTIM timer of PS3.8).
    idle_seconds
        Between two messages of an association.
    stall_seconds
        Without one byte while a PDU is due.
    message_seconds, min_bytes_per_second
        A message may take ``message_seconds + size / min_bytes_per_second``.
    drain_seconds
        When the door closes, messages that have begun may take this long to end.
    """

    name: str = "dicom"
    listen: str = "127.0.0.1:11112"
    titles: Mapping[str, DicomTitle] = field(default_factory=dict)
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    client_ca_file: Path | None = None
    unknown_sop_classes: bool = False
    commitment_peers: Mapping[str, CommitmentPeer] = field(default_factory=dict)
    max_associations: int = 32
    max_associations_per_caller: int = 16
    max_connections_per_address: int = 48
    max_pdu_bytes: int = 262_144
    max_object_bytes: int = 4 << 30
    associate_seconds: float = 15.0
    idle_seconds: float = 120.0
    stall_seconds: float = 30.0
    message_seconds: float = 120.0
    min_bytes_per_second: int = 16_384
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.titles:
            raise ValueError("a DICOM door needs an AE title")
        for title in (*self.titles, *self.commitment_peers):
            check_title(title)
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("a certificate and its key belong together")
        if self.client_ca_file is not None and self.tls_key_file is None:
            raise ValueError("client certificates need a server certificate")
        if self.client_ca_file is None and any(title.certificate_names for title in self.titles.values()):
            raise ValueError("names of certificates need a client authority")
        if not 4_096 <= self.max_pdu_bytes <= 4 << 20:
            raise ValueError("max_pdu_bytes lies between 4,096 and 4,194,304")
        bounds = (self.max_associations, self.max_associations_per_caller, self.max_connections_per_address)
        if min(bounds) < 1 or self.min_bytes_per_second < 1:
            raise ValueError("a bound is at least one")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the door."""
        return is_loopback(self.listen)


def check_title(title: str) -> None:
    r"""Raise ValueError where it is no AE title: 1 to 16 characters of ISO 646 but ``\`` and controls (PS3.5 6.2)."""
    printable = all(" " <= letter <= "~" and letter != "\\" for letter in title)
    if not printable or not 1 <= len(title) <= _MAX_TITLE or title != title.strip():
        raise ValueError("an AE title has 1 to 16 printable characters without a backslash")
