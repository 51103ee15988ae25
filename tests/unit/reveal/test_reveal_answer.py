"""An answer opens for who asked alone, whole, and only if an enrolled writer vouches for it."""

from __future__ import annotations

import base64
import hashlib
import io
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from linkage_requests import make_request
from reveal_hospital import Drawn, code_of

from tarnhelm.common.errors import VAULT_UNAVAILABLE, TarnhelmError
from tarnhelm.linkage.core.derive import ProjectKeys, UidMapper, project_message
from tarnhelm.linkage.core.projects import ProjectSettings
from tarnhelm.linkage.custodian import create_custodian_key, load_public_key
from tarnhelm.linkage.local import LocalLinkage
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.envelope import Sealer
from tarnhelm.reveal.core.answer import Row, answer_case, read_answer
from tarnhelm.reveal.core.audit.lines import Head, make_line
from tarnhelm.reveal.core.cases import CaseKind, Verdict
from tarnhelm.reveal.core.openers.local import LocalOpener
from tarnhelm.reveal.core.rows import located, looked_up, mapped, uid_mappers, write_table

ANSWER = frozenset({CaseKind.ANSWER})
ROWS = [Row("S-1", "subject", "", (("patient_id", "CANARY"), ("patient_name", "CANARYNAME")))]


def answered(hospital, rows=ROWS, **wanted):
    case = hospital.approved(**wanted)
    spool = io.BytesIO()
    receipt = answer_case(hospital.desk, case.id, hospital.wish(case), ANSWER, lambda _: rows, spool)
    return spool.getvalue(), receipt


def read(hospital, content, by="bob", *, keys=None, writers=None):
    found = hospital.register.writers() if writers is None else writers
    return list(read_answer(io.BytesIO(content), keys or hospital.keys[by], found))


def test_who_asked_reads_what_was_answered_and_nobody_else(hospital):
    content, receipt = answered(hospital)
    assert read(hospital, content) == ROWS
    assert code_of(lambda: read(hospital, content, "alice")) == "RVL-026"
    assert b"CANARY" not in content
    assert "CANARY" not in repr(read(hospital, content))
    told = {name: receipt.line.fields[name] for name in ("found", "records")}
    assert told == {"found": 1, "records": 1}


def test_an_answer_of_many_rows_keeps_them_all_and_paths_that_are_no_text(hospital):
    rows = [Row(f"S-{number}", "paths", pairs=((f"/in/{number}\udcff", "out.dcm"),)) for number in range(450)]
    content, receipt = answered(hospital, rows)
    assert read(hospital, content) == rows
    assert content.count(b'{"chunk"') == 3
    assert receipt.line.fields["records"] == 450


def spoilt(content):
    lines = content.splitlines(keepends=True)
    yield "cut before the end", b"".join(lines[:-1])
    yield "a chunk is missing", b"".join([lines[0], *lines[2:]])
    yield "chunks swapped", b"".join([lines[0], lines[2], lines[1], *lines[3:]])
    yield "something after the end", content + b"\n"
    yield "cut inside the end", content[:-10]
    yield "empty", b""
    yield "no answer", b"{}\n"
    for place in range(0, len(content) - 1, 97):
        changed = bytearray(content)
        changed[place] ^= 1
        yield f"byte {place}", bytes(changed)


def test_a_cut_or_changed_answer_is_refused_before_the_first_row(hospital):
    rows = [Row(f"S-{number}", "subject", values=(("patient_id", f"{number}"),)) for number in range(300)]
    content, _ = answered(hospital, rows)
    assert len(read(hospital, content)) == 300
    for what, changed in spoilt(content):
        stream = read_answer(io.BytesIO(changed), hospital.keys["bob"], hospital.register.writers())
        with pytest.raises(TarnhelmError) as caught:
            next(stream)
        assert (what, caught.value.code) == (what, "RVL-026")


def test_an_answer_that_somebody_else_sealed_is_refused(hospital):
    """Anybody can seal to a public key; only an enrolled writer can vouch."""
    content, receipt = answered(hospital)
    lines = [json.loads(line) for line in content.splitlines()]
    digest = lines[0]["answer"]["case_digest"]
    sealer = Sealer(f"answer {digest}", hospital.keys["bob"].answer_public)
    text = json.dumps([["S-1", "subject", "", [["patient_id", "SOMEBODY ELSE"]], []]]).encode()
    lines[1]["chunk"] = base64.b64encode(sealer.seal([SealItem(text, b"answer\x000")])[0]).decode()
    body = b"".join(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n" for line in lines[:2])
    eve = Ed25519PrivateKey.from_private_bytes(Drawn("eve")(32))
    result = hashlib.sha256(body).hexdigest()
    told = receipt.line
    line = make_line(told.writer, told.sequence, told.time, "used", told.previous, {**told.fields, "result": result})
    for head in (Head.of(line, told.time, eve), receipt.head):
        end = {"chunks": 1, "sha256": result, "line": line.raw.decode(), "head": head.to_bytes().decode()}
        forged = body + json.dumps({"end": end}).encode() + b"\n"
        assert code_of(lambda forged=forged: read(hospital, forged)) == "RVL-026"
    head = Head.of(line, told.time, eve)
    end = {"chunks": 1, "sha256": result, "line": line.raw.decode(), "head": head.to_bytes().decode()}
    believed = read(
        hospital,
        body + json.dumps({"end": end}).encode() + b"\n",
        writers={"local": eve.public_key().public_bytes_raw()},
    )
    assert believed[0].values == (("patient_id", "SOMEBODY ELSE"),)  # so the forgery was whole but for the writer


def test_the_audit_line_stands_before_a_link_is_opened_and_before_the_answer(hospital):
    case = hospital.approved()
    seen = []

    def rows(claim):
        seen.append([line.event for line in hospital.audit_lines()])
        yield from ROWS

    spool = io.BytesIO()
    answer_case(hospital.desk, case.id, hospital.wish(case), ANSWER, rows, spool)
    assert seen[0][-1] == "use-begun"
    assert hospital.audit_lines()[-1].event == "used"


def test_where_opening_fails_the_case_is_not_spent_and_can_be_answered_later(hospital):
    case = hospital.approved()

    def away(claim):
        yield ROWS[0]
        raise TarnhelmError(VAULT_UNAVAILABLE)

    spool = io.BytesIO()
    assert code_of(lambda: answer_case(hospital.desk, case.id, hospital.wish(case), ANSWER, away, spool)) == "LNK-007"
    assert hospital.desk.view(case.id).state is Verdict.APPROVED
    told = hospital.audit_lines()[-1]
    assert (told.event, told.fields["code"], told.fields["step"]) == ("refused", "LNK-007", "links")
    assert code_of(lambda: read(hospital, spool.getvalue())) == "RVL-026"
    assert answer_case(hospital.desk, case.id, hospital.wish(case), ANSWER, lambda _: ROWS, io.BytesIO())


def test_opening_may_take_longer_than_clocks_may_differ(hospital):
    case = hospital.approved()

    def slow(claim):
        hospital.clock.now += 3600
        return ROWS

    assert answer_case(hospital.desk, case.id, hospital.wish(case), ANSWER, slow, io.BytesIO())


def test_a_denial_while_links_are_opened_stops_the_answer(hospital):
    from tarnhelm.reveal.core.cases import Step

    case = hospital.approved()

    def meanwhile(claim):
        hospital.decide(case, "carol", Step.DENY)
        return ROWS

    spool = io.BytesIO()
    assert (
        code_of(lambda: answer_case(hospital.desk, case.id, hospital.wish(case), ANSWER, meanwhile, spool)) == "RVL-016"
    )
    assert code_of(lambda: read(hospital, spool.getvalue())) == "RVL-026"


# --- what answers are made of -----------------------------------------------------------------------------------


@pytest.fixture
def filled(tmp_path):
    create_custodian_key(tmp_path / "custodian.pem", tmp_path / "custodian.pub")
    linkage = LocalLinkage(tmp_path / "linkage")
    public = load_public_key((tmp_path / "custodian.pub").read_bytes())
    project = linkage.create("trial", ProjectSettings(custodian_public_key=public))
    assigner = linkage.assigner("trial")
    replies = [assigner.assign(make_request(number, study=study)) for number in (1, 2) for study in (1, 2)]
    assigner.record_paths("run", [("/in/CANARY.dcm", "out/1.dcm")])
    assigner.close()
    opener = LocalOpener((tmp_path / "custodian.pem").read_bytes())
    return linkage, project, replies, opener


def test_a_patient_id_leads_to_the_patient_and_a_study_to_study_and_patient(filled):
    linkage, project, replies, opener = filled
    (mapper,) = uid_mappers(linkage.vault, project)
    patient, study = replies[0].subject_id, mapper("1.2.840.99.1.1")

    def records(kind, handle):
        return linkage.records(project.id, kind, handle)

    (row,) = looked_up([patient], records, opener)
    assert (row.kind, row.surrogate) == ("subject", patient)
    assert {("patient_id", "MRN000001"), ("patient_name", "CANARYNAME^SUBJECT1")} <= set(row.values)
    rows = list(looked_up([study], records, opener))
    assert [(row.kind, row.surrogate) for row in rows] == [("study", study), ("subject", patient)]
    assert ("study_uid", "1.2.840.99.1.1") in rows[0].values
    assert ("accession_number", "CANARYACC1.1") in rows[0].values
    both = list(looked_up([patient, study], records, opener))
    assert sorted(row.kind for row in both) == ["study", "subject"]  # the patient once
    (nothing,) = looked_up(["NOBODY"], records, opener)
    assert not nothing.found


def test_the_runs_of_a_project_are_no_surrogates(filled):
    linkage, project, _, opener = filled
    (row,) = looked_up(["run"], lambda kind, handle: linkage.records(project.id, kind, handle), opener)
    assert not row.found  # "run" names records of paths, which a mapping case gives and no answer


def test_a_mapping_has_every_link(filled):
    linkage, project, _, opener = filled
    table = io.StringIO()
    written = write_table(mapped(lambda kind, handle: linkage.records(project.id, kind, handle), opener), table)
    text = table.getvalue()
    assert text.count("\n") == written + 1
    for original in ("MRN000001", "MRN000002", "1.2.840.99.2.2", "/in/CANARY.dcm"):
        assert original in text


def test_a_mapping_names_the_uids_of_every_object_where_the_project_kept_them(tmp_path):
    linkage = LocalLinkage(tmp_path / "linkage")
    project = linkage.create("asks", ProjectSettings(record_uids=True))
    assigner = linkage.assigner("asks")
    reply = assigner.assign(make_request(1))
    assigner.close()
    opener = LocalOpener((tmp_path / "linkage" / "keys" / project.id / "recipient.pem").read_bytes())

    def records(kind, handle):
        return linkage.records(project.id, kind, handle)

    table = io.StringIO()
    write_table(mapped(records, opener), table)
    for original, surrogate in reply.uids.items():
        assert f"uids,{surrogate},,uid,{original}\r\n" in table.getvalue()
    # An answer is of a patient and a study; it does not become the table of all objects.
    study = uid_mappers(linkage.vault, project)[0]("1.2.840.99.1.1")
    assert {row.kind for row in looked_up([study], records, opener)} == {"study", "subject"}


def test_locate_gives_pairs_that_were_asked_for_only(filled):
    linkage, project, replies, _ = filled
    (mapper,) = uid_mappers(linkage.vault, project)
    key = linkage.vault.hmac(project.id, project.epoch, project_message(project.label))
    assert mapper("1.2") == UidMapper(ProjectKeys.from_project_key(key).uid)("1.2")
    wanted = replies[0].uids["1.2.840.99.1.1.2"]
    candidates = [f"1.2.840.99.1.1.{place} " for place in range(1000)]
    rows = list(located([wanted, "2.25.1"], candidates, [mapper]))
    assert rows[0].values == (("uid", "1.2.840.99.1.1.2"),)
    assert [row.found for row in rows] == [True, False]
    assert len(rows) == 2


def test_locate_finds_what_was_released_in_an_earlier_epoch(filled):
    linkage, project, replies, _ = filled
    released = replies[0].uids["1.2.840.99.1.1.2"]
    later = linkage.open_epoch(project.id)
    mappers = uid_mappers(linkage.vault, later)
    assert len(mappers) == 2
    fresh = mappers[1]("1.2.840.99.1.1.2")
    assert fresh != released
    rows = list(located([released, fresh], ["1.2.840.99.1.1.2", "1.2.840.99.1.1.3"], mappers))
    assert [row.values for row in rows] == [(("uid", "1.2.840.99.1.1.2"),)] * 2
