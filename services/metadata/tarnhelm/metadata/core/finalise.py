"""The last step on an object's road: its markers, from what all stages recorded.

The metadata stage writes the markers as far as it knows. A stage after it that cleaned pixels changes what is true of
the object: then this core writes them again, from the recorded outcomes and from nothing else, and leaves every other
byte as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from tarnhelm.common import errors
from tarnhelm.common.dicom.header import Element, Encoding, KeyTable, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageJob, StageOutcome, Status
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.plan import MetadataConfig, compile_rules
from tarnhelm.metadata.core.profiles.names import METHODS
from tarnhelm.metadata.core.rewriting.encode import element_bytes
from tarnhelm.metadata.core.rewriting.finalise import Outcomes, marker_elements
from tarnhelm.metadata.core.rewriting.source import Source, deflate, inflate, open_source
from tarnhelm.metadata.core.rewriting.target import write_new
from tarnhelm.metadata.core.rules.kinds import KNOWN_SYNTAXES

__all__ = ["FinaliseCore"]

_FIRST_STAGE: Final = "metadata"
_BURNED_IN: Final = 0x00280301
_RECOGNIZABLE: Final = 0x00280302
#: Codes that only a stage on pixels can earn → capability that the gate asks for, attribute that then says NO.
_EARNED: Final = {
    METHODS["cleanPixDataOpt"].value: ("ocr", _BURNED_IN),
    METHODS["cleanRecogVisFeatOpt"].value: ("deface", _RECOGNIZABLE),
}
_MEANINGS: Final = {method.value: method.meaning for method in METHODS.values()}
#: What a mask asks for is text that a rule of the site covers.
_TEXT_NEEDS: Final = frozenset({"ocr", "mask"})


class _Table(KeyTable):
    """Names the VR where the data set does not."""

    def nested(self, tag: int, encoding: Encoding) -> KeyTable:
        del tag
        return self if encoding is self.encoding else _Table(encoding)

    def vr_of(self, tag: int) -> str:
        return (standard.vr_of(tag) or "UN")[:2]


class FinaliseCore:
    """Writes the markers of objects that more than one stage worked on.

    Parameters
    ----------
    config
        Of the plan that the objects were admitted under; its profiles say what became of the dates.
    overwrite
        A file that is at the target already is written over.
    """

    def __init__(self, config: MetadataConfig, *, overwrite: bool = False) -> None:
        _, profile, _ = compile_rules(config)
        self._dates = profile.dates
        self._overwrite = overwrite

    def steps(self, job: StageJob) -> Generator[Any, Any, StageOutcome]:
        """Write the markers of one object; asks nothing.

        Raises
        ------
        TarnhelmError
            ``STG-003`` where the recorded outcomes do not show that the metadata stage did its work; ``DCM-…`` for
            what a stage left broken.
        """
        with open_source(job.source, job.limits) as source:
            return self._finalise(job, source)
        yield  # so that this is a generator, like the core beside it

    def __call__(self, job: StageJob) -> StageOutcome:
        """Write the markers of one object; see :meth:`steps`."""
        with closing(self.steps(job)) as steps:
            try:
                next(steps)
            except StopIteration as done:
                outcome: StageOutcome = done.value
                return outcome
            raise RuntimeError

    def _finalise(self, job: StageJob, source: Source) -> StageOutcome:
        facts, methods = _recorded(job.earlier)
        text = not facts.needs & _TEXT_NEEDS or _has_earned("ocr", methods)
        face = "deface" not in facts.needs or _has_earned("deface", methods)
        outcomes = Outcomes(tuple((code, _MEANINGS[code]) for code in methods), self._dates, text, face)
        data: bytes = source.data  # type: ignore[assignment]
        start = read_start(data, KNOWN_SYNTAXES)
        buffer, view, base = data, source.view, start.dataset
        if start.deflated:
            buffer = inflate(source.view[start.dataset :], job.limits)
            view, base = memoryview(buffer), 0
        elements = Walker(buffer, len(buffer), job.limits).walk(base, len(buffer), _Table(start.encoding))
        wanted = dict(marker_elements(outcomes, int(start.encoding)))
        for code in methods:
            if code in _EARNED:
                tag = _EARNED[code][1]
                wanted[tag] = element_bytes(int(start.encoding), tag, "CS", b"NO")
        parts = _spliced(view, base, elements, wanted)
        if start.deflated:
            parts = [*deflate(parts)]
        parts = [source.view[: start.dataset], *parts]
        return StageOutcome(
            status=Status.DONE,
            facts=facts,
            source_bytes=source.size,
            output_bytes=sum(map(len, parts)),
            output_sha256="" if job.dry_run else write_new(job.target, parts, overwrite=self._overwrite),
            methods=methods,
        )


def _recorded(earlier: Sequence[tuple[str, StageOutcome]]) -> tuple[ObjectFacts, tuple[str, ...]]:
    """Return what the metadata stage said of the object, and the codes that were earned, in the stages' order."""
    facts: ObjectFacts | None = None
    codes: dict[str, None] = {}
    for name, outcome in earlier:
        if outcome.status is not Status.DONE:
            continue
        if name == _FIRST_STAGE:
            facts = outcome.facts
        by_metadata = name == _FIRST_STAGE
        known = (code for code in outcome.methods if code in _MEANINGS)
        codes.update(dict.fromkeys(code for code in known if (code in _EARNED) != by_metadata))
    if facts is None:
        raise TarnhelmError(errors.STAGE_MISSING)
    return facts, tuple(codes)


def _has_earned(capability: str, methods: Sequence[str]) -> bool:
    return any(code in methods for code, (needed, _) in _EARNED.items() if needed == capability)


def _spliced(
    view: memoryview, base: int, elements: Sequence[Element], wanted: Mapping[int, bytes]
) -> list[bytes | memoryview]:
    """Cut the data set at the wanted tags: each is put in the place of its element, or where it belongs."""
    parts: list[bytes | memoryview] = []
    at = base
    left = sorted(wanted.items())
    for element in elements:
        tag = element.entry.tag
        while left and left[0][0] <= tag:
            wanted_tag, made = left.pop(0)
            parts += [view[at : element.start], made]
            at = element.end if wanted_tag == tag else element.start
        if not left:
            break
    parts.append(view[at:])
    parts += [made for _, made in left]
    return [part for part in parts if len(part)]
