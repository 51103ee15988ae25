"""Objects that are no plain images: none may come out before its own stage exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.leak.corpus.carriers import Carrier
from tests.leak.corpus.common_modules import common, frame_of_reference
from tests.leak.corpus.draft import Draft, element, item
from tests.leak.corpus.images import image_pixel
from tests.leak.corpus.manifest import Expected

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NON_IMAGES", "build_non_image"]

ROOT: Final = "1.2.840.10008.5.1.4.1.1."


def _code(value: str, scheme: str, meaning: str) -> list:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _sr(draft: Draft) -> None:
    title = _code("11528-7", "LN", "Radiology Report")
    text = [
        element("RelationshipType", "CONTAINS"),
        element("ValueType", "TEXT"),
        element("ConceptNameCodeSequence", [_code("121071", "DCM", "Finding")]),
        element("TextValue", f"Seen with {draft.secret('sr-text', 'name')} on {draft.odd_date('sr-text')}"),
    ]
    person = [
        element("RelationshipType", "HAS OBS CONTEXT"),
        element("ValueType", "PNAME"),
        element("ConceptNameCodeSequence", [_code("121008", "DCM", "Person Observer Name")]),
        element("PersonName", f"{draft.secret('sr-person', 'staff')}^Z"),
    ]
    draft.put("ValueType", "CONTAINER")
    draft.put("ContinuityOfContent", "SEPARATE")
    draft.put("ConceptNameCodeSequence", [title])
    draft.put("ContentSequence", [text, person])
    draft.put("CompletionFlag", "COMPLETE")
    draft.put("VerificationFlag", "UNVERIFIED")


def _pdf(draft: Draft) -> None:
    body = f"%PDF-1.4\n1 0 obj<</Title({draft.secret('pdf', 'name')})>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    draft.put("EncapsulatedDocument", body.encode(), "OB")
    draft.put("MIMETypeOfEncapsulatedDocument", "application/pdf")
    draft.put("DocumentTitle", draft.secret("document-title", "free"))
    draft.put("BurnedInAnnotation", "YES")


def _cda(draft: Draft) -> None:
    body = f"<ClinicalDocument xmlns='urn:hl7-org:v3'><name><family>{draft.secret('cda', 'name')}</family></name></ClinicalDocument>"
    draft.put("EncapsulatedDocument", body.encode(), "OB")
    draft.put("MIMETypeOfEncapsulatedDocument", "text/XML")
    draft.put("DocumentTitle", "CDA")


def _ecg(draft: Draft) -> None:
    source = [_code("5.6.3-9-1", "SCPECG", "Lead I")]
    channel = [
        element("ChannelLabel", draft.secret("channel-label", "free")),
        element("ChannelSourceSequence", source),
        element("WaveformBitsStored", 16),
    ]
    draft.put(
        "WaveformSequence",
        [
            [
                element("NumberOfWaveformChannels", 1),
                element("NumberOfWaveformSamples", 8),
                element("SamplingFrequency", "500"),
                element("ChannelDefinitionSequence", [channel]),
                element("WaveformBitsAllocated", 16),
                element("WaveformSampleInterpretation", "SS"),
                element("WaveformData", bytes(16), "OW"),
            ]
        ],
    )
    draft.put(
        "WaveformAnnotationSequence",
        [item(UnformattedTextValue=f"by {draft.secret('waveform-annotation', 'staff')}", AnnotationGroupNumber=0)],
    )


def _gsps(draft: Draft) -> None:
    text = item(
        BoundingBoxAnnotationUnits="PIXEL", UnformattedTextValue=draft.secret("gsps-text", "name"),
        BoundingBoxTopLeftHandCorner=(1.0, 1.0), BoundingBoxBottomRightHandCorner=(9.0, 9.0), AnchorPointVisibility="N",
    )  # fmt: skip
    draft.put("GraphicAnnotationSequence", [[element("GraphicLayer", "TEXT"), element("TextObjectSequence", [text])]])
    draft.put(
        "GraphicLayerSequence",
        [
            item(
                GraphicLayer="TEXT",
                GraphicLayerOrder=1,
                GraphicLayerDescription=draft.secret("layer-description", "free"),
            )
        ],
    )
    draft.put("ContentLabel", "MARKS")
    draft.put("ContentCreatorName", f"{draft.secret('content-creator', 'staff')}^A")
    draft.put("PresentationCreationDate", draft.day)


def _rtstruct(draft: Draft) -> None:
    draft.put("StructureSetLabel", draft.secret("structure-set-label", "free"))
    draft.put("StructureSetDate", draft.day)
    draft.put(
        "StructureSetROISequence",
        [item(ROINumber=1, ROIName=f"GTV {draft.secret('roi-name', 'name')}", ROIGenerationAlgorithm="")],
    )


def _rtplan(draft: Draft) -> None:
    draft.put("RTPlanLabel", draft.secret("rt-plan-label", "free"))
    draft.put("RTPlanName", draft.secret("rt-plan-name", "name"))
    draft.put("RTPlanDate", draft.day)
    draft.put("RTPlanGeometry", "PATIENT")


def _rtdose(draft: Draft) -> None:
    draft.put("DoseUnits", "GY")
    draft.put("DoseType", "PHYSICAL")
    draft.put("DoseComment", draft.secret("dose-comment", "name"))
    draft.put("DoseSummationType", "PLAN")
    frame_of_reference(draft)
    image_pixel(draft, Carrier(8, 8, 1, 16, 16, "MONOCHROME2", (bytes(128),), encapsulated=False), 1)


def _seg(draft: Draft) -> None:
    draft.put("SegmentationType", "BINARY")
    draft.put(
        "SegmentSequence",
        [item(SegmentNumber=1, SegmentLabel=draft.secret("segment-label", "name"), SegmentAlgorithmType="MANUAL")],
    )
    draft.put("ContentCreatorName", f"{draft.secret('segment-creator', 'staff')}^B")
    frame_of_reference(draft)
    image_pixel(draft, Carrier(8, 8, 1, 8, 8, "MONOCHROME2", (bytes(64),), encapsulated=False), 1)


NON_IMAGES: Final[dict[str, tuple[str, str, Callable[[Draft], None]]]] = {
    "SR": (ROOT + "88.11", "SR", _sr),
    "PDF": (ROOT + "104.1", "DOC", _pdf),
    "CDA": (ROOT + "104.2", "DOC", _cda),
    "ECG": (ROOT + "9.1.1", "ECG", _ecg),
    "GSPS": (ROOT + "11.1", "PR", _gsps),
    "RTSTRUCT": (ROOT + "481.3", "RTSTRUCT", _rtstruct),
    "RTPLAN": (ROOT + "481.5", "RTPLAN", _rtplan),
    "RTDOSE": (ROOT + "481.2", "RTDOSE", _rtdose),
    "SEG": (ROOT + "66.4", "SEG", _seg),
}


def build_non_image(draft: Draft, name: str, spelling: int) -> None:
    """Fill a draft with an object that has to end in quarantine."""
    sop_class, modality, extra = NON_IMAGES[name]
    draft.entry.expected = Expected.QUARANTINED
    common(draft, sop_class, modality, spelling)
    draft.put("InstanceNumber", str(draft.entry.serial))
    draft.put_date("ContentDate", draft.day)
    draft.put("ContentTime", "110000")
    extra(draft)
