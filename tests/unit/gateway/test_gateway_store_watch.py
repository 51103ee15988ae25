"""Whether broker, blobs and state answer, as the board tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.board import Condition
from tarnhelm.gateway.config import GatewayConfig
from tarnhelm.gateway.config.sections import ProjectSection
from tarnhelm.gateway.roles.stores import StoreWatch


def test_a_store_that_does_not_answer_is_down_with_its_code_and_up_again_when_it_does():
    away = {"blobs": True}

    def stat(_name):
        if away["blobs"]:
            raise TarnhelmError(errors.BLOB_STORE_AWAY)

    shared = SimpleNamespace(
        broker=SimpleNamespace(lag=lambda _group, _topics: {}),
        blobs=SimpleNamespace(stat=stat),
        state=SimpleNamespace(get=lambda _object_id: None),
    )
    config = GatewayConfig(Path("/nowhere"), {"trial": ProjectSection()})
    watch = StoreWatch(config, shared, "host-1")
    assert list(watch.notes()) == []
    watch.ask()
    found = {note.kind: (note.name, note.condition, note.code) for note in watch.notes()}
    assert found == {
        "broker": ("embedded", Condition.OK, ""),
        "blobs": ("folder", Condition.DOWN, errors.BLOB_STORE_AWAY.code),
        "state": ("sqlite", Condition.OK, ""),
    }
    away["blobs"] = False
    watch.ask()
    assert {note.condition for note in watch.notes()} == {Condition.OK}
