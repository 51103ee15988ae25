"""Projects: what must stay the same for as long as a study runs, pinned in a file.

A project's file holds settings and digests, no key and no identifier of a patient. It lies in the private
state directory all the same, beside the keys.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import (
    BAD_LABEL,
    BAD_PIN,
    PINS_DIFFER,
    PROJECT_DAMAGED,
    PROJECT_DESTROYED,
    PROJECT_EXISTS,
    PROJECT_UNKNOWN,
    TarnhelmError,
)
from tarnhelm.linkage.core.derive import DEFAULT_PLACEHOLDERS, DERIVATION_VERSION, is_uid_root
from tarnhelm.linkage.core.private_files import locked, private_directory, read_private, write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Project", "ProjectSettings", "ProjectStore", "RunPins", "differences", "state_directory"]

_FORMAT: Final = 1
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{0,15}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunPins:
    """What a run works with; the first run of a project pins it.

    Attributes
    ----------
    recipe_digest
        sha256 (hex) of the canonical recipe.
    profiles
        Names of the PS3.15 profiles; their order does not count.
    standard_edition
        Edition of PS3.15, for example ``2026d``.
    surrogate_version
        Of the frozen word tables and the algorithms that choose from them.
    model_weights
        Model → sha256 (hex). A model that the project has not pinned yet is added to the pins.
    """

    recipe_digest: str
    profiles: tuple[str, ...] = ()
    standard_edition: str = ""
    surrogate_version: int = 1
    model_weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """What is chosen when a project is made, and never changed.

    Attributes
    ----------
    prefix
        Begins every Patient ID: 1 to 16 capitals, digits and hyphens. Empty: made of the label.
    uid_root
        The site's own UID root of at most 34 characters. Empty: ``2.25``.
    whole_weeks
        Dates move by whole weeks, so that weekdays stay.
    placeholders
        Patient IDs that name nobody.
    default_issuer
        Stands in for an empty Issuer of Patient ID, so that objects with and without one are one patient's.
    custodian_public_key
        X25519, 32 bytes. Empty: the way back can be read by whoever holds the private state directory.
    """

    prefix: str = ""
    uid_root: str = ""
    whole_weeks: bool = False
    placeholders: tuple[str, ...] = DEFAULT_PLACEHOLDERS
    default_issuer: str = ""
    custodian_public_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Project:
    """A project's pins.

    Attributes
    ----------
    label
        What people call it; enters the derivation. Must not name a person.
    id
        Opaque, 32 hex digits: names files, keys and the vault's entries.
    epoch
        Names the root key; a new derivation is a new epoch.
    derivation_version
        Version of the derivation rules; one that this software does not know is refused.
    revision
        Rises with ``project upgrade``; the manifest names it.
    pins
        Nothing until the first run.
    created
        ISO 8601, UTC.
    """

    label: str
    id: str
    created: str
    settings: ProjectSettings
    epoch: int = 1
    derivation_version: int = DERIVATION_VERSION
    revision: int = 1
    pins: RunPins | None = None
    anonymous: bool = False
    destroyed: bool = False

    @property
    def prefix(self) -> str:
        """What Patient IDs begin with."""
        return self.settings.prefix

    @property
    def issuer(self) -> str:
        """Issuer of Patient ID for coded objects (0010,0021): names the project, at most 64 characters."""
        return f"TARNHELM.{self.label}"


def state_directory(environ: Mapping[str, str], home: Path) -> Path:
    """``TARNHELM_STATE``, else ``$XDG_STATE_HOME/tarnhelm``, else ``~/.local/state/tarnhelm``.

    A relative XDG_STATE_HOME is passed over, as the XDG Base Directory Specification wants.
    """
    if chosen := environ.get("TARNHELM_STATE"):
        return Path(chosen).absolute()
    base = environ.get("XDG_STATE_HOME", "")
    if base and Path(base).is_absolute():
        return Path(base) / "tarnhelm"
    return home / ".local" / "state" / "tarnhelm"


def differences(pins: RunPins, wanted: RunPins) -> tuple[str, ...]:
    """Names of the pins in which a run differs from its project."""
    found = [
        name
        for name in ("recipe_digest", "standard_edition", "surrogate_version")
        if getattr(pins, name) != getattr(wanted, name)
    ]
    if sorted(pins.profiles) != sorted(wanted.profiles):
        found.append("profiles")
    both = pins.model_weights.keys() & wanted.model_weights.keys()
    found += [
        f"model_weights.{name}" for name in sorted(both) if pins.model_weights[name] != wanted.model_weights[name]
    ]
    return tuple(found)


class ProjectStore:
    """The projects of one state directory.

    Parameters
    ----------
    state_directory
        Made with mode 0700 if missing; refused (LNK-011) if others can enter it.
    clock
        Gives the time, in UTC.
    token
        Gives n random bytes as hex.
    """

    def __init__(
        self,
        state_directory: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._folder = private_directory(private_directory(state_directory) / "projects")
        self._clock = clock
        self._token = token

    def create(
        self,
        label: str,
        settings: ProjectSettings | None = None,
        *,
        anonymous: bool = False,
        before: Callable[[Project], None] | None = None,
    ) -> Project:
        """Make a project; ``before`` runs ahead of its file (there the vault makes the key).

        Raises
        ------
        TarnhelmError
            LNK-002 where the label (in any case of letters) is taken, LNK-004 or LNK-005 where it or a
            setting is not valid.
        """
        if not _LABEL.fullmatch(label):
            raise TarnhelmError(BAD_LABEL)
        chosen = _checked(label, settings or ProjectSettings())
        created = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        project = Project(label, self._token(16), created, chosen, anonymous=anonymous)
        with locked(self._folder):
            if any(other.label.casefold() == label.casefold() for other in self._all()):
                raise TarnhelmError(PROJECT_EXISTS)
            if before is not None:
                before(project)
            self._write(project)
        return project

    def create_anonymous(
        self, settings: ProjectSettings | None = None, *, before: Callable[[Project], None] | None = None
    ) -> Project:
        """Give a project for one run that named none; its label is made of the day and random digits."""
        label = f"run-{self._clock().astimezone(UTC):%Y%m%d}-{self._token(6)}"
        chosen = settings or ProjectSettings()
        if not chosen.prefix:
            chosen = replace(chosen, prefix="TH-")
        return self.create(label, chosen, anonymous=True, before=before)

    def get(self, label: str) -> Project:
        """Give the project of a label or of an opaque id; LNK-001 for an unknown one, LNK-009 for a destroyed one."""
        for project in self._all():
            if label in {project.label, project.id}:
                if project.destroyed:
                    raise TarnhelmError(PROJECT_DESTROYED)
                return project
        raise TarnhelmError(PROJECT_UNKNOWN)

    def list(self) -> tuple[Project, ...]:
        """All projects by label, destroyed ones too."""
        return tuple(sorted(self._all(), key=lambda project: project.label))

    def pin(self, label: str, wanted: RunPins) -> Project:
        """Pin what the first run works with; later, refuse a run that wants otherwise.

        Raises
        ------
        TarnhelmError
            LNK-003 where a pin differs (:func:`differences` names which), LNK-005 where a digest is none.
        """
        digests = [wanted.recipe_digest, *wanted.model_weights.values()]
        if not all(_DIGEST.fullmatch(digest) for digest in digests):
            raise TarnhelmError(BAD_PIN)
        with locked(self._folder):
            project = self.get(label)
            if project.pins is None:
                pinned = replace(
                    wanted, profiles=tuple(sorted(wanted.profiles)), model_weights=dict(wanted.model_weights)
                )
            else:
                found = differences(project.pins, wanted)
                if found:
                    raise TarnhelmError(PINS_DIFFER, count=len(found))
                pinned = replace(project.pins, model_weights={**wanted.model_weights, **project.pins.model_weights})
            if pinned != project.pins:
                project = replace(project, pins=pinned)
                self._write(project)
            return project

    def mark_destroyed(self, label: str) -> Project:
        """Record that the keys are gone; the label stays taken."""
        with locked(self._folder):
            for project in self._all():
                if label in {project.label, project.id}:
                    gone = replace(project, destroyed=True)
                    self._write(gone)
                    return gone
        raise TarnhelmError(PROJECT_UNKNOWN)

    def _write(self, project: Project) -> None:
        document = {"format": _FORMAT, **asdict(project)}
        document["settings"]["custodian_public_key"] = project.settings.custodian_public_key.hex()
        text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
        write_private(self._folder / f"{project.id}.json", text.encode() + b"\n", replace=True)

    def _all(self) -> Iterator[Project]:
        for path in sorted(self._folder.glob("*.json")):
            content = read_private(path)
            if content is not None:
                yield _parsed(content)


def _checked(label: str, settings: ProjectSettings) -> ProjectSettings:
    """Give settings with the prefix filled in, each one valid."""
    prefix = settings.prefix or _prefix_of(label)
    key = settings.custodian_public_key
    if not _PREFIX.fullmatch(prefix) or len(key) not in {0, 32}:
        raise TarnhelmError(BAD_PIN)
    if settings.uid_root and not is_uid_root(settings.uid_root):
        raise TarnhelmError(BAD_PIN)
    return replace(settings, prefix=prefix)


def _prefix_of(label: str) -> str:
    letters = "".join(character for character in label.upper() if character.isalnum())
    return f"{letters[:8]}-"


def _parsed(content: bytes) -> Project:
    try:
        document: dict[str, Any] = json.loads(content)
        if document.pop("format") != _FORMAT or document["derivation_version"] != DERIVATION_VERSION:
            raise TarnhelmError(PROJECT_DAMAGED)
        settings = document.pop("settings")
        settings["custodian_public_key"] = bytes.fromhex(settings["custodian_public_key"])
        settings["placeholders"] = tuple(settings["placeholders"])
        pins = document.pop("pins")
        if pins is not None:
            pins = RunPins(**{**pins, "profiles": tuple(pins["profiles"])})
        known = {entry.name for entry in fields(Project)}
        if not document.keys() <= known:
            raise TarnhelmError(PROJECT_DAMAGED)
        return Project(settings=_checked(document["label"], ProjectSettings(**settings)), pins=pins, **document)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TarnhelmError(PROJECT_DAMAGED) from None
