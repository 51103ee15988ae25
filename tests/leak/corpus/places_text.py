"""Hiding places in texts, numbers, dates, UIDs, and in every attribute that the dictionary says is a person."""

# ruff: noqa: SIM905 - vocabularies read better as lines of words

from __future__ import annotations

import functools
from datetime import date
from typing import TYPE_CHECKING, Final

from pydicom.datadict import DicomDictionary
from tests.leak.corpus.manifest import Match
from tests.leak.corpus.people import name_parts
from tests.leak.corpus.places_file import place

if TYPE_CHECKING:
    from tests.leak.corpus.draft import Draft

__all__: list[str] = []

# Attributes with text, the useful words that stay under cleanDescOpt, and a pattern for the rest.
DESCRIPTIONS: Final[tuple[tuple[str, str, str], ...]] = (
    ("StudyDescription", "CT Thorax with contrast", "Mrs {name}"),
    ("SeriesDescription", "Chest w/o contrast", "{name} {own}"),
    ("ProtocolName", "Chest routine", "Dr {name}"),
    ("ImageComments", "Hodgkin lymphoma follow up", "{name} tel {phone}"),
    ("AdditionalPatientHistory", "Parkinson disease", "son {name} MRN {number}"),
    ("DerivationDescription", "Baker cyst", "for {name}"),
    ("RequestedProcedureDescription", "CT abdomen", "{name}, PHN {phn}"),
    ("PerformedProcedureStepDescription", "Liver biopsy", "by {name}"),
    ("AcquisitionProtocolDescription", "Arterial phase", "{name}"),
    ("CommentsOnThePerformedProcedureStep", "Artefact", "{name} moved on {date}"),
    ("RequestedContrastAgent", "Contrast", "from {name}"),
    ("PatientState", "Sedated", "{name}"),
)


EPONYMS: Final = (
    ("VisitComments", "Hodgkin staging"),
    ("MedicalAlerts", "Baker cyst Parkinson"),
    ("ImagingServiceRequestComments", "Crohn disease"),
)


# Codes and their schemes; makers, models, versions; what names sequences, coils, kernels, filters, grids, plates,
# methods and units: their words are in no dictionary, no person types them, and research sorts by them.
MACHINE_WRITTEN: Final = frozenset(
    (
        "CodeValue CodingSchemeDesignator CodingSchemeVersion CodingSchemeRegistry MappingResourceName LongCodeValue URNCodeValue "
        "Manufacturer ManufacturerModelName SoftwareVersions SecondaryCaptureDeviceManufacturer DetectorManufacturerName "
        "SecondaryCaptureDeviceManufacturerModelName SecondaryCaptureDeviceSoftwareVersions DetectorManufacturerModelName "
        "ReceiveCoilManufacturerName TransmitCoilManufacturerName ApplicationName ApplicationVersion ApplicationManufacturer "
        "AlgorithmName AlgorithmVersion ManufacturerModelVersion EXIFVersion SequenceName PulseSequenceName ReceiveCoilName "
        "TransmitCoilName MultiCoilConfiguration MultiCoilElementName ConvolutionKernel FilterType TypeOfFilters "
        "CollimatorGridName ImageFilter PlateType PhosphorType AcquisitionDeviceProcessingCode OutputPower ProcessingFunction "
        "PostprocessingFunction VideoImageFormatAcquired DigitalImageFormatAcquired TriggerSourceOrType CardiacFramingType "
        "PVCRejection ImagedNucleus Radiopharmaceutical EnergyWindowName AttenuationCorrectionMethod ReconstructionMethod "
        "DetectorLinesOfResponseUsed ScatterCorrectionMethod RescaleType ModalityLUTType StackID OpticalPathIdentifier "
        "ReferencedOpticalPathIdentifier"
    ).split()
)


# Attributes for which Table E.1-1 of PS3.15 has a K under an option that retains an identity by intent: device,
# institution, patient characteristics, full dates. They may come out under that option, and nowhere else.
RETAINED: Final = {
    "device": (
        "StationName LensMake LensModel LensSerialNumber DeviceSerialNumber PlateID GeneratorID CassetteID GantryID "
        "UniqueDeviceIdentifier SecondaryCaptureDeviceID HardcopyCreationDeviceID DetectorID XRaySourceID XRayDetectorID "
        "XRayDetectorLabel ScheduledStudyLocation ScheduledStationName ScheduledProcedureStepLocation PerformedStationName "
        "DeviceDescription ModifyingSystem SourceSerialNumber TreatmentMachineName SourceManufacturer DeviceLabel "
        "ManufacturerDeviceIdentifier"
    ),
    "institution": (
        "InstitutionName InstitutionAddress InstitutionalDepartmentName ClinicalTrialSiteID ClinicalTrialSiteName "
        "ClinicalTrialCoordinatingCenterName ClinicalTrialProtocolEthicsCommitteeName SourceOfPreviousValues"
    ),
    "patient": "EthnicGroup",
    "timezone": "TimezoneOffsetFromUTC",
}


@place("descriptions")
def descriptions(draft: Draft) -> None:
    """Descriptions that mix a name with useful words, eponyms among them."""
    own = name_parts(draft.subject.names[0])
    for keyword, words, pattern in DESCRIPTIONS:
        planted = pattern
        for mark, make in (
            ("{name}", lambda: draft.secret("descriptions", "name")),
            ("{own}", lambda: own[0] if own and own[0].isascii() else ""),
            (
                "{phone}",
                lambda: draft.mark("phone", "descriptions", f"(250) {draft.coin.digits(3)}-{draft.coin.digits(4)}"),
            ),
            ("{number}", lambda: draft.number("descriptions", 8)),
            ("{phn}", lambda: _spaced(draft)),
            ("{date}", lambda: draft.odd_date("descriptions")),
        ):
            if mark in planted:
                planted = planted.replace(mark, make())
        draft.keep_words(keyword, words, planted.strip())


def _spaced(draft: Draft) -> str:
    number = draft.subject.health_number
    return draft.mark("health-number", "descriptions", f"{number[:4]} {number[4:7]} {number[7:]}")


@place("native-text")
def native_text(draft: Draft) -> None:
    """The patient's name in his own script inside a comment."""
    name = draft.subject.names[0].split("=")[min(1, draft.subject.names[0].count("="))]
    if draft.subject.hard_name:
        return
    for part in name_parts(name):
        draft.mark("name", "native-text", part)
    draft.put("StudyComments", "CT " + name.replace("^", " "))


@place("kept-text")
def kept_text(draft: Draft) -> None:
    """The patient's own name in an attribute that no profile names."""
    own = [part for part in name_parts(draft.subject.names[0]) if part.isascii()]
    if own and not draft.subject.hard_name:
        draft.put("SoftwareVersions", f"VB17 {draft.mark('name', 'kept-text', own[0])}")
        draft.put("ReceiveCoilName", draft.mark("name", "kept-text", own[0].upper())[:16])


@place("mrn-copies")
def mrn_copies(draft: Draft) -> None:
    """The patient's number as accession number and as every other number."""
    number = draft.subject.patient_id
    if len(number) < 6:
        return
    draft.unmark("accession-number")
    draft.mark("patient-id", "mrn-copies", number, Match.DIGITS)
    for keyword in (
        "AccessionNumber",
        "FillerOrderNumberImagingServiceRequest",
        "PlacerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
    ):
        draft.put(keyword, number)
    draft.put("ServiceEpisodeID", f"V{draft.mark('patient-id', 'mrn-copies', number, Match.DIGITS)}")


@place("odd-dates")
def odd_dates(draft: Draft) -> None:
    """Dates where nobody looks: calibrations, exposures, releases, text."""
    text = draft.day.strftime("%Y%m%d")
    for keyword, value in (
        ("DateOfManufacture", text), ("DateOfInstallation", text), ("ScheduledProcedureStepStartDate", text), ("IssueDateOfImagingServiceRequest", text),
        ("LastMenstrualDate", text), ("ScheduledAdmissionDate", text), ("AdmittingDate", text), ("DateOfLastDetectorCalibration", text),
        ("StudyVerifiedDate", text), ("StudyArrivalDate", text), ("TreatmentDate", text), ("SafePositionReturnDate", text),
    ):  # fmt: skip
        draft.put(keyword, draft.mark("date", "odd-dates", value, Match.PLACE, f"{_tags()[keyword]:08X}"))
    for keyword in ("StartAcquisitionDateTime", "EndAcquisitionDateTime", "IssueDateTime", "ExclusionStartDateTime"):
        if keyword in _tags():
            value = text + "081500.000000-0800"
            draft.put(keyword, draft.mark("date", "odd-dates", value, Match.PLACE, f"{_tags()[keyword]:08X}"))
    draft.put("ReasonForStudy", f"since {draft.odd_date('odd-dates')} or {draft.odd_date('odd-dates', '%d.%m.%Y')}")


@place("eponyms")
def eponyms(draft: Draft) -> None:
    """Words that are names and must stay, in coded and in free text."""
    for keyword, text in EPONYMS:
        draft.keep_words(keyword, text, draft.secret("eponyms", "name"))


@place("every-person")
def every_person(draft: Draft) -> None:
    """Each attribute that the dictionary gives the VR PN."""
    for tag in _persons():
        if tag not in draft.elements:
            draft.put(tag, f"{draft.secret('every-person', 'staff')}^P", "PN")


@place("every-contact")
def every_contact(draft: Draft) -> None:
    """Each attribute whose name speaks of addresses, telephones, comments, or the patient."""
    for tag, vr in _contacts():
        if tag not in draft.elements:
            draft.put(tag, draft.secret("every-contact", _kind(tag)), vr)


@place("every-text")
def every_text(draft: Draft) -> None:
    """Each other attribute of the dictionary that holds text, but what a machine writes out of its own lists."""
    for tag, vr in _texts():
        if tag not in draft.elements:
            draft.put(tag, draft.secret("every-text", _kind(tag)), vr)


@place("old-age")
def old_age(draft: Draft) -> None:
    """An age above 89 identifies by itself."""
    draft.put("PatientAge", draft.mark("age", "old-age", "093Y", Match.PLACE, "00101010"))
    born = date(draft.day.year - 93, 2, 3).strftime("%Y%m%d")
    draft.put("PatientBirthDate", draft.mark("birth-date", "old-age", born, Match.PLACE, "00100030"))


@place("uid-of-identity")
def uid_of_identity(draft: Draft) -> None:
    """UIDs made of the patient's number and a date, in attributes that are no reference."""
    number = draft.subject.patient_id if len(draft.subject.patient_id) > 5 else draft.coin.digits(8)
    stem = f"1.2.840.99999.{draft.mark('patient-id', 'uid-of-identity', number, Match.DIGITS)}.{draft.odd_date('uid-of-identity', '%Y%m%d')}"
    for keyword, tail in (
        ("SynchronizationFrameOfReferenceUID", 1),
        ("DeviceUID", 2),
        ("ConcatenationUID", 3),
        ("IrradiationEventUID", 4),
    ):
        draft.put(keyword, draft.mark("uid", "uid-of-identity", f"{stem}.{tail}"))


@functools.cache
def _tags() -> dict[str, int]:
    return {row[4]: tag for tag, row in DicomDictionary.items()}


@functools.cache
def _persons() -> tuple[int, ...]:
    return tuple(sorted(tag for tag, row in DicomDictionary.items() if row[0] == "PN" and tag >> 16 > 2))


@functools.cache
def _contacts() -> tuple[tuple[int, str], ...]:
    wanted = (
        "Address",
        "Telephone",
        "Comment",
        "Telecom",
        "PatientName",
        "Residence",
        "Location",
        "AETitle",
        "DeviceID",
        "CassetteID",
        "GantryID",
    )
    rows = []
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if (
            vr in {"SH", "LO", "ST", "LT", "UT"}
            and not retired
            and tag >> 16 > 2
            and any(word in keyword for word in wanted)
        ):
            rows.append((tag, vr))
    return tuple(sorted(rows))


@functools.cache
def _kinds() -> dict[str, str]:
    return {keyword: kind for kind, keywords in RETAINED.items() for keyword in keywords.split()}


def _kind(tag: int) -> str:
    return _kinds().get(DicomDictionary[tag][4], "free")


@functools.cache
def _texts() -> tuple[tuple[int, str], ...]:
    texts = {"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"}
    return tuple(
        (tag, vr)
        for tag, (vr, _, _, _, keyword) in sorted(DicomDictionary.items())
        if vr in texts and tag >> 16 > 4 and tag >> 16 < 0xFFFE and keyword and keyword not in MACHINE_WRITTEN
    )
