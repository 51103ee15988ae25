"""TLS of the doors that listen: one way to set it up, one way to say who called."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["alternative_names", "server_context"]


def server_context(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext | None:
    """Return a context for TLS 1.2 and newer, None without a certificate; raises DOR-010 where a file is not good.

    With ``client_ca`` nobody gets in without a certificate of that authority.
    """
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError:
        raise TarnhelmError(errors.DOOR_SHUT) from None
    return context


def alternative_names(connection: Any) -> frozenset[str]:
    """DNS names and URIs of the certificate that a TLS connection showed; empty where it showed none."""
    if not isinstance(connection, ssl.SSLSocket | ssl.SSLObject):
        return frozenset()
    entries: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
    return frozenset(str(entry[1]) for entry in entries if entry[0] in {"DNS", "URI"})
