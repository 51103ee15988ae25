"""One key and the usual policy for every test of the witness."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parent))

from pairs import policy

from tarnhelm.witness.core import Policy, Verdict, Witness

Judge = Callable[..., Verdict]


@pytest.fixture(scope="session")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def judge(key: Ed25519PrivateKey) -> Judge:
    """Judge a pair under the usual policy, with changes."""

    def run(source: bytes, result: bytes, masks=(), **changes) -> Verdict:
        return Witness(Policy.from_json(policy(**changes)), key).judge(source, result, "object-1", masks)

    return run
