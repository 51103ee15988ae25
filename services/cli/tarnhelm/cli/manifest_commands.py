"""``tarnhelm manifest``: whether what left is what the gateway signed, and nothing was taken out of the list."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tarnhelm.cli.console import out, reports_errors
from tarnhelm.cli.delivery_commands import open_store
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["register"]

_HELP = """The manifest: one signed line for each object that left the gateway.

[bold]Examples[/bold]

    tarnhelm manifest verify /var/lib/tarnhelm/manifest --key manifest.key.pub
    tarnhelm manifest verify gateway.2026-11-28.jsonl --key manifest.key.pub
    tarnhelm manifest verify --state /var/lib/tarnhelm/deliveries.sqlite --key manifest.key.pub
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    manifest = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    manifest.callback()(_group)
    manifest.command("verify")(verify)
    app.add_typer(manifest, name="manifest")


def _group() -> None:
    """Keep ``verify`` a command of its own although it is the only one."""


_group.__doc__ = _HELP


@reports_errors
def verify(
    place: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A manifest file, or a folder of them.", show_default=False)
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="PEM", help="The manifest's public key; repeat where it was replaced."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="FILE", help="The state's manifest instead: a SQLite file.")
    ] = None,
    state_address_file: Annotated[
        Path | None,
        typer.Option("--state-address-file", metavar="FILE", help="Holds the address of a PostgreSQL state instead."),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="WRITER:NUMBER:SHA256",
            help="A line that was noted earlier and has to be there; repeat for each writer.",
        ),
    ] = None,
) -> None:
    """Check each signature, and that no line is missing, doubled, changed or moved.

    The exit code is 0 when all is as it was written, 3 when a line is not: the first one that is wrong is named. A chain shows what is missing before its last line, not what was cut off behind it: note the heads that this command prints, and give them with --head the next time.

    [bold]Examples[/bold]

        tarnhelm manifest verify /var/lib/tarnhelm/manifest --key manifest.key.pub
        tarnhelm manifest verify --state deliveries.sqlite --key manifest.key.pub --head gateway:812:9f3c…
    """
    from tarnhelm.gateway.manifest import load_public_key, verify_lines  # noqa: PLC0415  # other commands need none of it

    if not key or sum(one is not None for one in (place, state, state_address_file)) != 1:
        raise TarnhelmError(errors.MANIFEST_UNREADABLE)
    public = [load_public_key(path) for path in key]
    wanted = dict(_noted(text) for text in head or ())
    with _lines(place, state, state_address_file) as lines:
        seen: set[tuple[str, int, str]] = set()
        found = verify_lines(lines, public, whole=place is None or place.is_dir(), seen=seen if wanted else None)
    console = out()
    for chain in sorted(found.chains.values(), key=lambda one: one.writer):
        console.print(f"{chain.writer}  lines {chain.first} to {chain.last}", markup=False)
        console.print(f"  head {chain.writer}:{chain.last}:{chain.head}", markup=False, soft_wrap=True)
    if found.bad_line:
        said = {
            "signature": "is not signed by this key, or was changed",
            "order": "is not the next one: a line is missing, doubled or moved",
            "object": "names an object that left before with the same bytes",
        }[found.reason]
        console.print(f"Line {found.bad_line:,} {said}.", markup=False)
        raise TarnhelmError(errors.MANIFEST_BROKEN, line=found.bad_line)
    if any((writer, number, digest) not in seen for (writer, number), digest in wanted.items()):
        console.print("A line that was noted earlier is not there: the end of a chain was cut off.", markup=False)
        raise TarnhelmError(errors.MANIFEST_BROKEN, line=found.lines + 1)
    console.print(f"{found.lines:,} lines, all as they were written.", markup=False)


def _noted(text: str) -> tuple[tuple[str, int], str]:
    writer, _, rest = text.partition(":")
    number, _, digest = rest.partition(":")
    if not writer or not number.isdigit() or len(digest) != 64:
        raise TarnhelmError(errors.MANIFEST_UNREADABLE)
    return (writer, int(number)), digest


@contextlib.contextmanager
def _lines(place: Path | None, state: Path | None, address_file: Path | None) -> Iterator[Iterator[bytes]]:
    """Open the lines of wherever they are."""
    if place is not None:
        from tarnhelm.gateway.manifest.files import manifest_files, read_files  # noqa: PLC0415

        yield read_files(manifest_files(place))
        return
    with open_store(state, address_file) as store:
        yield (content for writer in store.writers() for _, content in store.lines(writer))
