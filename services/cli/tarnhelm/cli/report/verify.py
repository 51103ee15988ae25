"""Checks a report against what lies in OUT: every file, its sha256, and the witness's signature over it."""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.record import State
from tarnhelm.gateway.release import sha256_of
from tarnhelm.gateway.verdict import SignedVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

__all__ = ["Verified", "verify_report"]

_PATH: Final = re.compile(r"[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,200}\.dcm")
_MOST_HEAD: Final = 64 << 20
_MOST_LINE: Final = 1 << 20

MISSING: Final = "missing"
CHANGED: Final = "changed"
UNSIGNED: Final = "unsigned"
UNKNOWN_RUN: Final = "unknown-run"
TWICE: Final = "twice"
EXTRA: Final = "extra"
FAULTS: Final[dict[str, str]] = {
    MISSING: "in the report, and not in OUT",
    CHANGED: "the file is not the one that was released",
    UNSIGNED: "the witness's signature does not cover it",
    UNKNOWN_RUN: "the report does not name the witness's key, or this machine knows another",
    TWICE: "the report names it twice",
    EXTRA: "in OUT, and not in the report",
}
"""Fault → what it says."""


@dataclass(slots=True)
class Verified:
    """What was found.

    Attributes
    ----------
    objects
        Released objects of the report.
    faults
        Fault → objects or files.
    paths
        (surrogate path, fault) of the first objects with one. What lies in OUT beside them is only counted: a name that
        Tarnhelm did not give may say anything.
    keys
        Public keys (hex) of the witness that the report names.
    """

    objects: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    paths: list[tuple[str, str]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def fault(self, path: str, what: str) -> None:
        """Enter one."""
        self.faults[what] += 1
        if len(self.paths) < 100:
            self.paths.append((path, what))


def verify_report(
    out: Path, report: Path, verifier: Callable[[str], Callable[[SignedVerdict], bool]], known: Mapping[str, str]
) -> Verified:
    """Check every released object of a report.

    Parameters
    ----------
    out, report
        Folder of the released objects, folder of the report.
    verifier
        Gives the check of verdicts under a public key (hex).
    known
        Run → the key that this machine's own records have for it; empty where they know nothing of OUT.

    Raises
    ------
    TarnhelmError
        ``RUN-019``: there is no such report.
    """
    found = Verified()
    seen: set[str] = set()
    try:
        with (report / "objects.jsonl").open(encoding="utf-8") as stream:
            runs = _runs(json.loads(stream.readline(_MOST_HEAD)))
            checks = {run: verifier(row["witness_key"]) for run, row in runs.items()}
            found.keys = {row["witness_key"] for row in runs.values() if row["witness_key"]}
            doubted = {run for run, row in runs.items() if known and known.get(run) != row["witness_key"]}
            for line in _lines(stream):
                if line["state"] != State.RELEASED.value:
                    continue
                found.objects += 1
                path, run = str(line["path"]), str(line["run"])
                fault = _fault(out, line, checks.get(run), runs.get(run, {}), seen)
                if not fault and run in doubted:
                    fault = UNKNOWN_RUN
                if fault:
                    found.fault(path, fault)
                seen.add(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TarnhelmError(errors.REPORT_UNREADABLE) from None
    found.faults.update({EXTRA: extra} if (extra := _extra(out, report, seen)) else {})
    return found


def _runs(head: dict[str, Any]) -> dict[str, dict[str, str]]:
    if head["report"] != "tarnhelm" or head["format"] != 1:
        raise ValueError
    return {str(run): {str(key): str(value) for key, value in row.items()} for run, row in head["runs"].items()}


def _lines(stream: Any) -> Iterator[dict[str, Any]]:
    while text := stream.readline(_MOST_LINE):
        yield json.loads(text)


def _fault(
    out: Path,
    line: dict[str, Any],
    check: Callable[[SignedVerdict], bool] | None,
    run: Mapping[str, str],
    seen: Collection[str],
) -> str:
    """Say what is wrong with one object, empty for nothing."""
    path = str(line["path"])
    if path in seen:
        return TWICE
    if check is None or not run.get("witness_key"):
        return UNKNOWN_RUN
    sha256 = str(line["sha256"])
    verdict = SignedVerdict(
        str(line["object"]), run["policy_digest"], sha256, clean=True, signature=str(line["verdict"])
    )
    if not check(verdict):
        return UNSIGNED
    if not _PATH.fullmatch(path) or not _is_plain(out, path):
        return MISSING
    return "" if sha256_of(out / path) == sha256 else CHANGED


def _is_plain(out: Path, path: str) -> bool:
    """Whether it is a file in a folder of OUT, and no link leads there."""
    place = out
    for step in path.split("/"):
        if place.is_symlink() and place != out:
            return False
        place /= step
    try:
        return stat.S_ISREG(place.lstat().st_mode)
    except OSError:
        return False


def _extra(out: Path, report: Path, seen: Collection[str]) -> int:
    """Count what else lies in OUT; the report itself does not count."""
    inside = report.resolve()
    return sum(
        1
        for place in out.rglob("*")
        if (place.is_symlink() or not place.is_dir())
        and place.relative_to(out).as_posix() not in seen
        and inside not in place.resolve().parents
    )
