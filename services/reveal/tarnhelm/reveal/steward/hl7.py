"""HL7 version 2 merge messages: ADT^A40 (merge patient, patient identifier list), as hospitals send them.

Read are the messages of a file, with or without MLLP's framing (0x0B before, 0x1C 0x0D behind) and with any line end
behind a segment. Of each message three segments count:

- MSH: the separators (MSH-1, MSH-2), that it is an ADT^A40 (MSH-9), and the character set (MSH-18): ASCII, UTF-8, or
  one of ISO 8859;
- PID: PID-3, the identifiers of the patient who stays;
- MRG: MRG-1, the identifiers of the patient who is merged.

An identifier (type CX) is its first component, its issuer the first subcomponent of the fourth (the assigning
authority's namespace), which is what DICOM's Issuer of Patient ID (0010,0021) holds. Where both segments list several,
those of one issuer make a pair. Other fields, names among them, are not looked at, in whatever character set they are.
HL7 Version 2.5.1, 2.5 (message construction rules), 3.3.40 (A40), 3.4.9 (MRG).

Faults name the number of the message's segment in the file, and no value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_PAIRS, TarnhelmError
from tarnhelm.reveal.steward.pairs import Pair, Patient, fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["read_a40"]

_LARGEST: Final = 32 << 20
_SEGMENTS: Final = 200_000
_SEGMENT_CHARACTERS: Final = 65_536
_REPETITIONS: Final = 100
_CHARSETS: Final = {
    **dict.fromkeys(("", "ASCII", "UNICODE UTF-8", "UTF-8"), "utf-8"),
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
"""HL7 table 0211, as far as it is one byte for a separator."""
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_ENDS: Final = re.compile(r"\r\n|\r|\n")
_SEPARATORS: Final = re.compile(r"[^\w\s]{5}|[^\w\s]{4}")


@dataclass(frozen=True, slots=True)
class _Message:
    """The separators of a message, and where its segments are: (number in the file, fields)."""

    component: str
    repetition: str
    escape: str
    subcomponent: str
    field: str
    charset: str
    segments: tuple[tuple[int, Sequence[str]], ...]


def read_a40(content: bytes) -> tuple[Pair, ...]:
    """Read the merges of a file of HL7 messages, all of it or nothing.

    Raises
    ------
    TarnhelmError
        STW-003 with the number of the first segment that is wrong: no MSH first, another message than ADT^A40,
        another character set, a merge without a pair of one issuer, or a value that no Patient ID can be.
    """
    if len(content) > _LARGEST:
        raise TarnhelmError(BAD_PAIRS, line=1)
    # Every byte as one character; what is taken out is decoded in the character set of its message.
    text = content.removeprefix(_UTF8_MARK).decode("latin-1")
    return tuple(pair for message in _messages(text) for pair in _merges(message))


def _messages(text: str) -> Iterator[_Message]:
    gathered: list[tuple[int, str]] = []
    for number, raw in enumerate(_ENDS.split(text), 1):
        segment = raw.strip("\x0b\x1c ")
        if number > _SEGMENTS or len(segment) > _SEGMENT_CHARACTERS:
            raise TarnhelmError(BAD_PAIRS, line=number)
        if not segment:
            continue
        if segment.startswith("MSH") and gathered:
            yield _message(gathered)
            gathered = []
        gathered.append((number, segment))
    if not gathered:
        raise TarnhelmError(BAD_PAIRS, line=1)
    yield _message(gathered)


def _message(segments: Sequence[tuple[int, str]]) -> _Message:
    number, head = segments[0]
    marks = head[3:8]
    if not head.startswith("MSH") or not _SEPARATORS.match(marks) or len(set(marks)) != 5 or not marks.isascii():
        raise TarnhelmError(BAD_PAIRS, line=number)
    field, component, repetition, escape, subcomponent = tuple(marks)
    split = tuple((place, text.split(field)) for place, text in segments)
    header = split[0][1]
    # Of MSH the separator itself is the first field, so MSH-n stands at n - 1.
    kind = _at(header, 8).split(component)
    charset = _CHARSETS.get(_at(header, 17).split(repetition)[0].strip().upper())
    if kind[:2] != ["ADT", "A40"] or charset is None:
        raise TarnhelmError(BAD_PAIRS, line=number)
    return _Message(component, repetition, escape, subcomponent, field, charset, split)


def _merges(message: _Message) -> Iterator[Pair]:
    """Give the pairs of a message: each MRG belongs to the PID before it (A40 may repeat the group)."""
    staying: list[Patient] | None = None
    found = 0
    for number, fields in message.segments:
        if fields[0] == "PID":
            staying = _identifiers(message, _at(fields, 3), number)
        elif fields[0] == "MRG":
            if staying is None:
                raise TarnhelmError(BAD_PAIRS, line=number)
            pairs = _paired(_identifiers(message, _at(fields, 1), number), staying)
            if not pairs:
                raise TarnhelmError(BAD_PAIRS, line=number)
            found += len(pairs)
            yield from pairs
            staying = None
    if not found or staying is not None:
        raise TarnhelmError(BAD_PAIRS, line=message.segments[0][0])


def _paired(merged: Sequence[Patient], staying: Sequence[Patient]) -> list[Pair]:
    if len(merged) == len(staying) == 1:
        return [Pair(merged[0], staying[0])]
    pairs = []
    for prior in merged:
        same = [one for one in staying if one.issuer == prior.issuer]
        if len(same) == 1 and same[0] != prior:
            pairs.append(Pair(prior, same[0]))
    return pairs


def _identifiers(message: _Message, value: str, number: int) -> list[Patient]:
    repeated = value.split(message.repetition)
    if len(repeated) > _REPETITIONS:
        raise TarnhelmError(BAD_PAIRS, line=number)
    found = []
    for one in repeated:
        components = one.split(message.component)
        patient_id = _plain(message, components[0], number)
        issuer = _plain(message, _at(components, 3).split(message.subcomponent)[0], number)
        if patient_id in {"", '""'}:
            continue
        found.append(Patient(patient_id, issuer))
    if not found:
        raise TarnhelmError(BAD_PAIRS, line=number)
    return found


def _plain(message: _Message, text: str, number: int) -> str:
    """Take the escapes of separators back (2.7.1); any other escape is no part of an identifier."""
    meanings = {
        "F": message.field,
        "S": message.component,
        "T": message.subcomponent,
        "R": message.repetition,
        "E": message.escape,
    }
    parts = text.strip().split(message.escape)
    if len(parts) % 2 == 0 or any(part not in meanings for part in parts[1::2]):
        raise TarnhelmError(BAD_PAIRS, line=number)
    raw = "".join(meanings[part] if place % 2 else part for place, part in enumerate(parts))
    try:
        plain = raw.encode("latin-1").decode(message.charset)
    except UnicodeDecodeError:
        raise TarnhelmError(BAD_PAIRS, line=number) from None
    if not fits(plain):
        raise TarnhelmError(BAD_PAIRS, line=number)
    return plain


def _at(fields: Sequence[str], place: int) -> str:
    return fields[place] if place < len(fields) else ""
