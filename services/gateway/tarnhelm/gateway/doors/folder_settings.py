"""How a watched folder is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tarnhelm.gateway.doors.naming import check_name

__all__ = ["FolderDoorSettings"]


@dataclass(frozen=True, slots=True)
class FolderDoorSettings:
    """Settings of one watched folder.

    Attributes
    ----------
    name
        Name of the door: letters, digits, hyphens.
    folder
        Is read with all its subfolders.
    project
        Opaque id of the project of what lies in the folder itself and in subfolders without a line of their own;
        empty: such files are refused.
    subfolders
        Name of a subfolder of the first level → project. A name says nothing but by this table.
    accepted_folder
        Where accepted files go, under opaque names; none: they are deleted.
    refused_folder
        Where refused and unreadable files go, under opaque names; none: a folder ``<folder>.refused`` beside it. It
        must lie on the same file system.
    settle_seconds
        A file is taken when size and time of change have stood still for so long.
    poll_seconds
        Between two looks.
    max_files_per_look
        How many files one look may remember.
    max_object_bytes
        A larger file is refused.
    """

    folder: Path
    name: str = "folder"
    project: str = ""
    subfolders: Mapping[str, str] = field(default_factory=dict)
    accepted_folder: Path | None = None
    refused_folder: Path | None = None
    settle_seconds: float = 5.0
    poll_seconds: float = 2.0
    max_files_per_look: int = 100_000
    max_object_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.project and not self.subfolders:
            raise ValueError("a folder needs a project")
        for name in self.subfolders:
            if name in {"", ".", ".."} or "/" in name:
                raise ValueError("a subfolder is named without a path")
        for other in (self.accepted_folder, self.refused_folder):
            if other is not None and other.resolve().is_relative_to(self.folder.resolve()):
                raise ValueError("files are moved out of the folder, not within it")
        if self.settle_seconds <= 0 or self.poll_seconds <= 0:
            raise ValueError("seconds are more than nothing")

    @property
    def refused(self) -> Path:
        """Where refused files go."""
        return self.refused_folder or self.folder.with_name(self.folder.name + ".refused")
