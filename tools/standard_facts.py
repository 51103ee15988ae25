"""Reads the facts of PS3.15 Annex E from NEMA's DocBook or from a folder of extracted facts."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
import xml.etree.ElementTree as ET  # the maintainer's own copy of NEMA's file, and expat bounds entity expansion
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ATTRIBUTE_OPTIONS: Final = (
    "retain_safe_private",
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "retain_longitudinal_full_dates",
    "retain_longitudinal_modified_dates",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
)
"""The option columns of Table E.1-1 in their order."""
CONTENT_OPTIONS: Final = ATTRIBUTE_OPTIONS[1:8]
"""The option columns of Table E.3.4-1 in their order."""

COLUMN_LABELS: Final = {
    # Letters of NEMA's column headings in lower case, without the "Opt." that some editions append.
    "attributename": "name",
    "tag": "tag",
    "retd": "retired",
    "retired": "retired",
    "instdcompiod": "standard",
    "basicprof": "basic",
    "basicprofile": "basic",
    "rtnsafepriv": "retain_safe_private",
    "rtnuids": "retain_uids",
    "rtndevid": "retain_device_identity",
    "rtninstid": "retain_institution_identity",
    "rtnpatchars": "retain_patient_characteristics",
    "rtnlongfulldates": "retain_longitudinal_full_dates",
    "rtnlongmodifdates": "retain_longitudinal_modified_dates",
    "cleandesc": "clean_descriptors",
    "cleanstructcont": "clean_structured_content",
    "cleangraph": "clean_graphics",
    "codemeaning": "meaning",
    "codevalue": "code",
    "codingschemedesignator": "scheme",
    "valuetype": "value_type",
    "dataelement": "element",
    "privatecreator": "creator",
    "vr": "vr",
    "vm": "vm",
    "meaning": "meaning",
}
BASIC_CODES: Final = frozenset({"D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U", "X/Z/U*", "X/D/U"})
OPTION_CODES: Final = frozenset({"K", "C", ""})
_PATTERN = re.compile(r"\(([0-9A-Fa-fx]{4}),([0-9A-Fa-fx]{4})\)")
_NOTE = re.compile(r"\(see Note \d+\)", re.IGNORECASE)
_EDITION = re.compile(r"PS3\.15\s+(\d{4}[a-z])")


class SourceError(Exception):
    """A source is missing or not in the layout this reader knows."""


@dataclass(frozen=True, slots=True)
class AttributeFact:
    """A row of Table E.1-1; ``tag`` is eight digits with ``x`` for any, or ``PRIVATE``."""

    tag: str
    name: str
    basic: str
    options: Mapping[str, str]
    retired: bool
    in_standard_iod: bool


@dataclass(frozen=True, slots=True)
class ContentItemFact:
    """A row of Table E.3.4-1."""

    scheme: str
    code: str
    value_type: str
    meaning: str
    basic: str
    options: Mapping[str, str]
    retired: bool


@dataclass(frozen=True, slots=True)
class SafePrivateFact:
    """A row of Table E.3.10-1; ``group`` four and ``element`` two hexadecimal digits."""

    creator: str
    group: str
    element: str
    vr: str
    vm: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The three tables of one edition."""

    edition: str
    attributes: tuple[AttributeFact, ...]
    content_items: tuple[ContentItemFact, ...]
    safe_private: tuple[SafePrivateFact, ...]

    def __post_init__(self) -> None:
        """Refuse what no edition of the standard says: unknown codes, a tag twice, empty tables."""
        if not (self.attributes and self.content_items and self.safe_private):
            raise SourceError("one of the three tables is empty")
        actions = [(row.basic, row.options) for row in self.attributes]
        actions += [(row.basic, row.options) for row in self.content_items]
        for basic, options in actions:
            if basic not in BASIC_CODES or not set(options.values()) <= OPTION_CODES:
                raise SourceError(f"unknown action code in a row: {basic!r}, {sorted(options.values())}")
        _refuse_duplicates("E.1-1", [row.tag for row in self.attributes])
        _refuse_duplicates("E.3.4-1", [f"{row.scheme} {row.code} {row.value_type}" for row in self.content_items])
        _refuse_duplicates("E.3.10-1", [f"{row.creator} {row.group} {row.element}" for row in self.safe_private])


def _refuse_duplicates(table: str, keys: Sequence[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise SourceError(f"Table {table} has two rows for {key}")
        seen.add(key)


# --- a folder of extracted facts ------------------------------------------------------------------------------


def read_facts(folder: Path) -> Facts:
    """Read ``table_e1_1_*.json`` and ``safe_private_e3_10_1.csv``."""
    found = sorted(folder.glob("table_e1_1_*.json"))
    if len(found) != 1:
        raise SourceError(f"{folder}: one file table_e1_1_*.json is wanted, found {len(found)}")
    document = json.loads(found[0].read_text(encoding="utf-8"))
    with (folder / "safe_private_e3_10_1.csv").open(encoding="utf-8", newline="") as lines:
        private = tuple(
            SafePrivateFact(
                row["private_creator"].rstrip(" "),
                row["group"].upper(),
                row["element"][2:].upper(),
                row["vr"],
                row["vm"],
                row["meaning"],
            )
            for row in csv.DictReader(lines)
        )
    return Facts(
        edition=_edition(document["table"]),
        attributes=tuple(_attribute(row) for row in document["attributes"]),
        content_items=tuple(_content_item(row) for row in document["content_items"]),
        safe_private=private,
    )


def _edition(text: str) -> str:
    match = _EDITION.search(text)
    if match is None:
        raise SourceError("the source does not name its edition of PS3.15")
    return match[1]


def _attribute(row: Sequence[Any]) -> AttributeFact:
    tag, name, basic, options, retired, standard = row
    return AttributeFact(_canonical_tag(tag), _text(name), basic, options, bool(retired), bool(standard))


def _content_item(row: Sequence[Any]) -> ContentItemFact:
    scheme, code, meaning, value_type, basic, options, retired = row
    return ContentItemFact(_designator(scheme), code, value_type, _text(meaning), basic, options, bool(retired))


def _canonical_tag(tag: str) -> str:
    return tag if tag == "PRIVATE" else tag.upper().replace("X", "x")


def _designator(scheme: str) -> str:
    """``NCDR [2.0b]`` is the designator NCDR with a coding scheme version (PS3.16 Table 8-1)."""
    return re.sub(r"\s*\[.*\]$", "", scheme)


def _text(value: str) -> str:
    """One line without references to notes and the invisible break marks that NEMA puts into long words."""
    visible = "".join(character for character in value if unicodedata.category(character) != "Cf")
    return " ".join(_NOTE.sub("", visible).split())


# --- NEMA's DocBook -------------------------------------------------------------------------------------------


def read_part15(path: Path) -> Facts:
    """Read ``part15.xml``: Tables E.1-1, E.3.4-1 and E.3.10-1, found by their ``xml:id`` or label."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 (see the import)
    except ET.ParseError as error:
        raise SourceError(f"{path}: not well-formed XML: {error}") from error
    subtitle = next((_cell(node) for node in root.iter() if _local(node) == "subtitle"), "")
    return Facts(
        edition=_edition(subtitle),
        attributes=tuple(_attribute_row(row) for row in _rows(root, "E.1-1")),
        content_items=tuple(_content_row(row) for row in _rows(root, "E.3.4-1")),
        safe_private=tuple(_private_row(row) for row in _rows(root, "E.3.10-1")),
    )


def _local(node: ET.Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _cell(node: ET.Element) -> str:
    return _text(" ".join(node.itertext()))


def _find_table(root: ET.Element, label: str) -> ET.Element:
    for node in root.iter():
        identity = node.get("{http://www.w3.org/XML/1998/namespace}id")
        if _local(node) == "table" and (identity == f"table_{label}" or node.get("label") == label):
            return node
    raise SourceError(f"the document has no Table {label}")


def _rows(root: ET.Element, label: str) -> Iterator[dict[str, str]]:
    """Rows as column → text. Columns go by their heading, so a new or a moved column is harmless."""
    columns: list[str] = []
    for row in _find_table(root, label).iter():
        if _local(row) != "tr":
            continue
        heads = [_cell(cell) for cell in row if _local(cell) == "th"]
        if heads:
            columns = [_column(head) for head in heads]
            continue
        cells = [_cell(cell) for cell in row if _local(cell) == "td"]
        if len(cells) != len(columns):
            raise SourceError(f"Table {label}: a row has {len(cells)} cells under {len(columns)} headings")
        yield dict(zip(columns, cells, strict=True))


def _column(heading: str) -> str:
    plain = re.sub(r"\(.*?\)", "", heading).lower()
    letters = re.sub(r"[^a-z]", "", re.sub(r"\bopt(ion)?\b", "", plain))
    return COLUMN_LABELS.get(letters, f"unknown {letters}")


def _wanted(row: Mapping[str, str], *names: str) -> list[str]:
    missing = [name for name in names if name not in row]
    if missing:
        raise SourceError(f"columns are missing: {', '.join(missing)}")
    return [row[name] for name in names]


def _flag(row: Mapping[str, str], name: str) -> bool:
    return row.get(name, "").upper() in {"Y", "YES", "RET"}


def _options(row: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: code for name, code in zip(names, _wanted(row, *names), strict=True) if code}


def _attribute_row(row: Mapping[str, str]) -> AttributeFact:
    name, tag, basic = _wanted(row, "name", "tag", "basic")
    options = _options(row, ATTRIBUTE_OPTIONS)
    code = basic.replace(" ", "")
    return AttributeFact(_tag(tag), name, code, options, _flag(row, "retired"), _flag(row, "standard"))


def _tag(text: str) -> str:
    if "odd" in text.lower():
        return "PRIVATE"
    match = _PATTERN.search(text.replace(" ", "").replace("X", "x"))
    if match is None:
        raise SourceError("Table E.1-1 has a row whose tag cannot be read")
    return _canonical_tag(match[1] + match[2])


def _content_row(row: Mapping[str, str]) -> ContentItemFact:
    scheme, code, value_type, meaning, basic = _wanted(row, "scheme", "code", "value_type", "meaning", "basic")
    options = _options(row, CONTENT_OPTIONS)
    action = basic.replace(" ", "")
    return ContentItemFact(_designator(scheme), code, value_type, meaning, action, options, _flag(row, "retired"))


def _private_row(row: Mapping[str, str]) -> SafePrivateFact:
    element, creator, vr, vm, meaning = _wanted(row, "element", "creator", "vr", "vm", "meaning")
    match = re.fullmatch(r"\(([0-9A-Fa-f]{4}),xx([0-9A-Fa-f]{2})\)", element.replace(" ", "").replace("X", "x"))
    if match is None:
        raise SourceError("Table E.3.10-1 has a row whose data element is not (gggg,xxee)")
    return SafePrivateFact(creator, match[1].upper(), match[2].upper(), vr, vm, meaning)
