"""The key hierarchy: what is derived is frozen, in range, and says nothing without its key."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.core import derive
from tarnhelm.linkage.core.derive import DEFAULT_PLACEHOLDERS, ProjectKeys, UidMapper

KEY = bytes(range(32))
KEYS = st.binary(min_size=32, max_size=32)
UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def by_hand(key: bytes, label: bytes, *parts: bytes) -> bytes:
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.new(key, b"tarnhelm\0" + label + b"\0" + framed, hashlib.sha256).digest()


def test_the_hierarchy_is_the_documented_one():
    project = by_hand(KEY, b"project", b"lung")
    subject = by_hand(project, b"id", b"hospital", b"mrn1")
    assert hmac.digest(KEY, derive.project_message("lung"), "sha256") == project
    assert derive.subject_id(project, "hospital", "mrn1") == subject
    assert derive.study_subject_id(project, "1.2.3") == by_hand(project, b"study-subject", b"1.2.3")
    assert derive.subject_key(project, subject) == by_hand(project, b"subject", subject)
    assert ProjectKeys.from_project_key(project).uid == by_hand(project, b"uid")


def test_golden_vectors():
    # A change here changes every released surrogate: it needs a new derivation version, never a new vector.
    subject = derive.subject_id(KEY, "hospital", "mrn000001")
    key = derive.subject_key(KEY, subject)
    assert subject.hex() == "c8fff26e57ea76bce45b556e2f0430286eb20d44b8e1d92ba42d99d03ac8b776"
    assert derive.patient_id_for(key, "LUNG-") == "LUNG-BENR3WXPHCQ22FS5"
    assert derive.date_offset_days(key, whole_weeks=False) == -299
    assert derive.date_offset_days(key, whole_weeks=True) == -2387
    assert UidMapper(KEY)("1.2.840.113619.2.55.3.1") == "2.25.171129791629914336644221714314955153257"
    assert (
        UidMapper(KEY, "1.2.826.0.1.3680043.10")("1.2.840.113619.2.55.3.1")
        == "1.2.826.0.1.3680043.10.171129791629914336644221714314955153257"
    )
    assert (
        UidMapper(KEY, "1.2.826.0.1.3680043.10.987654")("1.2.840.113619.2.55.3.1")
        == "1.2.826.0.1.3680043.10.987654.39844259533545546383648578616"
    )


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_two_lists_of_parts_never_look_alike(left, right):
    assert (derive.message("x", *left) == derive.message("x", *right)) == (left == right)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (" MRN 12 ", "mrn 12", True),  # padding and case
        ("MRN\x00", "MRN", True),  # NUL padding
        ("MRN  12", "MRN 12", True),  # runs of spaces
        ("ＭＲＮ１２", "mrn12", True),  # full-width forms (NFKC)
        ("STRASSE", "straße", True),  # case folding, not lower-casing
        ("e\u0301", "\u00e9", True),  # decomposed and composed
        ("0123", "123", False),  # leading zeros may tell two patients apart
        ("12-3", "123", False),  # so may punctuation
        ("12 3", "123", False),  # and an inner space
        ("e", "é", False),  # accents are kept
    ],
)
def test_spellings_of_a_patient_id(one, other, same):
    assert (derive.normalise_patient_id(one) == derive.normalise_patient_id(other)) is same


@given(st.text())
def test_normalising_twice_changes_nothing(value):
    once = derive.normalise_patient_id(value)
    assert derive.normalise_patient_id(once) == once


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", True),
        ("   ", True),
        ("0", True),
        ("000000", True),  # zeros of any length
        ("0-0", True),
        ("---", True),  # no letter, no digit
        ("unknown", True),
        ("Anon", True),
        ("n/a", True),
        ("TEST", True),
        ("TEST1", False),  # somebody's
        ("0001", False),
        ("MRN000", False),
        ("Ж", False),
    ],
)
def test_placeholders_name_nobody(value, expected):
    known = frozenset(derive.normalise_patient_id(entry) for entry in DEFAULT_PLACEHOLDERS)
    assert derive.is_placeholder(derive.normalise_patient_id(value), known) is expected


@given(KEYS)
def test_dates_move_one_to_3650_days_into_the_past(key):
    days = derive.date_offset_days(key, whole_weeks=False)
    weeks = derive.date_offset_days(key, whole_weeks=True)
    assert -3650 <= days <= -1
    assert -3650 <= weeks <= -7
    assert weeks % 7 == 0


def test_offsets_reach_both_ends_and_all_parts_of_the_range():
    drawn = [derive.date_offset_days(number.to_bytes(32, "big"), whole_weeks=False) for number in range(40_000)]
    assert min(drawn) == -3650
    assert max(drawn) == -1
    tenths = [sum(1 for days in drawn if (-days - 1) // 365 == tenth) for tenth in range(10)]
    # Mean 4,000, standard deviation 60: five of them either way.
    assert all(3700 < count < 4300 for count in tenths)


def test_a_draw_above_the_last_whole_multiple_is_drawn_again():
    # With a bound just above half of 2**64 nearly every second first draw is thrown away.
    bound = (1 << 63) + 1
    again = 0
    for number in range(50):
        key = number.to_bytes(32, "big")
        draws = [int.from_bytes(by_hand(key, b"x", turn.to_bytes(4, "big"))[:8], "big") for turn in range(30)]
        again += draws[0] >= bound
        assert derive.uniform(key, "x", bound) == next(drawn for drawn in draws if drawn < bound)
    assert 10 < again < 40


@given(KEYS, st.text(max_size=70))
def test_a_surrogate_uid_is_a_uuid_of_version_8_under_2_25(key, uid):
    mapped = UidMapper(key)(uid)
    if not uid.strip(" \0"):
        assert mapped == ""
        return
    assert len(mapped) <= 64
    assert UID.fullmatch(mapped)
    number = uuid.UUID(int=int(mapped.removeprefix("2.25.")))
    assert number.version == 8
    assert number.variant == uuid.RFC_4122


@given(
    KEYS,
    st.sampled_from(["1.2", "1.2.826.0.1.3680043.10", "1.2.826.0.1.3680043.10.98765432109"]),
    st.text("123.", min_size=1),
)
def test_a_surrogate_uid_fits_under_a_sites_own_root(key, root, uid):
    mapped = UidMapper(key, root)(uid)
    assert mapped.startswith(root + ".")
    assert len(mapped) <= 64
    assert UID.fullmatch(mapped)


@pytest.mark.parametrize(
    ("root", "valid"),
    [
        ("1.2.840", True),
        ("2.999", True),
        ("1.2.826.0.1.3680043.10.98765432109", True),  # 34 characters
        ("1.2.826.0.1.3680043.10.987654321098", False),  # 35: no room for 96 bits
        ("1", False),  # one arc
        ("1.2.", False),
        ("1.02", False),  # leading zero
        ("3.1", False),  # no such first arc
        ("1.40", False),  # below the arcs 0 and 1 the second is at most 39
        ("1.2\n", False),
        ("1.²", False),
    ],
)
def test_roots(root, valid):
    assert derive.is_uid_root(root) is valid
    if not valid:
        with pytest.raises(TarnhelmError, match="not valid"):
            UidMapper(KEY, root)


def test_padding_of_a_uid_does_not_count():
    mapper = UidMapper(KEY)
    assert mapper("1.2.3\0") == mapper("1.2.3 ") == mapper("1.2.3")


def test_bytes_that_were_not_decoded_are_mapped_and_not_quoted_in_an_error():
    assert UidMapper(KEY)("1.2.\udcff").startswith("2.25.")
    assert len(derive.subject_id(KEY, "", "\udcff")) == 32


@given(KEYS)
def test_the_default_patient_id_has_16_unambiguous_characters(key):
    assert re.fullmatch(r"P-[0-9A-HJKMNP-TV-Z]{16}", derive.patient_id_for(key, "P-"))


def test_keys_do_not_show_themselves():
    keys = ProjectKeys.from_project_key(KEY)
    assert repr(keys) == "ProjectKeys()"
