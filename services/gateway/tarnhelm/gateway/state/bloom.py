"""A set that may only err on one side: what it does not know was never put in (Bloom, CACM 13 (1970), 422-426)."""

from __future__ import annotations

from typing import Final

__all__ = ["BloomFilter"]

_BITS: Final = 1 << 23
_MASK: Final = _BITS - 1
_PROBES: Final = 4


class BloomFilter:
    """Tells most new texts from old ones without asking a table.

    1 MiB, whatever is put in; one in forty new texts is taken for an old one when a million are in it, and has to be
    looked up like an old one.
    """

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray(_BITS >> 3)

    def add(self, text: str) -> None:
        """Put a text in."""
        bits = self._bits
        place, step = _start(text)
        for _ in range(_PROBES):
            bits[place >> 3] |= 1 << (place & 7)
            place = (place + step) & _MASK

    def __contains__(self, text: str) -> bool:
        """False: it was never put in. True: look it up."""
        bits = self._bits
        place, step = _start(text)
        for _ in range(_PROBES):
            if not bits[place >> 3] >> (place & 7) & 1:
                return False
            place = (place + step) & _MASK
        return True


def _start(text: str) -> tuple[int, int]:
    digest = hash(text)
    return digest & _MASK, (digest >> 24 & _MASK) | 1
