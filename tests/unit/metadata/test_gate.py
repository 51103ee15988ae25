from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.metadata.core.gate import FACE_RULES, TEXT_RULES, GateInput, judge, rule_tables

CLASS = "1.2.840.10008.5.1.4.1.1."
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)

CHEST_CT = GateInput(
    sop_class_uid=CLASS + "2",
    modality="CT",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    body_part="CHEST",
    texts=("CT CHEST WITH CONTRAST", "LUNG 1.25"),
    rows=512,
    columns=512,
    pixel_spacing=(0.7, 0.7),
    slice_thickness=1.25,
    orientation=AXIAL,
    position=(-180.0, -180.0, 10.0),
    bits_allocated=16,
    bits_stored=12,
    samples_per_pixel=1,
    photometric="MONOCHROME2",
)
ULTRASOUND = GateInput(
    sop_class_uid=CLASS + "6.1", modality="US", image_type=("ORIGINAL", "PRIMARY"), texts=("US ABDOMEN",),
    rows=600, columns=800, bits_allocated=8, bits_stored=8, samples_per_pixel=3, photometric="RGB",
)  # fmt: skip
RADIOGRAPH = GateInput(
    sop_class_uid=CLASS + "1.1", modality="DX", image_type=("ORIGINAL", "PRIMARY"), body_part="CHEST",
    rows=2800, columns=2300, pixel_spacing=(0.15, 0.15), bits_allocated=16, bits_stored=14, samples_per_pixel=1,
    photometric="MONOCHROME1",
)  # fmt: skip


def ct(**changes):
    return replace(CHEST_CT, **changes)


EX, PO = "excluded", "possible"
TABLE = [
    # object, text, face, rules: and why
    (CHEST_CT, EX, EX, "T-PRIMARY F-BODY"),  # the object that passes
    (ct(sop_class_uid=CLASS + "2.1", frames=300), EX, EX, "T-PRIMARY F-BODY"),  # enhanced, 375 mm
    (ct(sop_class_uid=CLASS + "4", modality="MR", body_part="KNEE", texts=()), EX, EX, "T-PRIMARY F-BODY"),
    (ct(burned_in_annotation="NO"), EX, EX, "T-PRIMARY F-BODY"),  # NO adds nothing
    (ct(burned_in_annotation="YES"), PO, EX, "T-DECLARED F-BODY"),
    (ct(burned_in_annotation=" yes "), PO, EX, "T-DECLARED F-BODY"),
    (ct(recognizable_visual_features="YES"), EX, PO, "T-PRIMARY F-DECLARED"),
    (ct(conversion_type="WSD"), PO, EX, "T-SECONDARY F-BODY"),  # it came from a workstation
    (ct(image_type=("DERIVED", "PRIMARY", "MPR")), PO, EX, "T-UNKNOWN F-BODY"),  # an MPR may carry marks
    (ct(image_type=("ORIGINAL", "SECONDARY")), PO, EX, "T-SCREEN F-BODY"),
    (ct(image_type=("ORIGINAL",)), PO, EX, "T-UNKNOWN F-BODY"),
    (ct(image_type=()), PO, EX, "T-UNKNOWN F-BODY"),
    (ct(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), PO, PO, "T-SCREEN F-LOCALIZER"),  # lines, and a chin
    (ct(image_type=("DERIVED", "SECONDARY", "SCREEN SAVE")), PO, EX, "T-SCREEN F-BODY"),
    (ct(texts=("CT CHEST", "Dose Report")), PO, EX, "T-SCREEN F-BODY"),  # a page of numbers
    (ct(texts=("LOW DOSE CT CHEST SCREENING",)), EX, EX, "T-PRIMARY F-BODY"),  # low dose is no dose report
    (ct(bits_stored=8, bits_allocated=8), PO, EX, "T-UNKNOWN F-BODY"),  # a screen has 8 bits
    (ct(bits_stored=8), PO, EX, "T-UNKNOWN F-BODY"),
    (ct(samples_per_pixel=3, photometric="RGB"), PO, PO, "T-UNKNOWN F-CAMERA"),
    (ct(photometric=""), PO, EX, "T-UNKNOWN F-BODY"),
    (ct(orientation=None), PO, EX, "T-UNKNOWN F-BODY"),  # not placed in the patient
    (ct(position=None), PO, EX, "T-UNKNOWN F-BODY"),
    (ct(pixel_spacing=None), PO, EX, "T-UNKNOWN F-BODY"),
    (ct(body_part="", texts=()), EX, PO, "T-PRIMARY F-UNKNOWN"),  # unknown body part
    (ct(body_part="", texts=("CT ABDOMEN",)), EX, EX, "T-PRIMARY F-BODY"),  # the description says it
    (ct(body_part="", texts=("TDM abdomino-pelvienne",)), EX, EX, "T-PRIMARY F-BODY"),
    (ct(body_part="", texts=("Radio genou droit",)), EX, EX, "T-PRIMARY F-BODY"),
    (ct(body_part="", texts=(), body_part_codes=("51185008",)), EX, EX, "T-PRIMARY F-BODY"),
    (ct(body_part="", texts=(), body_part_codes=("69536005",)), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(body_part="HEAD"), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(body_part="HEADNECK"), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(body_part="CSPINE"), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(body_part="NECKCHESTABDPELV"), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(texts=("CT HEAD NECK CHEST",)), EX, PO, "T-PRIMARY F-HEAD"),  # the description contradicts the body part
    (ct(texts=("IRM crâne",)), EX, PO, "T-PRIMARY F-HEAD"),  # accents fold
    (ct(texts=("CTAC Whole Body",)), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(texts=("CT sinuses",)), EX, PO, "T-PRIMARY F-HEAD"),
    (ct(body_part="", texts=("HEART INSTITUTE", "T1 SPGR")), EX, PO, "T-PRIMARY F-UNKNOWN"),  # a house, no organ
    (ct(body_part="", texts=("HEART INSTITUTE", "T1 MPRAGE")), EX, PO, "T-PRIMARY F-HEAD"),  # a sequence for brains
    (ct(body_part="SPINE", texts=()), EX, PO, "T-PRIMARY F-UNKNOWN"),  # which part of it?
    (ct(body_part="LSPINE", texts=()), EX, EX, "T-PRIMARY F-BODY"),
    (ct(orientation=CORONAL), EX, EX, "T-PRIMARY F-BODY"),  # 358 mm from top to bottom
    (ct(orientation=CORONAL, pixel_spacing=(1.0, 1.0)), EX, PO, "T-PRIMARY F-UNKNOWN"),  # 512 mm reach to the eyes
    (ct(sop_class_uid=CLASS + "2.1", frames=900), EX, PO, "T-PRIMARY F-UNKNOWN"),  # 1125 mm of slices
    (ct(sop_class_uid=CLASS + "128", modality="PT"), EX, PO, "T-PRIMARY F-PET"),  # the whole body, whatever it says
    (ct(sop_class_uid=CLASS + "20", modality="NM"), PO, PO, "T-UNKNOWN F-PET"),
    (ct(sop_class_uid=CLASS + "7"), PO, PO, "T-SECONDARY F-CAMERA"),  # secondary capture
    (ct(sop_class_uid=CLASS + "7.4"), PO, PO, "T-SECONDARY F-CAMERA"),
    (ct(sop_class_uid="1.2.3.4"), PO, EX, "T-UNKNOWN F-BODY"),  # a class nobody knows: its text is not excluded
    (ct(sop_class_uid=CLASS + "481.2", modality="RTDOSE", image_type=()), EX, EX, "T-DOSE F-DOSE"),
    (ct(sop_class_uid=CLASS + "88.11", has_pixels=False), EX, EX, "T-NONE F-NONE"),  # a report
    (ULTRASOUND, PO, EX, "T-UNKNOWN F-PROBE"),
    (replace(ULTRASOUND, sop_class_uid=CLASS + "6.2"), PO, PO, "T-UNKNOWN F-CAMERA"),  # a volume: a fetus has a face
    (RADIOGRAPH, PO, EX, "T-UNKNOWN F-BODY"),  # letters of lead, or of a workstation
    (replace(RADIOGRAPH, body_part="SKULL"), PO, PO, "T-UNKNOWN F-HEAD"),
    (replace(RADIOGRAPH, texts=("Thorax de face et profil",)), PO, EX, "T-UNKNOWN F-BODY"),  # a projection, no face
    (replace(RADIOGRAPH, rows=6000), PO, PO, "T-UNKNOWN F-UNKNOWN"),  # 900 mm: whole spine, with the head
    (replace(RADIOGRAPH, sop_class_uid=CLASS + "12.1", modality="XA", body_part=""), PO, PO, "T-UNKNOWN F-UNKNOWN"),
    (replace(RADIOGRAPH, sop_class_uid=CLASS + "1.2", modality="MG", body_part="BREAST"), PO, EX, "T-UNKNOWN F-BREAST"),
    (replace(RADIOGRAPH, sop_class_uid=CLASS + "1.3", modality="IO", body_part=""), PO, EX, "T-UNKNOWN F-MOUTH"),
    (replace(RADIOGRAPH, modality="PX", body_part="", texts=("PANORAMIC",)), PO, PO, "T-UNKNOWN F-HEAD"),
    (replace(ULTRASOUND, sop_class_uid=CLASS + "77.1.4", texts=()), PO, PO, "T-UNKNOWN F-CAMERA"),  # a photograph
    (replace(ULTRASOUND, sop_class_uid=CLASS + "77.1.1", texts=("COLON",)), PO, PO, "T-UNKNOWN F-CAMERA"),  # endoscope
    (replace(ULTRASOUND, sop_class_uid=CLASS + "77.1.5.1", texts=()), PO, PO, "T-UNKNOWN F-CAMERA"),  # a retina
    (replace(ULTRASOUND, sop_class_uid=CLASS + "77.1.6", texts=()), PO, EX, "T-UNKNOWN F-SLIDE"),  # a label may show
    (GateInput(), PO, PO, "T-UNKNOWN F-UNKNOWN"),  # nothing is known
]


@pytest.mark.parametrize(("gate", "text", "face", "rule"), TABLE)
def test_gate_table(gate, text, face, rule):
    verdict = judge(gate)
    assert (verdict.text, verdict.face, verdict.rule) == (text, face, rule)
    assert verdict.needs == {name for name, said in (("ocr", text), ("deface", face)) if said == PO}


def test_every_rule_decides_some_row():
    deciding = {name for _, _, _, rule in TABLE for name in rule.split()}
    assert deciding == {rule.name for rule in (*TEXT_RULES, *FACE_RULES)}


def test_the_last_rule_of_each_table_says_possible():
    assert TEXT_RULES[-1].verdict == FACE_RULES[-1].verdict == PO
    assert TEXT_RULES[-1].applies(GateInput())
    assert FACE_RULES[-1].applies(GateInput())


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=12), st.text(max_size=12))
def test_an_unknown_class_is_never_free_of_text(text, image_type, part):
    verdict = judge(
        ct(sop_class_uid="1.2.840.10008.5.1.4.1.1.999", texts=(text,), image_type=(image_type,), body_part=part)
    )
    assert verdict.text == PO


@settings(deadline=None)
@given(
    st.sampled_from(["CHEST", "ABDOMEN", "KNEE", ""]),
    st.sampled_from(["HEAD", "brain", "cou", "Tête", "face", "C-spine neck"]),
)
def test_a_word_for_the_head_is_never_outvoted(part, word):
    assert judge(ct(body_part=part, texts=("CT CHEST ABDOMEN PELVIS", word))).face == PO


def test_the_reference_page_shows_the_rules_as_they_are():
    page = Path(__file__).parents[3] / "docs/reference/gate.md"
    assert rule_tables().strip() in page.read_text(encoding="utf-8")
