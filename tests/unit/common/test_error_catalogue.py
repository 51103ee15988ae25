"""The catalogue of errors: no family hides a row of another one."""

from __future__ import annotations

import importlib
import pkgutil

from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, ErrorCode


def test_a_name_belongs_to_one_family():
    # The package gives all rows by name: the later of two of one name would silently take the other's place.
    owners: dict[str, str] = {}
    for module in pkgutil.iter_modules(errors.__path__):
        if module.name == "catalogue":
            continue
        family = importlib.import_module(f"{errors.__name__}.{module.name}")
        for name, row in vars(family).items():
            if isinstance(row, ErrorCode):
                assert owners.setdefault(name, module.name) == module.name, name
                assert getattr(errors, name) is row
                assert CATALOGUE[row.code] is row
    assert len(owners) == len(CATALOGUE)
