"""Requests whose values are easy to find again in any byte that is written."""

from __future__ import annotations

from tarnhelm.common.assign import AssignRequest, ValueKind, ValueQuery

CANARIES = ("CANARY", "MRN0", "HOSPITAL", "1.2.840.99", "19571103", "AX0000", "physician")


def canary_requests(count=12):
    """Requests of as many patients, and one without a Patient ID."""
    return [
        AssignRequest(
            patient_id=f"MRN{number:06}" if number < count else "",
            issuer="HOSPITAL",
            study_uid=f"1.2.840.99.{number}",
            sex="FM"[number % 2],
            uids=tuple(f"1.2.840.99.{number}.{place}" for place in range(4)),
            values=(
                ValueQuery(ValueKind.ID_ALPHANUMERICAL, "accession", f"AX{number:05}b"),
                ValueQuery(ValueKind.KEY, "SURNAME", f"physician {number}"),
            ),
            way_back=(
                ("patient_name", f"CANARYNAME^SUBJECT{number}"),
                ("birth_date", "19571103"),
                ("accession_number", f"CANARYACC{number}"),
            ),
        )
        for number in range(count + 1)
    ]
