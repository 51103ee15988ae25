"""What counts as the same name: folding of letters, tokens of a name, keys of a person and of a text.

A person stands in a hospital's systems as ``O'BRIEN^MARY-ANN``, ``O’Brien^Mary Ann`` and ``OBRIEN^MARYANN^J^DR``, and must
get one surrogate. Three steps, each public:

:func:`fold`
    makes letters comparable: no case, no accents, one apostrophe, one hyphen, one space; Latin letters become ASCII.
    Letters of other scripts stay, in one normal form.
:func:`name_tokens`
    the words of a name, folded, without titles and without the marks that writers leave out (apostrophes, glottal
    stops, length marks).
:func:`person_key`, :func:`part_key`, :func:`text_key`
    the strings that key the surrogates of a whole name, of one part of a name and of any other text.

The letters of the orthographies of First Nations in British Columbia (North American phonetic notation and the
SENĆOŦEN alphabet) fold to the base letter that systems without them store: ``xʷməθkʷəy̓əm`` and ``xwmethkweyem``
are equal. Every rule is frozen: a change would give known persons new surrogates, so it needs a new version of the
surrogate algorithm.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

__all__ = ["PARTICLES", "TITLES", "fold", "name_tokens", "part_key", "person_key", "text_key", "to_ascii"]

_TITLES = (
    "dr dre dra docteur doctor prof professor professeur mr mrs ms miss mx sir dame madam mme mlle monsieur madame "
    "hon rev fr sr jr snr jnr ii iii iv md phd msc bsc mph mba do dds dmd rn rpn lpn np pa rt mrt frcp frcpc frcs "
    "frcsc ccfp facr facc esq"
)
TITLES: Final = frozenset(_TITLES.split())
"""Words beside a name that are no part of it. They are dropped only where another word remains."""

_PARTICLES = (
    "af al av abu bin binti bint ben da das de del dela delas della delos den der des di do dos du el fitz ibn la las "
    "le les los mac mc o saint sainte st ste ter ten van vander vande vanden vom von zu zum zur"
)
PARTICLES: Final = frozenset(_PARTICLES.split())
"""Words that lead a surname. They stay in :func:`name_tokens`: ``Van`` may be all there is of a name."""

_APOSTROPHES = "\u2018\u2019\u201b\u02bb\u02bc\u02bd\u02b9\u02c0\u02c1\u02c8\u2032\u00b4\u0060\u0294\u0295\u02be\u02bf\u0241\u0242\uff07"
_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe63\uff0d\u30fb"
_DROPPED = "\u00ad\u200b\u200c\u200d\u2060\ufeff\u02d0\u02d1\u00b7\ua78c\ua78b\u0640"

# Letters that Unicode does not decompose, after case folding. Where a letter has several customary transliterations
# the one that keeps the look wins (ɬ and ł both become l), because that is what a clerk's keyboard gives.
_LETTERS: Final[dict[str, str]] = {
    "ø": "o", "ɵ": "o", "ɔ": "o", "æ": "ae", "œ": "oe", "ß": "ss", "þ": "th", "ð": "d", "đ": "d", "ɖ": "d",
    "ł": "l", "ɬ": "l", "ɫ": "l", "ƚ": "l", "ⱡ": "l", "ƛ": "tl", "ħ": "h", "ı": "i", "ɨ": "i", "ŋ": "n", "ɲ": "n",
    "ŧ": "t", "ⱦ": "t", "ƭ": "t", "ⱥ": "a", "ȼ": "c", "ƈ": "c", "ꝁ": "k", "ꝃ": "k", "ƙ": "k", "ⱪ": "k", "ĸ": "k",
    "ƀ": "b", "ɓ": "b", "ɗ": "d", "ɇ": "e", "ə": "e", "ǝ": "e", "ɛ": "e", "ɣ": "g", "ɡ": "g", "ɢ": "g", "ǥ": "g",
    "ɉ": "j", "ɍ": "r", "ʉ": "u", "ʌ": "u", "ʋ": "v", "ɏ": "y", "ƴ": "y", "ƶ": "z", "ʒ": "z", "ʃ": "s", "ɩ": "i",
    "θ": "th", "χ": "x", "λ": "l", "ᶿ": "th", "ᵂ": "w",
}  # fmt: skip

_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STRIP_MARKS = re.compile(f"[{_MARKS}]+")
_SPACES = re.compile(r"\s+")
_GREEK = frozenset("θχλ")
_GREEK_LETTER = re.compile(r"[αβγδεζηικμνξοπρστυφψως]")

# Between letters, or before one, 7 is how typewriters wrote the glottal stop (Sḵwx̱wú7mesh) and a colon how they wrote
# length (Sto:lo). A 7 after a letter stays: T7 is a vertebra, READER7 is not READER8.
_GLOTTAL = re.compile(r"(?<![0-9])7(?=[^\W\d_])|(?<=[^\W\d_]):(?=[^\W\d_])")
_WORDS = re.compile(r"[^\W_]+")
_PARTICLE_PREFIX = re.compile(
    "(?:(?:" + "|".join(sorted(PARTICLES, key=lambda word: (-len(word), word))) + r")(?=[^\W\d_]{4}))+"
)
_FIRST_PARTICLES = tuple(_PARTICLES.split())
_PN_SUFFIX = 3
"""Index of the first PN component (prefix) that is no part of the name (PS3.5 section 6.2.1.1)."""


@cache
def _before() -> dict[int, str]:
    table = dict.fromkeys(map(ord, _APOSTROPHES), "'")
    table |= dict.fromkeys(map(ord, _HYPHENS), "-")
    table |= dict.fromkeys(map(ord, _DROPPED), "")
    return table


@cache
def _letters(*, greek: bool) -> dict[int, str]:
    return {ord(letter): ascii_ for letter, ascii_ in _LETTERS.items() if not (greek and letter in _GREEK)}


def fold(text: str) -> str:
    """Make ``text`` comparable: no case, no accents, plain apostrophes, hyphens and single spaces.

    Two texts that a reader takes for the same fold to the same string, whatever system typed them. Punctuation and
    digits stay in place, so patterns can still be looked for. The result may be shorter or longer than ``text``.

    Parameters
    ----------
    text
        Decoded text in any script.

    Returns
    -------
    str
        ASCII where ``text`` is Latin (with the letters of BC First Nations); other scripts in NFC, without marks.
    """
    return _SPACES.sub(" ", _fold_letters(text))


def _fold_letters(text: str) -> str:
    """:func:`fold` but for the spaces."""
    if text.isascii():
        return text.lower() if "`" not in text else text.lower().replace("`", "'")
    quick = text.translate(_latin())
    return quick.lower() if quick.isascii() else _fold_any(text)


def _fold_any(text: str) -> str:
    # Twice, because a compatibility letter may stand for capitals, and a folded letter for several.
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text.translate(_before()).casefold())
    text = _STRIP_MARKS.sub("", text.translate(_before()))
    text = text.translate(_letters(greek=_GREEK_LETTER.search(text) is not None))
    return unicodedata.normalize("NFC", text)


@cache
def _latin() -> dict[int, str]:
    """Whatever folds to ASCII letter by letter: the precomposed Latin letters, French to Vietnamese."""
    blocks = (*range(0x80, 0x250), *range(0x300, 0x370), *range(0x1E00, 0x1F00), *range(0x2010, 0x2020))
    folded = {code: _fold_any(chr(code)) for code in (*blocks, 0x60)}
    return {code: text for code, text in folded.items() if text.isascii()}


def to_ascii(text: str) -> str:
    """Spell Latin ``text`` in ASCII, case kept: ``Hélène`` becomes ``Helene``.

    For surrogates that go into an object whose character set is ASCII alone.
    """
    if text.isascii():
        return text
    plain = _STRIP_MARKS.sub("", unicodedata.normalize("NFKD", text.translate(_before())))
    return "".join(letter if letter.isascii() else _ascii_letter(letter) for letter in plain)


def _ascii_letter(letter: str) -> str:
    spelled = _LETTERS.get(letter.lower(), "")
    return spelled.capitalize() if letter.isupper() else spelled


def _words(folded: str) -> list[str]:
    if "'" in folded:
        folded = folded.replace("'", "")
    if "7" in folded or ":" in folded:
        folded = _GLOTTAL.sub("", folded)
    return _WORDS.findall(folded)


def _without_titles(words: list[str]) -> list[str]:
    kept = [word for word in words if word not in TITLES]
    return kept or words


def name_tokens(text: str) -> tuple[str, ...]:
    """Words of a name, folded, in order and without repetition.

    Components and groups of a PN (PS3.5 section 6.2.1) are separated; of its prefix and suffix components, and of
    words in :data:`TITLES` anywhere, nothing is kept while another word remains. Particles are kept: to leave ``de``
    out is the choice of whoever searches with the tokens.

    Parameters
    ----------
    text
        One or several values of VR PN, or a name in plain text.
    """
    words: list[str] = []
    for group in _fold_letters(text).replace("\\", "=").split("="):
        components = group.split("^")
        words += [word for part in components[:_PN_SUFFIX] for word in _words(part)]
    return tuple(dict.fromkeys(_without_titles(words)))


def part_key(part: str) -> str:
    """Key of a surname or a given name alone: its words joined, without a leading particle, umlauts spelled short.

    ``de la Cruz``, ``DELACRUZ`` and ``Cruz`` are equal, as are ``Müller``, ``Mueller`` and ``Muller``. A particle counts
    for nothing, apart or joined, as long as four letters remain, so ``Vance`` and ``Lee`` stay as they are. The key
    may merge a few different names (``Leblond``, ``Blond``); that costs a shared surrogate, never a leak.
    """
    return _part_key(_fold_letters(part))


def _part_key(folded: str) -> str:
    if folded.isalpha():
        return _squeeze(folded)
    words = _words(folded)
    if len(words) > 1:
        words = _without_titles(words)
    return _squeeze("".join(words))


def _squeeze(joined: str) -> str:
    if joined.startswith(_FIRST_PARTICLES):
        match = _PARTICLE_PREFIX.match(joined)
        if match:
            joined = joined[match.end() :]
    return joined.replace("ae", "a").replace("oe", "o").replace("ue", "u").replace("aa", "a")


def _given_words(folded: str) -> list[str]:
    """Words of a given name without titles and without the initials that follow the first word."""
    if folded.isalpha():
        return [folded]
    words = _words(folded)
    if len(words) > 1:
        words = _without_titles(words)
        words = words[:1] + [word for word in words[1:] if len(word) > 1]
    return words


def _split_text(folded: str) -> tuple[str, str]:
    """Surname and given name of a name without carets: ``doe, john`` or ``john van doe``."""
    surname, comma, given = folded.partition(",")
    if comma and _words(surname):
        return surname, given
    words = _without_titles([word for word in map("".join, map(_words, folded.split())) if word])
    words = [word for word in words if len(word) > 1] or words
    if len(words) < 2:
        return folded, ""
    start = len(words) - 1
    while start > 1 and words[start - 1] in PARTICLES:
        start -= 1
    return " ".join(words[start:]), " ".join(words[:start])


def first_group(value: str) -> str:
    """Choose the component group that stands for a PN value: alphabetic, else ideographic, else phonetic."""
    if "=" not in value:
        return value
    return next((group for group in value.split("=") if group.strip(" ^")), "")


def split_person(value: str) -> tuple[str, str, str]:
    """Folded surname, given name and middle name of one value of VR PN or of a name in plain text."""
    folded = _fold_letters(first_group(value)).strip(" \0")
    if "^" not in folded:
        return (*_split_text(folded), "")
    components = folded.split("^")
    return components[0], components[1], components[2] if len(components) > 2 else ""


def person_key(value: str) -> str:
    """Key of a whole name: surname and given name, each as :func:`part_key` gives it, in sorted order.

    Sorted, because clerks swap the two and plain text does not say which is which. Middle names, initials after the
    given name, prefix and suffix do not count: one system records them, the next does not.
    """
    surname, given, _ = split_person(value)
    return person_key_of(surname, given)


def person_key_of(surname: str, given: str) -> str:
    """Key of a whole name from its folded parts, as :func:`split_person` gives them."""
    first, second = _part_key(surname), _squeeze("".join(_given_words(given)))
    if not (first and second):
        return first or second
    return f"{first}^{second}" if first <= second else f"{second}^{first}"


def text_key(text: str) -> str:
    """Key of any other text, such as a place or an institution: its folded letters and digits alone."""
    return "".join(_words(_fold_letters(text)))
