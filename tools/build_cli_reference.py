"""Write ``docs/reference/*commands.md`` from the commands themselves: ``python tools/build_cli_reference.py [--check]``.

The pages say what ``--help`` says. With ``--check`` nothing is written; the exit code is 1 if one is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from tarnhelm.cli.main import build
from tarnhelm.reveal.steward.tool.main import build as build_steward
from tarnhelm.reveal.tool.main import build as build_reveal

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = Path(__file__).resolve().parent.parent / "docs/reference"
_PROGRAMS = ("tarnhelm ", "tarnhelm-reveal ", "tarnhelm-steward ")

HEAD = """# Commands

Made by `tools/build_cli_reference.py` from what `tarnhelm COMMAND --help` says; `make check` compares the two.

Results go to stdout, progress and errors to stderr. Everything can be understood without colour (`NO_COLOR` switches
it off). Into a pipe lines are 160 columns wide unless `COLUMNS` says otherwise. `TARNHELM_STATE` names the private state
directory.

| Exit code | Meaning |
|---|---|
| 0 | all was released |
| 1 | some objects were quarantined or rejected; `review`: there are findings |
| 2 | usage or configuration |
| 3 | integrity: look at the machine before going on |
| 4 | a dependency is down; what waits can be resumed |
| 130 | interrupted |

"""


REVEAL_HEAD = """# Commands of the way back

Made by `tools/build_cli_reference.py` from what `tarnhelm-reveal COMMAND --help` says; `make check` compares the two.

The distribution `tarnhelm-reveal` is installed by itself. Results go to stdout, everything else to stderr. Secrets are
read from files and terminals, never from arguments or the environment. `TARNHELM_STATE` names the private state directory.

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | refused: not approved, used already, not allowed |
| 2 | usage or configuration |
| 3 | something was tampered with |
| 4 | a dependency is down |
| 130 | interrupted |

"""
STEWARD_HEAD = """# Commands of the steward

Made by `tools/build_cli_reference.py` from what `tarnhelm-steward COMMAND --help` says; `make check` compares the two.

The command is part of the distribution `tarnhelm-reveal`. Results go to stdout, everything else to stderr. Patient IDs are
read from files, secrets from files and terminals, never from arguments or the environment. `TARNHELM_STATE` names the private
state directory; a `steward.toml` in it names a vault server and a database.

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | refused: not approved, carried out already, not allowed |
| 2 | usage or configuration |
| 3 | something was tampered with |
| 4 | a dependency is down |
| 130 | interrupted |

"""


def main() -> int:
    """Write or compare the pages."""
    made = {
        "commands.md": HEAD + "\n".join(_sections("tarnhelm", get_command(build()))),
        "reveal-commands.md": REVEAL_HEAD + "\n".join(_sections("tarnhelm-reveal", get_command(build_reveal()))),
        "steward-commands.md": STEWARD_HEAD + "\n".join(_sections("tarnhelm-steward", get_command(build_steward()))),
    }
    stale = []
    for name, text in made.items():
        page, content = PAGES / name, text.rstrip() + "\n"
        if "--check" not in sys.argv[1:]:
            page.write_text(content, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != content:
            stale.append(name)
    for name in stale:
        print(f"{name} is out of date: run python tools/build_cli_reference.py", file=sys.stderr)
    return int(bool(stale))


def _sections(name: str, command: Any) -> Iterator[str]:
    children = {child: one for child, one in getattr(command, "commands", {}).items() if not one.hidden}
    yield f"## {name}\n"
    yield from _prose(command.help or "")
    if children:
        yield "| Command | |\n|---|---|"
        for child, one in children.items():
            first = (one.help or "").split("\n", 1)[0]
            yield f"| [`{name} {child}`](#{f'{name}-{child}'.replace(' ', '-')}) | {first} |"
        yield ""
    else:
        yield from _parameters(name, command)
    for child, one in children.items():
        yield from _sections(f"{name} {child}", one)


def _prose(text: str) -> Iterator[str]:
    """Turn the help's paragraphs into Markdown: indented blocks, and lines that are commands, become code."""
    for raw in re.split(r"\n[ \t]*\n", text.strip("\n")):
        block = re.sub(r"\[/?bold\]", "**", raw)
        is_code = all(line.startswith(("    ", *_PROGRAMS)) for line in block.splitlines())
        if is_code:
            lines = "\n".join(line.removeprefix("    ").rstrip() for line in block.splitlines())
            yield f"```text\n{lines}\n```\n"
        else:
            yield " ".join(line.strip() for line in block.splitlines()) + "\n"


def _parameters(name: str, command: Any) -> Iterator[str]:
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    options = [one for one in shown if one.opts[0].startswith("-")]
    arguments = [one for one in shown if one not in options]
    usage = " ".join([name, "[OPTIONS]"] * bool(options) or [name])
    yield f"```text\n{' '.join([usage, *map(_argument, arguments)])}\n```\n"
    if shown:
        yield "| | |\n|---|---|"
    for one in arguments:
        yield f"| `{_argument(one)}` | {_cell(one.help or '')} |"
    for one in options:
        # Typer's own names of types differ from version to version: where no metavar is named, the option's name serves.
        value = "" if one.is_flag else f" {one.metavar or one.name.upper()}"
        words = ", ".join(f"`{flag}{value}`" for flag in sorted(one.opts, key=len))
        needed = " **Required.**" if one.required else ""
        yield f"| {words} | {_cell(one.help or '')}{needed} |"
    if shown:
        yield ""


def _argument(one: Any) -> str:
    name = (one.metavar or one.name.upper()).strip("[]")
    return name if one.required or name in {"IN", "OUT"} else f"[{name}]"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
