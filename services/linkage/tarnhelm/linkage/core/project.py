"""A project's pins: what must stay the same for as long as a study runs, and how it is written down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from tarnhelm.common.errors import BAD_LABEL, BAD_PIN, PROJECT_DAMAGED, TarnhelmError
from tarnhelm.linkage.core.derive import DEFAULT_PLACEHOLDERS, DERIVATION_VERSION, is_uid_root

__all__ = ["Project", "ProjectSettings", "RunPins", "checked", "checked_pins", "differences", "dumped", "parsed"]

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
    site_digest
        sha256 (hex) of what the site adds to the cleaning of texts; empty where it adds nothing.
    """

    recipe_digest: str
    profiles: tuple[str, ...] = ()
    standard_edition: str = ""
    surrogate_version: int = 1
    model_weights: Mapping[str, str] = field(default_factory=dict)
    site_digest: str = ""


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
    site
        What the site adds to the cleaning of texts: a document that the cleaner wrote and reads again.
    record_uids
        The way back of every object's UIDs is kept too, so that a mapping names them: one sealed record more for each
        object.
    """

    prefix: str = ""
    uid_root: str = ""
    whole_weeks: bool = False
    placeholders: tuple[str, ...] = DEFAULT_PLACEHOLDERS
    default_issuer: str = ""
    custodian_public_key: bytes = b""
    site: str = ""
    record_uids: bool = False


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
    earlier_pins
        Of revision 1, 2 and so on, up to the one before this.
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
    earlier_pins: tuple[RunPins, ...] = ()
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


def differences(pins: RunPins, wanted: RunPins) -> tuple[str, ...]:
    """Names of the pins in which a run differs from its project."""
    found = [
        name
        for name in ("recipe_digest", "standard_edition", "surrogate_version", "site_digest")
        if getattr(pins, name) != getattr(wanted, name)
    ]
    if sorted(pins.profiles) != sorted(wanted.profiles):
        found.append("profiles")
    both = pins.model_weights.keys() & wanted.model_weights.keys()
    found += [
        f"model_weights.{name}" for name in sorted(both) if pins.model_weights[name] != wanted.model_weights[name]
    ]
    return tuple(found)


def checked(label: str, settings: ProjectSettings) -> ProjectSettings:
    """Give settings with the prefix filled in, each one valid; LNK-004, LNK-005."""
    if not _LABEL.fullmatch(label):
        raise TarnhelmError(BAD_LABEL)
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


def checked_pins(wanted: RunPins) -> RunPins:
    """Give pins in the form in which they are kept; LNK-005 where a digest is none."""
    digests = [wanted.recipe_digest, *wanted.model_weights.values(), *filter(None, [wanted.site_digest])]
    if not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise TarnhelmError(BAD_PIN)
    return replace(wanted, profiles=tuple(sorted(wanted.profiles)), model_weights=dict(wanted.model_weights))


def dumped(project: Project) -> bytes:
    """Give the document of a project, JSON in UTF-8."""
    document = {"format": _FORMAT, **asdict(project)}
    document["settings"]["custodian_public_key"] = project.settings.custodian_public_key.hex()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def parsed(content: bytes) -> Project:
    """Give the project of a document; LNK-013 where it is none, or a newer version wrote it."""
    try:
        return _project(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, TarnhelmError):
        raise TarnhelmError(PROJECT_DAMAGED) from None


def _project(document: dict[str, Any]) -> Project:
    if document.pop("format") != _FORMAT or document["derivation_version"] != DERIVATION_VERSION:
        raise TarnhelmError(PROJECT_DAMAGED)
    settings = document.pop("settings")
    settings["custodian_public_key"] = bytes.fromhex(settings["custodian_public_key"])
    settings["placeholders"] = tuple(settings["placeholders"])
    pins = document.pop("pins")
    pinned = None if pins is None else _pins(pins)
    earlier = tuple(map(_pins, document.pop("earlier_pins", ())))
    chosen = checked(document["label"], ProjectSettings(**settings))
    # A name that this version does not know is not a field, and raises.
    return Project(settings=chosen, pins=pinned, earlier_pins=earlier, **document)


def _pins(document: dict[str, Any]) -> RunPins:
    return RunPins(**{**document, "profiles": tuple(document["profiles"])})
