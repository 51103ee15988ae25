"""The gate table says whether an object's pixels may carry burned-in text, and whether they may show a face.

Two ordered tables of rules; the first rule that applies decides, and the last one of each says *possible*. So a new
kind of object, a missing attribute or a word that nobody thought of never excludes anything. An attribute that
only claims (Burned In Annotation NO, Recognizable Visual Features NO) is believed when it warns and never when it
reassures: scanners write NO from habit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.gate_words import (
    BODY_CODES,
    BODY_WORDS,
    HEAD_CODES,
    HEAD_PARTS,
    HEAD_WORDS,
    HOUSE_WORDS,
    PAPER_WORDS,
)
from tarnhelm.metadata.core.text.tokens import folded_words

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FACE_RULES", "TEXT_RULES", "GateInput", "GateRule", "GateVerdict", "judge", "rule_tables"]

EXCLUDED: Final = "excluded"
POSSIBLE: Final = "possible"

_CLASS: Final = "1.2.840.10008.5.1.4.1.1."
_CT: Final = frozenset({_CLASS + "2", _CLASS + "2.1", _CLASS + "2.2"})
_MR: Final = frozenset({_CLASS + "4", _CLASS + "4.1"})
_PET: Final = frozenset({_CLASS + "128", _CLASS + "130"})
_DOSE: Final = _CLASS + "481.2"
# Ultrasound, its multi-frame form, the retired ones; intravascular OCT.
_PROBE: Final = frozenset({_CLASS + n for n in ("6", "6.1", "3", "3.1", "14.1", "14.2")})
_BREAST: Final = frozenset({_CLASS + n for n in ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5")})
_SLIDES: Final = frozenset({_CLASS + n for n in ("77.1.2", "77.1.3", "77.1.6", "77.1.8", "77.1.9")})
_MOUTH: Final = frozenset({_CLASS + "1.3", _CLASS + "1.3.1"})
_SECONDARY: Final = _CLASS + "7"

_SCREEN_TYPES: Final = frozenset(
    {"SCREEN SAVE", "SCREENSHOT", "SCREEN_SAVE", "SECONDARY", "LOCALIZER", "SCOUT", "TOPOGRAM", "REPORT", "DOSE_INFO",
     "DOSE INFO", "PROTOCOL", "RESULT", "PRESENTATION", "CAPTURE", "SUMMARY", "OVERLAY", "ANNOTATED", "GRAPHICS", "3D"}
)  # fmt: skip
_LONGEST_MM: Final = 500.0
"""More than this along the body, and a chest may reach to the eyes."""


@dataclass(frozen=True, slots=True)
class GateInput:
    """What the gate knows of an object: decoded values of the original header, empty or None where absent.

    Attributes
    ----------
    sop_class_uid, modality, image_type, conversion_type
        (0008,0016), (0008,0060), (0008,0008), (0008,0064).
    body_part, body_part_codes
        (0018,0015), and the code values of Anatomic Region Sequence (0008,2218).
    burned_in_annotation, recognizable_visual_features
        (0028,0301), (0028,0302).
    texts
        Study, series, protocol, procedure and view descriptions, in any order.
    rows, columns, frames
        (0028,0010), (0028,0011), (0028,0008).
    pixel_spacing, slice_thickness, orientation, position
        (0028,0030) or (0018,1164), (0018,0050), (0020,0037), (0020,0032), in millimetres; of the shared or the
        first frame's functional groups for an enhanced object.
    bits_allocated, bits_stored, samples_per_pixel, photometric
        (0028,0100), (0028,0101), (0028,0002), (0028,0004).
    has_pixels
        Pixel Data, or one of its float forms, is there.
    """

    sop_class_uid: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    body_part: str = ""
    body_part_codes: tuple[str, ...] = ()
    burned_in_annotation: str = ""
    recognizable_visual_features: str = ""
    texts: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    frames: int = 1
    pixel_spacing: tuple[float, float] | None = None
    slice_thickness: float | None = None
    orientation: tuple[float, ...] | None = None
    position: tuple[float, ...] | None = None
    bits_allocated: int = 0
    bits_stored: int = 0
    samples_per_pixel: int = 0
    photometric: str = ""
    conversion_type: str = ""
    has_pixels: bool = True


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate says.

    Attributes
    ----------
    text, face
        ``excluded`` or ``possible``.
    rule
        Names of the two rules that decided, for the report: ``T-PRIMARY F-BODY``.
    needs
        Capabilities that must look at the pixels: ``ocr``, ``deface``.
    """

    text: str
    face: str
    rule: str
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class GateRule:
    """One row: a name, the condition in words, the verdict, and the condition itself."""

    name: str
    when: str
    verdict: str
    applies: Callable[[GateInput], bool]


def judge(gate: GateInput) -> GateVerdict:
    """Apply both tables to one object.

    Returns
    -------
    GateVerdict
        ``excluded`` only where a rule proves it; identical input gives an identical verdict.
    """
    text = _first(TEXT_RULES, gate)
    face = _first(FACE_RULES, gate)
    needs = {name for rule, name in ((text, "ocr"), (face, "deface")) if rule.verdict == POSSIBLE}
    return GateVerdict(text.verdict, face.verdict, f"{text.name} {face.name}", frozenset(needs))


def rule_tables() -> str:
    """Both tables as Markdown, for the reference page."""
    lines: list[str] = []
    for title, rules in (("Burned-in text", TEXT_RULES), ("Face", FACE_RULES)):
        lines += [f"### {title}", "", "| rule | when | verdict |", "|---|---|---|"]
        lines += [f"| {rule.name} | {rule.when} | {rule.verdict} |" for rule in rules]
        lines.append("")
    return "\n".join(lines)


def _first(rules: tuple[GateRule, ...], gate: GateInput) -> GateRule:
    return next(rule for rule in rules if rule.applies(gate))


def _is_yes(value: str) -> bool:
    return value.strip(" \0").upper() == "YES"


def _types(gate: GateInput) -> tuple[str, ...]:
    return tuple(value.strip(" \0").upper() for value in gate.image_type)


def _is_screen(gate: GateInput) -> bool:
    """Say whether the image type or a word says report, screen save, localizer or another picture with writing."""
    return not _SCREEN_TYPES.isdisjoint(_types(gate)[1:]) or not PAPER_WORDS.isdisjoint(_words(gate))


def _is_original(gate: GateInput) -> bool:
    return _types(gate)[:2] == ("ORIGINAL", "PRIMARY")


def _is_raw_grey(gate: GateInput) -> bool:
    """Say whether pixels are measurements: one sample, 12 bits or more, as a scanner and no screen makes them."""
    mono = gate.samples_per_pixel == 1 and gate.photometric.strip(" \0").upper() in ("MONOCHROME1", "MONOCHROME2")
    return mono and gate.bits_allocated >= 16 and gate.bits_stored >= 12


def _has_geometry(gate: GateInput) -> bool:
    """Say whether the image lies in the patient: pixel spacing, orientation and position are there and whole."""
    return (
        gate.pixel_spacing is not None
        and gate.orientation is not None
        and len(gate.orientation) == 6
        and gate.position is not None
        and len(gate.position) == 3
    )


def _words(gate: GateInput) -> list[str]:
    return [word for text in (*gate.texts, gate.body_part) for word in folded_words(text)]


def _says_head(gate: GateInput) -> bool:
    part = "".join(folded_words(gate.body_part))
    if any(name in part for name in HEAD_PARTS) or not HEAD_CODES.isdisjoint(gate.body_part_codes):
        return True
    words = _words(gate)
    found = HEAD_WORDS.intersection(words)
    # In French "de face" and "face et profil" name a projection.
    if found == {"face"} and ("profil" in words or "de face" in " ".join(words)):
        return False
    return bool(found)


def _says_body(gate: GateInput) -> bool:
    words = _words(gate)
    named = any(word in BODY_WORDS and after not in HOUSE_WORDS for word, after in pairwise([*words, ""]))
    return named or not BODY_CODES.isdisjoint(gate.body_part_codes)


def _is_localizer(gate: GateInput) -> bool:
    return not {"LOCALIZER", "SCOUT", "TOPOGRAM"}.isdisjoint(_types(gate))


def _extent_mm(gate: GateInput) -> float:
    """Longest stretch along the body that the image can cover; 0 where it cannot be told.

    Without an orientation (projection radiography) both sides of the image count.
    """
    if gate.pixel_spacing is None:
        return 0.0
    high, wide = gate.rows * gate.pixel_spacing[0], gate.columns * gate.pixel_spacing[1]
    direction = gate.orientation
    if direction is None or len(direction) != 6:
        return max(high, wide)
    x, y = direction[:3], direction[3:]
    normal_z = x[0] * y[1] - x[1] * y[0]
    depth = gate.frames * (gate.slice_thickness or 0.0) * abs(normal_z)
    return max(wide * abs(x[2]), high * abs(y[2]), depth)


def _is_body(gate: GateInput) -> bool:
    return _says_body(gate) and _extent_mm(gate) <= _LONGEST_MM


TEXT_RULES: Final = (
    GateRule("T-NONE", "the object has no pixels", EXCLUDED, lambda g: not g.has_pixels),
    GateRule("T-DECLARED", "Burned In Annotation is YES", POSSIBLE, lambda g: _is_yes(g.burned_in_annotation)),
    GateRule(
        "T-DOSE", "RT Dose: a computed grid of one sample and 16 or 32 bits", EXCLUDED,
        lambda g: g.sop_class_uid == _DOSE and g.samples_per_pixel == 1 and g.bits_allocated >= 16,
    ),
    GateRule(
        "T-SECONDARY", "Secondary Capture of any form, or Conversion Type is given", POSSIBLE,
        lambda g: g.sop_class_uid == _SECONDARY or g.sop_class_uid.startswith(_SECONDARY + ".") or bool(g.conversion_type.strip(" \0")),
    ),
    GateRule(
        "T-SCREEN", "Image Type or a description says screen save, report, dose sheet, localizer, 3D view…", POSSIBLE, _is_screen,
    ),
    GateRule(
        "T-PRIMARY",
        "CT, MR or PET, Image Type ORIGINAL\\PRIMARY, one sample, 12 bits or more, placed in the patient (spacing, orientation, position)",
        EXCLUDED,
        lambda g: g.sop_class_uid in (_CT | _MR | _PET) and _is_original(g) and _is_raw_grey(g) and _has_geometry(g),
    ),
    GateRule("T-UNKNOWN", "anything else, whatever Burned In Annotation says", POSSIBLE, lambda _: True),
)  # fmt: skip
"""Burned-in text, in order."""

FACE_RULES: Final = (
    GateRule("F-NONE", "the object has no pixels", EXCLUDED, lambda g: not g.has_pixels),
    GateRule(
        "F-DECLARED", "Recognizable Visual Features is YES", POSSIBLE, lambda g: _is_yes(g.recognizable_visual_features),
    ),
    GateRule("F-DOSE", "RT Dose: a computed grid", EXCLUDED, lambda g: g.sop_class_uid == _DOSE),
    GateRule(
        "F-PROBE", "ultrasound that is no volume, intravascular tomography: a probe inside or on the body", EXCLUDED,
        lambda g: g.sop_class_uid in _PROBE,
    ),
    GateRule("F-BREAST", "mammography and breast tomosynthesis", EXCLUDED, lambda g: g.sop_class_uid in _BREAST),
    GateRule("F-SLIDE", "microscopy and whole slides", EXCLUDED, lambda g: g.sop_class_uid in _SLIDES),
    GateRule("F-MOUTH", "intra-oral X-ray: single teeth", EXCLUDED, lambda g: g.sop_class_uid in _MOUTH),
    GateRule(
        "F-HEAD", "body part, its code or a description names the head, the face, the neck or the whole body", POSSIBLE, _says_head,
    ),
    GateRule(
        "F-CAMERA", "visible light: photographs, endoscopy, ophthalmology, secondary captures", POSSIBLE,
        lambda g: g.sop_class_uid.startswith((_CLASS + "77.1", _CLASS + "7")) or g.samples_per_pixel > 1,
    ),
    GateRule(
        "F-PET", "PET and gamma cameras: usually the whole body, whatever the body part says", POSSIBLE,
        lambda g: g.sop_class_uid in _PET or g.sop_class_uid == _CLASS + "20" or g.modality.strip(" \0").upper() in ("PT", "NM"),
    ),
    GateRule("F-LOCALIZER", "a localizer: it reaches beyond what is examined", POSSIBLE, _is_localizer),
    GateRule(
        "F-BODY", "body part, its code or a description names a part below the neck, and the image covers at most 500 mm along the body",
        EXCLUDED, _is_body,
    ),
    GateRule("F-UNKNOWN", "anything else, whatever Recognizable Visual Features says", POSSIBLE, lambda _: True),
)  # fmt: skip
"""A face, in order."""
