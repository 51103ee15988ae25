"""The corpus is what it says: every planted string is there, every kind and syntax, readable by others."""

from __future__ import annotations

import hashlib
import warnings

import pytest
from pydicom import dcmread
from tests.leak.corpus import Manifest, build_corpus
from tests.leak.corpus.images import IMAGES
from tests.leak.corpus.manifest import Expected, Match
from tests.leak.corpus.nonimages import NON_IMAGES
from tests.leak.corpus.places_file import PLACES
from tests.leak.corpus.plan import ALONE
from tests.leak.corpus.wire import SYNTAXES
from tests.leak.forms import Scanner, byte_forms
from tests.leak.judge import shown
from tests.leak.reading import inflated, parse, value_at


def test_every_planted_string_stands_in_the_bytes_of_its_file(corpus):
    folder, manifest = corpus
    missing = []
    for entry in manifest.files:
        wanted = [plant for plant in entry.plants if plant.match is not Match.PLACE]
        if not wanted:
            continue
        data = (folder / entry.path).read_bytes()
        scanner = Scanner((plant.text, plant.match is Match.DIGITS) for plant in wanted)
        found = {index for part in (data, inflated(data)) for index, _ in scanner.hits(part)}
        # The library replaces what is not a value: preamble and meta elements that it writes by itself.
        missing += [
            (entry.path, wanted[i].place, wanted[i].text)
            for i in range(len(wanted))
            if i not in found and entry.iod != "litter"
        ]
    assert missing == []


def test_every_placed_string_is_the_value_of_its_attribute(corpus):
    folder, manifest = corpus
    wrong = []
    for entry in manifest.files:
        placed = [plant for plant in entry.plants if plant.match is Match.PLACE]
        if placed:
            ds = parse((folder / entry.path).read_bytes())
            final = {plant.path: plant for plant in placed}
            wrong += [
                (entry.path, p.place)
                for p in final.values()
                if shown(value_at(ds, p.path)).strip().casefold() != p.text.strip().casefold()
            ]
    assert wrong == []


def test_every_value_to_keep_stands_in_the_source(corpus):
    folder, manifest = corpus
    wrong = []
    for entry in manifest.files:
        if not entry.serial:
            continue
        ds = parse((folder / entry.path).read_bytes())
        for keep in (*entry.keeps, *entry.safe_private):
            value = shown(value_at(ds, keep.path))
            if keep.value not in value and value.rstrip("0").rstrip(".") != keep.value.rstrip("0").rstrip("."):
                wrong.append((entry.path, keep.path, value, keep.value))
        for dated in entry.dates:
            if shown(value_at(ds, dated.path)) != dated.value:
                wrong.append((entry.path, dated.path, "", dated.value))
        for reference in entry.references:
            if shown(value_at(ds, reference.path)) != reference.uid:
                wrong.append((entry.path, reference.path, "", reference.uid))
    assert wrong == []


def test_nothing_of_the_plan_is_left_out(corpus):
    _, manifest = corpus
    used = {place for entry in manifest.files for place in entry.places}
    assert set(PLACES) <= used
    assert {entry.iod for entry in manifest.files} >= set(IMAGES) | set(NON_IMAGES) | {"litter", "DICOMDIR"}
    assert {entry.syntax for entry in manifest.files if entry.serial} == set(SYNTAXES)
    assert len({entry.charset for entry in manifest.files if entry.serial}) >= 8
    chest = [e for e in manifest.files if e.expected is Expected.RELEASED]
    assert {place for entry in chest for place in entry.places} >= set(PLACES) - ALONE
    days = {(e.subject, e.dates[0].value) for e in manifest.files if e.dates}
    assert all(sum(1 for subject, _ in days if subject == who) >= 3 for who, _ in days)


def test_pydicom_reads_every_object(corpus):
    folder, manifest = corpus
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*VR lookup failed.*")
        for entry in manifest.files:
            if entry.serial:
                ds = dcmread(folder / entry.path, force=True)
                assert shown(ds.InstanceNumber) == str(entry.serial)
                for element in ds.iterall():
                    _ = element.value


def test_names_keep_their_script(corpus):
    folder, manifest = corpus
    entry = next(e for e in manifest.files if e.subject == "japanese")
    name = parse((folder / entry.path).read_bytes()).PatientName
    assert (name.family_name, name.ideographic, name.phonetic) == (
        "Kuzemorishi",
        "葛守坂^朝比奈木",
        "くぜもりし^あさひなぎ",
    )


def test_the_same_seed_gives_the_same_bytes(corpus, tmp_path):
    folder, _ = corpus
    build_corpus(tmp_path / "again", seed=1)

    def digest(root):
        return {p.relative_to(root): hashlib.sha256(p.read_bytes()).digest() for p in root.rglob("*") if p.is_file()}

    assert digest(tmp_path / "again") == digest(folder)


def test_the_manifest_survives_its_file(corpus, tmp_path):
    _, manifest = corpus
    manifest.save(tmp_path / "manifest.json")
    assert Manifest.load(tmp_path / "manifest.json") == manifest


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Lévesque", "Lévesque".encode("latin-1").lower()),
        ("Lévesque", b"l\\u00e9vesque"),  # JSON
        ("Lévesque", b"l%c3%a9vesque"),  # URL
        ("Lévesque", "Lévesque".encode("utf-16-le").lower()),
        ("Lévesque", b"levesque"),  # without accents
        ("Lévesque", b"LE\xcc\x81VESQUE".lower()),  # decomposed, upper case
        ("Звантуров", "ЗВАНТУРОВ".encode("iso8859-5").lower()),
        ("朝比奈", b"\x1b$bD+HfF`".lower()),  # ISO 2022 IR 87
        ("Osric&Co", b"osric&amp;co"),  # HTML
        ("abcdef", b"badcfe"),  # 16-bit words of the other byte order
    ],
)
def test_forms(text, form):
    assert form in byte_forms(text)


def test_a_number_inside_a_longer_number_is_no_hit():
    scanner = Scanner([("48213377", True)])
    assert list(scanner.hits(b"2.25.948213377.1 48213377a")) == [(0, 17)]


@pytest.mark.parametrize(
    "data",
    [
        b"LO\x08\x0048213377\x32\x00\x32\x10PN\x02\x00AB",  # group 0032 follows, explicit
        b"\x08\0\0\x0048213377\x38\x00\x00\x40\x02\0\0\0AB",  # group 0038 follows, implicit
        b"LO\x00\x3248213377",  # big endian: a length of 50 stands before
    ],
)
def test_a_number_beside_a_header_is_a_hit(data):
    assert len(list(Scanner([("48213377", True)]).hits(data))) == 1
