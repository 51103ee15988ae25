"""What a command line of the steward names: the place, the office, projects, files, cases to open."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.projects import state_directory
from tarnhelm.reveal.local import LocalReveal
from tarnhelm.reveal.steward.office import Office
from tarnhelm.reveal.steward.places import LocalPlace, ServerPlace
from tarnhelm.reveal.steward.settings import read_settings
from tarnhelm.reveal.tool.at_hand import person_keys
from tarnhelm.reveal.tool.console import err, out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tarnhelm.linkage.core.project import Project
    from tarnhelm.reveal.core.keyring import PersonKeys
    from tarnhelm.reveal.steward.acts import Act
    from tarnhelm.reveal.steward.places import Place
    from tarnhelm.reveal.steward.settings import ServerSettings

__all__ = [
    "CheckOption",
    "DaysOption",
    "LegalBasisOption",
    "ProjectOption",
    "PurposeOption",
    "found_project",
    "full_id",
    "here",
    "keys_of",
    "local_state",
    "nameless_file",
    "place",
    "propose",
    "read_file",
    "server_settings",
]

ProjectOption = Annotated[str, typer.Option("--project", metavar="LABEL", help="Of which project.", show_default=False)]
PurposeOption = Annotated[
    str, typer.Option("--purpose", help="Why, in a sentence. Name no patient.", show_default=False)
]
LegalBasisOption = Annotated[
    str, typer.Option("--legal-basis", help="What asks for it: a correction, a withdrawn consent, the protocol's end.")
]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=3650, help="How long the case is valid.")]
CheckOption = Annotated[
    str,
    typer.Option(
        "--check", metavar="CASE", help="Open nothing: say whether this case is for exactly what is given here."
    ),
]
_UNSAID = "not stated beyond the purpose"
_SHORTEST = 4


def local_state() -> Path:
    """Give the private state directory of this user."""
    return state_directory(os.environ, Path.home())


def server_settings() -> ServerSettings | None:
    """Give the settings of the hospital's servers; nothing where this machine is the place."""
    return read_settings(local_state() / "steward.toml")


def here() -> LocalReveal:
    """Give people, cases and audit of this user."""
    return LocalReveal(local_state())


@contextmanager
def place() -> Iterator[Place]:
    """Give the place, and let it go."""
    settings = server_settings()
    found: Place = LocalPlace(local_state()) if settings is None else ServerPlace(settings)
    try:
        yield found
    finally:
        found.close()


def found_project(where: Place, label: str) -> Project:
    """Find a project by label or id, a destroyed one too; LNK-001."""
    named = (project for project in where.projects.list() if label in {project.label, project.id})
    found = next(named, None)
    return found if found is not None else where.projects.get(label)


def propose(
    act: Act,
    key: Path | None,
    passphrase: Path | None,
    *,
    purpose: str,
    legal_basis: str,
    days: int,
    check: str = "",
    surrogates: Iterable[str] = (),
) -> None:
    """Open a case for an act, or compare it with one that is open; prints the case's id."""
    local = here()
    with Office.of(local) as office:
        if check:
            office.compare(full_id(office, check), act)
            out().print("The case is for exactly this.")
            return
        keys = keys_of(key, passphrase)
        case = office.open(
            act, keys, purpose=purpose, legal_basis=legal_basis or _UNSAID, days=days, surrogates=surrogates
        )
    out().print(case.id)
    err().print(
        f"Now somebody else approves it: tarnhelm-steward case approve {case.id[:8]}\n"
        f"then you carry it out:          tarnhelm-steward case carry-out {case.id[:8]}",
        soft_wrap=True,
    )


def keys_of(key: Path | None, passphrase: Path | None) -> PersonKeys:
    """Open the person's key file; STW-018 where none is named."""
    if key is None:
        raise TarnhelmError(errors.INPUT_UNREADABLE)
    return person_keys(key, passphrase)


def full_id(office: Office, beginning: str) -> str:
    """Find the one case whose id begins so; RVL-008 for none or several."""
    found = [view.case.id for view in office.desk.views() if view.case.id.startswith(beginning)]
    if len(found) != 1 or len(beginning) < _SHORTEST:
        raise TarnhelmError(errors.CASE_UNKNOWN)
    return found[0]


def read_file(path: Path) -> bytes:
    """Read a file that somebody named; STW-018."""
    try:
        return path.read_bytes()
    except OSError:
        raise TarnhelmError(errors.INPUT_UNREADABLE) from None


@contextmanager
def nameless_file() -> Iterator[BinaryIO]:
    """Give a file without a name in the private directory."""
    try:
        descriptor = os.open(local_state(), os.O_RDWR | os.O_TMPFILE, 0o600)
    except OSError:
        raise TarnhelmError(errors.STATE_UNSAFE) from None
    with os.fdopen(descriptor, "w+b") as stream:
        yield stream
