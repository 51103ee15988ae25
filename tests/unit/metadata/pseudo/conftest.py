from __future__ import annotations

import dataclasses

import pytest

from tarnhelm.common.assign import ValueKind
from tarnhelm.metadata.core.pseudo import ObjectContext, get_class

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))


class Answering(dict):
    """Stands in for an assigner: hexadecimal key material and shifted characters, different for every question."""

    def get(self, key):
        kind, domain, value = key
        if kind is ValueKind.KEY:
            import hashlib

            return hashlib.sha256(f"{domain}\0{value}".encode()).hexdigest()
        return "".join(_next(letter) for letter in value)


def _next(letter):
    if letter.isdigit():
        return str((int(letter) + 3) % 10)
    if letter.isalpha():
        first = ord("a" if letter.islower() else "A")
        return chr(first + (ord(letter) - first + 3) % 26)
    return letter


@pytest.fixture
def context():
    """Make a context; keywords replace its fields."""
    base = ObjectContext(subject_key=KEY, date_offset_days=-400, sex="F", answers=Answering())
    return lambda **changes: dataclasses.replace(base, **changes)


@pytest.fixture
def surrogate(context):
    """Compute a surrogate from a class name, a value and a VR; ``given`` holds the rule's parameters."""

    def make(name, value, vr="LO", given=None, **changes):
        chosen = get_class(name)
        return chosen.surrogate(value, chosen.validate(vr, given or {}), context(vr=vr, **changes))

    return make
