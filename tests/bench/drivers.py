"""The contestants: ``python drivers.py NAME IN OUT`` cleans every file of IN into OUT, one process, one thread.

Imports nothing of the tests, so that it runs in the environment of the other tools.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

Job = Callable[[Path, Path], None]


def each(source: Path, target: Path, job: Job) -> None:
    """Call a job for every file; a file that a tool refuses is counted, not fatal."""
    failed = 0
    for path in sorted(source.iterdir()):
        try:
            job(path, target / path.name)
        except Exception:  # noqa: BLE001  (the tools raise whatever they like)
            failed += 1
    if failed:
        sys.stderr.write(f"FAILED {failed}\n")


def copy(source: Path, target: Path) -> None:
    """The floor: bytes in, bytes out."""
    each(source, target, shutil.copyfile)


def pydicom_undecoded(source: Path, target: Path) -> None:
    """Read and write; values stay raw."""
    from pydicom import dcmread

    each(source, target, lambda a, b: dcmread(a).save_as(b))


def pydicom_decoded(source: Path, target: Path) -> None:
    """Read, touch every value, write."""
    from pydicom import dcmread

    def job(a: Path, b: Path) -> None:
        ds = dcmread(a)
        for element in ds.iterall():
            _ = element.value
        ds.save_as(b)

    each(source, target, job)


def dicom_anonymizer(source: Path, target: Path) -> None:
    """Its default rules."""
    from dicomanonymizer import anonymize_dicom_file

    each(source, target, lambda a, b: anonymize_dicom_file(str(a), str(b)))


def dicognito(source: Path, target: Path) -> None:
    """Its default rules, one anonymizer for all files."""
    from dicognito.anonymizer import Anonymizer
    from pydicom import dcmread

    anonymizer = Anonymizer()

    def job(a: Path, b: Path) -> None:
        with dcmread(a) as ds:
            anonymizer.anonymize(ds)
            ds.save_as(b)

    each(source, target, job)


def deid(source: Path, target: Path) -> None:
    """Its default recipe, as its guide calls it."""
    from deid.config import DeidRecipe
    from deid.dicom import get_identifiers, replace_identifiers

    recipe = DeidRecipe()
    files = [str(path) for path in sorted(source.iterdir())]
    ids = get_identifiers(files)
    for made, path in zip(replace_identifiers(files, ids=ids, deid=recipe, save=False), files, strict=True):
        made.save_as(target / Path(path).name)


def dcmanon(source: Path, target: Path) -> None:
    """Its default rules."""
    from dcmanon import Anonymizer

    anonymizer = Anonymizer()
    each(source, target, lambda a, b: b.write_bytes(bytes(anonymizer.anonymize(str(a)))) and None)


DRIVERS = {
    "copy": copy,
    "pydicom-undecoded": pydicom_undecoded,
    "pydicom-decoded": pydicom_decoded,
    "dicom-anonymizer": dicom_anonymizer,
    "dicognito": dicognito,
    "deid": deid,
    "dcmanon": dcmanon,
}


if __name__ == "__main__":
    import logging

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    DRIVERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
