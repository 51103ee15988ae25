"""What is no finding: kept positions, surrogates that equal a value by chance, common words, short numbers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from pairs import CREATOR, CT_CLASS, Pair, Person, Surrogate, shifted, written
from pydicom.dataelem import DataElement

P = Person()


def _set(tag, vr, value):
    def plant(ds) -> None:
        ds[tag] = DataElement(tag, vr, value)

    return plant


def _clean(judge, pair: Pair, **changes) -> None:
    verdict = judge(*pair.build(), **changes)
    assert verdict.clean, verdict.findings


@pytest.mark.parametrize(
    ("plant", "keep"),
    [
        (_set(0x00081010, "SH", P.station), {"00081010": ["id"]}),
        (_set(0x00181000, "LO", P.serial), {"00181000": ["*"]}),
        (_set(0x00080080, "LO", P.institution), {"00080080": ["organisation"]}),
        (_set(0x00081070, "PN", P.operator), {"00081070": ["name"]}),
        (_set(0x00080022, "DA", P.study_date), {"00080022": ["date"]}),
        (_set(0x00100030, "DA", P.birth), {"00100030": ["birth"]}),
        (_set(0x00200052, "UI", f"{P.root}.30000019031207.4"), {"00200052": ["uid"]}),
        (_set(0x60003000, "OW", b"\0" * 32), {"60xx3000": ["*"]}),
    ],
)
def test_what_the_recipe_keeps_may_stay_there_and_only_there(judge, plant, keep):
    _clean(judge, Pair(after=plant), keep=keep)
    assert not judge(*Pair(after=plant).build()).clean

    def elsewhere(ds) -> None:
        plant(ds)
        element = ds[int(next(iter(keep)).replace("xx", "00"), 16)]
        if element.VR != "OW":
            ds.ImageComments = str(element.value)

    if "60xx3000" not in keep:
        assert not judge(*Pair(after=elsewhere).build(), keep=keep).clean


def test_keep_does_not_reach_into_a_sequence(judge):
    def plant(ds) -> None:
        ds.ReferencedImageSequence[0].PatientComments = "Kowalczyk"

    assert not judge(*Pair(after=plant).build(), keep={"00081140": ["*"]}).clean
    _clean(judge, Pair(after=plant), keep={"00081140.00104000": ["name"]})


def test_a_private_attribute_may_be_kept_by_its_creator(judge):
    def plant(ds) -> None:
        ds.private_block(0x0019, CREATOR, create=True).add_new(0x0B, "LO", "Kowalczyk")

    assert not judge(*Pair(after=plant).build()).clean
    _clean(judge, Pair(after=plant), keep={f'0019"{CREATOR}"0B': ["name"]})


@pytest.mark.parametrize(
    "surrogate",
    [
        Surrogate(name="Kowalczyk^Odile"),  # the fake surname is the real one
        Surrogate(name="Tremblay^Jadwiga"),
        Surrogate(name="Okonjo^Odile"),  # the physician's
    ],
)
def test_a_surrogate_name_may_equal_one_part(judge, surrogate):
    _clean(judge, Pair(surrogate=surrogate))


def test_a_surrogate_that_is_the_whole_name_is_no_chance(judge):
    assert judge(*Pair(surrogate=Surrogate(name=P.name)).build()).code == "WIT-001"
    assert judge(*Pair(surrogate=Surrogate(name="Jadwiga^Kowalczyk")).build()).code == "WIT-001"


def test_a_shifted_date_may_equal_another_date(judge):
    # Studies one day apart, shifted by one day: the second one's new date is the first one's old date.
    def two(ds) -> None:
        ds.SeriesDate = "20190313"

    _clean(judge, Pair(before=two, surrogate=Surrogate(days=-1)))


def test_an_unshifted_date_is_found_although_dates_are_shifted(judge):
    assert judge(*Pair(after=_set(0x00080021, "DA", P.study_date)).build()).code == "WIT-001"


def test_kept_dates(judge):
    def unshifted(ds) -> None:
        for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023):
            ds[tag] = DataElement(tag, "DA", P.study_date)
        ds.AcquisitionDateTime = P.study_date + "101112.345"

    _clean(judge, Pair(after=unshifted), dates="kept")
    assert not judge(*Pair(after=unshifted).build(), dates="removed").clean
    # A newborn: the birth date stands in the kept study date, and that is the study's.
    _clean(judge, Pair(person=replace(P, birth=P.study_date), after=unshifted), dates="kept")


def test_kept_uids(judge):
    def kept(ds) -> None:
        ds.StudyInstanceUID = f"{P.root}.30000019031207.2"

    assert judge(*Pair(after=kept).build()).code == "WIT-005"
    _clean(judge, Pair(after=kept), uids="kept")


@pytest.mark.parametrize("number", ["12", "7", "A1", "999"])
def test_short_numbers_at_their_surrogates_place(judge, number):
    person = replace(P, number=number, accession=number, study_id=number)
    _clean(judge, Pair(person=person))
    _clean(judge, Pair(person=person, surrogate=Surrogate(accession=number)))  # a keyed two-digit number may equal it


def test_a_short_number_left_in_place_without_a_rule_is_found(judge):
    person = replace(P, study_id="7")
    verdict = judge(*Pair(person=person, surrogate=Surrogate(study_id="7")).build(), surrogate={"00100010": "name"})
    assert [f.position for f in verdict.findings] == ["00200010"]


WORDS = [
    # name, other attributes that hold the same word and stay
    ("Chest^Anna", {}),
    ("Head^Axial", {}),
    ("White^Lung", {0x0008103E: ("LO", "WHITE MATTER LUNG")}),
    ("Philips^Jan", {}),
    ("Long^Will", {0x00204000: ("LT", "long axis, will repeat")}),
    ("Li^Wu", {0x00204000: ("LT", "LI RADS 4, WU seen")}),
    ("Ng^An", {0x00204000: ("LT", "5 ng per ml, an image")}),
    ("De Mar^T", {0x00204000: ("LT", "vue de face")}),
    ("Stein^Ross", {0x00204000: ("LT", "CROSS SECTION, Einstein stone")}),
    ("March^May", {0x00204000: ("LT", "march, may follow")}),
    ("^Lee", {0x00204000: ("LT", "sleep, leeway, lee side")}),
    ("Hodgkin^Thomas", {0x00204000: ("LT", "Hodgkin lymphoma")}),
]


@pytest.mark.parametrize(("name", "others"), WORDS)
def test_a_name_that_is_a_common_word(judge, name, others):
    def fill(ds) -> None:
        for tag, (vr, value) in others.items():
            ds[tag] = DataElement(tag, vr, value)

    _clean(judge, Pair(person=replace(P, name=name), before=fill))


@pytest.mark.parametrize("text", ["LI WU", "Li^Wu", "wu, li", "LI-WU study", "liwu"])
def test_a_short_name_is_found_when_both_parts_stand_together(judge, text):
    person = replace(P, name="Li^Wu")
    verdict = judge(*Pair(person=person, after=_set(0x00204000, "LT", text)).build())
    assert verdict.clean == (text == "liwu"), verdict.findings  # four letters in a row are no evidence


@pytest.mark.parametrize("text", ["WHITE^ANNA", "Anna White", "white, anna", "patient White"])
def test_a_common_word_is_found_beside_another_part(judge, text):
    person = replace(P, name="White^Anna")
    assert judge(*Pair(person=person, after=_set(0x00204000, "LT", text)).build()).code == "WIT-001"


@pytest.mark.parametrize(
    ("number", "tag", "vr", "value"),
    [
        ("1234", 0x00181150, "IS", "1234"),  # exposure time as in the source
        ("5000", 0x0008103E, "LO", "TR 5000 ms"),  # a unit follows
        ("2012", 0x00181020, "LO", "syngo CT 2012B"),  # a version
        ("1250", 0x00281053, "DS", "0.1250"),  # a fraction
        ("1011", 0x00080030, "TM", "101112.345"),  # a time
        ("113100", 0x00080050, "SH", "ACC1903558"),  # a code of DICOM
        ("10008", 0x00080050, "SH", "ACC1903558"),  # a component of every standard UID
    ],
)
def test_numbers_that_are_numbers(judge, number, tag, vr, value):
    def fill(ds) -> None:
        ds[tag] = DataElement(tag, vr, value)

    _clean(judge, Pair(person=replace(P, number=number), before=fill if tag != 0x00080050 else None))


# --- the false-alarm rate ------------------------------------------------------------------------------------------

_SURNAME_WORDS = (
    "Li Ng Wu Ma He Ho Xu Yu Lu Le Do Vo An Oh Sy Ko Tan Lee Kim Cho Roy Ray Fox Cox Day Hall White Black Brown Green "
    "Young Long Short Head Hand Foot Chest Stone Rose King Martin Smith Jones Philips Graham Bell Stein Berg Lang Ross "
    "Lane Hart Cole Dean Baker Parkinson Hodgkin Walker Turner Fields Woods Rivers Banks Marsh March May Winter Summers"
)
_SURNAMES = _SURNAME_WORDS.split()
_GIVEN_WORDS = (
    "An Li Jo Al Ed Bo Mo Ty Ann Eve Ava Mia Leo Ian Max Guy Kim Lee Ray Art Will Mark Frank Grace Rose Axel Coro"
)
_GIVEN = _GIVEN_WORDS.split()
_TEXTS = (
    "CT CHEST WITH CONTRAST", "AXIAL 5.0 MM LUNG", "T2 TSE SAG", "HEAD FIRST SUPINE", "WHITE MATTER", "LUNG WINDOW 5 MM",
    "THORAX LOW DOSE 1.25MM", "LEFT HAND AP", "ART PHASE 35 SEC", "FOOT LAT", "AX 3D T1 MPRAGE 1 MM", "CROSS SECTION PLANE",
    "chart of the right stone", "INTRAVENOUS 80 ML 3 ML/S", "Long axis 4 chamber", "Tube 120 kV 212 mA", "vue de face",
)  # fmt: skip


def _digits(rng: random.Random, most: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, most)))


def _day(rng: random.Random, first: int, last: int) -> str:
    return f"{rng.randint(first, last)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"


def _innocent(rng: random.Random, number: int) -> tuple[bytes, bytes]:
    """A source with short names and numbers, and what a faultless cleaner makes of it."""
    root = (
        rng.choice(("1.3.12.2.1107.5.1.4", "1.2.840.113619.2.55", "1.2.276.0.7230010.3", "2.25"))
        + f".{rng.randint(1, 9999)}"
    )
    words = rng.sample(_TEXTS, 3)
    study, birth = _day(rng, 2010, 2024), _day(rng, 1920, 1999)
    common = {
        0x00080008: ("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x00080016: ("UI", CT_CLASS),
        0x00080030: (
            "TM",
            f"{rng.randint(0, 23):02}{rng.randint(0, 59):02}{rng.randint(0, 59):02}.{rng.randint(0, 999):03}",
        ),
        0x00080060: ("CS", "CT"),
        0x00080070: ("LO", rng.choice(("Philips", "SIEMENS", "GE MEDICAL SYSTEMS", "TOSHIBA"))),
        0x00081030: ("LO", words[0]),
        0x0008103E: ("LO", words[1]),
        0x00081090: ("LO", rng.choice(("Brilliance 64", "SOMATOM Force", "LightSpeed16", "Aquilion"))),
        0x00180015: ("CS", rng.choice(("CHEST", "HEAD", "HAND", "FOOT"))),
        0x00180050: ("DS", f"{rng.randint(1, 9)}.{rng.randint(0, 99999)}"),
        0x00181020: ("LO", f"syngo CT {rng.randint(2009, 2020)}B"),
        0x00181030: ("LO", words[2]),
        0x00181150: ("IS", str(rng.randint(1, 99999))),
        0x00200011: ("IS", str(rng.randint(1, 999))),
        0x00200013: ("IS", str(number)),
        0x00200032: ("DS", "\\".join(f"{rng.uniform(-250, 250):.6f}" for _ in range(3))),
        0x00281050: ("DS", str(rng.randint(-600, 600))),
    }
    source = common | {
        0x00080018: ("UI", f"{root}.30000.1.{number}"),
        0x00080020: ("DA", study),
        0x00080050: ("SH", _digits(rng, 5)),
        0x00080080: ("LO", rng.choice(("General Hospital", "MRI", "Clinic", "CHUM", "St. Paul's"))),
        0x00080090: ("PN", f"{rng.choice(_SURNAMES)}^{rng.choice(_GIVEN)}"),
        0x00081010: ("SH", rng.choice(("CT1", "CT01", "SCANNER", "PHILIPS-1", "MR3"))),
        0x00081070: ("PN", rng.choice(_SURNAMES)),
        0x00100010: ("PN", f"{rng.choice(_SURNAMES)}^{rng.choice(_GIVEN)}"),
        0x00100020: ("LO", _digits(rng, 6)),
        0x00100030: ("DA", birth),
        0x00181000: ("LO", _digits(rng, 5)),
        0x0020000D: ("UI", f"{root}.30000.2"),
        0x0020000E: ("UI", f"{root}.30000.3"),
        0x00200010: ("SH", _digits(rng, 2)),
    }
    days = -rng.randint(1, 3650)

    def same_shape(value: str) -> str:
        return "".join(rng.choice("0123456789") for _ in value)

    uids = [f"2.25.{rng.randrange(10**37, 10**38)}" for _ in range(3)]
    # A surname of the small table often is the patient's own; the whole name is not.
    surname = rng.choice(("Tremblay", "Gagnon", "Roy", "Martin", "Smith", "Lee", "Hall", "White"))
    result = common | {
        0x00080018: ("UI", uids[0]),
        0x00080020: ("DA", shifted(study, days)),
        0x00080050: ("SH", same_shape(source[0x00080050][1])),
        0x00080090: ("PN", f"{rng.choice(('Tremblay', 'Roy', 'Lee', 'Martin'))}^Mathis"),
        0x00100010: ("PN", f"{surname}^{rng.choice(('Odile', 'Luc', 'Anouk', 'Mathis'))}"),
        0x00100020: ("LO", "TRN-" + "".join(rng.choice("ABCDEFGHJKLMNPQRSTVWXYZ0123456789") for _ in range(16))),
        0x00100030: ("DA", birth[:4] + "0101" if birth[4:] != "0101" else ""),
        0x00120062: ("CS", "YES"),
        0x00120063: ("LO", "Tarnhelm 1: basicProfile"),
        0x0020000D: ("UI", uids[1]),
        0x0020000E: ("UI", uids[2]),
        0x00200010: ("SH", same_shape(source[0x00200010][1])),
    }
    table = {0x00281101: ("US", b"\0\x10\0\0\x10\0"), 0x00281201: ("OW", rng.randbytes(8192))}

    def file(elements: dict[int, tuple[str, str]]) -> bytes:
        rows = {tag: (vr, value.encode()) for tag, (vr, value) in elements.items()}
        return written(rows | table, elements[0x00080018][1])

    return file(source), file(result)


def _alarms(judge, count: int, seed: int) -> list[object]:
    found = []
    for number in range(count):
        verdict = judge(*_innocent(random.Random(seed * 1_000_003 + number), number % 97 + 1))
        if not verdict.clean:
            found.append((seed, number, verdict.findings))
    return found


def test_no_false_alarm_on_a_clean_corpus(judge):
    assert _alarms(judge, 3000, 1) == []


@pytest.mark.slow
def test_no_false_alarm_on_a_large_clean_corpus(judge):
    assert _alarms(judge, 30_000, 2) == []
