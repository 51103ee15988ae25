"""What assigning promises: stable with the key, nothing without it, nothing in the clear on the disk."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from linkage_requests import make_request

from tarnhelm.common.assign import AssignRequest, ValueKind, ValueQuery
from tarnhelm.common.errors import VAULT_UNAVAILABLE, TarnhelmError
from tarnhelm.linkage.core.assign import NOT_INJECTIVE, CacheSizes, LocalAssigner
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.projects import ProjectSettings
from tarnhelm.linkage.custodian import create_custodian_key, load_public_key
from tarnhelm.linkage.local import LocalLinkage, open_assigner
from tarnhelm.reveal.core.openers.local import open_records


@pytest.fixture
def project(linkage):
    return linkage.create("lung")


@pytest.fixture
def assigner(linkage, project):
    assigner = linkage.assigner(project.label)
    yield assigner
    assigner.close()


def code_of(call, *arguments, **named):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments, **named)
    return caught.value.code


def opened(linkage, state, project, **wanted):
    key = (state / "keys" / project.id / "recipient.pem").read_bytes()
    return list(open_records(key, linkage.records(project.label, **wanted)))


# --- stable ---------------------------------------------------------------------------------------------------


def test_the_same_request_gets_the_same_answer_in_a_new_process_with_cold_caches(assigner, state):
    request = make_request()
    first = assigner.assign(request)
    assert assigner.assign(request) == first
    other = open_assigner(state, "lung")
    assert other.assign(request) == first
    other.close()


def test_an_answer_is_complete_and_in_range(assigner, project):
    request = make_request()
    reply = assigner.assign(request)
    assert reply.subject_id.startswith("LUNG-")
    assert len(reply.subject_id) == 21
    assert len(reply.subject_key) == 32
    assert -3650 <= reply.date_offset_days <= -1
    assert reply.uids.keys() == set(request.uids)
    assert len(reply.values) == 3
    assert len(bytes.fromhex(reply.values[2])) == 32
    assert reply.issuer == "TARNHELM.lung"
    assert reply.revision == project.revision
    assert not reply.placeholder_subject


def test_spellings_of_one_patient_are_one_subject(assigner):
    one = assigner.assign(make_request(patient_id="mrn 7 ", issuer="hospital"))
    other = assigner.assign(make_request(patient_id="MRN 7", issuer=" HOSPITAL"))
    assert one.subject_key == other.subject_key
    assert one.subject_key != assigner.assign(make_request(patient_id="MRN 7", issuer="CLINIC")).subject_key


def test_a_default_issuer_stands_in_for_an_empty_one(linkage):
    linkage.create("d", ProjectSettings(default_issuer="Hospital"))
    assigner = linkage.assigner("d")
    named, unnamed = (assigner.assign(make_request(issuer=issuer)) for issuer in ("HOSPITAL", ""))
    assert named.subject_id == unnamed.subject_id
    assigner.close()


def test_a_uid_is_mapped_alike_whoever_the_subject_is(assigner):
    # References between objects resolve though one of them lost its Patient ID.
    uid = "1.2.840.1"
    replies = [assigner.assign(replace(make_request(patient_id=name), uids=(uid,))) for name in ("A", "B", "")]
    assert len({reply.uids[uid] for reply in replies}) == 1


def test_project_wide_values_do_not_depend_on_the_subject(assigner):
    query = (ValueQuery(ValueKind.KEY, "SURNAME", "dr smith"),)
    one, other = (assigner.assign(replace(make_request(number), values=query)).values for number in (1, 2))
    assert one == other
    assert one != assigner.assign(replace(make_request(), values=(replace(query[0], domain="X"),))).values


def test_whole_weeks_keep_the_day_of_the_week(linkage):
    linkage.create("w", ProjectSettings(whole_weeks=True))
    assigner = linkage.assigner("w")
    assert all(assigner.assign(make_request(number)).date_offset_days % 7 == 0 for number in range(20))
    assigner.close()


def test_an_id_that_cannot_be_permuted_one_to_one_is_flagged(assigner):
    query = (ValueQuery(ValueKind.ID_ALPHANUMERICAL, "x", "Ж1"),)
    assert assigner.assign(replace(make_request(), values=query)).flags == {NOT_INJECTIVE}
    assert assigner.assign(make_request()).flags == frozenset()


# --- placeholders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patient_id", ["", " ", "0000", "Unknown", "ANON", "-"])
def test_a_placeholder_is_never_a_shared_subject(assigner, patient_id):
    one = assigner.assign(make_request(patient_id=patient_id, study=1))
    again = assigner.assign(make_request(patient_id="NONE", study=1))
    other = assigner.assign(make_request(patient_id=patient_id, study=2))
    assert one.placeholder_subject
    assert other.placeholder_subject
    assert one.subject_key == again.subject_key  # the study is the subject
    assert one.subject_key != other.subject_key
    assert one.subject_id != other.subject_id


def test_the_list_of_placeholders_is_the_projects(linkage):
    linkage.create("p", ProjectSettings(placeholders=("", "DUMMY")))
    assigner = linkage.assigner("p")
    assert assigner.assign(make_request(patient_id="dummy")).placeholder_subject
    assert not assigner.assign(make_request(patient_id="TEST")).placeholder_subject
    assigner.close()


def test_without_patient_and_study_there_is_no_subject(assigner):
    assert code_of(assigner.assign, AssignRequest("", "", " ", "", ())) == "DCM-012"


# --- sex --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (["F", "M", ""], "F"),
        (["m ", "F"], "M"),
        (["", "F"], ""),  # a name that was given does not change when the sex comes later
        (["X", "F"], ""),  # no defined term
        (["O"], "O"),
    ],
)
def test_the_sex_recorded_first_counts_in_every_process(state, linkage, project, seen, expected):
    for sex in seen:
        assigner = open_assigner(state, project.label)
        assert assigner.assign(make_request(sex=sex)).sex == expected
        assigner.close()


# --- keys -------------------------------------------------------------------------------------------------------


def test_two_machines_with_the_copied_key_agree(linkage, project, assigner, state, tmp_path):
    twin = tmp_path / "twin"
    twin.mkdir(mode=0o700)
    for part in ("keys", "projects"):
        shutil.copytree(state / part, twin / part)
    other = open_assigner(twin, "lung")
    assert [other.assign(make_request(number)) for number in range(20)] == [
        assigner.assign(make_request(number)) for number in range(20)
    ]
    other.close()


def surrogates(assigner):
    reply = assigner.assign(make_request())
    long_value = (ValueQuery(ValueKind.ID_NUMERICAL, "x", "123456789012345678901234"),)
    permuted = assigner.assign(replace(make_request(), values=long_value)).values
    return {reply.subject_id.partition("-")[2], reply.subject_key, *reply.uids.values(), reply.values[2], *permuted}


def test_two_projects_share_nothing(linkage, assigner):
    linkage.create("heart")
    other = linkage.assigner("heart")
    assert not surrogates(assigner) & surrogates(other)
    offsets = [[one.assign(make_request(number)).date_offset_days for number in range(20)] for one in (assigner, other)]
    assert offsets[0] != offsets[1]
    other.close()


def test_the_same_label_with_another_key_shares_nothing(linkage, assigner, tmp_path):
    stranger = LocalLinkage(tmp_path / "stranger")
    stranger.create("lung")
    other = stranger.assigner("lung")
    assert not surrogates(assigner) & surrogates(other)
    other.close()


def test_a_missing_key_is_never_made_anew(linkage, project, state):
    (state / "keys" / project.id / "root-1.key").unlink()
    assert code_of(linkage.assigner, "lung") == "LNK-010"
    assert not (state / "keys" / project.id / "root-1.key").exists()


# --- the way back -------------------------------------------------------------------------------------------------


def test_the_way_back_of_subject_and_study_is_written_once(linkage, project, assigner, state):
    for _ in range(3):
        reply = assigner.assign(make_request())
    second = open_assigner(state, "lung")
    second.assign(replace(make_request(), uids=("1.2.3",)))
    second.close()
    subject, study = opened(linkage, state, project)
    assert (subject.kind, subject.handle) == ("subject", reply.subject_id)
    assert dict(subject.values) == {
        "patient_id": "MRN000001",
        "issuer": "HOSPITAL",
        "patient_name": "CANARYNAME^SUBJECT1",
        "birth_date": "19571103",
    }
    assert (study.kind, study.subject) == ("study", reply.subject_id)
    assert study.handle == assigner.assign(replace(make_request(), uids=("1.2.840.99.1.1",))).uids["1.2.840.99.1.1"]
    assert dict(study.values) == {"study_uid": "1.2.840.99.1.1", "accession_number": "CANARYACC1.1"}


def test_a_second_spelling_is_kept_too(linkage, project, assigner, state):
    assigner.assign(make_request(patient_id="MRN 7"))
    assigner.assign(make_request(patient_id="mrn 7"))
    found = opened(linkage, state, project, kind="subject")
    assert {dict(record.values)["patient_id"] for record in found} == {"MRN 7", "mrn 7"}


def test_paths_are_part_of_the_way_back(linkage, project, assigner, state):
    pairs = [(f"/in/CANARYNAME/{number}.dcm", f"S/{number}.dcm") for number in range(3)] + [("/in/\udcff", "S/4.dcm")]
    assigner.record_paths("run-1", pairs)
    assigner.record_paths("run-1", [])
    (record,) = opened(linkage, state, project, kind="paths")
    assert record.handle == "run-1"
    assert list(record.pairs) == pairs


@pytest.mark.parametrize("way", ["one by one", "together"])
def test_the_uids_of_every_object_are_kept_where_the_project_asks(linkage, state, way):
    project = linkage.create("asks", ProjectSettings(record_uids=True))
    assert linkage.projects.get("asks").settings.record_uids
    requests = [make_request(), replace(make_request(), uids=("1.2.840.99.1.1", "1.2.3.4")), make_request()]
    assigner = linkage.assigner("asks")
    replies = assigner.assign_many(requests) if way == "together" else [assigner.assign(one) for one in requests]
    assigner.close()
    again = linkage.assigner("asks")
    again.assign(requests[1])  # a redelivery after a restart writes nothing twice
    again.close()
    found = opened(linkage, state, project, kind="uids")
    assert [dict(record.pairs) for record in found] == [dict(replies[0].uids), dict(replies[1].uids)]
    (study,) = opened(linkage, state, project, kind="study")
    assert {record.handle for record in found} == {study.handle}


def test_otherwise_no_objects_uids_are_kept(linkage, state, project, assigner):
    assigner.assign(make_request())
    assert not project.settings.record_uids
    assert opened(linkage, state, project, kind="uids") == []


def test_a_custodian_alone_can_read_what_this_machine_wrote(linkage, state, tmp_path):
    create_custodian_key(tmp_path / "private.pem", tmp_path / "public.pem")
    public = load_public_key((tmp_path / "public.pem").read_bytes())
    project = linkage.create("c", ProjectSettings(custodian_public_key=public))
    assigner = linkage.assigner("c")
    assigner.assign(make_request())
    assigner.close()
    assert not list(state.rglob("*.pem"))
    assert "custodian's private key" in linkage.who_can_reidentify("c")
    found = list(open_records((tmp_path / "private.pem").read_bytes(), linkage.records("c")))
    assert dict(found[0].values)["patient_id"] == "MRN000001"
    # Whoever exchanges the key file would have the links sealed to himself.
    (state / "keys" / project.id / "recipient.pub").write_bytes(bytes(range(32)))
    assert code_of(linkage.assigner, "c") == "LNK-006"


def test_without_a_custodian_the_report_says_who_can_reidentify(linkage, project):
    said = linkage.who_can_reidentify("lung")
    assert "No custodian" in said
    assert "private state directory" in said


def test_no_identifier_stands_in_any_byte_of_the_state_directory(linkage, project, assigner, state):
    for number in range(30):
        assigner.assign(make_request(number))
    assigner.assign(make_request(patient_id="", study=9))
    assigner.record_paths("run-1", [("/in/CANARYNAME/a.dcm", "S/a.dcm")])
    assigner.flush()
    canaries = ["CANARY", "MRN0", "HOSPITAL", "1.2.840.99", "19571103", "400000", "AX0000", "physician"]
    forms = [form for text in canaries for form in (text.encode(), text.lower().encode(), text.encode("utf-16-le"))]
    files = [path for path in state.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    for path in files:
        content = path.read_bytes()
        assert not [form for form in forms if form in content], path.name
        assert "MRN" not in path.name


def test_a_stolen_ledger_alone_yields_nothing(linkage, project, assigner, state, tmp_path):
    for number, sex in enumerate("FMOF"):
        assigner.assign(make_request(number, sex=sex))
    assigner.close()
    stolen = SqliteLedger(state / "ledger" / f"{project.id}.sqlite", project.id)
    records = list(stolen.records())
    create_custodian_key(tmp_path / "thief.pem", tmp_path / "thief.pub")
    assert code_of(lambda: list(open_records((tmp_path / "thief.pem").read_bytes(), records))) == "LNK-014"
    with stolen._use() as connection:
        tokens = [row[0] for row in connection.execute("SELECT token FROM sex")]
    assert len(set(tokens)) == 4  # equal sexes do not look equal
    stolen.close()
    assert len({len(record.sealed) for record in records}) == 1  # nor does its size tell a name


def test_files_are_private_with_an_open_ledger(assigner, state):
    assigner.assign(make_request())
    for path in state.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path.name


# --- destroying -----------------------------------------------------------------------------------------------------


def test_a_destroyed_project_cannot_be_resolved_or_continued(linkage, project, state):
    running = linkage.assigner("lung")
    running.assign(make_request())
    running.close()
    running = linkage.assigner("lung")
    key = (state / "keys" / project.id / "recipient.pem").read_bytes()
    records = list(linkage.records("lung"))
    linkage.destroy("lung")
    assert not [path for path in (state / "keys").rglob("*") if path.is_file() and path.stat().st_size]
    assert not list((state / "ledger").iterdir())
    assert code_of(linkage.assigner, "lung") == "LNK-009"
    assert code_of(lambda: list(linkage.records("lung"))) == "LNK-009"
    assert code_of(linkage.who_can_reidentify, "lung") == "LNK-009"
    assert code_of(linkage.create, "lung") == "LNK-002"
    assert code_of(linkage.vault.create, project.id, 2, None) == "LNK-009"
    # A worker that still runs can write no link either.
    assert code_of(running.assign, make_request(77)) == "LNK-009"
    # And what was copied before is sealed with a key that existed only there.
    assert len(list(open_records(key, records))) == 2
    linkage.destroy("lung")
    linkage.destroy(project.id)
    running.close()


def test_a_damaged_ledger_does_not_hinder_destroying(linkage, project, state):
    linkage.assigner("lung").close()
    path = state / "ledger" / f"{project.id}.sqlite"
    path.write_bytes(b"no database" * 100)
    assert code_of(linkage.assigner, "lung") == "LNK-012"
    assert linkage.destroy("lung").destroyed
    assert not path.exists()


# --- processes, threads, crashes --------------------------------------------------------------------------------------


def _assign_many(state, label, numbers):
    assigner = open_assigner(state, label)
    replies = [assigner.assign(make_request(number, sex="FM"[os.getpid() % 2])) for number in numbers]
    assigner.close()
    return [(reply.subject_id, reply.sex, reply.values) for reply in replies]


def test_processes_that_share_the_state_directory_agree(state, linkage, project):
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        found = pool.starmap(_assign_many, [(state, "lung", range(40)), (state, "lung", range(40))])
    assert found[0] == found[1]
    records = opened(linkage, state, project)
    assert len(records) == 80
    assert len({(record.kind, record.handle) for record in records}) == 80


def test_threads_share_an_assigner(assigner, linkage, project, state):
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(assigner.assign, [make_request(number % 10) for number in range(200)]))
    assert len({reply.subject_id for reply in replies}) == 10
    assert len(opened(linkage, state, project)) == 20


def test_a_killed_process_loses_no_link_that_it_answered_for(state, linkage, project):
    child = os.fork()
    if child == 0:
        assigner = open_assigner(state, "lung")
        for number in range(5):
            assigner.assign(make_request(number))
        os._exit(9)
    os.waitpid(child, 0)
    assert len(opened(linkage, state, project, kind="subject")) == 5


def test_a_forked_child_writes_through_a_connection_of_its_own(assigner, state, linkage, project):
    assigner.assign(make_request(1))
    inherited = assigner.ledger._connection
    child = os.fork()
    if child == 0:
        assigner.assign(make_request(2))
        os._exit(assigner.ledger._connection is inherited)
    assert os.waitpid(child, 0)[1] == 0
    assigner.assign(make_request(3))
    found = opened(linkage, state, project, kind="subject")
    assert [dict(record.values)["patient_id"] for record in found] == ["MRN000001", "MRN000002", "MRN000003"]


def test_when_the_link_cannot_be_written_nothing_is_assigned(linkage, project, monkeypatch):
    def unreachable(*_):
        raise TarnhelmError(VAULT_UNAVAILABLE)

    assigner = linkage.assigner("lung")
    monkeypatch.setattr(linkage.vault, "seal_batch", unreachable)
    assert code_of(assigner.assign, make_request()) == "LNK-007"
    monkeypatch.undo()
    assert assigner.assign(make_request()).subject_id
    assigner.close()
    assert len(list(linkage.records("lung"))) == 2


def test_memory_is_bounded_and_forgetting_changes_no_answer(linkage, project, state):
    ledger = SqliteLedger(state / "ledger" / f"{project.id}.sqlite", project.id)
    small = LocalAssigner(project, linkage.vault, ledger, caches=CacheSizes(2, 2, 2, 2))
    requests = [make_request(number) for number in range(8)]
    first = [small.assign(request) for request in requests]
    assert [small.assign(request) for request in requests] == first
    assert small._uid.cache_info().currsize == 2
    assert len(small._subjects) == 2
    small.close()
    assert len(list(linkage.records("lung"))) == 16


# --- epochs -------------------------------------------------------------------------------------------------------------


def test_an_epoch_that_was_broken_off_is_opened_with_the_key_that_was_made(linkage, project, assigner, state):
    before = assigner.assign(make_request())
    linkage.vault.create(project.id, 2, None)  # and then the power went
    opened_again = linkage.open_epoch("lung")
    assert opened_again.epoch == 2
    assert linkage.open_epoch("lung").epoch == 3
    running = linkage.assigner("lung")
    assert running.assign(make_request()).subject_key != before.subject_key
    running.close()


def test_assigning_and_the_life_of_links_name_a_subject_alike(linkage, project, assigner):
    assigner.assign(make_request(1))
    ledger = linkage.ledger("lung")
    ledger.withdraw(linkage.identities("lung").patient("mrn000001 ", "hospital"), "case")
    ledger.close()
    other = linkage.assigner("lung")
    assert code_of(other.assign, make_request(1)) == "LNK-017"
    other.close()
