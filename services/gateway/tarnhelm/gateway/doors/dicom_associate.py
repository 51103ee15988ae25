"""The PDUs that open an association, read and written (PS3.8 sections 9.3.2 and 9.3.3, PS3.7 Annex D.3.3).

A request may offer 128 contexts with all transfer syntaxes, and some callers send one for each object. So it is read in
one pass over its bytes, and nothing is made of them but the few values that a decision hangs on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

__all__ = ["AssociateRequest", "OfferedContext", "SettledContext", "associate_accept", "read_request"]

_FIXED: Final = struct.Struct(">HH16s16s32x")
_ITEM: Final = struct.Struct(">BxH")
_LONG: Final = struct.Struct(">I")
_SHORT: Final = struct.Struct(">H")
_PDU: Final = struct.Struct(">BxI")
_ACCEPT: Final = 2
_APPLICATION, _OFFERED, _SETTLED, _ABSTRACT, _TRANSFER, _USER = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_MAX_LENGTH, _IMPLEMENTATION, _ROLE, _VERSION_NAME = 0x51, 0x52, 0x54, 0x55
_MAX_UID: Final = 64


class OfferedContext(NamedTuple):
    """A presentation context as a caller proposes it."""

    identifier: int
    abstract: str
    syntaxes: tuple[str, ...]


class SettledContext(NamedTuple):
    """The answer to one: ``result`` is 0 where it is accepted (PS3.8 Table 9-18)."""

    identifier: int
    abstract: str
    syntax: str
    result: int


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ.

    Attributes
    ----------
    version
        Bits of the protocol versions that the caller speaks; bit 0 is version 1.
    titles
        Called and calling AE title as they came, 32 bytes: the answer repeats them.
    peer_max_bytes
        Longest PDU that the caller takes, 0: any.
    roles
        SOP class → whether the caller wants to be its user, of those that it negotiates roles for.
    """

    version: int
    titles: bytes = field(repr=False)
    called: str = field(repr=False)
    calling: str = field(repr=False)
    application: str
    contexts: tuple[OfferedContext, ...]
    peer_max_bytes: int
    roles: tuple[tuple[str, bool], ...]


def read_request(encoded: memoryview) -> AssociateRequest:
    """Read the variable field of an A-ASSOCIATE-RQ; items of unknown types are passed over, as the standard wants.

    Raises
    ------
    TarnhelmError
        DOR-001 where its lengths do not fit, where a title is empty or no ASCII, where a context is not plainly one
        or two of them have one identifier.
    """
    if len(encoded) < _FIXED.size:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    version, _, called, calling = _FIXED.unpack_from(encoded)
    application, longest = "", 0
    contexts: dict[int, OfferedContext] = {}
    roles: list[tuple[str, bool]] = []
    for kind, item in _items(encoded[_FIXED.size :]):
        if kind == _OFFERED:
            context = _offered(item)
            if context.identifier in contexts:
                raise TarnhelmError(errors.PROTOCOL_BROKEN)
            contexts[context.identifier] = context
        elif kind == _APPLICATION:
            application = _uid(item)
        elif kind == _USER:
            for detail, value in _items(item):
                if detail == _MAX_LENGTH:
                    longest = _number(value)
                elif detail == _ROLE:
                    roles.append(_role(value))
    if not contexts:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return AssociateRequest(
        version,
        called + calling,
        _title(called),
        _title(calling),
        application,
        tuple(contexts.values()),
        longest,
        tuple(roles),
    )


def associate_accept(
    request: AssociateRequest, settled: Iterable[SettledContext], roles: Mapping[str, bool], max_pdu_bytes: int
) -> bytes:
    """Encode the A-ASSOCIATE-AC: each context's answer, this implementation, and the roles that are granted.

    Parameters
    ----------
    roles
        SOP class → whether the caller is its user; this side is always the provider.
    """
    answers = b"".join(
        _item(_SETTLED, bytes((one.identifier, 0, one.result, 0)) + _item(_TRANSFER, one.syntax.encode("ascii")))
        for one in settled
    )
    granted = b"".join(
        _item(_ROLE, _SHORT.pack(len(sop_class)) + sop_class.encode("ascii") + bytes((user, 0)))
        for sop_class, user in roles.items()
    )
    user = (
        _item(_MAX_LENGTH, _LONG.pack(max_pdu_bytes))
        + _item(_IMPLEMENTATION, IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + _item(_VERSION_NAME, IMPLEMENTATION_VERSION.encode("ascii"))
        + granted
    )
    body = (
        _FIXED.pack(1, 0, request.titles[:16], request.titles[16:])
        + _item(_APPLICATION, request.application.encode("ascii"))
        + answers
        + _item(_USER, user)
    )
    return _PDU.pack(_ACCEPT, len(body)) + body


def _items(encoded: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Take items apart; raises DOR-001 where one is cut off."""
    position, end = 0, len(encoded)
    while position < end:
        if position + _ITEM.size > end:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        kind, length = _ITEM.unpack_from(encoded, position)
        first = position + _ITEM.size
        position = first + length
        if position > end:
            raise TarnhelmError(errors.PROTOCOL_BROKEN)
        yield kind, encoded[first:position]


def _offered(item: memoryview) -> OfferedContext:
    if len(item) < 4 or not item[0] & 1:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    abstract, syntaxes = [], []
    for kind, value in _items(item[4:]):
        if kind == _ABSTRACT:
            abstract.append(_uid(value))
        elif kind == _TRANSFER:
            syntaxes.append(_uid(value))
    if len(abstract) != 1 or not syntaxes:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return OfferedContext(item[0], abstract[0], tuple(syntaxes))


def _role(value: memoryview) -> tuple[str, bool]:
    length = _SHORT.unpack_from(value)[0] if len(value) >= _SHORT.size else 0
    if not length or len(value) != _SHORT.size + length + 2:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return _uid(value[_SHORT.size : _SHORT.size + length]), bool(value[_SHORT.size + length])


def _number(value: memoryview) -> int:
    if len(value) != _LONG.size:
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return int(_LONG.unpack(value)[0])


def _uid(value: memoryview) -> str:
    """Return a UID; whether it is a good one is for whoever knows it or does not."""
    text = bytes(value).rstrip(b"\0 ")
    if not 0 < len(text) <= _MAX_UID or not text.isascii():
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return text.decode("ascii")


def _title(value: bytes) -> str:
    text = value.strip(b"\0 ")
    if not text or not text.isascii():
        raise TarnhelmError(errors.PROTOCOL_BROKEN)
    return text.decode("ascii")


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value
