"""The command under proof: ``tarnhelm clean`` over a planted corpus, in several configurations.

Every byte of every output, every name, the report and what the command prints are searched for every planted
string; what must stay is looked for; every file has to end somewhere. ``make leak-test`` runs all of it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.leak.corpus.manifest import Expected
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

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tarnhelm") is None
        or importlib.util.find_spec("tarnhelm.cli") is None
        or importlib.util.find_spec("tarnhelm.cli.main") is None,
        reason="the tarnhelm command is not installed",
    ),
    pytest.mark.timeout(900),
]

# The example of the fork's README: every operator, PSEUDO classes of several kinds.
FORK_RECIPE = """\
FORMAT dicom

%header

PSEUDO PatientName FULL_NAME
PSEUDO PatientID ID_NUMERICAL
PSEUDO PatientBirthDate DATE
PSEUDO ReferringPhysicianName FULL_NAME
PSEUDO InstitutionName HEALTH_INSTITUTION
PSEUDO PatientAddress LOCATION_BC
PSEUDO AccessionNumber ID_ALPHANUMERICAL
PSEUDO StudyDate DATE
PSEUDO StudyInstanceUID UID
REMOVE PatientComments
BLANK OtherPatientIDs
"""


@dataclass(frozen=True)
class Configuration:
    """One way to call the command, and what it promises."""

    name: str
    arguments: tuple[str, ...]
    terms: Terms
    accept: bool = True


DEFAULT = frozenset({"basicProfile", "rtnLongModifDatesOpt"})
CLEAN = DEFAULT | {"cleanDescOpt", "cleanGraphOpt", "cleanStructContOpt", "rtnSafePrivOpt", "rtnPatCharsOpt"}
RETAIN = CLEAN - {"rtnLongModifDatesOpt"} | {"rtnDevIdOpt", "rtnInstIdOpt", "rtnUIDsOpt", "rtnLongFullDatesOpt"}


def _profiles(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(part for name in sorted(names) for part in ("-d", name))


CONFIGURATIONS = (
    # Nothing asked for: the gate holds back what may show text or a face.
    Configuration("default-gated", (), Terms(), accept=False),
    # The same, unchecked pixels accepted: every image has to come out clean.
    Configuration("default", (), Terms()),
    # Basic alone: no date survives.
    Configuration("basic", ("-d", "basicProfile"), Terms(frozenset({"basicProfile"}), dates="gone")),
    # Every option that cleans or keeps what is safe.
    Configuration("clean-options", _profiles(CLEAN), Terms(CLEAN, frozenset({"patient"}))),
    # Every option that retains an identity by intent: those kinds may stay, nothing else.
    Configuration(
        "retain-options",
        _profiles(RETAIN),
        Terms(RETAIN, frozenset({"institution", "device", "patient", "timezone", "uid"}), dates="kept"),
    ),
    # A recipe: basicProfile is implied, and the dates that it does not name go with it.
    Configuration("recipe", ("-r", "{recipe}"), Terms(frozenset({"basicProfile"}), dates="gone")),
)


SHORT = {"default-gated", "default"}
PARAMETERS = [
    pytest.param(each, id=each.name, marks=() if each.name in SHORT else pytest.mark.slow) for each in CONFIGURATIONS
]


@dataclass
class Run:
    """What a run left behind."""

    configuration: Configuration
    corpus: Path
    out: Path
    report: Path
    code: int
    printed: bytes


def run_command(arguments: list[str], state: Path) -> subprocess.CompletedProcess[bytes]:
    """The real command in a process of its own, with a private state directory."""
    environment = {**os.environ, "TARNHELM_STATE": str(state), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [str(Path(sys.executable).with_name("tarnhelm")), *arguments],
        env=environment,
        capture_output=True,
        check=False,
        timeout=800,
    )


@pytest.fixture(scope="module", params=PARAMETERS)
def run(request, corpus, tmp_path_factory):
    """The command run once per configuration; all tests of the module judge its results."""
    configuration = request.param
    folder, _ = corpus
    base = tmp_path_factory.mktemp(configuration.name)
    recipe = base / "fork.recipe"
    recipe.write_text(FORK_RECIPE)
    arguments = ["clean", str(folder), str(base / "out"), "--report", str(base / "report"), "-p", "2"]
    arguments += [part.replace("{recipe}", str(recipe)) for part in configuration.arguments]
    if configuration.accept:
        arguments.append("--accept-unchecked-pixels")
    done = run_command(arguments, base / "state")
    listing = run_command(["quarantine", "list"], base / "state")
    printed = done.stdout + done.stderr + listing.stdout + listing.stderr
    return Run(configuration, folder, base / "out", base / "report", done.returncode, printed)


@pytest.fixture(scope="module")
def outputs(run, corpus):
    """The released files; a run that released nothing proves nothing."""
    found = read_outputs(run.out, corpus[1])
    assert len(found) > 30, run.printed.decode(errors="replace")[-3000:]
    return found


def test_ends_with_some_quarantined(run):
    assert run.code == 1, run.printed.decode(errors="replace")[-2000:]


def test_each_file_ends_where_it_should(run, corpus, outputs):
    faults = unaccounted(corpus[1], outputs, terms_accept=run.configuration.accept)
    assert faults == [], "\n".join(faults)


def test_every_input_is_accounted_for_in_the_report(run, corpus):
    lines = [line for path in run.report.rglob("*.jsonl") for line in path.read_text().splitlines() if line.strip()]
    wanted = sum(1 for entry in corpus[1].files if entry.expected is not Expected.SKIPPED)
    assert len(lines) >= wanted


def test_no_planted_string_in_any_byte(run, corpus):
    terms = run.configuration.terms
    blank = [uid.encode() for entry in corpus[1].files for uid in _uids(entry)] if "uid" in terms.allowed else []
    blobs = [*tree_blobs(run.out), *tree_blobs(run.report), ("printed", run.printed)]
    leaks = leaks_in(scanner_of(corpus[1], terms), blobs, sorted(blank, key=len, reverse=True))
    assert leaks == [], _summary(leaks)


def _uids(entry):
    return {plant.text for plant in entry.plants if plant.kind == "uid"}


def _summary(leaks):
    places = {}
    for leak in leaks:
        places.setdefault(leak.place, leak)
    return "\n".join(f"{place}: {leak.text} in {leak.where}" for place, leak in places.items())


def test_no_short_name_or_date_at_its_place(run, outputs):
    assert placed_leaks(outputs, run.configuration.terms) == []


def test_useful_attributes_stay(run, outputs):
    lost = lost_values(outputs, run.configuration.terms)
    assert lost == [], "\n".join(f"{keep.path} {keep.value!r} ({keep.when}) in {where}" for where, keep in lost[:40])


def test_references_resolve(outputs):
    found = references(outputs)
    assert found.dangling == found.dropped == found.torn == ()
    assert found.resolved > len(outputs)


def test_one_offset_per_patient(run, outputs):
    assert moved_dates(outputs, run.configuration.terms) == []


def test_patients_stay_apart_and_whole(outputs):
    assert split_subjects(outputs) == []


def test_private_attributes(run, outputs):
    assert private_faults(outputs, run.configuration.terms) == []


def test_pixels_are_bit_identical(run, outputs):
    assert changed_pixels(outputs, run.corpus) == []
