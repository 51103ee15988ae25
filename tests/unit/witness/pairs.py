"""Sources with identifiers and the results that a faultless cleaner would make of them."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import struct
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Callable

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
CREATOR = "SIEMENS MED"


@dataclass(frozen=True)
class Person:
    """The subject of a source, and who had to do with the images."""

    name: str = "Kowalczyk^Jadwiga^Maria"
    number: str = "MRN-4471093"
    birth: str = "19530417"
    study_date: str = "20190312"
    accession: str = "ACC8812734"
    study_id: str = "ST90412"
    referring: str = "Okonjo^Beatrice^^Dr"
    operator: str = "Fitzwilliam^Hugh"
    institution: str = "Lions Bay Memorial Hospital"
    address: str = "17 Larkspur Crescent^Squamish"
    phone: str = "604-555-0142"
    serial: str = "SN7741209"
    station: str = "CTSCAN7734"
    root: str = "1.3.12.2.1107.5.1.4.73104"


@dataclass(frozen=True)
class Surrogate:
    """What stands in the person's place."""

    name: str = "Tremblay^Odile"
    number: str = "TRN-K3J9QX7WZ0PM2VDA"
    days: int = -431
    accession: str = "ACC1903558"
    study_id: str = "ST11873"
    root: str = "2.25"


def shifted(value: str, days: int) -> str:
    """Move a DA by whole days."""
    day = date(int(value[:4]), int(value[4:6]), int(value[6:8])) + timedelta(days=days)
    return day.strftime("%Y%m%d")


def policy(**changes: Any) -> bytes:
    """The policy that fits :func:`cleaned`."""
    document: dict[str, Any] = {
        "version": 1,
        "keep": {},
        "surrogate": {"00100010": "name", "00100020": "id", "00100030": "birth", "00080050": "id", "00200010": "id",
                      "00080090": "name"},
        "uids": "mapped",
        "dates": "shifted",
        "private_keep": [[CREATOR, 0x0019, 0x0A]],
        "standard_uids": "builtin",
    }  # fmt: skip
    document.update(changes)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({"digest": hashlib.sha256(text.encode()).hexdigest()} | document).encode()


DIGEST = json.loads(policy())["digest"]


def source(person: Person, *, size: int = 16, extra: int = 0, seed: int = 1) -> Dataset:
    """A CT slice full of identifiers."""
    rng = np.random.default_rng(seed)
    ds = Dataset()
    ds.SOPClassUID = CT_CLASS
    ds.SOPInstanceUID = f"{person.root}.30000019031207.{seed}.1"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = person.study_date
    ds.StudyTime = ds.AcquisitionTime = "101112.345"
    ds.AcquisitionDateTime = person.study_date + "101112.345"
    ds.AccessionNumber = person.accession
    ds.Modality = "CT"
    ds.Manufacturer = "Philips"
    ds.ManufacturerModelName = "Brilliance 64"
    ds.InstitutionName = person.institution
    ds.StationName = person.station
    ds.StudyDescription = "CT CHEST WITH CONTRAST"
    ds.SeriesDescription = "AXIAL 5.0 MM LUNG"
    ds.ReferringPhysicianName = person.referring
    ds.OperatorsName = person.operator
    ds.PatientName = person.name
    ds.PatientID = person.number
    ds.PatientBirthDate = person.birth
    ds.PatientSex = "F"
    ds.PatientAge = "065Y"
    ds.PatientAddress = person.address
    ds.PatientTelephoneNumbers = person.phone
    ds.BodyPartExamined = "CHEST"
    ds.DeviceSerialNumber = person.serial
    ds.SoftwareVersions = "syngo CT 2012B"
    ds.ProtocolName = "Thorax routine"
    ds.KVP = "120"
    ds.ExposureTime = "1234"
    ds.XRayTubeCurrent = "212"
    ds.ConvolutionKernel = "B31f"
    ds.StudyInstanceUID = f"{person.root}.30000019031207.2"
    ds.SeriesInstanceUID = f"{person.root}.30000019031207.3"
    ds.FrameOfReferenceUID = f"{person.root}.30000019031207.4"
    ds.StudyID = person.study_id
    ds.SeriesNumber = "12"
    ds.InstanceNumber = str(seed)
    ds.ImagePositionPatient = ["-175.2", "-180.0", f"{seed}.5"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    item = Dataset()
    item.ReferencedSOPClassUID = CT_CLASS
    item.ReferencedSOPInstanceUID = f"{person.root}.30000019031207.9"
    ds.ReferencedImageSequence = Sequence([item])
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "51185008", "SCT", "Chest"
    ds.AnatomicRegionSequence = Sequence([code])
    block = ds.private_block(0x0019, CREATOR, create=True)
    block.add_new(0x0A, "LO", "SLICE 5")
    block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", b"SV10" + person.name.encode() + b"\0" * 9)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    for number in range(extra):
        ds.add_new(0x00189000 + number, "FD" if number % 2 else "DS", float(number) if number % 2 else f"{number}.125")
    ds.PixelData = rng.integers(0, 4096, size * size, dtype=np.uint16).tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = _meta(ds, ExplicitVRLittleEndian, "SENDERAE7")
    return ds


def _meta(ds: Dataset, syntax: str, title: str = "") -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = "2.25.302610263426473645"
    meta.ImplementationVersionName = "TARNHELM_1"
    if title:
        meta.SourceApplicationEntityTitle = title
    return meta


def cleaned(original: Dataset, surrogate: Surrogate | None = None) -> Dataset:
    """Do what a faultless cleaner does."""
    surrogate = surrogate or Surrogate()
    ds = copy.deepcopy(original)
    rng = random.Random(str(original.PatientID) + str(original.PatientName))
    uids: dict[str, str] = {}

    def mapped(uid: str) -> str:
        return uids.setdefault(uid, f"{surrogate.root}.{rng.randrange(10**37, 10**38)}")

    for holder in (ds, *(ds.get("ReferencedImageSequence") or [])):
        for element in holder:
            if element.VR == "UI" and element.keyword not in {"SOPClassUID", "ReferencedSOPClassUID"}:
                element.value = mapped(str(element.value))
            elif element.VR == "DA" and element.value:
                element.value = shifted(str(element.value), surrogate.days)
            elif element.VR == "DT" and element.value:
                element.value = shifted(str(element.value), surrogate.days) + str(element.value)[8:]
    ds.PatientName = surrogate.name
    ds.PatientID = surrogate.number
    ds.PatientBirthDate = "19530101" if str(original.PatientBirthDate)[4:] != "0101" else "19530601"
    ds.AccessionNumber = surrogate.accession
    ds.StudyID = surrogate.study_id
    ds.ReferringPhysicianName = "Gagnon^Luc"
    for keyword in ("OperatorsName", "InstitutionName", "StationName", "PatientAddress", "PatientTelephoneNumbers",
                    "DeviceSerialNumber", "PatientAge"):  # fmt: skip
        if keyword in ds:
            del ds[keyword]
    for element in list(ds.group_dataset(0x0029)):
        del ds[element.tag]
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "Tarnhelm 1: basicProfile"
    ds.file_meta = _meta(ds, str(original.file_meta.TransferSyntaxUID))
    return ds


def encoded(ds: Dataset) -> bytes:
    """The bytes of a Part 10 file."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def written(elements: dict[int, tuple[str, bytes]], sop_uid: str) -> bytes:
    """Write explicit little endian by hand, some thirty times as fast as pydicom: for corpora."""

    def row(tag: int, vr: str, value: bytes) -> bytes:
        value += (b"\0" if vr in {"UI", "OB"} else b" ") * (len(value) % 2)
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
        return head + (struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))) + value

    meta = (
        row(0x00020001, "OB", b"\0\1") + row(0x00020002, "UI", CT_CLASS.encode()) + row(0x00020003, "UI", sop_uid.encode())
        + row(0x00020010, "UI", b"1.2.840.10008.1.2.1") + row(0x00020012, "UI", b"2.25.302610263426473645")
    )  # fmt: skip
    body = b"".join(row(tag, vr, value) for tag, (vr, value) in sorted(elements.items()))
    return b"\0" * 128 + b"DICM" + row(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body


@dataclass
class Pair:
    """A source, its clean result, and room to spoil it."""

    person: Person = field(default_factory=Person)
    surrogate: Surrogate = field(default_factory=Surrogate)
    size: int = 16
    extra: int = 0
    seed: int = 1
    before: Callable[[Dataset], None] | None = None
    """Changes the source (and so the result)."""
    after: Callable[[Dataset], None] | None = None
    """Changes the result alone."""

    def build(self) -> tuple[bytes, bytes]:
        """Bytes of source and result."""
        original = source(self.person, size=self.size, extra=self.extra, seed=self.seed)
        if self.before:
            self.before(original)
        result = cleaned(original, self.surrogate)
        if self.after:
            self.after(result)
        return encoded(original), encoded(result)
