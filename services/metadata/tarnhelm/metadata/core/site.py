r"""What a site adds to the cleaning of texts: the form of its record numbers, and useful words of its own.

A site file is a small YAML document::

    record_numbers:
      - 'VGH-?\d{7}'
    words:
      - quickspin

Its expressions run over texts out of files that nobody vouches for, so only such are taken whose time is bounded: no
repetition without an upper end, few ways to lay a match out.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from tarnhelm.common.errors import BAD_SITE, TarnhelmError
from tarnhelm.common.ids import canonical_digest
from tarnhelm.metadata.core.recipe.extent import extent_of
from tarnhelm.metadata.core.recipe.pattern import PatternError
from tarnhelm.metadata.core.recipe.problems import ProblemList, RecipeProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MAX_SITE_BYTES", "NO_SITE", "Site", "SiteError", "parse_site", "site_of"]

MAX_SITE_BYTES: Final = 256 * 1024
_NUMBERS, _WORDS = "record_numbers", "words"
_KEYS: Final = (_NUMBERS, _WORDS)
_MOST_NUMBERS: Final = 50
_MOST_WORDS: Final = 5_000
_LONGEST_TEXT: Final = 200
_SHORTEST_MATCH, _LONGEST_MATCH, _MOST_WAYS = 3, 64, 256
_EDGE: Final = r"\b"
_WORD: Final = re.compile(r"[^\W_](?:[^\W_]|[-'.]){1,39}")


@dataclass(frozen=True, slots=True)
class Site:
    """A site's own rules for texts; compare by ``digest``.

    Attributes
    ----------
    record_numbers
        Regular expressions; case does not count.
    words
        May stay in cleaned texts.
    """

    record_numbers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """Canonical JSON, as a project keeps it; empty for a site that adds nothing."""
        if not (self.record_numbers or self.words):
            return ""
        return json.dumps({_NUMBERS: self.record_numbers, _WORDS: self.words}, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """sha256 (hex) that a project pins; empty for a site that adds nothing."""
        return canonical_digest([self.record_numbers, self.words]) if self.document else ""


NO_SITE: Final = Site()


class SiteError(TarnhelmError):
    """The site file cannot be used; ``problems`` holds all its mistakes in the order of the file."""

    def __init__(self, problems: Iterable[RecipeProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(BAD_SITE, seen=len(self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return (SiteError, (self.problems,))


def site_of(document: str) -> Site:
    """Return the site of a project's document (see :attr:`Site.document`); it is checked again.

    Raises
    ------
    SiteError
        ``RUN-016``: somebody wrote it by hand.
    """
    return parse_site(document) if document else NO_SITE


def parse_site(text: str) -> Site:
    """Read a site file.

    Raises
    ------
    SiteError
        ``RUN-016`` with every mistake: line, column, what is wrong, a suggestion.
    """
    problems = ProblemList()
    found: dict[str, list[str]] = {key: [] for key in _KEYS}
    for key, value in _entries(text, problems):
        name = str(key.value)
        if name not in _KEYS:
            problems.error(_place(key), f"{name[:40]} is no key", _one_of(_KEYS), problems.suggest(name, _KEYS, 0.5))
        elif found[name]:
            problems.error(_place(key), f"{name} stands twice", "one list for each key")
        elif name == _NUMBERS:
            found[name] = _list(value, problems, _MOST_NUMBERS, _number_fault)
        else:
            found[name] = _list(value, problems, _MOST_WORDS, _word_fault)
    if problems.errors:
        raise SiteError(sorted(problems.errors, key=lambda one: (one.line, one.column)))
    # A list in another order says the same.
    return Site(*(tuple(sorted(set(found[key]))) for key in _KEYS))


def _entries(text: str, problems: ProblemList) -> list[tuple[Any, Any]]:
    """Key and value nodes of the document; what YAML itself does not read is a problem."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SITE_BYTES:
        problems.error((1, 1), f"longer than {MAX_SITE_BYTES >> 10} KiB", "a short list")
        return []
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            problems.error((1, 1), "an alias (*name) stands in it", "plain lists")
            return []
        root = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as fault:
        mark = getattr(fault, "problem_mark", None)
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problems.error(place, "this is not YAML", "lines such as `words:` and `  - quickspin`")
        return []
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        problems.error(_place(root), "the file is not made of keys", _one_of(_KEYS))
        return []
    return list(root.value)


def _list(
    node: Any, problems: ProblemList, most: int, fault: Callable[[str], tuple[int, str, str] | None]
) -> list[str]:
    """Read a list of texts, each checked by ``fault``, which gives offset, message and suggestion."""
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return []
    if not isinstance(node, yaml.SequenceNode):
        problems.error(_place(node), "this is no list", "each entry on a line of its own, behind a hyphen")
        return []
    if len(node.value) > most:
        problems.error(_place(node), f"the list has {len(node.value):,} entries", f"{most:,} at most")
        return []
    texts = []
    for entry in node.value:
        if not isinstance(entry, yaml.ScalarNode):
            problems.error(_place(entry), "this is no text", "a text, best in single quotes")
            continue
        wrong = fault(entry.value)
        if wrong is not None:
            offset, message, suggestion = wrong
            line, column = _place(entry)
            # Behind an opening quote; in double quotes a backslash counts twice, so only the entry is pointed at.
            shift = offset + 1 if entry.style == "'" else offset if entry.style is None else 0
            problems.error((line, column + shift), message, suggestion)
        texts.append(entry.value)
    return texts


def _number_fault(text: str) -> tuple[int, str, str] | None:
    """Say what is wrong with the expression of a record number."""
    if not text or len(text) > _LONGEST_TEXT:
        return 0, "the expression is empty or too long", f"1 to {_LONGEST_TEXT} characters"
    body, skipped = text, 0
    if body.startswith(_EDGE):
        body, skipped = body[2:], 2
    if body.endswith(_EDGE) and not body.endswith("\\" + _EDGE):
        body = body[:-2]
    loose = body.find("{,")
    if loose >= 0:
        return skipped + loose, "a repetition without a lower end", "{0,3}, for example"
    try:
        extent = extent_of(body)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(text, re.IGNORECASE)
    except PatternError as error:
        endless = "upper end" in str(error)
        return skipped + error.offset, str(error), r"\d{1,10} instead of \d+, for example" if endless else ""
    except (re.error, Warning, OverflowError):
        return 0, "the expression cannot be read", r"letters, digits, \d, [A-Z], ( | ) and {m,n}"
    if extent.longest > _LONGEST_MATCH or extent.ways > _MOST_WAYS:
        return 0, "the expression matches too much in too many ways", "one fixed form for each entry"
    if extent.shortest < _SHORTEST_MATCH:
        return 0, f"it would take out fewer than {_SHORTEST_MATCH} characters", "the whole number, with its prefix"
    return None


def _word_fault(text: str) -> tuple[int, str, str] | None:
    if _WORD.fullmatch(text) and any(map(str.isalpha, text)):
        return None
    return 0, "this is no word", "one word of 2 to 40 letters and digits in each entry"


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _one_of(words: Iterable[str]) -> str:
    return " or ".join(words)
