"""The office: an act becomes a case, two people sign, and then it is carried out, once.

The order in which things happen is the point. Carrying out is::

    claim     the signatures, the people, the expiry: checked; the audit says "use-begun", anchored
    prepare   would the act still do what was signed? What has to be known of the time before it is noted
    finish    the case is spent; the audit says "used", anchored
    do        the act; each step may be done twice, so what died half-way is carried on
    done      certificate, correction and order are on the disk; the audit says so; the act is erased

A case that was spent and whose act is not done is carried on by the same person with the same command; one whose act
is done is refused for ever. The audit says which of the two, and not a file that could be put back, or that was not
written any more.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import ACT_DONE, KEY_MISSING, OTHER_ARGUMENTS, STATE_UNSAFE, WRONG_SIGNATURE, TarnhelmError
from tarnhelm.linkage.core.private_files import read_private
from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.audit.verify import read_chain
from tarnhelm.reveal.core.cases import Step, Verdict
from tarnhelm.reveal.core.desk import Desk
from tarnhelm.reveal.core.people import Role
from tarnhelm.reveal.core.store_sqlite import SqliteCases
from tarnhelm.reveal.steward.acts import Act, ActFile, Papers
from tarnhelm.reveal.steward.certificate import Signer
from tarnhelm.reveal.steward.ends import TOLD, EndsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tarnhelm.reveal.core.audit.lines import AuditLine
    from tarnhelm.reveal.core.audit.writer import Audit
    from tarnhelm.reveal.core.cases import Case
    from tarnhelm.reveal.core.keyring import PersonKeys
    from tarnhelm.reveal.core.people import Person
    from tarnhelm.reveal.core.view import CaseView
    from tarnhelm.reveal.local import LocalReveal

__all__ = ["Handle", "Office", "Work"]

_DAY_SECONDS: Final = 86_400
_DONE: Final = "done"
_SHOWN_SURROGATES: Final = 100


@dataclass(frozen=True, slots=True)
class Handle:
    """What an act that is being carried out may use.

    Attributes
    ----------
    view
        The case, as it stood when it was claimed.
    act
        What was signed.
    notes
        What was noted of the time before.
    signer
        Signs certificates and orders.
    used
        The audit line that says the case was used.
    now
        Seconds since 1970.
    """

    view: CaseView
    act: Act
    notes: Mapping[str, Any] = field(repr=False)
    signer: Signer
    used: AuditLine
    now: int

    @property
    def case(self) -> Case:
        """The case."""
        return self.view.case


@dataclass(frozen=True, slots=True)
class Work:
    """How an act is done.

    Attributes
    ----------
    prepare
        Raises TarnhelmError where the act would not do what was signed; changes nothing. Gives notes: what has to be
        known of the time before the act, as JSON.
    do
        Does it, and gives papers by name; may be called again after it died half-way.
    """

    prepare: Callable[[Act], Mapping[str, Any]]
    do: Callable[[Handle], Mapping[str, bytes]]


class Office:
    """Opens, decides and carries out the steward's cases; holds the audit meanwhile.

    Parameters
    ----------
    here
        Register, cases and audit.
    audit, desk
        Of this process.
    signer
        The key of the audit's writer.

    Attributes
    ----------
    acts
        Where acts wait.
    papers
        What acts left behind.
    ends
        The book of withdrawals and destructions.
    """

    def __init__(self, here: LocalReveal, audit: Audit, desk: Desk, signer: Signer) -> None:
        self._here = here
        self.audit = audit
        self.desk = desk
        self.acts = ActFile(here.folder / "acts")
        self.papers = Papers(here.folder / "papers")
        self.signer = signer
        self.ends = EndsFile(
            here.folder / "ends.jsonl",
            here.people().load().writers(),
            audit=audit,
            told=self._told_ends,
            copies=[Path(anchor) for anchor in here.settings().anchors if anchor.startswith("/")],
        )

    @classmethod
    @contextmanager
    def of(cls, here: LocalReveal) -> Iterator[Office]:
        """Hold the office of a private state directory."""
        settings = here.settings()
        raw = read_private(here.folder / "audit" / f"{settings.writer}.key")
        if raw is None:
            raise TarnhelmError(KEY_MISSING, epoch=0)
        people = here.people()
        with here.audit(settings) as audit:
            store = SqliteCases(here.folder / "cases.sqlite")
            try:
                desk = Desk(people.load, store, audit, clock=here.clock, limits=settings.limits)
                yield cls(here, audit, desk, Signer(settings.writer, raw))
            finally:
                store.close()

    # --- one person ------------------------------------------------------------------------------------------

    def alone(self, keys: PersonKeys, project: str, step: str, count: int = 0) -> None:
        """Write the audit line of something that one steward may do, before it is done; RVL-001, -003, -004."""
        person = self.steward(keys)
        self.audit.append("steward", person=person.id, project=project, step=step, count=count)
        self.audit.head()

    def steward(self, keys: PersonKeys) -> Person:
        """Give the steward who holds the keys."""
        register = self._here.people().load()
        return register.active(register.by_signing_key(keys.signing_public).id, Role.STEWARD)

    # --- asking and deciding -----------------------------------------------------------------------------------

    def open(
        self,
        act: Act,
        keys: PersonKeys,
        *,
        purpose: str,
        legal_basis: str,
        days: int,
        surrogates: Iterable[str] = (),
    ) -> Case:
        """Open a case for an act; who signs must be a steward."""
        here = self._here
        now = here.clock()
        shown = [name for name in surrogates if name.isascii() and name.isprintable() and name.strip() == name != ""]
        signed = cases.open_case(
            keys,
            self.steward(keys),
            case_id=here.random(16).hex(),
            project=act.project,
            kind=act.kind,
            surrogates=shown if len(set(shown)) <= _SHOWN_SURROGATES else (),
            purpose=purpose,
            legal_basis=legal_basis,
            opened=now,
            expires=now + days * _DAY_SECONDS,
            arguments=act.digest,
        )
        self.acts.keep(act)
        return self.desk.open(signed)

    def compare(self, case_id: str, act: Act) -> None:
        """Check that a case is for this act and no other; STW-006."""
        case = self.desk.view(case_id).case
        if (case.arguments, case.kind, case.project) != (act.digest, act.kind, act.project):
            raise TarnhelmError(OTHER_ARGUMENTS)

    def decide(self, case_id: str, digest: str, keys: PersonKeys, step: Step) -> CaseView:
        """Approve or deny; what is approved must be on file here, as it was signed (STW-001)."""
        if step is Step.APPROVE:
            self.acts.of(self.desk.view(case_id).case)
        register = self._here.people().load()
        person = register.active(register.by_signing_key(keys.signing_public).id)
        return self.desk.decide(case_id, cases.decide(keys, person, digest, step, self._here.clock()))

    # --- carrying out ------------------------------------------------------------------------------------------

    def carry_out(self, case_id: str, keys: PersonKeys, work: Work) -> Mapping[str, bytes]:
        """Carry out an approved case, or carry on what died half-way; gives its papers by name.

        Raises
        ------
        TarnhelmError
            RVL-… where the case may not be used, STW-001 where its act is not what was signed, STW-002 where it
            was carried out; and what the work raises. Where it raises while preparing, the case is not spent.
        """
        view = self.desk.view(case_id)
        if self.is_done(case_id):
            self.acts.drop(view.case)  # where it died just before
            self.audit.append("alarm", case=case_id, project=view.case.project, code=ACT_DONE.code, step="use")
            raise TarnhelmError(ACT_DONE)
        act = self.acts.of(view.case)
        spent = view.state is Verdict.USED or (view.state is Verdict.APPROVED and self.audit.was_used(case_id))
        used = self._used_line(view, keys) if spent else self._spend(view, act, keys, work)
        handle = Handle(view, act, self.acts.notes(view.case), self.signer, used, self._here.clock())
        for name, content in work.do(handle).items():
            self.papers.put(case_id, name, content)
        self.audit.append(
            "steward",
            case=case_id,
            digest=view.digest,
            person=view.case.requester,
            project=view.case.project,
            kind=str(act.kind),
            step=_DONE,
        )
        self.audit.head()
        self.acts.drop(view.case)
        return self.papers.of(case_id)

    def is_done(self, case_id: str) -> bool:
        """Whether any audit here says that the case was carried out."""
        return case_id in self.done()

    def done(self) -> frozenset[str]:
        """Give the ids of the cases of which an audit here says that they were carried out."""
        told = (line for line in self._audited() if line.event == "steward" and line.fields.get("step") == _DONE)
        return frozenset(str(line.fields.get("case", "")) for line in told)

    def _spend(self, view: CaseView, act: Act, keys: PersonKeys, work: Work) -> AuditLine:
        here = self._here
        case = view.case
        register = here.people().load()
        person = register.active(register.by_signing_key(keys.signing_public).id)
        wish = cases.collect(keys, person, view.digest, here.clock())
        claim = self.desk.claim(case.id, wish, frozenset({act.kind}))
        try:
            self.acts.keep_notes(case, work.prepare(act))
        except TarnhelmError as error:
            self.desk.abandon(claim, error.code)
            raise
        return self.desk.finish(claim, result=act.digest, found=0, records=0).line

    def _used_line(self, view: CaseView, keys: PersonKeys) -> AuditLine:
        """Give the line of a case that was spent, for whoever spent it to carry it on; also after its time."""
        if keys.signing_public.hex() != view.case.requester_key:
            raise TarnhelmError(WRONG_SIGNATURE)
        self.steward(keys)
        line = next((line for line in self._lines(view.case.id) if line.event == "used"), None)
        if line is None or line.fields.get("digest") != view.digest:
            raise TarnhelmError(WRONG_SIGNATURE)
        self.audit.append("steward", case=view.case.id, project=view.case.project, step="carried-on")
        return line

    def _told_ends(self) -> frozenset[str]:
        return frozenset(str(line.fields["digest"]) for line in self._audited() if line.fields.get("step") == TOLD)

    def _lines(self, case_id: str) -> Iterator[AuditLine]:
        return (line for line in self._audited() if line.fields.get("case") == case_id)

    def _audited(self) -> Iterator[AuditLine]:
        for path in sorted((self._here.folder / "audit").glob("*.jsonl")):
            try:
                content = path.read_bytes()
            except OSError:
                raise TarnhelmError(STATE_UNSAFE) from None
            yield from read_chain(content, path.stem).lines
