"""Bringing a backup back: an act of two people, opened by k shares, after which every end is applied again."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tarnhelm.common.errors import (
    BACKUP_UNREADABLE,
    END_DOES_NOT_HOLD,
    NOT_ON_THIS_BACKEND,
    RESTORE_EXPOSED,
    SHARES_DO_NOT_FIT,
    VAULT_REFUSED,
    VAULT_UNAVAILABLE,
    Disposition,
    TarnhelmError,
)
from tarnhelm.linkage.vaults.session import VaultSession
from tarnhelm.reveal.core.cases import CaseKind
from tarnhelm.reveal.steward.acts import Act
from tarnhelm.reveal.steward.backup import open_backup, read_head
from tarnhelm.reveal.steward.local_backup import unpack_and_place
from tarnhelm.reveal.steward.office import Work
from tarnhelm.reveal.steward.places import ServerPlace
from tarnhelm.reveal.steward.reapply import apply_ends
from tarnhelm.reveal.steward.recovery import join_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from tarnhelm.linkage.vaults.login import Login
    from tarnhelm.reveal.steward.ends import Ends, EndsFile
    from tarnhelm.reveal.steward.office import Handle
    from tarnhelm.reveal.steward.settings import ServerSettings

__all__ = ["ALL_PROJECTS", "SNAPSHOT", "Patience", "backup_digest", "local_restore", "restore_act", "server_restore"]

ALL_PROJECTS: Final = "all"
"""What a case about a backup names as its project."""
SNAPSHOT: Final = "sys/storage/raft/snapshot"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CANARY: Final = "cubbyhole/tarnhelm-restore"
_PIECE: Final = 1 << 20


def _unheard() -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a restored server is waited for.

    Attributes
    ----------
    seconds
        For the holders of the unseal keys to come; after it, STW-014.
    every_seconds
        How often the server is asked.
    sealed
        Called once, when the server is found sealed or away: a new server wants the unseal keys of the old one.
    """

    seconds: float = 900.0
    every_seconds: float = 0.25
    sealed: Callable[[], None] = _unheard


def backup_digest(source: IO[bytes]) -> str:
    """sha256 (hex) of a backup: what the case names."""
    digest = hashlib.sha256()
    source.seek(0)
    while piece := source.read(_PIECE):
        digest.update(piece)
    source.seek(0)
    return digest.hexdigest()


def restore_act(source: IO[bytes], *, replace: bool) -> Act:
    """Restore this backup and no other."""
    digest = backup_digest(source)
    head = read_head(source)
    arguments = {"backup": digest, "what": head.what, "fingerprint": head.fingerprint, "replace": int(replace)}
    return Act(CaseKind.RESTORE, ALL_PROJECTS, arguments)


def local_restore(
    state: Path, source: IO[bytes], shares: Sequence[str], ends: EndsFile, spool: AbstractContextManager[IO[bytes]]
) -> Work:
    """Restore the files of one machine."""

    def place(handle: Handle, archive: IO[bytes], book: Ends) -> dict[str, int]:
        placed = unpack_and_place(state, archive, book, replace=bool(handle.act.arguments["replace"]))
        return {
            "ends_that_hold": placed.ends,
            "files_brought_back": placed.brought_back,
            "files_that_were_there_and_stayed": placed.kept,
        }

    return _work("local", source, shares, ends, spool, place)


def server_restore(
    settings: ServerSettings,
    login: Login,
    source: IO[bytes],
    shares: Sequence[str],
    ends: EndsFile,
    spool: AbstractContextManager[IO[bytes]],
    patience: Patience | None = None,
) -> Work:
    """Restore a vault server's snapshot.

    The server must listen on the loopback address alone (STW-013) until all that ended was ended again: between its
    start and then it would serve keys that were destroyed.

    The server answers before it has replaced its storage. So that no end is applied to what is about to be replaced,
    something is written first that the snapshot cannot hold, and waited for to be gone.

    Parameters
    ----------
    login
        Who may replace all that the server holds: the policy ``restore.hcl``, or a new server's first token.
    """
    if urlsplit(settings.server.address).hostname not in _LOOPBACK:
        raise TarnhelmError(RESTORE_EXPOSED)

    waiting = patience or Patience()

    def place(_: Handle, archive: IO[bytes], book: Ends) -> dict[str, int]:
        end = time.monotonic() + waiting.seconds
        wait = _Wait(waiting, end, len(book.lines))
        session = VaultSession(settings.server, login)
        try:
            mark = os.urandom(16).hex()
            if not session.request("post", _CANARY, {"mark": mark}).done:
                raise TarnhelmError(VAULT_REFUSED)
            session.upload(f"{SNAPSHOT}-force", archive)
            while _stands(session, mark, wait):
                wait.turn()
        finally:
            session.close()
        return {"ends_that_hold": _applied_when_ready(settings, book, wait)}

    return _work("transit", source, shares, ends, spool, place)


def _work(
    what: str,
    source: IO[bytes],
    shares: Sequence[str],
    ends: EndsFile,
    spool: AbstractContextManager[IO[bytes]],
    place: Callable[[Handle, IO[bytes], Ends], Mapping[str, int]],
) -> Work:
    def prepare(act: Act) -> dict[str, Any]:
        # The book of ends first: a restore without it would bring people back who were withdrawn.
        ends.load()
        if backup_digest(source) != act.arguments["backup"]:
            raise TarnhelmError(BACKUP_UNREADABLE)
        if act.arguments["what"] != what:
            raise TarnhelmError(NOT_ON_THIS_BACKEND)
        key = _key(source, shares)
        for _ in open_backup(source, key):
            pass  # whole, before the case is spent
        return {"ends": len(ends.load().lines)}

    def do(handle: Handle) -> dict[str, bytes]:
        book = ends.load()
        if backup_digest(source) != handle.act.arguments["backup"]:
            raise TarnhelmError(BACKUP_UNREADABLE)
        with spool as archive:
            for piece in open_backup(source, _key(source, shares)):
                archive.write(piece)
            archive.seek(0)
            found = place(handle, archive, book)
        facts = {"backup": handle.act.arguments["backup"], "what": what, **found}
        return {"certificate": handle.signer.certificate("restore", handle.view, handle.now, facts).to_bytes()}

    return Work(prepare, do)


def _key(source: IO[bytes], shares: Sequence[str]) -> X25519PrivateKey:
    source.seek(0)
    head = read_head(source)
    source.seek(0)
    key = join_shares(shares)
    if key.public_key().public_bytes_raw() != head.public:
        raise TarnhelmError(SHARES_DO_NOT_FIT, wanted=head.needed)
    return key


@dataclass(slots=True)
class _Wait:
    """Waits turn by turn, to an end; says once that the server is sealed."""

    patience: Patience
    end: float
    count: int
    told: bool = False

    def turn(self, *, sealed: bool = False) -> None:
        if time.monotonic() > self.end:
            raise TarnhelmError(END_DOES_NOT_HOLD, count=self.count)
        if sealed and not self.told:
            self.told = True
            self.patience.sealed()
        time.sleep(self.patience.every_seconds)


def _stands(session: VaultSession, mark: str, wait: _Wait) -> bool:
    """Whether what was written before the restore is still there; a token that is gone went with it."""
    while True:
        try:
            return session.request("get", _CANARY).data.get("mark") == mark
        except TarnhelmError as error:
            if error.kind is VAULT_REFUSED:
                return False
            if error.kind is not VAULT_UNAVAILABLE:
                raise
        wait.turn(sealed=True)


def _applied_when_ready(settings: ServerSettings, book: Ends, wait: _Wait) -> int:
    """Apply the ends as soon as the server answers the steward; what cannot be tried is not taken for done."""
    while True:
        place = ServerPlace(settings)
        try:
            place.vault.health()
            return apply_ends(place, book)
        except TarnhelmError as error:
            if error.disposition is not Disposition.RETRY:
                raise
            sealed = error.kind is VAULT_UNAVAILABLE
        finally:
            place.close()
        wait.turn(sealed=sealed)
