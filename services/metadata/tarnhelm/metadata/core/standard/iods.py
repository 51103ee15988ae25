"""Types of attributes per SOP class (PS3.3): what makes ``X/Z/D`` decidable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from tarnhelm.metadata.core.standard.load import table

__all__ = ["TYPES", "attribute_type", "is_known_iod", "known_sop_classes"]

TYPES: Final = ("1", "1C", "2", "2C", "3")
"""Strictest first."""
_STRICTNESS: Final = {kind: rank for rank, kind in enumerate((*TYPES, ""))}
_CONTENT_SEQUENCE: Final = 0x0040A730

_Node = Mapping[int, tuple[str, int]]
"""Tag → (Type, number of the node that describes the sequence's items, -1 for none)."""


@cache
def _document() -> tuple[tuple[str, ...], Mapping[str, tuple[int, ...]]]:
    document = table("iods")
    iods = {name: tuple(modules) for name, modules in document["iods"].items()}
    return tuple(document["rows"]), MappingProxyType({uid: iods[name] for uid, name in document["sop_classes"].items()})


@cache
def _node(number: int) -> _Node:
    """One node, read when a path first comes by; there are some 1,300 and a file touches a few dozen."""
    entries: dict[int, tuple[str, int]] = {}
    for entry in _document()[0][number].split():
        kind, _, child = entry[8:].partition(":")
        entries[int(entry[:8], 16)] = (kind, int(child) if child else -1)
    return entries


def is_known_iod(sop_class_uid: str) -> bool:
    """Whether the table describes the IOD of this SOP class."""
    return sop_class_uid in _document()[1]


def known_sop_classes() -> frozenset[str]:
    """SOP classes whose IOD the table describes."""
    return frozenset(_document()[1])


def attribute_type(sop_class_uid: str, path: tuple[int, ...]) -> str | None:
    """Give the Type of an attribute: ``1``, ``1C``, ``2``, ``2C`` or ``3``.

    Parameters
    ----------
    sop_class_uid
        SOP Class UID of the object.
    path
        Tags from the root of the data set down to the attribute, items left out.

    Returns
    -------
    str or None
        None when the IOD is unknown (see :func:`is_known_iod`), or the attribute is not in it, or the
        table gives it no Type. Where several modules hold the attribute, the strictest Type counts:
        a value that satisfies it satisfies the others. Attributes of repeating groups have no Type
        here, because an overlay plane goes or stays as a whole. Content Sequence nests in itself to
        any depth (PS3.3 Section C.17.3).
    """
    nodes = _document()[1].get(sop_class_uid)
    if nodes is None:
        return None
    kind = ""
    previous = 0
    for tag in path:
        below: list[int] = []
        kind = ""
        seen = False
        for number in nodes:
            entry = _node(number).get(tag)
            if entry is None:
                continue
            kind = min(kind, entry[0], key=_STRICTNESS.__getitem__) if seen else entry[0]
            seen = True
            if entry[1] >= 0:
                below.append(entry[1])
        if not seen:
            if tag != _CONTENT_SEQUENCE or previous != tag:
                return None
            kind = "1C"
            below.extend(nodes)
        nodes = tuple(below)
        previous = tag
    return kind or None
