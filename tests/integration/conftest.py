"""Servers for the tests of this folder."""

from __future__ import annotations

from tests.support.assign_server import assign_place, gateway, launch
from tests.support.kafka import own_kafka
from tests.support.openbao import bao, bare_bao, own_bao
from tests.support.postgres import postgres
from tests.support.steward_hospital import steward_hospital
from tests.support.vault_sessions import enter, project

__all__ = [
    "assign_place",
    "bao",
    "bare_bao",
    "enter",
    "gateway",
    "launch",
    "own_bao",
    "own_kafka",
    "postgres",
    "project",
    "steward_hospital",
]
