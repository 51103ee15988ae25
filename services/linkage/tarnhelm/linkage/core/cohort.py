"""The list of a study: who is accepted, and under which id.

A CSV in UTF-8 with a line of headings. Commas, semicolons and tabs separate. Headings may be in any case and order::

    patient_id or PatientID                   one of the two in each line: the original Patient ID,
    accession_number or AccessionNumber       or an accession number
    issuer or IssuerOfPatientID               optional
    study_id                                  the Patient ID that the study uses: 1 to 64 characters
    offset_days                               optional: -3650 to -1, by which the study moves dates

An old link table, original id and the pseudonym that was given for it, is the same file.

What a line holds is an identifier: faults name lines and columns, and no value.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tarnhelm.common.errors import BAD_COHORT, TarnhelmError
from tarnhelm.linkage.core.derive import normalise_issuer, normalise_patient_id
from tarnhelm.linkage.core.ledger import CohortEntry

if TYPE_CHECKING:
    from tarnhelm.linkage.core.identities import Identities

__all__ = [
    "CohortFault",
    "CohortFile",
    "CohortLimits",
    "CohortRow",
    "FaultKind",
    "checked_rows",
    "cohort_entries",
    "read_cohort",
]

_HEADINGS: Final = {
    "patientid": "patient_id",
    "accessionnumber": "accession_number",
    "accession": "accession_number",
    "issuer": "issuer",
    "issuerofpatientid": "issuer",
    "studyid": "study_id",
    "offsetdays": "offset_days",
    "offset": "offset_days",
}
_SEPARATORS: Final = ",;\t"
_EARLIEST: Final = -3650
_LONGEST: Final = 64


class FaultKind(StrEnum):
    """What is wrong with a line."""

    UNREADABLE = "it is no UTF-8 text, or no CSV"
    HEADINGS = "the headings must name study_id and patient_id or accession_number, each once, and no others"
    TOO_MANY_LINES = "the list has more lines than are accepted"
    COLUMNS = "it has more or fewer columns than the headings"
    WHO = "it must hold either a Patient ID or an accession number"
    PLACEHOLDER = "the id names nobody"
    VALUE = "a value is too long, or holds characters that an id cannot hold"
    STUDY_ID = "the study id is empty, too long, or holds characters that a Patient ID cannot hold"
    ORIGINAL = "the study id is an original id of the list"
    OFFSET = "the offset is no whole number of days from -3650 to -1"
    DUPLICATE = "the same was said in an earlier line"
    CONFLICT = "an earlier line gives the same patient or study another id or offset"
    SHARED = "an earlier line gives the study id to another patient; merge the two instead"


@dataclass(frozen=True, slots=True)
class CohortFault:
    """One fault: the line, counted from 1 with the headings; what it is; the earlier line, where there is one."""

    line: int
    kind: FaultKind
    earlier: int | None = None


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One line of the list; exactly one of ``patient_id`` and ``accession_number`` is there."""

    line: int
    patient_id: str = field(repr=False)
    accession_number: str = field(repr=False)
    issuer: str = field(repr=False)
    study_id: str = field(repr=False)
    offset_days: int | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CohortLimits:
    """How much is accepted; ``faults`` is how many are told at most."""

    lines: int = 1_000_000
    line_characters: int = 4096
    faults: int = 100


@dataclass(frozen=True, slots=True)
class CohortFile:
    """What was read; with faults, nothing of it may be used."""

    rows: tuple[CohortRow, ...] = field(repr=False)
    faults: tuple[CohortFault, ...]


def read_cohort(content: Iterable[bytes], limits: CohortLimits | None = None) -> CohortFile:
    """Read a list, all of it, and say all that is wrong with it.

    Parameters
    ----------
    content
        Lines, for example of a file opened in binary mode.
    limits
        How much is accepted.
    """
    reader = _Reader(limits or CohortLimits())
    try:
        reader.read(content)
    except _TooManyFaultsError:
        pass
    except (UnicodeDecodeError, csv.Error):
        reader.faults.append(CohortFault(reader.line + 1, FaultKind.UNREADABLE))
    return CohortFile(tuple(reader.rows), tuple(reader.faults))


def checked_rows(found: CohortFile) -> tuple[CohortRow, ...]:
    """Give the rows of a list without a fault; LNK-022 otherwise."""
    if found.faults:
        raise TarnhelmError(BAD_COHORT, count=len(found.faults), line=found.faults[0].line)
    return found.rows


def cohort_entries(rows: Sequence[CohortRow], identities: Identities) -> tuple[CohortEntry, ...]:
    """Give the ledger's entries for rows; LNK-022 where an id is one of the project's placeholders."""
    entries, nobody = [], []
    for row in rows:
        by_accession = bool(row.accession_number)
        if by_accession:
            tag = identities.accession(row.accession_number, row.issuer)
        else:
            tag = identities.patient(row.patient_id, row.issuer) or b""
        if tag:
            entries.append(CohortEntry(tag, row.study_id, row.offset_days, by_accession))
        else:
            nobody.append(CohortFault(row.line, FaultKind.PLACEHOLDER))
    checked_rows(CohortFile((), tuple(nobody)))
    return tuple(entries)


class _TooManyFaultsError(Exception):
    """There is no use in reading on."""


class _Reader:
    def __init__(self, limits: CohortLimits) -> None:
        self.rows: list[CohortRow] = []
        self.faults: list[CohortFault] = []
        self.line = 0
        self._limits = limits
        self._named: dict[tuple[str, ...], CohortRow] = {}
        self._owners: dict[str, CohortRow] = {}
        self._originals: dict[str, int] = {}

    def read(self, content: Iterable[bytes]) -> None:
        lines = self._lines(content)
        first = next(lines, "")
        separator = max(_SEPARATORS, key=first.count)
        headings = [_heading(name) for name in next(csv.reader([first], delimiter=separator, strict=True), [])]
        if not _are_headings(headings):
            self._fault(FaultKind.HEADINGS)
            return
        for values in csv.reader(lines, delimiter=separator, strict=True):
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(headings):
                self._fault(FaultKind.COLUMNS)
            else:
                self._row(dict(zip(headings, (value.strip() for value in values), strict=True)))
        for row in self.rows:
            if normalise_patient_id(row.study_id) in self._originals:
                self._fault(FaultKind.ORIGINAL, self._originals[normalise_patient_id(row.study_id)], line=row.line)

    def _lines(self, content: Iterable[bytes]) -> Iterator[str]:
        for number, raw in enumerate(content):
            text = raw.decode("utf-8-sig" if number == 0 else "utf-8")
            self.line = number + 1
            if number > self._limits.lines:
                self._fault(FaultKind.TOO_MANY_LINES)
                return
            if len(text) > self._limits.line_characters or "\x00" in text:
                raise csv.Error
            yield text

    def _row(self, values: dict[str, str]) -> None:
        patient, accession = values.get("patient_id", ""), values.get("accession_number", "")
        issuer, study_id, moved = values.get("issuer", ""), values["study_id"], values.get("offset_days", "")
        if bool(patient) == bool(accession):
            return self._fault(FaultKind.WHO)
        if not all(_fits(value) for value in (patient, accession, issuer)):
            return self._fault(FaultKind.VALUE)
        if not study_id or not _fits(study_id):
            return self._fault(FaultKind.STUDY_ID)
        offset = _offset(moved)
        if moved and offset is None:
            return self._fault(FaultKind.OFFSET)
        return self._take(CohortRow(self.line, patient, accession, issuer, study_id, offset))

    def _take(self, row: CohortRow) -> None:
        name = normalise_patient_id(row.patient_id or row.accession_number)
        place = ("accession" if row.accession_number else "patient", normalise_issuer(row.issuer), name)
        known = self._named.setdefault(place, row)
        if known is not row:
            same = (known.study_id, known.offset_days) == (row.study_id, row.offset_days)
            return self._fault(FaultKind.DUPLICATE if same else FaultKind.CONFLICT, known.line)
        owner = self._owners.setdefault(row.study_id, row)
        if owner is not row and owner.offset_days != row.offset_days:
            return self._fault(FaultKind.CONFLICT, owner.line)
        if owner is not row and owner.patient_id and row.patient_id:
            return self._fault(FaultKind.SHARED, owner.line)
        if row.patient_id and not owner.patient_id:
            self._owners[row.study_id] = row
        self._originals.setdefault(name, row.line)
        self.rows.append(row)
        return None

    def _fault(self, kind: FaultKind, earlier: int | None = None, *, line: int | None = None) -> None:
        self.faults.append(CohortFault(max(1, self.line) if line is None else line, kind, earlier))
        if len(self.faults) >= self._limits.faults:
            raise _TooManyFaultsError


def _heading(name: str) -> str:
    plain = "".join(character for character in name.casefold() if character.isalnum())
    return _HEADINGS.get(plain, "")


def _are_headings(found: Sequence[str]) -> bool:
    named = set(found)
    return (
        len(named) == len(found)
        and all(found)
        and "study_id" in named
        and bool(named & {"patient_id", "accession_number"})
    )


def _fits(value: str) -> bool:
    """Whether a value can be one of VR LO (PS3.5, 6.2): at most 64 characters, no backslash, no control character."""
    return len(value) <= _LONGEST and "\\" not in value and value.isprintable()


def _offset(value: str) -> int | None:
    digits = value.removeprefix("-")
    if not (value.startswith("-") and digits.isascii() and digits.isdecimal() and len(digits) <= 4):
        return None
    days = int(value)
    return days if _EARLIEST <= days <= -1 else None
