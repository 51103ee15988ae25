"""A hospital of three people, a clock that tests move, and a desk on a directory of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "linkage")]


@pytest.fixture
def hospital():
    from reveal_hospital import FAST, Hospital

    with tempfile.TemporaryDirectory(dir=FAST) as folder, Hospital(Path(folder) / "state").open() as found:
        yield found
