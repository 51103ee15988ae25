"""What runs where on one machine: the configuration with every gap filled, and the processes that follow from it."""

from __future__ import annotations

import dataclasses
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.cli.up.keys import public_of
from tarnhelm.cli.up.supervisor import Child
from tarnhelm.common.serve import ServerSettings
from tarnhelm.gateway.admin.settings import AdminCaller, AdminSettings, Role
from tarnhelm.gateway.config.model import GatewayConfig
from tarnhelm.gateway.config.sections import (
    DestinationSection,
    DoorSection,
    ProjectSection,
    WebSection,
)
from tarnhelm.gateway.deliveries.settings import ReleaseSettings
from tarnhelm.gateway.destinations.base import FolderDestinationSettings
from tarnhelm.gateway.doors.dicom_settings import DicomDoorSettings, DicomTitle
from tarnhelm.gateway.doors.folder_settings import FolderDoorSettings
from tarnhelm.gateway.doors.ingest_settings import IngestDoorSettings
from tarnhelm.gateway.doors.stow_settings import StowDoorSettings, StowRoute
from tarnhelm.gateway.stages.remote_channel import RemoteSettings
from tarnhelm.gateway.web.settings import AdminAddress, WebSettings

if TYPE_CHECKING:
    from tarnhelm.cli.up.keys import KeyFiles

__all__ = ["Rooms", "children_of", "default_config", "filled"]

_ROLES: Final = ("metadata", "witness", "release", "housekeeping", "doors")
_SERVICES, _PUMPS, _DOORS = 0, 1, 2
"""Order of starting: who is called starts before who calls."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """Folders of one start.

    Attributes
    ----------
    sockets
        Private and with a short path: the name of a socket has 107 bytes at most.
    scratch
        Private, best in memory: services spool objects there.
    """

    sockets: Path
    scratch: Path

    def socket(self, service: str) -> str:
        """Address of a service."""
        return f"unix:{self.sockets / service}.sock"


def default_config(state_dir: Path, data: Path, project: str) -> GatewayConfig:
    """Make the configuration of a machine that has none: all doors on this machine, one folder in, one folder out."""
    return GatewayConfig(
        state_dir=state_dir,
        projects={project: ProjectSection()},
        doors=DoorSection(
            dicom=(DicomDoorSettings(titles={"TARNHELM": DicomTitle(project)}),),
            stow=(StowDoorSettings(routes=(StowRoute("/dicom-web", project),)),),
            folder=(FolderDoorSettings(folder=data / "in", project=project),),
            ingest=(IngestDoorSettings(project=project),),
        ),
        destinations={"folder": DestinationSection(folder=FolderDestinationSettings(data / "out"))},
    )


def filled(config: GatewayConfig, rooms: Rooms, keys: KeyFiles, *, web: bool) -> GatewayConfig:
    """Fill the gaps: services that are not named are ours, and the page stands where nothing is said of it."""
    services = config.services
    section = config.web
    if not web:
        section = WebSection()
    elif section.admin is None:
        section = _web(config, section)
    return dataclasses.replace(
        config,
        services=dataclasses.replace(
            services,
            metadata=services.metadata or RemoteSettings(rooms.socket("metadata")),
            witness=services.witness or RemoteSettings(rooms.socket("witness")),
            assign=services.assign or RemoteSettings(rooms.socket("assign")),
        ),
        keys=dataclasses.replace(
            config.keys,
            folder=keys.folder,
            witness_public_files=config.keys.witness_public_files or (public_of(keys.witness),),
        ),
        release=config.release or ReleaseSettings(config.state_dir / "manifest"),
        web=section,
        doors=_with_opening_keys(config.doors, keys),
    )


def _with_opening_keys(doors: DoorSection, keys: KeyFiles) -> DoorSection:
    """Let the ingest doors open what was sealed to this gateway."""
    ingest = tuple(
        door if door.opening_key_files else dataclasses.replace(door, opening_key_files=(keys.seal,))
        for door in doors.ingest
    )
    return dataclasses.replace(doors, ingest=ingest)


def _web(config: GatewayConfig, section: WebSection) -> WebSection:
    """Put the administration on this machine, and the page in front of it; each caller has a token of its own."""
    page_token = _token(config.state_dir / "keys" / "admin-page.token")
    local_token = _token(config.state_dir / "keys" / "admin.token")
    admin = AdminSettings(
        server=ServerSettings(listen="127.0.0.1:50060"),
        callers=(
            AdminCaller("page", Role.ADMIN, token_file=page_token, speaks_for_people=True),
            AdminCaller("local", Role.ADMIN, token_file=local_token),
        ),
    )
    page = section.page or WebSettings(accounts_file=config.state_dir / "accounts.sqlite")
    page = dataclasses.replace(page, admin=AdminAddress(admin.server.listen, token_file=page_token))
    return WebSection(page, admin)


def _token(path: Path) -> Path:
    """Make a token's file where it is missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(fd, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(32))
    return path


def children_of(
    config: GatewayConfig, given: GatewayConfig, effective: Path, rooms: Rooms, keys: KeyFiles, linkage_state: Path
) -> list[Child]:
    """List the processes of a machine.

    Parameters
    ----------
    config, given
        Filled, and as the user wrote it: a service that he named is his.
    effective
        File of ``config``.
    linkage_state
        Where this machine's projects and their keys are.
    """
    services, asked = config.services, given.services
    cores = max(1, (os.cpu_count() or 2) // 2)
    children: list[Child] = []
    if asked.metadata is None and services.metadata is not None and services.assign is not None:
        children.append(
            _child(
                "metadata-service",
                "tarnhelm.metadata.server",
                *("--listen", services.metadata.target, "--workers", str(services.metadata_workers or cores)),
                *("--scratch", str(_made(rooms.scratch / "metadata"))),
                *_assign(services.assign),
                order=_SERVICES,
            )
        )
        if asked.assign is None:
            children.append(
                _child(
                    "assign",
                    "tarnhelm.linkage.server",
                    *("--listen", services.assign.target, "--state", str(linkage_state)),
                    *("--ticket-key-file", str(public_of(keys.ticket))),
                    order=_SERVICES,
                )
            )
    if asked.witness is None and services.witness is not None:
        children.append(
            _child(
                "witness-service",
                "tarnhelm.witness.server",
                *("--listen", services.witness.target, "--workers", str(services.witness_workers or cores)),
                *("--scratch", str(_made(rooms.scratch / "witness")), "--signing-key-file", str(keys.witness)),
                order=_SERVICES,
            )
        )
    roles = [*_ROLES, *(["admin"] if config.web.admin else []), *(["web"] if config.web.page else [])]
    for role in roles:
        order = _DOORS if role in {"doors", "web"} else _PUMPS
        children.append(_child(role, "tarnhelm.gateway", role, "--config", str(effective), order=order))
    return _with_metrics(children, config.metrics_listen)


def _with_metrics(children: list[Child], listen: str) -> list[Child]:
    """Let each process tell its metrics at a port of its own, from the one that is configured on."""
    if not listen:
        return children
    host, _, port = listen.rpartition(":")
    return [
        dataclasses.replace(child, arguments=(*child.arguments, "--metrics-listen", f"{host}:{int(port) + number}"))
        for number, child in enumerate(children)
    ]


def _assign(settings: RemoteSettings) -> list[str]:
    given = ["--assign", settings.target]
    files = (
        ("--assign-ca-file", settings.ca_file),
        ("--assign-certificate-file", settings.certificate_file),
        ("--assign-key-file", settings.key_file),
    )
    for name, path in files:
        if path is not None:
            given += [name, str(path)]
    return given


def _child(name: str, module: str, *arguments: str, order: int) -> Child:
    return Child(name, (sys.executable, "-m", module, *arguments), order)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
