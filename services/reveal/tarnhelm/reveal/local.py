"""The way back on one machine: register, cases and audit in ``reveal/`` of the private state directory.

The machine that has the ledger holds the sealed links; the custodian's private key is brought to it for an answer
and is never kept here. Whoever has both the ledger and the custodian's key needs no case: two people are enforced
by this software, and by the custodian who gives the key to nothing else.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tarnhelm.common.errors import KEY_MISSING, REVEAL_EXISTS, REVEAL_MISSING, STATE_UNSAFE, TarnhelmError
from tarnhelm.linkage.core.private_files import private_directory, read_private, write_private
from tarnhelm.reveal.core.audit.syslog import Syslog, SyslogAddress
from tarnhelm.reveal.core.audit.verify import ChainReport, verify_directory
from tarnhelm.reveal.core.audit.writer import Audit
from tarnhelm.reveal.core.desk import Desk
from tarnhelm.reveal.core.people import Register, Role
from tarnhelm.reveal.core.register_file import RegisterFile, check_known, compare
from tarnhelm.reveal.core.store_sqlite import SqliteCases
from tarnhelm.reveal.settings import RevealSettings, anchor_of, parse_settings, settings_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tarnhelm.reveal.core.audit.lines import Head
    from tarnhelm.reveal.core.documents import Signed
    from tarnhelm.reveal.core.keyring import PersonKeys

__all__ = ["LocalReveal"]

_SETTINGS: Final = "reveal.toml"


def _now() -> int:
    return int(time.time())


class LocalReveal:
    """What the tool works with.

    Parameters
    ----------
    state_directory
        The private state directory (:func:`tarnhelm.linkage.core.projects.state_directory`).
    clock
        Seconds since 1970.
    random
        Gives n random bytes.
    """

    def __init__(
        self,
        state_directory: Path,
        *,
        clock: Callable[[], int] = _now,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._state = state_directory
        self.folder = state_directory / "reveal"
        self.clock = clock
        self.random = random

    # --- founding --------------------------------------------------------------------------------------------

    def found(
        self,
        card: Signed,
        roles: Iterable[Role],
        keys: PersonKeys,
        *,
        anchors: Sequence[str] = (),
        syslog: Sequence[str] = (),
    ) -> RevealSettings:
        """Make the register with its first admin, the writer of the audit, and the settings.

        Raises
        ------
        TarnhelmError
            RVL-028 where there is one already, RVL-006 where the card is not of these keys.
        """
        folder = private_directory(private_directory(self._state) / "reveal")
        if (folder / _SETTINGS).exists() or (folder / "people.jsonl").exists():
            raise TarnhelmError(REVEAL_EXISTS)
        register = Register()
        first = register.enrol(card, {Role.ADMIN, *roles}, keys, self.clock())
        settings = RevealSettings(register.digest, anchors=tuple(anchors), syslog=tuple(syslog))
        text = settings_text(settings)
        parse_settings(text)
        writer = Ed25519PrivateKey.from_private_bytes(self.random(32))
        second = register.enrol_writer(settings.writer, writer.public_key().public_bytes_raw(), keys, self.clock())
        private_directory(folder / "audit")
        write_private(folder / "audit" / f"{settings.writer}.key", writer.private_bytes_raw(), replace=True)
        people = RegisterFile(folder / "people.jsonl")
        people.found(first + b"\n" + second)
        # The settings come last: a directory that has them is complete.
        write_private(folder / _SETTINGS, text, replace=False)
        with self.audit(settings) as audit:
            audit.head()
        return settings

    def found_replica(
        self, writer: str, root: str, *, anchors: Sequence[str] = (), syslog: Sequence[str] = ()
    ) -> bytes:
        """Make the directory of another replica, which shares register and cases; give its writer's public key.

        An admin has to enrol the writer before the replica serves.

        Raises
        ------
        TarnhelmError
            RVL-028 where there is one already, RVL-031 where a name or the root is not valid.
        """
        folder = private_directory(private_directory(self._state) / "reveal")
        if (folder / _SETTINGS).exists():
            raise TarnhelmError(REVEAL_EXISTS)
        settings = RevealSettings(root, writer, anchors=tuple(anchors), syslog=tuple(syslog))
        text = settings_text(settings)
        parse_settings(text)
        key = Ed25519PrivateKey.from_private_bytes(self.random(32))
        private_directory(folder / "audit")
        write_private(folder / "audit" / f"{writer}.key", key.private_bytes_raw(), replace=True)
        write_private(folder / _SETTINGS, text, replace=False)
        return key.public_key().public_bytes_raw()

    # --- parts -----------------------------------------------------------------------------------------------

    def settings(self) -> RevealSettings:
        """Read the settings; RVL-029, RVL-031."""
        content = read_private(self.folder / _SETTINGS)
        if content is None:
            raise TarnhelmError(REVEAL_MISSING)
        return parse_settings(content)

    def people(self) -> RegisterFile:
        """Give the register's file."""
        return RegisterFile(self.folder / "people.jsonl", root=self.settings().root)

    def writer_key(self) -> Ed25519PrivateKey:
        """Read the key with which this machine's audit is signed; LNK-010 where it has none."""
        raw = read_private(self.folder / "audit" / f"{self.settings().writer}.key")
        if raw is None or len(raw) != 32:
            raise TarnhelmError(KEY_MISSING, epoch=0)
        return Ed25519PrivateKey.from_private_bytes(raw)

    @contextmanager
    def audit(self, settings: RevealSettings | None = None, *, register: Register | None = None) -> Iterator[Audit]:
        """Hold the audit, and compare the register (this machine's, if none is given) with what the audit knows of it."""
        chosen = settings or self.settings()
        folder = self.folder / "audit"
        key = self.writer_key()
        if register is None:
            register = RegisterFile(self.folder / "people.jsonl", root=chosen.root).load()
        anchors = [anchor_of(text) for text in chosen.anchors]
        sinks = [Syslog(SyslogAddress.parse(text)) for text in chosen.syslog]
        try:
            with Audit(
                folder,
                chosen.writer,
                key,
                clock=self.clock,
                anchors=anchors,
                sinks=sinks,
                settings=chosen.audit,
            ) as audit:
                compare(audit, register)
                yield audit
        finally:
            for part in (*anchors, *sinks):
                part.close()

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Hold a desk: the audit is locked to this process meanwhile."""
        settings = self.settings()
        people = self.people()
        with self.audit(settings) as audit:
            store = SqliteCases(self.folder / "cases.sqlite")
            try:
                yield Desk(people.load, store, audit, clock=self.clock, limits=settings.limits)
            finally:
                store.close()

    def verify(self, more_heads: Iterable[Head] = ()) -> tuple[ChainReport, ...]:
        """Check every audit against the heads of all anchors that can be read, and of ``more_heads``.

        Changes nothing, and needs no lock. Where the audits hold, the register is compared with what they know
        of it (RVL-005).
        """
        settings = self.settings()
        register = self.people().load()
        writers = register.writers()
        heads = list(more_heads)
        for text in settings.anchors:
            heads += [head for writer in writers for head in anchor_of(text).heads(writer)]
        try:
            reports = verify_directory(self.folder / "audit", writers, heads)
        except OSError:
            raise TarnhelmError(STATE_UNSAFE) from None
        if not any(report.problem for report in reports):
            for report in reports:
                check_known(report.register, register)
        return reports
