"""The same person gets the same value in every process, whatever is installed beside."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tarnhelm.metadata.core.pseudo as package

FOLDER = Path(package.__file__).parent

PROGRAM = """
import sys
class NoFaker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "faker":
            raise AssertionError("the word tables must not need Faker")
sys.meta_path.insert(0, NoFaker())
from tarnhelm.metadata.core.pseudo import ObjectContext, get_class, tables
assert tables.load_names.cache_info().currsize == 0, "tables are read at import time"
for name, vr in (("FULL_NAME", "PN"), ("GIVEN_NAME", "LO"), ("SURNAME", "LO"), ("LOCATION_CA", "LO"),
                 ("LOCATION_BC", "LO"), ("HEALTH_INSTITUTION", "LO"), ("DATE", "DA")):
    chosen = get_class(name)
    context = ObjectContext(subject_key=b"k" * 32, date_offset_days=-9, vr=vr)
    value = "20240229" if vr == "DA" else "Trần^Ánh"
    sys.stdout.buffer.write((chosen.surrogate(value, chosen.validate(vr, {}), context) + "\\n").encode())
"""


def run(seed):
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split("\n")


def test_two_processes_agree_without_faker():
    one = run("1")
    assert one == run("2")
    assert len(one) == 8
    assert one[6] == "20240220"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_no_module_takes_the_clock_randomness_or_faker(path):
    """Pure functions: nothing but value, parameters and context decides."""
    forbidden = {"faker", "random", "secrets", "time", "uuid", "os"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not forbidden & {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in forbidden
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "today", "utcnow"}
