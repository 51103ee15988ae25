"""Between the messages of the stage protocol and the dataclasses inside; strict on what comes from the wire.

A stage's service is where hostile files are read. So nothing that it says is taken over unless it has the form of what
a stage may say: digests, UIDs, short words, counts.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Final

from tarnhelm.v1 import object_pb2, stage_pb2

from tarnhelm.common.errors import CATALOGUE
from tarnhelm.common.stage import ObjectFacts, StageOutcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["MalformedError", "ResultWriter", "facts_message", "facts_of", "outcome_from", "result_message"]

_TO_WIRE: Final = {
    Status.DONE: stage_pb2.STAGE_STATUS_DONE,
    Status.QUARANTINE: stage_pb2.STAGE_STATUS_QUARANTINE,
    Status.REJECT: stage_pb2.STAGE_STATUS_REJECT,
    Status.SKIP: stage_pb2.STAGE_STATUS_SKIP,
    Status.RETRY: stage_pb2.STAGE_STATUS_RETRY,
}
_FROM_WIRE: Final = {number: status for status, number in _TO_WIRE.items()}
_DIGEST: Final = re.compile(r"(?:[0-9a-f]{64})?")
_UID: Final = re.compile(r"[0-9.]{0,64}")
_WORD: Final = re.compile(r"[A-Za-z0-9._: -]{0,64}")
_SITE: Final = re.compile(r"[A-Za-z0-9._:-]{0,200}")
_SITE_IN_MESSAGE: Final = re.compile(r" \[([A-Za-z0-9._: -]{1,200})\]$")
_PLACE: Final = re.compile(r"\{\w+\}")
_NEEDS: Final = frozenset({"ocr", "deface", "mask"})
_UIDS: Final = ("sop_class_uid", "transfer_syntax_uid", "study_uid", "series_uid", "sop_uid", "frame_of_reference_uid")
_WORDS: Final = ("modality", "body_part", "photometric", "gate_rule")
_NUMBERS: Final = ("rows", "columns", "frames", "samples_per_pixel", "bits_allocated", "bits_stored", "instance_number",
                   "series_number")  # fmt: skip
Counts = dict[tuple[str, str], int]
_SUBJECT_LETTERS: Final = 64
_KEY_LETTERS: Final = 300
_MOST_COUNTS: Final = 50_000
_MOST_METHODS: Final = 64
_MOST_IMAGE_TYPES: Final = 16
_MOST_WRITTEN: Final = 64
_LONGEST_WRITTEN: Final = 64 * 1024


class MalformedError(ValueError):
    """A message that no stage of this house would send; says nothing of what stands in it."""


def facts_message(facts: ObjectFacts) -> object_pb2.ObjectFacts:
    """Write facts as a message."""
    return object_pb2.ObjectFacts(
        **{name: getattr(facts, name) for name in (*_UIDS, *_WORDS, *_NUMBERS)},
        image_type=facts.image_type,
        subject_id=facts.subject_id,
        needs=sorted(facts.needs),
    )


def facts_of(message: object_pb2.ObjectFacts) -> ObjectFacts:
    """Read facts; raises MalformedError."""
    needs = frozenset(message.needs)
    image_type = tuple(message.image_type)
    good = (
        all(_UID.fullmatch(getattr(message, name)) for name in _UIDS)
        and all(_WORD.fullmatch(getattr(message, name)) for name in _WORDS)
        and len(image_type) <= _MOST_IMAGE_TYPES
        and all(_WORD.fullmatch(word) for word in image_type)
        and _is_plain(message.subject_id, _SUBJECT_LETTERS)
        and needs <= _NEEDS
    )
    if not good:
        raise MalformedError
    return ObjectFacts(
        **{name: getattr(message, name) for name in (*_UIDS, *_WORDS, *_NUMBERS)},
        image_type=image_type,
        subject_id=message.subject_id,
        needs=needs,
    )


def result_message(stage: str, outcome: StageOutcome) -> stage_pb2.StageResult:
    """Write an outcome as a message; of its text only the place in the stage's own code travels."""
    message = _uncounted(stage, outcome)
    message.MergeFrom(_counted(outcome))
    return message


class ResultWriter:
    """Writes outcomes as bytes; the counts, equal for most objects of a series, are written once for a mapping.

    A mapping is known by its identity: it is not to be changed once it is in an outcome.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[StageOutcome, bytes]] = {}

    def __call__(self, stage: str, outcome: StageOutcome) -> bytes:
        """Return a serialised message, as :func:`result_message` makes it."""
        key = id(outcome.actions), id(outcome.findings)
        known = self._known.get(key)
        if known is None:
            # The outcome is kept so that its mappings are: no other can have their identity.
            known = outcome, _counted(outcome).SerializeToString()
            if len(self._known) >= _MOST_WRITTEN:
                self._known.clear()
            if len(known[1]) <= _LONGEST_WRITTEN:
                self._known[key] = known
        return bytes(_uncounted(stage, outcome).SerializeToString()) + known[1]  # fields may come in any order


def _uncounted(stage: str, outcome: StageOutcome) -> stage_pb2.StageResult:
    found = _SITE_IN_MESSAGE.search(outcome.message)
    return stage_pb2.StageResult(
        stage=stage,
        status=_TO_WIRE[outcome.status],
        code=outcome.code,
        site=found[1].replace(" ", ":") if found else "",
        facts=facts_message(outcome.facts) if outcome.facts is not None else None,
        source_sha256=outcome.source_sha256,
        output_sha256=outcome.output_sha256,
        source_bytes=outcome.source_bytes,
        output_bytes=outcome.output_bytes,
        methods=outcome.methods,
        seconds=outcome.seconds,
    )


def _counted(outcome: StageOutcome) -> stage_pb2.StageResult:
    return stage_pb2.StageResult(actions=_counts_message(outcome.actions), findings=_counts_message(outcome.findings))


def outcome_from(
    message: stage_pb2.StageResult, known: Callable[[Counts], Counts] = lambda counts: counts
) -> StageOutcome:
    """Read an outcome; raises MalformedError. Its text comes from this house's own catalogue.

    ``known`` may give another mapping of the same counts, so that equal ones are one object.
    """
    status = _FROM_WIRE.get(message.status)
    methods = tuple(message.methods)
    good = (
        status is not None
        and (message.code in CATALOGUE if status is not Status.DONE else not message.code)
        and _SITE.fullmatch(message.site)
        and _DIGEST.fullmatch(message.source_sha256)
        and _DIGEST.fullmatch(message.output_sha256)
        and len(methods) <= _MOST_METHODS
        and all(_WORD.fullmatch(method) for method in methods)
        and math.isfinite(message.seconds)
        and message.seconds >= 0
    )
    if not good or status is None:
        raise MalformedError
    return StageOutcome(
        status=status,
        code=message.code,
        message=_text(message.code, message.site),
        facts=facts_of(message.facts) if message.HasField("facts") else None,
        source_sha256=message.source_sha256,
        output_sha256=message.output_sha256,
        source_bytes=message.source_bytes,
        output_bytes=message.output_bytes,
        actions=known(_counts_of(message.actions)),
        findings=known(_counts_of(message.findings)),
        methods=methods,
        seconds=message.seconds,
    )


def _text(code: str, site: str) -> str:
    if not code:
        return ""
    text = _PLACE.sub("…", CATALOGUE[code].message)
    return f"{text} [{site}]" if site else text


def _counts_message(counts: Mapping[tuple[str, str], int]) -> list[stage_pb2.AttributeCount]:
    made = stage_pb2.AttributeCount
    return [made(first=first, second=second, count=count) for (first, second), count in counts.items()]


def _counts_of(counts: Iterable[stage_pb2.AttributeCount]) -> Counts:
    found = {(one.first, one.second): one.count for one in counts}
    if len(found) > _MOST_COUNTS:
        raise MalformedError
    words = list(itertools.chain.from_iterable(found))
    if any(map(_KEY_LETTERS.__lt__, map(len, map("".join, found)))) or not "".join(words).isprintable():
        raise MalformedError
    return found


def _is_plain(text: str, most: int) -> bool:
    return len(text) <= most and text.isascii() and text.isprintable()
