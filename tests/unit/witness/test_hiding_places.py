"""A planted identifier is found wherever it is put."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from pairs import Pair, Person
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

if TYPE_CHECKING:
    from collections.abc import Callable

P = Person()
OLD_UID = f"{P.root}.30000019031207.2"


def _set(tag: int, vr: str, value: object) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        ds[tag] = DataElement(tag, vr, value)

    return plant


def _meta(tag: int, vr: str, value: object) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        ds.file_meta[tag] = DataElement(tag, vr, value)

    return plant


def _nested(depth: int, tag: int, vr: str, value: object) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        inner = Dataset()
        inner[tag] = DataElement(tag, vr, value)
        for _ in range(depth - 1):
            outer = Dataset()
            outer.ContentSequence = Sequence([inner])
            inner = outer
        ds.RequestAttributesSequence = Sequence([inner])

    return plant


def _private(vr: str, value: object, creator: str = "SIEMENS MED", element: int = 0x0A) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        ds.private_block(0x0019, creator, create=True).add_new(element, vr, value)

    return plant


def _code_meaning(scheme: str, text: str) -> Callable[[Dataset], None]:
    def plant(ds: Dataset) -> None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "L1", scheme, text
        ds.ProcedureCodeSequence = Sequence([code])

    return plant


PLACES = [
    # names: spelled and ordered in every way
    (_set(0x0008103E, "LO", "AXIAL Kowalczyk^Jadwiga"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "axial KOWALCZYK lung"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "Jadwiga Kowalczyk"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "kowalczyk_jadwiga"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "KowalczykJadwiga"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "JKowalczyk"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "scan4kowalczyk7"), "0008103E", "name"),
    (_set(0x0008103E, "LO", "Kowalczykowa"), "0008103E", "name"),
    (_set(0x00204000, "LT", "pt. Maria, née Kowalczyk"), "00204000", "name"),
    (_set(0x00180015, "CS", "KOWALCZYK"), "00180015", "name"),
    (_set(0x00081070, "PN", P.operator), "00081070", "name"),
    (_set(0x00081048, "PN", "Fitzwilliam^Hugh"), "00081048", "name"),
    (_set(0x00324000, "LT", "reported by B. Okonjo"), "00324000", "name"),
    (_set(0x00100010, "PN", P.name), "00100010", "name"),
    (_set(0x00081090, "LO", "Kowalczyk special"), "00081090", "name"),
    # numbers
    (_set(0x0008103E, "LO", "AX MRN-4471093"), "0008103E", "id"),
    (_set(0x0008103E, "LO", "ax mrn4471093x"), "0008103E", "id"),
    (_set(0x0008103E, "LO", "MRN 4471093"), "0008103E", "id"),
    (_set(0x00204000, "LT", "see ACC8812734 of last year"), "00204000", "id"),
    (_set(0x00200010, "SH", P.study_id), "00200010", "id"),
    (_set(0x00080050, "SH", P.number), "00080050", "id"),
    (_set(0x00181000, "LO", P.serial), "00181000", "id"),
    (_set(0x00081010, "SH", P.station), "00081010", "id"),
    (_set(0x00102154, "SH", "(604) 555 0142"), "00102154", "text"),
    (_set(0x00204000, "LT", "call 6045550142"), "00204000", "text"),
    # days
    (_set(0x00204000, "LT", "DOB 1953-04-17"), "00204000", "birth"),
    (_set(0x00204000, "LT", "born 17/04/1953"), "00204000", "birth"),
    (_set(0x00204000, "LT", "04/17/1953"), "00204000", "birth"),
    (_set(0x00204000, "LT", "1953/04/17"), "00204000", "birth"),
    (_set(0x00204000, "LT", "17.04.1953"), "00204000", "birth"),
    (_set(0x00204000, "LT", "17 Apr 1953"), "00204000", "birth"),
    (_set(0x00204000, "LT", "April 17, 1953"), "00204000", "birth"),
    (_set(0x00204000, "LT", "17 avril 1953"), "00204000", "birth"),
    (_set(0x00204000, "LT", "DOB: 530417"), "00204000", "birth"),
    (_set(0x00204000, "LT", "compared to 12 mars 2019"), "00204000", "date"),
    (_set(0x00204000, "LT", "prior of 20190312101112"), "00204000", "date"),
    (_set(0x00204000, "LT", "March 12, 2019"), "00204000", "date"),
    (_set(0x00080022, "DA", P.study_date), "00080022", "date"),
    (_set(0x0008002A, "DT", P.study_date + "101112.345"), "0008002A", "date"),
    (_set(0x00100030, "DA", P.birth), "00100030", "birth"),
    # institutions and addresses
    (_set(0x00080080, "LO", P.institution), "00080080", "organisation"),
    (_set(0x00204000, "LT", "done at LIONS BAY memorial hospital"), "00204000", "organisation"),
    (_set(0x00204000, "LT", "lives 17 Larkspur Crescent"), "00204000", "place"),
    # UIDs
    (_set(0x0020000D, "UI", OLD_UID), "0020000D", "uid"),
    (_set(0x00204000, "LT", f"uid {OLD_UID}."), "00204000", "uid"),
    (_set(0x00200052, "UI", f"{P.root}.4471093.5"), "00200052", "id"),
    (_set(0x00200052, "UI", "1.2.826.0.1.3680043.19530417.8"), "00200052", "birth"),
    # depth
    (_nested(1, 0x00321060, "LO", "CT Kowalczyk"), "00400275.00321060", "name"),
    (_nested(6, 0x00204000, "LT", P.number), ".00204000", "id"),
    (_nested(2, 0x0020000D, "UI", OLD_UID), "00400275.0040A730.0020000D", "uid"),
    # codes
    (_code_meaning("99LOCAL", "Chest Kowalczyk"), "00081032.00080104", "name"),
    # private attributes that may stay, opaque ones too
    (_private("LO", P.name), "0019100A", "name"),
    (_private("UT", "x" * 99 + P.number), "0019100A", "id"),
    (_private("OB", b"\1\2\3" + P.number.encode() + b"\0\7"), "0019100A", "id"),
    (_private("OB", P.name.encode("utf-16-le")), "0019100A", "name"),
    (_private("OB", b"\1" + P.name.encode("utf-16-be") + b"\2"), "0019100A", "name"),
    (_private("OB", base64.b64encode(b'{"patient":"Kowalczyk, Jadwiga"}')), "0019100A", "name"),
    (_private("LT", base64.b64encode(b"<id>MRN-4471093</id>").decode()), "0019100A", "id"),
    (_private("OB", P.birth.encode()), "0019100A", "birth"),
    (_private("OB", OLD_UID.encode().ljust(64, b"\0")), "0019100A", "uid"),
    (_private("UN", b"<PatientName>Kowalczyk</PatientName>"), "0019100A", "name"),
    (_private("UI", OLD_UID), "0019100A", "uid"),
    # unknown and odd attributes
    (_set(0x00091010, "UN", b"none"), "00091010", "private"),
    (_set(0x0028FFF0, "UN", b"name=Jadwiga Kowalczyk"), "0028FFF0", "name"),
    (_set(0x60001500, "LO", "Kowalczyk"), "60001500", "name"),
    (_set(0x60003000, "OW", b"\0" * 32), "60003000", "plane"),
    (_set(0x50003000, "OW", b"\0" * 32), "50003000", "plane"),
    (_set(0xFFFCFFFC, "OB", P.number.encode().ljust(64)), "FFFCFFFC", "id"),
    (_set(0x00420011, "OB", b"%PDF-1.4"), "00420011", "document"),
    (_set(0x00282000, "OB", P.name.encode() + b"\0" * 9), "00282000", "name"),
    (_set(0x00160084, "DS", "4471093"), "00160084", "id"),
    # file meta
    (_meta(0x00020016, "AE", "SENDERAE7"), "00020016", "meta"),
    (_meta(0x00020013, "SH", "MRN-4471093"), "00020013", "id"),
    (_meta(0x00020102, "OB", P.name.encode()), "00020102", "meta"),
    (_meta(0x00020026, "UR", "dicom://x"), "00020026", "meta"),
]


@pytest.mark.parametrize(
    ("plant", "position", "kind"), PLACES, ids=[f"{n}-{p}-{k}" for n, (_, p, k) in enumerate(PLACES)]
)
def test_planted_identifier_is_found(judge, plant, position, kind):
    verdict = judge(*Pair(after=plant).build())
    assert not verdict.clean
    assert any(f.position.endswith(position) and f.identifier_class == kind for f in verdict.findings), verdict.findings


def test_a_faultless_cleaner_passes(judge):
    verdict = judge(*Pair().build())
    assert verdict.clean, verdict.findings
    assert verdict.code == ""


def test_findings_hold_no_value(judge):
    source, result = Pair(after=_set(0x00204000, "LT", f"{P.name} {P.number} {P.birth} {OLD_UID}")).build()
    verdict = judge(source, result)
    shown = repr(verdict)
    assert {f.identifier_class for f in verdict.findings} == {"name", "id", "birth", "uid"}
    assert not any(value in shown for value in ("Kowalczyk", "4471093", "1953", OLD_UID))


@pytest.mark.parametrize("at", [0, 17, 100])
def test_preamble_with_an_identifier_or_anything_else(judge, at):
    source, result = Pair().build()
    spoiled = bytearray(result)
    spoiled[at : at + 11] = P.number.encode()
    verdict = judge(source, bytes(spoiled))
    assert {(f.position, f.identifier_class) for f in verdict.findings} == {
        ("preamble", "preamble"),
        ("preamble", "id"),
    }


def test_bytes_after_the_data_set(judge):
    source, result = Pair().build()
    verdict = judge(source, result + P.number.encode())
    assert verdict.code == "WIT-002"
