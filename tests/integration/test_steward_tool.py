"""The commands of the steward, on files and on the real OpenBao with PostgreSQL: asked by Sam, approved by Alice."""

from __future__ import annotations

import re

import pytest
from tests.support.steward_hospital import CANARY, ServersPlace, StewardHospital

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.reveal.core.openers.transit import TransitOpener

A40 = (
    "MSH|^~\\&|ADT|HOSP|TARNHELM|HOSP|20261124||ADT^A40^ADT_A39|1|P|2.5.1||||||UNICODE UTF-8\r"
    "EVN|A40|20261124\r"
    "PID|1||{surviving}^^^HOSP^MR||CANARY^SURVIVOR\r"
    "MRG|{prior}^^^HOSP^MR\r"
)


def refused(hospital: StewardHospital, mrn: str, **given: str) -> str:
    with pytest.raises(TarnhelmError) as caught:
        hospital.send(mrn, **given)
    return caught.value.code


def servers(hospital: StewardHospital) -> bool:
    return hospital.place.name == "servers"


def test_a_merge_from_hl7_and_its_undoing(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    first, second = hospital.send("MRN1"), hospital.send("MRN2")
    message = hospital.file("a40.hl7", A40.format(prior="MRN1", surviving="MRN2"))
    command = ("subject", "merge", "--project", "trial-7", "--hl7", message)
    case = hospital.approved(*command)
    # Who approves gives the same file, and hears whether the case is for it.
    hospital.steward(*command, "--check", case[:8])
    other = hospital.file("other.hl7", A40.format(prior="MRN1", surviving="MRN3"))
    assert "STW-006" in hospital.steward(*command[:-1], other, "--check", case[:8], code=1).err
    papers = hospital.finished(case)
    (change,) = papers["correction"]["changes"]
    assert change["released_patient_ids"] == [first.patient_id]
    assert change["studies"] == [first.study]
    assert change["epochs"] == [
        {
            "epoch": 1,
            "old_patient_id": first.patient_id,
            "new_patient_id": second.patient_id,
            "date_shift_days": second.days - first.days,
        }
    ]
    assert hospital.send("MRN1") == (second.patient_id, first.study, second.days)
    history = hospital.steward("subject", "history", "--project", "trial-7").out
    assert re.search(rf"^1 +link +{first.patient_id} +{second.patient_id} .*holds", history, re.MULTILINE)
    papers = hospital.carried_out("subject", "unmerge", "1", "--project", "trial-7")
    assert papers["correction"]["changes"][0]["epochs"][0]["new_patient_id"] == first.patient_id
    assert hospital.send("MRN1") == first
    assert "taken back" in hospital.steward("subject", "history", "--project", "trial-7").out
    assert not [path for path, content in hospital.written().items() if b"MRN1" in content or b"SURVIVOR" in content]


def test_a_merge_from_a_csv_and_from_a_pair(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    hospital.send("MRN1")
    second, fourth = hospital.send("MRN2"), hospital.send("MRN4")
    table = hospital.file(
        "merges.csv", "prior;prior_issuer;surviving;surviving_issuer\nMRN1;HOSP;MRN2;HOSP\nMRN3;HOSP;MRN4;HOSP\n"
    )
    hospital.carried_out("subject", "merge", "--project", "trial-7", "--csv", table)
    assert hospital.send("MRN1").patient_id == second.patient_id
    assert hospital.send("MRN3").patient_id == fourth.patient_id
    pair = hospital.file("pair.txt", "MRN2\nMRN4\n")
    hospital.carried_out("subject", "merge", "--project", "trial-7", "--pair-file", pair, "--issuer", "HOSP")
    assert hospital.send("MRN1").patient_id == fourth.patient_id
    bad = hospital.file("bad.csv", "prior,surviving\nMRN5,\n")
    merge = ("subject", "merge", "--project", "trial-7", "--csv", bad, *hospital.by("sam"), "--purpose", "Ticket 813")
    said = hospital.steward(*merge, code=2)
    assert "STW-003" in said.err
    assert "MRN5" not in said.err


def test_a_study_that_was_filed_under_the_wrong_patient(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    stays = hospital.send("MRN1", study="1.2.3.1")
    wrong = hospital.send("MRN1", study="1.2.3.2")
    right = hospital.send("MRN2")
    owner = hospital.file("owner.txt", "MRN2\n")
    papers = hospital.carried_out(
        "subject", "split", wrong.study, "--project", "trial-7", "--into-file", owner, "--issuer", "HOSP"
    )
    assert papers["correction"]["changes"][0]["studies"] == [wrong.study]
    assert hospital.send("MRN1", study="1.2.3.2").patient_id == right.patient_id
    assert hospital.send("MRN1", study="1.2.3.1") == stays
    hospital.carried_out("subject", "unsplit", "1", "--project", "trial-7")
    assert hospital.send("MRN1", study="1.2.3.2") == wrong


@pytest.mark.parametrize("way", ["mrn", "surrogate"])
def test_a_withdrawal(steward_hospital: StewardHospital, way: str) -> None:
    hospital = steward_hospital
    gone, stays = hospital.send("MRN1"), hospital.send("MRN2")
    assert f"{CANARY}^MRN1" in hospital.opened_text()
    who: tuple[object, ...] = ("--surrogate", gone.patient_id)
    if way == "mrn":
        who = ("--mrn-file", hospital.file("mrn.txt", "MRN1\n"), "--issuer", "HOSP")
    case = hospital.approved("subject", "withdraw", "--project", "trial-7", *who)
    shown = hospital.steward("case", "show", case[:8]).out
    assert f"trial-7 ({hospital.place.project('trial-7').id})" in shown
    assert gone.patient_id in shown
    assert gone.study in shown
    papers = hospital.finished(case)
    assert papers["order"]["patient_ids"] == [gone.patient_id]
    assert papers["order"]["studies"] == [gone.study]
    facts = papers["certificate"]["facts"]
    assert (facts["records_left"], facts["people_refused_from_now_on"]) == (0, 1)
    assert [one["person"] for one in papers["certificate"]["signatures"]] == ["sam", "alice"]
    text = hospital.opened_text()
    assert "MRN1" not in text
    assert f"{CANARY}^MRN2" in text
    assert refused(hospital, "MRN1") == "LNK-017"
    assert refused(hospital, "MRN1", study="1.2.3.99") == "LNK-017"
    assert hospital.send("MRN2") == stays
    assert re.search(r"withdraw +trial-7 +sam .*carried out", hospital.steward("case", "list").out)
    assert "STW-002" in hospital.steward("case", "carry-out", case[:8], *hospital.by("sam"), code=1).err
    assert not [path for path, content in hospital.written().items() if b"MRN1" in content]
    hospital.reveal("audit", "verify")
    assert re.search(r"^1 ends hold", hospital.steward("ends", "apply", *hospital.by("sam")).out)


@pytest.mark.parametrize("steward_hospital", ["servers"], indirect=True)
def test_a_database_that_somebody_put_back_serves_nothing_that_ended(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    place = hospital.place
    assert isinstance(place, ServersPlace)
    place.create(hospital, "trial-8")
    hospital.send("MRN1", label="trial-8")
    hospital.send("MRN1")
    stays = hospital.send("MRN2")
    before = place.tables()
    assert before["linkage.record"]
    who = hospital.file("mrn.txt", "MRN1\n")
    hospital.carried_out("subject", "withdraw", "--project", "trial-7", "--mrn-file", who, "--issuer", "HOSP")
    hospital.carried_out("project", "destroy", "trial-8", "--backup-days", "30")
    place.put_back(before)
    assert f"{CANARY}^MRN1" in hospital.opened_text()  # until the steward says that it may serve
    assert "2 ends hold" in hospital.steward("ends", "apply", *hospital.by("sam")).out
    text = hospital.opened_text()
    assert "MRN1" not in text
    assert f"{CANARY}^MRN2" in text
    assert refused(hospital, "MRN1") == "LNK-017"
    assert hospital.send("MRN2") == stays
    assert refused(hospital, "MRN1", label="trial-8") == "LNK-009"


def test_a_list_of_a_study_and_an_old_link_table(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    before = hospital.send("MRN1")
    table = hospital.file(
        "list.csv",
        "PatientID,IssuerOfPatientID,AccessionNumber,study_id,offset_days\n"
        "MRN1,HOSP,,STUDY-001,-100\nMRN2,HOSP,,STUDY-002,\n,HOSP,ACC77,STUDY-003,\n",
    )
    said = hospital.steward("cohort", "preview", table, "--project", "trial-7").err
    assert re.search(r"of them renamed +1", said)
    papers = hospital.carried_out("cohort", "import", table, "--project", "trial-7")
    (change,) = papers["correction"]["changes"]
    assert change["epochs"][0]["old_patient_id"] == before.patient_id
    assert change["epochs"][0]["new_patient_id"] == "STUDY-001"
    assert change["epochs"][0]["date_shift_days"] == -100 - before.days
    assert hospital.send("MRN1") == ("STUDY-001", before.study, -100)
    assert hospital.send("MRN2").patient_id == "STUDY-002"
    assert hospital.send("MRN9", accession="ACC77").patient_id == "STUDY-003"
    assert refused(hospital, "MRN3") == "LNK-018"
    bad = hospital.file("bad.csv", "PatientID,study_id\nMRN5,MRN5\nMRN6,\n")
    said = hospital.steward("cohort", "preview", bad, "--project", "trial-7", code=2).err
    assert {f"line {number}:" for number in (2, 3)} == set(re.findall(r"line \d+:", said))
    assert "MRN5" not in said


def test_the_end_of_a_project(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    hospital.send("MRN1")
    case = hospital.approved("project", "destroy", "trial-7", "--backup-days", "90")
    papers = hospital.finished(case)
    facts = papers["certificate"]["facts"]
    assert facts["ways_that_answer"] == 0
    assert facts["ways_tried"] == (7 if servers(hospital) else 5)
    assert facts["records"] == 3
    assert facts["state"] == "no longer coded by this system"
    assert facts["backups_expire_at"] == papers["certificate"]["issued"] + 90 * 86_400
    assert refused(hospital, "MRN1") == "LNK-009"
    with pytest.raises(TarnhelmError):
        hospital.opened_text()
    assert "no longer coded" in hospital.steward("project", "list").out
    # The name is never given again, and its keys are never made again.
    if servers(hospital):
        again = hospital.steward("project", "create", "trial-7", *hospital.by("sam"), code=2)
        assert "LNK-002" in again.err
    assert "LNK-009" in hospital.steward("subject", "history", "--project", "trial-7", code=2).err
    assert "1 ends hold" in hospital.steward("ends", "apply", *hospital.by("sam")).out


def test_one_person_alone_and_a_wrong_role(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    hospital.send("MRN1")
    mrn = hospital.file("mrn.txt", "MRN1\n")
    command = ("subject", "withdraw", "--project", "trial-7", "--mrn-file", mrn, "--issuer", "HOSP")
    by_alice = hospital.steward(*command, *hospital.by("alice"), "--purpose", "Consent withdrawn", code=1)
    assert "RVL-003" in by_alice.err
    case = hospital.opened(*command)
    assert "RVL-015" in hospital.steward("case", "carry-out", case[:8], *hospital.by("sam"), code=1).err
    own = hospital.steward("case", "approve", case[:8], *hospital.by("sam"), "--yes", code=1)
    assert re.search("RVL-003|RVL-011", own.err)
    hospital.steward("case", "deny", case[:8], *hospital.by("alice"))
    assert "RVL-016" in hospital.steward("case", "carry-out", case[:8], *hospital.by("sam"), code=1).err
    assert f"{CANARY}^MRN1" in hospital.opened_text()


def test_a_new_epoch_gives_everybody_new_names(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    before = hospital.send("MRN1")
    hospital.carried_out("project", "epoch", "trial-7")
    after = hospital.send("MRN1")
    assert after.patient_id != before.patient_id
    assert after.study != before.study
    assert re.search(r"epoch +2", hospital.steward("project", "show", "trial-7").out)
    # Names of the ledger are those of the first epoch for ever, so a withdrawal takes both.
    papers = hospital.carried_out("subject", "withdraw", "--project", "trial-7", "--surrogate", before.patient_id)
    assert set(papers["order"]["patient_ids"]) == {before.patient_id, after.patient_id}
    assert set(papers["order"]["studies"]) == {before.study, after.study}


def test_an_upgrade_shows_the_difference_and_opens_a_revision(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    digest = "9c" * 32
    first = ("project", "upgrade", "trial-7", "--recipe-digest", digest, "--profile", "basicProfile")
    hospital.steward(*first, "--edition", "2026d", "--yes", *hospital.by("sam"))
    shown = hospital.steward("project", "upgrade", "trial-7", "--edition", "2027a")
    assert "standard_edition: 2026d -> 2027a" in shown.out
    assert "Nothing was changed" in shown.err
    done = hospital.steward("project", "upgrade", "trial-7", "--edition", "2027a", "--yes", *hospital.by("sam"))
    assert re.search(r"Revision \d", done.out)
    assert hospital.place.project("trial-7").pins is not None
    assert "No difference" in hospital.steward("project", "upgrade", "trial-7", "--edition", "2027a").out


@pytest.mark.parametrize("steward_hospital", ["servers"], indirect=True)
def test_the_key_is_renewed_and_what_a_thief_copied_before_opens_no_more(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    first = hospital.send("MRN1")
    hospital.steward("keys", "rotate", "--project", "trial-7", *hospital.by("sam"))
    assert hospital.send("MRN1") == first
    hospital.send("MRN2")
    close = ("keys", "close-old", "--project", "trial-7")
    early = hospital.approved(*close)
    assert "STW-007" in hospital.steward("case", "carry-out", early[:8], *hospital.by("sam"), code=2).err
    place = hospital.place
    assert isinstance(place, ServersPlace)
    ledger = PostgresLedger(place.address, place.project("trial-7").id)
    stolen = [record for record in ledger.records() if record.sealed.startswith(b"vault:v1:")]
    ledger.close()
    assert stolen
    assert re.search(
        r"[1-9]\d* records", hospital.steward("keys", "rewrap", "--project", "trial-7", *hospital.by("sam")).out
    )
    assert "0 records" in hospital.steward("keys", "rewrap", "--project", "trial-7", *hospital.by("sam")).out
    papers = hospital.finished(early)
    assert papers["certificate"]["facts"] == {"versions_closed_before": 2, "records_of_closed_versions": 0}
    text = hospital.opened_text()
    assert f"{CANARY}^MRN1" in text
    assert f"{CANARY}^MRN2" in text
    opener = TransitOpener(place.bao.session("reveal"))
    with pytest.raises(TarnhelmError) as caught:
        list(opener.open(stolen))
    assert caught.value.code == "LNK-033"
    assert hospital.send("MRN1") == first


@pytest.mark.parametrize("steward_hospital", ["servers"], indirect=True)
def test_a_project_that_keeps_the_uids_of_every_object(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    made = hospital.steward("project", "create", "trial-9", "--record-uids", "--whole-weeks", *hospital.by("sam"))
    assert "every object's UIDs" in made.out
    hospital.send("MRN1", label="trial-9", study="1.2.3.4")
    assert re.search(r"^uids .*'1\.2\.3\.4'", hospital.opened_text("trial-9"), re.MULTILINE)


@pytest.mark.parametrize("steward_hospital", ["files"], indirect=True)
def test_what_only_a_server_has_is_said(steward_hospital: StewardHospital) -> None:
    hospital = steward_hospital
    for command in (("keys", "rotate"), ("keys", "rewrap")):
        assert "STW-015" in hospital.steward(*command, "--project", "trial-7", *hospital.by("sam"), code=2).err
    assert "STW-015" in hospital.steward("project", "create", "trial-9", *hospital.by("sam"), code=2).err
