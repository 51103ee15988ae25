"""Places where a ledger may lie, by which every process of a test can open the same one."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.ledger import TaggedRecord
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.private_files import private_directory

KINDS = ("sqlite", "postgres")


@dataclass
class Place:
    """Opens one ledger any number of times; pickles to another process without what is open."""

    kind: str
    where: str
    project: str
    opened: list[Any] = field(default_factory=list)

    def open(self, *, clock=time.time):
        if self.kind == "sqlite":
            found = SqliteLedger(
                private_directory(Path(self.where)) / f"{self.project}.sqlite", self.project, clock=clock
            )
        else:
            found = PostgresLedger(self.where, self.project, clock=clock)
        self.opened.append(found)
        return found

    def other(self):
        """Give the place of another project beside this one."""
        return Place(self.kind, self.where, uuid.uuid4().hex)

    def __getstate__(self):
        return (self.kind, self.where, self.project)

    def __setstate__(self, state):
        self.kind, self.where, self.project = state
        self.opened = []

    def release(self):
        while self.opened:
            self.opened.pop()._forget()


@pytest.fixture(scope="session")
def ledger_database(postgres):
    """Address of a database for all ledgers of the run."""
    return postgres.database()


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """A place with no ledger in it yet, of each kind in turn."""
    where = str(tmp_path / "ledger") if request.param == "sqlite" else request.getfixturevalue("ledger_database")
    found = Place(request.param, where, uuid.uuid4().hex)
    yield found
    found.release()


@pytest.fixture
def ledger(place):
    return place.open()


def subject(name):
    return hashlib.sha256(name.encode()).digest()


def record(number, kind="subject", handle=None, about=b"", study=b""):
    handle = f"S-{number}" if handle is None else handle
    return TaggedRecord(b"tag%d" % number, kind, handle, b"sealed%d" % number, about, study)


def code_of(call, *arguments, **named):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments, **named)
    return caught.value.code
