"""The identifiers of a source, gathered by the witness itself at any depth.

The harvest has two halves. *Values* (names, numbers, days, places) are the same in all files of a patient and are
compiled to needles once; *UIDs* differ from file to file and are compared as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.witness.core.charsets import decode
from tarnhelm.witness.core.elements import CLASS_UID_TAGS, IDENTIFIER_TAGS, IDENTITY_NAME_TAGS, is_standard_uid
from tarnhelm.witness.core.identifiers import Date, Id, Identifier, Name, Phrase
from tarnhelm.witness.core.text import LETTERS, fold, vocabulary, weight

if TYPE_CHECKING:
    from tarnhelm.witness.core.parsed import Parsed

__all__ = ["Harvest", "Value", "charset_of", "gather", "identifiers_of", "is_placeholder"]

Value = tuple[str, str, bool, bytes, bytes]
"""Form (name, id, date, phrase), identifier class, identity, raw bytes, Specific Character Set."""
Position = tuple[tuple[int, ...], int, bytes]
"""Path of the container, attribute, raw value without padding."""

_BIRTH: Final = frozenset({0x00100030})
_PARTICLE_WORDS: Final = "van von der den del della des du de da di la le les el al bin ibn ben bint abu st ste mac mc der zu zur dos das ten ter"
_PARTICLES: Final = frozenset(_PARTICLE_WORDS.split())
_TITLE_WORDS: Final = "dr prof mr mrs ms miss mme mlle md phd jr sr ii iii iv msc rn rt bsc frcpc hon sir frcr mbbs dds"
_TITLES: Final = frozenset(_TITLE_WORDS.split())
_PLACEHOLDER_WORDS: Final = (
    "anonymous anonymized anonymised anonyme anon unknown inconnu none null patient name noname test dummy removed "
    "deidentified deid unidentified unspecified nil na"
)
_PLACEHOLDERS: Final = frozenset(_PLACEHOLDER_WORDS.split())
_DIGITS: Final = re.compile(r"\d")
_LONG_DIGITS: Final = re.compile(r"\d{6,}")
_LINES: Final = re.compile(r"[\r\n^,;\\]+")
_MAIL: Final = re.compile(r"[\w.+\-]+@[\w\-.]+")


@dataclass(slots=True)
class Harvest:
    """What one file holds.

    Attributes
    ----------
    values
        What is compiled to needles, in the order of the file, each once.
    uids
        UIDs of instances, series, devices: none of DICOM's own, none of a class.
    positions
        (path, attribute, raw) of every identifier but UIDs → class; equality of source and result there is no chance.
    uid_positions
        (path, attribute, raw) of every UID counted in ``uids``.
    """

    values: tuple[Value, ...] = ()
    uids: frozenset[bytes] = frozenset()
    positions: dict[Position, str] = field(default_factory=dict)
    uid_positions: list[Position] = field(default_factory=list)


def charset_of(parsed: Parsed) -> dict[int, bytes]:
    """Return the Specific Character Set that holds in each container which declares one."""
    return {e[4]: bytes(parsed.buf[e[2] : e[2] + e[3]]).strip(b"\0 ") for e in parsed.named if e[0] == 0x00080005}


def declared_in(parsed: Parsed, charsets: dict[int, bytes], container: int) -> bytes:
    """Return the set that holds in a container: its own, else that of the item around it."""
    while container not in charsets:
        container = parsed.containers[container].parent
        if container < 0:
            return b""
    return charsets[container]


def gather(parsed: Parsed, charsets: dict[int, bytes] | None = None) -> Harvest:
    """Gather the identifiers of a walked file; ``charsets`` where its ``named`` elements do not hold them all."""
    buf, containers = parsed.buf, parsed.containers
    charsets = charset_of(parsed) if charsets is None else charsets
    single = len(charsets) <= 1 and (not charsets or 0 in charsets)
    common = charsets.get(0, b"")
    values: dict[Value, None] = {}
    uids: set[bytes] = set()
    positions: dict[Position, str] = {}
    uid_positions: list[Position] = []
    by_tag = IDENTIFIER_TAGS
    for tag, vr, start, length, container in parsed.named:
        raw = bytes(buf[start : start + length]).rstrip(b"\0 ")
        if not raw:
            continue
        path = containers[container].path
        if vr == b"UI":
            if tag in CLASS_UID_TAGS:
                continue
            parts = [uid.strip(b" \0") for uid in raw.split(b"\\")] if b"\\" in raw else [raw]
            found = [uid for uid in parts if len(uid) > 4 and not is_standard_uid(uid)]
            if found:
                uids.update(found)
                uid_positions.append((path, tag, raw))
            continue
        declared = common if single else declared_in(parsed, charsets, container)
        if vr == b"PN":
            values["name", "name", tag in IDENTITY_NAME_TAGS, raw, declared] = None
            positions[path, tag, raw] = "name"
        elif vr in {b"DA", b"DT"}:
            kind = "birth" if tag in _BIRTH else "date"
            for part in raw.split(b"\\"):
                values["date", kind, kind == "birth", part.strip()[:8], b""] = None
            positions[path, tag, raw] = kind
        elif tag in by_tag:
            kind, identity = by_tag[tag]
            values["id" if kind == "id" else "phrase", kind, identity, raw, declared] = None
            positions[path, tag, raw] = kind
    return Harvest(tuple(values), frozenset(uids), positions, uid_positions)


def is_placeholder(text: str) -> bool:
    """Tell whether a folded value names nobody: empty, zeros, one character again and again, ``UNKNOWN``."""
    core = "".join(filter(str.isalnum, text))
    if not core or set(core) == {"0"} or (len(core) >= 4 and len(set(core)) == 1) or core in _PLACEHOLDERS:
        return True
    words = LETTERS.findall(text)
    return bool(words) and core.isalpha() and all(word in _PLACEHOLDERS for word in words)


def identifiers_of(value: Value) -> list[tuple[Identifier, tuple[str, ...]]]:
    """Read one harvested value: identifiers, each with the texts of it that are searched in other encodings."""
    form, kind, identity, raw, declared = value
    if form == "date":
        return _date(kind, identity, raw)
    text = decode(raw, declared).strip(" \0")
    found: list[tuple[Identifier, tuple[str, ...]]] = []
    for single in text.split("\\"):
        if form == "name":
            found += _name(kind, identity, single)
        elif form == "id":
            found += _id(kind, identity, single)
        else:
            found += _phrase(kind, identity, single)
    return found


def _date(kind: str, identity: bool, raw: bytes) -> list[tuple[Identifier, tuple[str, ...]]]:
    text = raw.decode("latin-1").replace(".", "")
    if len(text) != 8 or not text.isascii() or not text.isdigit():
        return []
    day = int(text[:4]), int(text[4:6]), int(text[6:])
    if not (1 <= day[1] <= 12 and 1 <= day[2] <= 31) or day[0] < 1850 or day[0] > 2200 or day == (1900, 1, 1):
        return []
    return [(Date(kind, identity, day), ())]


def _name(kind: str, identity: bool, text: str) -> list[tuple[Identifier, tuple[str, ...]]]:
    found: list[tuple[Identifier, tuple[str, ...]]] = []
    for group in text.split("="):
        components = group.split("^")[:3] + [c for c in group.split("^")[3:] if len(c) > 4]
        parts: dict[str, None] = {}
        originals: list[str] = []
        for component in components:
            words = LETTERS.findall(component)
            kept = []
            for word in words:
                folded = fold(word)
                if weight(folded) < 2 or folded in _TITLES or folded in _PLACEHOLDERS or folded in _PARTICLES:
                    continue
                parts[folded] = None
                kept.append(word)
                for variant in _umlauts(word):
                    parts[variant] = None
            originals += kept
            if len(kept) > 1:
                parts["".join(fold(word) for word in words)] = None
        if parts and any(weight(part) >= 2 for part in parts):
            searched = tuple(dict.fromkeys((*originals, "".join(originals[:2]), "".join(originals[1::-1]))))
            found.append((Name(kind, identity, tuple(parts)), searched))
    return found


def _umlauts(word: str) -> list[str]:
    """German spellings: ü is written u or ue (Müller, Muller, Mueller)."""
    low = word.casefold()
    if any(letter in low for letter in "äöü"):
        return [fold(low.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue"))]
    if len(low) >= 6 and any(pair in low for pair in ("ae", "oe", "ue")):
        return [fold(low.replace("ae", "a").replace("oe", "o").replace("ue", "u"))]
    return []


def _id(kind: str, identity: bool, text: str) -> list[tuple[Identifier, tuple[str, ...]]]:
    folded = fold(text.strip())
    core = "".join(filter(str.isalnum, folded))
    digits = len(_DIGITS.findall(core))
    letters = len(core) - digits
    if len(core) < 4 or is_placeholder(folded) or (not digits and core in vocabulary()):
        return []
    if not identity and (digits < 3 and not (digits and len(core) >= 6)):
        return []
    if len(core) == 4 and core.isdigit() and 1900 <= int(core) <= 2099:
        return []
    if not digits and not identity:
        return []
    space = 10.0 ** min(digits, 40) * 26.0 ** min(letters, 40)
    found: list[tuple[Identifier, tuple[str, ...]]] = [
        (Id(kind, identity, core, split=len(core) != len(folded), space=space), (text.strip(),))
    ]
    # A prefix is easily dropped: MRN-4471093 is also known by its number.
    runs = [run for run in _LONG_DIGITS.findall(core) if run != core and not is_placeholder(run)]
    found += [(Id(kind, identity, run, split=False, space=10.0 ** min(len(run), 40)), ()) for run in runs]
    return found


def _phrase(kind: str, identity: bool, text: str) -> list[tuple[Identifier, tuple[str, ...]]]:
    found: list[tuple[Identifier, tuple[str, ...]]] = []
    usual = vocabulary()
    for mail in _MAIL.findall(text):
        core = "".join(filter(str.isalnum, fold(mail)))
        found.append((Phrase(kind, identity, core), (mail,)))
    pieces = _LINES.split(text) if kind in {"place", "text"} else [text]
    for piece in pieces:
        folded = fold(piece)
        core = "".join(filter(str.isalnum, folded))
        digits = len(_DIGITS.findall(core))
        words = LETTERS.findall(folded)
        if kind == "text" and digits >= 7:
            found.append((Id(kind, identity, "".join(_DIGITS.findall(core)), split=True, space=10.0**digits), ()))
        elif (
            len(core) >= 6 and (digits or len(words) > 1 or len(core) >= 8) and not all(word in usual for word in words)
        ) or (len(core) >= 6 and len(words) > 2):
            found.append((Phrase(kind, identity, core), (piece.strip(),)))
    return found
