"""Clean one dataset in memory with a keyed assigner of the test's own, and read the result with pydicom."""

import hashlib
import hmac
import io
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

from tarnhelm.common.assign import AssignReply, ValueKind
from tarnhelm.common.stage import StageJob
from tarnhelm.metadata.core.stage import MetadataConfig, make_core

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


class KeyedAssigner:
    """Stands for the linkage service: keyed, stable, one subject a Patient ID."""

    def __init__(self, key=b"test key"):
        self.key = key
        self.requests = []

    def _mac(self, *parts):
        return hmac.digest(self.key, "\0".join(parts).encode(), hashlib.sha256)

    def uid(self, original):
        return f"2.25.{int.from_bytes(self._mac('uid', original)[:16], 'big')}"

    def assign(self, request):
        self.requests.append(request)
        key = self._mac("subject", request.patient_id or request.study_uid)
        answers = []
        for query in request.values:
            material = self._mac(query.kind, query.domain, query.value)
            if query.kind is ValueKind.KEY:
                answers.append(material.hex())
            else:
                answers.append(
                    "".join(
                        str(material[n % 32] % 10)
                        if c.isdigit()
                        else chr(65 + material[n % 32] % 26)
                        if c.isalpha()
                        else c
                        for n, c in enumerate(query.value)
                    )
                )
        return AssignReply(
            subject_id="TRN-" + key.hex()[:20].upper(),
            subject_key=key,
            date_offset_days=-(1 + key[0]),
            sex=request.sex,
            uids={uid: self.uid(uid) for uid in request.uids},
            values=tuple(answers),
            issuer="TARNHELM-TEST",
        )


def chest_ct(**extra):
    """A small CT slice of an invented patient."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = "1.2.3.4.5.1"
    ds.StudyDate = ds.SeriesDate = "20210304"
    ds.StudyTime = "101112"
    ds.AccessionNumber = "ACC7788"
    ds.Modality = "CT"
    ds.Manufacturer = "ACME"
    ds.InstitutionName = "Fernwood General"
    ds.ReferringPhysicianName = "Quillan^Odette"
    ds.StudyDescription = "Chest for Bramwell"
    ds.PatientName = "Bramwell^Tobias"
    ds.PatientID = "MRN445566"
    ds.PatientBirthDate = "19570809"
    ds.PatientSex = "M"
    ds.BodyPartExamined = "CHEST"
    ds.KVP = "120"
    ds.SliceThickness = "1.5"
    ds.StudyInstanceUID = "1.2.3.4.5"
    ds.SeriesInstanceUID = "1.2.3.4.5.6"
    ds.FrameOfReferenceUID = "1.2.3.4.5.7"
    ds.StudyID = "S9911"
    ds.SeriesNumber = "2"
    ds.InstanceNumber = "3"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = 8
    ds.PixelSpacing = ["0.7", "0.7"]
    ds.ImagePositionPatient = ["-100", "-100", "40"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.BitsAllocated = 16
    ds.BitsStored = 12
    ds.HighBit = 11
    ds.PixelRepresentation = 0
    ds.PixelData = b"".join(bytes((n % 16, n % 16)) for n in range(64))
    for name, value in extra.items():
        setattr(ds, name, value)
    return ds


def file_bytes(ds, syntax=EXPLICIT, *, preamble=b"\0" * 128):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CT)
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "1.2.3")
    meta.TransferSyntaxUID = syntax
    meta.SourceApplicationEntityTitle = "FERNWOODCT1"
    if not syntax.startswith("1.2.840.10008.1.2.4"):
        for element in ds:
            if element.tag == 0x7FE00010:
                element.VR = "OW"
    big = syntax == "1.2.840.10008.1.2.2"
    implicit = syntax == "1.2.840.10008.1.2"
    file = FileDataset(None, ds, preamble=preamble, file_meta=meta, is_implicit_VR=implicit, is_little_endian=not big)
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


class Cleaned:
    """A result: the bytes, the dataset, the outcome."""

    def __init__(self, data, outcome):
        self.data = data
        self.outcome = outcome

    @property
    def ds(self):
        return pydicom.dcmread(io.BytesIO(self.data))

    def holds(self, *texts):
        return [text for text in texts if text.encode("latin-1") in self.data]


class Cleaner:
    """One core over one configuration."""

    def __init__(self, folder: Path, recipe=None, profiles=(), variables=None, **config):
        self.folder = folder
        self.assigner = KeyedAssigner()
        self.core = make_core(
            MetadataConfig(recipe_text=recipe, profiles=tuple(profiles), variables=variables or {}, **config)
        )
        self.count = 0

    def __call__(self, data, *, accept=True, **job):
        data = data if isinstance(data, bytes) else file_bytes(data)
        self.count += 1
        source = self.folder / f"in{self.count}.dcm"
        target = self.folder / f"out{self.count}.dcm"
        source.write_bytes(data)
        outcome = self.core(StageJob("object", source, target, accept_unchecked_pixels=accept, **job), self.assigner)
        return Cleaned(target.read_bytes() if target.exists() else b"", outcome)
