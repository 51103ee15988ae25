"""From the text of a recipe to a :class:`Recipe`, or to all its mistakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core.recipe.attributes import AttributeReader
from tarnhelm.metadata.core.recipe.filter_section import LabelReader
from tarnhelm.metadata.core.recipe.filters import Filter, FilterLabel
from tarnhelm.metadata.core.recipe.groups import FieldGroup, GroupReader, ValueGroup, ValueSource
from tarnhelm.metadata.core.recipe.header_section import HeaderReader
from tarnhelm.metadata.core.recipe.lines import Cursor, read_lines, unquote
from tarnhelm.metadata.core.recipe.problems import ProblemList, RecipeError, RecipeProblem, split_lines
from tarnhelm.metadata.core.recipe.recipe import Recipe
from tarnhelm.metadata.core.recipe.rules import Label, Rule
from tarnhelm.metadata.core.recipe.vocabulary import PSEUDO_CLASSES, SECTIONS, ActionName, ClassCatalogue

if TYPE_CHECKING:
    from tarnhelm.metadata.core.recipe.selectors import Selector

__all__ = ["MAX_RECIPE_CHARACTERS", "parse_recipe"]

MAX_RECIPE_CHARACTERS: Final = 1_000_000
"""deid's largest recipe has 24,000."""
_MAX_LINE: Final = 4000
_NAMED: Final = frozenset({"filter", "values", "fields"})


@dataclass(slots=True)
class _Section:
    kind: str
    name: str
    lines: list[Cursor] = field(default_factory=list)


def parse_recipe(text: str, name: str = "recipe", *, classes: ClassCatalogue = PSEUDO_CLASSES) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    text
        In deid's grammar with PSEUDO; LF, CR LF or CR; a byte order mark may lead it.
    name
        For messages and ``Rule.source``.
    classes
        PSEUDO classes and their parameters.

    Raises
    ------
    RecipeError
        With every mistake of the file.
    """
    problems = ProblemList()
    if len(text) > MAX_RECIPE_CHARACTERS:
        raise RecipeError(
            [RecipeProblem(1, 1, "the recipe is too long", f"up to {MAX_RECIPE_CHARACTERS:,} characters")]
        )
    lines = split_lines(text)
    sections = _Divider(problems).divide(_checked(lines, problems))
    recipe = _Reader(problems, name, classes).read(sections)
    if problems.errors:
        raise RecipeError(sorted(problems.errors, key=lambda problem: (problem.line, problem.column)))
    return recipe


def _checked(lines: list[str], problems: ProblemList) -> list[Cursor]:
    good = []
    for cursor in read_lines(lines):
        if len(cursor.text) > _MAX_LINE:
            problems.error(cursor.place(_MAX_LINE), "the line is too long", f"up to {_MAX_LINE:,} characters")
        elif (at := next((at for at, char in enumerate(cursor.text) if _is_control(char)), -1)) >= 0:
            problems.error(cursor.place(at), "a control character stands in the line", "text")
        else:
            good.append(cursor)
    return good


def _is_control(char: str) -> bool:
    return (char < " " and char != "\t") or char == "\x7f"


@dataclass(slots=True)
class _Divider:
    """Cuts the lines into sections."""

    problems: ProblemList
    sections: list[_Section] = field(default_factory=list)
    formats: int = 0

    def divide(self, lines: list[Cursor]) -> list[_Section]:
        stray = False
        for cursor in lines:
            if cursor.text[0] == "%":
                self._open(cursor)
            elif cursor.text[:6].upper() == "FORMAT" and cursor.text[6:7] in {"", " ", "\t"}:
                self._format(cursor)
            elif self.sections:
                self.sections[-1].lines.append(cursor)
            elif not stray:
                stray = True
                self._stray(cursor)
        if lines and not self.formats:
            self.problems.warn((1, 1), "the recipe does not say what it is for", "FORMAT dicom in the first line")
        return self.sections

    def _stray(self, cursor: Cursor) -> None:
        word = cursor.word()
        near = "FORMAT" if self.problems.suggest(word.text, ["FORMAT"]) else ""
        self.problems.error(
            word.place, "this line stands before the first section", "FORMAT dicom or a section such as %header", near
        )

    def _format(self, cursor: Cursor) -> None:
        self.formats += 1
        cursor.word()
        value = cursor.rest()
        if value.text.lower() != "dicom":
            near = self.problems.suggest(value.text, ["dicom"]) if value.text else ""
            self.problems.error(value.place, "a recipe is for DICOM", "FORMAT dicom", near)
        elif self.formats > 1 or self.sections:
            self.problems.warn(cursor.place(0), "FORMAT stands once, in the first line")

    def _open(self, cursor: Cursor) -> None:
        cursor.at = 1
        word = cursor.word()
        kind, name = word.text.lower(), cursor.rest()
        if kind not in SECTIONS:
            near = self.problems.suggest(word.text, SECTIONS, cutoff=0.5)
            expected = ", ".join("%" + section for section in SECTIONS)
            self.problems.error(cursor.place(0), f"'%{word.text[:60]}' is no section", expected, near and "%" + near)
            kind = ""
        elif kind in _NAMED and not name.text:
            self.problems.error(name.place, f"a %{kind} section has a name", f"%{kind} NAME")
        elif kind not in _NAMED and name.text:
            self.problems.error(name.place, f"%{kind} takes no name", "the end of the line")
        self.sections.append(_Section(kind, " ".join(name.text.split())))


@dataclass(slots=True)
class _Reader:
    """Reads the sections: groups first, because rules refer to them wherever they stand."""

    problems: ProblemList
    name: str
    classes: ClassCatalogue

    def read(self, sections: list[_Section]) -> Recipe:
        bare = AttributeReader(self.problems, {})
        fields = self._fields(sections, bare)
        values = self._values(sections, bare)
        attributes = AttributeReader(self.problems, fields, frozenset(values))
        return Recipe(
            name=self.name,
            header_rules=self._header(sections, attributes),
            value_groups=tuple(ValueGroup(name, tuple(sources)) for name, sources in values.items()),
            field_groups=tuple(FieldGroup(name, members) for name, members in fields.items()),
            filters=self._filters(sections, attributes),
            labels=self._labels(sections),
            warnings=tuple(sorted(self.problems.warnings, key=lambda problem: (problem.line, problem.column))),
        )

    def _fields(self, sections: list[_Section], attributes: AttributeReader) -> dict[str, tuple[Selector, ...]]:
        reader = GroupReader(self.problems, attributes)
        groups: dict[str, list[Selector]] = {}
        for section in _of_kind(sections, "fields"):
            members = groups.setdefault(section.name, [])
            members += [member for cursor in section.lines if (member := reader.field_member(cursor)) is not None]
        return {name: tuple(members) for name, members in groups.items()}

    def _values(self, sections: list[_Section], attributes: AttributeReader) -> dict[str, list[ValueSource]]:
        reader = GroupReader(self.problems, attributes)
        groups: dict[str, list[ValueSource]] = {}
        for section in _of_kind(sections, "values"):
            sources = groups.setdefault(section.name, [])
            sources += [source for cursor in section.lines if (source := reader.value_source(cursor)) is not None]
        return groups

    def _header(self, sections: list[_Section], attributes: AttributeReader) -> tuple[Rule, ...]:
        reader = HeaderReader(self.problems, attributes, self.classes, self.name)
        lines = (cursor for section in _of_kind(sections, "header") for cursor in section.lines)
        return tuple(rule for cursor in lines if (rule := reader.read(cursor)) is not None)

    def _filters(self, sections: list[_Section], attributes: AttributeReader) -> tuple[Filter, ...]:
        found: dict[str, list[FilterLabel]] = {}
        for section in _of_kind(sections, "filter"):
            found.setdefault(section.name, []).extend(self._filter_labels(section, attributes))
        return tuple(Filter(name, tuple(labels)) for name, labels in found.items())

    def _filter_labels(self, section: _Section, attributes: AttributeReader) -> list[FilterLabel]:
        readers: list[LabelReader] = []
        for cursor in section.lines:
            word = cursor.word()
            if word.text.upper() == "LABEL":
                text = " ".join(cursor.rest().text.split())
                readers.append(LabelReader(self.problems, attributes, text, word.place))
            elif readers:
                cursor.at = 0
                readers[-1].read(cursor)
            else:
                self.problems.error(word.place, "a filter begins with a LABEL", "LABEL and a name")
        return [label for reader in readers if (label := reader.finish()) is not None]

    def _labels(self, sections: list[_Section]) -> tuple[Label, ...]:
        labels = []
        for section in _of_kind(sections, "labels"):
            for cursor in section.lines:
                label = self._label(cursor)
                if label is not None:
                    labels.append(label)
        return tuple(labels)

    def _label(self, cursor: Cursor) -> Label | None:
        word = cursor.word()
        if word.text.upper() not in set(ActionName):
            near = self.problems.suggest(word.text, ActionName, cutoff=0.5)
            self.problems.error(word.place, f"'{word.text[:60]}' is no action", ", ".join(ActionName), near)
            return None
        if cursor.done:
            self.problems.error(cursor.place(), "a label has a name", "a word")
            return None
        name, value = cursor.word(), cursor.rest()
        quoted = unquote(value.text)
        return Label(ActionName(word.text.upper()), name.text, value.text if quoted is None else quoted)


def _of_kind(sections: list[_Section], kind: str) -> list[_Section]:
    return [section for section in sections if section.kind == kind]
