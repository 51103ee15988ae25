"""The sections of the configuration, each with what it is without a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tarnhelm.gateway.admin.settings import AdminSettings
from tarnhelm.gateway.blobs.s3_place import S3Place
from tarnhelm.gateway.broker.kafka.settings import KafkaSettings
from tarnhelm.gateway.destinations.base import (
    DestinationRules,
    DicomDestinationSettings,
    FolderDestinationSettings,
    StowDestinationSettings,
)
from tarnhelm.gateway.destinations.topic_settings import TopicDestinationSettings
from tarnhelm.gateway.doors.dicom_settings import DicomDoorSettings
from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings
from tarnhelm.gateway.stages.remote_channel import RemoteSettings
from tarnhelm.gateway.stream.admission import OnUpdate
from tarnhelm.gateway.stream.room import RoomSettings
from tarnhelm.gateway.web.settings import WebSettings

__all__ = [
    "BlobSection",
    "BrokerSection",
    "DestinationSection",
    "DoorSection",
    "KeySection",
    "ProjectSection",
    "ServiceSection",
    "StateSection",
    "WebSection",
]


@dataclass(frozen=True, slots=True)
class ProjectSection:
    """What is done with the objects of a project.

    Attributes
    ----------
    id
        Opaque id, as ``tarnhelm project show`` tells it; `tarnhelm up` looks it up by the label.
    recipe_file
        A recipe; without it and without profiles the default recipe.
    profiles
        Names of PS3.15 profiles and options; basicProfile is implied.
    variables
        Values of the recipe's ``var:`` names.
    site_file
        Record numbers and words of the site, where this machine does not hold the project itself; else the project's.
    accept_unchecked_pixels
        The site's express decision that pixels which may show text or a face go out unchecked; every manifest line says
        so.
    on_update
        What is done with another content under a SOP Instance UID that is here already.
    """

    id: str = ""
    recipe_file: Path | None = None
    profiles: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    site_file: Path | None = None
    accept_unchecked_pixels: bool = False
    on_update: OnUpdate = OnUpdate.SUPERSEDE


@dataclass(frozen=True, slots=True)
class BrokerSection:
    """Where records wait: Apache Kafka, or the embedded broker in a folder of this machine.

    Attributes
    ----------
    folder
        Of the embedded broker; None: ``broker`` below the state directory.
    kafka
        With it the folder is not used.
    partitions
        Of each topic that `tarnhelm topics ensure` or `tarnhelm up` makes.
    """

    folder: Path | None = None
    kafka: KafkaSettings | None = None
    partitions: int = 6


@dataclass(frozen=True, slots=True)
class BlobSection:
    """Where bytes are kept: S3, or a folder that all processes share.

    Attributes
    ----------
    folder
        None: ``blobs`` below the state directory.
    s3
        With it the folder is not used.
    """

    folder: Path | None = None
    s3: S3Place | None = None


@dataclass(frozen=True, slots=True)
class StateSection:
    """Where states are kept: PostgreSQL, or a SQLite file of this machine.

    Attributes
    ----------
    file
        None: ``state.sqlite`` below the state directory.
    postgres_file
        A private file that holds the address of the database (it may hold a password); with it ``file`` is not used.
    connections
        To PostgreSQL, of each process.
    """

    file: Path | None = None
    postgres_file: Path | None = None
    connections: int = 8


@dataclass(frozen=True, slots=True)
class KeySection:
    """Where keys lie: one folder, as a mounted secret is one.

    Attributes
    ----------
    folder
        ``gateway.key``, ``ticket.pem``, ``manifest.pem``, ``seal.pem`` and ``blobs/NUMBER.key``; None: ``keys`` below
        the state directory, where `tarnhelm up` makes them.
    witness_public_files
        PEM, public keys of the witness; None of them: ``witness.pub.pem`` in the folder.
    """

    folder: Path | None = None
    witness_public_files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceSection:
    """Where the services answer; what is not said is started by `tarnhelm up` on this machine.

    Attributes
    ----------
    metadata, witness
        The stage and the judge that every object meets.
    assign
        Where the metadata service that `tarnhelm up` starts asks for surrogates: of this section it alone uses it.
    metadata_workers, witness_workers
        Processes that parse, of the services that `tarnhelm up` starts; 0: half of the cores.
    """

    metadata: RemoteSettings | None = None
    witness: RemoteSettings | None = None
    assign: RemoteSettings | None = None
    metadata_workers: int = 0
    witness_workers: int = 0


@dataclass(frozen=True, slots=True)
class DoorSection:
    """How objects come in."""

    dicom: tuple[DicomDoorSettings, ...] = ()
    stow: tuple[StowDoorSettings, ...] = ()
    folder: tuple[FolderDoorSettings, ...] = ()
    ingest: tuple[IngestDoorSettings, ...] = ()
    room: RoomSettings = field(default_factory=RoomSettings)


@dataclass(frozen=True, slots=True)
class DestinationSection:
    """Where released objects go; exactly one of the four kinds.

    Attributes
    ----------
    rules
        Which objects go there, and whether their release waits for it.
    """

    folder: FolderDestinationSettings | None = None
    dicom: DicomDestinationSettings | None = None
    stow: StowDestinationSettings | None = None
    topic: TopicDestinationSettings | None = None
    rules: DestinationRules = field(default_factory=DestinationRules)

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.folder, self.dicom, self.stow, self.topic)) != 1:
            raise ValueError("a destination is one of folder, dicom, stow and topic")


@dataclass(frozen=True, slots=True)
class WebSection:
    """The page for operators and the administration behind it.

    Attributes
    ----------
    page
        None: no page.
    admin
        None: no administration, and so no page and no `tarnhelm watch`.
    """

    page: WebSettings | None = None
    admin: AdminSettings | None = None
