"""Acts: what a steward asks to be done, written down so that two people sign the same thing.

An act is a document of canonical JSON. A case holds its sha256, so what was approved is this act and no other. It
names people by their keyed tags (:mod:`tarnhelm.linkage.core.identities`) and by surrogates, never by an original
identifier: it lies on a disk until it is carried out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import ACT_UNKNOWN, TarnhelmError
from tarnhelm.linkage.core.private_files import erase, private_directory, read_private, write_private
from tarnhelm.reveal.core.cases import STEWARD_KINDS, CaseKind
from tarnhelm.reveal.core.documents import canonical

if TYPE_CHECKING:
    from pathlib import Path

    from tarnhelm.reveal.core.cases import Case

__all__ = ["Act", "ActFile", "Papers"]

_FORMAT: Final = 1
_LONGEST: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Act:
    """What shall be done.

    Attributes
    ----------
    kind
        Of the case that it needs.
    project
        Opaque id.
    arguments
        Strings, integers, and lists and objects of them; keyed tags in hex.
    """

    kind: CaseKind
    project: str
    arguments: Mapping[str, Any] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(
            {"format": _FORMAT, "kind": str(self.kind), "project": self.project, "arguments": self.arguments}
        )

    @property
    def digest(self) -> str:
        """sha256 (hex): what the case holds as its arguments."""
        return hashlib.sha256(b"tarnhelm steward act\x00" + self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, content: bytes) -> Act:
        """Read what :meth:`to_bytes` gave; STW-001."""
        try:
            whole = json.loads(content)
            found = cls(CaseKind(whole["kind"]), str(whole["project"]), dict(whole["arguments"]))
            right = whole["format"] == _FORMAT and found.kind in STEWARD_KINDS and found.to_bytes() == content
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TarnhelmError(ACT_UNKNOWN) from None
        if not right:
            raise TarnhelmError(ACT_UNKNOWN)
        return found


class ActFile:
    """Keeps acts until they are carried out, under their digest; a private directory.

    Parameters
    ----------
    folder
        Made with mode 0700 if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, act: Act) -> None:
        """Write an act; the same one may be kept twice."""
        content = act.to_bytes()
        if len(content) > _LONGEST:
            raise TarnhelmError(ACT_UNKNOWN)
        write_private(private_directory(self._folder) / f"{act.digest}.json", content, replace=True)

    def of(self, case: Case) -> Act:
        """Give the act of a case.

        Raises
        ------
        TarnhelmError
            STW-001 where it is not here, or is not the one that was signed: another digest, kind or project.
        """
        content = read_private(private_directory(self._folder) / f"{case.arguments}.json")
        if content is None:
            raise TarnhelmError(ACT_UNKNOWN)
        act = Act.from_bytes(content)
        if (act.digest, act.kind, act.project) != (case.arguments, case.kind, case.project):
            raise TarnhelmError(ACT_UNKNOWN)
        return act

    def keep_notes(self, case: Case, notes: Mapping[str, Any]) -> None:
        """Write what has to be known of the time before the act, for whoever carries it on."""
        write_private(private_directory(self._folder) / f"{case.id}.notes", canonical(notes), replace=True)

    def notes(self, case: Case) -> Mapping[str, Any]:
        """Give what was noted; STW-001 where it is gone."""
        content = read_private(private_directory(self._folder) / f"{case.id}.notes")
        try:
            return dict(json.loads(content or b""))
        except (ValueError, TypeError):
            raise TarnhelmError(ACT_UNKNOWN) from None

    def drop(self, case: Case) -> None:
        """Erase the act of a case that was carried out: of a withdrawn person it must not stay."""
        for name in (f"{case.arguments}.json", f"{case.id}.notes"):
            for unfinished in self._folder.glob(f".{name}.*"):  # of a process that died while it wrote
                erase(unfinished)
            erase(self._folder / name)


class Papers:
    """What acts leave behind: signed certificates, corrections and orders, ``<case>.<name>.json``, never overwritten.

    Parameters
    ----------
    folder
        Made with mode 0700 if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, case: str, name: str, content: bytes) -> None:
        """Keep a paper; one that is there already stays as it is."""
        path = private_directory(self._folder) / f"{case}.{name}.json"
        if read_private(path) is None:
            write_private(path, content + b"\n", replace=True)

    def of(self, case: str) -> dict[str, bytes]:
        """Give the papers of a case by name."""
        names = sorted(path.name for path in private_directory(self._folder).glob(f"{case}.*.json"))
        return {name.split(".")[1]: read_private(self._folder / name) or b"" for name in names}
