"""The seam of a destination: a verified object and its manifest line in, a durable delivery or a code out.

Delivery is at least once with identical bytes (DESIGN §1): a process may die between a delivery and its record, and
then the same object comes again. Each destination makes that harmless where its protocol allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts

__all__ = [
    "Destination",
    "DestinationRules",
    "DicomDestinationSettings",
    "FolderDestinationSettings",
    "Notice",
    "Parcel",
    "RetrySettings",
    "SharingDestination",
    "StowDestinationSettings",
    "TlsFiles",
]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One verified object on its way to one destination. Nothing in it identifies anybody.

    Attributes
    ----------
    object_id
        Opaque and keyed.
    project
        Opaque id.
    facts
        Of the first stage: all UIDs are surrogates.
    size
        Bytes.
    sha256
        Hex; of the verdict, and so of exactly the bytes that :meth:`open` gives.
    path
        Surrogate path, ``subject/study/series/0001.dcm``; no other object of this state has it.
    source
        What :meth:`open` calls.
    manifest_line
        Canonical JSON of the signed manifest entry, without a line end.
    supersedes
        Surrogate SOP Instance UID under which an earlier version of the object was released, which this one is to
        replace; empty: none.
    attempt
        1 for the first try at this destination. Later ones may meet what an earlier one has left there.
    trace
        ``traceparent`` of the object's road; empty: none.
    """

    object_id: str
    project: str
    facts: ObjectFacts
    size: int
    sha256: str
    path: str
    source: Callable[[], Iterator[bytes]] = field(repr=False)
    manifest_line: bytes = field(default=b"", repr=False)
    supersedes: str = ""
    attempt: int = 1
    trace: str = ""

    def open(self) -> Iterator[bytes]:
        """Read the bytes in pieces of at most 1 MiB; may be called again. Close the iterator if you leave it early.

        Raises
        ------
        TarnhelmError
            While iterating: BLB-… where the store fails, GTW-003 where these are no longer the bytes of the verdict;
            the last piece is not handed out then.
        """
        return self.source()


@dataclass(frozen=True, slots=True)
class Notice:
    """What a destination is told when somebody withdrew: delete these. Surrogates only.

    Attributes
    ----------
    name
        Opaque, the same for the same order: file names and record keys are made of it.
    patient_ids, studies
        Surrogates of the order; everything under them goes.
    paths
        Surrogate paths that were released, as in :class:`Parcel`.
    contents
        Path → sha256 (hex) of each version that was released under it.
    document
        Canonical JSON, signed with the manifest's key: ``docs/reference/manifest.md`` describes it.
    """

    name: str
    project: str
    patient_ids: tuple[str, ...]
    studies: tuple[str, ...]
    paths: tuple[str, ...] = ()
    contents: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    document: bytes = field(default=b"", repr=False)


class Destination(Protocol):
    """Somewhere that released objects go; safe among threads.

    The disposition of what :meth:`deliver` and :meth:`withdraw` raise decides: RETRY comes again without limit, any
    other holds the delivery until an operator looks at it.
    """

    @property
    def name(self) -> str:
        """Its name in the configuration: letters, digits and hyphens."""
        ...

    def deliver(self, parcel: Parcel) -> None:
        """Hand one object over; returns when the destination has it durably, as far as its protocol can say.

        Raises
        ------
        TarnhelmError
            DLV-…, BLB-…, BRK-….
        """
        ...

    def withdraw(self, notice: Notice) -> None:
        """Tell the destination what to delete; telling it again does nothing new.

        Raises
        ------
        TarnhelmError
            As for :meth:`deliver`.
        """
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


@runtime_checkable
class SharingDestination(Destination, Protocol):
    """A destination that finishes several objects for little more than one, because they share its syncs."""

    def deliver_all(self, parcels: Iterable[Parcel]) -> Sequence[TarnhelmError | None]:
        """Hand several objects over; returns, for each in order, what :meth:`deliver` would have raised.

        The next parcel is asked for when the bytes of the one before it have been read.
        """
        ...


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """When a delivery that failed comes again: exponentially later, with jitter, up to a cap; for ever.

    Attributes
    ----------
    first_seconds
        Before the second try.
    most_seconds
        Never wait longer than this.
    factor
        How much longer each wait is than the one before.
    doubtful_attempts
        So often is an object tried that the peer answers with a failure of its own; then it is held, so that one
        object that a peer cannot take does not come for ever.
    breaker_failures
        After so many failures in a row that are the peer's, nothing is sent to it for a while.
    """

    first_seconds: float = 1.0
    most_seconds: float = 300.0
    factor: float = 2.0
    doubtful_attempts: int = 8
    breaker_failures: int = 3


@dataclass(frozen=True, slots=True)
class DestinationRules:
    """What goes to a destination.

    Attributes
    ----------
    projects
        Opaque ids; empty: of every project.
    sop_classes
        SOP Class UIDs; empty: all.
    modalities
        Values of Modality (0008,0060); empty: all.
    required
        An object is released when all required destinations have it. One that is not required is tried as long as the
        object's bytes are kept.
    workers
        How many objects are on their way to it at the same time, in each process.
    """

    projects: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    required: bool = True
    workers: int = 1
    retry: RetrySettings = field(default_factory=RetrySettings)

    def wants(self, project: str, facts: ObjectFacts) -> bool:
        """Whether an object goes there."""
        return (
            (not self.projects or project in self.projects)
            and (not self.sop_classes or facts.sop_class_uid in self.sop_classes)
            and (not self.modalities or facts.modality in self.modalities)
        )


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files of a TLS client, PEM.

    Attributes
    ----------
    ca_file
        Who signs the peer; None: the system's list.
    certificate_file, key_file
        Our own, for mutual TLS; both or neither.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class FolderDestinationSettings:
    """A folder that objects are released into.

    Attributes
    ----------
    folder
        Made if it is missing. Objects get their surrogate paths below it, withdrawal notices go to ``withdrawn`` in
        it, and ``.incoming`` holds what is being written.
    delete_withdrawn
        Also delete our own copies of what was withdrawn.
    """

    folder: Path
    delete_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class DicomDestinationSettings:
    """A DICOM peer that objects are sent to by C-STORE.

    Attributes
    ----------
    called_aet, calling_aet
        The peer's AE title and ours; 1 to 16 characters.
    scratch
        Folder (0700, best in memory) for the object that is being sent; as many files as ``DestinationRules.workers``.
    notices
        Folder for withdrawal notices: C-STORE cannot carry one, so a person or a script brings it to the peer.
    tls
        None: without, which is refused off this machine unless ``plaintext_allowed``.
    connect_timeout_seconds, response_timeout_seconds, network_timeout_seconds
        To connect and associate; for a response (DIMSE); for a silent connection.
    idle_seconds
        An association that carried nothing for so long is released.
    most_objects
        After so many objects an association is made anew.
    max_pdu_bytes
        Largest PDU that we take; the peer's own bound holds for what we send.
    max_object_bytes
        A larger object is held: the library keeps an object that is being sent in memory.
    """

    host: str
    port: int
    called_aet: str
    scratch: Path
    notices: Path
    calling_aet: str = "TARNHELM"
    tls: TlsFiles | None = None
    plaintext_allowed: bool = False
    connect_timeout_seconds: float = 15.0
    response_timeout_seconds: float = 120.0
    network_timeout_seconds: float = 120.0
    idle_seconds: float = 10.0
    most_objects: int = 1000
    max_pdu_bytes: int = 131_072
    max_object_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class StowDestinationSettings:
    """A DICOMweb server that objects are stored on by STOW-RS.

    Attributes
    ----------
    url
        Of the Store transaction: ``https://pacs.example/dicom-web/studies``.
    notices
        Folder for withdrawal notices: STOW-RS cannot carry one.
    tls
        Authority and client certificate; None: the system's list of authorities.
    bearer_token_file
        Holds an access token, read anew for each request; None: none is sent.
    plaintext_allowed
        Take ``http://`` off this machine too: something else encrypts on the way.
    connect_timeout_seconds, response_timeout_seconds
        To connect; for each silence while the peer takes or answers.
    """

    url: str
    notices: Path
    tls: TlsFiles | None = None
    bearer_token_file: Path | None = None
    plaintext_allowed: bool = False
    connect_timeout_seconds: float = 15.0
    response_timeout_seconds: float = 120.0
