"""Hiding places around the data set: preamble, meta information, padding, bytes after the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.leak.corpus.draft import Draft
from tests.leak.corpus.manifest import Expected
from tests.leak.corpus.wire import El

__all__ = ["PLACES", "place"]

Planter = Callable[[Draft], None]
PLACES: Final[dict[str, Planter]] = {}


def place(name: str) -> Callable[[Planter], Planter]:
    """Register a hiding place under its name."""

    def register(planter: Planter) -> Planter:
        if name in PLACES:
            raise ValueError(name)
        PLACES[name] = planter
        return planter

    return register


@place("preamble")
def preamble(draft: Draft) -> None:
    """128 free bytes at the start (PS3.10 §7.1), where a TIFF header or anything else may stand."""
    draft.preamble = b"II*\0\x08\0\0\0" + f"{draft.secret('preamble', 'name')} {draft.number('preamble')}".encode()


@place("meta-ae-titles")
def meta_ae_titles(draft: Draft) -> None:
    """Source, sending and receiving application entity name the site."""
    for tag in (0x00020016, 0x00020017, 0x00020018):
        draft.put_meta(tag, "AE", draft.secret("meta-ae-titles", "institution"))


@place("meta-addresses")
def meta_addresses(draft: Draft) -> None:
    """Presentation addresses name hosts of the hospital."""
    for tag in (0x00020026, 0x00020027, 0x00020028):
        draft.put_meta(tag, "UR", f"dicom://{draft.secret('meta-addresses', 'institution').lower()}.example:104")


@place("meta-private")
def meta_private(draft: Draft) -> None:
    """Private information of the file meta group, with its creator."""
    draft.put_meta(0x00020100, "UI", draft.mark("uid", "meta-private", f"1.3.9999.{draft.number('meta-private', 12)}"))
    draft.put_meta(0x00020102, "OB", draft.secret("meta-private", "name").encode())


@place("meta-implementation")
def meta_implementation(draft: Draft) -> None:
    """Implementation class and version of the sender."""
    draft.put_meta(
        0x00020012,
        "UI",
        draft.mark("uid", "meta-implementation", f"1.3.9998.{draft.number('meta-implementation', 12)}"),
    )
    draft.put_meta(0x00020013, "SH", draft.secret("meta-implementation", "institution")[:16])


@place("padding")
def padding(draft: Draft) -> None:
    """Data Set Trailing Padding (FFFC,FFFC)."""
    draft.elements[0xFFFCFFFC] = El(0xFFFCFFFC, "OB", f"pad {draft.secret('padding', 'name')}".encode())


@place("after-the-end")
def after_the_end(draft: Draft) -> None:
    """Bytes behind the last element: zeros and a note, as some archives leave them."""
    if draft.entry.syntax != "deflated":
        draft.entry.expected = Expected.EITHER
        draft.tail = b"\0" * 64 + f"note {draft.secret('after-the-end', 'name')}".encode() + b"\0" * 9


@place("after-pixel-data")
def after_pixel_data(draft: Draft) -> None:
    """Elements behind the pixel data, where tools that stop there never look."""
    draft.put(0x7FE10010, "HIDDEN IMAGING 1.0", "LO")
    draft.put(0x7FE11010, draft.secret("after-pixel-data", "name"), "LO")
    draft.put(0x88880010, f"x {draft.secret('after-pixel-data', 'name')}", "LO")


@place("unknown-public")
def unknown_public(draft: Draft) -> None:
    """Even groups with tags that no dictionary knows."""
    for tag in (0x0008FF10, 0x0018FFF2, 0x00280FF8, 0x32160010):
        draft.put(tag, draft.secret("unknown-public", "name"), "LO")


@place("un-standard")
def un_standard(draft: Draft) -> None:
    """Standard attributes behind VR UN, as gateways without a dictionary write them (PS3.5 §6.2.2)."""
    draft.put("RegionOfResidence", draft.secret("un-standard", "address"), un=True)
    draft.put(
        "PatientInsurancePlanCodeSequence", [[El(0x00080104, "LO", draft.secret("un-standard", "free"))]], un=True
    )
    draft.put("InsurancePlanIdentification", draft.secret("un-standard", "other-id"), un=True)


@place("un-sequence")
def un_sequence(draft: Draft) -> None:
    """A sequence of undefined length behind VR UN: implicit items inside an explicit data set."""
    inner = [
        El(0x00400007, "LO", f"CT for {draft.secret('un-sequence', 'name')}"),
        El(0x00400009, "SH", draft.number("un-sequence")),
    ]
    draft.put("ScheduledProcedureStepSequence", [inner], un=True, undefined=True)


@place("signatures")
def signatures(draft: Draft) -> None:
    """Digital signatures name the signer, and are void once anything changed (PS3.3 §C.12.1.1.3)."""
    certificate = b"\x30\x82\x01\x02\x0c\x14" + draft.secret("signatures", "staff").encode() + b"\0" * 11
    draft.put(
        0xFFFAFFFA,
        [
            [
                El(0x04000005, "US", (1,)),
                El(0x04000100, "UI", draft.mark("uid", "signatures", f"1.3.9997.{draft.number('signatures', 12)}")),
                El(0x04000105, "DT", draft.day.strftime("%Y%m%d") + "120000"),
                El(0x04000110, "CS", "X509_1993_SIG"),
                El(0x04000115, "OB", certificate),
                El(0x04000120, "OB", draft.secret("signatures", "staff").encode()),
            ]
        ],
        "SQ",
    )
    draft.put(0x4FFE0001, [[El(0x04000005, "US", (1,)), El(0x04000010, "UI", "1.2.840.10008.1.2.1")]], "SQ")
