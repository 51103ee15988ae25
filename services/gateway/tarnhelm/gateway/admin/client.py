"""How the page and the command reach the admin service: a channel, and errors that are codes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError
from tarnhelm.common.keepalive import CLIENT_OPTIONS
from tarnhelm.common.serve import is_loopback
from tarnhelm.common.serve.errors import CODE_KEY
from tarnhelm.gateway.admin.people import PERSON_KEY, ROLE_KEY, SUBJECT_KEY, TOKEN_KEY

if TYPE_CHECKING:
    from tarnhelm.gateway.admin.people import Person
    from tarnhelm.gateway.admin.settings import AdminAddress

__all__ = ["Metadata", "channel_to", "error_of", "metadata_for", "token_of"]

Metadata = Sequence[tuple[str, str | bytes]]
_MOST_BYTES: Final = 32 << 20


def channel_to(address: AdminAddress, *, asynchronous: bool) -> Any:
    """Open a channel; plain only to this machine.

    Raises
    ------
    TarnhelmError
        ``WEB-024`` where the address needs certificates, or they cannot be read.
    """
    make: Any = grpc.aio if asynchronous else grpc
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _MOST_BYTES),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_reconnect_backoff_ms", 5000),
        *CLIENT_OPTIONS,
    ]
    if address.ca_file is None:
        if not is_loopback(address.target) or address.certificate_file is not None:
            raise TarnhelmError(errors.WEB_SETTINGS)
        return make.insecure_channel(address.target, options=options)
    if (address.certificate_file is None) != (address.key_file is None):
        raise TarnhelmError(errors.WEB_SETTINGS)
    try:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=address.ca_file.read_bytes(),
            private_key=address.key_file.read_bytes() if address.key_file else None,
            certificate_chain=address.certificate_file.read_bytes() if address.certificate_file else None,
        )
    except OSError:
        raise TarnhelmError(errors.WEB_SETTINGS) from None
    if address.server_name:
        options.append(("grpc.ssl_target_name_override", address.server_name))
    return make.secure_channel(address.target, credentials, options=options)


def token_of(address: AdminAddress) -> str:
    """Read the token; empty without one. Raises ``WEB-024`` where it cannot be read."""
    if address.token_file is None:
        return ""
    try:
        return address.token_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise TarnhelmError(errors.WEB_SETTINGS) from None


def metadata_for(token: str, person: Person | None = None) -> Metadata:
    """Return what goes with a call: the caller's token, and for whom it calls."""
    found: list[tuple[str, str | bytes]] = [(TOKEN_KEY, f"Bearer {token}")] if token else []
    if person is not None:
        found += [(SUBJECT_KEY, person.subject), (PERSON_KEY, person.name.encode()), (ROLE_KEY, person.role.value)]
    return found


def error_of(error: Any, places: Callable[[str], str] = str) -> TarnhelmError:
    """Return the error of the catalogue that a failed call ended with; ``WEB-023`` where the service was not reached.

    The sentence is the catalogue's own, so that nothing of another process's text gets onto a page.
    """
    trailing = error.trailing_metadata() or ()
    code = next((places(value) for key, value in trailing if key == CODE_KEY), "")
    if code in CATALOGUE:
        return TarnhelmError(CATALOGUE[code])
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return TarnhelmError(errors.ADMIN_AWAY)
    return TarnhelmError(errors.ADMIN_FAILED)
