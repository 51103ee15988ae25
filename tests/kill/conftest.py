"""Servers that a test may kill."""

from __future__ import annotations

from tests.support.openbao import own_bao
from tests.support.postgres_own import own_postgres
from tests.support.s3 import own_s3_server
from tests.support.toxiproxy import toxiproxy

__all__ = ["own_bao", "own_postgres", "own_s3_server", "toxiproxy"]
