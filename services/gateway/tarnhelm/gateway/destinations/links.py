"""TLS towards a destination, and which addresses are this machine."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from tarnhelm.gateway.destinations.base import TlsFiles

__all__ = ["client_context", "is_this_machine"]


def is_this_machine(host: str) -> bool:
    """Whether an address is a loopback address; a name is looked at as it is written, never resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that checks the peer's certificate and name; TLS 1.2 or newer. Raises DLV-021."""
    if (files.certificate_file is None) != (files.key_file is None):
        raise TarnhelmError(errors.DESTINATION_SETTINGS)
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=files.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if files.certificate_file is not None:
            context.load_cert_chain(files.certificate_file, files.key_file)
    except (OSError, ssl.SSLError):
        raise TarnhelmError(errors.DESTINATION_SETTINGS) from None
    return context
