"""Where heads go so that this machine cannot take them back, and where lines are sent besides.

An anchor in the same hands as the audit proves nothing against those hands: give another machine's directory, a
log server, or an object store that cannot overwrite.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Protocol

from tarnhelm.common.errors import ANCHOR_AWAY, TarnhelmError
from tarnhelm.reveal.core.audit.lines import Head, parse_head

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tarnhelm.reveal.core.audit.lines import AuditLine

__all__ = ["Anchor", "DirectoryAnchor", "LineSink", "heads_in"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}", re.ASCII)


class Anchor(Protocol):
    """Keeps heads."""

    def put(self, head: Head) -> None:
        """Keep a head durably before returning; RVL-023 (RETRY) where it cannot."""
        ...

    def heads(self, writer: str) -> Iterator[Head]:
        """Give what was kept of a writer, oldest first; nothing where this side cannot read it back."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LineSink(Protocol):
    """Gets a copy of every line."""

    def line(self, line: AuditLine, *, alarm: bool) -> None:
        """Send; RVL-023 (RETRY) where it is known not to have arrived."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class DirectoryAnchor:
    """Heads in ``<directory>/<writer>.heads``, added with fsync; for a directory of another machine.

    Parameters
    ----------
    path
        Made if its parent exists. Give the writer's account the right to add and not to change
        (``chattr +a``, or a share that allows no overwriting).
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, head: Head) -> None:
        """See :class:`Anchor`."""
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            descriptor = os.open(self._file(head.writer), flags, 0o600)
            with os.fdopen(descriptor, "ab", buffering=0) as stream:
                content = head.to_bytes() + b"\n"
                if stream.write(content) != len(content):
                    raise TarnhelmError(ANCHOR_AWAY)
                os.fsync(descriptor)
        except OSError:
            raise TarnhelmError(ANCHOR_AWAY) from None

    def heads(self, writer: str) -> Iterator[Head]:
        """See :class:`Anchor`."""
        try:
            with self._file(writer).open("rb") as stream:
                yield from heads_in(stream)
        except FileNotFoundError:
            return
        except OSError:
            raise TarnhelmError(ANCHOR_AWAY) from None

    def close(self) -> None:
        """See :class:`Anchor`; nothing is held."""

    def _file(self, writer: str) -> Path:
        if not _NAME.fullmatch(writer):
            raise TarnhelmError(ANCHOR_AWAY)
        return self._path / f"{writer}.heads"


def heads_in(lines: Iterable[bytes]) -> Iterator[Head]:
    """Heads in any text, for example a log server's file; other lines are passed over."""
    for line in lines:
        head = parse_head(line)
        if head is not None:
            yield head
