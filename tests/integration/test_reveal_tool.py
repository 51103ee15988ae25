"""The tool on one machine: from a cleaned project to an answer, with the custodian's key and two people."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tarnhelm.common.assign import AssignReply, AssignRequest
from tarnhelm.linkage.core.projects import ProjectSettings
from tarnhelm.linkage.custodian import create_custodian_key, load_public_key
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.reveal.tool.main import run

REASONS = ("--purpose", "Incidental finding, tell the physician", "--legal-basis", "Consent form v3, s. 8")
CANARIES = ("CANARYMRN", "CANARY^NAME", "CANARYACC", "CANARY/path")


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Clinic:
    """A project with one released study, and three people with key files."""

    def __init__(self, folder: Path, call: Callable[..., Done]) -> None:
        self.folder, self.call = folder, call
        self.secret = folder / "passphrase"
        self.secret.write_text("correct horse\n")
        create_custodian_key(folder / "custodian.pem", folder / "custodian.pub")
        public = load_public_key((folder / "custodian.pub").read_bytes())
        linkage = LocalLinkage(folder / "state")
        self.project = linkage.create("trial-7", ProjectSettings(custodian_public_key=public))
        self.original = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
        with_names = AssignRequest(
            patient_id="CANARYMRN",
            issuer="HOSPITAL",
            study_uid=self.original.StudyInstanceUID,
            sex="F",
            uids=(
                self.original.StudyInstanceUID,
                self.original.SeriesInstanceUID,
                self.original.SOPInstanceUID,
            ),
            values=(),
            way_back=(("patient_name", "CANARY^NAME"), ("accession_number", "CANARYACC")),
        )
        assigner = linkage.assigner("trial-7")
        self.reply: AssignReply = assigner.assign(with_names)
        assigner.record_paths("run-1", [("CANARY/path/1.dcm", "released/1.dcm")])
        assigner.close()
        self.released = folder / "released.dcm"
        copy = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
        copy.PatientID = self.reply.subject_id
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(copy, name, self.reply.uids[getattr(self.original, name)])
        copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
        copy.save_as(self.released)
        for name in ("alice", "bob", "carol"):
            self("person", "new", name, "--name", name.title(), "--folder", folder, *self.by())
        (folder / "share").mkdir()
        self("init", folder / "alice.card.json", *self.by("alice"), "--role", "approver", "--anchor", folder / "share")
        for name, role in (("bob", "requester"), ("carol", "approver")):
            self("person", "enroll", folder / f"{name}.card.json", "--role", role, *self.by("alice"))

    def __call__(self, *arguments: object, code: int = 0) -> Done:
        done = self.call(*arguments)
        assert done.code == code, done.out + done.err
        assert "Traceback" not in done.err
        return done

    def by(self, name: str = "") -> list[object]:
        file: list[object] = ["--passphrase-file", self.secret]
        return ["--as", self.folder / f"{name}.pem", *file] if name else file

    def opened(self, *arguments: object) -> str:
        done = self("case", "open", *self.by("bob"), "--project", "trial-7", *REASONS, *arguments)
        return done.out.strip()

    def approved(self, *arguments: object) -> str:
        case = self.opened(*arguments)
        self("case", "approve", case, *self.by("alice"), "--yes")
        return case

    def answer(self, case: str, target: str = "out.answer", *, code: int = 0, key: str = "custodian.pem") -> Done:
        return self(
            "case",
            "answer",
            case,
            self.folder / target,
            *self.by("bob"),
            "--custodian-key",
            self.folder / key,
            code=code,
        )

    def read(self, target: str = "out.answer") -> str:
        return self("case", "read", self.folder / target, *self.by("bob")).out


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Clinic:
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object) -> Done:
        code = run([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return Clinic(tmp_path, call)


def test_ask_approve_answer_read_verify(clinic: Clinic) -> None:
    case = clinic.opened("--dicom", clinic.released)
    clinic.answer(case, code=1)
    assert not (clinic.folder / "out.answer").exists()
    shown = clinic("case", "approve", case[:8], *clinic.by("alice"), "--yes").out
    assert "Incidental finding" in shown
    assert clinic.reply.uids[clinic.original.StudyInstanceUID] in shown
    clinic.answer(case[:8])
    content = (clinic.folder / "out.answer").read_bytes()
    assert not any(canary.encode() in content for canary in CANARIES)
    answer = clinic.read()
    for word in ("CANARYMRN", "CANARY^NAME", "CANARYACC", clinic.original.StudyInstanceUID):
        assert word in answer
    denied = clinic("case", "read", clinic.folder / "out.answer", *clinic.by("carol"), code=2)
    assert "RVL-026" in denied.err
    assert "RVL-017" in clinic.answer(case, "again.answer", code=1).err
    assert not (clinic.folder / "again.answer").exists()
    verified = clinic("audit", "verify").out
    assert re.search(r"local: \d+ lines hold\.", verified)
    assert "a head vouches" in verified
    assert "used" in clinic("case", "list").out
    assert "use-begun" in clinic("audit", "show", "--case", case[:6]).out


def test_who_asked_cannot_approve_and_the_audit_alarms(clinic: Clinic) -> None:
    case = clinic.opened(clinic.reply.subject_id)
    clinic("person", "enroll", clinic.folder / "bob.card.json", "--role", "approver", *clinic.by("alice"), code=1)
    clinic("case", "approve", case, *clinic.by("bob"), "--yes", code=1)
    assert "RVL-003" in clinic("audit", "show", "--case", case).out
    clinic("case", "deny", case, *clinic.by("carol"))
    assert "RVL-016" in clinic.answer(case, code=1).err


def test_a_wrong_custodians_key_opens_nothing_and_spends_nothing(clinic: Clinic) -> None:
    case = clinic.approved(clinic.reply.subject_id)
    create_custodian_key(clinic.folder / "other.pem", clinic.folder / "other.pub")
    assert "LNK-014" in clinic.answer(case, code=2, key="other.pem").err
    assert not (clinic.folder / "out.answer").exists()
    clinic.answer(case)
    assert "CANARYMRN" in clinic.read()


def test_without_a_named_custodian_the_machines_own_key_opens(clinic: Clinic) -> None:
    linkage = LocalLinkage(clinic.folder / "state")
    linkage.create("open")
    assigner = linkage.assigner("open")
    reply = assigner.assign(AssignRequest("CANARYMRN", "", "1.2.3.4", "F", (), (), ()))
    assigner.close()
    case = clinic("case", "open", *clinic.by("bob"), "--project", "open", *REASONS, reply.subject_id).out.strip()
    clinic("case", "approve", case, *clinic.by("alice"), "--yes")
    clinic("case", "answer", case, clinic.folder / "own.answer", *clinic.by("bob"))
    assert "CANARYMRN" in clinic.read("own.answer")


def test_a_csv_of_surrogates_gives_a_csv_of_originals(clinic: Clinic) -> None:
    (clinic.folder / "list.csv").write_text(f"PatientID\n{clinic.reply.subject_id}\nNOBODY\n")
    case = clinic.approved("--csv", clinic.folder / "list.csv")
    clinic.answer(case)
    target = clinic.folder / "patients.csv"
    clinic("case", "read", clinic.folder / "out.answer", *clinic.by("bob"), "--csv", target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert {(row["what"], row["original"]) for row in rows} >= {("patient_id", "CANARYMRN"), ("", "")}
    clinic("case", "read", clinic.folder / "out.answer", *clinic.by("bob"), "--csv", target, code=2)  # exists


@pytest.mark.parametrize("form", ["folder", "qido", "csv"])
def test_locate_finds_the_original_object_of_a_released_one(clinic: Clinic, form: str) -> None:
    case = clinic.approved("--kind", "locate", "--dicom", clinic.released)
    source = clinic.folder / "pacs"
    if form == "folder":
        source.mkdir()
        clinic.original.save_as(source / "1")
    elif form == "qido":
        listed = [{"0020000E": {"vr": "UI", "Value": [clinic.original.SeriesInstanceUID]}}]
        listed.append({"00080018": {"vr": "UI", "Value": [clinic.original.SOPInstanceUID]}})
        source.write_text(json.dumps(listed))
    else:
        source.write_text(
            f"SeriesInstanceUID,SOPInstanceUID\n{clinic.original.SeriesInstanceUID},{clinic.original.SOPInstanceUID}\n"
        )
    clinic("locate", case, clinic.folder / "found.answer", source, *clinic.by("bob"))
    answer = clinic.read("found.answer")
    for name in ("SeriesInstanceUID", "SOPInstanceUID"):
        surrogate = clinic.reply.uids[getattr(clinic.original, name)]
        assert re.search(rf"{re.escape(surrogate)}\s+uid\s+uid\s+{re.escape(getattr(clinic.original, name))}", answer)


def test_a_mapping_is_exported_on_a_case_of_that_kind_only(clinic: Clinic) -> None:
    target = clinic.folder / "mapping.csv"
    custodian = ("--custodian-key", clinic.folder / "custodian.pem")
    answer = clinic.approved(clinic.reply.subject_id)
    assert "RVL-032" in clinic("mapping", "export", answer, target, *clinic.by("bob"), *custodian, code=1).err
    assert not target.exists()
    case = clinic.approved("--kind", "mapping")
    clinic("mapping", "export", case, target, *clinic.by("bob"), *custodian)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    rows = list(csv.reader(target.read_text().splitlines()))
    assert rows[0] == ["kind", "surrogate", "subject", "what", "original"]
    assert ["paths", "released/1.dcm", "", "path", "CANARY/path/1.dcm"] in rows
    study = clinic.reply.uids[clinic.original.StudyInstanceUID]
    assert ["study", study, clinic.reply.subject_id, "study_uid", clinic.original.StudyInstanceUID] in rows
    assert (
        "RVL-017"
        in clinic("mapping", "export", case, clinic.folder / "m2.csv", *clinic.by("bob"), *custodian, code=1).err
    )


def test_the_record_of_a_case_names_no_patient(clinic: Clinic) -> None:
    case = clinic.approved(clinic.reply.subject_id)
    clinic.answer(case)
    for name in ("case.html", "case.md"):
        clinic("case", "show", case, "--record", clinic.folder / name)
        text = (clinic.folder / name).read_text()
        assert clinic.reply.subject_id in text
        assert "Alice" in text
        assert not any(canary in text for canary in CANARIES)


def test_the_record_outlives_the_project(clinic: Clinic) -> None:
    case = clinic.approved(clinic.reply.subject_id)
    LocalLinkage(clinic.folder / "state").destroy("trial-7")
    clinic("case", "show", case, "--record", clinic.folder / "case.md")
    assert "trial-7" in (clinic.folder / "case.md").read_text()
    assert "LNK-009" in clinic.answer(case, code=2).err


def test_the_approver_sees_the_case_and_is_asked(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    case = clinic.opened(clinic.reply.subject_id)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = clinic("case", "approve", case, *clinic.by("alice"), code=1)
    assert clinic.reply.subject_id in done.out
    assert "Approve this case?" in done.err
    assert "RVL-015" in clinic.answer(case, code=1).err
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    clinic("case", "approve", case, *clinic.by("alice"))
    clinic.answer(case)


def test_passphrases_are_asked_for_at_the_terminal(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["correct horse", "incorrect", "correct horse", "correct horse", "correct horse"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    new = ("person", "new", "dora", "--name", "Dora", "--folder", clinic.folder)
    assert "RVL-007" in clinic(*new, code=2).err
    assert not (clinic.folder / "dora.card.json").exists()
    clinic(*new)
    card, key = clinic.folder / "dora.card.json", clinic.folder / "alice.pem"
    clinic("person", "enroll", card, "--role", "auditor", "--as", key)
    assert "dora" in clinic("person", "list").out


def test_nothing_that_is_kept_or_said_holds_an_identifier(clinic: Clinic) -> None:
    said = []
    call = clinic.call

    def kept(*arguments: object) -> Done:
        done = call(*arguments)
        said.append(done.out + done.err)
        return done

    clinic.call = kept
    case = clinic.approved("--dicom", clinic.released)
    clinic.answer(case)
    locating = clinic.approved("--kind", "locate", "--dicom", clinic.released)
    (clinic.folder / "list").write_text(clinic.original.SOPInstanceUID)
    clinic("locate", locating, clinic.folder / "found.answer", clinic.folder / "list", *clinic.by("bob"))
    clinic("audit", "verify")
    clinic("audit", "show")
    words = [*CANARIES, clinic.original.StudyInstanceUID, clinic.original.SOPInstanceUID]
    files = [path for part in ("state", "share") for path in (clinic.folder / part).rglob("*") if path.is_file()]
    files += [clinic.folder / "out.answer", clinic.folder / "found.answer"]
    assert len(files) > 8
    for content in [path.read_bytes() for path in files] + [text.encode() for text in said]:
        assert not [word for word in words if word.encode() in content]
    private = clinic.folder / "state" / "reveal"
    for path in private.rglob("*"):
        assert not path.stat().st_mode & 0o077, path.name


@pytest.mark.parametrize("attack", ["edit", "delete", "swap", "cut"])
def test_verify_names_the_first_bad_line_and_ends_with_3(clinic: Clinic, attack: str) -> None:
    clinic.answer(clinic.approved(clinic.reply.subject_id))
    path = clinic.folder / "state" / "reveal" / "audit" / "local.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if attack == "edit":
        lines[2] = lines[2].replace(b'"by":"alice"', b'"by":"mallory"')
    elif attack == "delete":
        del lines[2]
    elif attack == "swap":
        lines[2], lines[4] = lines[4], lines[2]
    else:
        del lines[2:]
    path.write_bytes(b"".join(lines))
    assert "line 3" in clinic("audit", "verify", code=3).err
    # Nothing is asked or answered on top of it.
    done = clinic(
        "case", "open", *clinic.by("bob"), "--project", "trial-7", *REASONS, "X", code=0 if attack == "cut" else 3
    )
    assert attack == "cut" or "RVL-021" in done.err


def test_verify_says_what_cannot_be_known_after_the_anchor(clinic: Clinic) -> None:
    path = clinic.folder / "state" / "reveal" / "audit" / "local.jsonl"
    heads = clinic.folder / "share" / "local.heads"
    before = heads.read_bytes()
    clinic.opened(clinic.reply.subject_id)
    heads.write_bytes(before)  # as if the share had been away since
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    shown = clinic("audit", "verify").out
    assert "could be missing or written anew" in shown
    whole = clinic.folder / "kept.log"
    whole.write_bytes(b"Nov 24 03:00:00 log: " + before)
    clinic("audit", "verify", "--heads", whole)


def test_a_revoked_person_is_out_at_once(clinic: Clinic) -> None:
    case = clinic.approved(clinic.reply.subject_id)
    clinic("person", "revoke", "bob", *clinic.by("alice"))
    assert "RVL-004" in clinic.answer(case, code=1).err
    assert "revoked" in clinic("person", "list").out
    clinic("person", "revoke", "alice", *clinic.by("alice"), code=1)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["case", "show", "ffff"], 2, "RVL-008"),
        (["person", "revoke", "nobody", "--as", "{alice}"], 2, "RVL-001"),
        (["case", "open", "--as", "{bob}", "--project", "trial-7", *REASONS], 2, "RVL-027"),
        (["case", "open", "--as", "{bob}", "--project", "trial-7", "--kind", "destroy", *REASONS, "X"], 1, "RVL-032"),
        (["case", "open", "--as", "{bob}", "--project", "nobody", *REASONS, "X"], 2, "LNK-001"),
        (["case", "open", "--as", "{bob}", "--project", "trial-7", "--purpose", "x", "--legal-basis", "y", "X"], 2, "RVL-009"),
        (["init", "{folder}/alice.card.json", "--as", "{alice}"], 2, "RVL-028"),
        (["person", "new", "bob", "--name", "Bob", "--folder", "{folder}"], 2, "RVL-030"),
        (["case", "read", "{folder}/nothing", "--as", "{bob}"], 2, "RVL-026"),
        (["case", "approve"], 2, "Missing argument"),
        (["audit", "verify", "--heads", "{folder}/nothing"], 2, "RVL-030"),
    ],
)  # fmt: skip
def test_every_mistake_has_a_code(clinic: Clinic, arguments: list[str], code: int, says: str) -> None:
    places = {"folder": clinic.folder, "alice": clinic.folder / "alice.pem", "bob": clinic.folder / "bob.pem"}
    words = [word.format(**places) for word in arguments]
    keyed = clinic.by() if "--as" in words or "new" in words else []
    done = clinic(*words, *keyed, code=code)
    assert says in done.err


def test_a_wrong_passphrase_is_said(clinic: Clinic) -> None:
    clinic.secret.write_text("another one\n")
    assert "RVL-007" in clinic("person", "revoke", "bob", *clinic.by("alice"), code=2).err


def test_before_the_register_is_founded_everything_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    for words in (["case", "list"], ["person", "list"], ["audit", "verify"], ["audit", "show"]):
        assert run(words) == 2
        assert "RVL-029" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words",
    [[], ["person"], ["case"], ["mapping"], ["audit"], ["case", "open"], ["case", "answer"], ["locate"], ["init"]],
)
def test_help_teaches_with_an_example(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == 0
    assert f"tarnhelm-reveal {' '.join(words[:2])}".strip() in capfd.readouterr().out
