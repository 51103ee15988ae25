"""What the outcome says of an object: the UIDs that were really written, the assigner's flags, the digests."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import pydicom
import pytest

from tarnhelm.common.stage import StageJob
from tarnhelm.metadata.core.stage import MetadataConfig, MetadataCore

from .cleaning import KeyedAssigner, chest_ct, file_bytes

HEAD = "FORMAT dicom\n%header\n"
LONG = "A7" * 150


class Flagging(KeyedAssigner):
    """Flags what the linkage core flags: a placeholder, and IDs too long to permute one to one."""

    def assign(self, request):
        flags = frozenset({"id-not-injective"} if any(len(one.value) > 256 for one in request.values) else ())
        return replace(super().assign(request), flags=flags, placeholder_subject=not request.patient_id)


def run(core, tmp_path, dataset, name="a"):
    source, target = tmp_path / f"{name}.in", tmp_path / f"{name}.out"
    source.write_bytes(file_bytes(dataset))
    outcome = core(StageJob("o", source, target, "d"), Flagging())
    written = target.read_bytes()
    return outcome, pydicom.dcmread(io.BytesIO(written)), source.read_bytes(), written


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "REPLACE SOPInstanceUID 1.2.3.99",
        "KEEP SOPInstanceUID",
        "PSEUDO SOPInstanceUID UID",
        "REPLACE StudyInstanceUID 1.2.3.98\nREPLACE SeriesInstanceUID 1.2.3.97",
    ],
)
def test_the_facts_name_the_uids_that_were_written(tmp_path, rule) -> None:
    core = MetadataCore(MetadataConfig(HEAD + rule + "\n"))
    for number in range(4):  # the later ones are written by a layout
        dataset = chest_ct(SOPInstanceUID=f"1.2.3.4.5.{number + 1}", InstanceNumber=number + 1)
        outcome, made, _, _ = run(core, tmp_path, dataset, str(number))
        facts = outcome.facts
        assert (facts.sop_uid, facts.study_uid, facts.series_uid, facts.frame_of_reference_uid) == (
            made.SOPInstanceUID,
            made.StudyInstanceUID,
            made.SeriesInstanceUID,
            made.FrameOfReferenceUID,
        )
        assert made.file_meta.MediaStorageSOPInstanceUID == facts.sop_uid


def test_the_flags_of_the_assigner_are_findings_of_every_object_that_they_concern(tmp_path) -> None:
    core = MetadataCore(MetadataConfig(HEAD + "PSEUDO PatientComments ID_ALPHANUMERICAL\n"))
    seen = []
    for number, (patient, comments) in enumerate([("P1", "A77"), ("P1", LONG), ("", LONG), ("P1", LONG)]):
        dataset = chest_ct(PatientID=patient, PatientComments=comments, SOPInstanceUID=f"1.2.3.{number + 1}")
        seen.append(run(core, tmp_path, dataset, str(number))[0].findings)
    wanted = {("placeholder-subject", "PatientID"), ("id-not-injective", "identifiers")}
    assert [wanted & set(findings) for findings in seen] == [
        set(),
        {("id-not-injective", "identifiers")},
        wanted,
        {("id-not-injective", "identifiers")},
    ]
    assert seen[1] is seen[3]  # told once for all objects of which it is the same


@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("output", [True, False])
def test_each_hash_is_made_only_if_it_is_wanted(tmp_path, source, output) -> None:
    core = MetadataCore(MetadataConfig(), hash_source=source, hash_output=output)
    outcome, _, before, after = run(core, tmp_path, chest_ct())
    assert outcome.source_sha256 == (hashlib.sha256(before).hexdigest() if source else "")
    assert outcome.output_sha256 == (hashlib.sha256(after).hexdigest() if output else "")
