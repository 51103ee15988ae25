"""Cheap pickles of flat dataclasses, for the trusted direction: parent to worker.

Pickling a frozen dataclass with slots runs Python code per object, and a ``Path`` is parsed again. A parcel
is (class, fields), paths as text, which pickles in C.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import pickle
import typing
from pathlib import Path
from typing import Any

if typing.TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["pack", "unpack"]


@functools.lru_cache(maxsize=64)
def _shape(cls: type) -> tuple[Callable[[Any], Any], tuple[int, ...]] | None:
    if not dataclasses.is_dataclass(cls):
        return None
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    if len(names) < 2 or len(names) != len(dataclasses.fields(cls)):
        return None
    hints = typing.get_type_hints(cls)
    return operator.attrgetter(*names), tuple(place for place, name in enumerate(names) if hints[name] is Path)


def pack(value: Any) -> Any:
    """Return what to pickle for ``value``; anything but a flat dataclass stays as it is."""
    cls: Any = type(value)
    shape = _shape(cls)
    if shape is None:
        return None, value
    get, paths = shape
    items = get(value)
    if paths:
        items = [*items]
        for place in paths:
            items[place] = str(items[place])
    return cls, items


def unpack(parcel: Any) -> Any:
    """Return the value that was packed."""
    cls, items = parcel
    if cls is None:
        return items
    shape = _shape(cls)
    if shape is None:
        raise pickle.UnpicklingError
    for place in shape[1]:
        items[place] = Path(items[place])
    return cls(*items)
