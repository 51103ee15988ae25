"""From a verdict to a name in OUT: verified objects gather, the disk is made safe, then they are released."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.fsm import Event
from tarnhelm.gateway.record import ManifestEntry
from tarnhelm.gateway.release import Delivery, candidate_paths, deliver

if TYPE_CHECKING:
    from tarnhelm.gateway.run.book import Book
    from tarnhelm.gateway.run.parts import Task
    from tarnhelm.gateway.verdict import SignedVerdict

__all__ = ["Outgoing"]

_RELEASE_SECONDS: Final = 0.25


class Outgoing:
    """Releases verified objects in batches: one sync of the disk serves all of a batch.

    Parameters
    ----------
    book
        The run's records.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._out = os.fspath(book.parts.out)
        self._disk = ThreadPoolExecutor(1, "tarnhelm-release")
        self._verified: list[Task] = []
        self._since = 0.0
        self._delivering = False

    @property
    def busy(self) -> bool:
        """Whether anything waits for its release."""
        return self._delivering or bool(self._verified)

    def close(self) -> None:
        """Let what is at the disk end."""
        self._disk.shutdown(wait=True)

    def take(self, task: Task, verdict: SignedVerdict) -> None:
        """Take an object with a clean verdict; one that does not fit is an integrity failure."""
        book = self._book
        try:
            record = book.life.verified(task.record, verdict, self._free_path(task))
        except TarnhelmError as error:
            book.fail_integrity(task, error.code)
            return
        if not self._verified:
            self._since = book.parts.clock()
        book.save(task, record)
        self._verified.append(task)

    def _free_path(self, task: Task) -> str:
        object_id = task.record.object_id
        taken = self._book.parts.store.path_taken
        path = ""
        for path in candidate_paths(task.outcome.facts if task.outcome else None, object_id):
            if not taken(path, object_id):
                break
        return path

    def release_due(self) -> None:
        """Hand a batch to the disk: first the links and the verdicts are durable, then files get their names."""
        batch, book = self._verified, self._book
        if not batch or self._delivering:
            return
        old = book.parts.clock() - self._since > _RELEASE_SECONDS
        if len(batch) < book.plan.release_batch and not old and len(book.tasks) > len(batch):
            return
        self._verified = []
        for task in batch:
            book.pair([task.source, *task.also], task.record.output_path, task.outcome)
            task.also.clear()
        book.seal()
        book.parts.flush_links()
        book.parts.store.flush()
        deliveries = [
            Delivery(
                task.record.object_id,
                os.fspath(task.target),
                f"{self._out}/{task.record.output_path}",
                task.mark,
                task.record.output_sha256,
            )
            for task in batch
            if task.mark is not None
        ]
        self._delivering = True
        future = self._disk.submit(deliver, deliveries)
        future.add_done_callback(lambda done: book.parts.dispatcher.post(lambda: self._delivered(batch, done)))

    def _delivered(self, batch: list[Task], done: Future[dict[str, str]]) -> None:
        self._delivering = False
        book = self._book
        try:
            answers = done.result()
        except OSError:
            book.abort = TarnhelmError(errors.OUT_UNWRITABLE)
            return
        for task in batch:
            answer = answers.get(task.record.object_id, "space")
            if answer == "":
                self._released(task)
            elif answer == "changed":
                book.fail_integrity(task, errors.RESULT_CHANGED.code)
            elif answer == "taken":
                book.end(task, Event.FAIL, errors.NAME_TAKEN.code)
            else:
                book.abort = TarnhelmError(errors.NO_SPACE)

    def _released(self, task: Task) -> None:
        book = self._book
        record = book.life.released(task.record, task.record.output_sha256)
        book.save(task, record)
        size = task.mark.size if task.mark else 0
        book.parts.store.add_manifest(
            ManifestEntry(
                record.object_id,
                record.run_id,
                record.output_path,
                record.output_sha256,
                size,
                record.plan_digest,
                record.policy_digest,
                record.verdict,
                book.parts.wall_clock(),
            )
        )
        book.counts.released_bytes += size
        book.pair(task.also, record.output_path, task.outcome)
        book.leave(task, "released", work_left=False)
