"""A private state directory of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def linkage(state: Path) -> LocalLinkage:
    return LocalLinkage(state)
