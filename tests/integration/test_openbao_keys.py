"""The life of keys on the real OpenBao: sealed records are bound to their place, rotated, rewrapped, destroyed."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from functools import partial

import pytest
from tests.support.openbao import audit_lines

from tarnhelm.common.assign import AssignRequest
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger
from tarnhelm.linkage.core.projects import Project, ProjectSettings
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.transit_names import cipher_version, destroyed_mark, root_key, seal_context, seal_key

CANARY = "CANARYQUEENSTREET"


def opened(bao, project, sealed, kind, handle):
    """What a reader finds, or None."""
    context = seal_context(project, record_context(kind, handle))
    body = {"batch_input": [{"ciphertext": sealed.decode(), "context": context}]}
    token = bao.token_of("reveal")
    status, document = bao.call("POST", f"transit/decrypt/{seal_key(project)}", body, token=token)
    return base64.b64decode(document["data"]["batch_results"][0]["plaintext"]) if status == 200 else None


def seal(vault, project, texts):
    items = [SealItem(text, record_context("subject", str(position))) for position, text in enumerate(texts)]
    sealed = vault.seal_batch(project, items)
    return [SealedRecord(project, "subject", str(position), blob) for position, blob in enumerate(sealed)]


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.code, caught.value.facts.get("index")


# --- sealed to a place ---------------------------------------------------------------------------------------


def test_a_record_opens_in_its_own_place_only(bao, project):
    other = secrets.token_hex(16)
    bao.keeper().create(other, 1, None)
    sealed = bao.vault().seal(project, b"text", record_context("subject", "A-1"))
    assert opened(bao, project, sealed, "subject", "A-1") == b"text"
    assert opened(bao, project, sealed, "subject", "A-2") is None
    assert opened(bao, project, sealed, "study", "A-1") is None
    assert opened(bao, other, sealed, "subject", "A-1") is None


@pytest.mark.parametrize("count", [1, 199, 200, 201, 450])
def test_lists_of_any_length_come_back_in_order(bao, project, count):
    records = seal(bao.vault(), project, [b"%d" % position for position in range(count)])
    assert len(records) == count
    for position in {0, count // 2, count - 1}:
        assert opened(bao, project, records[position].sealed, "subject", str(position)) == b"%d" % position


def test_records_of_megabytes_go_through(bao, project):
    records = seal(bao.vault(), project, [bytes(5 << 20), bytes(5 << 20), b"small", bytes(7 << 20)])
    assert opened(bao, project, records[3].sealed, "subject", "3") == bytes(7 << 20)
    assert opened(bao, project, records[2].sealed, "subject", "2") == b"small"


# --- rotation ------------------------------------------------------------------------------------------------


def test_rotation_in_the_middle_of_a_run_loses_nothing(bao, project):
    vault, keeper = bao.vault(), bao.keeper()
    records: dict[str, bytes] = {}
    root_before = vault.hmac(project, 1, b"x")

    def assign(worker):
        for turn in range(15):
            handle = f"{worker}-{turn}"
            records[handle] = vault.seal(project, handle.encode(), record_context("subject", handle))

    workers = [threading.Thread(target=assign, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    versions = [keeper.rotate(project) for _ in range(5)]
    for worker in workers:
        worker.join()
    assert versions == [2, 3, 4, 5, 6]
    assert keeper.seal_key_state(project).latest == 6
    assert len(records) == 45
    assert all(opened(bao, project, blob, "subject", handle) == handle.encode() for handle, blob in records.items())
    assert cipher_version(vault.seal(project, b"", b"")) == 6
    # Pseudonyms are another matter: the root key is untouched.
    assert vault.hmac(project, 1, b"x") == root_before


def test_after_a_rewrap_the_old_versions_can_be_closed(bao, project):
    vault, keeper = bao.vault(), bao.keeper()
    old = seal(vault, project, [b"%d" % position for position in range(401)])
    keeper.rotate(project)
    fresh = keeper.rewrap(project, old)
    assert {cipher_version(blob) for blob in fresh} == {2}
    keeper.set_min_decryption_version(project, 2)
    assert opened(bao, project, fresh[400], "subject", "400") == b"400"
    assert opened(bao, project, old[400].sealed, "subject", "400") is None
    # One that was forgotten says so, can be rescued, and nothing else is harmed.
    assert code_of(keeper.rewrap, project, [*seal(vault, project, [b"new"]), old[7]]) == ("LNK-033", 1)
    keeper.set_min_decryption_version(project, 1)
    rescued = keeper.rewrap(project, [old[7]])[0]
    assert opened(bao, project, rescued, "subject", "7") == b"7"


def test_a_rewrap_names_the_record_that_was_touched(bao, project):
    keeper = bao.keeper()
    many = seal(bao.vault(), project, [b"x"] * 250)
    records = seal(bao.vault(), project, [b"a", b"b", b"c"])
    keeper.rotate(project)
    cut = SealedRecord(project, "subject", "1", records[1].sealed[:-9])
    exchanged = SealedRecord(project, "subject", "2", records[1].sealed)
    foreign = SealedRecord(project, "subject", "1", b"TSR1" + bytes(100))
    assert code_of(keeper.rewrap, project, [records[0], cut, records[2]]) == ("LNK-015", 1)
    assert code_of(keeper.rewrap, project, [records[0], records[1], exchanged]) == ("LNK-015", 2)
    assert code_of(keeper.rewrap, project, [records[0], foreign]) == ("LNK-015", 1)
    assert code_of(keeper.rewrap, project, [*many, foreign]) == ("LNK-015", 250)
    assert code_of(keeper.rewrap, project, [*many[:230], exchanged, *many[230:]]) == ("LNK-015", 230)
    assert keeper.rewrap(project, []) == []


def test_a_ledger_is_walked_until_nothing_is_left_of_the_old_key(bao, project, assigner):
    made, ledger = assigner
    keeper = bao.keeper()
    for number in range(7):
        made.assign(request(f"{number}"))
    keeper.rotate(project)
    made.assign(request("new"))
    before = {record.handle: record.sealed for record in ledger.records("subject")}
    rewrap = partial(keeper.rewrap, project)
    count = len(list(ledger.records()))
    first = ledger.reseal(rewrap, batch=3)
    assert 0 < first < count
    assert ledger.reseal(rewrap, batch=3) == 0
    keeper.set_min_decryption_version(project, 2)
    for record in ledger.records("subject"):
        assert CANARY.encode() in opened(bao, project, record.sealed, "subject", record.handle)
        assert (record.sealed == before[record.handle]) is (cipher_version(before[record.handle]) == 2)


@pytest.mark.parametrize("version", [0, -1, 2])
def test_a_version_that_is_not_there_cannot_be_the_oldest(bao, project, version):
    assert code_of(bao.keeper().set_min_decryption_version, project, version)[0] == "LNK-005"


# --- destruction ---------------------------------------------------------------------------------------------


def test_keys_can_be_deleted_only_while_a_project_is_destroyed(bao, project):
    keeper = bao.keeper()
    keeper.create(project, 2, None)
    for name in (root_key(project, 1), root_key(project, 2), seal_key(project)):
        assert bao.admin("GET", f"transit/keys/{name}")["data"]["deletion_allowed"] is False
        assert bao.call("DELETE", f"transit/keys/{name}")[0] == 400
    before = len(audit_lines(bao)) if bao.process else 0
    keeper.destroy(project)
    for name in (root_key(project, 1), root_key(project, 2), seal_key(project)):
        assert bao.call("GET", f"transit/keys/{name}")[0] == 404
    assert bao.admin("GET", f"transit/keys/{destroyed_mark(project)}")["data"]["deletion_allowed"] is False
    if bao.process:
        allowed = [
            line["request"]["path"]
            for line in audit_lines(bao)[before:]
            if line["type"] == "request" and "deletion_allowed" in (line["request"].get("data") or {})
        ]
        assert len(allowed) == 3
        assert not [path for path in allowed if "destroyed" in path]


def test_a_destroyed_key_is_not_brought_back_by_sealing(bao, project):
    vault, keeper = bao.vault(), bao.keeper()
    sealed = vault.seal(project, b"x", record_context("subject", "A"))
    keeper.destroy(project)
    assert code_of(vault.seal, project, b"x", b"")[0] == "LNK-009"
    assert bao.call("GET", f"transit/keys/{seal_key(project)}")[0] == 404
    assert opened(bao, project, sealed, "subject", "A") is None
    for call in (keeper.rotate, keeper.seal_key_state, vault.who_can_reidentify):
        assert code_of(call, project)[0] == "LNK-009"
    assert code_of(keeper.rewrap, project, [SealedRecord(project, "subject", "A", sealed)])[0] == "LNK-009"


def test_a_half_done_destruction_is_finished_by_doing_it_again(bao, project):
    # As it looks when the steward dies after the mark and the first key.
    keeper, root = bao.keeper(), root_key(project, 1)
    bao.admin("POST", f"transit/keys/{destroyed_mark(project)}", {"type": "hmac", "key_size": 32})
    bao.admin("POST", f"transit/keys/{root}/config", {"deletion_allowed": True})
    assert code_of(keeper.create, project, 2, None)[0] == "LNK-009"
    keeper.destroy(project)
    assert bao.call("GET", f"transit/keys/{root}")[0] == 404
    assert bao.call("GET", f"transit/keys/{seal_key(project)}")[0] == 404


def test_projects_whose_ids_begin_alike_are_not_destroyed_together(bao):
    short, long = secrets.token_hex(4), ""
    long = short + "0"
    keeper, vault = bao.keeper(), bao.vault()
    for made in (short, long):
        keeper.create(made, 1, None)
    keeper.destroy(short)
    assert len(vault.hmac(long, 1, b"x")) == 32


def test_a_seal_key_that_could_leave_the_server_is_not_taken(bao):
    weak = secrets.token_hex(16)
    bao.admin("POST", f"transit/keys/{seal_key(weak)}", {"type": "aes256-gcm96", "derived": True, "exportable": True})
    assert code_of(bao.keeper().create, weak, 1, None)[0] == "LNK-031"
    assert bao.call("GET", f"transit/keys/{root_key(weak, 1)}")[0] == 404


# --- an assigner on it ---------------------------------------------------------------------------------------


def request(patient_id):
    return AssignRequest(
        patient_id=patient_id,
        issuer="",
        study_uid="1.2.840.1",
        sex="F",
        uids=("1.2.840.1",),
        values=(),
        way_back=(("patient_name", f"{CANARY}^ANN"),),
    )


@pytest.fixture
def assigner(bao, project, tmp_path):
    pins = Project("a-study", project, "2026-01-01T00:00:00+00:00", ProjectSettings(prefix="A-"))
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", project)
    made = LocalAssigner(pins, bao.vault(), ledger)
    yield made, ledger
    made.close()


def test_the_assigner_works_on_it_as_on_the_local_vault(bao, project, assigner):
    made, ledger = assigner
    reply = made.assign(request("12345"))
    assert reply.subject_id.startswith("A-")
    record = next(iter(ledger.records("subject", reply.subject_id)))
    assert CANARY.encode() not in record.sealed
    assert CANARY.encode() in opened(bao, project, record.sealed, "subject", reply.subject_id)


def test_the_audit_device_holds_no_identifier(bao, project, assigner):
    if not bao.process:
        pytest.skip("the audit file of TARNHELM_TEST_VAULT is not ours to read")
    made, _ = assigner
    made.assign(request(f"{CANARY}99"))
    made.record_paths("run", [(f"/scans/{CANARY}/1.dcm", "a/1.dcm")])
    written = bao.audit_file.read_text()
    # It tells who used which project's key, and when.
    assert f"transit/encrypt/{seal_key(project)}" in written
    assert f"transit/hmac/{root_key(project, 1)}" in written
    for form in forms(CANARY):
        assert form not in written
    for line in audit_lines(bao):
        for entry in ((line.get("request") or {}).get("data") or {}).get("batch_input") or []:
            assert all(str(value).startswith("hmac-sha256:") for value in entry.values())


def forms(text):
    """The text, and what base64 makes of it at each of the three alignments, without the ragged ends."""
    yield text
    for shift in range(3):
        encoded = base64.b64encode(b" " * shift + text.encode()).decode()
        yield encoded[4:-4]
    yield json.dumps(text)[1:-1].encode().hex()


def test_nothing_is_written_while_the_vault_is_sealed_and_nothing_is_lost(own_bao, tmp_path):
    made = secrets.token_hex(16)
    own_bao.keeper().create(made, 1, None)
    pins = Project("a-study", made, "2026-01-01T00:00:00+00:00", ProjectSettings(prefix="A-"))
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", made)
    vault = own_bao.vault()
    assigner = LocalAssigner(pins, vault, ledger)
    before = assigner.assign(request("1"))
    written = list(ledger.records())
    own_bao.seal()
    for _ in range(2):
        with pytest.raises(TarnhelmError) as caught:
            assigner.assign(request("2"))
        assert caught.value.code == "LNK-007"
        assert caught.value.disposition is Disposition.RETRY
    with pytest.raises(TarnhelmError):
        vault.health()
    assert list(ledger.records()) == written
    own_bao.unseal()
    vault.health()
    after = assigner.assign(request("2"))
    assert after.subject_id != before.subject_id
    kept = next(iter(ledger.records("subject", after.subject_id)))
    assert CANARY.encode() in opened(own_bao, made, kept.sealed, "subject", after.subject_id)
    # And the whole server gone, by a power cut, and back on the same disk.
    own_bao.stop()
    with pytest.raises(TarnhelmError) as caught:
        assigner.assign(request("3"))
    assert caught.value.code == "LNK-007"
    own_bao.start()
    own_bao.unseal()
    assert assigner.assign(request("3")).subject_id
    assert assigner.assign(request("1")).subject_id == before.subject_id
    assigner.close()
