"""The part of the reference page that is made from the classes themselves, examples included.

``python -m tarnhelm.metadata.core.pseudo.reference docs/reference/pseudo.md`` writes it anew between the page's markers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common.assign import ValueKind
from tarnhelm.metadata.core.pseudo.context import ObjectContext
from tarnhelm.metadata.core.pseudo.registry import ClassDescription, describe, get_class

if TYPE_CHECKING:
    from tarnhelm.metadata.core.pseudo.contract import Example

__all__ = ["BEGIN", "END", "evaluate", "example_context", "reference_markdown", "replaced"]

BEGIN: Final = "<!-- made by tarnhelm.metadata.core.pseudo.reference: begin -->"
END: Final = "<!-- made by tarnhelm.metadata.core.pseudo.reference: end -->"


def example_context(vr: str) -> ObjectContext:
    """Material of the page's invented patient: key 00 01 … 1f, a woman, 1,000 days, studied on 1 March 2024.

    The answers for identifiers and UIDs are made up; in a project they come from the assigner.
    """
    number, mixed = ValueKind.ID_NUMERICAL, ValueKind.ID_ALPHANUMERICAL
    return ObjectContext(
        subject_key=bytes(range(32)),
        date_offset_days=-1000,
        sex="F",
        vr=vr,
        study_date="20240301",
        uids={"1.2.826.0.1.3680043.9.1": "2.25.329800735698586629295641978511506172918"},
        answers={
            (number, "id", "0012345"): "5830917",
            (number, "phn", "9012-345-678"): "4471-902-360",
            (mixed, "id", "MRN-0012345"): "KQB-7719024",
            (mixed, "id", "A12"): "T80",
            (mixed, "id", "B34"): "E56",
            (ValueKind.KEY, "FULL_NAME", "dana^tremblay"): bytes(range(100, 132)).hex(),
        },
        is_standard=lambda uid: uid == "1.2.840.10008.5.1.4.1.1.2",
    )


def evaluate(name: str, example: Example) -> str:
    """Compute what an example yields."""
    chosen = get_class(name)
    settings = chosen.validate(example.vr, example.parameters)
    return chosen.surrogate(example.value, settings, example_context(example.vr))


def reference_markdown() -> str:
    """Write a section for each class: summary, VRs, parameters, examples."""
    return "\n".join(_section(one) for one in describe())


def _section(one: ClassDescription) -> str:
    lines = [f"### {one.name}", ""]
    if one.aliases:
        lines += [f"Also written {', '.join(f'`{alias}`' for alias in one.aliases)}.", ""]
    lines += [one.summary, "", f"Value representations: {', '.join(one.vrs)}.", ""]
    if one.parameters:
        lines += ["| parameter | type | default | meaning |", "|---|---|---|---|"]
        for name, known in one.parameters.items():
            lines.append(
                f"| `{name}` | {known.type} | {f'`{known.default}`' if known.default else 'none'} | {known.help} |"
            )
        lines.append("")
    lines += ["| rule | VR | value | surrogate |", "|---|---|---|---|"]
    for example in one.examples:
        rule = " ".join([one.name, *(f"{name}={value}" for name, value in example.parameters.items())])
        lines.append(f"| `{rule}` | {example.vr} | `{example.value}` | `{example.result}` |")
    return "\n".join([*lines, ""])


def replaced(page: str) -> str:
    """Return the page with the made part made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{reference_markdown()}\n{END}{tail}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(replaced(target.read_text(encoding="utf-8")), encoding="utf-8")
