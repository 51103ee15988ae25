"""A DICOM peer: C-STORE (PS3.4 Annex B, PS3.7 section 9.1.1) of the bytes as they are, over associations that stay."""

from __future__ import annotations

import os
import re
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config
from pynetdicom.presentation import build_context

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.destinations.links import client_context, is_this_machine
from tarnhelm.gateway.destinations.notices import NoticeFolder
from tarnhelm.gateway.destinations.statuses import told_by_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pynetdicom.association import Association

    from tarnhelm.gateway.destinations.base import DicomDestinationSettings, Notice, Parcel

__all__ = ["DicomDestination"]

_AE_TITLE: Final = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?", re.ASCII)
_MOST_CONTEXTS: Final = 128
"""PS3.8 section 9.3.2.2: identifiers are the odd numbers of one byte."""
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
Form = tuple[str, str]
"""SOP Class UID and Transfer Syntax UID."""


class _Line:
    """One association on its way through its life, with a scratch file of its own; used by one thread at a time."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.association: Association | None = None
        self.forms: set[Form] = set()
        self.sent = 0
        self.used = 0.0


class DicomDestination:
    """Sends to one AE. Nothing is converted: the peer accepts an object's transfer syntax, or the object is held.

    Associations are kept as long as they are used, one for each worker, each with the presentation contexts that its
    objects needed so far.

    Parameters
    ----------
    name
        In the configuration.
    settings
        Off this machine they need TLS, or ``plaintext_allowed``.

    Raises
    ------
    TarnhelmError
        DLV-021 for settings that cannot work.
    """

    def __init__(self, name: str, settings: DicomDestinationSettings) -> None:
        titles = (settings.called_aet, settings.calling_aet)
        plain = settings.tls is None and not settings.plaintext_allowed and not is_this_machine(settings.host)
        if plain or not all(_AE_TITLE.fullmatch(title) for title in titles) or not 0 < settings.port < 1 << 16:
            raise TarnhelmError(errors.DESTINATION_SETTINGS)
        self._name = name
        self._settings = settings
        self._tls = None if settings.tls is None else client_context(settings.tls)
        self._notices = NoticeFolder(settings.notices)
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._forms: set[Form] = set()
        self._made = 0
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
        # Else the library would decode an object and encode it anew, and other bytes would be stored.
        _config.STORE_SEND_CHUNKED_DATASET = True

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self._name

    def deliver(self, parcel: Parcel) -> None:
        """Send one object and wait for the peer's status.

        Raises
        ------
        TarnhelmError
            RETRY: DLV-001 away or silent, DLV-002 no room, DLV-003 not let in, DLV-004 a failure of the peer's.
            Held: DLV-010 its form is not accepted, DLV-011 refused, DLV-013 another version is there, DLV-014 too
            large, DLV-015 no DICOM.
        """
        limit = self._settings.max_object_bytes
        if parcel.size > limit:
            raise TarnhelmError(errors.DELIVERY_TOO_LARGE, size=parcel.size, limit=limit)
        with self._line() as line:
            _spool(parcel, line.scratch)
            form = _form_of(line.scratch)
            association = self._associated(line, form)
            status = self._sent(line, association)
        told_by_status(status, first=parcel.attempt <= 1)

    def withdraw(self, notice: Notice) -> None:
        """Write the notice: the service has no message for it."""
        self._notices.write(notice)

    def close(self) -> None:
        """Release what is open."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join()
        self._release_idle(0.0)

    # --- associations ----------------------------------------------------------------------------------

    @contextmanager
    def _line(self) -> Iterator[_Line]:
        with self._lock:
            line = self._idle.pop() if self._idle else None
            if line is None:
                self._made += 1
                line = _Line(self._settings.scratch / f"{self._name}-{os.getpid()}-{self._made}")
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name=f"tarnhelm-idle-{self._name}", daemon=True)
                self._keeper.start()
        try:
            yield line
        except BaseException as error:
            # What is wrong with an object, or with our own store, is no fault of the association.
            if not isinstance(error, TarnhelmError) or error.kind is errors.PEER_AWAY:
                self._hang_up(line)
            raise
        finally:
            line.used = time.monotonic()
            with suppress(OSError):
                line.scratch.unlink(missing_ok=True)
            with self._lock:
                self._idle.append(line)

    def _keep(self) -> None:
        """Release associations that nothing was sent over for a while: a peer may have room for few."""
        while not self._closing.wait(self._settings.idle_seconds / 2):
            self._release_idle(self._settings.idle_seconds)

    def _release_idle(self, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            stale = [one for one in self._idle if now - one.used >= seconds]
            self._idle = [one for one in self._idle if one not in stale]
        for line in stale:
            self._hang_up(line)

    def _associated(self, line: _Line, form: Form) -> Association:
        """Return an association that may carry this form; an open one where it can."""
        association = line.association
        worn = line.sent >= self._settings.most_objects
        idle = time.monotonic() - line.used > self._settings.idle_seconds
        if association is not None and (worn or idle or form not in line.forms or not association.is_established):
            self._hang_up(line)
            association = None
        if association is None:
            association = self._associate(line, form)
        for context in association.accepted_contexts:
            if context.abstract_syntax == form[0] and context.transfer_syntax == [form[1]] and context.as_scu:
                return association
        raise TarnhelmError(errors.FORM_NOT_TAKEN)

    def _associate(self, line: _Line, form: Form) -> Association:
        settings = self._settings
        with self._lock:
            if len(self._forms) >= _MOST_CONTEXTS:
                self._forms.clear()
            self._forms.add(form)
            forms = sorted(self._forms)
        entity = AE(settings.calling_aet)
        entity.connection_timeout = settings.connect_timeout_seconds
        entity.acse_timeout = settings.connect_timeout_seconds
        entity.dimse_timeout = settings.response_timeout_seconds
        entity.network_timeout = settings.network_timeout_seconds
        entity.maximum_pdu_size = settings.max_pdu_bytes
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in forms]
        tls: dict[str, Any] = {} if self._tls is None else {"tls_args": (self._tls, settings.host)}
        try:
            association = entity.associate(
                settings.host,
                settings.port,
                contexts=contexts,
                ae_title=settings.called_aet,
                max_pdu=settings.max_pdu_bytes,
                **tls,
            )
        except (OSError, ssl.SSLError, RuntimeError):
            raise TarnhelmError(errors.PEER_AWAY) from None
        if not association.is_established:
            _let_go(association)
            rejected, association_ended = association.is_rejected, association.acceptor.primitive
            # PS3.8 section 9.3.4: a permanent rejection is about who we are, a transient one about the peer's load.
            permanent = rejected and getattr(association_ended, "result", 0) == 1
            no_context = association.is_aborted and bool(association.rejected_contexts)
            if no_context:
                raise TarnhelmError(errors.FORM_NOT_TAKEN)
            if permanent:
                raise TarnhelmError(errors.PEER_REFUSES_US)
            raise TarnhelmError(errors.PEER_BUSY if rejected else errors.PEER_AWAY)
        line.association, line.forms, line.sent = association, set(forms), 0
        return association

    def _sent(self, line: _Line, association: Association) -> int:
        """Send the scratch file; returns the peer's status, raises DLV-001 where none came."""
        line.sent += 1
        try:
            answer = association.send_c_store(line.scratch, msg_id=line.sent % 65_535 + 1)
        except (RuntimeError, OSError, ValueError, AttributeError):
            # The association went between our look and the send; the forms were compared before.
            raise TarnhelmError(errors.PEER_AWAY) from None
        if "Status" not in answer:
            raise TarnhelmError(errors.PEER_AWAY)
        return int(answer.Status)

    @staticmethod
    def _hang_up(line: _Line) -> None:
        association, line.association = line.association, None
        if association is None:
            return
        with suppress(Exception):  # it ends in any case
            if association.is_established:
                association.release()
            else:
                association.kill()
        association.join(5)
        _let_go(association)


def _let_go(association: Association) -> None:
    """Close the socket: the library leaves one whose connection failed to the collector."""
    own = getattr(association.dul.socket, "socket", None)
    if own is not None:
        with suppress(OSError):
            own.close()


def _spool(parcel: Parcel, scratch: Path) -> None:
    try:
        scratch.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(scratch, flags, 0o600), "wb") as stream:
            for piece in parcel.open():
                stream.write(piece)
    except OSError:
        raise TarnhelmError(errors.NO_SPACE) from None


def _form_of(scratch: Path) -> Form:
    """SOP class and transfer syntax of a file (PS3.10 section 7.1); raises DLV-015."""
    try:
        meta = read_file_meta_info(scratch)
        form = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        uids = (*form, str(meta.MediaStorageSOPInstanceUID))
    except Exception:  # noqa: BLE001  # a library's error over a file that is no DICOM; its text may quote it
        raise TarnhelmError(errors.NOT_DICOM_FORM) from None
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise TarnhelmError(errors.NOT_DICOM_FORM)
    return form
