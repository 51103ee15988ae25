"""PIX: what may stand in the pixels."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, error_code

TEXT_UNCHECKED = error_code(
    "PIX-001",
    QUARANTINE,
    "The pixels may carry burned-in text, and no OCR stage is installed.",
    "Install the ocr service, or accept unchecked pixels expressly.",
)
FACE_UNCHECKED = error_code(
    "PIX-002",
    QUARANTINE,
    "The volume may show a face, and no imaging stage is installed.",
    "Install the imaging service, or accept unchecked pixels expressly.",
)
TEXT_AND_FACE_UNCHECKED = error_code(
    "PIX-003",
    QUARANTINE,
    "The pixels may carry text and a face, and neither the ocr nor the imaging stage is installed.",
    "Install both services, or accept unchecked pixels expressly.",
)
MASK_WANTED = error_code(
    "PIX-004",
    QUARANTINE,
    "The recipe asks for regions to be masked, and no OCR stage is installed.",
    "Install the ocr service.",
)
BAD_PIXEL_HEADER = error_code(
    "PIX-005",
    QUARANTINE,
    "The attributes that describe the pixels contradict each other.",
    "Look at the object with a DICOM validator.",
)
