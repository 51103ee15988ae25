"""Recipes written for other tools clean a file as they stand, and the witness finds nothing in the result."""

import importlib.util
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydicom.data import get_testdata_file

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan
from tarnhelm.witness.core import Policy, Witness

from .cleaning import chest_ct, file_bytes

# The operators and classes of the pseudonymisation fork's example, its own spelling of the institution included.
FORK = """\
FORMAT dicom

%header

PSEUDO PatientName FULL_NAME
PSEUDO PatientID ID_NUMERICAL
PSEUDO PatientBirthDate DATE
PSEUDO StudyTime TIME
PSEUDO AcquisitionDateTime DATETIME
PSEUDO OperatorsName GIVEN_NAME
PSEUDO ReferringPhysicianName SURNAME
PSEUDO InstitutionName HEALTH_INSTITUTION
PSEUDO InstitutionAddress LOCATION_BC
PSEUDO PatientAddress LOCATION_CA
PSEUDO AccessionNumber ID_ALPHANUMERICAL
PSEUDO StudyInstanceUID UID
REMOVE PatientComments
BLANK OtherPatientIDs
KEEP Modality
REPLACE StudyDescription Research
"""
VARIABLES = {"entity_id": "cookie-1", "item_id": "cookie-1-1", "entity_timestamp": "-3", "item_timestamp": "-3"}


def shipped():
    spec = importlib.util.find_spec("deid")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("absent")
    return sorted(path for path in folder.glob("deid.dicom*") if path.is_file())


@pytest.fixture
def released(cleaner):
    def run(text, data):
        settings = MetadataConfig(text, variables=VARIABLES)
        clean = cleaner(text, variables=VARIABLES)(data)
        policy = Policy.from_json(json.dumps(dict(compile_plan(settings).policy)))
        return clean, Witness(policy, Ed25519PrivateKey.generate()).judge(data, clean.data, "object")

    return run


@pytest.mark.skipif(not shipped(), reason="the deid package is not installed")
@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_every_recipe_that_deid_ships_cleans_a_file(released, path):
    data = file_bytes(chest_ct(BurnedInAnnotation="NO"))  # what their filters let through
    clean, verdict = released(path.read_text(encoding="utf-8"), data)
    assert clean.holds("Bramwell", "MRN445566", "Fernwood", "Quillan", "ACC7788") == []
    assert clean.ds.PixelData == chest_ct().PixelData
    assert verdict.clean


@pytest.mark.skipif(not shipped(), reason="the deid package is not installed")
def test_a_recipe_that_blanks_pixels_waits_for_the_stage_that_can(cleaner):
    text = next(path for path in shipped() if path.name == "deid.dicom.ultrasound").read_text(encoding="utf-8")
    with pytest.raises(TarnhelmError) as caught:
        cleaner(text, variables=VARIABLES)(chest_ct())
    assert caught.value.code == "PIX-004"


def test_the_fork_s_operators_and_classes_run_as_they_stand(released):
    ds = chest_ct(
        AcquisitionDateTime="20210304101112", OperatorsName="Bramwell^Odette", InstitutionAddress="1 Fernwood Road",
        PatientAddress="2 Quillan Street", PatientComments="Bramwell", OtherPatientIDs="MRN445566",
    )  # fmt: skip
    clean, verdict = released(FORK, file_bytes(ds))
    assert verdict.clean
    assert clean.holds("Bramwell", "Tobias", "MRN445566", "Fernwood", "Quillan", "ACC7788", "1.2.3.4.5.6") == []
    got = clean.ds
    assert got.PatientName.family_name
    assert got.PatientName.given_name
    assert (got.StudyDescription, got.Modality, got.StudyTime, got.OtherPatientIDs) == ("Research", "CT", "101112", "")
    assert "PatientComments" not in got
    for name in (
        "PatientID",
        "AccessionNumber",
        "InstitutionName",
        "InstitutionAddress",
        "PatientAddress",
        "OperatorsName",
    ):
        assert got[name].value
    assert got.AcquisitionDateTime[8:] == "101112"
    assert got.StudyInstanceUID.startswith("2.25.")


def test_the_fork_s_operators_run_on_a_real_file(released):
    data = Path(get_testdata_file("CT_small.dcm", download=False)).read_bytes()
    clean, verdict = released(FORK, data)
    assert verdict.clean
    assert str(clean.ds.PatientName) != "CompressedSamples^CT1"
    assert clean.holds("CompressedSamples", "1CT1") == []
