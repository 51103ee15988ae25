"""``tarnhelm clean`` as a user meets it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import fakecores
import pytest


def fill(folder: Path, count: int = 4, **bad: str) -> Path:
    for number in range(count):
        fakecores.write_fake(folder / f"Doe^Jane{number % 2}" / f"{number}.dcm", f"Doe^Jane{number % 2}", number + 1)
    for number, behaviour in enumerate(bad.values()):
        fakecores.write_fake(folder / "other" / str(number), "Roe^Richard", number + 1, behaviour)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_cleaned_and_out_holds_released_objects_and_the_report_only(tarnhelm: Any, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in"), tmp_path / "out"
    done = tarnhelm("clean", source, out)
    found = files(out)
    assert [path.name for path in found if path.parts[0] == "report"] == ["index.html", "objects.csv", "objects.jsonl"]
    assert len(found) == 4 + 3
    assert all(len(path.parts) == 4 and path.suffix == ".dcm" for path in found if path.parts[0] != "report")
    assert "released" in done.stdout
    everything = "".join((out / path).read_text() for path in found) + str(found) + done.stdout + done.stderr
    assert "Doe" not in everything
    assert str(source) not in everything


def test_the_report_says_the_same_three_times(tarnhelm: Any, tmp_path: Path) -> None:
    tarnhelm("clean", fill(tmp_path / "in", a="text", b="leak"), tmp_path / "out", "--report", tmp_path / "r", code=1)
    head, *lines = map(json.loads, (tmp_path / "r" / "objects.jsonl").read_text().splitlines())
    assert head["project_id"]
    assert sorted(line["state"] for line in lines) == ["quarantined"] * 2 + ["released"] * 4
    assert {line.get("code") for line in lines} == {None, "PIX-001", "WIT-001"}
    assert len((tmp_path / "r" / "objects.csv").read_text().splitlines()) == 7
    page = (tmp_path / "r" / "index.html").read_text()
    assert "PatientName" in page
    assert "PIX-001" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert not (tmp_path / "out" / "report").exists()


def test_files_zips_and_folders_with_zips_are_taken(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "loose")
    mixed = fill(tmp_path / "mixed", 1)
    with zipfile.ZipFile(mixed / "cd.zip", "w") as archive:
        for path in files(source):
            archive.write(source / path, f"../../{path}")
    tarnhelm("clean", source / "Doe^Jane0" / "0.dcm", tmp_path / "a")
    tarnhelm("clean", mixed / "cd.zip", tmp_path / "b")
    tarnhelm("clean", mixed, tmp_path / "c")
    assert [len(files(tmp_path / name)) - 3 for name in "abc"] == [1, 4, 4]  # one file is in the folder and the zip


def test_mixing_originals_and_results_is_refused(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in")
    for out in (source, source / "out", tmp_path):
        assert "RUN-001" in tarnhelm("clean", source, out, code=2).stderr
    assert "RUN-004" in tarnhelm("clean", tmp_path / "nowhere", tmp_path / "out", code=2).stderr


def test_an_out_of_another_project_or_of_somebody_is_refused(tarnhelm: Any, tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in"), tmp_path / "out"
    tarnhelm("project", "create", "one")
    tarnhelm("project", "create", "two")
    tarnhelm("clean", source, out, "--project", "one")
    assert "RUN-002" in tarnhelm("clean", source, out, "--project", "two", code=2).stderr
    assert "RUN-002" in tarnhelm("clean", source, out, code=2).stderr
    tarnhelm("clean", source, out, "--project", "one")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert "RUN-003" in tarnhelm("clean", source, tmp_path / "mine", code=2).stderr
    assert "RUN-005" in tarnhelm("clean", source, tmp_path / "new", "--resume", code=2).stderr


def test_another_recipe_in_one_project_is_refused(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in")
    recipe = tmp_path / "site.recipe"
    recipe.write_text("FORMAT dicom\n%header\nREMOVE PatientName\n")
    tarnhelm("project", "create", "one")
    tarnhelm("clean", source, tmp_path / "out", "--project", "one")
    assert "LNK-003" in tarnhelm("clean", source, tmp_path / "out", "--project", "one", "-r", recipe, code=2).stderr


def test_a_revision_is_shown_and_opened_and_the_next_run_works_with_it(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in")
    recipe = tmp_path / "site.recipe"
    recipe.write_text("FORMAT dicom\n%header\nREMOVE PatientName\n")
    tarnhelm("project", "create", "one")
    assert "first run" in tarnhelm("project", "upgrade", "one", "-r", recipe).stderr
    tarnhelm("clean", source, tmp_path / "out", "--project", "one")
    assert "No difference" in tarnhelm("project", "upgrade", "one").stdout
    shown = tarnhelm("project", "upgrade", "one", "-r", recipe, "-d", "rtnPatCharsOpt,cleanDescOpt")
    assert "recipe digest" in shown.stdout
    assert "cleanDescOpt, rtnPatCharsOpt" in shown.stdout
    assert "Nothing was changed" in shown.stderr
    assert "LNK-003" in tarnhelm("clean", source, tmp_path / "two", "--project", "one", "-r", recipe, code=2).stderr
    assert "Revision 2" in tarnhelm("project", "upgrade", "one", "-r", recipe, "--yes").stdout
    tarnhelm("clean", source, tmp_path / "two", "--project", "one", "-r", recipe)
    assert "LNK-003" in tarnhelm("clean", source, tmp_path / "three", "--project", "one", code=2).stderr
    assert "No difference" in tarnhelm("project", "upgrade", "one", "-r", recipe, "--yes").stdout


def test_a_dry_run_leaves_no_trace(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in", a="text")
    done = tarnhelm("clean", source, tmp_path / "out", "--dry-run", "--report", tmp_path / "report", code=1)
    assert "4  would go to the witness" in " ".join(done.stdout.split("\n")).replace("   ", " ")
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "state").rglob("*.sqlite"))
    assert "dry run" in (tmp_path / "report" / "index.html").read_text()


def test_a_sample_takes_so_many_files(tarnhelm: Any, tmp_path: Path) -> None:
    tarnhelm("clean", fill(tmp_path / "in", 20), tmp_path / "out", "--sample", 5)
    assert len(files(tmp_path / "out")) == 5 + 3


def test_resume_goes_on_and_finds_its_project(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in")
    tarnhelm("clean", source, tmp_path / "out")
    fakecores.write_fake(source / "late", "Poe", 9)
    done = tarnhelm("clean", source, tmp_path / "out", "--resume")
    assert "1  released" in done.stdout.replace("  released", "  released")
    assert "done already" in done.stdout
    assert len(files(tmp_path / "out")) == 5 + 3


def test_the_line_of_the_original_tool_works(tarnhelm: Any, tmp_path: Path) -> None:
    source = fill(tmp_path / "in")
    tarnhelm("-v", "-i", source, "-o", tmp_path / "out", "-p", 1, "-d", "basicProfile", "rtnUIDsOpt")
    assert len(files(tmp_path / "out")) == 4 + 3
    assert "RUN-010" in tarnhelm("-i", source, "-o", tmp_path / "b", "-t", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["clean"], 2, "Usage"),
        (["clean", "--help"], 0, "Examples"),
        (["--help"], 0, "witness"),
        (["nonsense"], 2, "RUN-026"),
        (["claen", "a", "b"], 2, "Did you mean tarnhelm clean?"),
        (["quarantine", "lst"], 2, "Did you mean tarnhelm quarantine list?"),
        (["clean", "scans/a", "scans/b", "out"], 2, "1 too many"),
        (["explain", "one.dcm", "two.dcm", "three.dcm"], 2, "2 too many"),
        (["clean", "a", "b", "--var", "x"], 2, "RUN-009"),
        (["clean", "a", "b", "-r", "missing.recipe"], 2, "RUN-011"),
        (["codes", "PIX"], 0, "PIX-003"),
        (["codes", "ZZZ"], 2, "RUN-015"),
        (["recipe", "show", "default"], 0, "FORMAT dicom"),
        (["explain", "missing.dcm"], 2, "RUN-004"),
        (["quarantine", "show", "abcd"], 2, "RUN-007"),
        (["project", "show", "nobody"], 2, "LNK-001"),
        (["mapping", "export", "trial-7", "--key", "private.pem"], 2, "tarnhelm-reveal mapping export"),
    ],
)
def test_every_command_says_what_is_wrong_with_a_code(
    tarnhelm: Any, arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    done = tarnhelm(*arguments, code=None)
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_kept_of_a_run_holds_no_identifier_in_the_clear(tarnhelm: Any, tmp_path: Path) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    tarnhelm("custodian", "create", private, public)
    tarnhelm("project", "create", "trial", "--custodian", public)
    tarnhelm("clean", fill(tmp_path / "in", 2), tmp_path / "out", "--project", "trial")
    assert list((tmp_path / "state" / "ledger").glob("*.sqlite"))
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"Doe^Jane" not in path.read_bytes(), (
            "an identifier lies in the state in the clear"
        )
