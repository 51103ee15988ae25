"""What the command says beside what all commands say: codes with their meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.common.console import ExitCode, err, exit_code_of, out, reports_errors, show_error
from tarnhelm.common.errors import CATALOGUE, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ExitCode", "err", "exit_code_of", "out", "reports_errors", "sentence_of", "show_codes", "show_error"]


def show_codes(counts: Mapping[str, int]) -> None:
    """Print what each code means and what to do, the most frequent first."""
    console = out()
    for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        kind = CATALOGUE.get(code)
        head = f"  {code}  {count:,} ×  "
        console.print(f"{head}{sentence_of(kind) if kind else ''}", soft_wrap=True, markup=False)
        if kind:
            console.print(f"{' ' * len(head)}{kind.remedy}", soft_wrap=True, markup=False)


def sentence_of(kind: ErrorCode) -> str:
    """Return the catalogue's sentence for many objects at once: its places hold different numbers for each."""
    return " ".join("…" if "{" in word else word for word in kind.message.split(" "))
