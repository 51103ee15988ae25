"""Cores that work on several jobs at once: each stops for its question, and all are asked together.

A message to another process costs more than the answer to it, and a signature more than a small object. So a worker
takes the jobs of a batch up to their questions, has all of them answered at once, and goes on with each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Any

__all__ = ["SteppedCore"]


class SteppedCore(ABC):
    """A core in steps; where a plain core is a callable, this is what a factory may make instead."""

    @abstractmethod
    def begin(self, job: Any) -> Generator[Any, Any, Any]:
        """Work on one job: yield each question, go on with its answer, return the result.

        Several jobs of a batch are under way at once, so nothing of one may be kept in the core. A question that
        is refused raises its TarnhelmError at the ``yield``.
        """

    def answers(self, questions: Sequence[Any]) -> Sequence[Any] | None:
        """Answer the questions of a batch in their order; None leaves them to the parent."""
        del questions
        return None
