"""Where released objects go: a folder, a DICOM peer, a STOW-RS server, the topic ``clean``."""

from __future__ import annotations

from tarnhelm.gateway.destinations.base import (
    Destination,
    DestinationRules,
    DicomDestinationSettings,
    FolderDestinationSettings,
    Notice,
    Parcel,
    RetrySettings,
    SharingDestination,
    StowDestinationSettings,
    TlsFiles,
)

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
