"""One YAML file into frozen settings: all mistakes at once, each with its place, none with its value."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.gateway.config.reading import ConfigError, parse_config, schema_of

BASE = Path("/etc/tarnhelm")


@dataclass(frozen=True, slots=True)
class Inner:
    port: int
    key_file: Path | None = None
    titles: tuple[str, ...] = ()

    def __post_init__(self):
        if not 0 < self.port < 65536:
            raise ValueError("a port lies between 1 and 65535")


@dataclass(frozen=True, slots=True)
class Outer:
    folder: Path
    doors: tuple[Inner, ...] = ()
    named: Mapping[str, Inner] = field(default_factory=dict)
    one: Inner | None = None
    share: float = 0.5


def problems(text, model=Outer):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, model, BASE)
    assert caught.value.code == "CFG-001"
    return [str(one) for one in caught.value.problems]


def test_a_whole_file():
    text = "folder: state\ndoors:\n- {port: 1, key_file: keys/a.pem}\n- port: 2\n  titles: [A, B]\nnamed:\n  x: {port: 3}\nshare: 1\n"
    assert parse_config(text, Outer, BASE) == Outer(
        BASE / "state", (Inner(1, BASE / "keys/a.pem"), Inner(2, titles=("A", "B"))), {"x": Inner(3)}, share=1.0
    )
    assert parse_config("folder: /var/lib/x\none: {port: 5, key_file: }\n", Outer, BASE) == Outer(
        Path("/var/lib/x"), one=Inner(5)
    )


def test_all_mistakes_of_one_kind_are_told_at_once_with_their_places():
    assert problems("foldr: a\ndoors:\n- prot: 1\n- port: 2\n  keyfile: x\n  zzz: 1\n") == [
        "line 1, column 1: foldr: it is no key of this section; did you mean folder?",
        "line 3, column 3: doors[0].prot: it is no key of this section; did you mean port?",
        "line 5, column 3: doors[1].keyfile: it is no key of this section; did you mean key_file?",
        "line 6, column 3: doors[1].zzz: it is no key of this section; known here: key_file, port, titles",
    ]
    assert problems("doors:\n- port: many\n- port: 70000\nshare: x\n") == [
        "line 1, column 1: folder: it is missing",
        "line 2, column 3: doors[0].port: input should be a valid integer, unable to parse string as an integer",
        "line 3, column 3: doors[1]: a port lies between 1 and 65535",
        "line 4, column 1: share: input should be a valid number, unable to parse string as a number",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\n", "line 2, column 1: it is not YAML from here on"),
        ("folder: a\nfolder: b\n", "line 2, column 1: folder: it stands twice"),
        ("- 1\n", "line 1, column 1: it must be a section with keys of its own"),
        ("folder: !!python/object/apply:os.system [x]\n", None),
        ("folder: " + "[" * 40 + "]" * 40, None),
        ("x" * (1 << 21), "it is larger than 1 MiB"),
        ("folder: x\none: 7\n", "line 2, column 1: one: it must be a section with keys of its own"),
    ],
)
def test_what_is_no_configuration(text, expected):
    found = problems(text)
    assert expected is None or found == [expected]


def test_an_empty_file_and_an_empty_section():
    assert problems("# nothing yet\n") == ["folder: it is missing"]
    assert parse_config("folder: x\none:\n", Outer, BASE).one is None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with suppress(ConfigError):
        assert isinstance(parse_config(text, Outer, BASE), Outer)


def test_no_value_is_quoted():
    planted = "hunter2-hunter2"
    text = f"folder: [{planted}]\ndoors: {{{planted}x: 1}}\nshare: {planted}\none: {{port: {planted}, titles: {planted}}}\n"
    assert planted not in " ".join(problems(text))


def test_the_schema_knows_every_key_and_no_other():
    schema = schema_of(Outer)
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["Inner"]["properties"]) == {"port", "key_file", "titles"}
    assert schema["$defs"]["Inner"]["additionalProperties"] is False
