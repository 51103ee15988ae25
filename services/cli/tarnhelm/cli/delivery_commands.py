"""``tarnhelm deliveries``: what waits for a destination, what one did not take, and what to do with it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tarnhelm.cli.console import out, reports_errors, show_codes
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.gateway.deliveries import DeliveryRecord, DeliveryStore

__all__ = ["open_store", "register"]

_HELP = """Deliveries of a gateway: what waits, what a destination did not take.

[bold]Examples[/bold]

    tarnhelm deliveries list --state /var/lib/tarnhelm/deliveries.sqlite
    tarnhelm deliveries retry --destination research-pacs --code DLV-010 --state deliveries.sqlite
    tarnhelm deliveries give-up 4f0c --destination cloud --state deliveries.sqlite
"""

State = Annotated[
    Path | None, typer.Option("--state", metavar="FILE", help="The gateway's deliveries.sqlite.", show_default=False)
]
AddressFile = Annotated[
    Path | None,
    typer.Option("--state-address-file", metavar="FILE", help="Holds the address of a PostgreSQL state instead."),
]
Objects = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...", help="Objects, by the first letters of their ids; none: all.", show_default=False
    ),
]
Destination = Annotated[str, typer.Option("--destination", metavar="NAME", help="Only of this destination.")]
Code = Annotated[str, typer.Option("--code", metavar="CODE", help="Only with this code.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    deliveries = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    deliveries.command("list")(list_)
    deliveries.command("retry")(retry)
    deliveries.command("give-up")(give_up)
    app.add_typer(deliveries, name="deliveries")


@reports_errors
def list_(
    state: State = None,
    state_address_file: AddressFile = None,
    destination: Destination = "",
    code: Code = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many held ones.")] = 50,
) -> None:
    """Show how many deliveries of each destination wait and how many are held, and the held ones.

    [bold]Examples[/bold]

        tarnhelm deliveries list --state deliveries.sqlite
        tarnhelm deliveries list --destination cloud --code DLV-011 --state deliveries.sqlite
    """
    with open_store(state, state_address_file) as store:
        counts = store.counts()
        held = _held(store, (), destination, code)
    table = Table(box=None, pad_edge=False)
    for heading in ("destination", "due", "held", "given up", "delivered"):
        table.add_column(heading, justify="left" if heading == "destination" else "right", no_wrap=True)
    for name in sorted({name for name, _ in counts if destination in ("", name)}):
        numbers = [sum(count for key, count in counts.items() if key == (name, one)) for one in _states()]
        table.add_row(name, *(f"{number:,}" for number in numbers))
    console = out()
    console.print(table)
    if not held:
        return
    listed = Table(box=None, pad_edge=False)
    for heading in ("id", "destination", "code", "tries"):
        listed.add_column(heading, no_wrap=True, overflow="ignore")
    for one in held[:limit]:
        listed.add_row(one.object_id[:12], one.destination, one.code, str(one.attempts))
    console.print(listed)
    console.print(f"{len(held):,} held")
    codes = [one.code for one in held]
    show_codes({one: codes.count(one) for one in dict.fromkeys(codes)})


@reports_errors
def retry(
    objects: Objects = None,
    state: State = None,
    state_address_file: AddressFile = None,
    destination: Destination = "",
    code: Code = "",
) -> None:
    """Try held deliveries again; the running gateway takes them up at once.

    An object that no destination wanted stands under the destination [italic]none[/italic]: retry it there when there is one.

    [bold]Examples[/bold]

        tarnhelm deliveries retry 4f0c --state deliveries.sqlite
        tarnhelm deliveries retry --destination research-pacs --state deliveries.sqlite
    """
    with open_store(state, state_address_file) as store:
        now = time.time()
        _do("again", objects, store, lambda one: store.retry(one.object_id, one.destination, now), destination, code)


@reports_errors
def give_up(
    objects: Objects = None,
    state: State = None,
    state_address_file: AddressFile = None,
    destination: Destination = "",
    code: Code = "",
) -> None:
    """Give held deliveries up: the object is released without them, or rejected if nobody has it.

    [bold]Examples[/bold]

        tarnhelm deliveries give-up 4f0c --destination cloud --state deliveries.sqlite
    """
    if not objects and not destination:
        raise TarnhelmError(errors.NO_SUCH_DELIVERY)
    with open_store(state, state_address_file) as store:
        _do("given up", objects, store, lambda one: store.waive(one.object_id, one.destination), destination, code)


def _do(
    said: str,
    objects: list[str] | None,
    store: DeliveryStore,
    work: Callable[[DeliveryRecord], bool],
    destination: str,
    code: str,
) -> None:
    found = _held(store, objects or (), destination, code)
    if not found:
        raise TarnhelmError(errors.NO_SUCH_DELIVERY)
    count = sum(work(one) for one in found)
    out().print(f"{count:,} {said}")


def _held(store: DeliveryStore, objects: list[str] | tuple[()], destination: str, code: str) -> list[DeliveryRecord]:
    from tarnhelm.gateway.deliveries import DeliveryState  # noqa: PLC0415  # other commands need none of it

    return [
        one
        for one in store.listing(DeliveryState.HELD, destination, 1_000_000)
        if (not code or one.code == code) and (not objects or one.object_id.startswith(tuple(objects)))
    ]


def _states() -> tuple[str, ...]:
    from tarnhelm.gateway.deliveries import DeliveryState  # noqa: PLC0415

    return (DeliveryState.DUE, DeliveryState.HELD, DeliveryState.WAIVED, DeliveryState.DELIVERED)


@contextlib.contextmanager
def open_store(state: Path | None, address_file: Path | None) -> Iterator[DeliveryStore]:
    """Open the store of deliveries that a gateway uses; raises DLV-032 where neither or both are named."""
    if (state is None) == (address_file is None):
        raise TarnhelmError(errors.MANIFEST_UNREADABLE)
    with contextlib.closing(_store(state, address_file)) as store:
        yield store


def _store(state: Path | None, address_file: Path | None) -> DeliveryStore:
    if state is not None:
        from tarnhelm.gateway.deliveries import SqliteDeliveries  # noqa: PLC0415

        if not state.is_file():
            raise TarnhelmError(errors.MANIFEST_UNREADABLE)
        return SqliteDeliveries(state)
    from tarnhelm.gateway.deliveries.postgres import PostgresDeliveries  # noqa: PLC0415

    try:
        address = address_file.read_text("utf-8").strip() if address_file is not None else ""
    except (OSError, UnicodeDecodeError):
        raise TarnhelmError(errors.MANIFEST_UNREADABLE) from None
    return PostgresDeliveries(address, connections=1)
