"""A ward of four: Alice enrols and approves, Carol approves, Sam and Tom are stewards; a project with two patients."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager

import pytest

from tarnhelm.common.assign import AssignRequest
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.projects import ProjectSettings
from tarnhelm.linkage.custodian import create_custodian_key, load_public_key
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.reveal.core.cases import Step
from tarnhelm.reveal.core.keyring import new_keys
from tarnhelm.reveal.core.openers.local import LocalOpener
from tarnhelm.reveal.core.people import Role, make_card
from tarnhelm.reveal.local import LocalReveal
from tarnhelm.reveal.steward.office import Office
from tarnhelm.reveal.steward.places import LocalPlace

START = 1_800_000_000
DAY = 86_400
REASONS = {"purpose": "Wrong merge in the HIS, ticket 812", "legal_basis": "Request of the privacy office"}


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


def code_of(call):
    with pytest.raises(TarnhelmError) as caught:
        call()
    return caught.value.code


def study_of(mrn, number=1):
    return f"1.2.840.9.{int(hashlib.sha256(mrn.encode()).hexdigest()[:6], 16)}.{number}"


class Ward:
    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.clock = Clock()
        self.here = LocalReveal(self.state, clock=self.clock, random=Drawn("machine"))
        self.share = folder / "share"
        self.share.mkdir()
        self.keys = {name: new_keys(Drawn(name)) for name in ("alice", "carol", "sam", "tom")}
        alice = self.keys["alice"]
        card = make_card(alice, "alice", "Alice Tremblay", "idp#alice")
        self.here.found(card, [Role.APPROVER], alice, anchors=[str(self.share)])
        self.enrol("carol", Role.APPROVER)
        self.enrol("sam", Role.STEWARD, Role.APPROVER)
        self.enrol("tom", Role.STEWARD)
        create_custodian_key(folder / "custodian.pem", folder / "custodian.pub")
        self.linkage = LocalLinkage(self.state)
        public = load_public_key((folder / "custodian.pub").read_bytes())
        self.project = self.linkage.create("trial-7", ProjectSettings(custodian_public_key=public))

    @property
    def place(self):
        return LocalPlace(self.state)

    def enrol(self, name, *roles, keys=None, subject=None):
        keys = keys or self.keys[name]
        card = make_card(keys, name, name.title(), f"idp#{name}" if subject is None else subject)
        with self.here.audit() as audit:
            self.here.people().change(
                audit,
                lambda register: register.enrol(card, roles, self.keys["alice"], self.clock()),
                person=name,
                by="alice",
                what="enrol",
            )

    @contextmanager
    def office(self):
        with Office.of(self.here) as found:
            yield found

    def send(self, mrn, *, study="", name="", label="trial-7", accession=""):
        """Assign one object, with a path of its own, as the pump does."""
        assigner = self.linkage.assigner(label)
        try:
            uid = study or study_of(mrn)
            way_back = (("patient_name", name or f"CANARY^{mrn}"), ("accession_number", accession or f"ACC{mrn}"))
            reply = assigner.assign(AssignRequest(mrn, "HOSP", uid, "F", (uid,), (), way_back))
            owner = [(reply.subject_id, reply.uids[uid])]
            assigner.record_paths("run-1", [(f"/in/CANARY^{mrn}/1.dcm", f"S/{reply.subject_id}/1.dcm")], owner)
            assigner.flush()
        finally:
            assigner.close()
        return reply.subject_id, reply.uids[uid], reply.date_offset_days

    def done(self, act, work, *, by="sam", approver="alice"):
        """Open, approve and carry out."""
        case = self.approved(act, by=by, approver=approver)
        return case, self.carried_out(case, work, by=by)

    def opened(self, act, *, by="sam", days=14):
        with self.office() as office:
            return office.open(act, self.keys[by], days=days, **REASONS)

    def decided(self, case, *, approver="alice", step=Step.APPROVE):
        with self.office() as office:
            return office.decide(case.id, office.desk.view(case.id).digest, self.keys[approver], step)

    def approved(self, act, *, by="sam", approver="alice", days=14):
        case = self.opened(act, by=by, days=days)
        self.decided(case, approver=approver)
        return case

    def carried_out(self, case, work, *, by="sam"):
        with self.office() as office:
            return office.carry_out(case.id, self.keys[by], work(office) if callable(work) else work)

    def opened_text(self, label="trial-7"):
        """All that the custodian can read of a project, as one text."""
        opener = LocalOpener((self.folder / "custodian.pem").read_bytes())
        return "\n".join(
            f"{one.kind} {one.handle} {one.subject} {one.values} {one.pairs}"
            for one in opener.open(self.linkage.records(label))
        )


def lines(*rows):
    return io.BytesIO("\n".join(rows).encode())
