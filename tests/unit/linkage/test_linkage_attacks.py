"""What a thief gets: of one subject's material, and of a derivation key. Stated in docs/SECURITY.md."""

import itertools

import pytest
from linkage_requests import make_request

from tarnhelm.linkage.core.derive import (
    ProjectKeys,
    UidMapper,
    date_offset_days,
    derive,
    patient_id_for,
    project_message,
    subject_id,
    subject_key,
)
from tarnhelm.linkage.core.permute import IdPermuter

LABELS = (
    "uid", "permute", "value", "ledger", "id", "subject", "study-subject", "project", "key", "patient-id",
    "date-offset", "date-offset-weeks", "tombstone", "study-tag", "accession-tag", "record", "sex",
)  # fmt: skip


@pytest.fixture
def assigner(linkage):
    linkage.create("lung")
    assigner = linkage.assigner("lung")
    yield assigner
    assigner.close()


def everything_derived_from(key):
    """Two steps of the hierarchy from one key, by every label, with and without a guessed Patient ID."""
    parts = ((), (b"HOSPITAL", b"mrn000002"), (b"hospital", b"mrn000002"), (b"MRN000002",))
    first = [derive(key, label, *part) for label, part in itertools.product(LABELS, parts)]
    second = [derive(made, label) for made, label in itertools.product(first, LABELS)]
    return [key, *first, *second]


def surrogates_by(keys, prefix, request):
    """All that somebody could hold who had one of the keys in the place of any key of the hierarchy."""
    made = set()
    for key in keys:
        made |= {key.hex(), patient_id_for(key, prefix)}
        made |= {UidMapper(key)(uid) for uid in request.uids}
    return made


def test_one_subjects_material_tells_nothing_of_another_subject_or_of_any_uid(assigner):
    stolen = assigner.assign(make_request(1))
    other_request = make_request(2)
    other = assigner.assign(other_request)
    secrets = {other.subject_key.hex(), other.subject_id, *other.uids.values()}
    keys = everything_derived_from(stolen.subject_key)
    assert not secrets & surrogates_by(keys, "LUNG-", other_request)
    permuted = {IdPermuter(key)(query.kind, query.domain, query.value)
                for key in keys[:80] for query in other_request.values[:2]}  # fmt: skip
    assert not permuted & set(other.values[:2])


def test_one_subjects_material_is_that_subjects_pseudonym_and_offset(assigner):
    """The search above can find something: whoever holds the key holds this subject's surrogates."""
    stolen = assigner.assign(make_request(1))
    assert stolen.subject_id in surrogates_by(everything_derived_from(stolen.subject_key), "LUNG-", make_request(1))
    assert date_offset_days(stolen.subject_key, whole_weeks=False) == stolen.date_offset_days


def test_whoever_holds_a_derivation_key_can_test_guesses_and_that_is_said(linkage, assigner):
    """No hash of ten digits withstands it: this is why the key stays in the vault."""
    project = linkage.projects.get("lung")
    keys = ProjectKeys.from_project_key(linkage.vault.hmac(project.id, project.epoch, project_message(project.label)))
    wanted = assigner.assign(make_request(7)).subject_id
    guesses = (f"mrn{number:06}" for number in range(20))
    hits = [
        guess
        for guess in guesses
        if patient_id_for(subject_key(keys.project, subject_id(keys.project, "hospital", guess)), project.prefix)
        == wanted
    ]
    assert hits == ["mrn000007"]
