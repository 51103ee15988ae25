"""Lines and heads of an audit. Fields come from an allow-list; none can hold a value out of a file.

A line (canonical JSON)::

    {"v":1, "writer", "seq", "time", "event", <fields of the event>, "prev": sha of the line before, "sha": own}

``sha`` is sha256 over the line without it. ``prev`` of line 1 is 64 zeros. A *head* is the writer's Ed25519
signature on the number, time and sha of a line: it fixes that line and all before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.reveal.core.documents import HEAD, Signed, canonical, sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["ALARMS", "AUDIT_EVENTS", "START", "AuditLine", "Head", "make_line", "parse_head", "parse_line"]

START: Final = "0" * 64
_VERSION: Final = 1
_OWN: Final = frozenset({"v", "writer", "seq", "time", "event", "prev", "sha"})
_WORD: Final = re.compile(r"[A-Za-z0-9._:-]{0,128}", re.ASCII)

AUDIT_EVENTS: Final[Mapping[str, frozenset[str]]] = {
    "started": frozenset({"register"}),
    "mended": frozenset({"bytes"}),
    "register": frozenset({"register", "person", "by", "change", "entries"}),
    "case-opened": frozenset({"case", "digest", "person", "project", "kind", "surrogates"}),
    "case-approved": frozenset({"case", "digest", "person", "project"}),
    "case-denied": frozenset({"case", "digest", "person", "project"}),
    "case-expired": frozenset({"case", "project"}),
    "use-begun": frozenset({"case", "digest", "person", "project", "kind"}),
    "used": frozenset({"case", "digest", "person", "project", "kind", "result", "found", "records"}),
    "refused": frozenset({"case", "person", "project", "code", "step"}),
    "alarm": frozenset({"case", "person", "project", "code", "step", "count"}),
    "read": frozenset({"person", "lines"}),
    "steward": frozenset({"case", "person", "project", "kind", "step", "count", "digest"}),
}
"""Event → the fields that it may have: integers, or words of letters, digits and ``. _ : -``."""

ALARMS: Final = frozenset({"alarm", "mended"})
"""Events that somebody should be woken for."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the chain."""

    writer: str
    sequence: int
    time: int
    event: str
    fields: Mapping[str, int | str]
    previous: str
    sha: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Head:
    """A writer's signature on the state of its chain after line ``sequence``."""

    writer: str
    sequence: int
    time: int
    sha: str
    signature: bytes = field(repr=False)

    @classmethod
    def of(cls, line: AuditLine, now: int, key: Ed25519PrivateKey) -> Head:
        """Sign a line."""
        bare = cls(line.writer, line.sequence, now, line.sha, b"")
        return cls(line.writer, line.sequence, now, line.sha, sign(HEAD, bare.document(), key).signature)

    def document(self) -> dict[str, Any]:
        """What is signed."""
        return {"writer": self.writer, "seq": self.sequence, "time": self.time, "sha": self.sha}

    def holds(self, public: bytes) -> bool:
        """Whether the writer's key signed it."""
        return Signed(HEAD, self.document(), self.signature).holds(public)

    def to_bytes(self) -> bytes:
        """One line of canonical JSON."""
        return canonical({"head": self.document(), "signature": self.signature.hex()})


def make_line(
    writer: str, sequence: int, now: int, event: str, previous: str, fields: Mapping[str, int | str]
) -> AuditLine:
    """Make a line; ValueError for a field or value that the list of events does not allow."""
    _check(event, fields)
    body = {
        "v": _VERSION,
        "writer": writer,
        "seq": sequence,
        "time": now,
        "event": event,
        "prev": previous,
        **fields,
    }
    sha = _sha(body)
    return AuditLine(writer, sequence, now, event, dict(fields), previous, sha, canonical({**body, "sha": sha}))


def parse_line(raw: bytes) -> AuditLine | None:
    """Read a line; nothing where it is not one, or its own digest is wrong."""
    try:
        body = json.loads(raw)
        if canonical(body) != raw or body["v"] != _VERSION:
            return None
        sha = body.pop("sha")
        fields = {name: value for name, value in body.items() if name not in _OWN}
        _check(body["event"], fields)
        numbers = (body["seq"], body["time"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if _sha(body) != sha or any(type(number) is not int for number in numbers):
        return None
    return AuditLine(body["writer"], body["seq"], body["time"], body["event"], fields, body["prev"], sha, raw)


def parse_head(raw: bytes) -> Head | None:
    """Read a head; also out of a log line that begins with something else (a syslog collector's)."""
    start = raw.find(b'{"head":')
    if start < 0:
        return None
    try:
        whole, _ = json.JSONDecoder().raw_decode(raw[start:].decode("utf-8"))
        body = whole["head"]
        found = Head(body["writer"], body["seq"], body["time"], body["sha"], bytes.fromhex(whole["signature"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if type(found.sequence) is int and found.sequence > 0 else None


def _check(event: str, fields: Mapping[str, Any]) -> None:
    allowed = AUDIT_EVENTS.get(event)
    if allowed is None:
        raise ValueError(event)
    for name, value in fields.items():
        if name not in allowed or not (type(value) is int or (isinstance(value, str) and _WORD.fullmatch(value))):
            raise ValueError(name)


def _sha(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()
