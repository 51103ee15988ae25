"""Servers for the tests of this folder."""

from __future__ import annotations

from tests.support.kafka import own_kafka
from tests.support.openbao import bao
from tests.support.postgres import postgres
from tests.support.s3 import s3_server

__all__ = ["bao", "own_kafka", "postgres", "s3_server"]
