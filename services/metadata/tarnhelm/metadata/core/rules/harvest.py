"""Which attributes of the source hold identifiers of the people and places in it.

What is harvested here is looked for in every text that stays. Only what identifies: a modality or a body
part is never harvested, and numbers such as times or positions neither.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FACT_TAGS", "HARVEST_TAGS", "WAY_BACK", "harvest_class"]

#: tag → class. Person names of every VR PN element are harvested besides (see :func:`harvest_class`).
HARVEST_TAGS: Final = {
    0x00100020: "id",  # Patient ID
    0x00101000: "id",  # Other Patient IDs
    0x00101001: "name",  # Other Patient Names
    0x00101005: "name",  # Patient's Birth Name
    0x00101060: "name",  # Patient's Mother's Birth Name
    0x00101090: "id",  # Medical Record Locator
    0x00102154: "id",  # Patient's Telephone Numbers
    0x00102155: "id",  # Patient's Telecom Information
    0x00101040: "place",  # Patient's Address
    0x00102150: "place",  # Country of Residence
    0x00102152: "place",  # Region of Residence
    0x00100030: "date",  # Patient's Birth Date
    0x00080020: "date",  # Study Date
    0x00080021: "date",  # Series Date
    0x00080022: "date",  # Acquisition Date
    0x00080050: "id",  # Accession Number
    0x00200010: "id",  # Study ID
    0x00080080: "organisation",  # Institution Name
    0x00080081: "place",  # Institution Address
    0x00081040: "organisation",  # Institutional Department Name
    0x00081010: "organisation",  # Station Name
    0x00080092: "place",  # Referring Physician's Address
    0x00080094: "id",  # Referring Physician's Telephone Numbers
    0x00181000: "id",  # Device Serial Number
    0x00380010: "id",  # Admission ID
    0x00380060: "id",  # Service Episode ID
    0x00380300: "organisation",  # Current Patient Location
    0x00380400: "organisation",  # Patient's Institution Residence
    0x00400009: "id",  # Scheduled Procedure Step ID
    0x00400253: "id",  # Performed Procedure Step ID
    0x00401001: "id",  # Requested Procedure ID
    0x00402016: "id",  # Placer Order Number / Imaging Service Request
    0x00402017: "id",  # Filler Order Number / Imaging Service Request
    0x00400241: "organisation",  # Performed Station AE Title
    0x00400242: "organisation",  # Performed Station Name
    0x00400010: "organisation",  # Scheduled Station Name
    0x00321032: "name",  # Requesting Physician
    0x00321033: "organisation",  # Requesting Service
    0x00080090: "name",  # Referring Physician's Name
    0x00081050: "name",  # Performing Physician's Name
    0x00081070: "name",  # Operators' Name
}

#: Attributes that :class:`ObjectFacts` and the gate read.
FACT_TAGS: Final = frozenset(
    {
        0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080060, 0x00080064, 0x0008103E, 0x00081030, 0x00181030,
        0x00180015, 0x00181020, 0x00080070, 0x00280301, 0x00280302, 0x00280002, 0x00280004, 0x00280008,
        0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x0020000D,
        0x0020000E, 0x00200011, 0x00200013, 0x00200052, 0x00180050, 0x00200037, 0x00200032, 0x00180060,
        0x00100020, 0x00100021, 0x00100040, 0x00080005, 0x00281101, 0x00280006, 0x00180020, 0x00185100,
        0x00181164, 0x00321060, 0x00400254, 0x00185101,
    }
)  # fmt: skip

#: What the vault keeps for the way back: tag → kind (see ``AssignRequest.way_back``).
WAY_BACK: Final = {
    0x00100010: "patient_name",
    0x00100020: "patient_id",
    0x00100021: "issuer",
    0x00100030: "birth_date",
    0x00101000: "other_id",
    0x0020000D: "study_uid",
    0x00080050: "accession_number",
    0x00080020: "study_date",
}


def harvest_class(tag: int, vr: str) -> str:
    """Class of identifier that an attribute holds, or an empty string."""
    if vr == "PN":
        return "name"
    return HARVEST_TAGS.get(tag, "")
