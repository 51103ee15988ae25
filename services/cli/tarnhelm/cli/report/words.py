"""What the short words of outcomes mean: the legend of the page, and of the reference of the report."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "ACTIONS",
    "FINDINGS",
    "GONE",
    "KEPT",
    "NEEDS",
    "REPLACED",
    "Group",
    "action_word",
    "attribute_note",
    "finding_meaning",
    "group_of",
]


class Group(NamedTuple):
    """Attributes that met the same fate."""

    name: str
    title: str


REPLACED: Final = Group("changed", "Replaced")
GONE: Final = Group("gone", "Removed or emptied")
KEPT: Final = Group("kept", "Kept by a rule")

ACTIONS: Final[dict[str, tuple[Group, str]]] = {
    "PSEUDO": (REPLACED, "replaced by a keyed surrogate"),
    "JITTER": (REPLACED, "date moved into the past"),
    "CLEAN": (REPLACED, "useful words of the text stay, all else goes"),
    "REPLACE": (REPLACED, "replaced by a fixed value"),
    "ADD": (REPLACED, "set to a fixed value"),
    "REMOVE": (GONE, "taken out"),
    "BLANK": (GONE, "emptied"),
    "KEEP": (KEPT, "stays; a sequence stays and its items are cleaned"),
}
"""The first word of an action → its group and meaning."""

FINDINGS: Final[dict[str, str]] = {
    "odd-value": "a value that its attribute does not allow was removed",
    "identifier-in-text": "one of the object's own identifiers was taken out of a text that stays",
    "placeholder-subject": "the Patient ID names nobody, so the study stands for the patient",
    "id-not-injective": "an ID is longer than 256 characters: another one may have got the same surrogate",
    "opaque-sequence": "a sequence that could not be walked was removed whole",
    "padding": "bytes behind the pixels were left out or zeroed",
    "unused-bits": "bits that hold no pixel were zeroed",
    "trailing-zeros": "zeros after the data set were left out",
    "codestream-app": "application segments were taken out of compressed frames",
    "codestream-box": "boxes beside the image were taken out of compressed frames",
    "codestream-com": "comments were taken out of compressed frames",
    "codestream-tlm": "an index of tiles, wrong once comments are gone, was taken out",
    "codestream-trailing": "bytes after the end of a compressed frame were taken out",
    "codestream-rle-header": "unused places of an RLE header were zeroed",
    "codestream-rle-slack": "room behind an RLE segment was zeroed",
}

NEEDS: Final[dict[str, str]] = {"ocr": "burned-in text", "deface": "a face"}
"""Capability that would have had to look → what it would have looked for."""


def action_word(action: str) -> str:
    """First word of an action: ``PSEUDO`` of ``PSEUDO FULL_NAME``."""
    return action.split(" ", maxsplit=1)[0]


def group_of(action: str) -> Group:
    """Group of an action; one that the table does not know counts as a replacement."""
    return ACTIONS.get(action_word(action), (REPLACED, ""))[0]


def finding_meaning(code: str) -> str:
    """Say what a finding means; empty for one of a later version."""
    return FINDINGS.get(code, "")


def attribute_note(name: str) -> str:
    """Say what an attribute without a name is: ``private``, ``group length``, ``not in the dictionary``."""
    if not name.startswith("("):
        return ""
    group = name[1:5]
    try:
        odd = int(group, 16) & 1
    except ValueError:  # a repeating group, 60xx
        return "repeating group"
    if odd:
        return "private"
    return "group length" if name.endswith(",0000)") else "not in the dictionary"
