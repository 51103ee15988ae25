"""Writes the tables of docs/reference/profiles.md from the committed tables, so that no number is typed by hand."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "services" / name) for name in ("common", "metadata")]

from tarnhelm.metadata.core import standard  # noqa: E402 (the path comes first)
from tarnhelm.metadata.core.profiles import BASIC, METHODS, NEEDS_STAGE, OPTION_OF, PROFILE_NAMES, combine  # noqa: E402

PAGE: Final = REPOSITORY / "docs/reference/profiles.md"
_BLOCK: Final = re.compile(r"(<!-- generated: profile tables -->\n).*?(<!-- end of generated part -->)", re.DOTALL)
_DOES: Final = {
    BASIC: "Removes, empties, replaces or maps every attribute of Table E.1-1; always part of a combination.",
    "cleanDescOpt": "Descriptions, comments and labels are cleaned instead of removed.",
    "cleanGraphOpt": "Overlays, curves and graphic annotations are cleaned instead of removed.",
    "cleanStructContOpt": "Content items are cleaned one by one (Table E.3.4-1) instead of removed with their tree.",
    "rtnDevIdOpt": "The identity of the device stays.",
    "rtnInstIdOpt": "The identity of the institution stays.",
    "rtnLongFullDatesOpt": "Dates and times stay as they are.",
    "rtnLongModifDatesOpt": "Dates move by one offset per subject, times and intervals stay.",
    "rtnPatCharsOpt": "Age, sex, size, weight and the like stay.",
    "rtnSafePrivOpt": "Private attributes of Table E.3.10-1 stay, all others go.",
    "rtnUIDsOpt": "UIDs stay as they are.",
    "cleanPixDataOpt": "Text burned into the pixels is masked; refused (PRF-001) without the ocr stage.",
    "cleanRecogVisFeatOpt": "Faces are removed; refused (PRF-001) without the imaging stage.",
}


def profile_tables() -> str:
    """Give the table of profiles and the table of counts per action as Markdown."""
    return "\n".join((*_profiles(), "", *_counts(), "", *_facts()))


def _profiles() -> list[str]:
    lines = ["| Profile | Code | Rows it changes | What it does |", "|---|---|---|---|"]
    total = len(standard.attribute_rules()) + len(standard.repeating_rules())
    for name in PROFILE_NAMES:
        changed = total if name == BASIC else _changed(name)
        lines.append(f"| `{name}` | {METHODS[name].value} | {changed} | {_DOES[name]} |")
    return lines


def _changed(name: str) -> int:
    option = OPTION_OF.get(name)
    rules = (*standard.attribute_rules().values(), *standard.repeating_rules().values())
    return sum(option in rule.options for rule in rules)


def _counts() -> list[str]:
    columns = ("X", "X/Z", "X/D", "X/Z/D", "X/Z/U*", "Z", "Z/D", "D", "U", "C", "K")
    lines = ["| With basicProfile | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in PROFILE_NAMES:
        if name in NEEDS_STAGE:
            continue
        profile = combine([name])
        found = Counter(decision.action for decision in (*profile.rows.values(), *profile.patterns.values()))
        cells = " | ".join(str(found.get(column, 0)) for column in columns)
        lines.append(f"| `{name}` | {cells} |")
    return lines


def _facts() -> list[str]:
    single, many = len(standard.attribute_rules()), len(standard.repeating_rules())
    sentence = (
        f"Tables of PS3.15 {standard.edition()}: {single + many} attribute rows ({many} of them for groups of tags), "
        f"{len(standard.content_item_rules())} content item rows, {len(standard.safe_private_rows())} safe private "
        f"attributes; attribute Types for {len(standard.known_sop_classes())} SOP classes."
    )
    return [sentence]


def rewritten(page: str) -> str:
    """Give the page with its generated part replaced."""
    return _BLOCK.sub(lambda match: f"{match[1]}{profile_tables()}\n{match[2]}", page)
