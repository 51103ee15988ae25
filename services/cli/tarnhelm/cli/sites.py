"""What a site adds to the cleaning of texts: where its file lies, and which one a run works with.

A project keeps what it was made with: a line added later to the file of the state directory counts for projects that
are made later, and changes no output of an old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.cli.places import Places
    from tarnhelm.cli.services import Services
    from tarnhelm.linkage.core.projects import Project

__all__ = ["chosen_site", "read_text", "site_for"]

_MOST_BYTES = 1 << 20


def read_text(path: Path) -> str:
    """Return the text of a site file; raises ``RUN-017``."""
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise TarnhelmError(errors.SITE_UNREADABLE) from None


def chosen_site(path: Path | None, places: Places, services: Services) -> str:
    """Return the site of a project that is made now: the file named, else that of the state directory, else none.

    Raises
    ------
    TarnhelmError
        ``RUN-016``, ``RUN-017``.
    """
    if path is None and not places.site_file.exists():
        return ""
    return services.site(read_text(path or places.site_file))


def site_for(project: Project, path: Path | None, services: Services) -> str:
    """Return the site of a project that is there already; raises ``RUN-018`` for a file that says otherwise."""
    if path is not None and services.site(read_text(path)) != project.settings.site:
        raise TarnhelmError(errors.SITE_DIFFERS)
    return project.settings.site
