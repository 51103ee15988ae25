"""The judge condemns results that are known to be bad, each for its own reason."""

from __future__ import annotations

import shutil

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from tests.leak.corpus.manifest import Expected, Match
from tests.leak.corpus.places_file import PLACES
from tests.leak.judge import (
    Terms,
    changed_pixels,
    leaks_in,
    lost_values,
    moved_dates,
    placed_leaks,
    private_faults,
    references,
    scanner_of,
    split_subjects,
    tree_blobs,
    unaccounted,
)  # fmt: skip
from tests.leak.reading import read_outputs

ALL = frozenset({"basicProfile", "rtnLongModifDatesOpt", "cleanDescOpt", "rtnSafePrivOpt", "rtnPatCharsOpt"})


@pytest.fixture(scope="module")
def copied(corpus, tmp_path_factory):
    """The cleaner that does nothing: a copy of the corpus."""
    folder, manifest = corpus
    out = tmp_path_factory.mktemp("copied") / "out"
    shutil.copytree(folder, out)
    return out, manifest, read_outputs(out, manifest)


def test_a_copy_leaks_in_every_place(copied):
    out, manifest, _ = copied
    leaks = leaks_in(scanner_of(manifest), tree_blobs(out))
    placed_only = {"old-age", "unused-bits"}
    assert {leak.place for leak in leaks} >= set(PLACES) - placed_only
    assert {
        plant.text for e in manifest.files for plant in e.plants if plant.match is not Match.PLACE and e.iod != "litter"
    } <= {leak.text for leak in leaks}


def test_a_copy_leaks_short_names_and_dates_by_place(copied):
    _, _, outputs = copied
    leaks = placed_leaks(outputs, Terms())
    assert {"patient-name", "patient-id", "birth-date", "odd-dates", "old-age"} <= {leak.place for leak in leaks}
    assert {"LI^NG", "12"} <= {leak.text for leak in leaks}


def test_a_copy_keeps_all_and_moves_nothing(copied, corpus):
    _, _, outputs = copied
    assert lost_values(outputs, Terms(ALL)) == []
    assert changed_pixels([o for o in outputs if o.entry and not o.entry.unused_bits], corpus[0]) == []
    assert changed_pixels([o for o in outputs if o.entry and o.entry.unused_bits], corpus[0]) != []
    assert all("offset 0" in fault for fault in moved_dates(outputs, Terms()))
    assert references(outputs).dangling == references(outputs).dropped == references(outputs).torn == ()
    assert references(outputs).resolved > 200
    assert any("decoy" in fault for fault in private_faults(outputs, Terms(ALL)))
    assert [fault for fault in split_subjects(outputs) if "IDs" in fault or "one patient" in fault] == []
    assert any("must not be" in fault for fault in unaccounted(copied[1], outputs, terms_accept=True))


def test_an_empty_result_is_a_loss(corpus):
    _, manifest = corpus
    faults = unaccounted(manifest, [], terms_accept=True)
    assert len(faults) == sum(e.expected in {Expected.RELEASED, Expected.GATED} for e in manifest.files)


def _one(corpus, tmp_path, change):
    """A result of one file, changed by hand."""
    folder, manifest = corpus
    entry = next(e for e in manifest.files if e.places and "descriptions" in e.places and e.writer == "pydicom")
    ds = dcmread(folder / entry.path)
    change(ds)
    ds.save_as(tmp_path / "one.dcm")
    return read_outputs(tmp_path, manifest)


def _drop(ds, keyword):
    delattr(ds, keyword)


@pytest.mark.parametrize("keyword", ["Modality", "PixelSpacing", "KVP", "SliceThickness", "SeriesDescription"])
def test_a_lost_attribute_is_seen(corpus, tmp_path, keyword):
    outputs = _one(corpus, tmp_path, lambda ds: _drop(ds, keyword))
    assert lost_values(outputs, Terms(ALL)) != []


def test_a_lost_eponym_is_seen(corpus, tmp_path):
    def change(ds):
        ds.MedicalAlerts = "disease"

    lost = {keep.value for _, keep in lost_values(_one(corpus, tmp_path, change), Terms(ALL))}
    assert {"Baker", "Parkinson"} <= lost


def test_two_offsets_in_one_patient_are_seen(corpus, tmp_path):
    def change(ds):
        ds.StudyDate, ds.SeriesDate = "20190101", "20190102"

    assert any("offsets" in fault for fault in moved_dates(_one(corpus, tmp_path, change), Terms()))


def test_an_offset_into_the_future_is_seen(corpus, tmp_path):
    def change(ds):
        for element in ds:
            if element.VR == "DA":
                element.value = "20990101"

    assert any("offset 2" in fault for fault in moved_dates(_one(corpus, tmp_path, change), Terms()))


def test_a_torn_uid_is_seen(copied, tmp_path):
    out, manifest, _ = copied
    pair = [e for e in manifest.files if e.subject == "latin1" and e.writer == "pydicom"][:2]
    for number, entry in enumerate(pair):
        ds = dcmread(out / entry.path)
        ds.StudyInstanceUID = generate_uid()
        ds.save_as(tmp_path / f"{number}.dcm")
    assert len(references(read_outputs(tmp_path, manifest)).torn) >= 1


def test_a_changed_pixel_is_seen(corpus, tmp_path):
    def change(ds):
        ds.PixelData = bytes([ds.PixelData[0] ^ 1]) + ds.PixelData[1:]

    assert changed_pixels(_one(corpus, tmp_path, change), corpus[0]) != []


def test_one_patient_as_two_is_seen(copied, tmp_path):
    out, manifest, _ = copied
    for number, entry in enumerate([e for e in manifest.files if e.writer == "pydicom"][:2]):
        ds = dcmread(out / entry.path)
        ds.PatientID = f"S{number}"
        ds.save_as(tmp_path / f"{number}.dcm")
    assert any("2 patient IDs" in fault for fault in split_subjects(read_outputs(tmp_path, manifest)))


def test_a_name_in_a_report_is_seen(corpus):
    _, manifest = corpus
    name = next(
        p.text
        for e in manifest.files
        if e.subject == "cyrillic"
        for p in e.plants
        if p.kind == "name" and not p.text.isascii()
    )
    found = scanner_of(manifest)
    for text in (
        f'{{"error": "bad value {name}"}}'.encode(),
        ascii(name)[1:-1].encode(),
        name.upper().encode("iso8859-5"),
    ):
        assert leaks_in(found, [("report", text)]) != []
    assert leaks_in(found, [("report", b"12 of 40 objects released; LI")]) == []
