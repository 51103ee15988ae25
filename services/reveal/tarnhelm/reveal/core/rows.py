"""What an answer is made of: look-ups by surrogate, a whole project's mapping, UIDs found by deriving again."""

from __future__ import annotations

import csv
from typing import IO, TYPE_CHECKING, Protocol

from tarnhelm.linkage.core.derive import ProjectKeys, UidMapper, normalise_uid, project_message
from tarnhelm.reveal.core.answer import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tarnhelm.linkage.core.ledger import SealedRecord
    from tarnhelm.linkage.core.projects import Project
    from tarnhelm.reveal.core.openers.base import OpenedRecord, Opener

__all__ = ["RootKeys", "located", "looked_up", "mapped", "pair_word", "uid_mappers", "write_table"]


class RootKeys(Protocol):
    """The one method of a vault that ``locate`` needs."""

    def hmac(self, project: str, epoch: int, data: bytes) -> bytes:
        """HMAC-SHA-256 under the root key of a project's epoch."""
        ...


def looked_up(
    surrogates: Sequence[str], records: Callable[[str, str], Iterator[SealedRecord]], opener: Opener
) -> Iterator[Row]:
    """Give what is known of each surrogate; of a study besides what is known of its patient.

    All records that were asked for are opened together, and then all of their patients', so that whoever has to be
    asked for each opening is asked twice at most.
    """
    asked = _opened(surrogates, records, opener)
    subjects = {
        surrogate: [
            subject
            for subject in dict.fromkeys(opened.subject for opened in found if opened.subject)
            if subject not in surrogates
        ]
        for surrogate, found in asked.items()
    }
    more = _opened(list(dict.fromkeys(name for names in subjects.values() for name in names)), records, opener)
    for surrogate, found in asked.items():
        if not found:
            yield Row.nothing(surrogate)
        yield from map(_row, found)
        for subject in subjects[surrogate]:
            yield from map(_row, more[subject])


def _opened(
    handles: Sequence[str], records: Callable[[str, str], Iterator[SealedRecord]], opener: Opener
) -> dict[str, list[OpenedRecord]]:
    found: dict[str, list[OpenedRecord]] = {handle: [] for handle in handles}
    for opened in opener.open(record for handle in found for record in _links(records, handle)):
        found[opened.handle].append(opened)
    return found


def mapped(records: Callable[[str, str], Iterator[SealedRecord]], opener: Opener) -> Iterator[Row]:
    """Give every link of a project, in the order of writing."""
    return map(_row, opener.open(records("", "")))


def uid_mappers(vault: RootKeys, project: Project) -> tuple[UidMapper, ...]:
    """Give the project's mappings of UIDs, one for each epoch: what was released in an earlier one is found too."""
    message = project_message(project.label)
    keys = (vault.hmac(project.id, epoch, message) for epoch in range(1, project.epoch + 1))
    return tuple(UidMapper(ProjectKeys.from_project_key(key).uid, project.settings.uid_root) for key in keys)


def located(
    surrogates: Sequence[str], originals: Iterable[str], mappers: Sequence[Callable[[str], str]]
) -> Iterator[Row]:
    """Find which original has which surrogate, by deriving each candidate again.

    Only pairs of a surrogate that was asked for are given: a list of candidates is not turned into a table.

    Parameters
    ----------
    surrogates
        Of the case.
    originals
        All UIDs that the PACS lists for the original study.
    mappers
        Of the project, one for each epoch.
    """
    wanted = set(surrogates)
    found: dict[str, set[str]] = {}
    for original in originals:
        candidate = normalise_uid(original)
        for mapper in mappers:
            surrogate = mapper(candidate)
            if surrogate in wanted:
                found.setdefault(surrogate, set()).add(candidate)
    for surrogate in surrogates:
        if surrogate not in found:
            yield Row.nothing(surrogate)
        for candidate in sorted(found.get(surrogate, ())):
            yield Row(surrogate, "uid", values=(("uid", candidate),))


def write_table(rows: Iterable[Row], stream: IO[str]) -> int:
    """Write rows as CSV, one line for each value or path; how many lines."""
    table = csv.writer(stream)
    table.writerow(("kind", "surrogate", "subject", "what", "original"))
    written = 0
    for row in rows:
        lines = [(row.kind, row.surrogate, row.subject, what, original) for what, original in row.values]
        lines += [(row.kind, released, "", pair_word(row), original) for original, released in row.pairs]
        if not row.found:
            lines = [(row.kind, row.surrogate, "", "", "")]
        table.writerows(lines)
        written += len(lines)
    return written


def pair_word(row: Row) -> str:
    """Say what the pairs of a row are."""
    return "uid" if row.kind == "uids" else "path"


def _links(records: Callable[[str, str], Iterator[SealedRecord]], surrogate: str) -> Iterator[SealedRecord]:
    return (record for record in records("", surrogate) if record.kind in {"subject", "study"})


def _row(opened: OpenedRecord) -> Row:
    return Row(opened.handle, opened.kind, opened.subject, opened.values, opened.pairs)
