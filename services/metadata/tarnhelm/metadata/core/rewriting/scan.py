"""First walk: what one object holds, before anything is written.

Gathers, over all levels, the identifiers to look for, the UIDs and values to ask surrogates for, and the plain
facts for gate and report. Decodes nothing but UIDs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.metadata.core.rules.operations import OperationCode

if TYPE_CHECKING:
    from tarnhelm.common.dicom.header import Element
    from tarnhelm.metadata.core.rules.operations import Operation

__all__ = ["Scan", "scan_elements"]

_UID: Final = int(OperationCode.UID)
_DROP: Final = int(OperationCode.DROP)
_SEQUENCE: Final = int(OperationCode.SEQUENCE)
_PRIVATE: Final = int(OperationCode.PRIVATE)
_CHARSET: Final = 0x00080005


class Scan:
    """Result of the first walk over one object.

    Attributes
    ----------
    acting
        Top-level elements that the second walk has to look at, in order.
    harvest
        (class, tag, VR, raw value, raw charset of its level) of every identifier.
    uids
        Raw values of the UI elements that will be mapped.
    facts
        tag → raw value for gate and report.
    questions
        (operation, raw value, raw charset) whose PSEUDO class has to ask the assigner.
    """

    __slots__ = ("_harvest_key", "acting", "facts", "harvest", "questions", "uids")

    def __init__(self) -> None:
        self.acting: list[Element] = []
        self.harvest: list[tuple[str, int, str, bytes, bytes]] = []
        self.uids: set[bytes] = set()
        self.facts: dict[int, bytes] = {}
        self.questions: list[tuple[Operation, bytes, bytes]] = []
        self._harvest_key: frozenset[object] | None = None

    def harvest_key(self) -> frozenset[object]:
        """Everything harvested, as a key: objects that agree in it share their identifiers."""
        if self._harvest_key is None:
            self._harvest_key = frozenset(self.harvest)
        return self._harvest_key

    def joined(self, other: Scan) -> Scan:
        """Join this scan and that of further elements of the same object."""
        made = Scan()
        made.acting = other.acting
        made.facts = self.facts | other.facts
        made.uids = self.uids | other.uids
        made.questions = self.questions + other.questions if other.questions else self.questions
        if other.harvest:
            made.harvest = self.harvest + other.harvest
        else:
            made.harvest = self.harvest
            made._harvest_key = self.harvest_key()
        return made


def scan_elements(
    buffer: bytes,
    elements: list[Element],
    open_unknown: Callable[[Element], Element],
    charset: bytes = b"",
) -> Scan:
    """Walk the element list of a data set.

    Parameters
    ----------
    buffer
        Bytes that the positions refer to.
    elements
        From :meth:`tarnhelm.common.dicom.header.Walker.walk`.
    open_unknown
        Turns a UN element whose tag is a known sequence into one with items, where its bytes are items.
    charset
        Raw Specific Character Set that holds until an element says otherwise.
    """
    found = Scan()
    acting = found.acting
    facts = found.facts
    creators: dict[int, str] = {}
    for element in elements:
        operation = element[0][3]
        if not operation.interesting:
            continue
        code = operation.code
        if operation.fact:
            raw = buffer[element[2] : element[3]]
            tag = element[0][1]
            facts[tag] = raw
            if tag == _CHARSET:
                charset = _charset(element, raw)
        if operation.harvest:
            raw = buffer[element[2] : element[3]]
            if raw:
                found.harvest.append((operation.harvest, element[0][1], element[0][2], raw, charset))
        if code == _UID:
            found.uids.add(buffer[element[2] : element[3]])
        elif code == _SEQUENCE or element[5] is not None:
            element = open_unknown(element)  # noqa: PLW2901 - the same element with its items read
            _scan_items(buffer, element, charset, found, open_unknown, code != _DROP)
        elif operation.queries is not None or operation.asks_uid:
            _ask(buffer, element, charset, found)
        elif code == _PRIVATE:
            _ask_private(buffer, element, charset, creators, found)
        if code:
            acting.append(element)
    return found


def _charset(element: Element, raw: bytes) -> bytes:
    """Raw Specific Character Set; in any other VR it would be read differently by every reader (PS3.3 C.12.1.1.2)."""
    if element[0][2] != "CS":
        raise TarnhelmError(errors.BAD_CHARSET)
    return raw


def _scan_items(
    buffer: bytes,
    parent: Element,
    charset: bytes,
    found: Scan,
    open_unknown: Callable[[Element], Element],
    stays: bool,
) -> None:
    for item in parent[5] or ():
        local = charset
        elements = item[4]
        creators: dict[int, str] = {}
        for index, element in enumerate(elements):
            operation = element[0][3]
            if element[0][1] == _CHARSET:
                local = _charset(element, buffer[element[2] : element[3]])
            if not operation.interesting:
                continue
            code = operation.code
            if operation.harvest:
                raw = buffer[element[2] : element[3]]
                if raw:
                    found.harvest.append((operation.harvest, element[0][1], element[0][2], raw, local))
            if element[5] is None and code == _SEQUENCE:
                element = elements[index] = open_unknown(element)  # noqa: PLW2901
            if element[5] is not None:
                _scan_items(buffer, element, local, found, open_unknown, stays and code != _DROP)
            elif not stays:
                continue
            elif code == _UID:
                found.uids.add(buffer[element[2] : element[3]])
            elif code == _PRIVATE:
                _ask_private(buffer, element, local, creators, found)
            elif operation.queries is not None or operation.asks_uid:
                _ask(buffer, element, local, found)


def _ask_private(buffer: bytes, element: Element, charset: bytes, creators: dict[int, str], found: Scan) -> None:
    """Ask what the rule of a private element asks; the rule is known once the creator of its block is (PS3.5 §7.8.1)."""
    entry = element[0]
    block, number = entry.tag >> 16 << 8, entry.tag & 0xFFFF
    if 0x10 <= number <= 0xFF:
        creators[block | number] = buffer[element[2] : element[3]].decode("latin-1").strip(" \0")
        return
    if entry.vr == "UI":
        found.uids.add(buffer[element[2] : element[3]])
    creator = creators.get(block | number >> 8)
    if creator is not None and entry.payload.table is not None:
        _ask(buffer, element, charset, found, entry.payload.table.private(entry.tag, entry.vr, creator))


def _ask(buffer: bytes, element: Element, charset: bytes, found: Scan, operation: Operation | None = None) -> None:
    if operation is None:
        operation = element[0][3]
    raw = buffer[element[2] : element[3]]
    if operation.queries is not None:
        found.questions.append((operation, raw, charset))
    if operation.asks_uid:
        found.uids.add(raw)
