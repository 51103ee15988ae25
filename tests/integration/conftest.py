"""Servers for the tests of this folder."""

from __future__ import annotations

from tests.support.openbao import bao, bare_bao, own_bao
from tests.support.vault_sessions import enter, project

__all__ = ["bao", "bare_bao", "enter", "own_bao", "project"]
