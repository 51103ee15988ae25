"""The trace context of a record: who asked for this work, so that one object's road is one trace.

W3C Trace Context (level 1), section 3.2 for ``traceparent`` and 3.3 for ``tracestate``; here they travel as record
headers of the same names. They hold random numbers, never a value out of a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["TRACE_PARENT", "TraceContext", "new_trace", "trace_headers", "trace_of"]

TRACE_PARENT: Final = "traceparent"
"""Name of the header."""
_STATE: Final = "tracestate"
_FORM: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_STATE_BYTES: Final = 512
"""Section 3.3.1.5: what a vendor must pass on at least; longer lists are dropped as a whole."""
_STATE_FORM: Final = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span.

    Attributes
    ----------
    trace_id, span_id
        32 and 16 hex digits, lower case, not all zero.
    sampled
        Whether the caller recorded it.
    state
        ``tracestate`` as it came; empty: none.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    def child(self, random_bytes: Callable[[int], bytes]) -> TraceContext:
        """Return a span of the same trace below this one."""
        return replace(self, span_id=_id(8, random_bytes))

    @property
    def traceparent(self) -> str:
        """The header's text, in version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def new_trace(random_bytes: Callable[[int], bytes]) -> TraceContext:
    """Begin a trace."""
    return TraceContext(_id(16, random_bytes), _id(8, random_bytes))


def trace_headers(context: TraceContext) -> list[tuple[str, bytes]]:
    """Return the headers of a record that belongs to this span."""
    found = [(TRACE_PARENT, context.traceparent.encode())]
    if context.state:
        found.append((_STATE, context.state.encode()))
    return found


def trace_of(headers: Iterable[tuple[str, bytes]]) -> TraceContext | None:
    """Return the span that a record came from; None where there is none, or more than one, or a malformed one.

    A version later than 00 is read by its first four fields (section 4.3). An unusable ``tracestate`` is dropped
    and costs the trace nothing.
    """
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        lower = name.lower()
        if lower == TRACE_PARENT:
            parents.append(value)
        elif lower == _STATE:
            states.append(value)
    if len(parents) != 1:
        return None
    found = _FORM.fullmatch(parents[0].decode("ascii", "replace"))
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceContext(found[2], found[3], sampled=bool(int(found[4], 16) & 1), state=_state_of(states))


def _state_of(states: list[bytes]) -> str:
    text = b",".join(states)
    if not 0 < len(text) <= _MAX_STATE_BYTES:
        return ""
    decoded = text.decode("ascii", "replace")
    return decoded if _STATE_FORM.fullmatch(decoded) else ""


def _id(size: int, random_bytes: Callable[[int], bytes]) -> str:
    while not any(made := random_bytes(size)):
        pass
    return made.hex()
