"""The de-identification markers, written from recorded outcomes and from nothing else.

PatientIdentityRemoved covers attributes *and* pixels (PS3.3 C.7.1.1), so it is YES only where the pixels were
judged or a gate rule excludes text in them; an object that passed with unchecked pixels says NO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tarnhelm.common.dicom.header import Encoding
from tarnhelm.metadata.core.rewriting.encode import element_bytes, header_bytes

__all__ = ["Markers", "Outcomes", "file_meta", "marker_elements"]

#: UID of this implementation: a UUID-derived UID made once for this software (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID: Final = "2.25.97093542746683564656966415296741377151"
IMPLEMENTATION_VERSION: Final = "TARNHELM_0.1"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was really done to one object, stage by stage.

    Attributes
    ----------
    methods
        (code value, code meaning) of CID 7050 that were applied.
    dates
        ``removed``, ``shifted`` or ``kept``.
    text_excluded
        A verdict on the pixels, or a gate rule, says that no text stands in them.
    face_excluded
        Likewise for a recognisable face.
    """

    methods: tuple[tuple[str, str], ...]
    dates: str
    text_excluded: bool
    face_excluded: bool


@dataclass(frozen=True, slots=True)
class Markers:
    """The marker elements of one object: (tag, bytes), ascending."""

    elements: tuple[tuple[int, bytes], ...]


_TEMPORAL: Final = {"removed": "REMOVED", "shifted": "MODIFIED", "kept": "UNMODIFIED"}


@lru_cache(maxsize=256)
def marker_elements(outcomes: Outcomes, encoding: int) -> tuple[tuple[int, bytes], ...]:
    """Return the markers as encoded elements.

    (0012,0062) Patient Identity Removed, (0012,0063) De-identification Method, (0012,0064) De-identification
    Method Code Sequence, (0028,0303) Longitudinal Temporal Information Modified; PS3.15 E.1.1 and E.3.
    """
    removed = b"YES" if outcomes.text_excluded and outcomes.face_excluded else b"NO"
    text = "Tarnhelm: PS3.15 Annex E " + ", ".join(code for code, _ in outcomes.methods)
    return (
        (0x00120062, element_bytes(encoding, 0x00120062, "CS", removed)),
        (0x00120063, element_bytes(encoding, 0x00120063, "LO", text[:64].encode("ascii"))),
        (0x00120064, _code_sequence(outcomes.methods, encoding)),
        (0x00280303, element_bytes(encoding, 0x00280303, "CS", _TEMPORAL[outcomes.dates].encode())),
    )


def _code_sequence(codes: Sequence[tuple[str, str]], encoding: int) -> bytes:
    order = "big" if encoding == Encoding.EXPLICIT_BIG else "little"
    items = []
    for value, meaning in codes:
        content = (
            element_bytes(encoding, 0x00080100, "SH", value.encode("ascii"))
            + element_bytes(encoding, 0x00080102, "SH", b"DCM")
            + element_bytes(encoding, 0x00080104, "LO", meaning.encode("ascii")[:64])
        )
        tag = b"\xff\xfe\xe0\x00" if order == "big" else b"\xfe\xff\x00\xe0"
        items.append(tag + len(content).to_bytes(4, order) + content)  # type: ignore[arg-type]
    body = b"".join(items)
    return header_bytes(encoding, 0x00120064, "SQ", len(body)) + body


@lru_cache(maxsize=4096)
def _meta_tail(syntax: str) -> bytes:
    little = Encoding.EXPLICIT_LITTLE
    return (
        element_bytes(little, 0x00020010, "UI", syntax.encode("ascii"))
        + element_bytes(little, 0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + element_bytes(little, 0x00020013, "SH", IMPLEMENTATION_VERSION.encode("ascii"))
    )


def file_meta(sop_class: str, sop_instance: str, syntax: str) -> bytes:
    """Preamble of zeros, ``DICM`` and a file meta information of our own (PS3.10 §7.1).

    Nothing of the source's group 0002 survives: AE titles, private information and the writer's name would.
    """
    little = Encoding.EXPLICIT_LITTLE
    body = (
        b"\x02\x00\x01\x00OB\0\0\x02\0\0\0\0\x01"
        + element_bytes(little, 0x00020002, "UI", sop_class.encode("ascii"))
        + element_bytes(little, 0x00020003, "UI", sop_instance.encode("ascii"))
        + _meta_tail(syntax)
    )
    return b"\0" * 128 + b"DICM\x02\x00\x00\x00UL\x04\0" + len(body).to_bytes(4, "little") + body
