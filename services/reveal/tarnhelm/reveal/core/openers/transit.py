"""Opening sealed records in the Transit engine of OpenBao or HashiCorp Vault.

The identity has the policy ``helm/tarnhelm-linkage/files/reveal.hcl``: decrypt with seal keys, and no encrypt. With
``reveal-two-person.hcl`` the server keeps each answer back until a second person let it pass there too.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

from tarnhelm.common.errors import (
    KEY_MISSING,
    KEY_VERSION_CLOSED,
    NOT_LET_PASS,
    PROJECT_DESTROYED,
    RECORD_DAMAGED,
    VAULT_REFUSED,
    VAULT_SETTINGS,
    VAULT_UNAVAILABLE,
    TarnhelmError,
)
from tarnhelm.linkage.core.ledger import record_context
from tarnhelm.linkage.vaults.transit_names import MOUNT, cipher_version, seal_context, seal_key
from tarnhelm.linkage.vaults.transit_wire import LARGEST_BATCH, LARGEST_BODY, decided, is_destroyed
from tarnhelm.reveal.core.openers.base import OpenedRecord, parse_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tarnhelm.linkage.core.ledger import SealedRecord
    from tarnhelm.linkage.vaults.session import Answer, VaultSession

__all__ = ["ControlGroup", "TransitOpener", "Waiting"]

_BATCHES_AT_ONCE: Final = 25
"""Of a control group: so many requests wait together, so that the second person is asked once for 5,000 records."""
_TOO_OLD: Final = "ciphertext or signature version is disallowed by policy (too old)"


class Waiting(Protocol):
    """Told what waits in the vault, so that somebody can be asked; the accessors let nobody read anything."""

    def __call__(self, accessors: Sequence[str]) -> None:
        """Tell."""
        ...


def _alone(accessors: Sequence[str]) -> None:
    """Where nobody listens, the time runs out."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """How long to wait for the second person.

    Attributes
    ----------
    seconds
        After this RVL-048. The policy's own ``ttl`` should not be shorter.
    every_seconds
        How often the vault is asked.
    waiting
        Told the accessors.
    """

    seconds: float = 540.0
    every_seconds: float = 1.0
    waiting: Waiting = _alone
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)


class TransitOpener:
    """Implements :class:`~tarnhelm.reveal.core.openers.base.Opener`; one for each use of a case.

    A token that keeps an answer back would open it for whoever has it, and more than once: it is held by this
    object alone, and ends with the call of the requester for whom it was asked.

    Parameters
    ----------
    session
        An identity with the policy ``reveal`` or ``reveal-two-person``.
    mount
        Where the Transit engine is mounted.
    group
        How to wait where the policy demands a second person.
    """

    def __init__(self, session: VaultSession, *, mount: str = MOUNT, group: ControlGroup | None = None) -> None:
        self._session = session
        self._mount = mount
        self._group = group

    def open(self, records: Iterable[SealedRecord]) -> Iterator[OpenedRecord]:
        """See :class:`Opener`; in batches of 200, and with a second person 25 of them at a time.

        Raises
        ------
        TarnhelmError
            Besides those of the protocol: LNK-009, LNK-010 without a key, LNK-030 where the policy forbids it,
            LNK-033 for a closed key version, RVL-048 where nobody let it pass in time.
        """
        pages = _pages(records)
        start = 0
        while window := list(islice(pages, _BATCHES_AT_ONCE if self._group else 1)):
            for page, plain in zip(window, self._decrypted(window, start), strict=True):
                for index, (record, text) in enumerate(zip(page, plain, strict=True), start):
                    yield parse_record(record, text, index)
                start += len(page)

    def _decrypted(self, window: Sequence[Sequence[SealedRecord]], start: int) -> Iterator[list[bytes]]:
        asked = [self._ask(page, start) for page in window]
        kept = [answer.wrap for answer in asked if answer.wrap]
        if kept:
            self._wait([str(wrap.get("accessor", "")) for wrap in kept])
        for page, answer in zip(window, asked, strict=True):
            answered = self._unwrapped(answer) if answer.wrap else answer
            yield self._plain(page, answered, start)
            start += len(page)

    def _ask(self, page: Sequence[SealedRecord], start: int) -> Answer:
        items = []
        for index, record in enumerate(page, start):
            if not cipher_version(record.sealed):
                raise TarnhelmError(RECORD_DAMAGED, index=index)
            context = seal_context(record.project, record_context(record.kind, record.handle))
            items.append({"ciphertext": record.sealed.decode("ascii"), "context": context})
        path = f"{self._mount}/decrypt/{seal_key(page[0].project)}"
        return self._session.request("post", path, {"batch_input": items})

    def _plain(self, page: Sequence[SealedRecord], answer: Answer, start: int) -> list[bytes]:
        # The engine says it record by record, under whichever status.
        results: Any = answer.data.get("batch_results") or []
        for index, result in enumerate(results, start):
            problem = result.get("error") if isinstance(result, dict) else ""
            if problem:
                raise TarnhelmError(KEY_VERSION_CLOSED if problem == _TOO_OLD else RECORD_DAMAGED, index=index)
        if answer.no_key or (not answer.done and not answer.denied):
            raise self._no_key(page[0].project, answer)
        if len(decided(answer).data.get("batch_results") or ()) != len(page):
            raise TarnhelmError(VAULT_UNAVAILABLE)
        try:
            return [base64.b64decode(result["plaintext"], validate=True) for result in results]
        except (KeyError, TypeError, binascii.Error):
            raise TarnhelmError(VAULT_UNAVAILABLE) from None

    def _no_key(self, project: str, answer: Answer) -> TarnhelmError:
        if is_destroyed(self._session, self._mount, project):
            return TarnhelmError(PROJECT_DESTROYED)
        return TarnhelmError(KEY_MISSING, epoch=0) if answer.no_key else TarnhelmError(VAULT_SETTINGS)

    # --- the second person ---------------------------------------------------------------------------------------

    def _wait(self, accessors: Sequence[str]) -> None:
        group = self._group
        if group is None:
            # The policy demands a second person, and this server is not set up to wait for one.
            raise TarnhelmError(VAULT_REFUSED)
        group.waiting(accessors)
        end = group.clock() + group.seconds
        left = list(accessors)
        while left := [accessor for accessor in left if not self._passed(accessor)]:
            if group.clock() >= end:
                raise TarnhelmError(NOT_LET_PASS, seconds=int(group.seconds))
            group.sleep(group.every_seconds)

    def _passed(self, accessor: str) -> bool:
        answer = self._session.request("post", "sys/control-group/request", {"accessor": accessor})
        return decided(answer).data.get("approved") is True

    def _unwrapped(self, answer: Answer) -> Answer:
        return self._session.request("post", "sys/wrapping/unwrap", {"token": str(answer.wrap.get("token", ""))})


def _pages(records: Iterable[SealedRecord]) -> Iterator[list[SealedRecord]]:
    """Cut a stream of records into pieces that the server takes, each of one project."""
    page: list[SealedRecord] = []
    held = 0
    for record in records:
        other = page and page[0].project != record.project
        if page and (other or len(page) == LARGEST_BATCH or held + len(record.sealed) > LARGEST_BODY):
            yield page
            page, held = [], 0
        page.append(record)
        held += len(record.sealed)
    if page:
        yield page
