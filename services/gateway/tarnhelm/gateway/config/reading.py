"""From one YAML file to settings: every mistake at once, each with its place and what would be right.

Settings are frozen dataclasses of plain types; this module knows none of them by name. Unknown keys are errors, for a
misspelt bound is a bound that does not hold. Nothing of a value is ever quoted: a secret may stand where none should.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ConfigError", "ConfigProblem", "parse_config", "schema_of"]

T = TypeVar("T")
_MOST_BYTES: Final = 1 << 20
_MOST_DEPTH: Final = 24
_LIKENESS: Final = 0.6

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake.

    Attributes
    ----------
    line, column
        Counted from 1; 0 where the file as a whole is meant.
    where
        The keys that lead to it, as ``doors.dicom[0].port``.
    message
        What is wrong and what would be right; no value.
    """

    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return f"{place}{self.where}{': ' if self.where else ''}{self.message}"


class ConfigError(TarnhelmError):
    """The configuration cannot be used; ``problems`` holds all its mistakes in the order of the file."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(errors.BAD_CONFIG, seen=len(self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return (ConfigError, (self.problems,))


def parse_config(text: str, model: type[T], base: Path) -> T:
    """Read a configuration.

    Parameters
    ----------
    text
        YAML 1.1 as PyYAML reads it safely; anchors are allowed, tags that make objects are not.
    model
        A frozen dataclass.
    base
        Folder to which relative paths are relative: that of the file.

    Raises
    ------
    ConfigError
        ``CFG-001`` with every mistake.
    """
    tree = _Tree(text)
    problems: list[ConfigProblem] = []
    fitted = _fit(tree.data, model, (), base, tree, problems)
    if not problems:
        try:
            return TypeAdapter(model).validate_python(fitted)
        except ValidationError as error:
            problems.extend(_problem_of(found, tree) for found in error.errors(include_url=False, include_input=False))
        except OSError:
            problems.append(ConfigProblem(0, 0, "", "a file that it names cannot be read"))
    raise ConfigError(sorted(set(problems), key=lambda one: (one.line, one.column, one.where)))


def schema_of(model: type[Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a configuration, for editors; other keys than those that it names are refused."""
    schema = TypeAdapter(model).json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class _Tree:
    """The file as plain data, and where each key of it stands."""

    def __init__(self, text: str) -> None:
        if len(text) > _MOST_BYTES:
            raise ConfigError([ConfigProblem(0, 0, "", "it is larger than 1 MiB")])
        self.marks: dict[Place, tuple[int, int]] = {}
        self._twice: list[ConfigProblem] = []
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data = {} if node is None else self._data(node, ())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
            raise ConfigError([ConfigProblem(line, column, "", "it is not YAML from here on")]) from None
        if self._twice:
            raise ConfigError(self._twice)

    def at(self, place: Place) -> tuple[int, int]:
        """Line and column of a key, or of the nearest one above it."""
        while place not in self.marks and place:
            place = place[:-1]
        return self.marks.get(place, (0, 0))

    def problem(self, place: Place, message: str) -> ConfigProblem:
        """Make a problem of what stands at a place."""
        return ConfigProblem(*self.at(place), _written(place), message)

    def _data(self, node: yaml.Node, place: Place) -> Any:
        self.marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
        if len(place) > _MOST_DEPTH:
            raise ConfigError([self.problem(place, "it is nested too deep")])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._data(one, (*place, number)) for number, one in enumerate(node.value)]
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node)
        finally:
            loader.dispose()

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            there = (*place, name)
            self.marks[there] = (key.start_mark.line + 1, key.start_mark.column + 1)
            if name in found:
                self._twice.append(self.problem(there, "it stands twice"))
            found[name] = self._data(value, there)
        return found


def _fit(data: Any, hint: Any, place: Place, base: Path, tree: _Tree, problems: list[ConfigProblem]) -> Any:
    """Name unknown keys, and make relative paths absolute; types are pydantic's matter."""
    if hint is Path:
        return str(base / data) if isinstance(data, str) and data else data
    if _is_settings(hint):
        return _fit_settings(data, hint, place, base, tree, problems)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [one for one in arguments if one is not type(None)]
        if data is None or len(inner) != 1:
            return data
        return _fit(data, inner[0], place, base, tree, problems)
    if isinstance(data, list) and arguments and origin in (tuple, list, frozenset, set):
        return [_fit(one, arguments[0], (*place, number), base, tree, problems) for number, one in enumerate(data)]
    if isinstance(data, dict) and len(arguments) == 2 and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _fit(one, arguments[1], (*place, key), base, tree, problems) for key, one in data.items()}
    return data


def _fit_settings(
    data: Any, model: Any, place: Place, base: Path, tree: _Tree, problems: list[ConfigProblem]
) -> dict[str, Any] | Any:
    if data is None:
        data = {}  # a section whose every key is commented out
    if not isinstance(data, dict):
        problems.append(tree.problem(place, "it must be a section with keys of its own"))
        return data
    hints = get_type_hints(model)
    known = [field.name for field in dataclasses.fields(model) if field.init]
    fitted: dict[str, Any] = {}
    for key, value in data.items():
        if key in known:
            fitted[key] = _fit(value, hints[key], (*place, key), base, tree, problems)
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=_LIKENESS)
        advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
        problems.append(tree.problem((*place, key), f"it is no key of this section; {advice}"))
    return fitted


def _is_settings(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint) and not is_pydantic_dataclass(hint)


def _problem_of(found: Any, tree: _Tree) -> ConfigProblem:
    place = tuple(_steps(found["loc"], tree))
    message = "it is missing" if found["type"] in ("missing", "missing_argument") else _lowered(found["msg"])
    return tree.problem(place, message)


def _steps(location: tuple[str | int, ...], tree: _Tree) -> Iterator[str | int]:
    """Leave out what pydantic adds to a location: the names of the alternatives of a union."""
    place: Place = ()
    for number, step in enumerate(location):
        if (*place, step) in tree.marks or number == len(location) - 1:
            place = (*place, step)
            yield step


def _lowered(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:] if text[:2].istitle() else text


def _written(place: Place) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
