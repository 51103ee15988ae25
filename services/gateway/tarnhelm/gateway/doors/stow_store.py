"""The parts of one store request, each into admission as it comes (PS3.18 section 10.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.broker.trace import TraceContext
from tarnhelm.gateway.doors.dicom_file import element_of, identity_of
from tarnhelm.gateway.doors.dicom_messages import Status
from tarnhelm.gateway.doors.stow_multipart import MultipartReader, Part, content_type
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings
from tarnhelm.gateway.intake import Admitter, Arrival, Intake, Reception
from tarnhelm.gateway.part10 import MOST_BYTES, FileHead, read_head

__all__ = ["StoreRequest", "Stored"]

_LOOK_BYTES: Final = 4_096
_STUDY_LOOK_BYTES: Final = 131_072
"""Study Instance UID stands behind patient and equipment: so far it is looked for."""
_STUDY: Final = 0x0020_000D


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of one part; its UIDs go to the sender alone."""

    reception: Reception
    head: FileHead | None = field(repr=False)
    status: Status = Status.SUCCESS
    code: str = ""
    size: int = 0

    @property
    def good(self) -> bool:
        """Whether the sender need not send it again."""
        return self.status is Status.SUCCESS


class StoreRequest:
    """Stores the parts of one request, in one thread.

    Attributes
    ----------
    parts
        Outcomes so far; those of success stay true whatever becomes of the rest of the request.

    Parameters
    ----------
    study
        Study Instance UID that the request names; empty: none.
    trace
        The span of the sender.
    """

    def __init__(
        self,
        admitter: Admitter,
        settings: StowDoorSettings,
        project: str,
        study: str = "",
        trace: TraceContext | None = None,
    ) -> None:
        self._admitter = admitter
        self._settings = settings
        self._project = project
        self._study = study
        self._trace = trace
        self.parts: list[Stored] = []

    def run(self, chunks: Iterator[bytes], boundary: bytes) -> None:
        """Read and store all parts.

        Raises
        ------
        TarnhelmError
            DOR-001 for a body that breaks off or is not well formed, LIM-001 for too many parts, and whatever
            ``chunks`` raises.
        """
        reader = MultipartReader(chunks, boundary, self._settings.max_part_header_bytes)
        for part in reader.parts():
            if len(self.parts) >= self._settings.max_parts:
                raise TarnhelmError(errors.TOO_LARGE)
            self.parts.append(self._store(part))

    def answer(self) -> tuple[int, bytes]:
        """Return status and body (DICOM JSON) of a request that was read to its end (PS3.18 Table 10.5.3-1)."""
        good = [part for part in self.parts if part.good]
        if not self.parts:
            return 400, b"{}"
        if len(good) == len(self.parts):
            status = 200
        elif good:
            status = 202
        else:
            status = 503 if any(part.status is Status.OUT_OF_RESOURCES for part in self.parts) else 409
        document: dict[str, Any] = {}
        done = [_item(part) for part in good]
        failed = [_item(part) for part in self.parts if not part.good and part.head is not None]
        others = [_item(part) for part in self.parts if not part.good and part.head is None]
        for tag, items in (("00081198", failed), ("00081199", done), ("0008119A", others)):
            if items:
                document[tag] = {"vr": "SQ", "Value": items}
        return status, json.dumps(document, separators=(",", ":")).encode("ascii")

    def _store(self, part: Part) -> Stored:
        if content_type(part.headers.get("content-type", "application/dicom")).name != "application/dicom":
            return _failed(None, Status.CANNOT_UNDERSTAND, errors.NO_OBJECT.code)
        start = bytearray()
        wanted = _STUDY_LOOK_BYTES if self._study else _LOOK_BYTES
        head: FileHead | None = None
        for piece in part.data:
            start += piece
            if len(start) >= wanted:
                head = read_head(start)
                if len(start) > (MOST_BYTES if head is None else head.content_start):
                    break
                wanted = len(start) + _LOOK_BYTES
        else:
            head = read_head(start)
        if head is None or not head.sop_class_uid or not head.sop_instance_uid:
            return _failed(None, Status.CANNOT_UNDERSTAND, errors.NO_OBJECT.code)
        refusal = self._look(head, start)
        if refusal is not None:
            return refusal
        arrival = Arrival(self._project, self._settings.name, head.sop_instance_uid, trace=self._trace)
        try:
            intake = self._admitter.begin(arrival)
        except Exception as error:  # noqa: BLE001 - every fault has to become a status
            return _failed_by(head, error)
        with intake:
            return self._fill(intake, head, start, part)

    def _fill(self, intake: Intake, head: FileHead, start: bytearray, part: Part) -> Stored:
        size = 0
        try:
            intake.write(start)
            size += len(start)
        except Exception as error:  # noqa: BLE001 - every fault has to become a status
            return _failed_by(head, error)
        # What the body's end raises belongs to the request, not to this part: it passes through.
        for piece in part.data:
            size += len(piece)
            if size > self._settings.max_part_bytes:
                return _failed(head, Status.CANNOT_UNDERSTAND, errors.TOO_LARGE.code)
            try:
                intake.write(piece)
            except Exception as error:  # noqa: BLE001 - every fault has to become a status
                return _failed_by(head, error)
        try:
            receipt = intake.commit()
        except Exception as error:  # noqa: BLE001 - every fault has to become a status
            return _failed_by(head, error)
        if receipt.reception is Reception.REFUSED:
            return _failed(head, Status.CANNOT_UNDERSTAND, receipt.code)
        return Stored(receipt.reception, head, size=size)

    def _look(self, head: FileHead, start: bytearray) -> Stored | None:
        if len(start) > self._settings.max_part_bytes:
            return _failed(head, Status.CANNOT_UNDERSTAND, errors.TOO_LARGE.code)
        data_set = start[head.content_start :]
        if not data_set:
            return _failed(head, Status.CANNOT_UNDERSTAND, errors.NO_OBJECT.code)
        sop_class, sop_instance = identity_of(data_set, head.transfer_syntax_uid)
        if sop_class not in {None, head.sop_class_uid} or sop_instance not in {None, head.sop_instance_uid}:
            return _failed(head, Status.DATA_SET_MISMATCH, errors.IDENTITY_DIFFERS.code)
        if self._study and element_of(data_set, head.transfer_syntax_uid, (_STUDY,)).get(_STUDY) != self._study:
            return _failed(head, Status.DATA_SET_MISMATCH, errors.OTHER_STUDY.code)
        return None


def _failed(head: FileHead | None, status: Status, code: str) -> Stored:
    return Stored(Reception.REFUSED, head, status, code)


def _failed_by(head: FileHead, error: Exception) -> Stored:
    if not isinstance(error, TarnhelmError):
        return _failed(head, Status.OUT_OF_RESOURCES, errors.DOOR_FAULT.code)
    if error.disposition is Disposition.RETRY:
        return _failed(head, Status.OUT_OF_RESOURCES, error.code)
    if error.code == errors.NO_PLAN.code:
        return _failed(head, Status.NOT_AUTHORISED, error.code)
    return _failed(head, Status.CANNOT_UNDERSTAND, error.code)


def _item(part: Stored) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if part.head is not None:
        item["00081150"] = {"vr": "UI", "Value": [part.head.sop_class_uid]}
        item["00081155"] = {"vr": "UI", "Value": [part.head.sop_instance_uid]}
    if not part.good:
        item["00081197"] = {"vr": "US", "Value": [int(part.status)]}
    return item
