"""The book of ends: every withdrawal and destruction, kept outside of all that a backup restores.

A restore brings back what was there when the backup was made, hence people who were withdrawn and keys that were
destroyed since. So each end is written here as well, and applied again before anything is served. A line holds the
keyed one-way tag of a person or the opaque id of a project, never anything that leads to a patient::

    {"document": {"number", "before", "end": "withdrawn"|"destroyed", "project", "tag", "case", "at", "writer"}, …, "signature"}

Each line is signed by the audit's writer and names the digest of the line before. A line that is cut off the end shows
in the audit, which holds the digest of the last one. A copy goes to every directory that keeps the audit's heads.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import ANCHOR_AWAY, ENDS_DAMAGED, STATE_UNSAFE, TarnhelmError
from tarnhelm.linkage.core.ledger import Tombstone
from tarnhelm.linkage.core.private_files import locked, private_directory, read_private
from tarnhelm.reveal.core.documents import Signed, sign
from tarnhelm.reveal.steward.certificate import END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tarnhelm.reveal.core.audit.writer import Audit
    from tarnhelm.reveal.steward.certificate import Signer

__all__ = ["TOLD", "Ends", "EndsFile", "read_ends"]

TOLD: Final = "ends"
"""Step of the audit lines that tell the end of the book."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What came to an end.

    Attributes
    ----------
    destroyed
        Opaque ids of projects, with the case and the time.
    tombstones
        Opaque id → the tombstones of that project.
    digest
        Of the last line; empty where there is none.
    """

    destroyed: tuple[str, ...] = ()
    tombstones: Mapping[str, tuple[Tombstone, ...]] = field(default_factory=dict)
    digest: str = ""
    lines: tuple[bytes, ...] = field(default=(), repr=False)
    digests: tuple[str, ...] = field(default=(), repr=False)

    def starts(self, other: Ends) -> bool:
        """Whether another book is this one, carried on."""
        return other.lines[: len(self.lines)] == self.lines


def read_ends(content: bytes, writers: Mapping[str, bytes]) -> Ends:
    """Read a book and check every line.

    Parameters
    ----------
    writers
        Enrolled writers of audits and their public keys.

    Raises
    ------
    TarnhelmError
        STW-009 with the number of the first line that does not hold.
    """
    lines = tuple(content.splitlines())
    digests: list[str] = [""]
    destroyed: list[str] = []
    tombstones: dict[str, list[Tombstone]] = {}
    for number, line in enumerate(lines, 1):
        try:
            signed = Signed.from_bytes(line, END)
            entry = signed.document
            in_order = entry["number"] == number and entry["before"] == digests[-1]
            holds = in_order and signed.holds(writers[entry["writer"]])
            if entry["end"] == "destroyed":
                destroyed.append(str(entry["project"]))
            else:
                stone = Tombstone(bytes.fromhex(entry["tag"]), str(entry["case"]), int(entry["at"]))
                tombstones.setdefault(str(entry["project"]), []).append(stone)
        except (TarnhelmError, KeyError, ValueError, TypeError):
            holds = False
        if not holds:
            raise TarnhelmError(ENDS_DAMAGED, line=number)
        digests.append(signed.digest)
    kept = {project: tuple(stones) for project, stones in tombstones.items()}
    return Ends(tuple(destroyed), kept, digests[-1], lines, tuple(digests))


class EndsFile:
    """``ends.jsonl``: lines are added and none is changed.

    Parameters
    ----------
    path
        In a private directory.
    writers
        Enrolled writers of audits and their public keys.
    audit
        Is told the book's end whenever it grows.
    told
        Gives the digests that any audit here was told.
    copies
        Directories in other hands that keep a copy each.
    """

    def __init__(
        self,
        path: Path,
        writers: Mapping[str, bytes],
        *,
        audit: Audit,
        told: Callable[[], Iterable[str]],
        copies: Sequence[Path] = (),
    ) -> None:
        self._path = path
        self._writers = writers
        self._audit = audit
        self._told = told
        self._copies = tuple(copies)

    def load(self) -> Ends:
        """Read and check the book; STW-009 where a line does not hold, or one is gone that an audit was told of."""
        ends = read_ends(read_private(self._path) or b"", self._writers)
        if not set(self._told()) <= set(ends.digests):
            raise TarnhelmError(ENDS_DAMAGED, line=len(ends.lines) + 1)
        return ends

    def destroyed(self, project: str, case: str, now: int, signer: Signer) -> None:
        """Write that a project is destroyed; once."""
        entry: dict[str, str | int] = {"end": "destroyed", "project": project, "tag": "", "case": case, "at": now}
        with locked(private_directory(self._path.parent)):
            ends = self.load()
            self._add(ends, [] if project in ends.destroyed else [entry], signer)

    def withdrawn(self, project: str, stones: Iterable[Tombstone], signer: Signer) -> int:
        """Write the tombstones of a project that are not in the book yet; how many were new."""
        with locked(private_directory(self._path.parent)):
            ends = self.load()
            known = {stone.tag for stone in ends.tombstones.get(project, ())}
            entries: list[dict[str, str | int]] = [
                {"end": "withdrawn", "project": project, "tag": stone.tag.hex(), "case": stone.case, "at": stone.at}
                for stone in stones
                if stone.tag not in known
            ]
            self._add(ends, entries, signer)
            return len(entries)

    def take_over(self, content: bytes) -> Ends:
        """Take the lines of a copy of this book that is longer; STW-009 where it is another book."""
        other = read_ends(content, self._writers)
        with locked(private_directory(self._path.parent)):
            own = read_ends(read_private(self._path) or b"", self._writers)
            if not own.starts(other) and not other.starts(own):
                raise TarnhelmError(ENDS_DAMAGED, line=min(len(own.lines), len(other.lines)))
            if len(other.lines) > len(own.lines):
                self._append(other.lines[len(own.lines) :])
                self._tell(other)
            return self.load()

    def _add(self, ends: Ends, entries: Sequence[Mapping[str, str | int]], signer: Signer) -> None:
        before, fresh = ends.digest, []
        for number, entry in enumerate(entries, len(ends.lines) + 1):
            document = {"number": number, "before": before, "writer": signer.writer, **entry}
            signed = sign(END, document, signer.key)
            fresh.append(signed.to_bytes())
            before = signed.digest
        if fresh:
            self._append(fresh)
            self._tell(self.load())
        content = read_private(self._path) or b""
        for folder in self._copies:
            _bring_up(folder / self._path.name, content)

    def _append(self, lines: Sequence[bytes]) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "ab", buffering=0) as stream:
                stream.write(b"".join(line + b"\n" for line in lines))
                os.fsync(descriptor)
        except OSError:
            raise TarnhelmError(STATE_UNSAFE) from None

    def _tell(self, ends: Ends) -> None:
        self._audit.append("steward", step=TOLD, digest=ends.digest, count=len(ends.lines))
        self._audit.head()


def _bring_up(path: Path, content: bytes) -> None:
    """Add to a copy what it has not; an end counts only where those who keep it have it (RVL-023, RETRY)."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "a+b", buffering=0) as stream:
            stream.seek(0)
            kept = stream.read()
            if not content.startswith(kept):
                raise TarnhelmError(ANCHOR_AWAY)
            stream.write(content[len(kept) :])
            os.fsync(descriptor)
    except OSError:
        raise TarnhelmError(ANCHOR_AWAY) from None
