"""Outcomes as they are kept: a first line each, and the mappings that many of them share once, by digest."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.sandbox.wire import Codec
from tarnhelm.common.stage import StageOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OutcomeForm"]

_CACHED: Final = 128
_DIGEST_BYTES: Final = 16


class OutcomeForm:
    """Turns outcomes into rows and back.

    What an outcome counts per attribute is nearly the same for all objects of a series. Mappings seen lately are
    known by their identity, so that they are neither written nor read again.
    """

    def __init__(self) -> None:
        self._codec: Codec[StageOutcome] = Codec(StageOutcome)
        self._digests: dict[int, tuple[Mapping[Any, Any], bytes]] = {}
        self._mappings: dict[tuple[int, bytes], Mapping[Any, Any]] = {}

    def row(self, outcome: StageOutcome, keep: Callable[[bytes, bytes], None]) -> tuple[bytes, bytes]:
        """Return the first line and the digests; ``keep(digest, text)`` is called for what may be new."""
        head, mappings = self._codec.split(outcome)
        return head, b"".join([self._digest(place, mapping, keep) for place, mapping in enumerate(mappings)])

    def outcome(self, head: bytes, digests: bytes, text: Callable[[bytes], bytes]) -> StageOutcome:
        """Return the outcome of a row; ``text(digest)`` fetches a mapping's text."""
        keys = [digests[at : at + _DIGEST_BYTES] for at in range(0, len(digests), _DIGEST_BYTES)]
        return self._codec.join(head, [self._mapping(place, key, text) for place, key in enumerate(keys)])

    def forget(self) -> None:
        """Take nothing for kept any more: a transaction was lost."""
        self._digests.clear()

    def _digest(self, place: int, mapping: Mapping[Any, Any], keep: Callable[[bytes, bytes], None]) -> bytes:
        known = self._digests.get(id(mapping))
        if known is not None and known[0] is mapping:
            return known[1]
        line = self._codec.line(place, mapping)
        digest = hashlib.blake2b(line, digest_size=_DIGEST_BYTES).digest()
        keep(digest, line)
        if len(self._digests) >= _CACHED:
            self._digests.clear()
        self._digests[id(mapping)] = mapping, digest
        return digest

    def _mapping(self, place: int, digest: bytes, text: Callable[[bytes], bytes]) -> Mapping[Any, Any]:
        found = self._mappings.get((place, digest))
        if found is None:
            if len(self._mappings) >= _CACHED:
                self._mappings.clear()
            found = self._mappings[place, digest] = self._codec.mapping(place, text(digest))
        return found
