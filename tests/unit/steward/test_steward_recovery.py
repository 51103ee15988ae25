"""The recovery key and the form of a backup: k shares open, k - 1 do not, and no byte can be changed."""

from __future__ import annotations

import io
import os
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import combine_mnemonics
from steward_ward import START, Drawn, code_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.steward.backup import open_backup, read_head, write_backup
from tarnhelm.reveal.steward.recovery import RecoveryKey, join_shares, keep_recovery_key, new_shares, read_recovery_key

# SLIP-0039, official test vectors: "Basic sharing 2-of-3" (128 bits), passphrase TREZOR.
VECTOR = (
    (
        "shadow pistol academic always adequate wildlife fancy gross oasis cylinder mustang wrist rescue view short owner "
        "flip making coding armed"
    ),
    (
        "shadow pistol academic acid actress prayer class unknown daughter sweater depict flip twice unkind craft early "
        "superior advocate guest smoking"
    ),
)


def test_the_library_gives_the_published_vector():
    assert combine_mnemonics(VECTOR, b"TREZOR").hex() == "b43ceb7e57a0ea8766221624d01b0864"


def test_any_k_shares_give_the_key_and_fewer_do_not():
    key, shares = new_shares(3, 5, Drawn("recovery"))
    for chosen in combinations(shares, 3):
        assert join_shares(chosen).public_key().public_bytes_raw() == key.public
    assert join_shares(shares).public_key().public_bytes_raw() == key.public
    for chosen in combinations(shares, 2):
        assert code_of(lambda chosen=chosen: join_shares(chosen)) == "STW-011"
    # The same share three times is one share.
    assert code_of(lambda: join_shares([shares[0]] * 3)) == "STW-011"
    assert code_of(lambda: join_shares([])) == "STW-011"


def test_shares_of_two_keys_do_not_mix():
    _, one = new_shares(2, 3, Drawn("one"))
    _, other = new_shares(2, 3, Drawn("other"))
    assert code_of(lambda: join_shares([one[0], other[1]])) == "STW-011"


def test_a_wrong_word_is_told_by_the_number_of_its_share():
    _, shares = new_shares(2, 3, Drawn("recovery"))
    words = shares[1].split()
    for wrong in (["zero", *words[1:]], words[:-1], ["notaword", *words[1:]], []):
        with pytest.raises(TarnhelmError) as caught:
            join_shares([shares[0], " ".join(wrong)])
        assert (caught.value.code, caught.value.facts) == ("STW-010", {"index": 2})
    assert code_of(lambda: join_shares(["x" * 10_000])) == "STW-010"
    assert join_shares([shares[0].upper(), f"\n  {shares[1]}\n"])


@pytest.mark.parametrize(("needed", "shares"), [(1, 1), (1, 5), (4, 3), (2, 17), (0, 0), (-1, 3)])
def test_one_person_alone_is_never_enough(needed, shares):
    assert code_of(lambda: new_shares(needed, shares, os.urandom)) == "STW-017"


def test_the_machine_keeps_the_public_half_alone_and_never_exchanges_it(tmp_path):
    key, shares = new_shares(2, 3, Drawn("recovery"))
    tmp_path.chmod(0o700)
    path = tmp_path / "recovery.json"
    keep_recovery_key(path, key)
    assert read_recovery_key(path) == key
    secret = join_shares(shares).private_bytes_raw()
    assert secret.hex().encode() not in path.read_bytes()
    assert code_of(lambda: keep_recovery_key(path, key)) == "LNK-016"
    assert code_of(lambda: read_recovery_key(tmp_path / "none")) == "STW-017"


PRIVATE = X25519PrivateKey.from_private_bytes(Drawn("p")(32))
KEY = RecoveryKey(PRIVATE.public_key().public_bytes_raw(), 2, 3)


def backup(content):
    target = io.BytesIO()
    write_backup(target, KEY, "local", content, now=START, random=Drawn("b"))
    return target.getvalue()


def opened(raw, key=PRIVATE):
    return b"".join(open_backup(io.BytesIO(raw), key))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 33, (1 << 20) - 32, (1 << 20) - 31, 3 << 20])
def test_what_goes_in_comes_out(size):
    content = Drawn("content")(size)
    raw = backup([content[:100], content[100:]])
    assert opened(raw) == content
    assert read_head(io.BytesIO(raw)).needed == 2
    assert size < 64 or content[:64] not in raw


def test_pieces_cannot_be_left_out_exchanged_or_cut_off():
    content = Drawn("content")(3 << 20)
    raw = backup([content])
    head = raw.index(b"\n") + 1
    size = int.from_bytes(raw[head : head + 4], "big") + 4
    pieces = [raw[head + number * size : head + (number + 1) * size] for number in range(3)]
    tail = raw[head + 3 * size :]
    for changed in (
        [pieces[0], pieces[2]],
        [pieces[1], pieces[0], pieces[2]],
        [pieces[0], pieces[0], pieces[1], pieces[2]],
    ):
        assert code_of(lambda changed=changed: opened(raw[:head] + b"".join(changed) + tail)) == "STW-012"
    assert code_of(lambda: opened(raw[:head] + b"".join(pieces) + bytes(4))) == "STW-012"
    assert code_of(lambda: opened(raw[:-4])) == "STW-012"
    assert code_of(lambda: opened(raw + b"x")) == "STW-012"
    assert code_of(lambda: opened(raw.replace(b'"needed":2', b'"needed":3'))) == "STW-012"
    assert code_of(lambda: opened(raw, X25519PrivateKey.generate())) == "STW-012"


@settings(max_examples=60)
@given(st.data())
def test_no_byte_can_be_changed(data):
    raw = bytearray(backup([b"something that must stay as it is"]))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert code_of(lambda: opened(bytes(raw))) == "STW-012"
