"""The desk: one question for a ticket, each answer for itself, nothing kept of what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time

import pytest
from linkage_requests import make_request

from tarnhelm.common.assign import AssignReply
from tarnhelm.common.assign_client import query_bytes
from tarnhelm.common.errors import (
    LEDGER_BUSY,
    STATE_UNSAFE,
    VAULT_REFUSED,
    VAULT_UNAVAILABLE,
    TarnhelmError,
)
from tarnhelm.common.tickets import SKEW_SECONDS, AdmissionTicket
from tarnhelm.linkage.availability import Availability
from tarnhelm.linkage.backend import LocalBackend
from tarnhelm.linkage.desk import Desk, Question
from tarnhelm.linkage.quota import QuotaSettings


class Log:
    def __init__(self):
        self.lines = []

    def __call__(self, kind, **fields):
        self.lines.append((kind.name, fields))

    def reasons(self):
        return [fields["reason"] for name, fields in self.lines if name == "assign-alarm"]


class Times:
    """A clock of each kind, moved by hand."""

    def __init__(self):
        # Of today, and taken anew for each test: the ledger goes by a clock of its own.
        self.begun = int(time.time())
        self.passed = 0.0

    def now(self):
        return self.begun + self.passed

    def monotonic(self):
        return self.passed


class Bench:
    """A desk on a real vault and ledger of one machine, with hands on its clocks."""

    def __init__(self, state, linkage, quota=None):
        self.linkage = linkage
        self.project = linkage.create("lung")
        self.log, self.times, self.down = Log(), Times(), None
        self.backend = LocalBackend(state)
        self.availability = Availability(self.check, self.log, every_seconds=0.05)
        self.desk = Desk(
            self.backend, quota or QuotaSettings(), self.log, self.availability,
            clock=self.times.now, monotonic=self.times.monotonic,
        )  # fmt: skip
        self.tickets = 0

    def check(self):
        if self.down is not None:
            raise TarnhelmError(self.down)

    def ticket(self, questions=1, lifetime=900):
        self.tickets += 1
        digest = hashlib.sha256(b"%d" % self.tickets).digest()
        expires = int(self.times.now()) + lifetime
        return AdmissionTicket(self.project.id, f"object-{self.tickets}", expires, questions, digest)

    def question(self, request, ticket=None):
        return Question(ticket or self.ticket(), hashlib.sha256(query_bytes(request)).digest(), request)

    def ask(self, *questions):
        answers = self.desk.answer(self.project.id, questions)
        return [answer.code if isinstance(answer, TarnhelmError) else answer for answer in answers]

    def counts(self):
        ledger = self.linkage.ledger("lung")
        found = ledger.counts()
        ledger.close()
        return found.subjects, found.studies, found.records

    def ask_all(self, *questions):
        """Through the loop and the thread, as the server does it."""

        async def run():
            asked = [asyncio.ensure_future(self.desk.ask(question)) for question in questions]
            return await asyncio.gather(*asked, return_exceptions=True)

        self.availability.open()
        self.desk.open()
        try:
            found = asyncio.run(run())
        finally:
            self.desk.close()
            self.availability.close()
        return [answer.code if isinstance(answer, TarnhelmError) else answer for answer in found]


@pytest.fixture
def bench(state, linkage):
    made = Bench(state, linkage)
    yield made
    made.desk.close()


def limited(state, linkage, **quota):
    return Bench(state, linkage, QuotaSettings(**quota))


def test_a_desk_answers_as_an_assigner_does(bench):
    requests = [make_request(number) for number in range(5)]
    local = bench.linkage.assigner("lung")
    answers = bench.ask_all(*(bench.question(request) for request in requests))
    assert answers == [local.assign(request) for request in requests]
    local.close()


def test_a_ticket_is_good_for_one_question_again_and_again(bench):
    ticket = bench.ticket()
    first = bench.ask(bench.question(make_request(1), ticket))
    assert bench.ask(bench.question(make_request(1), ticket)) == first
    before = bench.counts()
    assert bench.ask(bench.question(make_request(2), ticket)) == ["LNK-042"]
    assert bench.counts() == before
    assert bench.log.reasons() == ["ticket"]
    assert bench.ask(bench.question(make_request(1), ticket)) == first


def test_of_two_questions_that_come_together_with_one_ticket_the_first_is_answered(bench):
    ticket = bench.ticket()
    one, two = bench.ask(bench.question(make_request(1), ticket), bench.question(make_request(2), ticket))
    assert isinstance(one, AssignReply)
    assert two == "LNK-042"


def test_a_ticket_for_three_questions_is_good_for_three_different_ones(bench):
    ticket = bench.ticket(questions=3)
    asked = [bench.question(make_request(number), ticket) for number in range(4)]
    answers = [bench.ask(question)[0] for question in asked]
    assert [isinstance(answer, AssignReply) for answer in answers] == [True, True, True, False]
    assert [bench.ask(question)[0] for question in asked] == answers


def test_a_ticket_that_expired_while_it_waited_is_not_called_spent(bench):
    ticket = bench.ticket(lifetime=10)
    bench.times.passed = 10 + SKEW_SECONDS
    assert isinstance(bench.ask(bench.question(make_request(1), ticket))[0], AssignReply)
    bench.times.passed += 1
    assert bench.ask(bench.question(make_request(1), ticket)) == ["LNK-041"]
    assert bench.log.reasons() == []


def test_a_binding_outlives_its_ticket_for_a_replica_whose_clock_is_behind(bench):
    ticket = bench.ticket(lifetime=10)
    bench.ask(bench.question(make_request(1), ticket))
    # The clock of this ledger runs on to the last moment at which any replica may take the ticket.
    ledger = bench.desk._projects[bench.project.id].opened.ledger
    ledger._clock = lambda: ticket.expires + 3 * SKEW_SECONDS
    assert bench.ask(bench.question(make_request(2), ticket)) == ["LNK-042"]


def test_one_that_fails_does_not_hold_up_the_others(bench):
    ledger = bench.linkage.ledger("lung")
    ledger.withdraw(bench.linkage.identities("lung").patient("MRN000002", "HOSPITAL"), "case")
    ledger.close()
    nobody = make_request(3, patient_id="")
    nobody = type(nobody)("", "", "", "", ())
    asked = [bench.question(request) for request in (make_request(1), make_request(2), nobody, make_request(4))]
    answers = bench.ask(*asked)
    assert [answer if isinstance(answer, str) else "" for answer in answers] == ["", "LNK-017", "DCM-012", ""]
    assert bench.counts() == (2, 2, 4)


def test_the_quota_refuses_before_anything_is_written(state, linkage):
    bench = limited(state, linkage, subjects_per_hour=3)
    asked = [bench.question(make_request(number)) for number in range(5)]
    answers = bench.ask(*asked)
    assert [isinstance(answer, AssignReply) for answer in answers] == [True, True, True, False, False]
    assert answers[3:] == ["LNK-043"] * 2
    assert bench.counts()[0] == 3
    assert bench.log.reasons() == ["quota"]
    # Known subjects go on, and an hour later there is room again.
    assert isinstance(bench.ask(bench.question(make_request(1, study=2)))[0], AssignReply)
    bench.times.passed += 3601
    assert isinstance(bench.ask(bench.question(make_request(4)))[0], AssignReply)
    bench.desk.close()


def test_guesses_at_the_withdrawn_and_at_the_list_count_too(state, linkage):
    bench = limited(state, linkage, subjects_per_hour=2)
    ledger = bench.linkage.ledger("lung")
    for number in range(4):
        ledger.withdraw(linkage.identities("lung").patient(f"MRN{number:06}", "HOSPITAL"), "case")
    ledger.close()
    answers = bench.ask(*(bench.question(make_request(number)) for number in range(4)))
    assert answers == ["LNK-017", "LNK-017", "LNK-043", "LNK-043"]
    bench.desk.close()


def test_spellings_of_one_patient_count_once(state, linkage):
    bench = limited(state, linkage, subjects_per_hour=1)
    spelt = [make_request(1), make_request(1, patient_id=" mrn000001 "), make_request(1, patient_id="MRN000001\0")]
    assert all(isinstance(answer, AssignReply) for answer in bench.ask(*map(bench.question, spelt)))
    bench.desk.close()


def test_many_subjects_for_few_objects_raise_an_alarm_once_in_ten_minutes(state, linkage):
    bench = limited(state, linkage, alarm_objects=20, alarm_share=0.5)
    bench.ask(*(bench.question(make_request(1, study=number)) for number in range(20)))
    assert bench.log.reasons() == []  # a hospital's objects come by the series
    bench.ask(*(bench.question(make_request(100 + number)) for number in range(30)))
    assert bench.log.reasons() == ["share"]
    _, fields = bench.log.lines[-1]
    assert fields["project"] == bench.project.id
    assert fields["subjects"] > fields["objects"] / 2
    bench.times.passed = 601
    bench.ask(bench.question(make_request(500)))
    assert bench.log.reasons() == ["share", "share"]
    bench.desk.close()


@pytest.mark.parametrize("kind", [VAULT_UNAVAILABLE, VAULT_REFUSED])
def test_a_sealed_vault_ends_all_assigning_and_the_keys_are_let_go(bench, kind):
    assert isinstance(bench.ask(bench.question(make_request(1)))[0], AssignReply)
    bench.availability.doubt(kind)
    before = bench.counts()
    assert bench.ask(bench.question(make_request(1)), bench.question(make_request(2))) == [kind.code] * 2
    assert bench.counts() == before
    bench.desk._obey_the_vault()
    assert bench.desk._projects == {}


def test_a_ledger_that_is_away_stops_the_desk_until_it_is_back(bench, monkeypatch):
    good = bench.question(make_request(1))
    first = bench.ask(good)
    opened = bench.desk._projects[bench.project.id].opened

    def away(_):
        raise TarnhelmError(LEDGER_BUSY)

    monkeypatch.setattr(opened.ledger, "bind_tickets", away)
    assert bench.ask(good) == ["LNK-008"]
    assert bench.availability.away is LEDGER_BUSY
    monkeypatch.undo()
    bench.availability.open()
    for _ in range(200):
        if bench.availability.serving():
            break
        threading.Event().wait(0.02)
    assert bench.ask(good) == first
    bench.availability.close()
    assert [name for name, _ in bench.log.lines] == ["assign-dependency-away", "assign-dependency-back"]


def test_settings_that_broke_make_objects_wait(bench):
    bench.availability.open()
    bench.down = STATE_UNSAFE
    for _ in range(200):
        if not bench.availability.serving():
            break
        threading.Event().wait(0.02)
    assert bench.ask(bench.question(make_request(1))) == ["LNK-045"]
    bench.availability.close()


def test_settings_that_were_never_good_are_told_at_the_start(bench):
    bench.down = STATE_UNSAFE
    with pytest.raises(TarnhelmError, match="state directory"):
        bench.availability.open()


def test_a_failure_that_nobody_foresaw_is_one_code_and_the_desk_goes_on(bench, monkeypatch):
    asked = bench.question(make_request(1))
    bench.ask(asked)
    opened = bench.desk._projects[bench.project.id].opened

    def broken(_):
        raise ZeroDivisionError("MRN000001")

    monkeypatch.setattr(opened.assigner, "assign_many", broken)
    assert bench.ask_all(asked) == ["LNK-047"]
    monkeypatch.undo()
    assert isinstance(bench.ask(asked)[0], AssignReply)


def test_a_new_revision_is_noticed_and_a_destroyed_project_is_let_go(bench):
    from tarnhelm.linkage.core.project import RunPins

    for digest in ("a" * 64, "b" * 64):
        bench.linkage.projects.upgrade("lung", RunPins(digest))
    (reply,) = bench.ask(bench.question(make_request(1)))
    bench.linkage.projects.upgrade("lung", RunPins("c" * 64))
    bench.times.passed += 5
    (later,) = bench.ask(bench.question(make_request(1)))
    assert (reply.revision, later.revision) == (2, 3)
    bench.linkage.destroy("lung")
    bench.times.passed += 5
    assert bench.ask(bench.question(make_request(1))) == ["LNK-009"]
    assert bench.desk._projects == {}


def test_a_project_that_nobody_made_is_refused_and_a_label_is_no_id(bench):
    for named in ("0" * 32, "lung"):
        (answer,) = bench.desk.answer(named, [bench.question(make_request(1))])
        assert answer.code == "LNK-001"


def test_what_comes_together_is_answered_together(bench, monkeypatch):
    sizes = []
    inner = bench.desk.answer
    monkeypatch.setattr(bench.desk, "answer", lambda project, asked: sizes.append(len(asked)) or inner(project, asked))
    bench.ask_all(*(bench.question(make_request(number % 9)) for number in range(300)))
    assert sum(sizes) == 300
    assert len(sizes) <= 6


def test_a_full_desk_says_so_and_whoever_left_is_not_assigned(bench, monkeypatch):
    monkeypatch.setattr("tarnhelm.linkage.desk._MOST_WAITING", 3)

    async def run():
        asked = [asyncio.ensure_future(bench.desk.ask(bench.question(make_request(number)))) for number in range(5)]
        for _ in range(2):
            await asyncio.sleep(0)
        codes = [one.exception().code for one in asked if one.done()]
        asked[0].cancel()
        bench.desk.open()
        return codes, await asyncio.gather(*asked, return_exceptions=True)

    codes, answers = asyncio.run(run())
    assert codes == ["LNK-045"] * 2
    assert [type(answer).__name__ for answer in answers[:3]] == ["CancelledError", "AssignReply", "AssignReply"]


def test_the_number_of_open_projects_is_bounded(bench, monkeypatch):
    monkeypatch.setattr("tarnhelm.linkage.desk._MOST_PROJECTS", 2)
    for label in ("one", "two", "three"):
        project = bench.linkage.create(label)
        ticket = AdmissionTicket(project.id, "o", int(time.time()) + 900, 1, label.encode().ljust(32))
        (answer,) = bench.desk.answer(project.id, [bench.question(make_request(1), ticket)])
        assert isinstance(answer, AssignReply)
    assert len(bench.desk._projects) == 2
