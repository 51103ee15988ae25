"""A DICOMweb server: Store Instances, STOW-RS (PS3.18 section 10.5), one object for each request, streamed as it is."""

from __future__ import annotations

import json
import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.destinations.links import client_context, is_this_machine
from tarnhelm.gateway.destinations.notices import NoticeFolder
from tarnhelm.gateway.destinations.statuses import told_by_status

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tarnhelm.gateway.destinations.base import Notice, Parcel, StowDestinationSettings

__all__ = ["StowDestination"]

_FAILED: Final = "00081198"
_STORED: Final = "00081199"
_REASON: Final = "00081197"
_MAX_ANSWER_BYTES: Final = 1 << 20
_MAX_TOKEN_BYTES: Final = 16 << 10
_PREAMBLE_BYTES: Final = 132


class StowDestination:
    """Stores on one server, over connections that stay open. Redirects are not followed.

    Parameters
    ----------
    settings
        Off this machine the address is ``https``, or ``plaintext_allowed``.

    Raises
    ------
    TarnhelmError
        DLV-021 for settings that cannot work.
    """

    def __init__(self, name: str, settings: StowDestinationSettings) -> None:
        address = urlsplit(settings.url)
        secret = address.scheme == "https"
        plain = address.scheme == "http" and (settings.plaintext_allowed or is_this_machine(address.hostname or ""))
        if not (secret or plain) or not address.hostname or address.username or address.query or address.fragment:
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        self._name = name
        self._settings = settings
        self._notices = NoticeFolder(settings.notices)
        silence = settings.response_timeout_seconds
        self._client = httpx.Client(
            verify=client_context(settings.tls) if settings.tls is not None else True,
            timeout=httpx.Timeout(silence, connect=settings.connect_timeout_seconds),
            follow_redirects=False,
            trust_env=False,  # neither a proxy nor a .netrc that somebody's environment names
        )

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    def deliver(self, parcel: Parcel) -> None:
        """Store one object.

        Raises
        ------
        TarnhelmError
            RETRY: DLV-001 away or silent, DLV-002 no room, DLV-003 not let in, DLV-004 a failure of the peer's,
            DLV-005 not a STOW-RS service. Held: DLV-010, DLV-011, DLV-013, DLV-014, DLV-015.
        """
        boundary = f"tarnhelm-{secrets.token_hex(16)}"
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(head) + parcel.size + len(tail)),
            "Accept": "application/dicom+json",
            **self._authorization(),
        }
        with closing(_body(head, parcel, tail)) as body:
            try:
                with self._client.stream("POST", self._settings.url, headers=headers, content=body) as answer:
                    status, content = answer.status_code, _bounded(answer)
            except httpx.HTTPError:
                raise TarnhelmError(errors.PEER_AWAY) from None
        _told(status, content, parcel)

    def withdraw(self, notice: Notice) -> None:
        """Write the notice: the service has no message for it."""
        self._notices.write(notice)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _authorization(self) -> Mapping[str, str]:
        """Return the header of RFC 6750 section 2.1; raises DLV-021 where the file holds no token."""
        path = self._settings.bearer_token_file
        if path is None:
            return {}
        try:
            with path.open("rb") as stream:
                token = stream.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise TarnhelmError(errors.DESTINATION_SETTINGS) from None
        if not token or not token.isprintable() or " " in token:
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        return {"Authorization": f"Bearer {token}"}


def _body(head: bytes, parcel: Parcel, tail: bytes) -> Generator[bytes]:
    """Yield the one part; raises DLV-015 for what is no file of PS3.10, before a byte of it is sent."""
    begin = b""
    for piece in parcel.open():
        if len(begin) < _PREAMBLE_BYTES:
            begin += piece
            if len(begin) < _PREAMBLE_BYTES:
                continue
            if begin[128:_PREAMBLE_BYTES] != b"DICM":
                raise TarnhelmError(errors.NOT_DICOM_FORM)
            yield head + begin
            continue
        yield piece
    if len(begin) < _PREAMBLE_BYTES:
        raise TarnhelmError(errors.NOT_DICOM_FORM)
    yield tail


def _bounded(answer: httpx.Response) -> bytes:
    """Return the answer's begin; a longer one is no answer of this service."""
    content = b""
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > _MAX_ANSWER_BYTES:
            return b""
    return content


def _told(status: int, content: bytes, parcel: Parcel) -> None:
    """Return where the server has the object, else raise what its answer means (PS3.18 table 10.5.3-1)."""
    stored, reason = _of_answer(content)
    if 200 <= status < 300 and status not in (200, 202):
        raise TarnhelmError(errors.PEER_NOT_STOW)
    if status in (200, 202, 409):
        if reason is not None:
            told_by_status(reason, first=parcel.attempt <= 1)
        elif status == 409:
            raise TarnhelmError(errors.REFUSED_FOR_GOOD, status=status)
        elif status == 202 and not stored:
            raise TarnhelmError(errors.PEER_FAULT)
        return
    if status in (401, 403, 407):
        raise TarnhelmError(errors.PEER_REFUSES_US)
    if status in (408, 425, 429, 502, 503, 504, 507):
        raise TarnhelmError(errors.PEER_BUSY)
    if 300 <= status < 400 or status in (404, 405, 406, 410, 411):
        raise TarnhelmError(errors.PEER_NOT_STOW)
    if status == 413:
        raise TarnhelmError(errors.DELIVERY_TOO_LARGE, size=parcel.size, limit=0)
    if status == 415:
        raise TarnhelmError(errors.FORM_NOT_TAKEN)
    if 400 <= status < 500:
        raise TarnhelmError(errors.REFUSED_FOR_GOOD, status=status)
    raise TarnhelmError(errors.PEER_FAULT if status >= 500 else errors.PEER_NOT_STOW)


def _of_answer(content: bytes) -> tuple[bool, int | None]:
    """Whether the store response (PS3.18 annex I.2) names the instance as stored, and why it failed, if it did."""
    try:
        found: Any = json.loads(content)
        document = found[0] if isinstance(found, list) else found
        failed = document.get(_FAILED, {}).get("Value", [])
        stored = bool(document.get(_STORED, {}).get("Value", []))
        reason = int(failed[0][_REASON]["Value"][0]) if failed else None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return False, None
    return stored, reason
