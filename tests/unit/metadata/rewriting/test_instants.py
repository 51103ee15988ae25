"""``TIME shift=true``: a date and its time move as one instant, so intervals survive over midnight."""

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tarnhelm.metadata.core.rules.attributes import time_beside
from tarnhelm.metadata.core.standard import tag_of

from .cleaning import chest_ct, file_bytes

HEADER = "FORMAT dicom\n%header\n"
TIMES = "PSEUDO select:VR:TM TIME shift=true\nPSEUDO select:VR:DT DATETIME shift=true\n"
SHIFTED = ["rtnLongModifDatesOpt"]


def instant(date, time):
    return datetime.strptime(f"{date}{time[:6]:0<6}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - DICOM times have no zone


def moved(ds, stem, date, time):
    return instant(ds[f"{stem}Date"].value, ds[f"{stem}Time"].value) - instant(date, time)


MOMENTS = st.datetimes(instant("19500101", "00"), instant("20600101", "00"))


@pytest.mark.parametrize(
    "dates", ["", "PSEUDO select:VR:DA DATE\n", "PSEUDO StudyDate DATETIME\n", "JITTER select:VR:DA -40\n"]
)
def test_intervals_between_instants_survive_over_midnight(cleaner, dates):
    clean = cleaner(HEADER + dates + TIMES, profiles=SHIFTED)
    shifts = set()
    for hour in range(0, 24, 3):
        ds = clean(chest_ct(StudyDate="20210304", StudyTime=f"{hour:02d}0000", SOPInstanceUID=f"1.2.3.{hour + 1}")).ds
        shifts.add(moved(ds, "Study", "20210304", f"{hour:02d}"))
    assert len(shifts) == 1
    assert shifts.pop() % timedelta(days=1)  # the time of day did move


def test_without_times_dates_move_by_whole_days_as_ever(cleaner):
    plain = cleaner(profiles=SHIFTED)(chest_ct()).ds
    days = instant(plain.StudyDate, "00") - instant("20210304", "00")
    timed = cleaner(HEADER + TIMES, profiles=SHIFTED)(chest_ct(StudyTime="")).ds
    assert instant(timed.StudyDate, "00") - instant("20210304", "00") == days


def test_pairs_inside_items_and_a_datetime_move_by_the_same_amount(cleaner):
    item = Dataset()
    item.PerformedProcedureStepStartDate, item.PerformedProcedureStepStartTime = "20210304", "000130"
    inner = Dataset()
    inner.ContentDate, inner.ContentTime = "20210304", "235959.5"
    item.ReferencedImageSequence = Sequence([inner])
    ds = chest_ct(
        StudyTime="120000", AcquisitionDateTime="20210304120000.25", ReferencedPerformedProcedureStepSequence=[item]
    )
    clean = cleaner(HEADER + "KEEP ReferencedPerformedProcedureStepSequence\n" + TIMES, profiles=SHIFTED)(ds).ds
    study = moved(clean, "Study", "20210304", "12")
    step = clean.ReferencedPerformedProcedureStepSequence[0]
    assert moved(step, "PerformedProcedureStepStart", "20210304", "000130") == study
    assert moved(step.ReferencedImageSequence[0], "Content", "20210304", "235959") == study
    whole = str(clean.AcquisitionDateTime)
    assert instant(whole[:8], whole[8:]) - instant("20210304", "12") == study
    assert whole.endswith(".25")


def test_equal_values_beside_other_times_are_not_remembered_for_each_other(cleaner):
    """The slices of a series share a date; each carries by its own time."""
    clean = cleaner(HEADER + TIMES, profiles=SHIFTED)
    moves = set()
    for number in range(24):
        ds = clean(
            chest_ct(AcquisitionDate="20210304", AcquisitionTime=f"{number:02d}3000", SOPInstanceUID=f"1.2.{number}.9")
        )
        moves.add(moved(ds.ds, "Acquisition", "20210304", f"{number:02d}30"))
    assert len(moves) == 1


@pytest.mark.parametrize("rules", ["PSEUDO SeriesTime TIME shift=true\n", TIMES + "KEEP StudyTime\n"])
def test_a_time_that_stays_carries_nothing(cleaner, rules):
    by_days = cleaner(profiles=SHIFTED)(chest_ct()).ds
    ds = cleaner(HEADER + rules, profiles=SHIFTED)(chest_ct(StudyTime="000001")).ds
    assert (ds.StudyDate, ds.StudyTime) == (by_days.StudyDate, "000001")


def test_an_odd_time_goes_and_its_date_moves_by_days(cleaner):
    by_days = cleaner(profiles=SHIFTED)(chest_ct()).ds
    odd = file_bytes(chest_ct(StudyTime="101112")).replace(b"101112", b"a late")
    ds = cleaner(HEADER + TIMES, profiles=SHIFTED)(odd).ds
    assert (ds.StudyDate, ds.StudyTime) == (by_days.StudyDate, "")


def test_times_pair_by_order_and_not_where_their_numbers_differ(cleaner):
    clean = cleaner(HEADER + TIMES, profiles=SHIFTED)
    two = clean(chest_ct(DateOfLastCalibration=["20210304", "20210304"], TimeOfLastCalibration=["000001", "235959"])).ds
    assert two.DateOfLastCalibration[0] < two.DateOfLastCalibration[1]
    odd = clean(chest_ct(DateOfLastCalibration=["20210304", "20210304"], TimeOfLastCalibration="000001")).ds
    assert odd.DateOfLastCalibration[0] == odd.DateOfLastCalibration[1] == two.DateOfLastCalibration[1]


def test_a_date_that_is_kept_is_kept(cleaner):
    ds = cleaner(HEADER + TIMES + "KEEP StudyDate\nPSEUDO PatientBirthDate DATE birth=shift\n", profiles=SHIFTED)(
        chest_ct()
    ).ds
    assert ds.StudyDate == "20210304"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOMENTS, MOMENTS)
def test_any_two_instants_keep_their_interval(cleaner, first, second):
    clean = cleaner(HEADER + TIMES, profiles=SHIFTED)
    ds = clean(
        chest_ct(
            StudyDate=f"{first:%Y%m%d}",
            StudyTime=f"{first:%H%M%S}",
            ContentDate=f"{second:%Y%m%d}",
            ContentTime=f"{second:%H%M%S}",
        )
    ).ds
    after = instant(ds.ContentDate, ds.ContentTime) - instant(ds.StudyDate, ds.StudyTime)
    assert after == second.replace(microsecond=0) - first.replace(microsecond=0)


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("StudyDate", "StudyTime"),
        ("DateOfLastCalibration", "TimeOfLastCalibration"),
        ("IssueDateOfImagingServiceRequest", "IssueTimeOfImagingServiceRequest"),
        ("Date", "Time"),
        ("PatientBirthDate", "PatientBirthTime"),
    ],
)
def test_the_standard_names_date_and_time_alike(date, time):
    assert time_beside(tag_of(date)) == tag_of(time)


@pytest.mark.parametrize("name", ["LastMenstrualDate", "AcquisitionDateTime", "StudyTime", "PatientName", "ExpiryDate"])
def test_what_has_no_time_beside_it(name):
    assert time_beside(tag_of(name)) is None
