"""``remote.toml``: which reveal server this person's tool speaks to."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, REVEAL_EXISTS, TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory, read_private, write_private
from tarnhelm.linkage.vaults.transit_names import MOUNT
from tarnhelm.reveal.identity.web import is_web_address

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RemoteSettings", "read_remote", "write_remote"]

_NAME: Final = "remote.toml"
_FORMAT: Final = 1
_ROOT: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TARGET: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_FILES: Final = frozenset(
    {"ca_file", "certificate_file", "key_file", "identity_ca_file", "client_secret_file", "vault_ca_file"}
)
_NEEDED: Final = ("server", "root", "issuer", "client")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Where the server is, and how to log in.

    Attributes
    ----------
    server
        ``host:port``.
    root
        Digest of the register's first line: the tool believes no other register.
    issuer, client
        The identity provider, and this tool's client id there.
    ca_file, certificate_file, key_file
        PEM: the server's authority, and what to show it.
    identity_ca_file
        PEM: the provider's authority; without it the system's list.
    client_secret_file
        Where the provider demands a secret of the tool.
    redirect_port
        On 127.0.0.1, for the browser's way back; 0 takes a free one.
    vault_address, vault_ca_file, vault_namespace, vault_mount
        For an approver who lets decryptions pass in the vault.
    """

    server: str
    root: str
    issuer: str
    client: str
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    identity_ca_file: Path | None = None
    client_secret_file: Path | None = None
    redirect_port: int = 0
    vault_address: str = ""
    vault_ca_file: Path | None = None
    vault_namespace: str = ""
    vault_mount: str = MOUNT

    def __post_init__(self) -> None:
        texts = (self.server, self.issuer, self.client)
        fits = (
            all(_TARGET.fullmatch(text) for text in texts)
            and _ROOT.fullmatch(self.root)
            and is_web_address(self.issuer)
            and (self.certificate_file is None) == (self.key_file is None)
            and (self.key_file is None or self.ca_file is not None)
            and 0 <= self.redirect_port < 65536
        )
        if not fits:
            raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)


def read_remote(folder: Path) -> RemoteSettings | None:
    """Read the settings of a private directory, if it has any; RVL-031."""
    content = read_private(folder / _NAME)
    if content is None:
        return None
    try:
        document = tomllib.loads(content.decode("utf-8"))
        return _parsed(document)
    except (ValueError, TypeError, KeyError):
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0) from None


def write_remote(folder: Path, settings: RemoteSettings, *, replace: bool) -> None:
    """Write the settings; RVL-028 where there are some, or a register of this machine's own."""
    folder = private_directory(private_directory(folder.parent) / folder.name)
    if (folder / "reveal.toml").exists() or (not replace and (folder / _NAME).exists()):
        raise TarnhelmError(REVEAL_EXISTS)
    lines = ["# The reveal server of this person's tool.", f"format = {_FORMAT}"]
    for entry in fields(RemoteSettings):
        value = getattr(settings, entry.name)
        if value not in {None, "", 0}:
            lines.append(f"{entry.name} = {value if type(value) is int else _quoted(str(value))}")
    write_private(folder / _NAME, ("\n".join(lines) + "\n").encode(), replace=True)


def _parsed(document: Mapping[str, object]) -> RemoteSettings:
    left = dict(document)
    known = {entry.name for entry in fields(RemoteSettings)}
    if left.pop("format") != _FORMAT or not left.keys() <= known or not all(name in left for name in _NEEDED):
        raise ValueError
    port = left.pop("redirect_port", 0)
    if type(port) is not int or not all(isinstance(value, str) for value in left.values()):
        raise TypeError
    files = {name: Path(str(left.pop(name))) for name in sorted(_FILES & left.keys())}
    return RemoteSettings(**{name: str(value) for name, value in left.items()}, **files, redirect_port=port)  # type: ignore[arg-type]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
