"""Any history of merges, splits, undoings and withdrawals: both ledgers answer as a model of few lines does."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.ledgers import subject

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.ledger import TaggedRecord
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.postgres import Database

SUBJECTS = tuple(subject(name) for name in "abcde")
STUDIES = tuple(subject(f"study {number}") for number in range(2))
SOME = st.sampled_from(SUBJECTS)


class Model:
    """The events that were not undone, and what follows from them; slow and plain."""

    def __init__(self):
        self.active = {}
        self.buried = set()
        self.kept = []

    def onward(self, one, study):
        splits = [
            to for kind, who, to, studies in self.active.values() if kind == "split" and who == one and study in studies
        ]
        links = [to for kind, who, to, _ in self.active.values() if kind == "link" and who == one]
        return (splits + links)[:1]

    def end(self, one, study=b""):
        onward = self.onward(one, study)
        return self.end(onward[0], study) if onward else one

    def ahead(self, one, study):
        after = {one}
        for kind, who, to, studies in self.active.values():
            if who == one and (kind == "link" or study in studies):
                after |= self.ahead(to, study)
        return after

    def person(self, one, study=b""):
        return {other for other in SUBJECTS if self.end(other) == self.end(one, study)}

    def withdrawn(self, one, study=b""):
        return bool(self.person(one, study) & self.buried)

    def may_link(self, one, other):
        linked = any(kind == "link" and who == one for kind, who, _, _ in self.active.values())
        return not linked and not any(one in self.ahead(other, study) for study in (b"", *STUDIES))

    def may_split(self, one, studies, other):
        moved = {
            study for kind, who, _, some in self.active.values() if kind == "split" and who == one for study in some
        }
        return not moved & studies and not any(one in self.ahead(other, study) for study in studies)

    def same(self, event):
        return next((known for known, found in self.active.items() if found == event), None)


class Histories(RuleBasedStateMachine):
    """Every step is told to the model and to each ledger; ``ids`` holds what each called the event."""

    def __init__(self, database):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        project = uuid.uuid4().hex
        self.ledgers = [SqliteLedger(Path(self.folder.name) / "x.sqlite", project)]
        if database is not None:
            self.ledgers.append(PostgresLedger(database, project))
        self.model = Model()
        self.ids = {}
        self.steps = 0
        self.snapshots = {}

    def teardown(self):
        for ledger in self.ledgers:
            ledger._forget()
        self.folder.cleanup()

    def told(self, method, *arguments):
        """What each ledger answers: the value, or the code; events are told by what the ledger calls them."""
        found = []
        for place, ledger in enumerate(self.ledgers):
            own = [
                self.ids[given][place] if isinstance(given, str) and given in self.ids else given for given in arguments
            ]
            try:
                found.append(getattr(ledger, method)(*own))
            except TarnhelmError as error:
                found.append(error.code)
        return found

    def refused(self, code, method, *arguments):
        assert self.told(method, *arguments) == [code] * len(self.ledgers)

    def answers(self):
        return [
            (self.model.end(one, study), self.model.withdrawn(one, study))
            for one in SUBJECTS
            for study in (b"", *STUDIES)
        ]

    def begin(self, allowed, event, method, *arguments):
        known = self.model.same(event)
        if known is not None:
            assert self.told(method, *arguments) == list(self.ids[known])
        elif allowed:
            name = f"event {len(self.ids)}"
            self.steps += 1
            self.snapshots[name] = (self.steps, self.answers())
            self.ids[name] = self.told(method, *arguments)
            assert all(isinstance(one, int) for one in self.ids[name])
            self.model.active[name] = event
        else:
            self.refused("LNK-019", method, *arguments)

    @rule(one=SOME, other=SOME)
    def link(self, one, other):
        event = ("link", one, other, frozenset())
        self.begin(self.model.may_link(one, other), event, "link", one, other, "case")

    @rule(one=SOME, other=SOME, studies=st.frozensets(st.sampled_from(STUDIES), min_size=1))
    def split(self, one, other, studies):
        event = ("split", one, other, studies)
        self.begin(self.model.may_split(one, studies, other), event, "split", one, sorted(studies), other, "case")

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def undo(self, data):
        name = data.draw(st.sampled_from(sorted(self.ids)))
        if name not in self.model.active:
            for method in ("unlink", "unsplit"):
                self.refused("LNK-020", method, name, "another case")
            return
        kind = self.model.active.pop(name)[0]
        assert self.told(f"un{kind}", name, f"undo {name}") == [None] * len(self.ledgers)
        step, answers = self.snapshots[name]
        if step == self.steps:
            assert self.answers() == answers  # nothing came in between: exactly what was
        self.steps += 1

    @rule(one=SOME)
    def withdraw(self, one):
        end = self.model.end(one)
        gone = [entry for entry in self.model.kept if self.model.end(*entry[:2]) == end]
        assert self.told("withdraw", one, "case") == [len(gone)] * len(self.ledgers)
        self.model.buried |= self.model.person(one)
        self.steps += 1
        self.model.kept = [entry for entry in self.model.kept if entry not in gone]

    @rule(one=SOME, study=st.sampled_from((b"", *STUDIES)))
    def put(self, one, study):
        number = uuid.uuid4().bytes
        records = [TaggedRecord(number, "study", "U", number, one, study)]
        if self.model.withdrawn(one, study):
            self.refused("LNK-017", "put_records", records)
        else:
            assert self.told("put_records", records) == [1] * len(self.ledgers)
            self.model.kept.append((one, study, number))

    @initialize()
    def begins_empty(self):
        assert self.told("changes") == [0] * len(self.ledgers)

    @invariant()
    def all_answer_as_the_model(self):
        expected = self.answers()
        kept = sorted(number for _, _, number in self.model.kept)
        for ledger in self.ledgers:
            found = [ledger.resolve(one, study) for one in SUBJECTS for study in (b"", *STUDIES)]
            assert [(standing.canonical, standing.withdrawn) for standing in found] == expected, type(ledger)
            assert sorted(record.sealed for record in ledger.records()) == kept

    @invariant()
    def the_histories_are_the_same(self):
        told = [[(e.kind, e.subject, e.target, e.studies, e.case) for e in ledger.links()] for ledger in self.ledgers]
        assert all(one == told[0] for one in told)


def check(request, examples, steps):
    try:
        database = Database(request.getfixturevalue("ledger_database"))
    except pytest.skip.Exception:
        database = None  # the model alone still judges SQLite
    try:
        run_state_machine_as_test(
            lambda: Histories(database),
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
    finally:
        if database is not None:
            database.close()


def test_any_history_is_answered_as_the_model_does(request):
    check(request, 12, 15)


@pytest.mark.slow
def test_any_history_is_answered_as_the_model_does_at_length(request):
    check(request, 80, 30)
