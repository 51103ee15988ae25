"""What the gateway knows of one object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = ["ManifestEntry", "ObjectRecord", "RunRecord", "State"]


class State(StrEnum):
    """Where an object is."""

    RECEIVED = "received"
    """Bytes are arriving."""
    ADMITTED = "admitted"
    """Accepted: from here on it ends released, rejected or quarantined."""
    RUNNING = "running"
    """A stage has it in hand (``stage`` says which)."""
    READY = "ready"
    """The stage's result is recorded; the next step has not begun."""
    WITNESSING = "witnessing"
    """The witness compares it with its source."""
    VERIFIED = "verified"
    """A signed clean verdict covers exactly the bytes that will be released."""
    RELEASED = "released"
    """It stands at its destination."""
    PURGED = "purged"
    """Nothing of it is kept but the record."""
    WAITING = "waiting"
    """A dependency is down; nothing is wrong with the object."""
    QUARANTINED = "quarantined"
    """It cannot be cleaned or judged; nothing of it was released."""
    REJECTED = "rejected"
    """It is no object, cannot be read, or a reviewer said no."""
    SKIPPED = "skipped"
    """Litter: not an object at all."""


class ObjectRecord(NamedTuple):
    """One object; changed only by :class:`tarnhelm.gateway.fsm.Lifecycle`.

    Attributes
    ----------
    object_id
        HMAC(gateway key, project ‖ sha256 of the raw bytes).
    source
        Keyed digest of where it came from (path, size, time): lets a run resume without reading it.
    locator
        Where it came from, encrypted with the gateway's key; emptied when it is released.
    output_sha256
        Of the bytes the witness judged.
    output_path
        Surrogate path below the destination.
    verdict
        The witness's signature, hex.
    accepted
        A reviewer, or the run's express option, accepted unchecked pixels.
    project
        Opaque id; empty on a laptop, where one state holds one project.
    door
        Name of the door in the configuration that it came in by.
    received
        When it was accepted, seconds since 1970.
    attempts
        How often the stage in hand has failed after it had accepted the object.
    uid_digest
        Keyed digest of project and SOP Instance UID: finds another content under the same UID.
    group
        Keyed id of the volume that it belongs to (study and frame of reference); empty: none.
    trace
        ``traceparent`` of the trace that its road is recorded under.
    """

    object_id: str
    state: State = State.RECEIVED
    revision: int = 0
    stage: str = ""
    plan_digest: str = ""
    policy_digest: str = ""
    run_id: str = ""
    size: int = 0
    code: str = ""
    source: bytes = b""
    locator: bytes = b""
    output_sha256: str = ""
    output_path: str = ""
    verdict: str = ""
    accepted: bool = False
    project: str = ""
    door: str = ""
    received: float = 0.0
    attempts: int = 0
    uid_digest: bytes = b""
    group: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of the pump.

    Attributes
    ----------
    document
        JSON without identifiers: plan, versions, counts.
    options
        What the run was asked to do (recipe, variables, folders), encrypted with the gateway's key, so that a
        quarantined object can be tried again in the same way.
    """

    run_id: str
    started: float
    finished: float
    document: str
    options: bytes = b""


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One release: what left, under which plan, by which verdict."""

    object_id: str
    run_id: str
    output_path: str
    sha256: str
    size: int
    plan_digest: str
    policy_digest: str
    verdict: str
    released: float
