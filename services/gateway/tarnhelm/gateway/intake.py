"""The seam between the doors and admission: bytes in, and a receipt when they are safe.

A door speaks its protocol and nothing else. What *accepted* means is decided here for all of them (DESIGN §1): the
raw blob is durable and the object's record is written before :meth:`Intake.commit` returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from tarnhelm.gateway.broker.trace import TraceContext

__all__ = ["Admitter", "Arrival", "Intake", "Receipt", "Reception"]


class Reception(StrEnum):
    """What became of what a sender handed over; each is success for the sender but ``REFUSED``."""

    ACCEPTED = "accepted"
    """New: it will end released, rejected or quarantined."""
    DUPLICATE = "duplicate"
    """The same content is here already, whatever became of it."""
    KEPT_FIRST = "kept-first"
    """Another content under the same SOP Instance UID is here, and the project keeps the first one."""
    HELD = "held"
    """Accepted, and in quarantine at once: another content under the same UID, or a bound that it exceeds."""
    REFUSED = "refused"
    """It is no object of this project; nothing was kept. ``Receipt.code`` says why."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a door knows of an object before its bytes.

    Attributes
    ----------
    project
        Opaque id, bound to the door, the AE title, the folder or the principal by the configuration; never what a
        sender says of itself.
    door
        Name of the door in the configuration: letters, digits and hyphens.
    sop_instance_uid
        As the protocol announces it, an identifier: it is used for a keyed digest and forgotten. Empty where the
        protocol does not announce it: then the file meta is asked.
    size
        Bytes that will come, -1 where nobody knows.
    trace
        The span of the sender, where it came with one.
    """

    project: str
    door: str
    sop_instance_uid: str = field(default="", repr=False)
    size: int = -1
    trace: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one object.

    Attributes
    ----------
    object_id
        Opaque; empty for what was refused.
    code
        Stable code of a refusal or of what holds it, else empty.
    """

    reception: Reception
    object_id: str = ""
    code: str = ""


class Intake(Protocol):
    """One object on its way in; used by one thread. Left without a commit, nothing of it is kept."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the DICOM file (PS3.10, from the preamble on), or of another format.

        They are read or copied before this returns: a door hands in a view of a buffer that it fills again.

        Raises
        ------
        TarnhelmError
            LIM-001 where it is larger than any object may be; a code with RETRY where there is no room.
        """
        ...

    def commit(self) -> Receipt:
        """Make it durable, enter its record and send it on its road.

        Raises
        ------
        TarnhelmError
            With RETRY: nothing was accepted, the sender should try again later.
        """
        ...

    def abort(self) -> None:
        """Drop it; does nothing after a commit."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Admitter(Protocol):
    """Admission, as all doors see it; safe among threads."""

    def room(self) -> float:
        """0.0 where objects are taken; else the seconds after which a sender should ask again.

        A door asks before it takes an association, a request or a file, and tells its sender in the words of its
        protocol (C-STORE 0xA700, HTTP 503 with Retry-After, a folder watch waits).
        """
        ...

    def begin(self, arrival: Arrival) -> Intake:
        """Begin one object.

        Raises
        ------
        TarnhelmError
            GTW-020 (RETRY) where there is no room, GTW-021 (REJECT) for a project without a plan.
        """
        ...
