"""Dates move by whole days: order and intervals survive, nothing lands in the future or in the year 1."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tarnhelm.metadata.core.pseudo import OddValue, birth_date, cap_age, shift_date, shift_datetime, shift_pair
from tarnhelm.metadata.core.pseudo.dates import check_time, time_offset_seconds

DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))
OFFSETS = st.integers(-3650, -1)
SECONDS = st.integers(-86_399, -1)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 12, 31))  # noqa: DTZ001 - DICOM's local times


def da(day):
    return f"{day:%Y%m%d}"


def read(text):
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()


@given(DAYS, DAYS, OFFSETS)
def test_intervals_and_order_survive(one, other, offset):
    moved, also = read(shift_date(da(one), offset)), read(shift_date(da(other), offset))
    assert moved - also == one - other
    assert moved < one


@pytest.mark.parametrize(
    ("value", "offset", "moved"),
    [
        ("20240301", -1, "20240229"),  # leap year
        ("20230301", -1, "20230228"),  # common year
        ("20000301", -1, "20000229"),  # a century that is a leap year
        ("19000301", -1, "19000228"),  # one that is not
        ("20240101", -1, "20231231"),  # year boundary
        ("2024.01.01", -1, "20231231"),  # the older form becomes the present one
        ("20240101 ", -1, "20231231"),  # padding
        ("20240101\0", -1, "20231231"),
        ("00020102", -1, "00020101"),  # the first date that is ever written
        ("", -1, ""),
        ("  ", -1, ""),
    ],
)
def test_dates_become(value, offset, moved):
    assert shift_date(value, offset) == moved


ODD_DATES = [
    "20240230",  # no such day
    "20231301",  # no such month
    "00000101",  # no such year
    "20240101-20240201",  # a range is a query, not a value
    "2024-01-01",  # another standard's form
    "202401",  # partial
    "2024",
    "20240101120000",
    "2024 101",
    "٢٠٢٤٠١٠١",  # digits of another script
    "²0240101",
    "unknown",
    "00010101",  # stands for no date: would land before the year 1
    "00020101",  # would land in the year 1
]


@pytest.mark.parametrize("value", ODD_DATES)
def test_odd_dates_are_flagged_without_their_value(value):
    with pytest.raises(OddValue) as caught:
        shift_date(value, -1)
    assert str(caught.value) == ""
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_date_past_the_calendar_is_odd():
    with pytest.raises(OddValue):
        shift_date("99991231", 1)


@given(st.text(max_size=12))
def test_no_text_breaks_a_date(text):
    for move in (
        lambda: shift_date(text, -400),
        lambda: shift_datetime(text, -400),
        lambda: cap_age(text),
        lambda: check_time(text),
    ):
        try:
            moved = move()
        except OddValue:
            continue
        assert moved.isascii()


@pytest.mark.parametrize(
    ("value", "offset", "moved"),
    [
        ("20240301081530.123456-0800", -1, "20240229081530.123456-0800"),  # everything there is
        ("20240301081530", -1, "20240229081530"),
        ("202403010815", -1, "202402290815"),  # partial precision stays
        ("2024030108", -1, "2024022908"),
        ("20240301", -1, "20240229"),
        ("202403", -1, "202403"),  # most of a month stays in it
        ("202403", -20, "202402"),  # or leaves it
        ("2024", -100, "2024"),
        ("2024", -200, "2023"),  # most days of 2024 land in 2023
        ("2024+0100", -366, "2023+0100"),  # a zone without a time
        ("20240301235960", -1, "20240229235960"),  # leap second
        ("", -1, ""),
    ],
)
def test_datetimes_become(value, offset, moved):
    assert shift_datetime(value, offset) == moved


@pytest.mark.parametrize(
    "value",
    [
        "20240301240000",  # no such hour
        "20240301086000",  # no such minute
        "20240230081530",  # no such day
        "20240301081530.",  # a fraction without digits
        "2024030108.5",  # a fraction of an hour
        "20240301081530-9900",  # no such zone
        "20240301-20240401",  # a range
        "202",
        "20240301T081530",
    ],
)
def test_odd_datetimes_are_flagged(value):
    with pytest.raises(OddValue):
        shift_datetime(value, -1)


@given(INSTANTS, OFFSETS)
def test_a_datetime_keeps_its_time_of_day(instant, offset):
    moved = shift_datetime(f"{instant:%Y%m%d%H%M%S.%f}", offset)
    assert moved == f"{instant + timedelta(days=offset):%Y%m%d%H%M%S.%f}"


@given(INSTANTS, OFFSETS, SECONDS)
def test_a_pair_moves_as_one_instant(instant, offset, seconds):
    expected = instant + timedelta(days=offset, seconds=seconds)
    pair = shift_pair(f"{instant:%Y%m%d}", f"{instant:%H%M%S.%f}", offset, seconds)
    assert pair == (f"{expected:%Y%m%d}", f"{expected:%H%M%S.%f}")
    assert shift_datetime(f"{instant:%Y%m%d%H%M%S.%f}", offset, seconds) == "".join(pair)
    assert expected < instant


@given(INSTANTS, INSTANTS, OFFSETS, SECONDS)
def test_pairs_keep_order(one, other, offset, seconds):
    assume(one < other)
    moved = ["".join(shift_pair(f"{at:%Y%m%d}", f"{at:%H%M%S.%f}", offset, seconds)) for at in (one, other)]
    assert moved == sorted(moved)


@pytest.mark.parametrize(
    ("day", "clock", "moved"),
    [
        ("20240301", "000030", ("20240228", "235930")),  # carry into a leap day's month
        ("20240301", "0000", ("20240228", "2359")),  # precision stays
        ("20240301", "00", ("20240228", "23")),
        ("20240301", "00:01:30", ("20240229", "000030")),  # the older form of a time
        ("20240301", "", ("20240229", "")),  # no time: no carry
        ("", "000030", ("", "235930")),  # no date: the time wraps
        ("", "", ("", "")),
    ],
)
def test_pairs_carry(day, clock, moved):
    assert shift_pair(day, clock, -1, -60) == moved


def test_seconds_of_a_subject_are_keyed_and_into_the_past():
    found = {time_offset_seconds(bytes([number]) * 32) for number in range(200)}
    assert len(found) > 190
    assert all(-86_399 <= seconds <= -1 for seconds in found)


@pytest.mark.parametrize(
    ("value", "checked"),
    [("081530", "081530"), ("0815", "0815"), ("08", "08"), ("081530.5 ", "081530.5"), ("08:15", "0815"), ("", "")],
)
def test_times_stay(value, checked):
    assert check_time(value) == checked


@pytest.mark.parametrize("value", ["25", "0860", "8", "081", "081530.1234567", "0815-0900", "noon", "08:1530"])
def test_odd_times_are_flagged(value):
    with pytest.raises(OddValue):
        check_time(value)


@pytest.mark.parametrize(
    ("value", "capped"),
    [
        ("045Y", "045Y"),
        ("089Y", "089Y"),  # the last that stays
        ("090Y", "090Y"),
        ("101Y", "090Y"),
        ("999Y", "090Y"),
        ("999M", "999M"),  # 83 years
        ("012W", "012W"),
        ("003D", "003D"),
        ("45Y", "045Y"),  # zeros left out
        ("045y ", "045Y"),
        ("", ""),
    ],
)
def test_ages_are_capped(value, capped):
    assert cap_age(value) == capped


@pytest.mark.parametrize("value", ["45", "Y", "1000Y", "-45Y", "045YY", "٤٥Y", "forty"])
def test_odd_ages_are_flagged(value):
    with pytest.raises(OddValue):
        cap_age(value)


def years(born, day):
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@given(DAYS, DAYS, OFFSETS, st.booleans())
def test_nobody_is_older_than_90_at_the_study(born, study, offset, year_only):
    assume(born <= study)
    moved = read(birth_date(da(born), offset, da(study), year_only=year_only))
    moved_study = study + timedelta(days=offset)
    if years(born, study) > 89:
        assert years(moved, moved_study) == 90
        assert (moved.month, moved.day) == (1, 1)
    elif year_only:
        assert (moved.year, moved.month, moved.day) == ((born + timedelta(days=offset)).year, 1, 1)
    else:
        assert moved_study - moved == study - born


def test_a_birth_date_without_a_study_is_odd(surrogate):
    with pytest.raises(OddValue):
        surrogate("DATE", "19500101", "DA", {"birth": "shift"})
    assert surrogate("DATE", "", "DA", {"birth": "shift"}) == ""


def test_several_values_move_each_and_one_odd_value_makes_all_odd(surrogate):
    assert surrogate("DATE", "20240301\\\\20240302", "DA") == "20230126\\\\20230127"
    with pytest.raises(OddValue):
        surrogate("DATE", "20240301\\soon", "DA")
    assert surrogate("TIME", "0815\\09", "TM") == "0815\\09"
    assert surrogate("DATETIME", "20240301\\2024030109", "DT") == "20230126\\2023012609"
    assert surrogate("DATE", "2024030109", "DT") == "2023012609"
    assert surrogate("DATETIME", "20240301", "DA") == "20230126"


def test_a_birth_rule_never_lets_a_datetime_pass(surrogate, context):
    from tarnhelm.metadata.core.pseudo import get_class

    chosen = get_class("DATE")
    with pytest.raises(OddValue):
        chosen.surrogate("19200101", chosen.validate("", {"birth": "year"}), context(vr="DT"))


def test_time_and_datetime_shift_by_the_same_seconds(surrogate):
    whole = surrogate("DATETIME", "20240301081530", "DT", {"shift": "true"})
    assert whole[8:] == surrogate("TIME", "081530", "TM", {"shift": "true"})
