"""What makers know while one object is written: surrogates, identifiers, charset, and what they made before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.pseudo import ObjectContext as SubjectMaterial
from tarnhelm.metadata.core.pseudo import OddValue
from tarnhelm.metadata.core.pseudo.normalise import to_ascii

if TYPE_CHECKING:
    from tarnhelm.common.assign import AssignReply, ValueKind
    from tarnhelm.common.dicom.charsets import Charset
    from tarnhelm.metadata.core.rules.operations import Operation
    from tarnhelm.metadata.core.text import Identifiers, TextCleaner

__all__ = ["BoundedMap", "ObjectContext"]

K = TypeVar("K")
V = TypeVar("V")


class BoundedMap(dict[K, V], Generic[K, V]):
    """A dictionary that forgets its older half when it is full.

    Plain dictionary speed on every read; a worker that sees a million distinct values stays small.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most: Final = most

    def put(self, key: K, value: V) -> V:
        """Store, after making room."""
        if len(self) >= self.most:
            self.trim()
        self[key] = value
        return value

    def trim(self) -> None:
        """Make room if it is full; plain assignment never does, so nothing is forgotten in the midst of an object."""
        if len(self) >= self.most:
            for old in list(self)[: self.most // 2]:
                del self[old]


KnownSequence = tuple["bytes | None", tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
"""A sequence's new bytes (``None``: unchanged), the labels of what was done inside it, and the findings."""


class ObjectContext:
    """One subject's material, one set of identifiers, one charset; shared by all objects that agree in them.

    A series of a thousand slices repeats almost every value, so the bytes made for (rule, old value) are
    remembered here and the thousandth slice costs look-ups.

    Attributes
    ----------
    memo
        (operation, old value) → new value, of operations whose result depends on nothing else.
    sequences
        (operation, old sequence) → what became of it.
    uids
        Original UID → surrogate UID, shared by all contexts of the project.
    values
        (kind, domain, value) → the assigner's answer, likewise shared.
    variables
        The recipe's ``var:`` names.
    field_value
        Looks another attribute of the object at hand up; set anew for every object.
    """

    __slots__ = (
        "ascii_only",
        "byteorder",
        "charset",
        "cleaner",
        "field_value",
        "flags",
        "identifiers",
        "memo",
        "pseudo_by_vr",
        "reply",
        "sequences",
        "siblings",
        "study_date",
        "uids",
        "value_groups",
        "values",
        "variables",
    )

    def __init__(
        self,
        *,
        reply: AssignReply,
        identifiers: Identifiers,
        charset: Charset,
        cleaner: TextCleaner,
        uids: Mapping[str, str],
        values: Mapping[tuple[ValueKind, str, str], str],
        variables: Mapping[str, str],
        byteorder: str = "little",
        study_date: str = "",
    ) -> None:
        self.study_date = study_date
        self.ascii_only = charset.encode("é", "LO") is None
        self.byteorder = byteorder
        self.reply = reply
        self.identifiers = identifiers
        self.charset = charset
        self.cleaner = cleaner
        self.uids = uids
        self.values = values
        self.variables = variables
        self.memo: BoundedMap[tuple[Operation, bytes], bytes | None] = BoundedMap(4_000)
        self.sequences: BoundedMap[tuple[Operation, bytes], KnownSequence] = BoundedMap(500)
        self.flags: BoundedMap[tuple[Operation, bytes], str] = BoundedMap(2_000)
        self.field_value: Callable[[str], str] = _no_field
        self.value_groups: Mapping[str, frozenset[str]] = {}
        self.pseudo_by_vr: dict[str, SubjectMaterial] = {}
        self.siblings: dict[str, ObjectContext] = {}

    def pseudo_for(self, vr: str) -> SubjectMaterial:
        """Material for the PSEUDO classes, for one VR."""
        found = self.pseudo_by_vr.get(vr)
        if found is None:
            found = self.pseudo_by_vr[vr] = SubjectMaterial(
                subject_key=self.reply.subject_key,
                sex=self.reply.sex,
                date_offset_days=self.reply.date_offset_days,
                vr=vr,
                ascii_only=self.ascii_only,
                study_date=self.study_date,
                uids=self.uids,
                answers=self.values,
                is_standard=standard.is_standard_uid,
            )
        return found

    def with_charset(self, name: str, charset: Charset) -> ObjectContext:
        """The same context under the Specific Character Set of a nested item (PS3.3 C.12.1.1.2)."""
        found = self.siblings.get(name)
        if found is None:
            found = self.siblings[name] = ObjectContext(
                reply=self.reply,
                identifiers=self.identifiers,
                charset=charset,
                cleaner=self.cleaner,
                uids=self.uids,
                values=self.values,
                variables=self.variables,
                byteorder=self.byteorder,
                study_date=self.study_date,
            )
        found.field_value = self.field_value
        found.value_groups = self.value_groups
        return found

    def uid(self, original: str) -> str:
        """Surrogate of a UID; a standard UID, which was never asked for, stays itself."""
        return self.uids.get(original, original)

    def decode(self, raw: bytes, vr: str) -> str:
        """Text of a raw value: decoded, without padding."""
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii").rstrip(" \0")
        return self.charset.decode(raw, vr).rstrip(" \0")

    def encode(self, text: str, vr: str) -> bytes:
        """Raw bytes in the object's character set; letters it lacks are folded to ASCII."""
        if text.isascii():
            return text.encode("ascii")
        raw = self.charset.encode(text, vr)
        if raw is None:
            raw = to_ascii(text).encode("ascii", "ignore")
        if not raw and text:
            raise OddValue
        return raw


def _no_field(name: str) -> str:
    del name
    return ""
