"""Servers that a test may kill."""

from __future__ import annotations

from tests.support.s3 import own_s3_server

__all__ = ["own_s3_server"]
