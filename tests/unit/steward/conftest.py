"""A ward on a directory of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def ward():
    from steward_ward import Ward

    fast = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=fast, prefix="tarnhelm-steward-") as folder:
        yield Ward(Path(folder))
