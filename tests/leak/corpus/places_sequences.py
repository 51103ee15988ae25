"""Hiding places in sequences: deep, kept, coded, referring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.leak.corpus.draft import Draft, element, item
from tests.leak.corpus.manifest import Keep
from tests.leak.corpus.places_file import place

if TYPE_CHECKING:
    from tests.leak.corpus.wire import El

__all__ = ["refer_to"]


def _code(value: str, scheme: str, meaning: str) -> list[El]:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


@place("deep-nesting")
def deep_nesting(draft: Draft) -> None:
    """A name seven levels down, sequences of defined and undefined length in turn."""
    inner = item(
        PersonName=f"{draft.secret('deep-nesting', 'name')}^Q",
        TextValue=f"told by {draft.secret('deep-nesting', 'name')}",
        PatientID=draft.number("deep-nesting"),
    )
    for level in range(6):
        inner = [element("ContentSequence", [inner], undefined=bool(level % 2)), element("ValueType", "CONTAINER")]
    draft.put("AcquisitionContextSequence", [inner], undefined=True)


@place("kept-sequence")
def kept_sequence(draft: Draft) -> None:
    """A sequence that stays, with a name inside: the code stays, its neighbours go."""
    region = [
        *_code("51185008", "SCT", "Chest"),
        element("ContextUID", draft.mark("uid", "kept-sequence", f"1.3.9996.{draft.number('kept-sequence', 12)}")),
        element("PersonName", f"{draft.secret('kept-sequence', 'name')}^K"),
        element("PatientComments", f"lives with {draft.secret('kept-sequence', 'name')}"),
        element("IssuerOfPatientID", draft.secret("kept-sequence", "institution")),
    ]
    path = draft.add_items("AnatomicRegionSequence", region)
    draft.entry.keeps.append(Keep(f"{path}/00080100", "51185008"))
    draft.entry.keeps.append(Keep(f"{path}/00080104", "Chest"))


@place("local-code")
def local_code(draft: Draft) -> None:
    """Code Meaning of a local scheme is free text."""
    draft.add_items(
        "ProcedureCodeSequence", _code("XCT7", "99LOCAL", f"CT asked by {draft.secret('local-code', 'staff')}")
    )
    draft.add_items(
        "ReasonForRequestedProcedureCodeSequence", _code("R1", "L", f"father {draft.secret('local-code', 'name')}")
    )
    draft.add_items("ViewCodeSequence", _code("V9", "99HOSP", f"as {draft.secret('local-code', 'staff')} likes it"))


@place("contributing-equipment")
def contributing_equipment(draft: Draft) -> None:
    """Each machine on the way signs with place, station, people and time (PS3.3 §C.12.1.1.5)."""
    draft.add_items(
        "ContributingEquipmentSequence",
        item(
            PurposeOfReferenceCodeSequence=[_code("109103", "DCM", "Modifying Equipment")],
            Manufacturer="Gateway Works",
            InstitutionName=draft.secret("contributing-equipment", "institution"),
            InstitutionAddress=draft.secret("contributing-equipment", "institution"),
            StationName=draft.secret("contributing-equipment", "device"),
            OperatorsName=f"{draft.secret('contributing-equipment', 'staff')}^G",
            DeviceSerialNumber=draft.number("contributing-equipment", 9, "device"),
            ContributionDateTime=draft.day.strftime("%Y%m%d") + "130000",
            ContributionDescription=f"fixed for {draft.secret('contributing-equipment', 'name')}",
        ),
    )


@place("original-attributes")
def original_attributes(draft: Draft) -> None:
    """What a correction replaced, wrong name included."""
    draft.add_items(
        "OriginalAttributesSequence",
        item(
            SourceOfPreviousValues=draft.secret("original-attributes", "institution"),
            AttributeModificationDateTime=draft.day.strftime("%Y%m%d") + "140000",
            ModifyingSystem=draft.secret("original-attributes", "device"),
            ReasonForTheAttributeModification="CORRECT",
            ModifiedAttributesSequence=[
                item(
                    PatientName=f"{draft.secret('original-attributes', 'name')}^O",
                    PatientID=draft.number("original-attributes"),
                )
            ],
        ),
        undefined=True,
    )


@place("request-attributes")
def request_attributes(draft: Draft) -> None:
    """The order: identifiers, descriptions, and who asked."""
    draft.add_items(
        "RequestAttributesSequence",
        item(
            RequestedProcedureID=draft.number("request-attributes"),
            AccessionNumber=draft.mark("accession", "request-attributes", draft.coin.code("RQ", 8)),
            ScheduledProcedureStepID=draft.number("request-attributes"),
            ScheduledProcedureStepDescription=f"CT thorax {draft.secret('request-attributes', 'name')}",
            ReasonForTheRequestedProcedure=f"son of {draft.secret('request-attributes', 'name')}",
            RequestingPhysician=f"{draft.secret('request-attributes', 'staff')}^R",
        ),
    )
    draft.put("RequestingService", draft.secret("request-attributes", "institution"))
    draft.put("RequestingPhysician", f"{draft.secret('request-attributes', 'staff')}^S")


@place("person-identification")
def person_identification(draft: Draft) -> None:
    """Identification sequences of physicians: codes, addresses, telephone numbers."""
    for keyword in (
        "ReferringPhysicianIdentificationSequence",
        "OperatorIdentificationSequence",
        "PhysiciansReadingStudyIdentificationSequence",
    ):
        draft.add_items(
            keyword,
            item(
                PersonIdentificationCodeSequence=[
                    _code(
                        draft.number("person-identification", 8),
                        "99STAFF",
                        draft.secret("person-identification", "staff"),
                    )
                ],
                PersonAddress=draft.secret("person-identification", "address"),
                PersonTelephoneNumbers=draft.mark("phone", "person-identification", f"604-{draft.coin.digits(7)}"),
                InstitutionName=draft.secret("person-identification", "institution"),
            ),
        )


@place("referenced-patient")
def referenced_patient(draft: Draft) -> None:
    """References to patient and visit, retired and not."""
    uid = draft.mark("uid", "referenced-patient", f"1.3.9995.{draft.number('referenced-patient', 12)}")
    draft.add_items(
        "ReferencedPatientSequence", item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.1.1", ReferencedSOPInstanceUID=uid)
    )
    draft.put("PatientInstitutionResidence", draft.secret("referenced-patient", "address"))
    draft.put("AdmittingDiagnosesDescription", f"fall, seen by {draft.secret('referenced-patient', 'staff')}")
    draft.put("CurrentPatientLocation", draft.secret("referenced-patient", "address"))


@place("operator-comments")
def multi_valued(draft: Draft) -> None:
    """Several values in one attribute: each is an identifier."""
    names = "\\".join(f"{draft.secret('operator-comments', 'staff')}^{initial}" for initial in "ABC")
    draft.put("ConsultingPhysicianName", names)
    draft.put(
        "PatientTelecomInformation",
        f"{draft.secret('operator-comments', 'phone')} home; {draft.secret('operator-comments', 'phone')} work",
    )
    draft.put("ScheduledPerformingPhysicianName", f"{draft.secret('operator-comments', 'staff')}^P")


def refer_to(draft: Draft, sop_class: str, sop_uid: str, study_uid: str) -> None:
    """Refer to another instance of the corpus in the three usual ways."""
    reference = item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop_uid)
    path = draft.add_items("ReferencedImageSequence", reference)
    draft.refer(f"{path}/00081155", sop_uid, "instance")
    source = [
        *reference,
        element(
            "PurposeOfReferenceCodeSequence", [_code("121322", "DCM", "Source image for image processing operation")]
        ),
    ]
    path = draft.add_items("SourceImageSequence", source, undefined=True)
    draft.refer(f"{path}/00081155", sop_uid, "instance")
    study = item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=study_uid)
    draft.add_items("ReferencedStudySequence", study)
