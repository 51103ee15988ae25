"""Specific Character Set → text, with the codecs of Python (PS3.3 C.12.1.1.2, PS3.5 6.1).

A value is decoded to be compared, never to be shown, so an undecodable byte becomes U+FFFD and the search goes on;
raw bytes are searched besides.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["CODECS", "decode", "is_known"]

_SINGLE: Final = {
    "": "ascii", "ISO_IR 6": "ascii", "ISO_IR 100": "latin-1", "ISO_IR 101": "iso8859-2", "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4", "ISO_IR 144": "iso8859-5", "ISO_IR 127": "iso8859-6", "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8", "ISO_IR 148": "iso8859-9", "ISO_IR 203": "iso8859-15", "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "cp874", "ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
_EXTENDED: Final = {
    "ISO 2022 IR 6", "ISO 2022 IR 100", "ISO 2022 IR 101", "ISO 2022 IR 109", "ISO 2022 IR 110", "ISO 2022 IR 144",
    "ISO 2022 IR 127", "ISO 2022 IR 126", "ISO 2022 IR 138", "ISO 2022 IR 148", "ISO 2022 IR 203", "ISO 2022 IR 13",
    "ISO 2022 IR 166", "ISO 2022 IR 87", "ISO 2022 IR 159", "ISO 2022 IR 149", "ISO 2022 IR 58",
}  # fmt: skip
_ESCAPES: Final[dict[bytes, str]] = {
    b"\x1b(B": "ascii", b"\x1b(J": "shift_jis", b"\x1b)I": "shift_jis", b"\x1b-A": "latin-1", b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3", b"\x1b-D": "iso8859-4", b"\x1b-L": "iso8859-5", b"\x1b-G": "iso8859-6",
    b"\x1b-F": "iso8859-7", b"\x1b-H": "iso8859-8", b"\x1b-M": "iso8859-9", b"\x1b-b": "iso8859-15",
    b"\x1b-T": "cp874", b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$(D": "iso2022_jp_2",
    b"\x1b$)C": "euc_kr", b"\x1b$)A": "gb2312",
}  # fmt: skip
_ESCAPE = re.compile(rb"\x1b(?:\$[()][A-D]|\$[@AB]|[(\-)][A-Za-z])")
CODECS: Final = (
    "utf-8", "utf-16-le", "utf-16-be", "latin-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8",
    "iso8859-9", "cp874", "cp1251", "cp1252", "shift_jis", "iso2022_jp", "euc_jp", "euc_kr", "gb18030", "big5",
)  # fmt: skip
"""Encodings in which a name outside ASCII is searched for as raw bytes."""


@lru_cache(maxsize=256)
def _terms(declared: bytes) -> tuple[str, ...]:
    return tuple(term.strip(" \0") for term in declared.decode("latin-1").split("\\"))


@lru_cache(maxsize=256)
def is_known(declared: bytes) -> bool:
    """Tell whether every term of a Specific Character Set is one this module decodes."""
    return all(term in _SINGLE or term in _EXTENDED for term in _terms(declared))


@lru_cache(maxsize=256)
def _default(declared: bytes) -> str:
    first = _terms(declared)[0] if declared else ""
    codec = _SINGLE.get(first) or _SINGLE.get(first.replace("ISO 2022 IR", "ISO_IR"))
    # Undeclared bytes beyond ASCII are mostly Latin-1, and Latin-1 loses none of them.
    return "latin-1" if codec in {None, "ascii"} else str(codec)


def decode(value: bytes, declared: bytes) -> str:
    """Decode a value under the raw bytes of (0008,0005), escape sequences included."""
    codec = _default(declared)
    if b"\x1b" not in value:
        return value.decode(codec, "replace")
    parts: list[str] = []
    pos, escape = 0, b""
    for match in _ESCAPE.finditer(value):
        parts.append(_run(value[pos : match.start()], escape, codec))
        escape, pos = match[0], match.end()
    parts.append(_run(value[pos:], escape, codec))
    return "".join(parts)


def _run(run: bytes, escape: bytes, codec: str) -> str:
    if not escape:
        return run.decode(codec, "replace")
    named = _ESCAPES.get(escape, codec)
    if escape.startswith(b"\x1b$") and not escape.startswith(b"\x1b$)"):
        # Delimiters return to the first repertoire even where the closing escape is missing (PS3.5 6.1.2.5.3).
        return (escape + run + b"\x1b(B").decode(named, "replace")
    return run.decode(named, "replace")
