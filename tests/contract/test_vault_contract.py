"""What every vault must do. An implementation joins by adding a factory to ``VAULTS``."""

from __future__ import annotations

import hmac
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tarnhelm.common.errors import CATALOGUE, Disposition, TarnhelmError
from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.local import LocalVault

ONE, OTHER = "1" * 32, "2" * 32


def local(tmp_path):
    return LocalVault(tmp_path / "state")


VAULTS = {"local": local}
"""Name → factory(tmp_path) of an empty vault that is both a Vault and a VaultKeeper."""


@pytest.fixture(params=sorted(VAULTS))
def vault(request, tmp_path):
    return VAULTS[request.param](tmp_path)


@pytest.fixture
def custodian():
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.code


def test_the_signature_is_32_bytes_and_stable(vault, custodian):
    vault.create(ONE, 1, custodian)
    assert vault.hmac(ONE, 1, b"x") == vault.hmac(ONE, 1, b"x")
    assert len(vault.hmac(ONE, 1, b"")) == 32


def test_data_project_and_epoch_each_change_it(vault, custodian):
    vault.create(ONE, 1, custodian)
    vault.create(ONE, 2, custodian)
    vault.create(OTHER, 1, custodian)
    found = {vault.hmac(*question) for question in [(ONE, 1, b"x"), (ONE, 1, b"y"), (ONE, 2, b"x"), (OTHER, 1, b"x")]}
    assert len(found) == 4
    # And none is what somebody without a key would get.
    assert hmac.digest(b"", b"x", "sha256") not in found


def test_a_key_is_made_by_create_alone(vault, custodian):
    assert code_of(vault.hmac, ONE, 1, b"x") == "LNK-010"
    assert code_of(vault.hmac, ONE, 1, b"x") == "LNK-010"
    vault.create(ONE, 1, custodian)
    assert code_of(vault.hmac, ONE, 2, b"x") == "LNK-010"
    assert code_of(vault.seal, OTHER, b"x", b"") == "LNK-010"


def test_an_epoch_has_one_key_for_ever(vault, custodian):
    vault.create(ONE, 1, custodian)
    before = vault.hmac(ONE, 1, b"x")
    assert code_of(vault.create, ONE, 1, custodian) == "LNK-016"
    assert vault.hmac(ONE, 1, b"x") == before


def test_sealing_hides_the_text_and_never_repeats(vault, custodian):
    vault.create(ONE, 1, custodian)
    first, second = (vault.seal(ONE, b"CANARY" * 10, b"context") for _ in range(2))
    assert first != second
    assert b"CANARY" not in first + second


def test_a_batch_keeps_its_order_and_length(vault, custodian):
    vault.create(ONE, 1, custodian)
    sealed = vault.seal_batch(ONE, [SealItem(bytes(size), b"") for size in (5, 500, 50)])
    assert len(sealed[0]) < len(sealed[2]) < len(sealed[1])
    assert vault.seal_batch(ONE, []) == []


def test_what_is_sealed_cannot_be_opened_here(vault):
    assert not [name for name in dir(vault) if "open" in name or "decrypt" in name or "unseal" in name]


def test_a_destroyed_project_is_gone_for_good(vault, custodian):
    for project in (ONE, OTHER):
        vault.create(project, 1, custodian)
    kept = vault.hmac(OTHER, 1, b"x")
    vault.seal(ONE, b"x", b"")
    vault.destroy(ONE)
    vault.destroy(ONE)
    assert code_of(vault.hmac, ONE, 1, b"x") == "LNK-009"
    assert code_of(vault.seal, ONE, b"x", b"") == "LNK-009"
    assert code_of(vault.create, ONE, 1, custodian) == "LNK-009"
    assert code_of(vault.create, ONE, 2, custodian) == "LNK-009"
    assert vault.hmac(OTHER, 1, b"x") == kept


def test_it_says_who_can_reidentify_and_no_key(vault, custodian):
    vault.create(ONE, 1, custodian)
    said = vault.who_can_reidentify(ONE)
    assert "re-identify" in said
    assert custodian.hex() not in said


def test_a_reader_that_hides_nothing_is_refused(vault):
    assert code_of(vault.create, ONE, 1, bytes(32)) == "LNK-006"


@pytest.mark.parametrize("project", ["", "../x", "a/b", "é" * 8, "x" * 65])
def test_a_project_is_named_by_an_opaque_id(vault, project, custodian):
    assert code_of(vault.create, project, 1, custodian) == "LNK-005"
    assert code_of(vault.hmac, project, 1, b"x") == "LNK-005"


def test_a_healthy_vault_says_nothing(vault):
    assert vault.health() is None


def test_a_vault_that_is_away_is_waited_for():
    assert CATALOGUE["LNK-007"].disposition is Disposition.RETRY


def test_what_is_to_be_sealed_does_not_show_itself():
    item = SealItem(b"CANARY", b"CANARY")
    assert "CANARY" not in repr(item)
    assert pickle.loads(pickle.dumps(item)) == item  # noqa: S301 (own data)
