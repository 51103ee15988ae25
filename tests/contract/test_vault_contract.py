"""What every vault must do. An implementation joins by adding a factory to ``VAULTS``.

The server's side runs against the real OpenBao, with the shipped policies: the vault's identity is assign's, the
keeper's is the steward's.
"""

from __future__ import annotations

import hmac
import pickle
import secrets
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tarnhelm.common.errors import CATALOGUE, Disposition, TarnhelmError
from tarnhelm.linkage.vaults.base import SealItem, Vault, VaultKeeper
from tarnhelm.linkage.vaults.local import LocalVault


@dataclass(frozen=True)
class Kind:
    """A vault, its keeper, and what a project may name as its reader."""

    vault: Vault
    keeper: VaultKeeper
    custodian: bytes | None
    refuses_custodian: str


def local(request):
    vault = LocalVault(request.getfixturevalue("tmp_path") / "state")
    return Kind(vault, vault, X25519PrivateKey.generate().public_key().public_bytes_raw(), "LNK-006")


def transit(request):
    bao = request.getfixturevalue("bao")
    return Kind(bao.vault(), bao.keeper(), None, "LNK-032")


VAULTS = {"local": local, "transit": transit}
"""Name → factory(request) of a vault without a key for the projects of the test."""


@pytest.fixture(params=sorted(VAULTS))
def kind(request):
    return VAULTS[request.param](request)


@pytest.fixture
def vault(kind):
    return kind.vault


@pytest.fixture
def keeper(kind):
    return kind.keeper


@pytest.fixture
def custodian(kind):
    return kind.custodian


@pytest.fixture
def one():
    return secrets.token_hex(16)


@pytest.fixture
def other():
    return secrets.token_hex(16)


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.code


def test_the_signature_is_32_bytes_and_stable(vault, custodian, keeper, one):
    keeper.create(one, 1, custodian)
    assert vault.hmac(one, 1, b"x") == vault.hmac(one, 1, b"x")
    assert len(vault.hmac(one, 1, b"")) == 32


def test_data_project_and_epoch_each_change_it(vault, custodian, keeper, one, other):
    keeper.create(one, 1, custodian)
    keeper.create(one, 2, custodian)
    keeper.create(other, 1, custodian)
    found = {vault.hmac(*question) for question in [(one, 1, b"x"), (one, 1, b"y"), (one, 2, b"x"), (other, 1, b"x")]}
    assert len(found) == 4
    # And none is what somebody without a key would get.
    assert hmac.digest(b"", b"x", "sha256") not in found


def test_a_key_is_made_by_create_alone(vault, custodian, keeper, one, other):
    assert code_of(vault.hmac, one, 1, b"x") == "LNK-010"
    assert code_of(vault.hmac, one, 1, b"x") == "LNK-010"
    keeper.create(one, 1, custodian)
    assert code_of(vault.hmac, one, 2, b"x") == "LNK-010"
    assert code_of(vault.seal, other, b"x", b"") == "LNK-010"


def test_an_epoch_has_one_key_for_ever(vault, custodian, keeper, one):
    keeper.create(one, 1, custodian)
    before = vault.hmac(one, 1, b"x")
    assert code_of(keeper.create, one, 1, custodian) == "LNK-016"
    assert vault.hmac(one, 1, b"x") == before


def test_sealing_hides_the_text_and_never_repeats(vault, custodian, keeper, one):
    keeper.create(one, 1, custodian)
    first, second = (vault.seal(one, b"CANARY" * 10, b"context") for _ in range(2))
    assert first != second
    assert b"CANARY" not in first + second


def test_a_batch_keeps_its_order_and_length(vault, custodian, keeper, one):
    keeper.create(one, 1, custodian)
    sealed = vault.seal_batch(one, [SealItem(bytes(size), b"") for size in (5, 500, 50)])
    assert len(sealed[0]) < len(sealed[2]) < len(sealed[1])
    assert vault.seal_batch(one, []) == []


def test_what_is_sealed_cannot_be_opened_here(vault):
    assert not [name for name in dir(vault) if "open" in name or "decrypt" in name or "unseal" in name]


def test_a_destroyed_project_is_gone_for_good(vault, custodian, keeper, one, other):
    for project in (one, other):
        keeper.create(project, 1, custodian)
    kept = vault.hmac(other, 1, b"x")
    vault.seal(one, b"x", b"")
    keeper.destroy(one)
    keeper.destroy(one)
    assert code_of(vault.hmac, one, 1, b"x") == "LNK-009"
    assert code_of(vault.seal, one, b"x", b"") == "LNK-009"
    assert code_of(keeper.create, one, 1, custodian) == "LNK-009"
    assert code_of(keeper.create, one, 2, custodian) == "LNK-009"
    assert vault.hmac(other, 1, b"x") == kept


def test_it_says_who_can_reidentify_and_no_key(vault, custodian, keeper, one):
    keeper.create(one, 1, custodian)
    said = vault.who_can_reidentify(one)
    assert "re-identify" in said
    assert custodian is None or custodian.hex() not in said
    keeper.destroy(one)
    assert code_of(vault.who_can_reidentify, one) == "LNK-009"


def test_a_reader_that_cannot_be_kept_to_is_refused(kind, keeper, one):
    # A key that hides nothing; or any key at all, where the server's policies say who may read.
    assert code_of(keeper.create, one, 1, bytes(32)) == kind.refuses_custodian
    assert code_of(kind.vault.hmac, one, 1, b"x") == "LNK-010"


@pytest.mark.parametrize("project", ["", "../x", "a/b", "é" * 8, "x" * 65])
def test_a_project_is_named_by_an_opaque_id(vault, project, custodian, keeper):
    assert code_of(keeper.create, project, 1, custodian) == "LNK-005"
    assert code_of(vault.hmac, project, 1, b"x") == "LNK-005"


def test_a_healthy_vault_says_nothing(vault):
    assert vault.health() is None


def test_a_vault_that_is_away_is_waited_for():
    assert CATALOGUE["LNK-007"].disposition is Disposition.RETRY


def test_what_is_to_be_sealed_does_not_show_itself():
    item = SealItem(b"CANARY", b"CANARY")
    assert "CANARY" not in repr(item)
    assert pickle.loads(pickle.dumps(item)) == item  # noqa: S301 (own data)
