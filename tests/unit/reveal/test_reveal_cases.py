"""An answer exists only after a valid approval by a different person, and at most once."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reveal_hospital import DAY, FAST, START, Drawn, Hospital, code_of, keys_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.cases import LIFE, CaseKind, Step, Verdict
from tarnhelm.reveal.core.desk import Desk, DeskLimits
from tarnhelm.reveal.core.documents import CASE, DECISION, Signed, sign
from tarnhelm.reveal.core.keyring import PersonKeys
from tarnhelm.reveal.core.people import Register, Role
from tarnhelm.reveal.core.store_sqlite import SqliteCases

ANSWER = frozenset({CaseKind.ANSWER})


# --- the table --------------------------------------------------------------------------------------------------


def test_use_follows_an_approval_only_and_what_is_over_stays_over():
    assert {state for (state, step), after in LIFE.items() if after is Verdict.USED} == {Verdict.APPROVED}
    assert {state for (state, step), after in LIFE.items() if after is Verdict.APPROVED} == {Verdict.OPENED}
    assert not {state for state, _ in LIFE} & {Verdict.USED, Verdict.DENIED, Verdict.EXPIRED}


# --- the ordinary way -------------------------------------------------------------------------------------------


def test_ask_approve_use(hospital):
    case = hospital.opened()
    assert hospital.desk.view(case.id).state is Verdict.OPENED
    assert hospital.decide(case).state is Verdict.APPROVED
    receipt = hospital.use(case)
    view = hospital.desk.view(case.id)
    assert view.state is Verdict.USED
    assert [step.step for step in view.steps] == [Step.OPEN, Step.APPROVE, Step.USE]
    assert [step.person for step in view.steps] == ["bob", "alice", "bob"]
    assert view.steps[-1].audit == f"local:{receipt.line.sequence}"
    events = [line.event for line in hospital.audit_lines()]
    assert events[-4:] == ["case-opened", "case-approved", "use-begun", "used"]
    assert receipt.head.sha == receipt.line.sha
    assert receipt.head.holds(hospital.register.writers()["local"])


# --- refusals ---------------------------------------------------------------------------------------------------


def test_without_an_approval_there_is_no_answer(hospital):
    assert code_of(lambda: hospital.use(hospital.opened())) == "RVL-015"


def test_a_case_is_used_once(hospital):
    case = hospital.approved()
    hospital.use(case)
    assert code_of(lambda: hospital.use(case)) == "RVL-017"
    assert code_of(lambda: hospital.decide(case, "carol")) == "RVL-017"


def test_two_claims_of_one_case_give_one_answer(hospital):
    case = hospital.approved()
    claims = [hospital.desk.claim(case.id, hospital.wish(case), ANSWER) for _ in range(2)]
    hospital.desk.finish(claims[0], result="0" * 64, found=1, records=1)
    assert code_of(lambda: hospital.desk.finish(claims[1], result="1" * 64, found=1, records=1)) == "RVL-017"


def test_many_threads_use_a_case_once(hospital):
    case = hospital.approved()
    claim = hospital.desk.claim(case.id, hospital.wish(case), ANSWER)
    ends = []

    def finish():
        try:
            hospital.desk.finish(claim, result="0" * 64, found=1, records=1)
            ends.append("used")
        except TarnhelmError as error:
            ends.append(error.code)

    threads = [threading.Thread(target=finish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["RVL-017"] * 7 + ["used"]


def test_who_asked_does_not_decide(hospital):
    case = hospital.opened("bob")
    assert code_of(lambda: hospital.decide(case, "bob")) == "RVL-011"
    assert code_of(lambda: hospital.decide(case, "bob", Step.DENY)) == "RVL-011"
    assert hospital.audit_lines()[-1].event == "alarm"
    assert hospital.desk.view(case.id).state is Verdict.OPENED


def test_a_key_that_the_same_human_once_had_does_not_decide(hospital):
    # Bob's first keys are revoked and he gets others under the same id; then a case by the old keys cannot be his own.
    case = hospital.opened("bob")
    hospital.revoke("bob")
    hospital.close()
    hospital.enrol("bob", Role.REQUESTER, Role.APPROVER, keys=keys_of("bob again"))
    hospital.reopen()
    assert code_of(lambda: hospital.decide(case, "bob", keys=keys_of("bob again"))) == "RVL-011"
    assert hospital.decide(case, "alice").state is Verdict.APPROVED
    # What was approved is an answer to the old key, which is revoked.
    assert code_of(lambda: hospital.use(case)) == "RVL-004"


def test_an_approval_by_a_key_that_was_revoked_since_does_not_count(hospital):
    case = hospital.approved("bob", "carol")
    hospital.revoke("carol")
    hospital.close()
    hospital.enrol("carol", Role.APPROVER, keys=keys_of("carol again"))
    hospital.reopen()
    assert hospital.register.active("carol", Role.APPROVER)
    assert code_of(lambda: hospital.use(case)) == "RVL-004"


def test_one_human_under_two_ids_is_damage_even_where_the_approval_was_recorded(hospital, monkeypatch):
    case = hospital.approved()
    monkeypatch.setattr(Register, "same_human", lambda *_: True)  # as if it had come out since
    assert code_of(lambda: hospital.use(case)) == "RVL-025"


def test_an_approval_holds_for_its_own_case_only(hospital):
    first, second = hospital.opened(), hospital.opened()
    approval = hospital.decision(first)
    hospital.desk.decide(first.id, approval)
    assert code_of(lambda: hospital.desk.decide(second.id, approval)) == "RVL-012"


def test_a_replayed_approval_does_not_undo_a_denial(hospital):
    case = hospital.opened()
    approval = hospital.decision(case)
    hospital.desk.decide(case.id, approval)
    assert code_of(lambda: hospital.desk.decide(case.id, approval)) == "RVL-018"
    hospital.decide(case, "carol", Step.DENY)
    assert code_of(lambda: hospital.desk.decide(case.id, approval)) == "RVL-016"
    assert code_of(lambda: hospital.use(case)) == "RVL-016"


def test_a_case_is_not_opened_twice(hospital):
    signed = hospital.case()
    hospital.desk.open(signed)
    assert code_of(lambda: hospital.desk.open(signed)) == "RVL-010"


def test_signatures_by_other_keys_and_on_other_words_are_refused(hospital):
    eve = keys_of("eve")
    assert code_of(lambda: hospital.desk.open(hospital.case("bob", keys=eve))) == "RVL-012"
    half = PersonKeys(hospital.keys["bob"].signing, eve.answer)  # Bob's signature, Eve would get the answer
    assert code_of(lambda: hospital.desk.open(hospital.case("bob", keys=half))) == "RVL-012"
    good = hospital.case()
    other = Signed(CASE, {**good.document, "surrogates": ["S-2"]}, good.signature)
    assert code_of(lambda: hospital.desk.open(other)) == "RVL-012"
    case = hospital.desk.open(good)
    assert code_of(lambda: hospital.decide(case, "alice", keys=eve)) == "RVL-012"
    denial = hospital.decision(case, "alice", Step.DENY)
    turned = Signed(DECISION, {**denial.document, "decision": "approve"}, denial.signature)
    assert code_of(lambda: hospital.desk.decide(case.id, turned)) == "RVL-012"
    hospital.decide(case)
    assert code_of(lambda: hospital.desk.claim(case.id, hospital.wish(case, "bob", keys=eve), ANSWER)) == "RVL-012"
    assert code_of(lambda: hospital.use(case, "carol")) == "RVL-012"  # a wish of somebody who did not ask
    assert hospital.use(case)


def test_a_decision_is_no_wish_to_collect(hospital):
    case = hospital.approved()
    decision = hospital.decision(case, "bob")
    assert code_of(lambda: hospital.desk.claim(case.id, decision, ANSWER)) == "RVL-012"


def test_roles_are_needed_for_each_step(hospital):
    assert code_of(lambda: hospital.desk.open(hospital.case("alice"))) == "RVL-003"
    hospital.close()
    hospital.keys["dora"] = keys_of("dora")
    hospital.enrol("dora", Role.REQUESTER, Role.AUDITOR)
    hospital.reopen()
    case = hospital.opened("bob")
    assert code_of(lambda: hospital.decide(case, "dora")) == "RVL-003"
    stewards = hospital.case("bob", kind=CaseKind.DESTROY, surrogates=(), arguments="a" * 64)
    assert code_of(lambda: hospital.desk.open(stewards)) == "RVL-003"


def test_a_revoked_person_stops_a_case_at_every_step(hospital):
    approved, opened = hospital.approved("bob", "carol"), hospital.opened("bob")
    hospital.revoke("carol")
    assert code_of(lambda: hospital.decide(opened, "carol")) == "RVL-004"
    assert code_of(lambda: hospital.use(approved)) == "RVL-004"
    hospital.revoke("bob")
    assert code_of(lambda: hospital.decide(opened, "alice")) == "RVL-004"
    assert code_of(lambda: hospital.opened("bob")) == "RVL-004"


@pytest.mark.parametrize("seconds", [-301, 301, -DAY, DAY])
def test_what_is_signed_by_a_clock_too_far_off_is_refused(hospital, seconds):
    now = hospital.clock()
    early = hospital.case(opened=now + seconds, expires=now + 20 * DAY)
    assert code_of(lambda: hospital.desk.open(early)) == "RVL-013"
    case = hospital.opened()
    assert code_of(lambda: hospital.decide(case, now=now + seconds)) == "RVL-013"
    hospital.decide(case)
    wish = hospital.wish(case, now=now + seconds)
    assert code_of(lambda: hospital.desk.claim(case.id, wish, ANSWER)) == "RVL-013"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_little_difference_of_clocks_is_borne(hospital, seconds):
    now = hospital.clock()
    case = hospital.opened(opened=now + seconds, expires=now + DAY)
    hospital.decide(case, now=now + seconds)
    wish = hospital.wish(case, now=now + seconds)
    hospital.desk.finish(hospital.desk.claim(case.id, wish, ANSWER), result="0" * 64, found=0, records=0)


def test_an_expired_case_stays_expired_when_the_clock_goes_back(hospital):
    opened, approved = hospital.opened(days=1), hospital.approved(days=1)
    hospital.clock.now += DAY + 1
    assert hospital.desk.view(approved.id).state_at(hospital.clock()) is Verdict.EXPIRED
    assert code_of(lambda: hospital.decide(opened)) == "RVL-014"
    assert code_of(lambda: hospital.use(approved)) == "RVL-014"
    hospital.clock.now -= 200
    assert code_of(lambda: hospital.use(approved)) == "RVL-014"
    hospital.clock.now -= DAY
    assert code_of(hospital.opened) == "RVL-013"  # the audit's last line is a day ahead


def test_a_clock_put_back_a_little_makes_nothing_younger(hospital):
    case = hospital.approved(days=1)
    hospital.clock.now += DAY + 100
    hospital.opened()  # the audit has seen the later time
    hospital.clock.now -= 200
    assert hospital.clock() < case.expires
    assert code_of(lambda: hospital.use(case)) == "RVL-014"


def test_bounds_of_a_case(hospital):
    too_many = tuple(f"S-{number}" for number in range(101))
    assert code_of(lambda: hospital.opened(surrogates=too_many)) == "RVL-020"
    assert code_of(lambda: hospital.opened(days=91)) == "RVL-009"
    assert code_of(lambda: hospital.case(days=-1)) == "RVL-009"
    for changed in (
        {"surrogates": ()},
        {"surrogates": ("S-1\n",)},
        {"surrogates": ("x" * 65,)},
        {"purpose": "why"},
        {"purpose": "Escape \x1b[2J sequences"},
        {"legal_basis": ""},
        {"case_id": "../../etc"},
        {"project": ""},
        {"arguments": "short"},
        {"kind": CaseKind.MERGE},  # of the steward: needs the digest of its arguments
    ):
        assert code_of(lambda changed=changed: hospital.case(**changed)) == "RVL-009", changed


def test_a_case_gives_only_what_it_was_approved_for(hospital):
    case = hospital.approved(kind=CaseKind.LOCATE)
    assert code_of(lambda: hospital.use(case)) == "RVL-032"


def limited(hospital, **limits):
    hospital.close()
    text = (hospital.here.folder / "reveal.toml").read_text()
    for name, value in limits.items():
        before = getattr(DeskLimits(), name)
        assert f"{name} = {before}\n" in text
        text = text.replace(f"{name} = {before}\n", f"{name} = {value}\n")
    (hospital.here.folder / "reveal.toml").write_text(text)
    hospital.reopen()


def test_the_days_limits_hold_for_a_requester_and_a_project_and_raise_an_alarm(hospital):
    limited(hospital, answers_per_day_of_requester=2, answers_per_day_of_project=3)
    waiting = [hospital.approved("bob") for _ in range(3)] + [hospital.approved("carol") for _ in range(2)]
    hospital.use(waiting[0])
    hospital.use(waiting[1])
    assert code_of(lambda: hospital.use(waiting[2])) == "RVL-019"
    assert hospital.audit_lines()[-1].event == "alarm"
    hospital.use(waiting[3], "carol")
    assert code_of(lambda: hospital.use(waiting[4], "carol")) == "RVL-019"
    hospital.clock.now += DAY + 1
    hospital.use(waiting[2])


# --- whoever holds the store ------------------------------------------------------------------------------------


def rewrite(hospital, *statements, add=None):
    """Do what somebody with the file can do."""
    hospital.close()
    connection = sqlite3.connect(hospital.here.folder / "cases.sqlite")
    for statement in ("DROP TRIGGER no_change", "DROP TRIGGER no_removal", "DROP INDEX used_once", *statements):
        connection.execute(statement)
    if add is not None:
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", add)
    connection.commit()
    connection.close()
    hospital.reopen()


def test_the_store_refuses_changes_by_itself(hospital):
    case = hospital.approved()
    connection = sqlite3.connect(hospital.here.folder / "cases.sqlite")
    for statement in ("UPDATE event SET step = 'use'", "DELETE FROM event"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            connection.execute(statement)
    connection.close()
    assert hospital.use(case)


def test_an_approval_that_nobody_signed_is_damage_and_no_approval(hospital):
    signed = hospital.case()
    case = hospital.desk.open(signed)
    for document in (b"", signed.to_bytes()):
        rewrite(hospital, add=(case.id, 2, "approve", START, document, "p", "alice", ""))
        assert code_of(lambda: hospital.use(case)) == "RVL-025"
        restore(hospital, case)


def restore(hospital, case):
    hospital.close()
    connection = sqlite3.connect(hospital.here.folder / "cases.sqlite")
    for statement in ("DROP TRIGGER no_change", "DROP TRIGGER no_removal"):
        connection.execute(statement)
    connection.execute("DELETE FROM event WHERE case_id = ? AND number = 2", (case.id,))
    connection.commit()
    connection.close()
    hospital.reopen()


def test_a_forged_approval_by_who_asked_is_damage(hospital):
    case = hospital.opened("bob")
    own = hospital.decision(case, "bob").to_bytes()
    rewrite(hospital, add=(case.id, 2, "approve", START, own, "p", "bob", ""))
    assert code_of(lambda: hospital.use(case)) == "RVL-025"


def test_a_changed_case_is_damage(hospital):
    case = hospital.approved()
    rewrite(hospital, "UPDATE event SET document = CAST(replace(CAST(document AS TEXT), 'S-1', 'S-2') AS BLOB)")
    assert code_of(lambda: hospital.use(case)) == "RVL-025"


def test_a_store_put_back_from_a_copy_does_not_answer_again(hospital):
    case = hospital.approved()
    hospital.use(case)
    rewrite(hospital, "DELETE FROM event WHERE step = 'use'")
    assert hospital.desk.view(case.id).state is Verdict.APPROVED
    assert code_of(lambda: hospital.use(case)) == "RVL-017"
    rewrite_all = hospital.case(case_id=case.id)
    assert code_of(lambda: hospital.desk.open(rewrite_all)) == "RVL-010"


# --- any order of events ----------------------------------------------------------------------------------------

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("ordinary"), st.integers(1, 4)),
        st.tuples(st.just("open"), st.sampled_from(["bob", "carol", "alice"])),
        st.tuples(st.just("decide"), st.sampled_from(["alice", "bob", "carol"]), st.sampled_from(["approve", "deny"])),
        st.tuples(st.just("replay"), st.integers(0, 30)),
        st.tuples(st.just("claim"), st.sampled_from(["bob", "carol", "alice"])),
        st.tuples(st.just("finish"), st.integers(0, 5)),
        st.tuples(st.just("forge"), st.sampled_from(["approve", "deny"])),
        st.tuples(st.just("wait"), st.sampled_from([1, 100, 400, DAY // 2, DAY + 1, -100])),
        st.tuples(st.just("which"), st.integers(0, 2)),
    ),
    min_size=4,
    max_size=30,
)


class Play:
    """Plays moves, and keeps by itself who approved what and what was used."""

    def __init__(self, hospital):
        self.hospital, self.cases, self.current = hospital, [], 0
        self.claims, self.decisions, self.uses = [], [], []

    def play(self, move):
        getattr(self, move[0])(*move[1:])

    @property
    def case(self):
        return self.cases[self.current % len(self.cases)] if self.cases else None

    def which(self, number):
        self.current = number

    def wait(self, seconds):
        self.hospital.clock.now += seconds

    def ordinary(self, steps):
        """The right way, or its beginning, so that many plays come far."""
        self.open("bob")
        self.current = len(self.cases) - 1
        way = [lambda: self.decide("alice", "approve"), lambda: self.claim("bob"), lambda: self.finish(-1)]
        for step in way[: steps - 1]:
            step()

    def open(self, by):
        self.cases.append(self.hospital.opened(by, days=1))

    def decide(self, by, step):
        signed = self.hospital.decision(self.case, by, Step(step))
        self.decisions.append((self.case, signed))
        self.hospital.desk.decide(self.case.id, signed)

    def replay(self, number):
        _, signed = self.decisions[number % len(self.decisions)]
        self.hospital.desk.decide(self.case.id, signed)

    def forge(self, step):
        view = self.hospital.desk.view(self.case.id)
        document = {"case_digest": view.digest, "decision": step, "person": "alice", "time": self.hospital.clock()}
        self.hospital.desk.decide(self.case.id, sign(DECISION, document, keys_of("eve").signing))

    def claim(self, by):
        self.claims.append(self.hospital.desk.claim(self.case.id, self.hospital.wish(self.case, by), ANSWER))

    def finish(self, number):
        claim = self.claims[number % len(self.claims)]
        self.hospital.desk.finish(claim, result="0" * 64, found=0, records=0)
        self.uses.append(claim.case.id)


def check_play(moves):
    with tempfile.TemporaryDirectory(dir=FAST) as folder, Hospital(Path(folder) / "state").open() as hospital:
        play = Play(hospital)
        for move in moves:
            try:
                play.play(move)
            except (TarnhelmError, ZeroDivisionError, AttributeError):
                continue  # refused, or nothing there yet to act on
        event(f"{min(len(play.uses), 3)} used")
        assert len(play.uses) == len(set(play.uses))
        lines = hospital.audit_lines()
        for case in play.cases:
            view = hospital.desk.view(case.id)
            used = view.step(Step.USE)
            assert (used is not None) is (case.id in play.uses)
            if used is None:
                continue
            approval = view.step(Step.APPROVE)
            assert approval is not None
            assert approval.person != case.requester
            assert approval.person in {"alice", "carol", "bob"}
            assert view.step(Step.DENY) is None
            assert approval.time <= used.time <= case.expires
            told = [line.event for line in lines if line.fields.get("case") == case.id]
            assert told.count("used") == 1
            assert told.index("case-approved") < told.index("use-begun") < told.index("used")


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(moves=MOVES)
def test_in_any_order_an_answer_follows_a_valid_approval_by_another_person_once(moves):
    check_play(moves)


@pytest.mark.slow
@settings(QUICK, max_examples=400)
@given(moves=MOVES)
def test_in_very_many_orders_too(moves):
    check_play(moves)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(st.sampled_from(Step), max_size=12))
def test_the_store_adds_each_number_once_and_one_use_whatever_is_asked(steps):
    from tarnhelm.reveal.core.store import CaseEvent

    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        Path(folder).chmod(0o700)
        store = SqliteCases(Path(folder) / "cases.sqlite")
        expected = []
        for step in steps:
            for number in (len(expected), len(expected) + 1, len(expected) + 2):
                if number < 1:
                    continue
                added = store.add(CaseEvent("c", number, step, START, b"", "p", "bob"))
                right = number == len(expected) + 1 and not (step is Step.USE and Step.USE in expected)
                assert added is right
                if added:
                    expected.append(step)
                    break
        assert [event.step for event in store.events("c")] == expected
        assert store.uses("bob", "p", START).of_person == expected.count(Step.USE)
        assert store.uses("bob", "p", START + 1).of_project == 0
        store.close()


def test_two_desks_on_one_store_answer_once(hospital, tmp_path):
    """Two processes, each with an audit of its own: the store's compare-and-set decides."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tarnhelm.reveal.core.audit.writer import Audit

    case = hospital.approved()
    store = SqliteCases(hospital.here.folder / "cases.sqlite")
    key = Ed25519PrivateKey.from_private_bytes(Drawn("second")(32))
    with Audit(tmp_path / "second", "second", key, clock=hospital.clock) as audit:
        other = Desk(hospital.here.people().load, store, audit, clock=hospital.clock)
        claims = [desk.claim(case.id, hospital.wish(case), ANSWER) for desk in (hospital.desk, other)]
        other.finish(claims[1], result="0" * 64, found=0, records=0)
        assert code_of(lambda: hospital.desk.finish(claims[0], result="0" * 64, found=0, records=0)) == "RVL-017"
    store.close()


def test_a_document_of_another_form_is_refused(hospital):
    case = hospital.opened()
    keys = hospital.keys["alice"]
    for document in (
        {},
        {"case_digest": "", "person": "alice", "time": "now", "decision": "approve"},
        {"decision": "use"},
    ):
        assert code_of(lambda document=document: hospital.desk.decide(case.id, sign(DECISION, document, keys.signing)))
    assert code_of(lambda: cases.case_of(sign(CASE, {}, keys.signing))) == "RVL-009"
    assert code_of(lambda: hospital.desk.view("f" * 32)) == "RVL-008"
