"""A steward's machine with its commands, on files or on the real OpenBao and PostgreSQL.

Alice enrols and approves, Sam is the steward. What the pipeline would do, assign and keep paths, is done in process.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from psycopg import sql
from tests.support.openbao import POLICIES
from tests.support.vault_sessions import private

from tarnhelm.common.assign import AssignRequest
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.linkage.core.projects_postgres import PostgresProjects
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.reveal.core.openers.local import LocalOpener
from tarnhelm.reveal.core.openers.transit import TransitOpener
from tarnhelm.reveal.steward.tool.main import run as steward
from tarnhelm.reveal.tool.main import run as reveal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.openbao import Bao

    from tarnhelm.linkage.core.project import Project

REASONS = ("--purpose", "Ticket 812 of the HIS team", "--legal-basis", "Request of the privacy office")
CANARY = "CANARY"
_TABLES = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'linkage' ORDER BY tablename"


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Released(NamedTuple):
    """What an object of a patient got."""

    patient_id: str
    study: str
    days: int


def study_of(mrn: str, number: int = 1) -> str:
    """An original Study Instance UID that nobody else has."""
    return f"1.2.840.9.{int(hashlib.sha256(mrn.encode()).hexdigest()[:6], 16)}.{number}"


class FilesPlace:
    """Keys and ledger are files beside the steward's own."""

    name = "files"

    def __init__(self, folder: Path) -> None:
        self.linkage = LocalLinkage(folder / "state")

    def create(self, _: StewardHospital, label: str) -> None:
        self.linkage.create(label)

    def project(self, label: str) -> Project:
        return self.linkage.projects.get(label)

    def assigner(self, label: str) -> LocalAssigner:
        return self.linkage.assigner(label)

    def opened(self, label: str) -> str:
        project = self.project(label)
        key = (self.linkage._folder / "keys" / project.id / "recipient.pem").read_bytes()
        return _text(LocalOpener(key).open(self.linkage.records(label)))

    def written(self) -> dict[str, bytes]:
        """What lies elsewhere than in the steward's own directory."""
        return {}

    def close(self) -> None:
        """Nothing is shared."""


class ServersPlace:
    """Keys in OpenBao, projects and ledger in PostgreSQL; the steward has an identity of its own there."""

    name = "servers"

    def __init__(self, folder: Path, bao: Bao, address: str) -> None:
        self.bao = bao
        self.address = address
        self.projects = PostgresProjects(address)
        bao.admin("PUT", "sys/policies/acl/tarnhelm-backup", {"policy": _policy("backup")})
        state = folder / "state"
        state.mkdir(mode=0o700)
        database = private(folder / "ledger.address", address + "\n")
        mine, backups = bao.login("steward"), bao.login("backup")
        ca = f'ca_file = "{bao.ca_file}"' if bao.ca_file else ""
        private(
            state / "steward.toml",
            f"""format = 1
[vault]
address = "{bao.address}"
{ca}
role_id = "{mine.role_id}"
secret_id_file = "{mine.secret_id_file}"
[backup]
role_id = "{backups.role_id}"
secret_id_file = "{backups.secret_id_file}"
[database]
address_file = "{database}"
""",
        )

    def create(self, hospital: StewardHospital, label: str) -> None:
        hospital.steward("project", "create", label, *hospital.by("sam"))

    def project(self, label: str) -> Project:
        return self.projects.get(label)

    def assigner(self, label: str) -> LocalAssigner:
        project = self.project(label)
        return LocalAssigner(project, self.bao.vault(), PostgresLedger(self.address, project.id))

    def opened(self, label: str) -> str:
        project = self.project(label)
        ledger = PostgresLedger(self.address, project.id)
        try:
            return _text(TransitOpener(self.bao.session("reveal")).open(ledger.records()))
        finally:
            ledger.close()

    def written(self) -> dict[str, bytes]:
        """What database and vault hold on their disks, the vault's audit included."""
        found = self.tables()
        found |= {str(path): path.read_bytes() for path in self.bao.folder.rglob("*") if path.is_file()}
        return found

    def tables(self) -> dict[str, bytes]:
        """Every table of the database, as COPY gives it."""
        found = {}
        with psycopg.connect(self.address) as connection:
            for (table,) in connection.execute(_TABLES).fetchall():
                with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(_table(table))) as copied:
                    found[table] = b"".join(bytes(block) for block in copied)
        return found

    def put_back(self, tables: dict[str, bytes]) -> None:
        """Bring the database to what it was, as an administrator does who restores an old copy of it."""
        with psycopg.connect(self.address) as connection:
            for table in tables:
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(_table(table)))
            for table, content in tables.items():
                with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(_table(table))) as copied:
                    copied.write(content)

    def close(self) -> None:
        self.projects.close()


@dataclass
class StewardHospital:
    """Commands of people, and what the pipeline does meanwhile."""

    folder: Path
    place: FilesPlace | ServersPlace
    call: Callable[..., Done]
    sent: int = field(default=0)

    def prepare(self) -> None:
        """Enrol two people and make a project."""
        private(self.folder / "passphrase", "correct horse\n")
        secret = ("--passphrase-file", self.folder / "passphrase")
        for name in ("alice", "sam"):
            self.reveal("person", "new", name, "--name", name.title(), "--folder", self.folder, *secret)
        self.share = self.folder / "share"
        self.share.mkdir()
        card = self.folder / "alice.card.json"
        self.reveal("init", card, *self.by("alice"), "--role", "approver", "--anchor", self.share)
        self.reveal("person", "enroll", self.folder / "sam.card.json", "--role", "steward", *self.by("alice"))
        self.place.create(self, "trial-7")

    # --- commands --------------------------------------------------------------------------------------------

    def steward(self, *arguments: object, code: int = 0) -> Done:
        return self._ran(steward, code, *arguments)

    def call_steward(self, *arguments: object) -> Done:
        """Run a command that may end either way."""
        return self.call(steward, *arguments)

    def reveal(self, *arguments: object, code: int = 0) -> Done:
        return self._ran(reveal, code, *arguments)

    def by(self, name: str) -> tuple[object, ...]:
        return ("--as", self.folder / f"{name}.pem", "--passphrase-file", self.folder / "passphrase")

    def opened(self, *arguments: object) -> str:
        """Open a case of the steward's; gives its id."""
        return self.steward(*arguments, *self.by("sam"), *REASONS).out.splitlines()[-1]

    def approved(self, *arguments: object) -> str:
        case = self.opened(*arguments)
        self.steward("case", "approve", case[:8], *self.by("alice"), "--yes")
        return case

    def carried_out(self, *arguments: object) -> dict[str, dict[str, Any]]:
        """Ask, approve, carry out; gives the papers."""
        case = self.approved(*arguments)
        return self.finished(case)

    def finished(self, case: str) -> dict[str, dict[str, Any]]:
        """Carry an approved case out; gives the papers, each checked."""
        target = self.folder / f"papers-{case[:8]}"
        self.steward("case", "carry-out", case[:8], *self.by("sam"), "--out", target)
        return self.papers(target)

    def papers(self, target: Path) -> dict[str, dict[str, Any]]:
        found = {}
        for path in sorted(target.iterdir()):
            found[path.name.split(".")[1]] = json.loads(self.steward("certificate", "check", path).out)
        return found

    # --- what the pipeline does ---------------------------------------------------------------------------------

    def send(self, mrn: str, *, study: str = "", label: str = "trial-7", accession: str = "") -> Released:
        """Assign one object, with a path of its own."""
        assigner = self.place.assigner(label)
        try:
            uid = study or study_of(mrn)
            back = (("patient_name", f"{CANARY}^{mrn}"), ("accession_number", accession or f"ACC{mrn}"))
            reply = assigner.assign(AssignRequest(mrn, "HOSP", uid, "F", (uid,), (), back))
            self.sent += 1
            pairs = [(f"/in/{CANARY}^{mrn}/1.dcm", f"{reply.subject_id}/{self.sent}.dcm")]
            assigner.record_paths(f"run-{self.sent}", pairs, [(reply.subject_id, reply.uids[uid])])
            assigner.flush()
        finally:
            assigner.close()
        return Released(reply.subject_id, reply.uids[uid], reply.date_offset_days)

    def opened_text(self, label: str = "trial-7") -> str:
        """All that whoever may decrypt can read of a project."""
        return self.place.opened(label)

    def file(self, name: str, text: str) -> Path:
        return private(self.folder / name, text)

    def written(self) -> dict[str, bytes]:
        """Every byte that the steward's machine and the servers hold, but the files that a person brought."""
        return self.place.written() | {
            str(path): path.read_bytes()
            for folder in (self.folder / "state", self.share, *self.folder.glob("papers-*"))
            for path in folder.rglob("*")
            if path.is_file()
        }

    def _ran(self, command: Callable[..., int], code: int, *arguments: object) -> Done:
        done = self.call(command, *arguments)
        assert done.code == code, (arguments, done)
        assert "Traceback" not in done.err
        return done


@pytest.fixture(params=["files", "servers"])
def steward_hospital(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[StewardHospital]:
    """A hospital of each kind in turn; ``own servers``, where a test names it, has a vault that it may break."""
    if request.param == "files":
        place: FilesPlace | ServersPlace = FilesPlace(tmp_path)
    else:
        server = request.getfixturevalue("own_bao" if request.param == "own servers" else "bao")
        place = ServersPlace(tmp_path, server, request.getfixturevalue("postgres").database())
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(command: Callable[..., int], *arguments: object) -> Done:
        capfd.readouterr()
        code = command([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    found = StewardHospital(tmp_path, place, call)
    found.prepare()
    yield found
    place.close()


def _table(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split("."))


def _policy(name: str) -> str:
    return (POLICIES / f"{name}.hcl").read_text()


def _text(found: Any) -> str:
    return "\n".join(f"{one.kind} {one.handle} {one.subject} {one.values} {one.pairs}" for one in found)
