"""The object's own identifiers, and whether any of them stands in a text.

The rewriter harvests an object's names, IDs, dates, places and institutions once and asks about every text that it
keeps; so the question has to cost about as much as cutting the text into words.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.text.spellings import INSIDE_NAME, Spellings, of_date, of_id, of_name, of_place
from tarnhelm.metadata.core.text.tokens import WORD, fold_word, folded_words
from tarnhelm.metadata.core.text.words import lexicon

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NOBODY", "Identifiers"]

_GRAM: Final = 4
#: Characters; the reading of a text up to this length is remembered.
_SHORT: Final = 96
"""What is looked for over or inside words has at least this many characters: its head is a cheap first question."""
_SAFE_INSIDE: Final = 7
"""A shorter ID inside a longer number is another number: 123456 is not meant by 9123456."""


@dataclass(frozen=True, slots=True, eq=False)
class Identifiers:
    """What must not stand in any text of this object. Make it with :meth:`build`; compare it by :attr:`key`.

    Attributes
    ----------
    key
        16 bytes that are equal for equal identifiers; keys caches.
    """

    key: bytes
    _whole: frozenset[str] = field(repr=False)
    _joined: frozenset[str] = field(repr=False)
    _phrases: frozenset[str] = field(repr=False)
    _names_inside: frozenset[str] = field(repr=False)
    _ids_inside: frozenset[str] = field(repr=False)
    _heads: frozenset[str] = field(repr=False)
    _joined_heads: frozenset[str] = field(repr=False)
    _wide: frozenset[str] = field(repr=False)
    _longest: int = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identifiers) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    @classmethod
    def build(
        cls,
        names: Iterable[str] = (),
        ids: Iterable[str] = (),
        dates: Iterable[str] = (),
        places: Iterable[str] = (),
        organisations: Iterable[str] = (),
        extra: Iterable[str] = (),
    ) -> Identifiers:
        """Work out all spellings of an object's identifiers.

        Built identifiers are kept for a while: the objects of one patient come together.

        Parameters
        ----------
        names
            Persons, as PN values or plain text, in any script and with all component groups.
        ids
            Patient, accession, order and study IDs, telephone and health numbers.
        dates
            DA or DT values.
        places, organisations
            Addresses, towns, institutions, departments, station names.
        extra
            Anything else that must go, such as another name that a site knows; read like a place, but words of
            two letters count.

        Returns
        -------
        Identifiers
            Frozen and hashable.
        """
        classes = (names, ids, dates, places, organisations, extra)
        return _build(*(frozenset(value for value in values if value) for values in classes))

    def found_in(self, text: str) -> bool:
        """Say whether any own identifier stands in ``text``.

        Names of two to four letters and IDs of two to five characters count as whole words only; longer ones
        count inside words too, unless the longer word is one of the lexicon (*Inger* is not meant by *finger*),
        and every spelling of four characters or more counts over separators. A date counts only with day, month
        and year.
        """
        words, squeezed, grams = _read_short(text) if len(text) <= _SHORT else _read(text)
        if not self._whole.isdisjoint(words):
            return True
        if len(squeezed) < _GRAM:
            return not squeezed.isascii() and any(map(self._inside, words))
        # Whatever is longer than a word, or inside one, begins with one of these heads.
        if squeezed.isascii() and self._heads.isdisjoint(grams):
            return False
        return bool(
            (len(words) > 1 and self._runs(words, first_only=True))
            or any(map(self._inside, words))
            or ("7" in squeezed and any(map(self._is_glottal, words)))
        )

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Give the positions of all words of ``text`` that spell an own identifier, alone or together."""
        if not self.found_in(text):
            return []
        matches = [(match, fold_word(match[0])) for match in WORD.finditer(text)]
        pairs = [(match, word) for match, word in matches if word]
        words = [word for _, word in pairs]
        hits = {
            at for at, word in enumerate(words) if word in self._whole or self._is_glottal(word) or self._inside(word)
        }
        for first, stop in self._runs(words, first_only=False):
            hits.update(range(first, stop))
        return [pairs[at][0].span() for at in sorted(hits)]

    def _runs(self, words: list[str], *, first_only: bool) -> list[tuple[int, int]]:
        """Find neighbouring words that spell an identifier together."""
        runs: list[tuple[int, int]] = []
        heads, joined, phrases, longest = self._joined_heads, self._joined, self._phrases, self._longest
        count = len(words)
        for first in range(count - 1):
            run = words[first]
            if len(run) < 2:
                run += words[first + 1][:1]
            if run[:2] not in heads:
                continue
            run = words[first]
            for stop in range(first + 1, count):
                run += words[stop]
                if len(run) > longest:
                    break
                if run in joined:
                    runs.append((first, stop + 1))
            if first + 3 <= count and " ".join(words[first : first + 3]) in phrases:
                runs.append((first, first + 3))
            if runs and first_only:
                return runs
        return runs

    def _is_glottal(self, word: str) -> bool:
        """Say whether the word is a name once a 7 between letters, an old way to type the glottal stop, is left out."""
        return "7" in word[1:] and len(word) > INSIDE_NAME and word.replace("7", "") in self._whole

    def _inside(self, word: str) -> bool:
        if len(word) < INSIDE_NAME:
            return not word.isascii() and any(map(word.__contains__, self._wide))
        for number in self._ids_inside:
            at = word.find(number)
            if at >= 0 and (len(number) >= _SAFE_INSIDE or _stands_alone(word, number, at)):
                return True
        if any(map(word.__contains__, self._names_inside)):
            return word not in lexicon().words
        return not word.isascii() and any(map(word.__contains__, self._wide))


def _read(text: str) -> tuple[list[str], str, frozenset[str]]:
    """Give the folded words of a text, the same in one, and every run of letters that a longer spelling may begin with."""
    words = folded_words(text)
    squeezed = "".join(words)
    return words, squeezed, frozenset(squeezed[at : at + _GRAM] for at in range(len(squeezed) - _GRAM + 1))


# Protocols and descriptions are the same for patient after patient.
_read_short = lru_cache(maxsize=4096)(_read)


def _stands_alone(word: str, number: str, at: int) -> bool:
    """Say whether no other digit than leading zeros touches ``number``."""
    before = word[:at].rstrip("0") if number[0].isdigit() else ""
    after = word[at + len(number) :] if number[-1].isdigit() else ""
    return not (before and before[-1].isdigit()) and not (after and after[0].isdigit())


@lru_cache(maxsize=32)
def _build(
    names: frozenset[str],
    ids: frozenset[str],
    dates: frozenset[str],
    places: frozenset[str],
    organisations: frozenset[str],
    extra: frozenset[str],
) -> Identifiers:
    spelled = Spellings()
    for name in names:
        of_name(name, spelled)
    for value in ids:
        of_id(value, spelled)
    for date in dates:
        whole, joined, phrases, inside = of_date(date)
        spelled.whole |= whole
        spelled.joined |= joined
        spelled.phrases |= phrases
        spelled.ids_inside |= inside
    for place in places | organisations:
        of_place(place, spelled)
    for value in extra:
        of_place(value, spelled, shortest=2)
    # Dates with a month's name stand in one word too.
    spelled.whole |= {word for word in spelled.joined if len(word) > 4}
    long = spelled.joined | spelled.names_inside | spelled.ids_inside | {p.replace(" ", "") for p in spelled.phrases}
    digest = hashlib.blake2b(digest_size=16)
    for values in (names, ids, dates, places, organisations, extra):
        digest.update("\x1f".join(sorted(values)).encode("utf-8", "surrogatepass") + b"\x1e")
    return Identifiers(
        key=digest.digest(),
        _whole=frozenset(spelled.whole),
        _joined=frozenset(spelled.joined),
        _phrases=frozenset(spelled.phrases),
        _names_inside=frozenset(name for name in spelled.names_inside if len(name) >= INSIDE_NAME),
        _ids_inside=frozenset(spelled.ids_inside),
        _heads=frozenset(word[:_GRAM] for word in long),
        _joined_heads=frozenset(
            {word[:2] for word in spelled.joined} | {p.replace(" ", "")[:2] for p in spelled.phrases}
        ),
        _wide=frozenset(name for name in spelled.names_inside if not name.isascii()),
        _longest=max(map(len, spelled.joined), default=0),
    )


NOBODY: Final = _build(*(frozenset[str]() for _ in range(6)))
"""No identifiers at all."""
