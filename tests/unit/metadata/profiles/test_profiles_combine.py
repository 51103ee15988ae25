"""Names combine as PS3.15 says; what cannot be fulfilled is refused with a code."""

import pickle

import pytest
from pydicom.sr.codedict import codes

from tarnhelm.common.errors import Disposition
from tarnhelm.metadata.core.profiles import BASIC, METHODS, NEEDS_STAGE, OPTION_OF, PROFILE_NAMES, ProfileError, combine

ORIGINAL_NAMES = [
    "basicProfile", "cleanDescOpt", "cleanGraphOpt", "cleanStructContOpt", "rtnDevIdOpt", "rtnInstIdOpt",
    "rtnLongFullDatesOpt", "rtnLongModifDatesOpt", "rtnPatCharsOpt", "rtnSafePrivOpt", "rtnUIDsOpt",
]  # fmt: skip


def test_the_names_are_those_of_the_original_and_the_two_for_pixels():
    assert sorted(PROFILE_NAMES) == sorted([*ORIGINAL_NAMES, "cleanPixDataOpt", "cleanRecogVisFeatOpt"])


@pytest.mark.parametrize("names", [[], [BASIC], [BASIC, BASIC]])
def test_basic_is_what_nothing_else_means(names):
    assert combine(names).names == (BASIC,)


@pytest.mark.parametrize("name", [name for name in ORIGINAL_NAMES if name != BASIC])
def test_basic_is_implied_by_any_option(name):
    profile = combine([name])
    assert profile.names == (BASIC, name)
    assert profile == combine([name, BASIC, name])
    assert profile.keeps(name)
    assert profile.keeps(OPTION_OF[name])


def test_order_and_repeats_do_not_count():
    one, other = combine(["rtnUIDsOpt", "cleanDescOpt"]), combine(["cleanDescOpt", "rtnUIDsOpt", "cleanDescOpt"])
    assert one == other
    assert one.digest == other.digest


def test_digests_differ_when_profiles_do():
    digests = [combine([name]).digest for name in ORIGINAL_NAMES]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 64 for digest in digests)


def test_method_codes_are_those_of_cid_7050():
    group = codes.cid7050
    expected = {concept.value: concept.meaning for concept in (getattr(group, name) for name in group.dir())}
    assert {method.value: method.meaning for method in METHODS.values()} == expected
    assert {method.scheme for method in METHODS.values()} == {"DCM"}
    # Name by name, by words that both share.
    words = {
        "basicProfile": "Basic", "cleanDescOpt": "Descriptors", "cleanGraphOpt": "Graphics",
        "cleanStructContOpt": "Structured Content", "cleanPixDataOpt": "Pixel Data",
        "cleanRecogVisFeatOpt": "Recognizable Visual", "rtnDevIdOpt": "Device Identity",
        "rtnInstIdOpt": "Institution Identity", "rtnLongFullDatesOpt": "Full Dates",
        "rtnLongModifDatesOpt": "Modified Dates", "rtnPatCharsOpt": "Patient Characteristics",
        "rtnSafePrivOpt": "Safe Private", "rtnUIDsOpt": "Retain UIDs",
    }  # fmt: skip
    for name, word in words.items():
        assert word in METHODS[name].meaning


def test_the_default_of_the_command_carries_its_two_codes():
    profile = combine(["basicProfile", "rtnLongModifDatesOpt"])
    assert [method.value for method in profile.method_codes] == ["113100", "113107"]
    assert profile.dates == "shifted"


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("rtnUIDsOpt", "retain_uids"),
        ("rtnSafePrivOpt", "retain_safe_private"),
        ("rtnPatCharsOpt", "patient_characteristics"),
        ("rtnDevIdOpt", "device"),
        ("rtnInstIdOpt", "institution"),
        ("cleanDescOpt", "clean_descriptors"),
        ("cleanGraphOpt", "clean_graphics"),
        ("cleanStructContOpt", "clean_structured_content"),
    ],
)
def test_a_profile_says_what_was_chosen(name, attribute):
    assert getattr(combine([name]), attribute) is True
    assert getattr(combine([]), attribute) is False


@pytest.mark.parametrize(
    ("names", "dates"),
    [([], "removed"), (["rtnLongFullDatesOpt"], "kept"), (["rtnLongModifDatesOpt"], "shifted")],
)
def test_dates_have_three_fates(names, dates):
    assert combine(names).dates == dates


@pytest.mark.parametrize(("name", "stage"), sorted(NEEDS_STAGE.items()))
def test_pixel_profiles_are_refused_until_their_stage_is_there(name, stage):
    others = frozenset(NEEDS_STAGE.values()) - {stage}
    for available in (frozenset(), others):
        with pytest.raises(ProfileError) as caught:
            combine([BASIC, name], available)
        assert (caught.value.code, caught.value.disposition) == ("PRF-001", Disposition.USAGE)
        assert caught.value.facts == {"position": 2}
    profile = combine([name], frozenset({stage}))
    assert profile.names == (BASIC, name)
    assert profile.method_codes[1] == METHODS[name]


def test_full_and_modified_dates_are_refused_together():
    with pytest.raises(ProfileError) as caught:
        combine(["rtnLongModifDatesOpt", "rtnLongFullDatesOpt"])
    assert caught.value.code == "PRF-002"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("rtnUIDOpt", "rtnUIDsOpt"),
        ("basicprofile", "basicProfile"),
        ("RTNDEVIDOPT", "rtnDevIdOpt"),
        ("cleanDescrOpt", "cleanDescOpt"),
        ("rtnLongModifDateOpt", "rtnLongModifDatesOpt"),
        ("Doe^Jane", None),  # what was typed is never said again
        ("", None),
    ],
)
def test_an_unknown_name_gets_a_suggestion_and_is_not_repeated(name, suggestion):
    with pytest.raises(ProfileError) as caught:
        combine(["basicProfile", name])
    error = caught.value
    assert error.code == "PRF-003"
    assert "Profile 2 " in str(error)
    assert ("Did you mean" in str(error)) == (suggestion is not None)
    if suggestion:
        assert f"Did you mean {suggestion}?" in str(error)
    if name:
        assert name not in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 (made here)


def test_a_profile_reaches_a_worker_whole():
    profile = combine(["cleanDescOpt", "rtnSafePrivOpt"])
    again = pickle.loads(pickle.dumps(profile))  # noqa: S301 (made here)
    assert again == profile
    assert again.rows == profile.rows
