"""What the rewriter does with one kind of element: the compiled form of a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tarnhelm.common.assign import ValueQuery
    from tarnhelm.metadata.core.recipe import Condition, Decision
    from tarnhelm.metadata.core.rules.compiler import RuleTable
    from tarnhelm.metadata.core.rules.context import ObjectContext

__all__ = ["Maker", "Operation", "OperationCode", "Queries", "UidMaker"]


class OperationCode(IntEnum):
    """The branch that the rewriter takes."""

    COPY = 0
    """Untouched: copied as part of a slice."""
    DROP = 1
    EMPTY = 2
    """Zero length."""
    VALUE = 3
    """A new value from a :data:`Maker`."""
    UID = 4
    """Each UID by the project's map; standard UIDs stay."""
    SEQUENCE = 5
    """Items are cleaned by their own rules; the sequence stays."""
    PIXELS = 6
    CHECK = 7
    """Stays, but the object's own identifiers in it are taken out."""
    PRIVATE = 8
    """Decided by the creator of its block."""
    CODE_MEANING = 9
    """Stays for standard coding schemes, is cleaned as text for local ones."""


Maker = Callable[["ObjectContext", bytes], bytes | None]
"""(context, raw value) → new raw value, or ``None`` to remove the element."""

UidMaker = Callable[["ObjectContext", str], str]
"""(context, original UID) → the UID to write."""

Queries = Callable[[Callable[[bytes, str], str], bytes], "list[ValueQuery]"]
"""(decoder of (raw, VR), raw value) → questions for the assigner."""


@dataclass(slots=True, eq=False)
class Operation:
    """One compiled rule for one tag, VR and place.

    Attributes
    ----------
    code
        The branch.
    label
        (attribute, action) for the report.
    make
        For VALUE, CHECK: makes the new value.
    memo
        The new value depends on the old value and the context alone, so it may be remembered.
    harvest
        Class of identifier this attribute holds, or empty.
    fact
        The value is wanted for :class:`ObjectFacts` or the gate.
    interesting
        The scan has to look at the element at all.
    source
        Which rule decided, for ``explain``; ``reason`` says why.
    queries
        Questions for the assigner that a raw value raises.
    asks_uid
        The value itself is to be mapped like a UID.
    otherwise
        The rule where ``condition`` does not hold.
    table
        The place this rule was compiled for.
    condition
        The rule applies only where the value fulfils it (``values:`` groups).
    surrogate
        Class of the surrogate that stands here afterwards, for the witness's policy.
    pair
        Of a date that moves: the tag of the time beside it, whose carry it takes where that time moves too.
    moves_time
        The time of day (of a TM or DT) is moved by the subject's seconds.
    decision
        What the recipe decided, for ``explain``.
    keeps
        A recipe or an option keeps this attribute expressly, identifiers included.
    """

    code: OperationCode
    label: tuple[str, str]
    make: Maker | None = None
    memo: bool = True
    harvest: str = ""
    fact: bool = False
    source: str = ""
    reason: str = ""
    queries: Queries | None = None
    asks_uid: bool = False
    condition: Condition | None = None
    otherwise: Operation | None = None
    table: RuleTable | None = field(default=None, repr=False)
    surrogate: str = ""
    keeps: bool = False
    pair: int | None = None
    moves_time: bool = False
    decision: Decision | None = None
    interesting: bool = field(init=False)

    def __post_init__(self) -> None:
        self.interesting = bool(self.code or self.harvest or self.fact)
