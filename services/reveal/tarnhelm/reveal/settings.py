"""Settings of one deployment: ``reveal.toml`` in the private directory."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, TarnhelmError
from tarnhelm.reveal.core.audit.anchors import DirectoryAnchor
from tarnhelm.reveal.core.audit.syslog import Syslog, SyslogAddress
from tarnhelm.reveal.core.audit.writer import AuditSettings
from tarnhelm.reveal.core.desk import DeskLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tarnhelm.reveal.core.audit.anchors import Anchor

__all__ = ["RevealSettings", "anchor_of", "parse_settings", "read_secret_line", "settings_text"]

_FORMAT: Final = 1
_DATABASE: Final = "postgresql-file:"
_ROOT: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WRITER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}", re.ASCII)
_LONGEST_SECRET: Final = 8192
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RevealSettings:
    """What a deployment chooses.

    Attributes
    ----------
    root
        Digest of the register's first line.
    writer
        Name of this machine's audit.
    anchors
        Directories (absolute), databases (``postgresql-file:FILE``, which holds the address) or log servers
        (``tls://host:6514?ca=FILE``) that keep the audit's heads.
    syslog
        Log servers that get every line.
    limits, audit
        Bounds.
    """

    root: str
    writer: str = "local"
    anchors: tuple[str, ...] = ()
    syslog: tuple[str, ...] = ()
    limits: DeskLimits = field(default_factory=DeskLimits)
    audit: AuditSettings = field(default_factory=AuditSettings)


def parse_settings(content: bytes) -> RevealSettings:
    """Read the file; RVL-031 for anything that is not known, of another type, or out of bounds."""
    try:
        document = tomllib.loads(content.decode("utf-8"))
        limits = _of(DeskLimits, document.pop("limits", {}))
        audit = dict(document.pop("audit", {}))
        writer = audit.pop("writer", "local")
        anchors, syslog = (_texts(audit.pop(name, [])) for name in ("anchors", "syslog"))
        found = RevealSettings(document.pop("root"), writer, anchors, syslog, limits, _of(AuditSettings, audit))
        right = document == {"format": _FORMAT} and _ROOT.fullmatch(found.root) and _WRITER.fullmatch(writer)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None
    if not right:
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)
    for text in anchors:
        anchor_of(text)
    for text in syslog:
        SyslogAddress.parse(text)
    return found


def settings_text(settings: RevealSettings) -> bytes:
    """Write a file that :func:`parse_settings` reads, with a word on each part."""
    limits = "\n".join(f"{entry.name} = {getattr(settings.limits, entry.name)}" for entry in fields(DeskLimits))
    audit = "\n".join(f"{entry.name} = {getattr(settings.audit, entry.name)}" for entry in fields(AuditSettings))
    return f"""# Settings of tarnhelm-reveal.
format = {_FORMAT}

# Digest of the first line of people.jsonl: who founded this register. Compare it with your paper copy.
root = {_quoted(settings.root)}

[limits]
{limits}

[audit]
writer = {_quoted(settings.writer)}
# Who keeps the signed heads. Name a place in other hands: a share, another database, or a log server.
anchors = [{", ".join(map(_quoted, settings.anchors))}]
# Log servers that get every line: udp://host:514, tcp://host:601, tls://host:6514?ca=FILE, unix:///dev/log
syslog = [{", ".join(map(_quoted, settings.syslog))}]
{audit}
""".encode()


def anchor_of(text: str) -> Anchor:
    """Make an anchor of its address: an absolute directory, a database (``postgresql-file:FILE``), a log server; RVL-031.

    The address of a database is a secret, so it stands in a file.
    """
    if text.startswith("/"):
        return DirectoryAnchor(Path(text))
    if text.startswith(_DATABASE):
        from tarnhelm.reveal.core.audit.anchors_postgres import PostgresAnchor  # noqa: PLC0415 - not needed elsewhere

        return PostgresAnchor(read_secret_line(Path(text.removeprefix(_DATABASE))))
    return Syslog(SyslogAddress.parse(text))


def read_secret_line(path: Path) -> str:
    """Give the one line that a file holds, for example the address of a database; RVL-031 where everybody could read it."""
    try:
        with path.open("rb") as stream:
            shared = os.fstat(stream.fileno()).st_mode & 0o007
            content = stream.read(_LONGEST_SECRET + 1)
        found = content.decode("utf-8").strip()
    except (OSError, ValueError):
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None
    if shared or len(content) > _LONGEST_SECRET or not found or "\n" in found:
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)
    return found


def _of(kind: type[T], table: Mapping[str, Any]) -> T:
    for entry in fields(kind):  # type: ignore[arg-type]
        value = table.get(entry.name, 1)
        number = type(value) is int or (type(value) is float and isinstance(entry.default, float))
        if not number or not 0 < value < 10**9:
            raise ValueError(entry.name)
    return kind(**table)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise TypeError
    return tuple(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
