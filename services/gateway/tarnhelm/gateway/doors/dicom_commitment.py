"""Storage Commitment Push Model, as its provider (PS3.4 Annex J).

What is committed to is what *accepted* means in this house: the object is durable here and will end released,
rejected or quarantined. It is no promise to give the identified object back.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final, Protocol

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom import AE, build_role
from pynetdicom.dsutils import encode

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.doors.dicom_file import IMPLICIT_LITTLE, is_uid
from tarnhelm.gateway.doors.dicom_messages import Status
from tarnhelm.gateway.doors.dicom_negotiation import COMMITMENT, COMMITMENT_INSTANCE
from tarnhelm.gateway.doors.dicom_settings import CommitmentPeer, DicomDoorSettings

__all__ = ["MAX_REQUEST_BYTES", "AcceptedInstances", "Report", "ReportSender", "report_of"]

MAX_REQUEST_BYTES: Final = 4 << 20
"""About 25,000 references."""
_MAX_REFERENCES: Final = 30_000
_TRANSACTION: Final = 0x0008_1195
_REFERENCES: Final = 0x0008_1199
_SOP_CLASS: Final = 0x0008_1150
_SOP_INSTANCE: Final = 0x0008_1155
ALL_HERE: Final = 1
SOME_FAILED: Final = 2


class AcceptedInstances(Protocol):
    """What admission remembers of accepted objects; safe among threads."""

    def accepted(self, project: str, sop_instance_uid: str) -> bool:
        """Whether an object of that SOP Instance UID was accepted for the project and is not lost.

        The implementation compares keyed digests: no UID is stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What an N-EVENT-REPORT says; holds UIDs of the sender, for the sender only.

    Attributes
    ----------
    event
        Event Type ID: 1 all instances, 2 failures exist (PS3.4 Table J.3-2).
    """

    event: int
    data_set: Dataset = field(repr=False)

    def encoded(self, *, implicit: bool) -> bytes:
        """Event Information in a native little endian syntax."""
        return encode(self.data_set, implicit, is_little_endian=True) or b""


def report_of(request: bytes, transfer_syntax: str, project: str, instances: AcceptedInstances) -> Report:
    """Look up what an N-ACTION asks for; raises DOR-001 where the request cannot be read."""
    try:
        asked = read_dataset(BytesIO(request), transfer_syntax == IMPLICIT_LITTLE, True, bytelength=len(request))
        transaction = _raw(asked, _TRANSACTION)
        pairs = [(_raw(item, _SOP_CLASS), _raw(item, _SOP_INSTANCE)) for item in asked[_REFERENCES].value]
    except Exception:  # noqa: BLE001 - whatever the parser trips over, its text may quote a value
        raise TarnhelmError(errors.PROTOCOL_BROKEN) from None
    uids = [transaction, *(uid for pair in pairs for uid in pair)]
    if not pairs or len(pairs) > _MAX_REFERENCES or not all(map(is_uid, uids)):
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    here, missing = [], []
    for sop_class, sop_instance in pairs:
        item = Dataset()
        _set(item, _SOP_CLASS, sop_class)
        _set(item, _SOP_INSTANCE, sop_instance)
        if instances.accepted(project, sop_instance):
            here.append(item)
        else:
            item.FailureReason = int(Status.NO_SUCH_OBJECT)
            missing.append(item)
    answer = Dataset()
    _set(answer, _TRANSACTION, transaction)
    if here:
        answer.ReferencedSOPSequence = here
    if missing:
        answer.FailedSOPSequence = missing
    return Report(SOME_FAILED if missing else ALL_HERE, answer)


def _raw(data_set: Dataset, tag: int) -> str:
    """Return a UID as it was sent: pydicom's conversion would warn of an odd one, and quote it."""
    value = data_set.get_item(tag).value
    return bytes(value).decode("ascii").rstrip("\x00 ")


def _set(data_set: Dataset, tag: int, uid: str) -> None:
    data_set.add(DataElement(tag, "UI", uid, validation_mode=IGNORE))


class ReportSender:
    """Brings reports to callers that take them on an association of the door's own, as many tries as ``waits`` has.

    Reports are held in memory: when the process ends before one is delivered, the caller asks again, as PS3.4 J.3.2
    leaves it to him.

    Parameters
    ----------
    lost
        Is called for a report that nobody took.
    waits
        Seconds before each try.
    max_waiting
        Reports at once.
    """

    def __init__(
        self,
        settings: DicomDoorSettings,
        lost: Callable[[], None],
        waits: tuple[float, ...] = (0.0, 5.0, 30.0, 120.0),
        *,
        max_waiting: int = 64,
    ) -> None:
        self._settings = settings
        self._lost = lost
        self._waits = waits
        self._seats = threading.BoundedSemaphore(max_waiting)
        self._stop = threading.Event()
        self._threads: set[threading.Thread] = set()

    def takes(self, caller: str) -> bool:
        """Whether a caller has an address for reports."""
        return caller in self._settings.commitment_peers

    def send(self, caller: str, called: str, report: Report) -> bool:
        """Begin to deliver; False where too many reports wait already."""
        if not self._seats.acquire(blocking=False):
            return False
        peer = self._settings.commitment_peers[caller]
        thread = threading.Thread(target=self._deliver, args=(peer, caller, called, report), daemon=True)
        self._threads.add(thread)
        thread.start()
        return True

    def close(self) -> None:
        """Try no more."""
        self._stop.set()
        for thread in list(self._threads):
            thread.join(30)

    def _deliver(self, peer: CommitmentPeer, caller: str, called: str, report: Report) -> None:
        try:
            for wait in self._waits:
                if self._stop.wait(wait):
                    break
                if self._try(peer, caller, called, report):
                    return
            self._lost()
        finally:
            self._threads.discard(threading.current_thread())
            self._seats.release()

    def _try(self, peer: CommitmentPeer, caller: str, called: str, report: Report) -> bool:
        host, _, port = peer.address.rpartition(":")
        host = host.strip("[]")
        entity = AE(ae_title=called)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._settings.stall_seconds
        entity.connection_timeout = self._settings.associate_seconds
        entity.add_requested_context(COMMITMENT, [IMPLICIT_LITTLE, "1.2.840.10008.1.2.1"])
        try:
            association = entity.associate(
                host,
                int(port),
                ae_title=caller,
                ext_neg=[build_role(COMMITMENT, scu_role=False, scp_role=True)],
                tls_args=self._tls(peer, host),
            )
            if not association.is_established:
                return False
            try:
                status, _ = association.send_n_event_report(
                    report.data_set, report.event, COMMITMENT, COMMITMENT_INSTANCE
                )
                return "Status" in status
            finally:
                association.release()
        except Exception:  # noqa: BLE001 - whatever the peer does, there is another try
            return False

    def _tls(self, peer: CommitmentPeer, host: str) -> tuple[ssl.SSLContext, str] | None:
        if peer.ca_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(peer.ca_file))
        if self._settings.tls_certificate_file is not None:
            context.load_cert_chain(self._settings.tls_certificate_file, self._settings.tls_key_file)
        return context, host
