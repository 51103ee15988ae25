"""What a peer's answer means for a delivery (PS3.4 table B.2-1, PS3.7 Annex C, PS3.18 table 10.5.3-1)."""

from __future__ import annotations

from typing import Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError

__all__ = ["told_by_status"]

_SUCCESS: Final = 0x0000
_PROCESSING_FAILURE: Final = 0x0110
_DUPLICATE_INSTANCE: Final = 0x0111
_NOT_SUPPORTED: Final = 0x0122
_NOT_AUTHORISED: Final = 0x0124
_BUSY: Final = frozenset({0x0213})
"""PS3.7 section C.5.23: resource limitation."""


def told_by_status(status: int, *, first: bool) -> None:
    """Return where the peer has the object, else raise what its status means.

    A warning means that it has it: 0xB000, 0xB006 and 0xB007 say that it changed or did not like elements, 0x0001,
    0x0107 and 0x0116 likewise.

    Parameters
    ----------
    status
        Status (0000,0900) of a C-STORE response, or Failure Reason (0008,1197) of a STOW-RS response.
    first
        Whether this was the first try. A peer that says it has the instance already has it, in a later try, from the
        one before; in the first it has somebody else's.

    Raises
    ------
    TarnhelmError
        DLV-002, DLV-003, DLV-004 (RETRY), DLV-010, DLV-011, DLV-013.
    """
    if status == _SUCCESS or status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116):
        return
    if status == _DUPLICATE_INSTANCE:
        if first:
            raise TarnhelmError(errors.OTHER_VERSION_THERE)
        return
    if status & 0xFF00 == 0xA700 or status in _BUSY:
        raise TarnhelmError(errors.PEER_BUSY)
    if status == _NOT_AUTHORISED:
        raise TarnhelmError(errors.PEER_REFUSES_US)
    if status == _NOT_SUPPORTED:
        raise TarnhelmError(errors.FORM_NOT_TAKEN)
    if status == _PROCESSING_FAILURE:
        raise TarnhelmError(errors.PEER_FAULT)
    raise TarnhelmError(errors.REFUSED_FOR_GOOD, status=status)
