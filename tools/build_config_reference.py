"""Write ``docs/reference/configuration.md`` and ``docs/reference/gateway.schema.json`` out of the settings' classes.

``python tools/build_config_reference.py`` writes; with ``--check`` it writes nothing and fails where the committed files
differ from what the classes give.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from tarnhelm.gateway.config import GatewayConfig, schema_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "configuration.md"
SCHEMA = ROOT / "docs" / "reference" / "gateway.schema.json"
HEAD = """# Configuration of a gateway

Made by `tools/build_config_reference.py` from the classes of the settings. One YAML file describes a deployment; `tarnhelm
config check FILE` tells every mistake with its line, `tarnhelm config schema` prints the [JSON Schema](gateway.schema.json) for
an editor. Relative paths are relative to the file. Units stand in the names; `_file` is a path, and secrets are only ever in
files. What a section does not say has the default of the table; a key that is in no table is refused.

```yaml
state_dir: /var/lib/tarnhelm
projects:
  trial-7: {}
doors:
  dicom:
    - listen: 127.0.0.1:11112
      titles:
        TRIAL7: {project: trial-7}
destinations:
  archive:
    folder: {folder: /srv/clean}
```
"""


def texts_of(model: type) -> tuple[str, dict[str, str]]:
    """Return the first sentence of a class, and what its docstring says of each attribute."""
    text = inspect.getdoc(model) or ""
    head, _, rest = text.partition("\nAttributes\n----------\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
            found.update(dict.fromkeys(names, ""))
        elif names:
            for name in names:
                found[name] = f"{found[name]} {line.strip()}".strip()
    return " ".join(head.split()), found


def written(hint: Any) -> str:
    """Return a type in words."""
    if hint is type(None):
        return "nothing"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{one.value}`" for one in hint)
    names = {str: "text", int: "number", float: "number", bool: "true or false", Path: "path"}
    if hint in names:
        return names[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(written(one) for one in arguments if one is not type(None))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"name → {written(arguments[1])}"
    if origin in (tuple, frozenset, list):
        inner = [one for one in arguments if one is not Ellipsis]
        return f"list of {written(inner[0])}" if len(set(inner)) == 1 else "list"
    return "value"


def default_of(field: dataclasses.Field[Any]) -> str:
    """Return the default of a field as it would be written."""
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "**needed**"
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]
    if value is None or value in ("", (), {}) or dataclasses.is_dataclass(value):
        return "–"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{value:_}`" if isinstance(value, int) and value >= 100_000 else f"`{value:g}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`"


def models(model: type, seen: dict[type, None]) -> None:
    """Gather a class and all that its fields mention, in the order in which a reader meets them."""
    if model in seen:
        return
    seen[model] = None
    hints = get_type_hints(model)
    for field in dataclasses.fields(model):
        for one in mentioned(hints[field.name]):
            models(one, seen)


def mentioned(hint: Any) -> Iterator[type]:
    """Yield the classes of settings in a type."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for one in get_args(hint):
        yield from mentioned(one)


def page() -> str:
    """Return the page."""
    seen: dict[type, None] = {}
    models(GatewayConfig, seen)
    parts = [HEAD]
    for model in seen:
        sentence, told = texts_of(model)
        hints = get_type_hints(model)
        title = "The file" if model is GatewayConfig else model.__name__
        parts.append(f"## {title}\n\n{plain(sentence)}\n")
        parts.append("| Key | What it is | Default | |\n|---|---|---|---|")
        for field in dataclasses.fields(model):
            if field.init:
                text = plain(told.get(field.name, "")).replace("|", "\\|")
                parts.append(f"| `{field.name}` | {written(hints[field.name])} | {default_of(field)} | {text} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def plain(text: str) -> str:
    """Turn a docstring's marks into those of the page."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").replace("<", "&lt;")


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    made = {PAGE: page(), SCHEMA: json.dumps(schema_of(GatewayConfig), indent=1, sort_keys=True) + "\n"}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the classes give: make reference", file=sys.stderr)
        return int(bool(stale))
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
