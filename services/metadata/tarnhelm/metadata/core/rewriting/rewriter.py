"""The rewriter: two walks over a bounded header, pixel data streamed past.

The first walk (:mod:`~tarnhelm.metadata.core.rewriting.parse`) finds positions, harvests and asks; the second
(:mod:`~tarnhelm.metadata.core.rewriting.write`) writes. Work is done on positions and raw bytes: no object is made for an
element that stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.metadata.core.rewriting.parse import Parsed, Parser
from tarnhelm.metadata.core.rewriting.surrogates import Surrogates
from tarnhelm.metadata.core.rewriting.write import Writer, Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.common.limits import Limits
    from tarnhelm.metadata.core.rewriting.finalise import Outcomes
    from tarnhelm.metadata.core.rewriting.pixels import PixelHeader
    from tarnhelm.metadata.core.rewriting.source import Source
    from tarnhelm.metadata.core.rules.compiler import RuleCompiler
    from tarnhelm.metadata.core.rules.context import ObjectContext
    from tarnhelm.metadata.core.text import TextCleaner

__all__ = ["Parsed", "Rewriter", "Written"]


class Rewriter:
    """Cleans objects of one plan. Not thread-safe: one per worker.

    Parameters
    ----------
    compiler
        The compiled rules.
    cleaner
        Cleans texts.
    limits
        Bounds.
    variables
        Values of the recipe's ``var:`` names.
    """

    def __init__(
        self, compiler: RuleCompiler, cleaner: TextCleaner, limits: Limits, variables: Mapping[str, str]
    ) -> None:
        self._parser = Parser(compiler, limits)
        self._surrogates = Surrogates(cleaner, variables)
        self._writer = Writer(compiler, limits)

    def parse(self, source: Source) -> Parsed:
        """Walk an object; see :meth:`Parser.parse`."""
        return self._parser.parse(source)

    def request(self, parsed: Parsed) -> AssignRequest:
        """Put together what an object asks the assigner for."""
        return self._surrogates.request(parsed)

    def context(self, parsed: Parsed, request: AssignRequest, reply: AssignReply) -> ObjectContext:
        """Return the context that the assigner's answer makes."""
        return self._surrogates.context(parsed, request, reply)

    def write(self, parsed: Parsed, context: ObjectContext, outcomes: Outcomes) -> Written:
        """Write the cleaned object; see :meth:`Writer.write`."""
        return self._writer.write(parsed, context, outcomes)

    def uid_of(self, parsed: Parsed, context: ObjectContext, tag: int) -> str:
        """Return what the written object holds in a UID attribute of its data set; empty where the source has none."""
        return self._writer.uid_of(parsed, context, tag)

    def header_of(self, parsed: Parsed) -> PixelHeader:
        """Return the numbers that describe the pixels."""
        return self._writer.header_of(parsed)
