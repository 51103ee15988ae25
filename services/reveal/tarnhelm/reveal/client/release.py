"""Letting a decryption pass in the vault, by the approver's own token there (OpenBao's control groups)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tarnhelm.common.errors import BAD_REVEAL_SETTINGS, OTHER_REQUEST, TarnhelmError
from tarnhelm.linkage.vaults.login import TokenFile
from tarnhelm.linkage.vaults.session import VaultServer, VaultSession
from tarnhelm.linkage.vaults.transit_names import seal_key
from tarnhelm.linkage.vaults.transit_wire import decided

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tarnhelm.reveal.client.settings import RemoteSettings

__all__ = ["release"]


def release(settings: RemoteSettings, token_file: Path, project: str, accessors: Sequence[str]) -> int:
    """Let requests pass that decrypt with the seal key of this project, and none else; how many.

    All are looked at before the first is let pass.

    Raises
    ------
    TarnhelmError
        RVL-049 where one is for something else, or is not known any more; LNK-030 where the token may not.
    """
    if not settings.vault_address:
        raise TarnhelmError(BAD_REVEAL_SETTINGS, line=0)
    server = VaultServer(settings.vault_address, settings.vault_ca_file, settings.vault_namespace)
    wanted = f"{settings.vault_mount}/decrypt/{seal_key(project)}"
    with VaultSession(server, TokenFile(token_file)) as session:
        for accessor in accessors:
            answer = session.request("post", "sys/control-group/request", {"accessor": accessor})
            if answer.done and answer.data.get("request_path") == wanted:
                continue
            decided(answer) if answer.denied else None
            raise TarnhelmError(OTHER_REQUEST)
        for accessor in accessors:
            decided(session.request("post", "sys/control-group/authorize", {"accessor": accessor}))
    return len(accessors)
