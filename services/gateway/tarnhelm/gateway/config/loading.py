"""Reading a configuration from its file, and writing one for the processes of a group."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.config.model import GatewayConfig, with_ids
from tarnhelm.gateway.config.reading import parse_config

__all__ = ["load_config", "write_config"]

_MOST_BYTES: Final = 1 << 20


def load_config(path: Path, *, ids: bool = True) -> GatewayConfig:
    """Read a configuration.

    Parameters
    ----------
    path
        Relative paths in the file are relative to its folder.
    ids
        Put opaque ids where it names projects by labels; without, as it stands.

    Raises
    ------
    TarnhelmError
        CFG-001 (with all mistakes), CFG-002, CFG-003.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(_MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise TarnhelmError(errors.CONFIG_UNREADABLE) from None
    config = parse_config(text, GatewayConfig, path.resolve().parent)
    return with_ids(config) if ids else config


def write_config(config: GatewayConfig, path: Path) -> None:
    """Write a configuration with all that was left to its defaults, for this user alone, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(json.dumps(_plain(config), indent=1).encode())
    part.replace(path)


def _plain(value: Any) -> Any:
    """Return settings as JSON has them."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
