"""Putting the server together, and running it until SIGTERM."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tarnhelm.v1 import reveal_pb2_grpc

from tarnhelm.common import serve
from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, PERSON_UNKNOWN, REVEAL_FAILED, REVEAL_REQUEST, TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory
from tarnhelm.reveal.core.database import CaseDatabase
from tarnhelm.reveal.core.desk import Desk
from tarnhelm.reveal.core.register_postgres import PostgresRegister
from tarnhelm.reveal.core.store_postgres import PostgresCases
from tarnhelm.reveal.core.store_sqlite import SqliteCases
from tarnhelm.reveal.identity.token import TokenReader
from tarnhelm.reveal.identity.web import Web
from tarnhelm.reveal.server.door import Door
from tarnhelm.reveal.server.front import Front
from tarnhelm.reveal.server.links import open_links
from tarnhelm.reveal.server.service import RevealService
from tarnhelm.reveal.server.settings import SERVICE, RevealServerSettings
from tarnhelm.reveal.settings import read_secret_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tarnhelm.reveal.core.people import Register
    from tarnhelm.reveal.core.store import CaseStore
    from tarnhelm.reveal.local import LocalReveal
    from tarnhelm.reveal.server.front import PeopleBook

__all__ = ["opened_service", "run_server"]


@contextmanager
def opened_service(here: LocalReveal, settings: RevealServerSettings) -> Iterator[serve.Service]:
    """Give the service with all that it needs, and let go of that at the end.

    Parameters
    ----------
    here
        The private directory of this replica: its settings, its audit with the writer's key.

    Raises
    ------
    TarnhelmError
        RVL-001 where this replica's writer is not enrolled: nobody could check its answers. RVL-005, -021, -022,
        -024, -025, -029, -031, and those of vault and ledger.
    """
    reveal = here.settings()
    with ExitStack() as stack:
        book, store = _kept(here, settings, stack)
        register = book.load()
        audit = stack.enter_context(here.audit(reveal, register=register))
        _check_writer(here, register)
        links = open_links(settings.links)
        stack.callback(links.close)
        web = Web(settings.identity.ca_file)
        stack.callback(web.close)
        tokens = TokenReader(
            web,
            settings.identity.issuer,
            settings.identity.audience,
            clock=here.clock,
            ticks=time.monotonic,
            longest_seconds=settings.identity.token_hours * 3600,
        )
        desk = Desk(book.load, store, audit, clock=here.clock, limits=reveal.limits)
        door = Door(tokens, book.load, audit, settings.identity, clock=here.clock)
        front = Front(book, desk, store, audit, links, door, random=here.random)
        service = RevealService(
            front,
            door,
            private_directory(here.folder),
            answers_at_once=settings.cases.answers_at_once,
            wait_seconds=settings.links.two_person_minutes * 60.0,
        )
        stack.callback(service.close)
        yield serve.Service(
            SERVICE,
            lambda server: reveal_pb2_grpc.add_RevealServiceServicer_to_server(service, server),
            _held,
            serve.Faults(REVEAL_REQUEST, REVEAL_FAILED),
        )


def run_server(here: LocalReveal, settings: RevealServerSettings) -> None:
    """Serve until SIGTERM or SIGINT; RVL-031 where a certificate or the address cannot be used."""
    with opened_service(here, settings) as service:
        metrics = serve.CallMetrics() if settings.server.metrics_listen else None
        try:
            asyncio.run(serve.serve(settings.server, service, started=_started, metrics=metrics))
        except (OSError, ValueError):
            raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None


def _kept(here: LocalReveal, settings: RevealServerSettings, stack: ExitStack) -> tuple[PeopleBook, CaseStore]:
    """Give the register and the cases: in the shared database, or in this machine's directory."""
    reveal = here.settings()
    if settings.cases.database_file is None:
        store = SqliteCases(here.folder / "cases.sqlite")
        stack.callback(store.close)
        return here.people(), store
    database = CaseDatabase(read_secret_line(settings.cases.database_file))
    stack.callback(database.close)
    book = PostgresRegister(database, root=reveal.root)
    if (here.folder / "people.jsonl").exists():
        book.seed(here.people().load())
    return book, PostgresCases(database)


def _check_writer(here: LocalReveal, register: Register) -> None:
    if register.writers().get(here.settings().writer) != here.writer_key().public_key().public_bytes_raw():
        raise TarnhelmError(PERSON_UNKNOWN)


def _held() -> None:
    """Everything is let go by :func:`opened_service`, after the server has ended."""


def _started(running: serve.Running) -> None:
    print(f"reveal: listening on port {running.port}", file=sys.stderr, flush=True)  # noqa: T201 - the line operators wait for
