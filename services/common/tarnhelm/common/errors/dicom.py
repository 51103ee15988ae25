"""DCM: the structure of a DICOM object."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import QUARANTINE, SKIP, error_code

NOT_DICOM = error_code(
    "DCM-001", SKIP, "The file is not DICOM.", "Nothing to do: other files beside images are passed over."
)
DICOMDIR = error_code(
    "DCM-002",
    SKIP,
    "The file is a DICOMDIR, an index of the medium.",
    "Nothing to do: the images are cleaned, the index is left out.",
)
TRUNCATED = error_code(
    "DCM-003",
    QUARANTINE,
    "The data set ends inside the element {tag} at byte {offset}.",
    "Send the object again: the transfer was cut, or the file is damaged.",
)
BAD_LENGTH = error_code(
    "DCM-004",
    QUARANTINE,
    "The element {tag} at byte {offset} claims a length that does not fit its parent.",
    "The writer of this file is at fault; look at it with a DICOM validator.",
)
BAD_VR = error_code(
    "DCM-005",
    QUARANTINE,
    "The element at byte {offset} has no known value representation.",
    "The file is damaged or not in the transfer syntax that it names.",
)
BAD_ORDER = error_code(
    "DCM-006",
    QUARANTINE,
    "The element {tag} at byte {offset} stands out of order or twice.",
    "The writer of this file is at fault; look at it with a DICOM validator.",
)
BAD_SEQUENCE = error_code(
    "DCM-007",
    QUARANTINE,
    "The sequence {tag} is not made of items at byte {offset}.",
    "The writer of this file is at fault; look at it with a DICOM validator.",
)
UNKNOWN_SYNTAX = error_code(
    "DCM-008",
    QUARANTINE,
    "The transfer syntax is not one this version understands.",
    "Convert the object to a syntax of the list in CONFORMANCE.md.",
)
BAD_META = error_code(
    "DCM-009", QUARANTINE, "The file meta information cannot be read.", "The file is damaged; send the object again."
)
BAD_FRAGMENTS = error_code(
    "DCM-010",
    QUARANTINE,
    "The encapsulated pixel data are not made of whole fragments.",
    "The file is damaged; send the object again.",
)
BAD_CODESTREAM = error_code(
    "DCM-011",
    QUARANTINE,
    "A compressed frame is not a whole code stream of its transfer syntax.",
    "Decompress and recompress the object, or send it again.",
)
MISSING_IDENTITY = error_code(
    "DCM-012",
    QUARANTINE,
    "A SOP class, SOP instance, study or series UID is missing or no UID.",
    "The object cannot be filed without them; correct it at its source.",
)
BAD_DEFLATE = error_code(
    "DCM-013", QUARANTINE, "The deflated data set cannot be inflated.", "The file is damaged; send the object again."
)
BAD_CHARSET = error_code(
    "DCM-014",
    QUARANTINE,
    "Specific Character Set names a repertoire this version does not know.",
    "Correct (0008,0005) at the source.",
)
PIXEL_LENGTH = error_code(
    "DCM-015",
    QUARANTINE,
    "The pixel data are {seen} bytes, the header asks for {wanted}.",
    "The file is cut or its header is wrong; send the object again.",
)
NO_PIXELS = error_code(
    "DCM-016",
    QUARANTINE,
    "The object is of an image's class and holds no pixel data.",
    "Send it again if the transfer was cut; a header alone is no image and stays here.",
)
