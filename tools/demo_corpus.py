"""``python tools/demo_corpus.py OUT``: a small hospital's worth of DICOM to clean.

Real files that pydicom ships are copied; series are made with invented patients, whose names, numbers and notes
stand in the header: a chest CT that can pass on one machine, and a head MR, an ultrasound with a name painted into
its pixels and a secondary capture, which have to wait for the stages that look at pixels. All names are invented.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

__all__ = ["main", "make"]

ROOT: Final = "1.2.826.0.1.3680043.9.7433.5"
PACKAGED: Final = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "JPGExtended.dcm", "SC_rgb_jpeg.dcm", "US1_J2KR.dcm", "rtplan.dcm",
    "reportsi.dcm", "waveform_ecg.dcm", "image_dfl.dcm", "ExplVR_BigEnd.dcm", "MR_truncated.dcm",
)  # fmt: skip


@dataclass(frozen=True)
class Patient:
    """An invented patient."""

    name: str
    number: str
    sex: str
    birth: date
    charset: str = "ISO_IR 100"


PATIENTS: Final = (
    Patient("Brelvanoor^Ottiwell", "70412288", "M", date(1954, 3, 9)),
    Patient("Desrochellières^Maëlys", "70518831", "F", date(1971, 11, 30)),
    Patient("LI^NG", "70600417", "F", date(1986, 6, 2)),
)


def volume(slices: int, size: int, *, head: bool) -> np.ndarray:
    """Ellipses that look like a chest or a head: (slices, size, size), 12 bits."""
    z, y, x = np.meshgrid(np.linspace(-1, 1, slices), np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    made = np.full((slices, size, size), 20, dtype=np.int32)

    def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float], value: int) -> None:
        inside = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + (
            (z - centre[2]) / radii[2]
        ) ** 2 <= 1
        made[inside] = value

    if head:
        shapes = (
            ((0, 0, 0), (0.72, 0.88, 1.3), 900), ((0, 0, 0), (0.66, 0.82, 1.2), 250), ((0, 0.02, 0), (0.6, 0.76, 1.1), 620),
            ((-0.14, 0.05, 0), (0.09, 0.26, 0.6), 180), ((0.14, 0.05, 0), (0.09, 0.26, 0.6), 180), ((0, -0.9, -0.3), (0.12, 0.1, 0.3), 850),
        )  # fmt: skip
    else:
        shapes = (
            ((0, 0, 0), (0.93, 0.68, 3), 1030), ((0, 0, 0), (0.87, 0.62, 3), 1060), ((-0.43, -0.04, 0), (0.31, 0.46, 1.15), 190),
            ((0.43, -0.04, 0), (0.31, 0.46, 1.15), 190), ((0.12, -0.14, 0.1), (0.22, 0.26, 0.7), 1075), ((0, 0.46, 0), (0.11, 0.12, 3), 1500),
            ((0, 0.46, 0), (0.05, 0.05, 3), 1060), ((0.04, 0.26, 0), (0.055, 0.055, 3), 1110), ((-0.5, 0.1, 0.2), (0.05, 0.05, 0.12), 1080),
        )  # fmt: skip
    for centre, radii, value in shapes:
        ellipsoid(centre, radii, value)
    noise = np.random.default_rng(5).normal(0, 9, made.shape).astype(np.int32)
    return np.clip(made + noise, 0, 4095).astype(np.uint16)


def base(patient: Patient, day: date, sop_class: str, modality: str, *, uid: str, number: int) -> FileDataset:
    """Begin a data set with the modules that every object has, identifiers planted throughout."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{uid}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "STQUILLMOOR"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    study = f"{ROOT}.{patient.number}.{day:%Y%m%d}"
    family = patient.name.split("^")[0]
    _fill(
        ds, SpecificCharacterSet=patient.charset, SOPClassUID=sop_class, SOPInstanceUID=f"{uid}.{number}", StudyInstanceUID=study,
        SeriesInstanceUID=uid, FrameOfReferenceUID=f"{uid}.0", PatientName=patient.name, PatientID=patient.number, PatientSex=patient.sex,
        PatientBirthDate=f"{patient.birth:%Y%m%d}", OtherPatientIDs=f"HX{patient.number}", PatientAddress="4417 Trelmoor Crescent, Vosskamp",
        StudyDate=f"{day:%Y%m%d}", SeriesDate=f"{day:%Y%m%d}", ContentDate=f"{day:%Y%m%d}", StudyTime="101500", ContentTime="101733",
        AcquisitionDateTime=f"{day:%Y%m%d}101701", AccessionNumber=patient.number, StudyID=patient.number, Modality=modality,
        Manufacturer="Imaging Works", InstitutionName="Quillmoor Regional Hospital", StationName="QMRH-CT2", DeviceSerialNumber="SN4471902",
        ReferringPhysicianName="Skelvane^Dr Ismay", OperatorsName="Thrupple^Wenna", SeriesNumber=1, InstanceNumber=number,
        AcquisitionNumber=1, PositionReferenceIndicator="",
        StudyDescription=f"Follow up, Mrs {family}, MRN {patient.number}", PatientComments="wife calls 250-555-0143",
    )  # fmt: skip
    block = ds.private_block(0x0009, "QUILLMOOR GATEWAY", create=True)
    block.add_new(0x01, "LO", f"{family} via Vosskamp")
    request = Dataset()
    _fill(
        request,
        RequestedProcedureID=patient.number,
        ScheduledProcedureStepDescription=f"for Dr Skelvane, {family}",
        AccessionNumber=patient.number,
    )
    ds.RequestAttributesSequence = [request]
    return ds


def _fill(ds: Dataset, **attributes: Any) -> None:
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)


def pixels(ds: Dataset, image: np.ndarray) -> None:
    """Image Pixel of a 12 bit slice or an RGB picture."""
    colour = image.ndim == 3
    bits = 8 if colour else 16
    _fill(
        ds, Rows=image.shape[0], Columns=image.shape[1], SamplesPerPixel=3 if colour else 1, PhotometricInterpretation="RGB" if colour else "MONOCHROME2",
        BitsAllocated=bits, BitsStored=8 if colour else 12, HighBit=7 if colour else 11, PixelRepresentation=0,
    )  # fmt: skip
    if colour:
        ds.PlanarConfiguration = 0
    ds.PixelData = image.tobytes()


def chest_ct(folder: Path, patient: Patient, day: date, slices: int) -> int:
    """Write a chest CT: nothing in its kind can show text or a face."""
    uid = f"{ROOT}.{patient.number}.{day:%Y%m%d}.1"
    spacing = 350 / 128
    for index, image in enumerate(volume(slices, 128, head=False)):
        ds = base(patient, day, CTImageStorage, "CT", uid=uid, number=index + 1)
        _fill(
            ds, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], BodyPartExamined="CHEST", SeriesDescription="Chest w/o contrast", KVP="120",
            SliceThickness="5", ConvolutionKernel="B31f", PixelSpacing=[f"{spacing:.5f}"] * 2, ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[-175, -175, index * 5], SliceLocation=str(index * 5), PatientPosition="HFS", RescaleIntercept="-1024",
            RescaleSlope="1", WindowCenter="40", WindowWidth="400",
        )  # fmt: skip
        if index:
            before = Dataset()
            _fill(before, ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=f"{uid}.{index}")
            ds.ReferencedImageSequence = [before]
        pixels(ds, image)
        save(
            ds, folder / f"{patient.name.split('^')[0]} {patient.number}" / f"CT {day:%Y%m%d}" / f"{index + 1:03d}.dcm"
        )
    return slices


def head_mr(folder: Path, patient: Patient, day: date, slices: int) -> int:
    """Write a head MR: a face may be rendered from it."""
    uid = f"{ROOT}.{patient.number}.{day:%Y%m%d}.2"
    for index, image in enumerate(volume(slices, 96, head=True)):
        ds = base(patient, day, MRImageStorage, "MR", uid=uid, number=index + 1)
        _fill(
            ds, ImageType=["ORIGINAL", "PRIMARY", "M", "SE"], BodyPartExamined="HEAD", SeriesDescription="T1 axial", ScanningSequence="SE",
            SequenceVariant="SK", MRAcquisitionType="2D", RepetitionTime="520", EchoTime="12", SliceThickness="5", PixelSpacing=["2.5", "2.5"],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[-120, -120, index * 5],
        )  # fmt: skip
        pixels(ds, image)
        save(
            ds, folder / f"{patient.name.split('^')[0]} {patient.number}" / f"MR {day:%Y%m%d}" / f"{index + 1:03d}.dcm"
        )
    return slices


def painted(patient: Patient, day: date, *, fan: bool) -> np.ndarray:
    """Paint a picture with the patient's name in it, as ultrasound and screen captures have it."""
    picture = Image.new("RGB", (320, 240))
    draw = ImageDraw.Draw(picture)
    if fan:
        draw.pieslice((30, -140, 290, 230), 50, 130, fill=(70, 70, 70))
        for step in range(24):
            draw.arc(
                (60 + step * 3, -110 + step * 4, 260 - step * 3, 200 - step * 4), 55, 125, fill=(60 + step * 6,) * 3
            )
    else:
        draw.rectangle((20, 40, 300, 220), outline=(120, 120, 160))
        for row in range(6):
            draw.line((30, 70 + row * 24, 290, 70 + row * 24), fill=(60, 60, 90))
    shown = unicodedata.normalize("NFKD", patient.name.replace("^", ", ")).encode("ascii", "ignore").decode()
    draw.text((6, 4), f"{shown}   {patient.number}   {day:%d.%m.%Y}", fill=(255, 255, 255))
    return np.asarray(picture, dtype=np.uint8)


def ultrasound(folder: Path, patient: Patient, day: date) -> int:
    """Write an ultrasound image: a name stands in the pixels."""
    ds = base(patient, day, UltrasoundImageStorage, "US", uid=f"{ROOT}.{patient.number}.{day:%Y%m%d}.3", number=1)
    _fill(ds, ImageType=["ORIGINAL", "PRIMARY"], BodyPartExamined="ABDOMEN", SeriesDescription="Abdomen")
    pixels(ds, painted(patient, day, fan=True))
    save(ds, folder / f"{patient.name.split('^')[0]} {patient.number}" / "US" / "1.dcm")
    return 1


def capture(folder: Path, patient: Patient, day: date) -> int:
    """Write a secondary capture: a screen with the patient's name."""
    ds = base(patient, day, SecondaryCaptureImageStorage, "OT", uid=f"{ROOT}.{patient.number}.{day:%Y%m%d}.4", number=1)
    _fill(ds, ImageType=["DERIVED", "SECONDARY"], ConversionType="WSD", SeriesDescription="Dose report")
    pixels(ds, painted(patient, day, fan=False))
    save(ds, folder / f"{patient.name.split('^')[0]} {patient.number}" / "SC" / "1.dcm")
    return 1


def save(ds: FileDataset, path: Path) -> None:
    """Write a file of the standard's format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def packaged(folder: Path) -> int:
    """Copy real files out of pydicom's package; one that this version does not ship is left out."""
    copied = 0
    for name in PACKAGED:
        found = get_testdata_file(name, download=False)
        if found:
            target = folder / "from pydicom" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(found), target)
            copied += 1
    return copied


def make(folder: Path, slices: int = 24) -> dict[str, int]:
    """Write the demo into ``folder``; answers how many files of which kind."""
    first, second, third = PATIENTS
    day = date(2025, 2, 11)
    return {
        "chest CT, first visit": chest_ct(folder, first, day, slices),
        "chest CT, 45 days later": chest_ct(folder, first, day + timedelta(days=45), slices),
        "chest CT of a patient called LI": chest_ct(folder, third, day + timedelta(days=3), slices // 2),
        "head MR": head_mr(folder, second, day + timedelta(days=9), slices // 2),
        "ultrasound with a name in the pixels": ultrasound(folder, second, day),
        "screen capture with a name in the pixels": capture(folder, first, day),
        "files of pydicom's package": packaged(folder),
        "litter of a CD": _litter(folder),
    }


def _litter(folder: Path) -> int:
    (folder / "AUTORUN.INF").write_text("[autorun]\nlabel=Images of Mrs Brelvanoor\n")
    return 1


def main() -> int:
    """Write the demo and say what it holds."""
    parser = argparse.ArgumentParser(description="Write a small demo corpus of DICOM files.")
    parser.add_argument("out", type=Path, help="folder to make; must be empty or missing")
    parser.add_argument("--slices", type=int, default=24, help="slices of a chest CT (default 24)")
    options = parser.parse_args()
    if options.out.exists() and any(options.out.iterdir()):
        print(f"{options.out} is not empty", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    made = make(options.out, max(2, options.slices))
    for kind, count in made.items():
        print(f"{count:>4}  {kind}")
    print(f"{sum(made.values()):>4}  in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
