"""Hostile files: always a code, always bounded, never released with less than was understood."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from tests.hostile.files import CASES, MAY_PASS
from tests.hostile.pieces import small_file


def _installed() -> bool:
    try:
        return all(
            importlib.util.find_spec(name)
            for name in ("tarnhelm.metadata.core.stage", "tarnhelm.metadata.core.gate", "tarnhelm.linkage.local")
        )
    except ImportError:
        return False


pytestmark = pytest.mark.skipif(not _installed(), reason="the metadata stage is not installed")

ADDRESS_SPACE_MIB = 1024
PEAK_MIB = 700  # what an object within the limits may need: 512 MiB inflated, and the interpreter
SECONDS = 10.0
HERE = Path(__file__).parent


class Worker:
    """One bounded process for many files; a new one where it died."""

    def __init__(self, folder):
        self.folder = folder
        self._child = None

    def clean(self, data):
        path = self.folder / "object.dcm"
        path.write_bytes(data)
        if self._child is None or self._child.poll() is not None:
            command = [sys.executable, str(HERE / "worker.py"), str(self.folder / "state"), str(ADDRESS_SPACE_MIB)]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert self._child.stdout.readline() == "ready\n"
        self._child.stdin.write(f"{path}\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            return {"outcome": f"DIED {self._child.wait()}", "seconds": 0, "peak_mib": 0}
        return json.loads(line)

    @property
    def result(self):
        return (self.folder / "object.out").read_bytes()

    def close(self):
        if self._child is not None:
            self._child.stdin.close()
            self._child.wait(10)
            self._child.stdout.close()


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    made = Worker(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


def test_the_small_file_passes(worker):
    answer = worker.clean(small_file())
    assert answer["outcome"] == "DONE", answer
    assert worker.result[128:132] == b"DICM"


@pytest.mark.parametrize("name", CASES)
def test_hostile_file_ends_with_a_code(worker, name):
    answer = worker.clean(CASES[name]())
    assert "-" in answer["outcome"] or (answer["outcome"] == "DONE" and name in MAY_PASS), answer
    assert "left" not in answer, "a refused object left a file behind"
    assert answer["seconds"] < SECONDS
    if "bomb" in name or "huge" in name:
        assert answer["peak_mib"] < PEAK_MIB
    assert "Quoll" not in answer.get("text", "")
    assert "77001234" not in answer.get("text", "")


@pytest.mark.parametrize("name", sorted(MAY_PASS))
def test_what_passes_is_whole(worker, name):
    data = CASES[name]()
    if worker.clean(data)["outcome"] == "DONE":
        assert lost_elements(data, worker.result, set()) == []
        assert b"Quoll" not in worker.result


# What has to be there again, as no rule of the default profiles touches it.
STAY = (
    0x00080008,
    0x00080016,
    0x00080060,
    0x00180015,
    0x00180050,
    0x00180060,
    0x00200013,
    0x00200032,
    0x00200037,
    0x00280002,
    0x00280010,
    0x00280011,
    0x7FE00010,
)


def understood(data):
    """Tags of ``STAY`` and bytes of pixel data that pydicom finds in a file; None where it gives up.

    Values are not decoded: what a flipped bit made of a character set is no matter here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds = dcmread(BytesIO(data), force=True)
            raw = {tag: ds.get_item(tag) for tag in STAY if tag in ds}
        except Exception:  # noqa: BLE001  (the library raises whatever it likes on such bytes)
            return None
    pixels = raw.get(0x7FE00010)
    return set(raw), len(pixels.value or b"") if pixels is not None else 0


def lost_elements(source, result, removed):
    """Elements that an independent reader understood in the source, that are neither in the result nor reported."""
    before, after = understood(source), understood(result)
    if before is None:
        return []
    assert after is not None, "the source can be read, the result cannot"
    gone = [tag for tag in before[0] - after[0] if keyword_for_tag(tag) not in removed]
    return [f"{tag:08X}" for tag in gone] + (["pixels"] if before[1] > after[1] else [])


VALID = small_file()


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(132, len(VALID) - 1), st.integers(0, 7)), min_size=1, max_size=4))
@example(flips=[(len(VALID) - 40, 7)])
def test_bit_flips(worker, flips):
    data = bytearray(VALID)
    for at, bit in flips:
        data[at] ^= 1 << bit
    answer = worker.clean(bytes(data))
    assert answer["outcome"] == "DONE" or "-" in answer["outcome"], answer
    assert answer["seconds"] < SECONDS
    if answer["outcome"] == "DONE":
        assert lost_elements(bytes(data), worker.result, set(answer["removed"])) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, len(VALID) - 200))
def test_a_cut_file_never_passes(worker, cut):
    answer = worker.clean(VALID[: len(VALID) - cut])
    assert "-" in answer["outcome"], answer


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(132, len(VALID)), junk=st.binary(min_size=1, max_size=24))
def test_inserted_bytes(worker, at, junk):
    data = VALID[:at] + junk + VALID[at:]
    answer = worker.clean(data)
    assert answer["outcome"] == "DONE" or "-" in answer["outcome"], answer
    if answer["outcome"] == "DONE":
        assert lost_elements(data, worker.result, set(answer["removed"])) == []
