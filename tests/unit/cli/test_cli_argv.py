"""The command line of deidentify.py is understood."""

from __future__ import annotations

import pytest

from tarnhelm.cli.argv import understood
from tarnhelm.common.errors import TarnhelmError


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        # the original's whole line
        (
            "-v -i in -o out -p 4 -d basicProfile rtnUIDsOpt cleanDescOpt",
            "clean -v -i in -o out -p 4 -d basicProfile -d rtnUIDsOpt -d cleanDescOpt",
        ),
        # its long forms, and what is so in any case
        (
            "--no-text-removal --verbose --input in --output out -r --deidentification-profile basicProfile rtnUIDsOpt",
            "clean --verbose --input in --output out -d basicProfile -d rtnUIDsOpt",
        ),
        ("-r -i in -o out", "clean -i in -o out"),
        ("--rename -i in -o out -d basicProfile -r", "clean -i in -o out -d basicProfile"),
        # -r with a file is a recipe; without one it is a mistake in our own form
        ("-i in -o out -r my.recipe", "clean -i in -o out -r my.recipe"),
        ("clean in out -r", "clean in out -r"),
        # options after the profiles
        ("-i in -d a rtnUIDsOpt -o out", "clean -i in -d a -d rtnUIDsOpt -o out"),
        # our own form stays as it is
        ("clean in out -d basicProfile,rtnUIDsOpt", "clean in out -d basicProfile,rtnUIDsOpt"),
        ("clean -d basicProfile in out", "clean -d basicProfile in out"),
        # one option each
        ("clean -d basicProfile -d rtnUIDsOpt in out", "clean -d basicProfile -d rtnUIDsOpt in out"),
        ("clean --profile basicProfile rtnUIDsOpt -- in out", "clean -d basicProfile -d rtnUIDsOpt -- in out"),
        # other commands are left alone
        ("quarantine list", "quarantine list"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_spaced_profiles_become_one_option_each(given: str, wanted: str) -> None:
    assert understood(given.split()) == wanted.split()


@pytest.mark.parametrize(
    "flag", ["-t", "-s", "-de", "-tw", "-w", "--gpu", "--text-removal", "--skull_strip", "--deface", "--twix", "--wsi"]
)
def test_an_option_that_asks_for_a_missing_stage_is_refused_and_not_ignored(flag: str) -> None:
    with pytest.raises(TarnhelmError) as caught:
        understood(["-i", "in", "-o", "out", flag])
    assert caught.value.code == "RUN-010"
