"""Reading sources and results for the judge: with pydicom, and below it."""

from __future__ import annotations

import re
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.leak.corpus.manifest import FileEntry, Manifest

__all__ = ["Output", "inflated", "read_outputs", "value_at", "walk_values"]

DEFLATED = "1.2.840.10008.1.2.1.99"
STEP = re.compile(r"([0-9A-F]{4})\[(.*?)\]([0-9A-F]{2})|([0-9A-F]{8})|(\d+)")


@dataclass(frozen=True, slots=True)
class Output:
    """One released file, and the source it came from."""

    path: str
    data: bytes
    dataset: Dataset
    entry: FileEntry | None


def inflated(data: bytes) -> bytes:
    """The data set of a deflated file, empty for any other."""
    if data[128:132] != b"DICM":
        return b""
    length = int.from_bytes(data[140:144], "little")
    if DEFLATED.encode() not in data[144 : 144 + length]:
        return b""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[144 + length :])
    except zlib.error:
        return b""


def parse(data: bytes) -> Dataset:
    """A data set with every value decoded; pydicom's remarks on odd values are of no interest here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dcmread(BytesIO(data), force=True)
        for element in ds.iterall():
            _ = element.value
        return ds


def read_outputs(folder: Path, manifest: Manifest) -> list[Output]:
    """All DICOM files under ``folder``, paired with their sources by Instance Number."""
    by_serial = manifest.by_serial()
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if data[128:132] != b"DICM":
            continue
        ds = parse(data)
        number = ds.get("InstanceNumber")
        found.append(
            Output(path.relative_to(folder).as_posix(), data, ds, by_serial.get(int(number)) if number else None)
        )
    return found


def value_at(ds: Dataset, path: str) -> Any:
    """The value at a path of the manifest, None where there is none."""
    here: Any = ds
    for step in path.split("/"):
        match = STEP.fullmatch(step)
        if here is None or match is None:
            return None
        group, creator, low, tag, index = match.groups()
        if tag:
            here = here[int(tag, 16)].value if int(tag, 16) in here else None
        elif index:
            here = here[int(index)] if int(index) < len(here) else None
        else:
            here = _private(here, int(group, 16), creator, int(low, 16))
    return here


def _private(ds: Dataset, group: int, creator: str, low: int) -> Any:
    for block in range(0x10, 0x100):
        found = ds.get((group, block))
        if found is not None and str(found.value).strip() == creator:
            element = ds.get((group, block << 8 | low))
            if element is not None:
                return element.value
    return None


def walk_values(ds: Dataset, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, element) of every element at any depth."""
    for element in ds:
        here = f"{path}{int(element.tag):08X}"
        yield here, element
        if element.VR == "SQ":
            for index, inner in enumerate(element.value):
                yield from walk_values(inner, f"{here}/{index}/")


def frames_of(ds: Dataset) -> list[bytes]:
    """Encapsulated frames, or the native pixel data as one."""
    if "PixelData" not in ds:
        return []
    if ds["PixelData"].is_undefined_length:
        return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1) or 1)))
    return [ds.PixelData]


def bare_stream(frame: bytes) -> bytes:
    """A code stream without comment and application segments and without bytes behind its end."""
    if frame[:2] == b"\xff\xd8":
        return _bare_jpeg(frame)
    if frame[:2] == b"\xff\x4f":
        return _bare_j2k(frame)
    return frame.rstrip(b"\0")


def _bare_jpeg(frame: bytes) -> bytes:
    kept, at = bytearray(frame[:2]), 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        length = int.from_bytes(frame[at + 2 : at + 4], "big") + 2
        if marker == 0xDA:
            break
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept += frame[at : at + length]
        at += length
    end = frame.rfind(b"\xff\xd9")
    return bytes(kept) + frame[at : end + 2 if end > 0 else len(frame)]


def _bare_j2k(frame: bytes) -> bytes:
    kept, at = bytearray(frame[:2]), 2
    while at + 4 <= len(frame) and frame[at + 1] != 0x90:
        length = int.from_bytes(frame[at + 2 : at + 4], "big") + 2
        if frame[at + 1] != 0x64:
            kept += frame[at : at + length]
        at += length
    end = frame.rfind(b"\xff\xd9")
    return bytes(kept) + frame[at : end + 2 if end > 0 else len(frame)]
