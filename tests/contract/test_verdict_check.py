"""The gateway's check of verdicts agrees with the witness's own, on good ones and on every kind of bad one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.gateway.verdict import SignedVerdict, VerdictCheck, signed_message
from tarnhelm.witness.core.seal import SealCheck, sign_batch
from tarnhelm.witness.core.verdict import signed_bytes

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()


def verdict(number: int = 0, *, clean: bool = True) -> SignedVerdict:
    return SignedVerdict(f"object{number}", "p" * 64, f"{number:064x}", clean=clean)


@pytest.mark.parametrize("clean", [True, False])
def test_both_sign_the_same_message(clean: bool) -> None:
    one = verdict(clean=clean)
    assert signed_message(one) == signed_bytes(one.object_id, one.policy_digest, one.output_sha256, clean)


def test_a_single_signature() -> None:
    one = replace(verdict(), signature=KEY.sign(signed_message(verdict())).hex())
    check = VerdictCheck([b"\1" * 32, PUBLIC])
    assert check(one)
    assert not VerdictCheck([Ed25519PrivateKey.generate().public_key().public_bytes_raw()])(one)
    for bad in (
        replace(one, clean=False),
        replace(one, object_id="other"),
        replace(one, policy_digest="q" * 64),
        replace(one, output_sha256="f" * 64),
        replace(one, signature=""),
        replace(one, signature="zz"),
        replace(one, signature=one.signature[:-2]),
        replace(one, signature=one.signature * 100),
    ):
        assert not check(bad)


@given(
    st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))),
    st.one_of(st.none(), st.tuples(st.integers(0, 500), st.integers(1, 255))),
    st.integers(-40, 40),
)
def test_signatures_of_a_batch_are_judged_like_the_witness_judges_them(
    place: tuple[int, int], flip: tuple[int, int] | None, cut: int
) -> None:
    count, at = place
    verdicts = [verdict(number, clean=number % 3 != 1) for number in range(count)]
    signature = bytearray(sign_batch(KEY, [signed_message(one) for one in verdicts])[at])
    if flip is not None:
        signature[flip[0] % len(signature)] ^= flip[1]
    if cut < 0:
        del signature[cut:]
    else:
        signature += b"\0" * (cut // 8)
    whole = flip is None and cut in range(8)
    found = VerdictCheck([PUBLIC])(replace(verdicts[at], signature=signature.hex()))
    assert found is SealCheck(KEY.public_key())(signed_message(verdicts[at]), bytes(signature))
    assert found is whole


def test_a_leaf_is_no_other_leaf() -> None:
    verdicts = [verdict(number) for number in range(5)]
    signatures = sign_batch(KEY, [signed_message(one) for one in verdicts])
    check = VerdictCheck([PUBLIC])
    assert all(check(replace(one, signature=sig.hex())) for one, sig in zip(verdicts, signatures, strict=True))
    assert not check(replace(verdicts[0], signature=signatures[1].hex()))
    assert not check(replace(verdict(9), signature=signatures[0].hex()))
