"""``tarnhelm topics ensure``: what it says and how it ends, where no server is needed."""

from __future__ import annotations

import pytest

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices
from tarnhelm.gateway.broker.topics import TOPICS


def said(capsys, *arguments):
    code = run(["topics", "ensure", *map(str, arguments)], TarnhelmServices())
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_it_creates_then_finds_and_checking_creates_nothing(tmp_path, capsys):
    folder = tmp_path / "broker"
    code, out, err = said(capsys, "--folder", folder, "--check")
    assert (code, "BRK-009" in err, out.count("missing")) == (2, True, len(TOPICS))
    code, out, _ = said(capsys, "--folder", folder)
    assert (code, out.count("created")) == (0, len(TOPICS))
    code, out, _ = said(capsys, "--folder", folder)
    assert (code, out.count("created"), out.count("there")) == (0, 0, len(TOPICS))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--folder", "x", "--broker", "127.0.0.1:1"],
        ["--broker", "kafka.example:9092"],
        ["--broker", "127.0.0.1:1", "--sasl-user", "me"],
        ["--broker", "127.0.0.1:1", "--tls", "--sasl-user", "me", "--sasl-password-file", "absent"],
        ["--broker", "127.0.0.1:1", "--tls", "--ca-file", "absent"],
    ],
)
def test_settings_that_do_not_fit_end_with_2(wrong, capsys):
    code, _, err = said(capsys, *wrong)
    assert (code, "BRK-006" in err) == (2, True)
