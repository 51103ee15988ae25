"""Private attributes that PS3.15 Table E.3.10-1 lists as safe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from tarnhelm.metadata.core.standard.load import table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SafePrivate", "is_safe_creator", "safe_private", "safe_private_rows"]


@dataclass(frozen=True, slots=True)
class SafePrivate:
    """One row: ``element`` is the low byte, the block is where the data set reserved it.

    The value in a file shall have this VR to be the attribute that was judged safe (implicit VR and UN
    leave that open); ``vm`` is as printed, for example ``3-4``.
    """

    creator: str
    group: int
    element: int
    vr: str
    vm: str
    meaning: str


@cache
def safe_private_rows() -> Mapping[tuple[str, int, int], SafePrivate]:
    """Every row by (creator, group, low byte of the element)."""
    rows = (
        SafePrivate(creator, int(group, 16), int(element, 16), vr, vm, meaning)
        for creator, group, element, vr, vm, meaning in table("safe_private")["rows"]
    )
    return MappingProxyType({(row.creator, row.group, row.element): row for row in rows})


@cache
def _creators() -> frozenset[tuple[str, int]]:
    return frozenset((creator, group) for creator, group, _ in safe_private_rows())


def safe_private(creator: str, group: int, element: int) -> SafePrivate | None:
    """Give the row for a private data element, or None when the list does not have it.

    Parameters
    ----------
    creator
        Value of the block's private creator element. Compared exactly but for trailing padding
        spaces: a creator of another spelling is another creator.
    group
        Odd group number.
    element
        Element number of the data element, for example 0x1021; only 0x1000 to 0xFFFF can hold private
        data (PS3.5 Section 7.8.1), so a creator element never matches.
    """
    if element < 0x1000:
        return None
    return safe_private_rows().get((creator.rstrip(" "), group, element & 0xFF))


def is_safe_creator(creator: str, group: int) -> bool:
    """Whether the list has any row for this creator in this group, so that its creator element may stay."""
    return (creator.rstrip(" "), group) in _creators()
