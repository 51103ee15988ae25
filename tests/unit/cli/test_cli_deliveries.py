"""``tarnhelm deliveries``: look, retry, give up; the running gateway does the rest."""

from __future__ import annotations

import pytest
from tests.support.releasing import Probe, World, all_released, route, until

from tarnhelm.cli.main import run
from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.record import State


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def deliveries(world, *arguments):
    return run(["deliveries", *arguments, "--state", str(world.root / "deliveries.sqlite")], None)


def test_held_ones_are_shown_retried_and_given_up(world, capsys):
    objects = [world.verified(number) for number in (1, 2, 3)]
    refusing = [True]
    pacs = Probe("pacs", lambda _parcel: TarnhelmError(errors.FORM_NOT_TAKEN) if refusing else None)
    with world.running(route(pacs), route(Probe("disk"))):
        until(lambda: len(world.held()) == 3)
        assert deliveries(world, "list") == 0
        said = capsys.readouterr().out
        assert "3 held" in said
        assert "DLV-010  3 ×" in said
        assert all(one[:12] in said for one in objects)
        assert deliveries(world, "give-up", objects[0][:10], "--destination", "pacs") == 0
        until(lambda: world.state.get(objects[0]).state is State.RELEASED)
        refusing.clear()
        assert deliveries(world, "retry", "--destination", "pacs", "--code", "DLV-010") == 0
        assert capsys.readouterr().out.splitlines()[-1] == "2 again"
        all_released(world, 3)
    assert deliveries(world, "list", "--destination", "pacs") == 0
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row == ["pacs", "0", "0", "1", "2"]
    assert len(pacs.got) == 2


def test_what_cannot_be_done_is_told(world):
    assert deliveries(world, "retry") == 2
    assert deliveries(world, "give-up") == 2
    assert run(["deliveries", "list"], None) == 2
    assert run(["deliveries", "list", "--state", "nowhere"], None) == 2
    assert run(["deliveries", "list", "--state-address-file", "nowhere"], None) == 2
