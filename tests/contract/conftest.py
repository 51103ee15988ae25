"""Servers for the tests of this folder."""

from __future__ import annotations

from tests.support.blobs import s3_server, shelf
from tests.support.kafka import kafka, own_kafka
from tests.support.ledgers import ledger, ledger_database, place
from tests.support.openbao import bao, own_bao
from tests.support.postgres import postgres
from tests.support.s3 import own_s3_server

__all__ = [
    "bao",
    "kafka",
    "ledger",
    "ledger_database",
    "own_bao",
    "own_kafka",
    "own_s3_server",
    "place",
    "postgres",
    "s3_server",
    "shelf",
]
