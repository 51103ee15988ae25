"""C-STORE: a data set goes from the wire into admission as it is, fragment by fragment (PS3.4 Annex B)."""

from __future__ import annotations

from typing import Final, NamedTuple

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.doors.dicom_file import identity_of, is_uid
from tarnhelm.gateway.doors.dicom_messages import Command, Status
from tarnhelm.gateway.intake import Admitter, Arrival, Intake, Reception
from tarnhelm.gateway.part10 import file_head

__all__ = ["Answer", "StoreOperation"]

_LOOK_BYTES: Final = 2_048
"""SOP Class and SOP Instance UID stand among a data set's first elements."""


class Answer(NamedTuple):
    """Status of a C-STORE-RSP, what became of the object, and the code of the reason."""

    status: Status
    reception: Reception
    code: str = ""


class StoreOperation:
    """One C-STORE, used by one thread: fragments in, then the answer.

    A failure is remembered and the rest of the data set is let pass, because a message is answered when it has ended.
    Left without :meth:`finish`, nothing is kept.

    Parameters
    ----------
    abstract_syntax, transfer_syntax
        Of the presentation context.
    """

    def __init__(
        self,
        admitter: Admitter,
        command: Command,
        abstract_syntax: str,
        transfer_syntax: str,
        project: str,
        door: str,
        max_object_bytes: int,
    ) -> None:
        self._command = command
        self._syntax = transfer_syntax
        self._max = max_object_bytes
        self._look: bytearray | None = bytearray()
        self._intake: Intake | None = None
        self._failure: Answer | None = None
        self.size = 0
        if command.sop_class_uid != abstract_syntax:
            self._fail(Answer(Status.CLASS_NOT_SUPPORTED, Reception.REFUSED, errors.IDENTITY_DIFFERS.code))
        elif not is_uid(command.sop_instance_uid):
            self._fail(Answer(Status.INVALID_INSTANCE, Reception.REFUSED, errors.PROTOCOL_BROKEN.code))
        else:
            arrival = Arrival(project=project, door=door, sop_instance_uid=command.sop_instance_uid)
            try:
                self._intake = admitter.begin(arrival)
                self._intake.write(file_head(command.sop_class_uid, command.sop_instance_uid, transfer_syntax))
            except Exception as error:  # noqa: BLE001 - every fault has to become a status
                self._fail(_answer_of(error))

    def write(self, data: memoryview) -> None:
        """Take the next fragment."""
        self.size += len(data)
        if self._intake is None:
            return
        if self.size > self._max:
            self._fail(Answer(Status.CANNOT_UNDERSTAND, Reception.REFUSED, errors.TOO_LARGE.code))
            return
        if self._look is not None:
            self._look += data[: _LOOK_BYTES - len(self._look)]
            if len(self._look) >= _LOOK_BYTES:
                self._compare()
                if self._intake is None:
                    return
        try:
            self._intake.write(data)
        except Exception as error:  # noqa: BLE001 - every fault has to become a status
            self._fail(_answer_of(error))

    def finish(self) -> Answer:
        """Commit what came, and say how to answer."""
        if self._look is not None:
            self._compare()
        if not self.size:
            self._fail(Answer(Status.CANNOT_UNDERSTAND, Reception.REFUSED, errors.NO_OBJECT.code))
        if self._failure is not None or self._intake is None:
            return self._failure or _answer_of(RuntimeError())
        try:
            receipt = self._intake.commit()
        except Exception as error:  # noqa: BLE001 - every fault has to become a status
            self._fail(_answer_of(error))
            return _answer_of(error)
        self._intake = None
        if receipt.reception is Reception.REFUSED:
            return Answer(Status.CANNOT_UNDERSTAND, Reception.REFUSED, receipt.code)
        return Answer(Status.SUCCESS, receipt.reception, receipt.code)

    def drop(self) -> None:
        """Keep nothing; does nothing after :meth:`finish`."""
        if self._intake is not None:
            intake, self._intake = self._intake, None
            intake.abort()

    def _compare(self) -> None:
        sop_class, sop_instance = identity_of(self._look or b"", self._syntax)
        self._look = None
        announced = self._command
        if sop_class not in {None, announced.sop_class_uid} or sop_instance not in {None, announced.sop_instance_uid}:
            self._fail(Answer(Status.DATA_SET_MISMATCH, Reception.REFUSED, errors.IDENTITY_DIFFERS.code))

    def _fail(self, answer: Answer) -> None:
        self._failure = self._failure or answer
        try:
            self.drop()
        except Exception:  # noqa: BLE001 - the first fault is the one to tell
            self._intake = None


def _answer_of(error: Exception) -> Answer:
    """Say in the words of DIMSE why an object was not taken."""
    if not isinstance(error, TarnhelmError):
        return Answer(Status.OUT_OF_RESOURCES, Reception.REFUSED, errors.DOOR_FAULT.code)
    if error.disposition is Disposition.RETRY:
        return Answer(Status.OUT_OF_RESOURCES, Reception.REFUSED, error.code)
    if error.code == errors.NO_PLAN.code:
        return Answer(Status.NOT_AUTHORISED, Reception.REFUSED, error.code)
    return Answer(Status.CANNOT_UNDERSTAND, Reception.REFUSED, error.code)
