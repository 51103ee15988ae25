"""Cleaned files hold no error that their source did not hold, by David Clunie's ``dciodvfy -new``.

Every file that pydicom packages goes through the metadata stage. Deflated files are inflated first, because the
validator does not read them. ``make dciodvfy-test`` installs dicom3tools and runs this.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import zlib
from collections import Counter
from pathlib import Path

import pytest
from pydicom.data import get_testdata_files

VALIDATOR = shutil.which("dciodvfy")
DEFLATED = b"1.2.840.10008.1.2.1.99"
EXPLICIT = b"1.2.840.10008.1.2.1\0"


def _installed():
    try:
        return all(
            importlib.util.find_spec(name)
            for name in ("tarnhelm.metadata.core.stage", "tarnhelm.metadata.core.gate", "tarnhelm.linkage.local")
        )
    except ImportError:
        return False


pytestmark = [
    pytest.mark.skipif(VALIDATOR is None, reason="dicom3tools is not installed (apt-get install dicom3tools)"),
    pytest.mark.skipif(not _installed(), reason="the metadata stage is not installed"),
]


def inflated(data: bytes) -> bytes:
    """A deflated file as explicit little endian; any other file as it is."""
    if data[128:132] != b"DICM" or DEFLATED not in data[:600]:
        return data
    length = int.from_bytes(data[140:144], "little")
    meta, body = data[144 : 144 + length], data[144 + length :]
    at = meta.index(DEFLATED)
    # The UID is two bytes shorter: its own length and that of the group follow.
    meta = (
        meta[: at - 2] + len(EXPLICIT).to_bytes(2, "little") + EXPLICIT + meta[at + len(DEFLATED) + len(DEFLATED) % 2 :]
    )
    return data[:140] + len(meta).to_bytes(4, "little") + meta + zlib.decompressobj(-zlib.MAX_WBITS).decompress(body)


def errors_of(path: Path, scratch: Path) -> Counter[str]:
    """Errors of the validator with values and offsets taken out, so that two files can be compared."""
    scratch.write_bytes(inflated(path.read_bytes()))
    done = subprocess.run([VALIDATOR, "-new", str(scratch)], capture_output=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return Counter(normal(line) for line in lines if line.startswith("Error"))


def normal(line: str) -> str:
    """An error without what may differ for good reason: the value itself, item numbers, offsets."""
    line = re.sub(r"= <[^>]*>", "= <>", line)
    line = re.sub(r"\[\d+\]", "[]", line)
    line = re.sub(r"0x[0-9a-fA-F]+", "0x", line)
    return re.sub(r"\b\d+(\.\d+)*\b", "#", line)


OPTIONS = ("basicProfile", "cleanDescOpt", "cleanGraphOpt", "cleanStructContOpt", "rtnSafePrivOpt", "rtnPatCharsOpt")
PROFILES = {
    "default": (),
    "basic": ("basicProfile",),
    "clean options": (*OPTIONS, "rtnLongModifDatesOpt"),
    "retain options": (*OPTIONS, "rtnDevIdOpt", "rtnInstIdOpt", "rtnUIDsOpt", "rtnLongFullDatesOpt"),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name == "default" else pytest.mark.slow) for name in PROFILES],
)
def cleaned(request, tmp_path_factory):
    """(source, result) of every packaged file that the stage releases, unchecked pixels accepted."""
    from tarnhelm.common.errors import TarnhelmError
    from tarnhelm.common.stage import StageJob
    from tarnhelm.linkage.local import LocalLinkage
    from tarnhelm.metadata.core.stage import MetadataConfig, make_core

    base = tmp_path_factory.mktemp("dciodvfy")
    linkage = LocalLinkage(base / "state")
    linkage.create("validity")
    assigner = linkage.assigner("validity")
    core = make_core(MetadataConfig(profiles=PROFILES[request.param]))
    pairs, codes = [], Counter()
    for number, name in enumerate(sorted(get_testdata_files())):
        path = Path(name)
        if not path.is_file():
            continue
        target = base / f"{number}.dcm"
        try:
            core(StageJob(f"{number:032x}", path, target, accept_unchecked_pixels=True), assigner)
        except TarnhelmError as error:
            codes[error.code] += 1
            continue
        except Exception as error:  # noqa: BLE001  (a crash is a finding of its own)
            codes[f"{path.name} crashed with {type(error).__name__}"] += 1
            continue
        pairs.append((path, target))
    return pairs, codes


def test_packaged_files_are_cleaned_skipped_or_quarantined(cleaned):
    pairs, codes = cleaned
    assert len(pairs) > 60
    assert [code for code in codes if "crashed" in code] == []


def test_no_new_error(cleaned, tmp_path):
    pairs, _ = cleaned
    fresh = {}
    for source, result in pairs:
        new = errors_of(result, tmp_path / "b.dcm") - errors_of(source, tmp_path / "a.dcm")
        # Only kinds of errors that the source has not at all count: one more of the same is the same.
        kinds = set(new) - set(errors_of(source, tmp_path / "a.dcm"))
        if kinds:
            fresh[source.name] = sorted(kinds)[:4]
    assert fresh == {}


def test_inflated_is_what_the_validator_reads():
    path = next(Path(name) for name in get_testdata_files() if name.endswith("image_dfl.dcm"))
    data = inflated(path.read_bytes())
    assert DEFLATED not in data[:600]
    assert len(data) > path.stat().st_size


def test_an_error_is_compared_without_its_value():
    first = "Error - </PatientID(0010,0020)[1]> - Value is 12 = <AB 7>"
    assert normal(first) == normal("Error - </PatientID(0010,0020)[2]> - Value is 9 = <C>")
