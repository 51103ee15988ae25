"""Admission: from a file to an object with an id and a record, or to the reason why not."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import Disposition, TarnhelmError
from tarnhelm.gateway.fsm import ACCEPTABLE, Event
from tarnhelm.gateway.record import ObjectRecord, State
from tarnhelm.gateway.run.parts import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tarnhelm.gateway.run.book import Book
    from tarnhelm.gateway.sources import Source

__all__ = ["Admission"]

_INLINE_HASH_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024


class Admission:
    """Takes sources in; large ones are hashed in threads, so that the loop never waits long for one.

    Parameters
    ----------
    book
        The run's records.
    begin
        Called with an admitted object's task; its record says START already.
    """

    def __init__(self, book: Book, begin: Callable[[Task], None]) -> None:
        self._book = book
        self._begin = begin
        self._hasher = ThreadPoolExecutor(2, "tarnhelm-hash")
        self._buffer = bytearray(_READ_BYTES)
        self.hashing = 0
        """Sources in the threads' hands."""

    def close(self) -> None:
        """Let the threads end."""
        self._hasher.shutdown(wait=True, cancel_futures=True)

    def receive(self, source: Source) -> None:
        """Take one source: it becomes an object in flight, or ends here."""
        book = self._book
        plan = book.plan
        book.counts.sources += 1
        book.counts.source_bytes += source.size
        place = f"{source.place}\x00{source.member}"
        digest = book.parts.keys.source_digest(plan.project, place, source.size, source.mtime_ns)
        if plan.resume:
            known = book.parts.store.find_source(digest)
            if known is not None:
                self._meet(known, source, digest)
                return
        if source.error is not None:
            self._refuse(source, digest, source.error)
        elif source.size > plan.limits.max_object_bytes:
            error = TarnhelmError(errors.TOO_LARGE, seen=source.size, limit=plan.limits.max_object_bytes)
            self._refuse(source, digest, error)
        elif source.size <= _INLINE_HASH_BYTES:
            self._hashed(source, digest, _sha256(source.path, self._buffer))
        else:
            self._hash_apart(source, digest)

    def _hash_apart(self, source: Source, digest: bytes) -> None:
        book = self._book

        def done(future: Future[bytes | None]) -> None:
            book.parts.dispatcher.post(lambda: arrived(future))

        def arrived(future: Future[bytes | None]) -> None:
            self.hashing -= 1
            book.bytes -= source.size
            if not future.cancelled():
                self._hashed(source, digest, future.result())

        self.hashing += 1
        book.bytes += source.size
        self._hasher.submit(_sha256, source.path).add_done_callback(done)

    def _hashed(self, source: Source, digest: bytes, raw: bytes | None) -> None:
        if raw is None:
            self._refuse(source, digest, TarnhelmError(errors.UNREADABLE))
            return
        book = self._book
        store = book.parts.store
        object_id = book.parts.keys.object_id(book.plan.project, raw)
        received = self._fresh(object_id, source, digest)
        record = book.life.step(received, Event.ADMIT, Event.START, stage=book.plan.stages[0])
        if store.add(record):
            store.link_source(digest, object_id)
            self._begin(self._task(record, source))
            return
        known = store.get(object_id)
        if known is not None:
            self._meet(known, source, digest)

    def _fresh(self, object_id: str, source: Source, digest: bytes) -> ObjectRecord:
        plan = self._book.plan
        return ObjectRecord(
            object_id,
            plan_digest=plan.digest,
            policy_digest=plan.policy_digest,
            run_id=plan.run_id,
            size=source.size,
            source=digest,
        )

    def _task(self, record: ObjectRecord, source: Source) -> Task:
        return Task(record, source, self._book.parts.workspace.target(record.object_id))

    def _refuse(self, source: Source, digest: bytes, error: TarnhelmError) -> None:
        """Without readable bytes the place stands for the object; a bound that is met quarantines it."""
        book = self._book
        store, keys = book.parts.store, book.parts.keys
        object_id = keys.object_id(book.plan.project, digest)
        record = self._fresh(object_id, source, digest)
        if error.disposition is Disposition.QUARANTINE:
            locator = keys.seal_place(source.place, source.member, object_id)
            record = book.life.step(record, Event.ADMIT, Event.FAIL, code=error.code, locator=locator)
        else:
            record = book.life.step(record, Event.REFUSE, code=error.code)
        if store.add(record):
            store.link_source(digest, object_id)
        else:
            known = store.get(object_id)
            if known is not None and known.state is State.ADMITTED:  # a reviewer's retry of an entry without bytes
                event = Event.FAIL if record.state is State.QUARANTINED else Event.REFUSE
                store.save(book.life.step(known, event, code=error.code, locator=record.locator), known)
        book.refused(record, source)

    def _meet(self, known: ObjectRecord, source: Source, digest: bytes) -> None:
        """Meet an object that has a record."""
        book = self._book
        book.parts.store.link_source(digest, known.object_id)
        task = book.tasks.get(known.object_id)
        if task is not None:
            task.also.append(source)
            book.ended(source, "duplicates")
        elif known.state is State.QUARANTINED and self._worth_another_try(known):
            accepted = known.code in ACCEPTABLE and book.plan.accept_unchecked_pixels
            book.parts.store.drop_outcomes(known.object_id)
            self._again(known, source, Event.ACCEPT if accepted else Event.RETRY, Event.START)
        elif known.state is State.ADMITTED:
            self._again(known, source, Event.START)
        else:
            if known.state is State.RELEASED:
                book.pair([source], known.output_path, book.first_outcome(known))
                book.counts.gone += not os.path.lexists(book.parts.out / known.output_path)
            book.ended(source, "resumed" if known.source == digest else "duplicates")

    def _worth_another_try(self, known: ObjectRecord) -> bool:
        plan = self._book.plan
        return known.plan_digest != plan.digest or (plan.accept_unchecked_pixels and known.code in ACCEPTABLE)

    def _again(self, known: ObjectRecord, source: Source, *events: Event) -> None:
        book, plan = self._book, self._book.plan
        record = book.life.step(
            known,
            *events,
            stage=plan.stages[0],
            plan_digest=plan.digest,
            policy_digest=plan.policy_digest,
            run_id=plan.run_id,
        )
        book.parts.store.save(record, known)
        self._begin(self._task(record, source))


def _sha256(path: os.PathLike[str], buffer: bytearray | None = None) -> bytes | None:
    """sha256 of the raw bytes, None if they cannot be read."""
    view = memoryview(buffer if buffer is not None else bytearray(_READ_BYTES))
    digest = hashlib.sha256()
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            while size := os.readv(fd, [view]):
                digest.update(view[:size])
        finally:
            os.close(fd)
    except OSError:
        return None
    return digest.digest()
