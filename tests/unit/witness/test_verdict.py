"""The verdict: signed, bound to bytes, object and policy; trouble is never clean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs import DIGEST, Pair, policy

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.witness.core import Finding, Policy, Witness, signed_bytes, verify_verdict
from tarnhelm.witness.core import verdict as module
from tarnhelm.witness.core.parts import Rooms

SOURCE, RESULT = Pair().build()


def _witness(limits: Limits | None = None) -> Witness:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    return Witness(Policy.from_json(policy()), key, limits or Limits())


def test_signature_holds_for_the_verdict_and_for_nothing_else(key):
    verdict = Witness(Policy.from_json(policy()), key).judge(SOURCE, RESULT, "object-1")
    public = key.public_key()
    assert verify_verdict(public, verdict)
    assert verdict.policy_digest == DIGEST
    for other in (
        replace(verdict, object_id="object-2"),
        replace(verdict, clean=False, code="WIT-001"),
        replace(verdict, policy_digest="00" * 32),
        replace(verdict, output_sha256="00" * 32),
        replace(verdict, findings=(Finding("WIT-001", "00100010", "name"),)),
    ):
        assert not verify_verdict(public, other)
    assert not verify_verdict(Ed25519PrivateKey.generate().public_key(), verdict)


def test_an_unclean_verdict_cannot_be_turned_into_a_clean_one(key):
    verdict = Witness(Policy.from_json(policy()), key).judge(SOURCE, SOURCE, "object-1")
    assert not verdict.clean
    assert verify_verdict(key.public_key(), verdict)
    assert not verify_verdict(key.public_key(), replace(verdict, clean=True, code="", findings=()))


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_no_two_verdicts_share_a_message(a, b, c, d):
    assert (signed_bytes(a, b, "", True) == signed_bytes(c, d, "", True)) == ((a, b) == (c, d))
    assert signed_bytes(a, b, c, True) != signed_bytes(a, b, c, False)


def test_files_and_bytes_are_judged_alike(tmp_path, key, monkeypatch):
    (tmp_path / "a").write_bytes(SOURCE)
    (tmp_path / "b").write_bytes(RESULT)
    witness = Witness(Policy.from_json(policy()), key)
    whole = witness.judge(SOURCE, RESULT, "x")
    assert witness.judge(tmp_path / "a", tmp_path / "b", "x") == whole
    monkeypatch.setattr(witness, "_rooms", Rooms(in_memory=0))  # as files beyond 64 MiB: mapped
    assert witness.judge(tmp_path / "a", tmp_path / "b", "x") == whole
    assert whole.clean


def test_trouble_inside_the_witness_is_not_clean(monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "gather", broken)
    verdict = _witness().judge(SOURCE, RESULT, "x")
    assert (verdict.clean, verdict.code) == (False, "WIT-004")


@pytest.mark.parametrize("source", [b"", b"no DICOM at all", SOURCE[:700], b"\0" * 4096])
def test_a_source_that_cannot_be_read_gives_no_clean_verdict(source):
    assert not _witness().judge(source, RESULT, "x").clean


@pytest.mark.parametrize(
    "limits", [Limits(max_object_bytes=500), Limits(max_elements=10), Limits(max_header_bytes=50), Limits(max_depth=0)]
)
def test_limits_give_no_clean_verdict(limits):
    assert not _witness(limits).judge(SOURCE, RESULT, "x").clean


def test_a_missing_source_gives_no_clean_verdict(tmp_path):
    assert _witness().judge(tmp_path / "none", RESULT, "x").code == "WIT-004"


@pytest.mark.parametrize("object_id", ["", "a b", "x" * 129, "\n"])
def test_object_ids_are_opaque_tokens(object_id):
    with pytest.raises(ValueError, match="object_id"):
        _witness().judge(SOURCE, RESULT, object_id)


# --- mutations -------------------------------------------------------------------------------------------------

WITNESS = _witness()
HEADER = RESULT.index(b"\xe0\x7f\x10\x00OW")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(min_value=1, max_value=len(RESULT) - 1))
def test_a_truncated_result_is_never_clean(length):
    assert not WITNESS.judge(SOURCE, RESULT[:length], "x").clean


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=40))
def test_a_result_with_bytes_after_it_is_never_clean(tail):
    assert not WITNESS.judge(SOURCE, RESULT + tail, "x").clean


@settings(max_examples=400, deadline=None)
@given(st.integers(min_value=HEADER + 12, max_value=len(RESULT) - 1), st.integers(min_value=0, max_value=7))
def test_a_flipped_pixel_bit_is_never_clean(at, bit):
    spoiled = bytearray(RESULT)
    spoiled[at] ^= 1 << bit
    verdict = WITNESS.judge(SOURCE, bytes(spoiled), "x")
    assert {f.code for f in verdict.findings} == {"WIT-003"}


@settings(max_examples=500, deadline=None)
@given(st.integers(min_value=0, max_value=len(RESULT) - 1), st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_never_breaks_the_witness(at, bit):
    spoiled = bytearray(RESULT)
    spoiled[at] ^= 1 << bit
    verdict = WITNESS.judge(SOURCE, bytes(spoiled), "x")
    assert all(f.identifier_class != "error" for f in verdict.findings), at


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_rubbish_is_never_clean(data):
    assert not WITNESS.judge(SOURCE, data, "x").clean
    assert not WITNESS.judge(data, RESULT, "x").clean


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=132, max_value=len(SOURCE) - 1), st.integers(min_value=0, max_value=255))
def test_a_damaged_source_never_breaks_the_witness(at, byte):
    spoiled = bytearray(SOURCE)
    spoiled[at] = byte
    verdict = WITNESS.judge(bytes(spoiled), RESULT, "x")
    assert all(f.identifier_class != "error" for f in verdict.findings), at


# --- the policy document -----------------------------------------------------------------------------------------

BAD_POLICIES = [
    b"", b"[]", b"{}", b'{"version":1}', b'{"version":2,"digest":"' + b"0" * 64 + b'"}',
    policy(digest="xyz"),  # no sha256
    policy().replace(b'"kept"', b'"mapped"').replace(b'"shifted"', b'"kept"'),  # other rules under the same digest
    policy(version=True),
    policy(keeep={}),  # unknown key
    policy(keep=[]),
    policy(keep={"0010": ["name"]}),  # no position
    policy(keep={"00100010": ["nam"]}),  # no class
    policy(keep={"00100010": "name"}),  # keep lists classes
    policy(keep={"00100010.": ["name"]}),
    policy(keep={"00100010..00100020": ["name"]}),
    policy(keep={"**": ["*"]}),
    policy(keep={"**.?": ["*"]}),
    policy(keep={".": ["*"]}),
    policy(keep={"**.0010001": ["*"]}),
    policy(keep={'**.0028"ACME"10': ["*"]}),  # even group
    policy(keep={'**.0029" "10': ["*"]}),
    policy(keep={".".join(["00400275"] * 65): ["*"]}),
    policy(keep={"60xx3000x": ["*"]}),
    policy(surrogate={"00100010": ["name"]}),  # surrogate names one
    policy(uids="some"),
    policy(dates="other"),
    policy(private_keep=[["", 25, 1]]),
    policy(private_keep=[["X", 24, 1]]),  # even group
    policy(private_keep=[["X", 25, 256]]),
    policy(private_keep=[["X", 25]]),
    policy(standard_uids="mine"),
    b'{"version":1,"version":1,"digest":"' + b"0" * 64 + b'"}',  # said twice
    b'{"version":1,"digest":' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("document", BAD_POLICIES)
def test_a_policy_that_is_not_understood_is_refused(document):
    with pytest.raises(TarnhelmError) as caught:
        Policy.from_json(document)
    assert caught.value.code == "WIT-007"


def test_positions_of_a_policy():
    read = Policy.from_json(
        policy(
            keep={
                "00100010": ["name"],
                "00081111.0020000D": ["uid"],
                "60xx3000": ["*"],
                '0019"SIEMENS MED"0A': ["text", "date"],
            },
            private_keep=[["GE", "0009", "1E"]],
        )
    )
    assert read.keep.classes((0x00081111, 0x00100010), "") == {"name"}
    assert read.keep.classes((0x00081111, 0x0020000D), "") == {"uid"}
    assert read.keep.classes((0x0020000D,), "") == frozenset()
    assert read.keep.classes((0x60023000,), "") == {"*"}
    assert read.keep.classes((0x0019110A,), "SIEMENS MED") == {"text", "date"}
    assert read.keep.classes((0x0019110A,), "OTHER") == frozenset()
    assert read.private_keep == {(9, "GE", 0x1E)}
