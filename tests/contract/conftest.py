"""Servers for the tests of this folder."""

from __future__ import annotations

from tests.support.ledgers import ledger, ledger_database, place
from tests.support.openbao import bao, own_bao
from tests.support.postgres import postgres

__all__ = ["bao", "ledger", "ledger_database", "own_bao", "place", "postgres"]
