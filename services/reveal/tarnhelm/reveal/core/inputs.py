"""What people have in their hands: surrogates in a CSV or a released file, and lists of a study's original UIDs."""

from __future__ import annotations

import csv
import mmap
import re
import warnings
from typing import TYPE_CHECKING, Final

from pydicom import config, dcmread
from pydicom.misc import is_dicom

from tarnhelm.common.errors import NO_ORIGINALS, NO_SURROGATES, TarnhelmError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydicom.dataset import FileDataset

__all__ = ["originals_in", "surrogates_of_csv", "surrogates_of_object"]

_UID: Final = re.compile(rb"(?<![0-9.])[0-2](?:\.[0-9]{1,39}){2,31}(?![0-9.])")
_LONGEST_UID: Final = 64
_HEADINGS: Final = frozenset(
    {
        "surrogate",
        "patientid",
        "patient_id",
        "studyinstanceuid",
        "study_uid",
        "seriesinstanceuid",
        "series_uid",
        "sopinstanceuid",
        "sop_uid",
        "pseudonym",
    }
)
_LARGEST_TEXT: Final = 256 << 20


def surrogates_of_csv(path: Path) -> tuple[str, ...]:
    """Read surrogates: the first column, or that with a known heading (``surrogate``, ``PatientID``, ...).

    Raises
    ------
    TarnhelmError
        RVL-027 where it cannot be read or names none.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except (OSError, ValueError, csv.Error):
        raise TarnhelmError(NO_SURROGATES) from None
    heading = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((place for place, cell in enumerate(heading) if cell in _HEADINGS), None)
    body = rows if column is None else rows[1:]
    found = [row[column or 0].strip() for row in body if len(row) > (column or 0)]
    return _some(found)


def surrogates_of_object(path: Path, *, instances: bool) -> tuple[str, ...]:
    """Read the surrogates of a released DICOM file.

    Parameters
    ----------
    instances
        Give Series and SOP Instance UID (for ``locate``) instead of the study's UID, or the Patient ID where
        the file has no study.

    Raises
    ------
    TarnhelmError
        RVL-027 where it is no DICOM file or has none of them.
    """
    found = _attributes(path)
    if found is None:
        raise TarnhelmError(NO_SURROGATES)
    names = ("SeriesInstanceUID", "SOPInstanceUID") if instances else ("StudyInstanceUID", "PatientID")
    values = [found[name] for name in names if found.get(name)]
    return _some(values if instances else values[:1])


def originals_in(paths: Iterable[Path]) -> Iterator[str]:
    """Give every UID in files of any kind: DICOM objects, CSV, JSON or text of what a PACS lists.

    Of a text every word that has the form of a UID is taken; those of SOP classes do no harm, for they belong to
    no surrogate. Folders are walked.

    Raises
    ------
    TarnhelmError
        RVL-033 where a path cannot be read or holds none.
    """
    for path in paths:
        count = 0
        try:
            files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
            for file in files:
                for uid in _uids_of(file):
                    count += 1
                    yield uid
        except OSError:
            raise TarnhelmError(NO_ORIGINALS) from None
        if not count:
            raise TarnhelmError(NO_ORIGINALS)


def _uids_of(file: Path) -> Iterator[str]:
    if is_dicom(file):
        found = _attributes(file) or {}
        yield from (value for name, value in found.items() if name.endswith("UID") and value)
        return
    size = file.stat().st_size
    if size > _LARGEST_TEXT:
        raise TarnhelmError(NO_ORIGINALS)
    if not size:
        return
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for match in _UID.finditer(text):
            if len(match.group()) <= _LONGEST_UID:
                yield match.group().decode("ascii")


def _attributes(path: Path) -> dict[str, str] | None:
    names = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"]
    try:
        with config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
            dataset: FileDataset = dcmread(path, stop_before_pixels=True, specific_tags=list(names))
            return {name: str(dataset.get(name, "") or "").strip(" \x00") for name in names}
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        return None


def _some(found: Iterable[str]) -> tuple[str, ...]:
    names = tuple(sorted({name for name in found if name}))
    if not names:
        raise TarnhelmError(NO_SURROGATES)
    return names
