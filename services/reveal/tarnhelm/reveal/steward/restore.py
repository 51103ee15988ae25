"""Bringing a backup back: an act of two people, opened by k shares, after which every end is applied again."""

from __future__ import annotations

import hashlib
import time
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tarnhelm.common.errors import (
    BACKUP_UNREADABLE,
    END_DOES_NOT_HOLD,
    NOT_ON_THIS_BACKEND,
    RESTORE_EXPOSED,
    SHARES_DO_NOT_FIT,
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
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from tarnhelm.linkage.vaults.login import Login
    from tarnhelm.reveal.steward.ends import Ends, EndsFile
    from tarnhelm.reveal.steward.office import Handle
    from tarnhelm.reveal.steward.settings import ServerSettings

__all__ = ["ALL_PROJECTS", "SNAPSHOT", "backup_digest", "local_restore", "restore_act", "server_restore"]

ALL_PROJECTS: Final = "all"
"""What a case about a backup names as its project."""
SNAPSHOT: Final = "sys/storage/raft/snapshot"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_READY_SECONDS: Final = 60.0
_TURN_SECONDS: Final = 0.25
_PIECE: Final = 1 << 20


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

    def place(handle: Handle, archive: IO[bytes], book: Ends) -> int:
        return unpack_and_place(state, archive, book, replace=bool(handle.act.arguments["replace"]))

    return _work("local", source, shares, ends, spool, place)


def server_restore(
    settings: ServerSettings,
    login: Login,
    source: IO[bytes],
    shares: Sequence[str],
    ends: EndsFile,
    spool: AbstractContextManager[IO[bytes]],
) -> Work:
    """Restore a vault server's snapshot.

    The server must listen on the loopback address alone (STW-013) until all that ended was ended again: between its
    start and then it would serve keys that were destroyed.

    Parameters
    ----------
    login
        Who may replace all that the server holds: the policy ``restore.hcl``, or a new server's first token.
    """
    if urlsplit(settings.server.address).hostname not in _LOOPBACK:
        raise TarnhelmError(RESTORE_EXPOSED)

    def place(_: Handle, archive: IO[bytes], book: Ends) -> int:
        session = VaultSession(settings.server, login)
        try:
            session.upload(f"{SNAPSHOT}-force", archive)
        finally:
            session.close()
        return _applied_when_ready(settings, book)

    return _work("transit", source, shares, ends, spool, place)


def _work(
    what: str,
    source: IO[bytes],
    shares: Sequence[str],
    ends: EndsFile,
    spool: AbstractContextManager[IO[bytes]],
    place: Callable[[Handle, IO[bytes], Ends], int],
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
            applied = place(handle, archive, book)
        facts = {"backup": handle.act.arguments["backup"], "what": what, "ends_that_hold": applied}
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


def _applied_when_ready(settings: ServerSettings, book: Ends) -> int:
    """Apply the ends as soon as the server answers the steward; what cannot be tried is not taken for done."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        place = ServerPlace(settings)
        try:
            return apply_ends(place, book)
        except TarnhelmError as error:
            if error.disposition is not Disposition.RETRY:
                raise
            if time.monotonic() > deadline:
                raise TarnhelmError(END_DOES_NOT_HOLD, count=len(book.lines)) from None
        finally:
            place.close()
        time.sleep(_TURN_SECONDS)
