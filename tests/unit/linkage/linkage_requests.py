"""Requests with values that are easy to find again in any byte that is written."""

from __future__ import annotations

from tarnhelm.common.assign import AssignRequest, ValueKind, ValueQuery


def make_request(
    number: int = 1, *, patient_id: str | None = None, study: int = 1, sex: str = "F", issuer: str = "HOSPITAL"
) -> AssignRequest:
    return AssignRequest(
        patient_id=f"MRN{number:06}" if patient_id is None else patient_id,
        issuer=issuer,
        study_uid=f"1.2.840.99.{number}.{study}",
        sex=sex,
        uids=tuple(f"1.2.840.99.{number}.{study}.{place}" for place in range(4)),
        values=(
            ValueQuery(ValueKind.ID_NUMERICAL, "accession", f"{4_000_000 + number}"),
            ValueQuery(ValueKind.ID_ALPHANUMERICAL, "accession", f"AX{number:05}b"),
            ValueQuery(ValueKind.KEY, "SURNAME", f"physician {number}"),
        ),
        way_back=(
            ("patient_name", f"CANARYNAME^SUBJECT{number}"),
            ("birth_date", "19571103"),
            ("accession_number", f"CANARYACC{number}.{study}"),
        ),
    )
