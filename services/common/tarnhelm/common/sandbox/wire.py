"""Strict messages out of a worker: JSON of known dataclasses, never a pickle.

A worker parses hostile files, so its words are data. ``pickle`` runs whatever it is told to run; here a
message can only become the dataclass the reader expects, each field of exactly the annotated type.

A message is lines of JSON. The first line holds the fields in order; each ``Mapping`` field has a line of
its own, because the same mapping comes back for nearly every object of a series and its decoded form can
then be taken from a small cache.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import operator
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

__all__ = ["Codec", "WireError"]

T = TypeVar("T")
_CACHED_LINES = 64
_WORTH_KEEPING = 8
_CACHED_LINE_BYTES = 64 * 1024
_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
_loads = json.JSONDecoder().decode
_MALFORMED = (ValueError, TypeError, KeyError, RecursionError, OverflowError)  # a WireError is a ValueError


class WireError(ValueError):
    """A message is not what its reader expects; holds nothing of the message."""


_Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _exactly(kind: type) -> _Convert:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise WireError
        return value

    return check


def _number(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise WireError


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise WireError
    return value


def _plan(hint: Any) -> tuple[_Convert, _Convert]:
    """Pair of functions for one annotation: to JSON, and strictly back."""
    if hint in (str, int, bool):
        return _same, _exactly(hint)
    if hint is float:
        return _same, _number
    if hint is bytes:
        unhex = _exactly(str)
        return bytes.hex, lambda value: bytes.fromhex(unhex(value))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value: value.value, hint
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _plan_dataclass(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        return _plan_optional(args)
    if origin is tuple:
        return _plan_tuple(args)
    if origin is frozenset:
        to_item, from_item = _plan(args[0])
        return (
            lambda value: sorted(to_item(item) for item in value),
            lambda value: frozenset(from_item(item) for item in _list(value)),
        )
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _plan_mapping(args)
    raise TypeError(f"no strict form for {hint!r}")


def _plan_optional(args: tuple[Any, ...]) -> tuple[_Convert, _Convert]:
    kinds = [arg for arg in args if arg is not type(None)]
    if len(kinds) != 1 or len(args) != 2:
        raise TypeError("only X | None has a strict form")
    to_item, from_item = _plan(kinds[0])
    return (
        lambda value: None if value is None else to_item(value),
        lambda value: None if value is None else from_item(value),
    )


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """Read pairs of texts, many at once: checked as a whole, because a check for each costs more than the reading."""
    if type(value) is not list or not {*map(type, value)} <= {list} or not {*map(len, value)} <= {2}:
        raise WireError
    if not {*map(type, itertools.chain.from_iterable(value))} <= {str}:
        raise WireError
    return tuple(map(tuple, value))


def _plan_tuple(args: tuple[Any, ...]) -> tuple[_Convert, _Convert]:
    if len(args) == 2 and args[1] is Ellipsis:
        if args[0] == tuple[str, str]:
            return list, _pairs
        to_item, from_item = _plan(args[0])
        if args[0] is str:

            def strings(value: Any) -> tuple[str, ...]:
                if type(value) is not list or not {*map(type, value)} <= {str}:
                    raise WireError
                return tuple(value)

            return _same, strings
        return (
            lambda value: [to_item(item) for item in value],
            lambda value: tuple(from_item(item) for item in _list(value)),
        )
    pairs = [_plan(arg) for arg in args]
    writers, readers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(readers):
            raise WireError
        return tuple(reader(item) for reader, item in zip(readers, value, strict=True))

    if all(arg in (str, int, bool, float) for arg in args):
        return _same, read
    return lambda value: [writer(item) for writer, item in zip(writers, value, strict=True)], read


def _plan_mapping(args: tuple[Any, ...]) -> tuple[_Convert, _Convert]:
    to_key, from_key = _plan(args[0])
    to_value, from_value = _plan(args[1])
    plain = to_key is _same and to_value is _same

    def write(value: Mapping[Any, Any]) -> Any:
        if plain:
            return [*value.items()]
        return [[to_key(key), to_value(item)] for key, item in value.items()]

    def read(value: Any) -> dict[Any, Any]:
        return {from_key(key): from_value(item) for key, item in _list(value)}

    return write, read


def _plan_dataclass(cls: type) -> tuple[_Convert, _Convert]:
    fields = _Fields([(field.name, typing.get_type_hints(cls)[field.name]) for field in dataclasses.fields(cls)])

    def write(value: Any) -> list[Any]:
        if type(value) is not cls:
            raise TypeError(f"expected {cls.__name__}")
        return fields.write(value)

    def read(value: Any) -> Any:
        return cls(*fields.read(value))

    return write, read


class _Fields:
    """The fields of one dataclass: the plain ones are checked in one comparison, the others one by one."""

    def __init__(self, fields: list[tuple[str, Any]]) -> None:
        self.names = [name for name, _ in fields]
        self._get = operator.attrgetter(*self.names) if len(fields) > 1 else lambda one: (getattr(one, self.names[0]),)
        self._kinds = [hint if hint in (str, int, bool) else None for _, hint in fields]
        self._odd = [(place, *_plan(hint)) for place, (_, hint) in enumerate(fields) if self._kinds[place] is None]

    def write(self, value: Any) -> list[Any]:
        items = [*self._get(value)]
        for place, to_json, _ in self._odd:
            items[place] = to_json(items[place])
        return items

    def read(self, items: Any) -> list[Any]:
        if type(items) is not list or len(items) != len(self._kinds):
            raise WireError
        kinds: list[Any] = [*map(type, items)]
        for place, _, from_json in self._odd:
            items[place] = from_json(items[place])
            kinds[place] = None
        if kinds != self._kinds:
            raise WireError
        return items


class Codec(Generic[T]):
    """Turns one dataclass into bytes and strictly back.

    Fields may be ``str int float bool bytes``, enums, dataclasses, ``X | None``, ``tuple``, ``frozenset`` and
    ``Mapping`` of these. A mapping may be shared between messages: it is not to be changed once it is in one.

    Parameters
    ----------
    cls
        The dataclass; its positional constructor takes the fields in order.
    """

    def __init__(self, cls: type[T]) -> None:
        hints = typing.get_type_hints(cls)
        self._cls = cls
        heads: list[tuple[str, Any]] = []
        self._lines: list[tuple[str, _Convert, _Convert]] = []
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            hint = hints[field.name]
            origin = typing.get_origin(hint)
            if isinstance(origin, type) and issubclass(origin, Mapping):
                self._lines.append((field.name, *_plan(hint)))
            else:
                heads.append((field.name, hint))
        self._heads = _Fields(heads)
        order = [*self._heads.names, *(name for name, _, _ in self._lines)]
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        self._order = [order.index(name) for name in names]
        self._read_cache: dict[tuple[int, bytes], Any] = {}
        self._write_cache: dict[int, tuple[Any, bytes]] = {}

    def encode(self, value: T) -> bytes:
        """Bytes of ``value``; raises TypeError for another type."""
        head, mappings = self.split(value)
        return b"\n".join([head, *(self.line(place, mapping) for place, mapping in enumerate(mappings))])

    def decode(self, data: bytes) -> T:
        """Return the dataclass in ``data``; raises WireError for anything that is not exactly one."""
        head, *lines = data.split(b"\n")
        if len(lines) != len(self._lines):
            raise WireError
        return self.join(head, [self._cached(place, line) for place, line in enumerate(lines)])

    def split(self, value: T) -> tuple[bytes, list[Any]]:
        """Return the first line and the mappings behind it, for whoever keeps a mapping once for many values."""
        if type(value) is not self._cls:
            raise TypeError(f"expected {self._cls.__name__}")
        head = _dumps(self._heads.write(value)).encode("utf-8", "surrogatepass")
        return head, [getattr(value, name) for name, _, _ in self._lines]

    def join(self, head: bytes, mappings: list[Any]) -> T:
        """Return the dataclass of a first line and its mappings; raises WireError."""
        try:
            items = self._heads.read(_loads(head.decode("utf-8", "surrogatepass"))) + mappings
            return self._cls(*[items[place] for place in self._order])
        except _MALFORMED:
            raise WireError from None

    def line(self, place: int, mapping: Any) -> bytes:
        """Bytes of the mapping at ``place`` among the mappings; one that comes again is known by its identity."""
        if len(mapping) < _WORTH_KEEPING:
            return self._line(place, mapping)
        known = self._write_cache.get(id(mapping))
        if known is not None and known[0] is mapping:
            return known[1]
        made = self._line(place, mapping)
        if len(self._write_cache) >= _CACHED_LINES:
            self._write_cache.clear()
        self._write_cache[id(mapping)] = mapping, made
        return made

    def _line(self, place: int, mapping: Any) -> bytes:
        return _dumps(self._lines[place][1](mapping)).encode("utf-8", "surrogatepass")

    def mapping(self, place: int, line: bytes) -> Any:
        """Return the mapping in a line; raises WireError."""
        try:
            return self._lines[place][2](_loads(line.decode("utf-8", "surrogatepass")))
        except _MALFORMED:
            raise WireError from None

    def _cached(self, place: int, line: bytes) -> Any:
        key = (place, line)
        try:
            return self._read_cache[key]
        except KeyError:
            pass
        value = self.mapping(place, line)
        if len(line) <= _CACHED_LINE_BYTES:
            if len(self._read_cache) >= _CACHED_LINES:
                self._read_cache.clear()
            self._read_cache[key] = value
        return value
