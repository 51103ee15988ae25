"""A mistaken command line is not repeated: it may hold a patient's name."""

from __future__ import annotations

import pytest

from tarnhelm.reveal.steward.tool.main import run as steward
from tarnhelm.reveal.tool.main import run as reveal


@pytest.mark.parametrize(
    ("run", "command"), [(reveal, ["audit", "verify"]), (reveal, ["case", "list"]), (steward, ["case", "list"])]
)
def test_what_was_too_much_is_not_quoted(run, command, capfd):
    assert run([*command, *["Tremblay^Marguerite"] * 6]) == 2
    said = capfd.readouterr()
    assert "Tremblay" not in said.out + said.err
    assert "RUN-025" in said.err


@pytest.mark.parametrize("run", [reveal, steward])
def test_an_unknown_command_is_not_quoted_either(run, capfd):
    assert run(["Tremblay"]) == 2
    said = capfd.readouterr()
    assert "Tremblay" not in said.out + said.err
