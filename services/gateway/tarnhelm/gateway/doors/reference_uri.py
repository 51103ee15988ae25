"""What a reference's URI may look like: below an allow-listed prefix, and in one spelling only (RFC 3986)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["below", "segments_of"]

_SPELLING: Final = re.compile(r"[!-~]{1,2048}", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\\/\x00-\x1f\x7f]")
_ROUNDS: Final = 4


def below(uri: str, prefixes: Iterable[str]) -> tuple[str, str]:
    """Return the longest prefix that the URI begins with, and the rest; raises ING-012.

    The comparison is of characters: another spelling of the same host is another host here.
    """
    if not _SPELLING.fullmatch(uri) or "\\" in uri or "#" in uri:
        raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED)
    found = max((prefix for prefix in prefixes if uri.startswith(prefix)), key=len, default="")
    if not found or uri == found:
        raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED)
    return found, uri[len(found) :]


def segments_of(path: str) -> tuple[str, ...]:
    """Return the decoded segments of a relative path.

    Raises
    ------
    TarnhelmError
        ING-012 where a segment is empty or leads elsewhere, however often it was percent-encoded.
    """
    segments = []
    for raw in path.split("/"):
        segment = unquote(raw, errors="strict") if _decodes(raw) else ""
        shown = segment
        for _ in range(_ROUNDS):  # a server behind may decode again what we decode once
            if shown in ("", ".", "..") or _FORBIDDEN.search(shown):
                raise TarnhelmError(errors.REFERENCE_NOT_ALLOWED)
            shown = unquote(shown)
        segments.append(segment)
    return tuple(segments)


def _decodes(raw: str) -> bool:
    try:
        unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return False
    return True
