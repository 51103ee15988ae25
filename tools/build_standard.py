"""Builds the committed tables of the standard under ``metadata/core/standard/data``.

Sources: PS3.15 Annex E, either as NEMA publishes it (``--part15 part15.xml``, DocBook) or as a folder of
extracted facts (``--facts DIR``); the IOD, module and attribute Types of the installed ``highdicom`` (MIT);
the data dictionary and the UID registry of the installed ``pydicom`` (MIT).

Each table is text with one row a line, so that a new edition of the standard is a reviewable difference.

    python tools/build_standard.py --part15 part15.xml           # rebuild
    python tools/build_standard.py --part15 part15.xml --check   # say whether the committed tables are that
    python tools/build_standard.py --docs                        # then the numbers in docs/reference/profiles.md
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

from standard_facts import ATTRIBUTE_OPTIONS, CONTENT_OPTIONS, Facts, SourceError, read_facts, read_part15

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DATA: Final = REPOSITORY / "services/metadata/tarnhelm/metadata/core/standard/data"

CODING_SCHEME_UIDS: Final = {
    # PS3.16 Table 8-1, the schemes that have a UID outside of NEMA's own registry (PS3.6 holds the others).
    "1.2.840.10065.1.12": "ASTM-sigpurpose",
    "1.3.6.1.4.1.19376.1.8.2.1": "PATHLEX",
    "2.16.1": "ISO3166_1",
    "2.16.840.1.113883.15.2": "NBD",
    "2.16.840.1.113883.15.3": "NBG",
    "2.16.840.1.113883.2.1.3.2.4.21": "NICIP",
    "2.16.840.1.113883.3.26.1.1": "NCIt",
    "2.16.840.1.113883.3.26.2": "caDSR",
    "2.16.840.1.113883.6.1": "LN",
    "2.16.840.1.113883.6.100": "ISO639_2",
    "2.16.840.1.113883.6.119": "FMA",
    "2.16.840.1.113883.6.12": "C4",
    "2.16.840.1.113883.6.121": "RFC3066",
    "2.16.840.1.113883.6.13": "CD2",
    "2.16.840.1.113883.6.14": "HPC",
    "2.16.840.1.113883.6.177": "MSH",
    "2.16.840.1.113883.6.2": "I9C",
    "2.16.840.1.113883.6.210": "NEU",
    "2.16.840.1.113883.6.24": "MDC",
    "2.16.840.1.113883.6.256": "RADLEX",
    "2.16.840.1.113883.6.3": "I10",
    "2.16.840.1.113883.6.316": "RFC5646",
    "2.16.840.1.113883.6.4": "I10P",
    "2.16.840.1.113883.6.42": "I9",
    "2.16.840.1.113883.6.43.1": "ICDO3",
    "2.16.840.1.113883.6.50": "POS",
    "2.16.840.1.113883.6.51": "SNM3",
    "2.16.840.1.113883.6.53": "99SDM",
    "2.16.840.1.113883.6.55": "UPC",
    "2.16.840.1.113883.6.6": "CTV3",
    "2.16.840.1.113883.6.69": "NDC",
    "2.16.840.1.113883.6.76": "ACR",
    "2.16.840.1.113883.6.8": "UCUM",
    "2.16.840.1.113883.6.82": "C5",
    "2.16.840.1.113883.6.86": "UMLS",
    "2.16.840.1.113883.6.88": "RXNORM",
    "2.16.840.1.113883.6.90": "I10C",
    "2.16.840.1.113883.6.96": "SCT",
    "2.16.840.1.113883.6.99": "ISO639_1",
}
BETWEEN_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
"""Where the words of a keyword part; ``standard.dictionary`` makes names of keywords by it."""
TYPE_ORDER: Final = ("1", "1C", "2", "2C", "3", "")
"""Strictest first: where an IOD lists an attribute twice, the stricter requirement counts."""


def option_string(options: Mapping[str, str], columns: Sequence[str]) -> str:
    """One letter a column of the standard's table, ``-`` where the cell is empty."""
    return "".join(options.get(name) or "-" for name in columns)


def rows_text(head: Mapping[str, Any], rows: Iterable[Any]) -> str:
    """Write a JSON document: the head's members one a line, then ``rows`` one a line."""
    lines = [f"{json.dumps(key)}: {_compact(value)}," for key, value in head.items()]
    body = ",\n".join(_compact(row) for row in rows)
    return "{\n" + "\n".join(lines) + '\n"rows": [\n' + body + "\n]\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def attributes_table(facts: Facts) -> str:
    """Table E.1-1: tag, name, basic action, options, ``R`` retired and ``S`` in a standard composite IOD."""
    head = {
        "source": f"DICOM PS3.15 {facts.edition}, Table E.1-1",
        "edition": facts.edition,
        "options": ATTRIBUTE_OPTIONS,
    }
    rows = sorted(
        [
            row.tag,
            row.name,
            row.basic,
            option_string(row.options, ATTRIBUTE_OPTIONS),
            ("R" if row.retired else "") + ("S" if row.in_standard_iod else ""),
        ]
        for row in facts.attributes
    )
    return rows_text(head, rows)


def content_items_table(facts: Facts) -> str:
    """Table E.3.4-1, with the SNOMED-RT style codes that PS3.15 E.3.4 asks to recognise beside the SCT ones."""
    from pydicom.sr._snomed_dict import mapping  # noqa: PLC0415 (only this table needs it)

    retired_snomed = {row.code: mapping["SCT"][row.code] for row in facts.content_items if row.scheme == "SCT"}
    head = {
        "source": f"DICOM PS3.15 {facts.edition}, Table E.3.4-1; SNOMED-RT codes from pydicom {version('pydicom')} (MIT)",
        "edition": facts.edition,
        "options": CONTENT_OPTIONS,
        "snomed_rt": {srt: sct for sct, srt in sorted(retired_snomed.items())},
    }
    rows = sorted(
        [
            row.scheme,
            row.code,
            row.value_type,
            row.meaning,
            row.basic,
            option_string(row.options, CONTENT_OPTIONS),
            "R" if row.retired else "",
        ]
        for row in facts.content_items
    )
    return rows_text(head, rows)


def safe_private_table(facts: Facts) -> str:
    """Table E.3.10-1: private creator, group, element in the block, VR, VM, meaning."""
    head = {"source": f"DICOM PS3.15 {facts.edition}, Table E.3.10-1", "edition": facts.edition}
    rows = sorted([row.creator, row.group, row.element, row.vr, row.vm, row.meaning] for row in facts.safe_private)
    return rows_text(head, rows)


def dictionary_table() -> str:
    """PS3.6: tag (``x`` is any digit), VR, keyword; repeating groups last.

    A fourth column holds the name where it is not what the keyword's words say.
    """
    from pydicom import __dicom_version__ as edition  # noqa: PLC0415
    from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary  # noqa: PLC0415

    head = {"source": f"DICOM PS3.6 {edition} in pydicom {version('pydicom')} (MIT)", "edition": edition}
    rows = [[f"{tag:08X}", *_dictionary_columns(*entry)] for tag, entry in sorted(DicomDictionary.items())]
    rows += [
        [mask.upper().replace("X", "x"), *_dictionary_columns(*entry)]
        for mask, entry in sorted(RepeatersDictionary.items())
    ]
    return rows_text(head, rows)


def _dictionary_columns(vr: str, _: str, name: str, __: str, keyword: str) -> list[str]:
    words = BETWEEN_WORDS.sub(" ", keyword)
    return [vr, keyword] if name == words or not keyword else [vr, keyword, name]


#: Of PS3.6 Table A-1, newer than the edition that pydicom knows; some libraries add them to pydicom's table at run time.
NEWER_UIDS: Final = {
    "1.2.840.10008.1.2.4.110": "Transfer Syntax",  # JPEG XL Lossless
    "1.2.840.10008.1.2.4.111": "Transfer Syntax",  # JPEG XL JPEG Recompression
    "1.2.840.10008.1.2.4.112": "Transfer Syntax",  # JPEG XL
    "1.2.840.10008.1.2.8.1": "Transfer Syntax",  # Deflated Image Frame Compression
}


def uids_table() -> str:
    """PS3.6 Tables A-1, A-2, A-4 and PS3.16 Table 8-1: UIDs that mean the same in every hospital."""
    from pydicom import __dicom_version__ as edition  # noqa: PLC0415
    from pydicom._uid_dict import UID_dictionary  # noqa: PLC0415

    source = f"DICOM PS3.6 {edition} in pydicom {version('pydicom')} (MIT); coding schemes of PS3.16 Table 8-1"
    known = {uid: entry[1] for uid, entry in UID_dictionary.items()} | NEWER_UIDS
    rows = [[uid, kind] for uid, kind in known.items()]
    rows += [[uid, f"Coding Scheme {name}"] for uid, name in CODING_SCHEME_UIDS.items()]
    return rows_text({"source": source, "edition": edition}, sorted(rows))


Trie = dict[int, tuple[str, "Trie"]]


class NodeTable:
    """Sequence items by content: a macro that a thousand paths repeat is stored once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, trie: Trie) -> int:
        """Give the number of the node with this content; children get theirs first."""
        parts = []
        for tag, (kind, children) in sorted(trie.items()):
            parts.append(f"{tag:08X}{kind}" + (f":{self.number(children)}" if children else ""))
        return self._numbers.setdefault(" ".join(parts), len(self._numbers))

    def rows(self) -> list[str]:
        """Give the nodes in the order of their numbers."""
        return list(self._numbers)


def module_trie(entries: Iterable[Mapping[str, Any]], tag_of: Callable[[str], int | None], skipped: set[str]) -> Trie:
    """Read the attributes of one module as nested items; keywords without a tag of their own go to ``skipped``."""
    root: Trie = {}
    for entry in entries:
        tags = [tag_of(keyword) for keyword in (*entry["path"], entry["keyword"])]
        if None in tags:
            skipped.add(entry["keyword"])
            continue
        node = root
        for tag in tags[:-1]:
            node = node.setdefault(tag, ("", {}))[1]  # type: ignore[arg-type]
        tag = tags[-1]
        kind = entry["type"] if entry["type"] in TYPE_ORDER else ""
        known = node.get(tag)  # type: ignore[arg-type]
        if known is None:
            node[tag] = (kind, {})  # type: ignore[index]
        else:
            node[tag] = (min(kind, known[0], key=TYPE_ORDER.index), known[1])  # type: ignore[index]
    return root


def iods_table(folder: Path, highdicom_version: str) -> str:
    """IOD → attribute Types (PS3.3), per SOP class; repeating groups are left out, they go or stay as a whole."""
    from pydicom._dicom_dict import DicomDictionary  # noqa: PLC0415

    modules, iods, classes = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("module_attribute_map", "iod_module_map", "sop_class_iod_map")
    )
    keywords = {entry[4]: tag for tag, entry in DicomDictionary.items()}
    nodes, skipped, missing = NodeTable(), set[str](), set[str]()
    wanted: dict[str, list[int]] = {}
    numbers: dict[str, int] = {}
    for iod in sorted(set(classes.values())):
        wanted[iod] = []
        for module in iods[iod]:
            key = module["key"]
            if key not in modules:
                missing.add(key)
                continue
            if key not in numbers:
                numbers[key] = nodes.number(module_trie(modules[key], keywords.get, skipped))
            wanted[iod].append(numbers[key])
    head = {
        "source": f"DICOM PS3.3 in highdicom {highdicom_version} (MIT)",
        "sop_classes": dict(sorted(classes.items())),
        "iods": wanted,
        "repeating_keywords": sorted(skipped),
        "modules_without_attributes": sorted(missing),
    }
    return rows_text(head, nodes.rows())


def highdicom_folder() -> Path:
    """Where the installed highdicom keeps its tables; it is not imported."""
    from importlib.util import find_spec  # noqa: PLC0415

    spec = find_spec("highdicom")
    if spec is None or spec.origin is None:
        raise SourceError("highdicom is not installed: its tables give the attribute Types")
    return Path(spec.origin).parent / "_standard"


def build(facts: Facts) -> dict[str, str]:
    """File name → text of every table."""
    return {
        "attributes.json": attributes_table(facts),
        "content_items.json": content_items_table(facts),
        "safe_private.json": safe_private_table(facts),
        "dictionary.json": dictionary_table(),
        "uids.json": uids_table(),
        "iods.json": iods_table(highdicom_folder(), version("highdicom")),
    }


def differing(tables: Mapping[str, str], folder: Path) -> list[str]:
    """Names of the committed tables that are not what the sources give."""
    return [
        name
        for name, text in tables.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def document(*, check: bool) -> int:
    """Bring the generated part of docs/reference/profiles.md up to date, or say whether it is."""
    from standard_docs import PAGE, rewritten  # noqa: PLC0415 (needs the built tables)

    page = PAGE.read_text(encoding="utf-8")
    fresh = rewritten(page)
    if check:
        print("The page is up to date." if fresh == page else "The page is out of date.")
        return int(fresh != page)
    PAGE.write_text(fresh, encoding="utf-8", newline="\n")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, check or document; 0 done or equal, 1 different, 2 a source cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--part15", type=Path, metavar="FILE", help="NEMA's part15.xml")
    source.add_argument("--facts", type=Path, metavar="DIR", help="folder with the extracted facts of PS3.15 Annex E")
    source.add_argument("--docs", action="store_true", help="rewrite the tables in docs/reference/profiles.md")
    parser.add_argument("--check", action="store_true", help="compare with the committed tables, write nothing")
    parser.add_argument("--output", type=Path, default=DATA, metavar="DIR", help="where the tables lie")
    chosen = parser.parse_args(arguments)
    if chosen.docs:
        return document(check=chosen.check)
    try:
        tables = build(read_part15(chosen.part15) if chosen.part15 else read_facts(chosen.facts))
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    changed = differing(tables, chosen.output)
    if chosen.check:
        print("The committed tables are what the sources give." if not changed else f"Different: {', '.join(changed)}")
        return 1 if changed else 0
    chosen.output.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        (chosen.output / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}: {len(text.encode()):,} bytes{'' if name in changed else ', unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
