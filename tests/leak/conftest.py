"""Makes ``tests.leak`` importable whatever the working directory, and builds one small corpus for the folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """(folder, manifest) of the corpus of seed 1."""
    from tests.leak.corpus import build_corpus

    folder = tmp_path_factory.mktemp("planted") / "corpus"
    return folder, build_corpus(folder, seed=1)
