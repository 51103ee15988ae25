"""A worker of the metadata stage does without pydicom: its import costs time and memory in every process."""

import json
import subprocess
import sys

from .cleaning import chest_ct, file_bytes

PROGRAM = """
import json, sys
from pathlib import Path
from tarnhelm.common.assign import AssignReply
from tarnhelm.common.stage import StageJob
import tarnhelm.metadata.core.plan as plan
after_import = "pydicom" in sys.modules
plan.compile_plan(plan.MetadataConfig())
plan.compile_plan(plan.MetadataConfig("FORMAT dicom\\n%header\\nREMOVE contains:Patient's\\nKEEP KVP\\n"))
from tarnhelm.metadata.core.stage import make_core

class Assigner:
    def assign(self, request):
        answers = tuple("X" * len(query.value) if query.kind.name.startswith("ID") else "0" * 64 for query in request.values)
        return AssignReply("TRN-1", bytes(32), -7, "M", {uid: f"2.25.{n}" for n, uid in enumerate(request.uids, 1)}, answers)

made = make_core(plan.MetadataConfig())(StageJob("o", Path(sys.argv[1]), Path(sys.argv[2]), accept_unchecked_pixels=True), Assigner())
print(json.dumps([made.status.name, after_import, "pydicom" in sys.modules]))
"""


def test_a_plan_is_compiled_and_a_file_is_cleaned_without_it(tmp_path):
    source = tmp_path / "in.dcm"
    source.write_bytes(file_bytes(chest_ct()))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(source), str(tmp_path / "out.dcm")],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["DONE", False, False]
    assert (tmp_path / "out.dcm").stat().st_size > 500
