"""A cleaner over a temporary folder."""

import pytest

from .cleaning import Cleaner


@pytest.fixture
def cleaner(tmp_path):
    def make(recipe=None, profiles=(), **config):
        folder = tmp_path / f"c{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Cleaner(folder, recipe, profiles, **config)

    return make
