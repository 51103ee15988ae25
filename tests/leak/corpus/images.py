"""Image objects, each with the attributes a researcher needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.leak.corpus.carriers import Carrier, carrier
from tests.leak.corpus.common_modules import common, frame_of_reference, general_image
from tests.leak.corpus.draft import Draft, element, item
from tests.leak.corpus.manifest import DateAt, Expected
from tests.leak.corpus.wire import El, Fragments

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IMAGES", "ImageKind", "build_image"]

ROOT: Final = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class ImageKind:
    """One IOD as the corpus makes it."""

    sop_class: str
    modality: str
    image_type: str
    body_part: str
    colour: bool = False
    deep: bool = True
    frames: int = 1
    expected: Expected = Expected.GATED
    fill: Callable[[Draft], None] | None = None
    plane: bool = False


def _ct(draft: Draft) -> None:
    for name, value in {
        "KVP": "120", "SliceThickness": "2.5", "SpacingBetweenSlices": "2.5", "DataCollectionDiameter": "500",
        "ReconstructionDiameter": "352", "GantryDetectorTilt": "0", "TableHeight": "131.5", "RotationDirection": "CW",
        "ExposureTime": "500", "XRayTubeCurrent": "210", "Exposure": "105", "FilterType": "BODY", "GeneratorPower": "25",
        "FocalSpots": "1.2", "ConvolutionKernel": "B30f", "PatientPosition": "HFS", "RescaleIntercept": "-1024",
        "RescaleSlope": "1", "RescaleType": "HU", "WindowCenter": "40", "WindowWidth": "400", "ScanOptions": "HELICAL",
    }.items():  # fmt: skip
        draft.keep(name, value)


def _mr(draft: Draft) -> None:
    for name, value in {
        "ScanningSequence": "SE", "SequenceVariant": "SK", "ScanOptions": "PFF", "MRAcquisitionType": "2D", "SliceThickness": "4",
        "RepetitionTime": "520.5", "EchoTime": "12.1", "NumberOfAverages": "1", "ImagingFrequency": "63.6", "EchoNumbers": "1",
        "MagneticFieldStrength": "1.5", "FlipAngle": "90", "EchoTrainLength": "1", "PatientPosition": "HFS",
        "WindowCenter": "600", "WindowWidth": "1200",
    }.items():  # fmt: skip
        draft.keep(name, value)


def _pt(draft: Draft) -> None:
    for name, value in {
        "Units": "BQML", "DecayCorrection": "START", "SliceThickness": "3.27", "RescaleIntercept": "0", "RescaleSlope": "2.41",
        "FrameReferenceTime": "1000", "AttenuationCorrectionMethod": "CTAC", "CorrectedImage": "DECY\\ATTN", "SeriesType": "STATIC\\IMAGE",
        "CountsSource": "EMISSION", "ImageIndex": 4, "NumberOfSlices": 47,
    }.items():  # fmt: skip
        draft.keep(name, value)
    start = draft.day.strftime("%Y%m%d") + "091500"
    path = draft.add_items(
        "RadiopharmaceuticalInformationSequence",
        item(
            Radiopharmaceutical="Fluorodeoxyglucose", RadiopharmaceuticalStartDateTime=start, RadionuclideTotalDose="370000000",
            RadionuclideHalfLife="6586.2", RadionuclidePositronFraction="0.97",
        ),
    )  # fmt: skip
    draft.entry.dates.append(DateAt(f"{path}/00181078", start))


def _us(draft: Draft) -> None:
    draft.add_items(
        "SequenceOfUltrasoundRegions",
        item(
            RegionSpatialFormat=1, RegionDataType=1, RegionFlags=0, RegionLocationMinX0=0, RegionLocationMinY0=0, RegionLocationMaxX1=63,
            RegionLocationMaxY1=63, PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3, PhysicalDeltaX=0.02, PhysicalDeltaY=0.02,
        ),
    )  # fmt: skip
    draft.keep("TransducerData", "LINEAR\\10MHZ\\2CM", "cleanDescOpt")


def _us_cine(draft: Draft) -> None:
    _us(draft)
    draft.keep("FrameTime", "33.3")
    draft.put("FrameIncrementPointer", (0x00181063,), "AT")


def _projection(draft: Draft) -> None:
    for name, value in {
        "KVP": "90", "ExposureTime": "12", "XRayTubeCurrent": "320", "ViewPosition": "PA", "DistanceSourceToDetector": "1800",
        "ImagerPixelSpacing": "0.14\\0.14", "WindowCenter": "2048", "WindowWidth": "4096",
    }.items():  # fmt: skip
        draft.keep(name, value)
    draft.put("DateOfLastDetectorCalibration", draft.day - timedelta(days=5))


def _nm(draft: Draft) -> None:
    draft.put("FrameIncrementPointer", (0x00540010,), "AT")
    draft.keep("NumberOfEnergyWindows", 1)
    draft.keep("NumberOfDetectors", 1)
    draft.put("EnergyWindowVector", (1, 1))
    draft.put("DetectorVector", (1, 2))
    start = draft.day.strftime("%Y%m%d") + "081500"
    path = draft.add_items(
        "RadiopharmaceuticalInformationSequence",
        item(RadiopharmaceuticalStartDateTime=start, Radiopharmaceutical="Tc-99m MDP"),
    )
    draft.entry.dates.append(DateAt(f"{path}/00181078", start))


def _xa(draft: Draft) -> None:
    draft.keep("KVP", "72")
    draft.keep("PositionerPrimaryAngle", "-30.5")
    draft.keep("PositionerSecondaryAngle", "12")
    draft.keep("RadiationSetting", "GR")
    draft.keep("PixelIntensityRelationship", "LOG")
    draft.keep("FrameTime", "66.7")
    draft.put("FrameIncrementPointer", (0x00181063,), "AT")


def _sc(draft: Draft) -> None:
    draft.keep("ConversionType", "WSD")
    draft.put_date("DateOfSecondaryCapture", draft.day)
    draft.put("SecondaryCaptureDeviceID", draft.secret("capture-device-id", "device"))


def _enhanced(draft: Draft) -> None:
    """Shared and per-frame functional groups with references, dates and a comment in each frame."""
    when = draft.day.strftime("%Y%m%d") + "101119"
    shared = [
        element("PixelMeasuresSequence", [item(SliceThickness="2.5", PixelSpacing="5.5\\5.5")]),
        element("PlaneOrientationSequence", [item(ImageOrientationPatient="1\\0\\0\\0\\1\\0")]),
    ]
    draft.put("SharedFunctionalGroupsSequence", [shared])
    groups = []
    for index in range(2):
        content = item(
            FrameAcquisitionDateTime=when, FrameReferenceDateTime=when, FrameAcquisitionNumber=1,
            FrameComments=f"frame for {draft.secret('frame-comments', 'name')}",
        )  # fmt: skip
        groups.append(
            [
                element("FrameContentSequence", [content]),
                element("PlanePositionSequence", [item(ImagePositionPatient=f"0\\0\\{index * 2.5}")]),
            ]
        )
        draft.entry.dates.append(DateAt(f"52009230/{index}/00209111/0/00189074", when))
    draft.put("PerFrameFunctionalGroupsSequence", groups)
    organisation = draft.mark("uid", "dimension-organization", draft.entry.uids["sop"] + ".11")
    draft.add_items("DimensionOrganizationSequence", item(DimensionOrganizationUID=organisation))
    draft.keep("ContentQualification", "RESEARCH")
    draft.keep("VolumetricProperties", "VOLUME")
    draft.put("PresentationLUTShape", "IDENTITY")
    draft.keep("BurnedInAnnotation", "NO")
    draft.keep("LossyImageCompression", "00")


def _enhanced_ct(draft: Draft) -> None:
    _enhanced(draft)


def _enhanced_mr(draft: Draft) -> None:
    _enhanced(draft)
    draft.keep("MagneticFieldStrength", "3")
    draft.keep("ResonantNucleus", "1H")


def _photo(draft: Draft) -> None:
    draft.put("AcquisitionContextSequence", [])
    draft.keep("ImageLaterality", "L")


IMAGES: Final[dict[str, ImageKind]] = {
    "CT": ImageKind(
        ROOT + "2", "CT", "ORIGINAL\\PRIMARY\\AXIAL", "CHEST", expected=Expected.RELEASED, fill=_ct, plane=True
    ),
    "CT-head": ImageKind(ROOT + "2", "CT", "ORIGINAL\\PRIMARY\\AXIAL", "HEAD", fill=_ct, plane=True),
    "Enhanced CT": ImageKind(
        ROOT + "2.1", "CT", "ORIGINAL\\PRIMARY\\VOLUME\\NONE", "CHEST", frames=2, fill=_enhanced_ct
    ),
    "MR": ImageKind(ROOT + "4", "MR", "ORIGINAL\\PRIMARY\\M\\SE", "HEAD", fill=_mr, plane=True),
    "Enhanced MR": ImageKind(
        ROOT + "4.1", "MR", "ORIGINAL\\PRIMARY\\VOLUME\\NONE", "KNEE", frames=2, fill=_enhanced_mr
    ),
    "US": ImageKind(ROOT + "6.1", "US", "ORIGINAL\\PRIMARY", "ABDOMEN", colour=True, deep=False, fill=_us),
    "US-multiframe": ImageKind(
        ROOT + "3.1", "US", "ORIGINAL\\PRIMARY", "HEART", colour=True, deep=False, frames=3, fill=_us_cine
    ),
    "CR": ImageKind(ROOT + "1", "CR", "ORIGINAL\\PRIMARY", "CHEST", fill=_projection),
    "DX": ImageKind(ROOT + "1.1", "DX", "ORIGINAL\\PRIMARY", "CHEST", fill=_projection),
    "MG": ImageKind(ROOT + "1.2", "MG", "ORIGINAL\\PRIMARY", "BREAST", fill=_projection),
    "PT": ImageKind(ROOT + "128", "PT", "ORIGINAL\\PRIMARY", "WHOLEBODY", fill=_pt, plane=True),
    "NM": ImageKind(ROOT + "20", "NM", "ORIGINAL\\PRIMARY\\STATIC\\EMISSION", "", frames=2, fill=_nm),
    "SC": ImageKind(ROOT + "7", "OT", "DERIVED\\SECONDARY", "", colour=True, deep=False, fill=_sc),
    "XA": ImageKind(ROOT + "12.1", "XA", "ORIGINAL\\PRIMARY\\SINGLE PLANE", "HEART", deep=False, frames=2, fill=_xa),
    "VL": ImageKind(ROOT + "77.1.4", "XC", "ORIGINAL\\PRIMARY", "SKIN", colour=True, deep=False, fill=_photo),
    "OPT": ImageKind(ROOT + "77.1.5.1", "OP", "ORIGINAL\\PRIMARY", "EYE", colour=True, deep=False, fill=_photo),
    "Video": ImageKind(
        ROOT + "77.1.1.1",
        "ES",
        "ORIGINAL\\PRIMARY",
        "COLON",
        colour=True,
        deep=False,
        expected=Expected.EITHER,
        fill=_photo,
    ),
}


def build_image(draft: Draft, kind: ImageKind, syntax: str, spelling: int, size: tuple[int, int] = (64, 64)) -> None:
    """Fill a draft with an image object."""
    draft.entry.expected = kind.expected
    common(draft, kind.sop_class, kind.modality, spelling)
    general_image(draft, kind.image_type, kind.body_part)
    if kind.plane or (kind.frames == 2 and kind.modality in {"CT", "MR"}):
        frame_of_reference(draft)
    if kind.plane:
        draft.keep("PixelSpacing", "5.5\\5.5")
    if kind.fill:
        kind.fill(draft)
    pixels = carrier(syntax, colour=kind.colour, frames=kind.frames, deep=kind.deep, rows=size[0], columns=size[1])
    image_pixel(draft, pixels, kind.frames)
    if draft.entry.expected is Expected.RELEASED and not (pixels.samples == 1 and pixels.stored >= 12):
        # A CT image has one sample of 12 to 16 bits (PS3.3 §C.8.2.1). Frames of 8 bits or in colour, which some
        # syntaxes of this corpus bring along, are pictures as a screen makes them: they may show text.
        draft.entry.expected = Expected.GATED


def image_pixel(draft: Draft, pixels: Carrier, frames: int) -> None:
    """Image Pixel and, where there is more than one, Multi-frame (PS3.3 §C.7.6.3, §C.7.6.6)."""
    draft.keep("SamplesPerPixel", pixels.samples)
    draft.keep("PhotometricInterpretation", pixels.photometric)
    draft.keep("Rows", pixels.rows)
    draft.keep("Columns", pixels.columns)
    draft.keep("BitsAllocated", pixels.allocated)
    draft.keep("BitsStored", pixels.stored)
    draft.put("HighBit", pixels.stored - 1)
    draft.put("PixelRepresentation", pixels.signed)
    if pixels.samples > 1:
        draft.put("PlanarConfiguration", pixels.planar)
    if frames > 1:
        draft.keep("NumberOfFrames", frames)
    draft.frames = list(pixels.frames)
    draft.encapsulated = pixels.encapsulated


def pixel_element(draft: Draft) -> El:
    """(7FE0,0010) from the draft's frames."""
    if draft.encapsulated:
        return El(0x7FE00010, "OB", Fragments(tuple(draft.frames), draft.pieces, draft.with_table), undefined=True)
    words = draft.elements[0x00280100].value == (16,)
    return El(0x7FE00010, "OW" if words else "OB", b"".join(draft.frames))
