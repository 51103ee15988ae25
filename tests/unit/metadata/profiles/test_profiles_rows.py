"""Every row of Table E.1-1 is decided as the table says, under every option and every pair of options."""

from itertools import combinations

import pytest

from tarnhelm.metadata.core.profiles import BASIC, OPTION_OF, combine

# The rows for many tags, and tags for which each must hold.
SAMPLES = {
    "50xxxxxx": [0x50000005, 0x50003000, 0x501E0010, 0x50FE2500, 0x50AA7777],
    "60xx3000": [0x60003000, 0x60103000, 0x60FE3000],
    "60xx4000": [0x60004000, 0x601E4000],
    "PRIVATE": [0x00091001, 0x00190010, 0x60011010, 0x50031001, 0x7FE11010],
}
OPTIONS = sorted(OPTION_OF)
DATES = {"rtnLongFullDatesOpt", "rtnLongModifDatesOpt"}
PAIRS = [pair for pair in combinations(OPTIONS, 2) if set(pair) != DATES]


def tags_of(pattern):
    return SAMPLES[pattern] if pattern in SAMPLES else [int(pattern, 16)]


def test_there_are_rows_to_check(rows):
    assert len(rows) >= 657
    assert set(SAMPLES) <= {row[0] for row in rows}


def test_basic_alone_gives_each_row_its_basic_code(rows):
    profile = combine([BASIC])
    for pattern, basic, _ in rows:
        for tag in tags_of(pattern):
            decision = profile.decide(tag)
            assert (decision.action, decision.option) == (basic, BASIC), pattern
            assert decision.row.startswith("E.1-1 ")


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_exactly_its_rows(rows, name):
    profile, option = combine([name]), OPTION_OF[name]
    changed = 0
    for pattern, basic, options in rows:
        if pattern == "PRIVATE":
            continue  # decided by creator, see the tests of private attributes
        for tag in tags_of(pattern):
            decision = profile.decide(tag)
            assert decision.action == options.get(option, basic), pattern
            assert decision.option == (name if option in options else BASIC), pattern
        changed += option in options
    assert changed or name == "rtnSafePrivOpt"
    assert profile.conflicts == ()


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_two_options_add_up_and_cleaning_wins_over_keeping(rows, names):
    profile = combine(names)
    conflicts = {conflict.row: conflict for conflict in profile.conflicts}
    differing = 0
    for pattern, basic, options in rows:
        if pattern == "PRIVATE":
            continue
        codes = {options[OPTION_OF[name]] for name in names if OPTION_OF[name] in options}
        expected = basic if not codes else "C" if "C" in codes else "K"
        for tag in tags_of(pattern):
            decision = profile.decide(tag)
            assert decision.action == expected, pattern
            if len(codes) == 2:
                assert conflicts[decision.row].winner == decision.option
                assert conflicts[decision.row].action == "C"
        differing += len(codes) == 2
    assert len(conflicts) == differing


def test_the_dates_of_a_device_are_shifted_and_reported():
    profile = combine(["rtnDevIdOpt", "rtnLongModifDatesOpt"])
    assert profile.decide(0x00181200).action == "C"  # Date of Last Calibration
    assert profile.decide(0x00181200).option == "rtnLongModifDatesOpt"
    assert profile.decide(0x00181000).action == "K"  # Device Serial Number
    conflict = next(conflict for conflict in profile.conflicts if conflict.row == "E.1-1 (0018,1200)")
    assert conflict.actions == (("rtnDevIdOpt", "K"), ("rtnLongModifDatesOpt", "C"))
    assert (conflict.winner, conflict.action) == ("rtnLongModifDatesOpt", "C")


def test_conflicts_of_content_items_are_reported_only_where_their_table_counts():
    def rows_of(names):
        return {conflict.row for conflict in combine(names).conflicts}

    assert rows_of(["rtnDevIdOpt", "cleanDescOpt"]) == set()
    assert rows_of(["rtnDevIdOpt", "cleanDescOpt", "cleanStructContOpt"]) == {"E.3.4-1 (DCM, 121122)"}


def test_all_options_together_still_decide_every_row(rows):
    profile = combine([name for name in OPTIONS if name != "rtnLongFullDatesOpt"])
    for pattern, basic, options in rows:
        chosen = {code for option, code in options.items() if option != "retain_longitudinal_full_dates"}
        expected = basic if not chosen else "C" if "C" in chosen else "K"
        if pattern != "PRIVATE":
            assert {profile.decide(tag).action for tag in tags_of(pattern)} == {expected}
