"""The metadata stage as a core: one file in, one cleaned file out, an outcome without values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, cast

from tarnhelm.common import errors
from tarnhelm.common.assign import Assigner, AssignReply, AssignRequest
from tarnhelm.common.dicom.header import Element
from tarnhelm.common.errors import ErrorCode, TarnhelmError
from tarnhelm.common.stage import ObjectFacts, StageJob, StageOutcome, Status
from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.gate import GateInput, GateVerdict, judge
from tarnhelm.metadata.core.plan import MetadataConfig, Plan, compile_plan, compile_rules, default_recipe
from tarnhelm.metadata.core.recipe import Recipe, evaluate_filters
from tarnhelm.metadata.core.rewriting.finalise import Outcomes
from tarnhelm.metadata.core.rewriting.pixels import integer_string
from tarnhelm.metadata.core.rewriting.rewriter import Parsed, Rewriter
from tarnhelm.metadata.core.rewriting.source import Source, open_source
from tarnhelm.metadata.core.rewriting.target import write_new
from tarnhelm.metadata.core.rules.context import BoundedMap, ObjectContext
from tarnhelm.metadata.core.text import TextCleaner

__all__ = ["MetadataConfig", "MetadataCore", "Plan", "compile_plan", "default_recipe", "make_core"]

#: Pixel Data, its float forms.
_PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_FIRST_PIXEL_TAG: Final = min(_PIXEL_TAGS)
_PLACEHOLDER: Final = "placeholder-subject"
#: Flag of an assigner's answer → where it concerns the object.
_FLAGGED: Final = {_PLACEHOLDER: "PatientID", "id-not-injective": "identifiers"}
_DESCRIPTION_TAGS: Final = (0x00081030, 0x0008103E, 0x00181030, 0x00321060, 0x00400254, 0x00185101)
_GATE_TAGS: Final = (
    *_DESCRIPTION_TAGS,
    0x00080008, 0x00080016, 0x00080060, 0x00080064, 0x00280301, 0x00280302, 0x00180015, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101,
    0x00180050, 0x00200037, 0x00181164,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the gate and the report need of a series: equal for all its slices, so it is worked out once."""

    verdict: GateVerdict
    outcomes: Outcomes
    modality: str
    image_type: tuple[str, ...]
    body_part: str
    photometric: str


def make_core(config: MetadataConfig) -> MetadataCore:
    """Build the core of the metadata stage; called once in every worker."""
    return MetadataCore(config)


class MetadataCore:
    """Cleans objects one by one (a :class:`~tarnhelm.common.stage.StageCore`).

    Parameters
    ----------
    config
        Recipe, profiles, bounds.
    hash_source, hash_output
        Whether the outcome names the sha256 of what was read and of what was written. Whoever admits an object has
        hashed its source already, and the witness hashes the result in any case: in one process group each is hashed
        once.
    refuse_unchecked
        Whether an object whose pixels may show text or a face is refused here (``PIX-001`` to ``PIX-003``). Without,
        its header is cleaned and the outcome's facts say what it needs: whoever drives the stages decides, and a
        reviewer has a cleaned header to look at.
    overwrite
        A file that is at the target already is written over.
    """

    def __init__(
        self,
        config: MetadataConfig,
        *,
        hash_source: bool = True,
        hash_output: bool = True,
        refuse_unchecked: bool = True,
        overwrite: bool = False,
    ) -> None:
        compiler, profile, recipe = compile_rules(config)
        self._profile = profile
        self._recipe: Recipe | None = recipe
        self._methods = tuple((code.value, code.meaning) for code in profile.method_codes)
        cleaner = TextCleaner(config.extra_words, config.site_mrn_patterns)
        self._rewriter = Rewriter(compiler, cleaner, config.limits, config.variables)
        self._judged: BoundedMap[tuple[object, ...], _Judged] = BoundedMap(256)
        self._flagged: BoundedMap[tuple[frozenset[object], frozenset[str]], Counter[tuple[str, str]]] = BoundedMap(64)
        self._hash_source = hash_source
        self._hash_output = hash_output
        self._refuse_unchecked = refuse_unchecked
        self._overwrite = overwrite

    def __call__(self, job: StageJob, assigner: Assigner) -> StageOutcome:
        """Clean one object.

        Raises
        ------
        TarnhelmError
            Whatever keeps the object from being cleaned; nothing is left at the target then.
        """
        with closing(self.steps(job)) as steps:
            request = next(steps)
            try:
                steps.send(assigner.assign(request))
            except StopIteration as done:
                return cast("StageOutcome", done.value)
            raise RuntimeError  # steps asks once

    def steps(self, job: StageJob) -> Generator[AssignRequest, AssignReply, StageOutcome]:
        """Clean one object in two steps, with the question to the assigner between them.

        So that whoever drives several objects can ask for all of them at once: others may be read before this one
        is written, so nothing that one of them teaches the core may change what another was read by. Raises like a
        call.
        """
        with open_source(job.source, job.limits) as source:
            try:
                return (yield from self._clean(job, source))
            except MemoryError:
                raise TarnhelmError(errors.TOO_MUCH_MEMORY) from None

    def _clean(self, job: StageJob, source: Source) -> Generator[AssignRequest, AssignReply, StageOutcome]:
        rewriter = self._rewriter
        parsed = rewriter.parse(source)
        judged = self._judge(parsed)
        if not _has_pixels(parsed.elements):  # Type 1C, PS3.3 C.7.6.3: the file was cut in front of them
            raise TarnhelmError(errors.NO_PIXELS)
        needs = judged.verdict.needs
        self._filters(parsed)
        if needs and self._refuse_unchecked and not job.accept_unchecked_pixels:
            raise TarnhelmError(_missing_capability(needs))
        request = rewriter.request(parsed)
        reply = yield request
        context = rewriter.context(parsed, request, reply)
        written = rewriter.write(parsed, context, judged.outcomes)
        sizes = sum(map(len, written.parts))
        digest = ""
        if not job.dry_run:
            digest = write_new(job.target, written.parts, hashed=self._hash_output, overwrite=self._overwrite)
        return StageOutcome(
            status=Status.DONE,
            facts=self._facts(parsed, context, judged, written.sop_uid),
            source_sha256=source.sha256() if self._hash_source else "",
            output_sha256=digest,
            source_bytes=source.size,
            output_bytes=sizes,
            actions=written.labels,
            findings=self._with_flags(written.findings, reply),
            methods=tuple(code for code, _ in self._methods),
        )

    def _outcomes(self, verdict: GateVerdict) -> Outcomes:
        return Outcomes(
            methods=self._methods,
            dates=self._profile.dates,
            text_excluded="ocr" not in verdict.needs,
            face_excluded="deface" not in verdict.needs,
        )

    # -- gate, filters, facts ---------------------------------------------------------------------------------

    def _judge(self, parsed: Parsed) -> _Judged:
        facts = parsed.scan.facts
        has_pixels = _has_pixels(parsed.elements)
        placed = facts.get(0x00200032, b"").count(b"\\") == 2
        regions = parsed.regions
        key = (*map(facts.get, _GATE_TAGS), b"p" if has_pixels else None, b"p" if placed else None, regions)
        found = self._judged.get(key)
        if found is None:
            found = self._judged.put(key, self._judge_anew(parsed, regions, has_pixels=has_pixels))
        return found

    def _judge_anew(self, parsed: Parsed, regions: tuple[str, ...], *, has_pixels: bool) -> _Judged:
        facts = parsed.scan.facts
        header = self._rewriter.header_of(parsed)
        image_type = tuple(_words(facts, 0x00080008))
        verdict = judge(
            GateInput(
                sop_class_uid=parsed.sop_class,
                modality=_word(facts, 0x00080060),
                image_type=image_type,
                body_part=_word(facts, 0x00180015),
                body_part_codes=regions,
                burned_in_annotation=_word(facts, 0x00280301),
                recognizable_visual_features=_word(facts, 0x00280302),
                conversion_type=_word(facts, 0x00080064),
                texts=tuple(text for tag in _DESCRIPTION_TAGS for text in _words(facts, tag)),
                rows=header.rows,
                columns=header.columns,
                frames=header.frames,
                pixel_spacing=_pair(_numbers(facts, 0x00280030)) or _pair(_numbers(facts, 0x00181164)),
                slice_thickness=next(iter(_numbers(facts, 0x00180050)), None),
                orientation=_numbers(facts, 0x00200037) or None,
                position=_numbers(facts, 0x00200032) or None,
                bits_allocated=header.bits_allocated,
                bits_stored=header.bits_stored,
                samples_per_pixel=header.samples,
                photometric=header.photometric,
                has_pixels=has_pixels,
            )
        )
        return _Judged(
            verdict,
            self._outcomes(verdict),
            _code(facts, 0x00080060),
            tuple(word for word in image_type if word.replace("_", "").replace(" ", "").isalnum())[:4],
            _code(facts, 0x00180015),
            header.photometric if header.photometric.replace("_", "").replace(" ", "").isalnum() else "",
        )

    def _filters(self, parsed: Parsed) -> None:
        """Apply the recipe's ``%filter`` sections: what they blacklist stays behind, what they mask needs a stage."""
        if self._recipe is None or not self._recipe.filters:
            return
        places = {element.entry.tag: element for element in parsed.elements}

        def field(name: str) -> Sequence[str] | None:
            tag = standard.tag_of(name)
            element = places.get(tag) if tag is not None else None
            if element is None or element.items is not None or element.value_end - element.value > 65_536:
                return None
            return parsed.buffer[element.value : element.value_end].strip(b" \0").decode("latin-1").split("\\")

        for match in evaluate_filters(self._recipe, field):
            if match.filter == "whitelist":
                return
            raise TarnhelmError(errors.MASK_WANTED if match.regions else errors.FILTERED)

    def _with_flags(self, findings: Mapping[tuple[str, str], int], reply: AssignReply) -> Mapping[tuple[str, str], int]:
        """Add what the assigner says of its answer; one mapping for all objects of which it is the same."""
        flags = reply.flags | {_PLACEHOLDER} if reply.placeholder_subject else reply.flags
        if not flags:
            return findings
        key = frozenset(findings.items()), flags
        found = self._flagged.get(key)
        if found is None:
            told = {(flag, _FLAGGED.get(flag, "surrogates")): 1 for flag in flags}
            found = self._flagged.put(key, Counter(findings) + Counter(told))
        return found

    def _facts(self, parsed: Parsed, context: ObjectContext, judged: _Judged, sop_uid: str) -> ObjectFacts:
        facts = parsed.scan.facts
        header = self._rewriter.header_of(parsed)
        uid = self._rewriter.uid_of
        return ObjectFacts(
            sop_class_uid=parsed.sop_class,
            transfer_syntax_uid=parsed.start.syntax,
            modality=judged.modality,
            image_type=judged.image_type,
            body_part=judged.body_part,
            study_uid=uid(parsed, context, 0x0020000D),
            series_uid=uid(parsed, context, 0x0020000E),
            sop_uid=sop_uid,
            frame_of_reference_uid=uid(parsed, context, 0x00200052),
            subject_id=context.reply.subject_id,
            rows=header.rows,
            columns=header.columns,
            frames=header.frames,
            samples_per_pixel=header.samples,
            bits_allocated=header.bits_allocated,
            bits_stored=header.bits_stored,
            photometric=judged.photometric,
            instance_number=integer_string(facts.get(0x00200013, b"")),
            series_number=integer_string(facts.get(0x00200011, b"")),
            needs=judged.verdict.needs,
            gate_rule=judged.verdict.rule,
        )


def _has_pixels(elements: Sequence[Element]) -> bool:
    """Say whether the data set holds pixels; looked for from its end, where they stand in front of little else."""
    for element in reversed(elements):
        if element.entry.tag in _PIXEL_TAGS:
            return True
        if element.entry.tag < _FIRST_PIXEL_TAG:
            break
    return False


def _missing_capability(needs: frozenset[str]) -> ErrorCode:
    if needs == {"ocr"}:
        return errors.TEXT_UNCHECKED
    if needs == {"deface"}:
        return errors.FACE_UNCHECKED
    return errors.TEXT_AND_FACE_UNCHECKED


def _word(facts: Mapping[int, bytes], tag: int) -> str:
    return facts.get(tag, b"").strip(b" \0").decode("latin-1")


def _words(facts: Mapping[int, bytes], tag: int) -> list[str]:
    text = _word(facts, tag)
    return [part.strip() for part in text.split("\\")] if text else []


def _code(facts: Mapping[int, bytes], tag: int) -> str:
    """A code string that is safe to show: capitals, digits, blank and underscore only (VR CS), 16 at most."""
    text = _word(facts, tag)
    return text if len(text) <= 16 and text.replace("_", "").replace(" ", "").isalnum() and text.isupper() else ""


def _numbers(facts: Mapping[int, bytes], tag: int) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _words(facts, tag))
    except ValueError:
        return ()


def _pair(numbers: tuple[float, ...]) -> tuple[float, float] | None:
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None
