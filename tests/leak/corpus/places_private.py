"""Hiding places in private attributes: blocks, creators, decoys at safe places, and the safe ones that stay."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tests.leak.corpus.manifest import Keep
from tests.leak.corpus.places_file import place
from tests.leak.corpus.wire import El

if TYPE_CHECKING:
    from tests.leak.corpus.draft import Draft

__all__ = ["SAFE"]

# A few rows of PS3.15 Table E.3.10-1: group, creator, element, VR, value.
SAFE: Final[tuple[tuple[int, str, int, str, object, str], ...]] = (
    (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "1000", "1000"),
    (0x0019, "SIEMENS MR HEADER", 0x0D, "CS", "DIRECTIONAL", "DIRECTIONAL"),
    (0x0043, "GEMS_PARM_01", 0x39, "IS", "800\\0\\0\\0", "800\\0\\0\\0"),
    (0x2001, "Philips Imaging DD 001", 0x03, "FL", (1000.0,), "1000.0"),
    (0x7053, "Philips PET Private Group", 0x00, "DS", "0.000381", "0.000381"),
    (0x01E1, "ELSCINT1", 0x26, "CS", "BODY", "BODY"),
)
BLOCKS: Final = {
    "SIEMENS MR HEADER": 0x10, "GEMS_PARM_01": 0x22, "Philips Imaging DD 001": 0x10, "Philips PET Private Group": 0x31, "ELSCINT1": 0x10,
}  # fmt: skip


@place("private-texts")
def private_texts(draft: Draft) -> None:
    """A block with identifiers in every text VR, dates, UIDs, bytes and a sequence."""
    draft.put(0x00090010, "ACME SCANNER 1.1", "LO")
    draft.put(0x00091001, draft.secret("private-texts", "name"), "LO")
    draft.put(0x00091002, draft.mark("uid", "private-texts", f"1.3.9994.{draft.number('private-texts', 12)}"), "UI")
    draft.put(0x00091003, f"{draft.secret('private-texts', 'name')}^{draft.secret('private-texts', 'name')}", "PN")
    draft.put(0x00091004, f"told us {draft.secret('private-texts', 'free')}", "LT")
    draft.put(0x00091005, draft.secret("private-texts", "secret").encode(), "OB")
    draft.put(0x00091006, draft.odd_date("private-texts", "%Y%m%d"), "DA")
    draft.put(
        0x00091007,
        [[El(0x00090010, "LO", "ACME SCANNER 1.1"), El(0x00091001, "LO", draft.secret("private-texts", "name"))]],
        "SQ",
    )
    draft.put(0x00091008, [[El(0x00100010, "PN", f"{draft.secret('private-texts', 'name')}^In")]], "SQ", undefined=True)


@place("private-un")
def private_un(draft: Draft) -> None:
    """The same behind VR UN, a sequence among them."""
    draft.put(0x00110010, "ACME GATEWAY", "LO")
    draft.put(0x00111001, draft.secret("private-un", "name"), "LO", un=True)
    draft.put(
        0x00111002, [[El(0x00100010, "PN", f"{draft.secret('private-un', 'name')}^Un")]], "SQ", un=True, undefined=True
    )


@place("private-creator-name")
def private_creator_name(draft: Draft) -> None:
    """The creator's own name is text of the site."""
    draft.put(0x00150010, f"{draft.secret('private-creator-name', 'institution').upper()} PACS", "LO")
    draft.put(0x00151001, "1", "LO")


@place("private-no-creator")
def private_no_creator(draft: Draft) -> None:
    """Private elements in a block that nobody reserved."""
    draft.put(0x00171155, draft.secret("private-no-creator", "name"), "LO")
    draft.put(0x00290099, draft.secret("private-no-creator", "name"), "LO")


@place("private-csa")
def private_csa(draft: Draft) -> None:
    """A vendor's binary header with the protocol as text inside."""
    text = f'### ASCCONV BEGIN ###\ntPatientName = "{draft.secret("private-csa", "name")}"\ntRefUID = "{draft.secret("private-csa", "secret")}"\n'
    block = b"SV10\4\3\2\1" + struct.pack("<II", 1, 77) + b"MrPhoenixProtocol".ljust(64, b"\0") + text.encode()
    draft.put(0x00290010, "SIEMENS CSA HEADER", "LO")
    draft.put(0x00291010, block, "OB")
    draft.put(0x00291020, block + b"\0", "OB")


@place("private-nested")
def private_nested(draft: Draft) -> None:
    """Private blocks inside the items of standard sequences."""
    draft.add_items(
        "ReferencedPerformedProcedureStepSequence",
        [
            El(0x00081150, "UI", "1.2.840.10008.3.1.2.3.3"),
            El(0x00081155, "UI", draft.mark("uid", "private-nested", f"1.3.9993.{draft.number('private-nested', 12)}")),
            El(0x00210010, "LO", "ACME NESTED"),
            El(0x00211001, "LO", draft.secret("private-nested", "name")),
        ],
    )


@place("private-decoy")
def private_decoy(draft: Draft) -> None:
    """Another creator at a place that is safe under the right one, and a right creator in another block."""
    draft.put(0x00190010, "NOT SIEMENS", "LO")
    draft.put(0x0019100C, draft.secret("private-decoy", "name"), "LO")
    draft.put(0x00190012, "SIEMENS MR HEADER", "LO")
    draft.put(0x0019120C, "1000", "IS")
    draft.put(0x00191210, draft.secret("private-decoy", "name"), "LO")
    draft.entry.decoys.extend(["0019[NOT SIEMENS]0C", "0019[SIEMENS MR HEADER]10"])
    draft.entry.safe_private.append(Keep("0019[SIEMENS MR HEADER]0C", "1000", "rtnSafePrivOpt"))


@place("private-safe")
def private_safe(draft: Draft) -> None:
    """Attributes of the safe list, some in blocks other than the usual; a text of a safe creator that is not listed."""
    for group, creator, low, vr, value, shown in SAFE:
        if group == 0x0019 and 0x00190010 in draft.elements:
            continue
        block = BLOCKS[creator]
        draft.put(group << 16 | block, creator, "LO")
        draft.put(group << 16 | block << 8 | low, value, vr)
        draft.entry.safe_private.append(Keep(f"{group:04X}[{creator}]{low:02X}", shown, "rtnSafePrivOpt"))
    draft.put(0x00432270, draft.secret("private-safe", "free"), "LO")
    draft.entry.decoys.append("0043[GEMS_PARM_01]70")
