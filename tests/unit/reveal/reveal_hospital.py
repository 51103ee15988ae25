"""Alice approves and enrols, Bob asks, Carol approves; all with keys made from fixed bytes."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.cases import CaseKind, Step
from tarnhelm.reveal.core.keyring import new_keys
from tarnhelm.reveal.core.people import Role, make_card
from tarnhelm.reveal.local import LocalReveal

START = 1_800_000_000
DAY = 86_400
PROJECT = "0123456789abcdef0123456789abcdef"
PURPOSE = "Incidental finding, the physician must be told"
LEGAL = "Consent form version 3, section 8"
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where many small files with fsync cost little."""


class Drawn:
    """Bytes that look random and are the same in each run."""

    def __init__(self, seed):
        self._seed, self._count = seed, 0

    def __call__(self, size):
        self._count += 1
        return hashlib.shake_256(f"{self._seed} {self._count}".encode()).digest(size)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


def keys_of(name):
    return new_keys(Drawn(name))


def code_of(call):
    with pytest.raises(TarnhelmError) as caught:
        call()
    return caught.value.code


class Hospital:
    def __init__(self, state, *, anchors=(), syslog=()):
        self.clock = Clock()
        self.here = LocalReveal(state, clock=self.clock, random=Drawn("machine"))
        self.keys = {name: keys_of(name) for name in ("alice", "bob", "carol")}
        self.random = Drawn("cases")
        alice = self.keys["alice"]
        self.here.found(
            make_card(alice, "alice", "Alice Tremblay", "idp#alice"),
            [Role.APPROVER],
            alice,
            anchors=anchors,
            syslog=syslog,
        )
        self.enrol("bob", Role.REQUESTER, Role.APPROVER)
        self.enrol("carol", Role.APPROVER, Role.REQUESTER)
        self.desk = self.audit = None

    def enrol(self, name, *roles, keys=None, subject=None):
        keys = keys or self.keys.get(name) or keys_of(name)
        card = make_card(keys, name, name.title(), f"idp#{name}" if subject is None else subject)
        with self.here.audit() as audit:
            self.here.people().change(
                audit,
                lambda register: register.enrol(card, roles, self.keys["alice"], self.clock()),
                person=name,
                by="alice",
                what="enrol",
            )

    def revoke(self, name):
        self.close()
        with self.here.audit() as audit:
            self.here.people().change(
                audit,
                lambda register: register.revoke(name, self.keys["alice"], self.clock()),
                person=name,
                by="alice",
                what="revoke",
            )
        self.reopen()

    @contextmanager
    def open(self):
        self.reopen()
        try:
            yield self
        finally:
            self.close()

    def reopen(self):
        self._held = self.here.desk()
        self.desk = self._held.__enter__()

    def close(self):
        held, self._held = self._held, None
        if held is not None:
            held.__exit__(None, None, None)

    @property
    def register(self):
        return self.here.people().load()

    def case(self, by="bob", *, surrogates=("S-1",), kind=CaseKind.ANSWER, days=14, **changed):
        keys = changed.pop("keys", self.keys[by])
        given = {
            "case_id": self.random(16).hex(),
            "project": PROJECT,
            "kind": kind,
            "surrogates": surrogates,
            "purpose": PURPOSE,
            "legal_basis": LEGAL,
            "opened": self.clock(),
            "expires": self.clock() + days * DAY,
        }
        return cases.open_case(keys, self.register.get(by), **{**given, **changed})

    def opened(self, by="bob", **wanted):
        return self.desk.open(self.case(by, **wanted))

    def decision(self, case, by="alice", step=Step.APPROVE, *, keys=None, now=None, digest=None):
        return cases.decide(
            keys or self.keys[by],
            self.register.get(by),
            digest or self.desk.view(case.id).digest,
            step,
            self.clock() if now is None else now,
        )

    def decide(self, case, by="alice", step=Step.APPROVE, **changed):
        return self.desk.decide(case.id, self.decision(case, by, step, **changed))

    def approved(self, by="bob", approver="alice", **wanted):
        case = self.opened(by, **wanted)
        self.decide(case, approver)
        return case

    def wish(self, case, by="bob", *, keys=None, now=None):
        when = self.clock() if now is None else now
        digest = self.desk.view(case.id).digest
        return cases.collect(keys or self.keys[by], self.register.get(by), digest, when)

    def use(self, case, by="bob", kinds=frozenset({CaseKind.ANSWER})):
        claim = self.desk.claim(case.id, self.wish(case, by), kinds)
        return self.desk.finish(claim, result="0" * 64, found=1, records=1)

    def audit_lines(self):
        from tarnhelm.reveal.core.audit.verify import read_chain

        return read_chain((self.here.folder / "audit" / "local.jsonl").read_bytes(), "local").lines
