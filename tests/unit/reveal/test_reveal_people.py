"""The register takes signed lines only, one human once, and shows what was taken out of it."""

from __future__ import annotations

import json

import pytest
from reveal_hospital import START, code_of, keys_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.core.documents import CARD, ENTRY, Signed, sign
from tarnhelm.reveal.core.keyring import PersonKeys, read_keys, write_keys
from tarnhelm.reveal.core.people import Register, Role, make_card, read_card

ALICE, BOB, CAROL, EVE = (keys_of(name) for name in ("alice", "bob", "carol", "eve"))


def founded():
    register = Register()
    register.enrol(make_card(ALICE, "alice", "Alice", "idp#alice"), [Role.ADMIN], ALICE, START)
    register.enrol(make_card(BOB, "bob", "Bob", "idp#bob"), [Role.REQUESTER], ALICE, START)
    return register


def test_a_register_reads_back_as_it_was_written():
    register = founded()
    again = Register(register.lines(), root=Signed.from_bytes(register.lines()[0], ENTRY).digest)
    assert again.people() == register.people()
    assert again.digest == register.digest
    assert again.active("bob", Role.REQUESTER).enrolled_by == "alice"


@pytest.mark.parametrize(
    ("person_id", "keys", "subject"),
    [
        ("bob", EVE, "idp#eve"),  # the same id
        ("eve", BOB, "idp#eve"),  # the same keys
        ("eve", PersonKeys(EVE.signing, BOB.answer), "idp#eve"),  # the same answer key alone
        ("eve", EVE, "idp#bob"),  # the same identity-provider subject
    ],
)
def test_one_human_is_not_enrolled_under_two_names(person_id, keys, subject):
    register = founded()
    card = make_card(keys, person_id, "Eve", subject)
    assert code_of(lambda: register.enrol(card, [Role.APPROVER], ALICE, START)) == "RVL-002"
    assert register.size == 2


def test_a_revoked_persons_key_and_subject_stay_taken():
    register = founded()
    register.revoke("bob", ALICE, START)
    assert code_of(lambda: register.active("bob")) == "RVL-004"
    for card in (make_card(BOB, "eve", "Eve"), make_card(EVE, "eve", "Eve", "idp#bob")):
        assert code_of(lambda card=card: register.enrol(card, [Role.APPROVER], ALICE, START)) == "RVL-002"


def test_a_person_may_get_new_keys_after_a_revocation_and_the_old_ones_stay_known():
    register = founded()
    register.revoke("bob", ALICE, START)
    register.enrol(make_card(EVE, "bob", "Bob", "idp#bob"), [Role.REQUESTER], ALICE, START)
    assert register.active("bob").signing_key == EVE.signing_public
    assert [entry.signing_key for entry in register.ever("bob")] == [BOB.signing_public, EVE.signing_public]
    card = make_card(BOB, "carol", "Carol")
    assert code_of(lambda: register.enrol(card, [Role.APPROVER], ALICE, START)) == "RVL-002"


def test_only_an_admin_enrols_and_the_last_one_stays():
    register = founded()
    card = make_card(CAROL, "carol", "Carol")
    assert code_of(lambda: register.enrol(card, [Role.APPROVER], BOB, START)) == "RVL-003"
    assert code_of(lambda: register.enrol(card, [Role.APPROVER], EVE, START)) == "RVL-001"
    assert code_of(lambda: register.revoke("alice", ALICE, START)) == "RVL-003"
    assert code_of(lambda: register.revoke("alice", BOB, START)) == "RVL-003"


def test_an_admin_does_not_change_the_own_entry():
    register = founded()
    register.enrol(make_card(CAROL, "carol", "Carol"), [Role.ADMIN], ALICE, START)
    register.revoke("alice", CAROL, START)
    card = make_card(EVE, "carol", "Carol")
    assert code_of(lambda: register.enrol(card, [Role.ADMIN, Role.APPROVER], CAROL, START)) in {"RVL-002", "RVL-003"}
    assert register.active("carol").roles == {Role.ADMIN}


def tampered(lines):
    """Each way in which somebody without an admin's key can change the file."""
    yield "deleted first", lines[1:], 1
    yield "deleted", [lines[0], lines[2]], 2
    yield "swapped", [lines[0], lines[2], lines[1]], 2
    yield "repeated", [*lines, lines[2]], 4
    for number, line in enumerate(lines):
        body = json.loads(line)
        entry = body["document"]
        if entry["kind"] == "enrol":
            entry["roles"] = ["admin"]
            yield (
                "more roles",
                [*lines[:number], Signed.from_bytes(line, ENTRY).to_bytes()[:-2], *lines[number + 1 :]],
                number + 1,
            )
        forged = sign(ENTRY, entry, EVE.signing).to_bytes()
        yield "signed by somebody else", [*lines[:number], forged, *lines[number + 1 :]], number + 1


def test_every_change_of_the_file_is_seen_with_its_line():
    register = founded()
    register.revoke("bob", ALICE, START)
    root = Signed.from_bytes(register.lines()[0], ENTRY).digest
    for what, lines, first in tampered(list(register.lines())):
        with pytest.raises(TarnhelmError) as caught:
            Register(lines, root=root)
        assert (what, caught.value.code, caught.value.facts["line"]) == (what, "RVL-005", first)


def test_a_register_founded_by_somebody_else_is_refused_by_the_root():
    other = Register()
    other.enrol(make_card(EVE, "alice", "Alice", "idp#alice"), [Role.ADMIN], EVE, START)
    root = Signed.from_bytes(founded().lines()[0], ENTRY).digest
    assert code_of(lambda: Register(other.lines(), root=root)) == "RVL-005"
    assert code_of(lambda: Register([], root=root)) == "RVL-005"


def test_a_card_proves_that_its_key_is_held():
    card = make_card(BOB, "bob", "Bob")
    assert read_card(card.to_bytes()).document["id"] == "bob"
    stolen = sign(CARD, {**card.document, "id": "eve"}, EVE.signing)  # Bob's keys, Eve's signature
    assert code_of(lambda: read_card(stolen.to_bytes())) == "RVL-006"
    small = sign(CARD, {**card.document, "answer_key": "00" * 32}, BOB.signing)  # hides nothing from anybody
    assert code_of(lambda: read_card(small.to_bytes())) == "RVL-006"
    for name in ("Bob\x1b[2J", "", "x" * 121):
        assert code_of(lambda name=name: make_card(BOB, "bob", name)) == "RVL-006"
    for person_id in ("Bob", "../bob", "", "b b"):
        assert code_of(lambda person_id=person_id: make_card(BOB, person_id, "Bob")) == "RVL-006"
    assert code_of(lambda: read_card(b"{}")) == "RVL-006"


def test_a_signature_on_one_kind_of_document_is_none_on_another():
    card = make_card(BOB, "bob", "Bob")
    assert not Signed(ENTRY, card.document, card.signature).holds(BOB.signing_public)


def test_a_document_has_one_spelling():
    line = make_card(BOB, "bob", "Bob").to_bytes()
    assert code_of(lambda: Signed.from_bytes(line.replace(b":", b": ", 1), CARD)) == "RVL-012"


def test_key_files_need_a_passphrase_and_are_the_owners_alone(tmp_path):
    path = tmp_path / "bob.pem"
    assert code_of(lambda: write_keys(path, BOB, b"short")) == "RVL-007"
    write_keys(path, BOB, b"correct horse")
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    assert content.count(b"ENCRYPTED") == 4
    assert read_keys(content, b"correct horse").signing_public == BOB.signing_public
    assert read_keys(content, b"correct horse").answer_public == BOB.answer_public
    assert code_of(lambda: read_keys(content, b"wrong horse")) == "RVL-007"
    assert code_of(lambda: read_keys(content[: len(content) // 2], b"correct horse")) == "RVL-007"
    assert code_of(lambda: read_keys(b"", b"correct horse")) == "RVL-007"
    assert code_of(lambda: write_keys(path, BOB, b"correct horse")) == "LNK-016"
    assert "bytes" not in repr(BOB)
