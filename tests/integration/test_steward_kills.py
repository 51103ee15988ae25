"""A steward's command that is killed between any two writes: what it did is carried on, once, and nothing is half."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.steward_hospital import CANARY, StewardHospital
from tests.support.vault_sessions import error_of

ROOT = Path(__file__).resolve().parents[2]
FILES = pytest.mark.parametrize("steward_hospital", ["files"], indirect=True)


def killed(hospital: StewardHospital, number: int, *command: object) -> int:
    """Run a command until its nth write; gives how it ended."""
    words = [sys.executable, "-m", "tests.support.steward_killer", str(number), *map(str, command)]
    done = subprocess.run(words, cwd=ROOT, env=dict(os.environ), capture_output=True, timeout=120, check=False)
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode


def each_death(hospital: StewardHospital, step: int, *command: object) -> Iterator[int]:
    """Kill the command at its first write, its next one, …, each time from the same beginning, until it lives."""
    kept = hospital.folder / "kept"
    for name in ("state", "share"):
        shutil.copytree(hospital.folder / name, kept / name)
    for number in range(1, 500, step):
        for name in ("state", "share"):
            shutil.rmtree(hospital.folder / name)
            shutil.copytree(kept / name, hospital.folder / name)
        if killed(hospital, number, *command) == 0:
            assert number > 15
            return
        yield number
    raise AssertionError("it never lives")


def carried_on(hospital: StewardHospital, case: str) -> set[str]:
    """Give the command again, or hear that it was done; gives the papers that there are."""
    done = hospital.call_steward("case", "carry-out", case[:8], *hospital.by("sam"))
    assert done.code == 0 or (done.code == 1 and "STW-002" in done.err), done
    hospital.reveal("audit", "verify")
    listed = hospital.steward("case", "papers", case[:8]).out
    assert not list((hospital.folder / "state" / "reveal" / "acts").iterdir())
    return {line.split()[0] for line in listed.splitlines()}


@FILES
@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.slow)])
def test_a_withdrawal(steward_hospital: StewardHospital, step: int) -> None:
    hospital = steward_hospital
    gone, stays = hospital.send("MRN1"), hospital.send("MRN2")
    who = hospital.file("mrn.txt", "MRN1\n")
    case = hospital.approved("subject", "withdraw", "--project", "trial-7", "--mrn-file", who, "--issuer", "HOSP")
    for _ in each_death(hospital, step, "case", "carry-out", case[:8], *hospital.by("sam")):
        assert carried_on(hospital, case) == {"certificate", "order"}
        target = hospital.folder / "papers-kill"
        shutil.rmtree(target, ignore_errors=True)
        hospital.steward("case", "papers", case[:8], "--out", target)
        papers = hospital.papers(target)
        assert papers["order"]["patient_ids"] == [gone.patient_id]
        assert papers["order"]["studies"] == [gone.study]
        assert papers["certificate"]["facts"]["records_before"] == 3
        assert error_of(hospital.send, "MRN1").code == "LNK-017"
        text = hospital.opened_text()
        assert "MRN1" not in text
        assert f"{CANARY}^MRN2" in text
        assert hospital.send("MRN2") == stays
        assert "1 ends hold" in hospital.steward("ends", "apply", *hospital.by("sam")).out


@FILES
@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.slow)])
def test_the_end_of_a_project(steward_hospital: StewardHospital, step: int) -> None:
    hospital = steward_hospital
    hospital.send("MRN1")
    case = hospital.approved("project", "destroy", "trial-7", "--backup-days", "90")
    for _ in each_death(hospital, step, "case", "carry-out", case[:8], *hospital.by("sam")):
        assert carried_on(hospital, case) == {"certificate"}
        assert error_of(hospital.send, "MRN1").code == "LNK-009"
        assert "1 ends hold" in hospital.steward("ends", "apply", *hospital.by("sam")).out
        keys = {path.name for path in (hospital.folder / "state" / "keys").rglob("*") if path.is_file()}
        assert keys <= {"destroyed", ".lock"}


@FILES
@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.slow)])
def test_a_restore(steward_hospital: StewardHospital, step: int) -> None:
    hospital = steward_hospital
    by = hospital.by("sam")
    hospital.steward("key", "recovery", "--shares", 3, "--needed", 2, "--out", hospital.folder / "shares", *by)
    hospital.send("MRN1")
    stays = hospital.send("MRN2")
    source = hospital.folder / "a.backup"
    hospital.steward("key", "backup", source, *by)
    who = hospital.file("mrn.txt", "MRN1\n")
    hospital.carried_out("subject", "withdraw", "--project", "trial-7", "--mrn-file", who, "--issuer", "HOSP")
    for part in ("keys", "projects", "ledger"):
        shutil.rmtree(hospital.folder / "state" / part)
    case = hospital.opened("key", "restore", source)
    hospital.steward("case", "approve", case[:8], *hospital.by("alice"), "--yes")
    shares = [word for path in sorted((hospital.folder / "shares").iterdir())[:2] for word in ("--share", path)]
    command = ("key", "restore", source, "--case", case[:8], *shares, *by)
    seen = set()
    for _ in each_death(hospital, step, *command):
        # Whatever is there by now, and whoever asks for it: it does not serve whom it must not.
        seen.add(error_of(hospital.send, "MRN1").code)
        done = hospital.call_steward(*command)
        assert done.code == 0 or "STW-002" in done.err, done
        assert error_of(hospital.send, "MRN1").code == "LNK-017"
        assert hospital.send("MRN2") == stays
        text = hospital.opened_text()
        assert "MRN1" not in text
        assert text.count(f"{CANARY}^MRN2") >= 2  # what the backup held, not only what came after it
        assert not (hospital.folder / "state" / "restoring").exists()
    assert "LNK-001" in seen
    assert seen <= {"LNK-001", "LNK-010", "LNK-017"}
