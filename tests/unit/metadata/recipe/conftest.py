"""Keys of elements and a stand-in for the keys of a run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tarnhelm.metadata.core.recipe import ElementKey, PathStep
from tarnhelm.metadata.core.recipe.dates import move_dates
from tarnhelm.metadata.core.recipe.names import describe_tag, find_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TAG = re.compile(r'\(([0-9A-Fa-f]{4}),(?:"([^"]*)",)?([0-9A-Fa-f]{4})\)')


def element_key(text: str, vr: str = "") -> ElementKey:
    """``Keyword``, ``(gggg,eeee)``, ``(gggg,"CREATOR",eeee)``, or several with ``/``."""
    steps = []
    for part in re.findall(r"\([^)]*\)|[^/]+", text):
        tag = _TAG.fullmatch(part)
        if tag:
            steps.append(PathStep(int(tag[1] + tag[3], 16), tag[2]))
        else:
            row = find_by_name(part)
            assert row is not None, part
            steps.append(PathStep(row.value))
    row = describe_tag(steps[-1].tag)
    return ElementKey(tuple(steps), vr or (row.vr if row else "LO"))


@dataclass
class KeyedContext:
    """One element; surrogates show what they were asked for."""

    value: str = ""
    vr: str = "LO"
    tag: int = 0x00100020
    fields: dict[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def field(self, keyword: str) -> str:
        return self.fields.get(keyword, "")

    def pseudo(self, cls: str, value: str, parameters: Mapping[str, str]) -> str:
        return f"{cls}({value}){dict(parameters) or ''}"

    def uid(self, value: str) -> str:
        return f"2.25.{int.from_bytes(hashlib.sha256(value.encode()).digest()[:16], 'big')}"

    def shift(self, value: str, vr: str) -> str:
        return move_dates(value, vr, -70) or ""


@pytest.fixture
def key() -> Callable[..., ElementKey]:
    return element_key


@pytest.fixture
def context() -> type[KeyedContext]:
    return KeyedContext
