"""The modules that every composite object has (PS3.3 §C.7), full of identifiers as in life."""

from __future__ import annotations

from datetime import timedelta

from tests.leak.corpus.draft import Draft, item
from tests.leak.corpus.manifest import Match

__all__ = ["common", "frame_of_reference", "general_image"]

DEVICE_DATES = timedelta(days=30)


def common(draft: Draft, sop_class: str, modality: str, spelling: int) -> None:
    """Patient, General Study, General Series, General Equipment and SOP Common."""
    draft.entry.sop_class = sop_class
    if draft.entry.charset:
        draft.put("SpecificCharacterSet", draft.entry.charset)
    _patient(draft, spelling)
    _study(draft)
    _series(draft, modality)
    _equipment(draft)
    _sop(draft, sop_class)


def _patient(draft: Draft, spelling: int) -> None:
    who = draft.subject
    name = who.names[spelling % len(who.names)]
    draft.put("PatientName", draft.mark_name(name, "patient-name", "00100010"))
    short = len(who.patient_id) < 6
    match = Match.PLACE if short else Match.DIGITS
    draft.put(
        "PatientID",
        draft.mark("patient-id", "patient-id", who.patient_id, match, "00100020") + " " * (spelling % 2) * 2,
    )
    draft.put("IssuerOfPatientID", draft.mark("institution", "issuer", who.institution))
    draft.put(
        "PatientBirthDate",
        draft.mark("birth-date", "birth-date", who.birth.strftime("%Y%m%d"), Match.PLACE, "00100030"),
    )
    draft.put("PatientBirthTime", "041500")
    draft.put("OtherPatientIDs", f"{draft.mark('other-id', 'other-ids', who.other_id)}\\{draft.number('other-ids', 9)}")
    draft.add_items(
        "OtherPatientIDsSequence", item(PatientID=draft.number("other-ids-sequence"), TypeOfPatientID="TEXT")
    )
    draft.put("OtherPatientNames", f"{draft.secret('other-names', 'name')}^{draft.secret('other-names', 'name')}")
    draft.put("PatientBirthName", f"{draft.secret('birth-name', 'name')}^X")
    draft.put("PatientMotherBirthName", f"{draft.secret('mother-birth-name', 'name')}^Y")
    draft.put(
        "PatientAddress",
        f"{draft.mark('address', 'address', who.street)}, {draft.mark('address', 'address', who.town)}",
    )
    draft.put("PatientTelephoneNumbers", draft.mark("phone", "phone", who.phone))
    draft.put("Occupation", draft.secret("occupation", "free"))
    draft.put("MedicalRecordLocator", draft.number("record-locator"))
    draft.put(
        "PatientComments",
        f"wife {draft.secret('patient-comments', 'name')}, mail {draft.mark('email', 'patient-comments', who.email)}",
    )
    draft.put("ResponsiblePerson", f"{draft.secret('responsible-person', 'name')}^Aunt")
    draft.keep("PatientSex", who.sex, "rtnPatCharsOpt")
    draft.keep("PatientSize", "1.72", "rtnPatCharsOpt")
    draft.keep("PatientWeight", "71.5", "rtnPatCharsOpt")
    age = (draft.day - who.birth).days // 365
    draft.put("PatientAge", f"{age:03d}Y")


def _study(draft: Draft) -> None:
    who, uids = draft.subject, draft.entry.uids
    draft.put("StudyInstanceUID", draft.mark("uid", "study-uid", uids["study"]))
    draft.put_date("StudyDate", draft.day)
    draft.put("StudyTime", "101112")
    draft.put("AccessionNumber", draft.mark("accession", "accession-number", who.accession))
    draft.put("StudyID", who.patient_id if len(who.patient_id) > 5 else draft.number("study-id", 8))
    referring = who.staff["referring"]
    draft.put("ReferringPhysicianName", draft.mark_name(referring, "referring-physician", "00080090", "staff"))
    draft.put("PhysiciansOfRecord", draft.mark_name(who.staff["record"], "physicians-of-record", "00081048", "staff"))
    draft.put(
        "NameOfPhysiciansReadingStudy", draft.mark_name(who.staff["reading"], "reading-physician", "00081060", "staff")
    )
    draft.put("AdmissionID", draft.number("admission-id"))


def _series(draft: Draft, modality: str) -> None:
    who, uids = draft.subject, draft.entry.uids
    draft.keep("Modality", modality)
    draft.put("SeriesInstanceUID", draft.mark("uid", "series-uid", uids["series"]))
    draft.keep("SeriesNumber", 3)
    draft.put_date("SeriesDate", draft.day)
    draft.put("SeriesTime", "101113")
    draft.put(
        "PerformingPhysicianName", draft.mark_name(who.staff["performing"], "performing-physician", "00081050", "staff")
    )
    draft.put("OperatorsName", draft.mark_name(who.staff["operator"], "operators-name", "00081070", "staff"))
    draft.put(
        "PerformedProcedureStepID", who.patient_id if len(who.patient_id) > 5 else draft.number("procedure-step-id", 8)
    )
    draft.put_date("PerformedProcedureStepStartDate", draft.day)
    draft.put("PerformedProcedureStepStartTime", "101114")


def _equipment(draft: Draft) -> None:
    who = draft.subject
    draft.keep("Manufacturer", "Imaging Works")
    draft.keep("ManufacturerModelName", "Scanner 9000")
    draft.put("InstitutionName", draft.mark("institution", "institution-name", who.institution))
    draft.put("InstitutionAddress", f"{draft.secret('institution-address', 'institution')} Road")
    draft.put("InstitutionalDepartmentName", f"{draft.secret('department', 'institution')} Ward")
    draft.put("StationName", draft.mark("device", "station-name", who.station))
    draft.put("DeviceSerialNumber", draft.mark("device", "device-serial", who.serial_number))
    draft.put_date("DateOfLastCalibration", draft.day - DEVICE_DATES)
    draft.put("TimeOfLastCalibration", "060000")


def _sop(draft: Draft, sop_class: str) -> None:
    uids = draft.entry.uids
    draft.put("SOPClassUID", sop_class)
    draft.put("SOPInstanceUID", draft.mark("uid", "sop-uid", uids["sop"]))
    draft.put_date("InstanceCreationDate", draft.day)
    draft.put("InstanceCreationTime", "101120")
    draft.put("InstanceCreatorUID", draft.mark("uid", "instance-creator-uid", uids["sop"] + ".7"))


def general_image(draft: Draft, image_type: str, body_part: str) -> None:
    """General Image (PS3.3 §C.7.6.1); the Instance Number is the file's serial number."""
    draft.keep("InstanceNumber", draft.entry.serial)
    draft.keep("ImageType", image_type)
    if body_part:
        draft.keep("BodyPartExamined", body_part)
    draft.put_date("ContentDate", draft.day)
    draft.put("ContentTime", "101121")
    draft.put_date("AcquisitionDate", draft.day)
    draft.put("AcquisitionTime", "101119")
    draft.put_date("AcquisitionDateTime", draft.day, time="101119.250000")
    draft.keep("AcquisitionNumber", 2)


def frame_of_reference(draft: Draft) -> None:
    """Frame of Reference, and where the image lies."""
    draft.put("FrameOfReferenceUID", draft.mark("uid", "frame-uid", draft.entry.uids["frame"]))
    draft.refer("00200052", draft.entry.uids["frame"], "frame")
    draft.put("PositionReferenceIndicator", "")
    draft.keep("ImagePositionPatient", f"-175\\-175\\{draft.entry.serial * 2.5}")
    draft.keep("ImageOrientationPatient", "1\\0\\0\\0\\1\\0")
    draft.keep("SliceLocation", f"{draft.entry.serial * 2.5}")
