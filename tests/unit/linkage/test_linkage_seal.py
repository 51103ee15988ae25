"""Sealed records open for their reader alone, and nothing in the linkage package can open one."""

from __future__ import annotations

import ast
import os
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

import tarnhelm.linkage
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core.ledger import SealedRecord, record_context
from tarnhelm.linkage.custodian import check_public_key, create_custodian_key, fingerprint, load_public_key
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.envelope import Sealer, data_key_info, hpke_key_and_nonce
from tarnhelm.reveal.core.openers.local import open_records

PLAIN = b'{"v":1,"values":[["patient_id","CANARY"]]}'


@pytest.fixture
def pair(tmp_path):
    private, public = tmp_path / "custodian.pem", tmp_path / "custodian.pub"
    create_custodian_key(private, public)
    return private.read_bytes(), load_public_key(public.read_bytes())


def sealed(public, *, project="p1", kind="subject", handle="S-1", sealer=None):
    sealer = sealer or Sealer(project, public)
    return SealedRecord(project, kind, handle, sealer.seal([SealItem(PLAIN, record_context(kind, handle))])[0])


def code_of(call):
    with pytest.raises(TarnhelmError) as caught:
        call()
    return caught.value.code


def test_the_key_schedule_is_that_of_rfc_9180():
    # RFC 9180, A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode.
    ephemeral = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600")
    )
    recipient = bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
    key, nonce = hpke_key_and_nonce(
        ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient)),
        ephemeral.public_key().public_bytes_raw(),
        recipient,
        bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
    )
    assert key.hex() == "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"
    assert nonce.hex() == "5c4d98150661b848853b547f"


def test_another_implementation_opens_the_data_key(pair):
    hpke = pytest.importorskip("cryptography.hazmat.primitives.hpke", reason="cryptography before 47 has no HPKE")
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    private = X25519PrivateKey.generate()
    record = sealed(private.public_key().public_bytes_raw()).sealed
    assert len(suite.decrypt(record[4:84], private, data_key_info("p1"))) == 32


def test_the_reader_opens_what_was_sealed(pair):
    private, public = pair
    opened = list(open_records(private, [sealed(public), sealed(public, handle="S-2")]))
    assert [(record.kind, record.handle, record.values) for record in opened] == [
        ("subject", "S-1", (("patient_id", "CANARY"),)),
        ("subject", "S-2", (("patient_id", "CANARY"),)),
    ]
    assert "CANARY" not in repr(opened)


def test_nobody_else_does(pair, tmp_path):
    create_custodian_key(tmp_path / "other.pem", tmp_path / "other.pub")
    other = (tmp_path / "other.pem").read_bytes()
    assert code_of(lambda: list(open_records(other, [sealed(pair[1])]))) == "LNK-014"
    assert code_of(lambda: list(open_records(b"no key", [sealed(pair[1])]))) == "LNK-014"


def test_a_changed_cut_or_moved_record_is_refused(pair):
    private, public = pair
    good = sealed(public)
    for place in (0, 3, 84, 91, 92, len(good.sealed) - 1):  # magic, sequence, ciphertext, tag
        spoilt = bytearray(good.sealed)
        spoilt[place] ^= 1
        record = SealedRecord("p1", "subject", "S-1", bytes(spoilt))
        assert code_of(lambda record=record: list(open_records(private, [good, record]))) == "LNK-015"
    moved = [
        SealedRecord("p1", "subject", "S-2", good.sealed),  # another subject's
        SealedRecord("p1", "study", "S-1", good.sealed),  # another kind
        SealedRecord("p1", "subject", "S-1", good.sealed[:-1]),
        SealedRecord("p1", "subject", "S-1", b""),
    ]
    for record in moved:
        assert code_of(lambda record=record: list(open_records(private, [record]))) == "LNK-015"
    foreign = SealedRecord("p2", "subject", "S-1", good.sealed)
    assert code_of(lambda: list(open_records(private, [foreign]))) == "LNK-014"


def test_each_record_has_a_number_of_its_own_under_the_data_key(pair):
    sealer = Sealer("p1", pair[1])
    records = sealer.seal([SealItem(PLAIN, b"")] * 3) + sealer.seal([SealItem(PLAIN, b"")])
    assert len({record[:84] for record in records}) == 1
    assert [int.from_bytes(record[84:92], "big") for record in records] == [0, 1, 2, 3]
    assert len({record[92:] for record in records}) == 4


def test_a_forked_process_takes_a_data_key_of_its_own(pair):
    sealer = Sealer("p1", pair[1])
    mine = sealer.seal([SealItem(PLAIN, b"")])[0]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, sealer.seal([SealItem(PLAIN, b"")])[0])
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 4096)
    os.close(reader)
    os.close(writer)
    assert mine[:84] != theirs[:84]
    with pytest.raises(TypeError, match="one process"):
        pickle.dumps(sealer)


def test_a_passphrase_protects_the_private_half(tmp_path):
    private, public = tmp_path / "a", tmp_path / "b"
    shown = create_custodian_key(private, public, passphrase=b"correct horse")
    raw = load_public_key(public.read_bytes())
    assert shown == fingerprint(raw)
    assert private.stat().st_mode & 0o777 == 0o600
    record = sealed(raw)
    assert code_of(lambda: list(open_records(private.read_bytes(), [record]))) == "LNK-014"
    assert code_of(lambda: list(open_records(private.read_bytes(), [record], passphrase=b"wrong"))) == "LNK-014"
    assert len(list(open_records(private.read_bytes(), [record], passphrase=b"correct horse"))) == 1


def test_a_key_is_never_overwritten(tmp_path):
    create_custodian_key(tmp_path / "a", tmp_path / "b")
    before = (tmp_path / "a").read_bytes()
    assert code_of(lambda: create_custodian_key(tmp_path / "a", tmp_path / "b")) == "LNK-016"
    assert (tmp_path / "a").read_bytes() == before


@pytest.mark.parametrize(
    "raw",
    [
        bytes(32),  # the point 0: every exchange gives zero
        (1).to_bytes(32, "little"),  # of small order
        b"short",
    ],
)
def test_a_public_key_that_hides_nothing_is_refused(raw):
    assert code_of(lambda: check_public_key(raw)) == "LNK-006"


def test_a_file_that_is_no_public_key_is_refused(pair):
    assert code_of(lambda: load_public_key(pair[0])) == "LNK-006"
    assert code_of(lambda: load_public_key(b"")) == "LNK-006"


def test_nothing_in_the_linkage_package_can_open_a_record():
    sources = [path for folder in tarnhelm.linkage.__path__ for path in Path(folder).rglob("*.py")]
    assert len(sources) > 10
    forbidden = {"decrypt", "decrypt_into", "unwrap", "load_pem_private_key", "load_der_private_key", "open_records"}
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            names = {getattr(node, "attr", ""), getattr(node, "id", ""), getattr(node, "name", "")}
            assert not names & forbidden, path.name
            module = getattr(node, "module", "") or ""
            assert not module.startswith(("tarnhelm.cli", "tarnhelm.reveal")), path.name
