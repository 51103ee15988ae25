"""The configuration of a gateway as a whole, and what follows from it.

One file describes a deployment, and every process of it reads the same file. What is not said is the choice of one
machine: the embedded broker, folders and SQLite below ``state_dir``, services on this machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.config.sections import (
    BlobSection,
    BrokerSection,
    DestinationSection,
    DoorSection,
    KeySection,
    ProjectSection,
    ServiceSection,
    StateSection,
    WebSection,
)
from tarnhelm.gateway.deliveries.settings import ReleaseSettings
from tarnhelm.gateway.stream.housekeeping import HousekeepingSettings
from tarnhelm.gateway.withdrawals import WithdrawalSettings

__all__ = ["GatewayConfig", "with_ids"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """One deployment.

    Attributes
    ----------
    state_dir
        Private folder (0700) of this gateway: keys, and on one machine broker, blobs, state and logs too.
    projects
        Label → what is done with its objects. Doors and destinations name projects by these labels.
    broker, blobs, state, keys
        Where records, bytes, states and keys are kept.
    services
        Where stages and witness answer.
    doors
        How objects come in.
    destinations
        Name → where released objects go.
    release
        How they go there; None: manifest files in ``manifest`` below the state directory.
    withdrawals
        Where the stewards' withdrawal orders come from; None: none are carried out.
    housekeeping
        When bytes are shredded, and what is tried again how soon.
    web
        The page for operators, and the administration behind it.
    scratch
        Private folder for large objects on their way in; None: ``scratch`` below the state directory.
    metrics_listen
        ``host:port`` of the metrics of the first process; the others take the ports behind it. Empty: none are told.
    """

    state_dir: Path
    projects: Mapping[str, ProjectSection]
    broker: BrokerSection = field(default_factory=BrokerSection)
    blobs: BlobSection = field(default_factory=BlobSection)
    state: StateSection = field(default_factory=StateSection)
    keys: KeySection = field(default_factory=KeySection)
    services: ServiceSection = field(default_factory=ServiceSection)
    doors: DoorSection = field(default_factory=DoorSection)
    destinations: Mapping[str, DestinationSection] = field(default_factory=dict)
    release: ReleaseSettings | None = None
    withdrawals: WithdrawalSettings | None = None
    housekeeping: HousekeepingSettings = field(default_factory=HousekeepingSettings)
    web: WebSection = field(default_factory=WebSection)
    scratch: Path | None = None
    metrics_listen: str = ""

    def __post_init__(self) -> None:
        if not self.projects:
            raise ValueError("a gateway needs a project")

    @property
    def key_folder(self) -> Path:
        """Where the keys lie."""
        return self.keys.folder or self.state_dir / "keys"

    @property
    def scratch_folder(self) -> Path:
        """Where large objects lie on their way in."""
        return self.scratch or self.state_dir / "scratch"


#: Where settings name projects: a name, a list, the values or the keys of a mapping.
_NAMES: Final = ("project",)
_LISTS: Final = ("projects",)
_VALUES: Final = ("subfolders",)


def with_ids(config: GatewayConfig) -> GatewayConfig:
    """Put opaque ids where doors and destinations name projects by their labels.

    Raises
    ------
    TarnhelmError
        CFG-003 where a label is none of the configuration's, or a project's id is not known.
    """
    ids = {label: section.id for label, section in config.projects.items()}

    def id_of(label: str) -> str:
        found = ids.get(label) or (label if label in ids.values() else "")
        if not found:
            raise TarnhelmError(errors.CONFIG_REFERENCE)
        return found

    def named(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(named(one) for one in value)
        if isinstance(value, Mapping):
            return {key: named(one) for key, one in value.items()}
        if not dataclasses.is_dataclass(value) or isinstance(value, type):
            return value
        changes: dict[str, Any] = {}
        for one in dataclasses.fields(value):
            was = getattr(value, one.name)
            if one.name in _NAMES and isinstance(was, str):
                now: Any = id_of(was) if was else was
            elif one.name in _LISTS and isinstance(was, tuple):
                now = tuple(map(id_of, was))
            elif one.name in _VALUES and isinstance(was, Mapping):
                now = {key: id_of(label) for key, label in was.items()}
            else:
                now = named(was)
            if now is not was and now != was:
                changes[one.name] = now
        return dataclasses.replace(value, **changes) if changes else value

    return dataclasses.replace(
        config,
        doors=named(config.doors),
        destinations={name: named(section) for name, section in config.destinations.items()},
    )
