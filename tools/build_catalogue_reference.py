"""Write the reference of error codes and of limits from the code: ``python tools/build_catalogue_reference.py [--check]``.

With ``--check`` nothing is written; the exit code is 1 if a page is out of date.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Final

from tarnhelm.common import errors, limits
from tarnhelm.common.errors import CATALOGUE, Disposition, catalogue

REFERENCE = Path(__file__).resolve().parent.parent / "docs/reference"

CODES_HEAD = """# Error codes

Made by `tools/build_catalogue_reference.py` from the catalogue in `services/common/tarnhelm/common/errors/`; `tarnhelm codes`
prints the same. A code is stable: it keeps its meaning for ever and is never used again. A message holds numbers and
attribute tags, never a value out of a file; `{…}` is such a number.

| Then | What happens |
|---|---|
"""

LIMITS_HEAD = """# Limits

Made by `tools/build_catalogue_reference.py` from `services/common/tarnhelm/common/limits.py`. Every bound on one object stands
there. A bound that is met puts the object into quarantine with the code beside it; nothing is ever trimmed to fit.

The command runs with these defaults. A program that uses the core as a [library](../guides/use-as-a-library.md) hands in a
`Limits` of its own.

| Limit | Default | Code | |
|---|---|---|---|
"""

LIMITS_TAIL = """
An object of `n` MiB has `seconds_per_object + n * seconds_per_mebibyte` seconds of wall clock. A worker that takes longer is
replaced, and the object goes to quarantine (`LIM-006`). A worker that dies is replaced too; its object is tried once more,
alone, and goes to quarantine if it kills that worker as well (`LIM-007`).

## Environment

| Variable | Meaning |
|---|---|
| `TARNHELM_STATE` | the private state directory; without it `$XDG_STATE_HOME/tarnhelm`, else `~/.local/state/tarnhelm` |
| `NO_COLOR` | no colour |
| `COLUMNS` | width of tables |

A gateway has a [configuration file](configuration.md); no secret is ever read from the environment or the command line.
"""

CODE_OF: Final = {
    "max_object_bytes": "LIM-001",
    "max_header_bytes": "LIM-004",
    "max_value_bytes": "LIM-010",
    "max_inflated_bytes": "LIM-005",
    "max_inflate_ratio": "LIM-005",
    "max_depth": "LIM-002",
    "max_elements": "LIM-003",
    "max_frames": "LIM-009",
    "seconds_per_object": "LIM-006",
    "seconds_per_mebibyte": "LIM-006",
    "worker_memory_bytes": "LIM-008",
    "max_archive_entries": "LIM-011",
    "max_archive_ratio": "LIM-011",
}


def main() -> int:
    """Write or compare both pages."""
    stale = 0
    for name, made in (("codes.md", codes_page()), ("limits.md", limits_page())):
        path = REFERENCE / name
        if "--check" not in sys.argv[1:]:
            path.write_text(made, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != made:
            print(f"{name} is out of date: run python tools/build_catalogue_reference.py", file=sys.stderr)
            stale = 1
    return stale


def codes_page() -> str:
    """Return the page of error codes, by family."""
    docs = _attribute_docs(inspect.getsource(catalogue), "Disposition")
    lines = [f"| {one.value} | {docs[one.name]} |" for one in Disposition]
    families = list(dict.fromkeys(code.split("-")[0] for code in CATALOGUE))
    titles = dict(_family(import_module(f"{errors.__name__}.{one.name}")) for one in iter_modules(errors.__path__))
    for family in families:
        lines += [
            "",
            f"## {family}: {titles[family][0].upper()}{titles[family][1:]}",
            "",
            "| Code | Then | Meaning | What to do |",
            "|---|---|---|---|",
        ]
        rows = [kind for code, kind in sorted(CATALOGUE.items()) if code.startswith(f"{family}-")]
        lines += [
            f"| `{kind.code}` | {kind.disposition.value} | {_places(kind.message)} | {kind.remedy} |" for kind in rows
        ]
    return CODES_HEAD + "\n".join(lines) + "\n"


def _family(module: ModuleType) -> tuple[str, str]:
    """Return a family's letters and its subject: the first line of its file."""
    letters, _, subject = (module.__doc__ or "").splitlines()[0].partition(": ")
    return letters, subject.removesuffix(".")


def limits_page() -> str:
    """Return the page of limits."""
    docs = _attribute_docs(inspect.getsource(limits), "Limits")
    lines = [
        f"| `{one.name}` | {_shown(one.name, getattr(limits.DEFAULT_LIMITS, one.name))} | {_code(one.name)} | {docs.get(one.name, '')} |"
        for one in fields(limits.Limits)
    ]
    return LIMITS_HEAD + "\n".join(lines) + "\n" + LIMITS_TAIL


def _attribute_docs(source: str, name: str) -> dict[str, str]:
    """Return the text that stands below each attribute of a class."""
    body = next(node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)
    found: dict[str, str] = {}
    last = ""
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            last = node.targets[0].id
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found[last] = " ".join(str(node.value.value).split())
    return found


def _code(name: str) -> str:
    return f"`{CODE_OF[name]}`" if name in CODE_OF else "–"


def _places(message: str) -> str:
    return re.sub(r"(\{[a-z_]+\})", r"`\1`", message)


def _shown(name: str, value: float) -> str:
    if "bytes" not in name:
        return f"{value:,g}" if isinstance(value, float) else f"{value:,}"
    for unit, size in (("GiB", limits.GIB), ("MiB", limits.MIB)):
        if value >= size:
            return f"{value / size:,.0f} {unit}"
    return f"{value:,.0f} bytes"


if __name__ == "__main__":
    sys.exit(main())
