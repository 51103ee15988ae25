"""Projects: what must stay the same for as long as a study runs, pinned.

A project's document holds settings and digests, no key and no identifier of a patient. On one machine it lies
in the private state directory all the same, beside the keys.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tarnhelm.common.errors import (
    PINS_DIFFER,
    PROJECT_DAMAGED,
    PROJECT_DESTROYED,
    PROJECT_EXISTS,
    PROJECT_UNKNOWN,
    TarnhelmError,
)
from tarnhelm.linkage.core.private_files import locked, private_directory, read_private, write_private
from tarnhelm.linkage.core.project import (
    Project,
    ProjectSettings,
    RunPins,
    checked,
    checked_pins,
    differences,
    dumped,
    parsed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

__all__ = [
    "Project",
    "ProjectBook",
    "ProjectSettings",
    "ProjectStore",
    "Projects",
    "RunPins",
    "differences",
    "read_all",
    "state_directory",
]


class Projects(Protocol):
    """Where projects are kept. Every method raises TarnhelmError.

    LNK-001 for an unknown project, LNK-009 for a destroyed one, LNK-013 where a damaged document may be the one.
    """

    def create(
        self,
        label: str,
        settings: ProjectSettings | None = None,
        *,
        anonymous: bool = False,
        before: Callable[[Project], None] | None = None,
    ) -> Project:
        """Make a project; ``before`` runs ahead of its being there (there the vault makes the key).

        Raises LNK-002 where the label (in any case of letters) is taken, LNK-004 or LNK-005 where it or a
        setting is not valid.
        """
        ...

    def create_anonymous(
        self, settings: ProjectSettings | None = None, *, before: Callable[[Project], None] | None = None
    ) -> Project:
        """Give a project for one run that named none; its label is made of the day and random digits."""
        ...

    def get(self, label: str) -> Project:
        """Give the project of a label or of an opaque id."""
        ...

    def list(self) -> tuple[Project, ...]:
        """All projects by label, destroyed ones too; those of damaged documents are in :meth:`damaged`."""
        ...

    def damaged(self) -> tuple[str, ...]:
        """Opaque ids of the projects whose documents cannot be read; they hinder no other."""
        ...

    def pin(self, label: str, wanted: RunPins) -> Project:
        """Pin what the first run works with; later, refuse a run that wants otherwise.

        Raises LNK-003 where a pin differs (:func:`differences` names which), LNK-005 where a digest is none.
        """
        ...

    def upgrade(self, label: str, wanted: RunPins) -> Project:
        """Open a revision that works with other pins; without a difference nothing changes."""
        ...

    def open_epoch(self, label: str, *, before: Callable[[Project], None]) -> Project:
        """Open the next epoch: new surrogates for everybody; ``before`` makes its key.

        Broken off after ``before`` it can be called again, if ``before`` accepts a key that is there.
        """
        ...

    def mark_destroyed(self, label: str) -> Project:
        """Record that the keys are gone; the label stays taken."""
        ...


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


class ProjectBook(ABC):
    """Implements :class:`Projects` but for where documents lie.

    Parameters
    ----------
    clock
        Gives the time, in UTC.
    token
        Gives n random bytes as hex.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        self._clock = clock
        self._token = token

    @abstractmethod
    def _held(self) -> AbstractContextManager[None]:
        """Hold all projects against other writers."""

    @abstractmethod
    def _all(self) -> tuple[tuple[Project, ...], tuple[str, ...]]:
        """All projects, and the opaque ids of the documents that hold none."""

    @abstractmethod
    def _write(self, project: Project) -> None:
        """Put a project's document in the place of the one before, whole; all are held."""

    def create(
        self,
        label: str,
        settings: ProjectSettings | None = None,
        *,
        anonymous: bool = False,
        before: Callable[[Project], None] | None = None,
    ) -> Project:
        """See :class:`Projects`."""
        chosen = checked(label, settings or ProjectSettings())
        created = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        project = Project(label, self._token(16), created, chosen, anonymous=anonymous)
        with self._held():
            projects, damaged = self._all()
            if any(other.label.casefold() == label.casefold() for other in projects):
                raise TarnhelmError(PROJECT_EXISTS)
            if damaged and not anonymous:  # a label given twice would be two keys for one study
                raise TarnhelmError(PROJECT_DAMAGED)
            if before is not None:
                before(project)
            self._write(project)
        return project

    def create_anonymous(
        self, settings: ProjectSettings | None = None, *, before: Callable[[Project], None] | None = None
    ) -> Project:
        """See :class:`Projects`."""
        label = f"run-{self._clock().astimezone(UTC):%Y%m%d}-{self._token(6)}"
        chosen = settings or ProjectSettings()
        if not chosen.prefix:
            chosen = replace(chosen, prefix="TH-")
        return self.create(label, chosen, anonymous=True, before=before)

    def get(self, label: str) -> Project:
        """See :class:`Projects`."""
        project = self._found(label)
        if project.destroyed:
            raise TarnhelmError(PROJECT_DESTROYED)
        return project

    def list(self) -> tuple[Project, ...]:
        """See :class:`Projects`."""
        return tuple(sorted(self._all()[0], key=lambda project: project.label))

    def damaged(self) -> tuple[str, ...]:
        """See :class:`Projects`."""
        return self._all()[1]

    def pin(self, label: str, wanted: RunPins) -> Project:
        """See :class:`Projects`."""
        pins = checked_pins(wanted)

        def pinned(project: Project) -> Project:
            if project.pins is None:
                return replace(project, pins=pins)
            found = differences(project.pins, pins)
            if found:
                raise TarnhelmError(PINS_DIFFER, count=len(found))
            weights = {**pins.model_weights, **project.pins.model_weights}
            return replace(project, pins=replace(project.pins, model_weights=weights))

        return self._changed(label, pinned)

    def upgrade(self, label: str, wanted: RunPins) -> Project:
        """See :class:`Projects`."""
        pins = checked_pins(wanted)

        def upgraded(project: Project) -> Project:
            if project.pins is None:
                return replace(project, pins=pins)
            if not differences(project.pins, pins):
                return project
            earlier = (*project.earlier_pins, project.pins)
            weights = {**project.pins.model_weights, **pins.model_weights}
            fresh = replace(pins, model_weights=weights)
            return replace(project, pins=fresh, earlier_pins=earlier, revision=project.revision + 1)

        return self._changed(label, upgraded)

    def open_epoch(self, label: str, *, before: Callable[[Project], None]) -> Project:
        """See :class:`Projects`."""

        def opened(project: Project) -> Project:
            following = replace(project, epoch=project.epoch + 1)
            before(following)
            return following

        return self._changed(label, opened)

    def mark_destroyed(self, label: str) -> Project:
        """See :class:`Projects`."""
        with self._held():
            gone = replace(self._found(label), destroyed=True)
            self._write(gone)
            return gone

    def _changed(self, label: str, change: Callable[[Project], Project]) -> Project:
        with self._held():
            project = self.get(label)
            changed = change(project)
            if changed != project:
                self._write(changed)
            return changed

    def _found(self, label: str) -> Project:
        projects, damaged = self._all()
        for project in projects:
            if label in {project.label, project.id}:
                return project
        raise TarnhelmError(PROJECT_DAMAGED if damaged else PROJECT_UNKNOWN)


class ProjectStore(ProjectBook):
    """The projects of one state directory.

    Parameters
    ----------
    state_directory
        Made with mode 0700 if missing; refused (LNK-011) if others can enter it.
    clock, token
        See :class:`ProjectBook`.
    """

    def __init__(
        self,
        state_directory: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        super().__init__(clock=clock, token=token)
        self._folder = private_directory(private_directory(state_directory) / "projects")

    def _held(self) -> AbstractContextManager[None]:
        return locked(self._folder)

    def _all(self) -> tuple[tuple[Project, ...], tuple[str, ...]]:
        paths = sorted(self._folder.glob("*.json"))
        found = ((path.stem, content) for path in paths if (content := read_private(path)) is not None)
        return read_all(found)

    def _write(self, project: Project) -> None:
        write_private(self._folder / f"{project.id}.json", dumped(project), replace=True)


def read_all(documents: Iterable[tuple[str, bytes]]) -> tuple[tuple[Project, ...], tuple[str, ...]]:
    """Give the projects of documents (opaque id, content), and the ids of those that hold none."""
    projects: dict[str, Project] = {}
    damaged: dict[str, None] = {}
    for opaque, content in documents:
        try:
            projects[opaque] = parsed(content)
        except TarnhelmError:
            damaged[opaque] = None
    return tuple(projects.values()), tuple(damaged)
