"""A verdict signed in a batch is as good as one signed alone, and no better for anybody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.witness.core import SealCheck, Verdict, signed_bytes, verify_verdict
from tarnhelm.witness.core.seal import sign_batch

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key()
MESSAGES = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


@given(MESSAGES)
def test_each_signature_of_a_batch_is_good_by_itself(messages: list[bytes]) -> None:
    for message, signature in zip(messages, sign_batch(KEY, messages), strict=True):
        assert SealCheck(PUBLIC)(message, signature)


@given(MESSAGES, st.binary(max_size=40), st.data())
def test_a_message_that_was_not_in_the_batch_has_no_signature(
    messages: list[bytes], other: bytes, data: st.DataObject
) -> None:
    check = SealCheck(PUBLIC)
    signatures = sign_batch(KEY, messages)
    assert all(map(check, messages, signatures))  # the root is known as good by now
    signature = data.draw(st.sampled_from(signatures))
    assert check(other, signature) == (other == messages[signatures.index(signature)])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=40, unique=True), st.data())
def test_a_changed_signature_covers_nothing(messages: list[bytes], data: st.DataObject) -> None:
    check = SealCheck(PUBLIC)
    place = data.draw(st.integers(0, len(messages) - 1))
    signature = sign_batch(KEY, messages)[place]
    assert check(messages[place], signature)
    at = data.draw(st.integers(0, len(signature) - 1))
    changed = bytearray(signature)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert not check(messages[place], bytes(changed))
    assert not check(messages[place], signature[:at])
    assert not check(messages[place], signature + b"\0" * 32)


@given(MESSAGES)
def test_a_node_of_the_tree_is_no_message(messages: list[bytes]) -> None:
    """A path that begins one node higher must not pass for the path of a leaf."""
    check = SealCheck(PUBLIC)
    for message, signature in zip(messages, sign_batch(KEY, messages), strict=True):
        head, path = signature[:68], signature[68:]
        if path:
            assert not check(path[:32], head + path[32:])
            assert not check(message + path[:32], head + path[32:])


def test_another_key_signs_nothing() -> None:
    (signature,) = sign_batch(Ed25519PrivateKey.from_private_bytes(b"x" * 32), [b"one"])
    assert not SealCheck(PUBLIC)(b"one", signature)


def test_a_signature_of_one_verdict_is_checked_by_the_same_check() -> None:
    assert SealCheck(PUBLIC)(b"one", KEY.sign(b"one"))
    assert not SealCheck(PUBLIC)(b"two", KEY.sign(b"one"))
    assert not SealCheck(PUBLIC)(b"one", b"")


@pytest.mark.parametrize("count", [0, 70_000])
def test_a_batch_has_bounds(count: int) -> None:
    with pytest.raises(ValueError, match=str(count)):
        sign_batch(KEY, [b""] * count)


def test_a_verdict_of_a_batch_is_verified_like_any_other() -> None:
    verdict = Verdict(
        "one", clean=True, code="", findings=(), policy_digest="p", output_sha256="a", output_bytes=1, signature=b""
    )
    messages = [signed_bytes(name, "p", "a", clean=True) for name in ("one", "two", "three")]
    signatures = sign_batch(KEY, messages)
    assert verify_verdict(PUBLIC, replace(verdict, signature=signatures[0]))
    assert not verify_verdict(PUBLIC, replace(verdict, signature=signatures[1]))
    assert not verify_verdict(PUBLIC, replace(verdict, signature=signatures[0], output_sha256="b"))
