"""Specific Character Set (0008,0005): bytes to text and back, for every repertoire of the standard.

A name may stand in Cyrillic, in kanji or in Hangul, and an identifier that is not decoded is not found.
So every repertoire of PS3.3 C.12.1.1.2 to C.12.1.1.5 is read here, with and without code extensions
(ISO/IEC 2022 escape sequences, PS3.5 6.1.2.5). Bytes that a repertoire does not have become U+FFFD: the
caller sees that (:func:`was_replaced`), and no error quotes them.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_CHARSET, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TEXT_VRS", "Charset", "decoder", "was_replaced"]

TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations that the Specific Character Set applies to (PS3.5 6.1.2.3); all others are ASCII."""

_REPLACEMENT: Final = "\ufffd"
_ESCAPE: Final = 0x1B

# Repertoires without code extensions that are not ISO 8859: number or name → codec.
_WHOLE: Final = {"192": "utf_8", "GB18030": "gb18030", "GBK": "gbk", "GB2312": "gbk"}

# ISO registration number → (codec, escape sequence to G1). Single-byte, the upper half of the code table.
_UPPER: Final = {
    "100": ("iso8859_1", b"\x1b-A"),
    "101": ("iso8859_2", b"\x1b-B"),
    "109": ("iso8859_3", b"\x1b-C"),
    "110": ("iso8859_4", b"\x1b-D"),
    "144": ("iso8859_5", b"\x1b-L"),
    "127": ("iso8859_6", b"\x1b-G"),
    "126": ("iso8859_7", b"\x1b-F"),
    "138": ("iso8859_8", b"\x1b-H"),
    "148": ("iso8859_9", b"\x1b-M"),
    "203": ("iso8859_15", b"\x1b-b"),
    "166": ("iso8859_11", b"\x1b-T"),
    "13": ("shift_jis", b"\x1b)I"),
    "149": ("euc_kr", b"\x1b$)C"),
    "58": ("gb2312", b"\x1b$)A"),
}
# Escape sequence → what it puts into G0 or G1.
_TO_G1: Final = {escape: codec for codec, escape in _UPPER.values()}
_ASCII: Final = "ascii"
_KANJI: Final = "jis x 0208"
_KANJI_EXTRA: Final = "jis x 0212"
_TO_G0: Final = {b"\x1b(B": _ASCII, b"\x1b(J": _ASCII, b"\x1b$B": _KANJI, b"\x1b$@": _KANJI, b"\x1b$(D": _KANJI_EXTRA}
_KNOWN: Final = frozenset(_UPPER) | {"6", "87", "159"}
_ESCAPES: Final = re.compile(b"|".join(re.escape(escape) for escape in (*_TO_G0, *_TO_G1)))

# Where the code elements go back to what the first value of (0008,0005) says (PS3.5 6.1.2.5.3).
_CONTROL: Final = frozenset(b"\t\n\x0c\r")
_DELIMITERS: Final = {"PN": frozenset(b"\\^=") | _CONTROL, "LT": _CONTROL, "ST": _CONTROL, "UT": _CONTROL}
_DELIMITERS_ELSE: Final = frozenset(b"\\") | _CONTROL

_TERM: Final = re.compile(r"(?:ISO[ _-]?)?(?:2022[ _-]?)?IR[ _-]?(\d{1,3})")


def was_replaced(text: str) -> bool:
    """Say whether decoding met bytes that the repertoire does not have."""
    return _REPLACEMENT in text


@dataclass(frozen=True, slots=True)
class Charset:
    r"""A repertoire, ready to decode and encode.

    Attributes
    ----------
    terms
        (0008,0005) as normalised: ``ISO_IR`` numbers, or ``GB18030``, ``GBK``.
    ascii_compatible
        A byte below 0x80 always is that ASCII character, so that a value may be split at ``\`` and ``^`` before
        it is decoded. False where a second byte may look like one of them.
    """

    terms: tuple[str, ...]
    ascii_compatible: bool
    _whole: str
    _g1: str
    _extended: bool

    def decode(self, value: bytes, vr: str) -> str:
        """Give the text of ``value``; never raises.

        ASCII bytes take a path of their own: in every repertoire they mean themselves unless an escape
        sequence says otherwise.

        Parameters
        ----------
        value
            The value, padding included; several values and name components are decoded as one, and split
            afterwards.
        vr
            Value representation; those outside :data:`TEXT_VRS` are ASCII whatever (0008,0005) says.
        """
        if value.isascii() and (_ESCAPE not in value or vr not in TEXT_VRS):
            return value.decode(_ASCII)
        if vr not in TEXT_VRS:
            return value.decode(_ASCII, "replace")
        if self._whole:
            return value.decode(self._whole, "replace")
        if _ESCAPE not in value:
            return value.decode(self._g1, "replace")
        return "".join(self._decode_extended(value, _DELIMITERS.get(vr, _DELIMITERS_ELSE)))

    def encode(self, text: str, vr: str) -> bytes | None:
        """Give the bytes of ``text``, or None if the repertoire cannot hold it.

        Parameters
        ----------
        text
            All values of the element, delimiters included.
        vr
            As for :meth:`decode`.
        """
        if text.isascii():
            return text.encode(_ASCII)
        if vr not in TEXT_VRS:
            return None
        # Shift-JIS also has kanji, which ISO_IR 13 has not: half-width katakana take the other road.
        if self._g1 != "shift_jis":
            try:
                return text.encode(self._whole or self._g1)
            except UnicodeEncodeError:
                if not self._extended:
                    return None
        return self._encode_extended(text, _DELIMITERS.get(vr, _DELIMITERS_ELSE))

    def _decode_extended(self, value: bytes, delimiters: frozenset[int]) -> Iterator[str]:
        """Follow escape sequences: each run is decoded by what G0 and G1 hold at that place."""
        g0, g1 = _ASCII, self._g1
        position = 0
        while position < len(value):
            if value[position] == _ESCAPE:
                escape = _ESCAPES.match(value, position)
                if escape is None:
                    yield _REPLACEMENT
                    position += 1
                    continue
                found = escape.group()
                g0, g1 = _TO_G0.get(found, g0), _TO_G1.get(found, g1)
                position = escape.end()
                continue
            end = position
            reset = False
            while end < len(value) and value[end] != _ESCAPE:
                byte = value[end]
                end += 1
                if byte in delimiters and (g0 == _ASCII or byte < 0x20):
                    reset = True
                    break
            yield _decode_run(value[position:end], g0, g1)
            position = end
            if reset:
                g0, g1 = _ASCII, self._g1

    def _encode_extended(self, text: str, delimiters: frozenset[int]) -> bytes | None:
        """Write each run of characters in the first repertoire that has them, and return before delimiters."""
        parts: list[bytes] = []
        g0, g1 = _ASCII, self._g1
        back = b"\x1b(J" if self.terms[0] == "13" else b"\x1b(B"
        for character in text:
            code = ord(character)
            if code < 0x80:
                if g0 != _ASCII:
                    parts.append(back)
                    g0 = _ASCII
                parts.append(bytes([code]))
                if code in delimiters:
                    g1 = self._g1
                continue
            found = self._find_repertoire(character, g0, g1)
            if found is None:
                return None
            escape, encoded, g0, g1 = found
            parts.append(escape + encoded)
        if g0 != _ASCII:
            parts.append(back)
        return b"".join(parts)

    def _find_repertoire(self, character: str, g0: str, g1: str) -> tuple[bytes, bytes, str, str] | None:
        """Give (escape sequence, bytes, G0, G1) for one character beyond ASCII, staying where we are if we can."""
        encoded = _encode_upper(character, g1)
        if encoded:
            return b"", encoded, g0, g1
        for term in self.terms:
            if term in _UPPER:
                codec, escape = _UPPER[term]
                encoded = _encode_upper(character, codec)
                if encoded:
                    return escape, encoded, g0, codec
            elif term in ("87", "159"):
                pair = _encode_upper(character, "euc_jp")
                if pair and (len(pair) == 3) == (term == "159") and pair[0] != 0x8E:
                    wanted = _KANJI if term == "87" else _KANJI_EXTRA
                    escape = b"" if g0 == wanted else b"\x1b$B" if term == "87" else b"\x1b$(D"
                    return escape, bytes(byte & 0x7F for byte in pair[-2:]), wanted, g1
        return None


def _decode_run(run: bytes, g0: str, g1: str) -> str:
    if g0 == _ASCII:
        return run.decode(g1, "replace")
    return "".join(_decode_pairs(run, g0, g1))


def _decode_pairs(run: bytes, g0: str, g1: str) -> Iterator[str]:
    """Read two bytes a character below 0x80, single or double ones of G1 above, controls as themselves."""
    position = 0
    prefix = b"\x8f" if g0 == _KANJI_EXTRA else b""
    while position < len(run):
        byte = run[position]
        if byte <= 0x20:
            yield chr(byte)
            position += 1
        elif byte < 0x80:
            pair = run[position : position + 2]
            yield (
                (prefix + bytes(b | 0x80 for b in pair)).decode("euc_jp", "replace") if len(pair) == 2 else _REPLACEMENT
            )
            position += 2
        else:
            end = position
            while end < len(run) and run[end] >= 0x80:
                end += 1
            yield run[position:end].decode(g1, "replace")
            position = end


def _encode_upper(character: str, codec: str) -> bytes:
    """Bytes of one character in a code table's upper half; empty if it has none there."""
    try:
        encoded = character.encode(codec)
    except UnicodeEncodeError:
        return b""
    if codec == "shift_jis" and len(encoded) > 1:
        return b""
    return encoded if encoded[0] >= 0x80 else b""


@cache
def decoder(specific_character_set: tuple[str, ...]) -> Charset:
    """Give the :class:`Charset` of (0008,0005).

    Parameters
    ----------
    specific_character_set
        Its values, in order; an empty tuple or an empty first value means ISO_IR 6. Spellings that differ in
        spaces, underscores and hyphens are understood.

    Raises
    ------
    TarnhelmError
        ``BAD_CHARSET`` for a repertoire that the standard does not define.
    """
    terms = tuple(_term(value) for value in specific_character_set) or ("6",)
    whole = [term for term in terms if term in _WHOLE]
    if whole:
        return Charset((whole[0],), whole[0] == "192", _WHOLE[whole[0]], _ASCII, _extended=False)
    first = terms[0]
    g1 = _UPPER[first][0] if first in _UPPER else _ASCII
    codecs.lookup(g1)
    extended = len(terms) > 1 or first in ("87", "159", "149", "58")
    plain = not any(term in ("87", "159", "13") for term in terms)
    return Charset(tuple(dict.fromkeys(terms)), plain, "", g1, extended)


def _term(value: str) -> str:
    term = value.strip(" \x00").upper()
    if not term:
        return "6"
    if term in _WHOLE:
        return term
    if term in ("UTF-8", "UTF8"):
        return "192"
    match = _TERM.fullmatch(term)
    if match is None or (match.group(1) not in _KNOWN and match.group(1) not in _WHOLE):
        raise TarnhelmError(BAD_CHARSET)
    return match.group(1)
