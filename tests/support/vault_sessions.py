"""Sessions with a vault server for tests, and what tests of them share."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.vaults.session import VaultSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT_SECONDS = 20.0


@pytest.fixture
def enter():
    """Make a session that is closed with the test."""
    made = []

    def session(server, login, **settings):
        made.append(VaultSession(server, login, **settings))
        return made[-1]

    yield session
    for entry in made:
        entry.close()


@pytest.fixture
def project(bao):
    """Id of a new project with keys."""
    return new_project(bao)


def new_project(bao: Any) -> str:
    made = secrets.token_hex(16)
    bao.keeper().create(made, 1, None)
    return made


def error_of(call: Callable[..., Any], *arguments: Any) -> TarnhelmError:
    """The error that a call raises."""
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value


def code_or_none(call: Callable[..., Any], *arguments: Any) -> str | None:
    """The code of the error that a call raises, if it does."""
    try:
        call(*arguments)
    except TarnhelmError as error:
        return error.code
    return None


def private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def token_of(session: VaultSession) -> str:
    """The token that a session works with at the moment."""
    grant = session._grant
    assert grant is not None
    return str(grant.adapter.token)


def until(done: Callable[[], bool], what: str) -> None:
    """Wait, and say what did not happen."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
