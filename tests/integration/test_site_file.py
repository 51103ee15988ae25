"""A site's record numbers and words, from the file to the released bytes; the report checked again afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices

NUMBER = "VGH7041993"
SITE = r"""record_numbers:
  - 'VGH-?\d{7}'
words:
  - quickspin
"""


@pytest.fixture
def tarnhelm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object, code: int = 0) -> tuple[str, str]:
        ended = run([str(argument) for argument in arguments], TarnhelmServices())
        said = tuple(capfd.readouterr())
        assert ended == code, said
        return said

    return call


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Chest slices whose texts name another patient of the same hospital by record number."""
    folder = tmp_path / "in"
    folder.mkdir()
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesDescription = "chest quickspin VGH-7041993"
    dataset.ManufacturerModelName = f"Quixotic {NUMBER} CT"
    for number in range(3):
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = number + 1
        dataset.save_as(folder / f"{number}.dcm")
    return folder


def released(out: Path) -> list[pydicom.Dataset]:
    found = [pydicom.dcmread(path) for path in out.rglob("*.dcm")]
    assert len(found) == 3
    return found


def test_a_record_number_leaves_kept_and_cleaned_texts_and_a_word_of_the_site_stays(
    tarnhelm: Any, source: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    rules = ("-d", "cleanDescOpt")

    tarnhelm("clean", source, tmp_path / "without", *rules)
    one = released(tmp_path / "without")[0]
    assert NUMBER in one.ManufacturerModelName  # nothing else knows that this is a record number
    assert one.SeriesDescription == "chest"

    assert "1 forms of record numbers, 1 words" in tarnhelm("site", "set", site)[0]
    tarnhelm("clean", source, tmp_path / "with", *rules)
    for one in released(tmp_path / "with"):
        assert one.ManufacturerModelName == "Quixotic CT"
        assert one.SeriesDescription == "chest quickspin"
    everything = b"".join(path.read_bytes() for path in (tmp_path / "with").rglob("*") if path.is_file())
    assert b"7041993" not in everything
    head = json.loads((tmp_path / "with" / "report" / "objects.jsonl").read_text().splitlines()[0])
    assert len(head["site_digest"]) == 64
    assert head["site_digest"][:16] in (tmp_path / "with" / "report" / "index.html").read_text()


def test_a_project_pins_its_site_and_a_dry_run_uses_it(tarnhelm: Any, source: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    tarnhelm("project", "create", "trial", "--site", site)
    site.write_text("words: [other]\n")
    tarnhelm("site", "set", site)
    tarnhelm("clean", source, tmp_path / "dry", "--project", "trial", "--dry-run", "--report", tmp_path / "look")
    looked = json.loads((tmp_path / "look" / "objects.jsonl").read_text().splitlines()[0])
    tarnhelm("clean", source, tmp_path / "out", "--project", "trial")
    done = json.loads((tmp_path / "out" / "report" / "objects.jsonl").read_text().splitlines()[0])
    assert looked["site_digest"] == done["site_digest"]
    pins = [json.loads(path.read_text()) for path in (tmp_path / "state" / "projects").glob("*.json")]
    assert [one["pins"]["site_digest"] for one in pins if one["label"] == "trial"] == [done["site_digest"]]


def test_a_mistake_in_a_site_file_is_told_with_its_line(tarnhelm: Any, source: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("record_numbers:\n  - 'VGH\\d+'\nword:\n  - x\n")
    for arguments in (
        ("clean", source, tmp_path / "out", "--site", site),
        ("project", "create", "x", "--site", site),
        ("site", "set", site),
        ("site", "check", site),
    ):
        said = tarnhelm(*arguments, code=2)[1]
        assert "RUN-016" in said
        assert "line 2, column 11: a repetition without an upper end" in said
        assert "line 3, column 1: word is no key" in said
        assert "did you mean words?" in said
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "state" / "site.yaml").exists()


def test_the_real_witness_s_batch_signatures_are_checked_again(tarnhelm: Any, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tarnhelm("clean", source, out)
    assert "3 released objects in the report; of 3 bytes and signature agree" in tarnhelm("report", "verify", out)[0]
    report = out / "report" / "objects.jsonl"
    head, *lines = report.read_text().splitlines()
    for at, change in (
        ("verdict", lambda text: text[:-1] + ("0" if text[-1] != "0" else "1")),
        ("object", lambda text: text[::-1]),
    ):
        first = json.loads(lines[0])
        first[at] = change(first[at])
        report.write_text("\n".join([head, json.dumps(first), *lines[1:]]) + "\n")
        assert "1 × the witness's signature does not cover it" in tarnhelm("report", "verify", out, code=3)[0]
    report.write_text("\n".join([head, *lines]) + "\n")
    victim = min(out.rglob("*.dcm"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    said = tarnhelm("report", "verify", out, code=3)
    assert victim.relative_to(out).as_posix() in said[0]
    assert "RUN-020" in said[1]
