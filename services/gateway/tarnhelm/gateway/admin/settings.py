"""How the admin service is run: where it listens, who may call it, when something is worth an alarm."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from tarnhelm.common.serve import ServerSettings

__all__ = ["SERVICE", "AdminAddress", "AdminCaller", "AdminSettings", "AlarmSettings", "Role"]

SERVICE: Final = "tarnhelm.v1.AdminService"


class Role(StrEnum):
    """What somebody may do; each may what those before it may."""

    VIEWER = "viewer"
    """See status, objects, decisions and releases."""
    REVIEWER = "reviewer"
    """Look at cleaned headers, retry, reject, propose and confirm."""
    ADMIN = "admin"
    """See the settings and keep the accounts of the web page."""

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what ``other`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True)
class AdminCaller:
    """Somebody, or some program, that may call.

    Attributes
    ----------
    name
        Stands beside decisions: 2 to 32 lower-case letters, digits, points or hyphens.
    role
        The most it may do.
    certificate_names
        Subject alternative names (DNS or URI): a certificate that holds one of them is this caller's.
    token_file
        A file with a token of 32 characters or more, for callers on the same machine.
    speaks_for_people
        It names the person with each call, as the web page does. Otherwise the caller itself is the person, so that
        two callers are two people: give no two certificates or tokens to one person.
    """

    name: str
    role: Role = Role.VIEWER
    certificate_names: tuple[str, ...] = ()
    token_file: Path | None = None
    speaks_for_people: bool = False


@dataclass(frozen=True, slots=True)
class AdminAddress:
    """Where the admin service is and as whom it is called.

    Attributes
    ----------
    target
        ``host:port``.
    ca_file, certificate_file, key_file
        PEM: whose certificate the service must have, and our own.
    server_name
        Name in the service's certificate, where it is not the host of the target.
    token_file
        Instead of a certificate, on the same machine only.
    """

    target: str = "127.0.0.1:50060"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """From when on the status says that something is wrong.

    Attributes
    ----------
    age_seconds
        Age of the oldest object that is neither finished nor in quarantine.
    lag_records
        Records of a topic that nobody has taken.
    quarantine_share
        Part of the finished objects that is in quarantine, 0 to 1; asked from 100 finished objects on.
    silence_seconds
        How long a part may say nothing of itself.
    forget_seconds
        After this time a part that says nothing more is taken for gone on purpose.
    """

    age_seconds: float = 900.0
    lag_records: int = 10_000
    quarantine_share: float = 0.2
    silence_seconds: float = 60.0
    forget_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Settings of the admin service.

    Attributes
    ----------
    server
        Address and certificates. Without a client authority callers need a token, and the address must be this
        machine's.
    callers
        Nobody else is answered.
    alarms
        See there.
    sample_seconds
        How often the state is measured.
    header_workers
        Processes that read cleaned headers; they start with the first header that somebody wants to see.
    scratch
        Folder for the part of a blob that such a worker reads.
    max_bulk_objects
        Most objects of one decision.
    """

    server: ServerSettings = field(default_factory=lambda: ServerSettings(listen="127.0.0.1:50060"))
    callers: tuple[AdminCaller, ...] = ()
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    sample_seconds: float = 5.0
    header_workers: int = 1
    scratch: Path = Path("/tmp")  # noqa: S108 - files there are made with mkstemp, 0600
    max_bulk_objects: int = 10_000
