"""Rules of the profiles as operations: what PS3.15 Annex E says, for one attribute, VR and place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.metadata.core import standard
from tarnhelm.metadata.core.profiles import resolve
from tarnhelm.metadata.core.rules import makers
from tarnhelm.metadata.core.rules.attributes import attribute_label, first_vr, time_beside
from tarnhelm.metadata.core.rules.by_recipe import CLASS_OF_VR
from tarnhelm.metadata.core.rules.operations import Maker, Operation, OperationCode
from tarnhelm.metadata.core.rules.unlisted import FORMED_VRS, Treatment, treatment

if TYPE_CHECKING:
    from tarnhelm.metadata.core.profiles import Profile
    from tarnhelm.metadata.core.rules.compiler import RuleTable
    from tarnhelm.metadata.core.rules.context import ObjectContext

__all__ = ["ProfileRules"]

PATIENT_ID: Final = 0x00100020
ISSUER_OF_PATIENT_ID: Final = 0x00100021
CODE_MEANING: Final = 0x00080104
#: Even groups 50xx and 60xx: curves and overlay planes.
_GRAPHICS: Final = frozenset({0x50, 0x60})
_DATE_VRS: Final = frozenset({"DA", "DT"})


class ProfileRules:
    """Turns what a profile says of an attribute into an :class:`Operation`.

    Parameters
    ----------
    profile
        Combined profiles of PS3.15 Annex E.
    pairs
        The recipe moves times of day, so a moved date is to carry what its time carries.
    """

    def __init__(self, profile: Profile, *, pairs: bool) -> None:
        self.profile = profile
        self.pairs = pairs

    def operation(self, table: RuleTable, tag: int, vr: str, label: str) -> Operation:
        """Compile the rule for a standard attribute; ``vr`` is the one the file shows, the dictionary's for UN."""
        decided = self.profile.decide(tag)
        path = (*(step.tag for step in table.path), tag)
        kind = standard.attribute_type(table.sop_class, path)
        code = resolve(decided.action, kind, iod_known=standard.is_known_iod(table.sop_class))
        if decided.action == "X/Z/U*":
            # The table lets a sequence of references go unless the IOD needs it. References are kept instead,
            # with their UIDs replaced, so that they resolve among the released objects.
            code = "U"
        row = f"profile {decided.row}"
        reason = decided.reason
        if "/" in decided.action:
            reason = f"{reason}; {f'it is Type {kind}' if kind else 'its Type is not known'} here"
        if tag >> 24 in _GRAPHICS:
            # Cleaning a plane takes a stage that looks at its pixels. Without its data a plane is not valid, so it
            # goes as a whole, as it does without the option to clean graphics (PS3.3 C.9.2, PS3.15 E.3.3).
            reason = "an overlay plane or a curve goes as a whole"
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        if tag == PATIENT_ID and not table.path:
            return Operation(
                OperationCode.VALUE, (label, "PSEUDO"), make=_subject_id, source=row, reason="the subject's pseudonym",
                surrogate="id",
            )  # fmt: skip
        if tag == ISSUER_OF_PATIENT_ID and not table.path:
            return Operation(
                OperationCode.VALUE, (label, "PSEUDO"), make=_issuer, source=row, reason="names the project",
                surrogate="organisation",
            )  # fmt: skip
        if vr == "UI":
            if code in "KC" and self.profile.retain_uids and not decided.row.startswith("house"):
                return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=reason, keeps=True)
            if code in "KUDC" or (code in "XZ" and kind in ("1", "1C")):
                return Operation(OperationCode.UID, (label, "PSEUDO"), source=row, reason=reason)
        if vr == "SQ" and code in "KCUD":
            return Operation(
                OperationCode.SEQUENCE, (label, "KEEP"), source=row, reason="its items are cleaned by their own rules",
            )  # fmt: skip
        if code == "U":
            reason = "a UID that the file writes as something else cannot be replaced"
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        if code == "X":
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        if code == "Z":
            return Operation(OperationCode.EMPTY, (label, "BLANK"), source=row, reason=reason)
        if code == "D":
            if vr in _DATE_VRS and self.profile.dates == "shifted":
                return self._shift(tag, label, vr, row, reason)
            return Operation(
                OperationCode.VALUE, (label, "REPLACE"), make=makers.dummy_maker(vr), source=row, reason=reason,
                surrogate=CLASS_OF_VR.get(vr, "text"),
            )  # fmt: skip
        if code == "C":
            if vr in _DATE_VRS:
                return self._shift(tag, label, vr, row, reason)
            if vr == "TM":
                return self._formed(label, vr, row, "times of day stay")
            return self._clean(label, vr, row, reason, kind)
        return self._keep(table, tag, vr, label, row, reason, listed=not decided.row.startswith("house"))

    def _keep(
        self, table: RuleTable, tag: int, vr: str, label: str, row: str, reason: str, *, listed: bool
    ) -> Operation:
        if vr == "PN" and not listed:
            return Operation(
                OperationCode.VALUE, (label, "PSEUDO"), make=makers.dummy_maker("PN"), source=row,
                reason="a person's name in an attribute without a rule", surrogate="name",
            )  # fmt: skip
        if vr in _DATE_VRS and not listed:
            if self.profile.dates == "shifted":
                return self._shift(tag, label, vr, row, "every date moves with its subject")
            if self.profile.dates == "removed":
                return Operation(
                    OperationCode.EMPTY if standard.attribute_type(table.sop_class, (tag,)) == "2" else OperationCode.DROP,
                    (label, "REMOVE"), source=row, reason="a date in an attribute without a rule",
                )  # fmt: skip
        if vr == "AS":
            return Operation(
                OperationCode.VALUE, (label, "KEEP"), make=makers.age_maker(), source=row,
                reason="ages over 89 are capped", keeps=listed,
            )  # fmt: skip
        if tag == CODE_MEANING:
            return Operation(
                OperationCode.CODE_MEANING, (label, "KEEP"), make=makers.clean_maker(vr), source=row,
                reason="meanings of local codes are cleaned as text",
            )  # fmt: skip
        if listed and (vr not in makers.TEXT_VRS or first_vr(tag) in makers.TEXT_VRS):
            return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=reason, keeps=True)
        return self._unlisted(table, tag, vr, label, row, reason)

    def _unlisted(self, table: RuleTable, tag: int, vr: str, label: str, row: str, reason: str) -> Operation:
        """Compile the rule for an attribute of the standard that Table E.1-1 has no row for."""
        known = frozenset((standard.vr_of(tag) or "UN").split(" or "))
        wanted = treatment(tag, vr, standard.keyword_of(tag) or "", known)
        kind = standard.attribute_type(table.sop_class, (*(step.tag for step in table.path), tag))
        if wanted is Treatment.REMOVED:
            code = resolve("X", kind)
            reason = "an identifier, an address or opaque bytes in an attribute without a rule"
            if code == "D":
                return Operation(
                    OperationCode.VALUE, (label, "REPLACE"), make=makers.dummy_maker(vr), source=row, reason=reason
                )
            if code == "Z":
                return Operation(OperationCode.EMPTY, (label, "BLANK"), source=row, reason=reason)
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        if wanted is Treatment.CLEANED:
            return self._clean(label, vr, row, "free text in an attribute without a rule", kind)
        if wanted is Treatment.CHECKED:
            return Operation(
                OperationCode.CHECK, (label, "KEEP"), make=_filled(makers.check_maker(vr), vr, kind), source=row,
                reason="written by a machine: stays but for the object's own identifiers",
            )  # fmt: skip
        if wanted is Treatment.FORMED:
            return self._formed(label, vr, row, reason)
        return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=reason)

    def _formed(self, label: str, vr: str, row: str, reason: str) -> Operation:
        return Operation(
            OperationCode.VALUE, (label, "KEEP"), make=makers.form_maker(vr), memo=False, source=row, reason=reason
        )

    def _shift(self, tag: int, label: str, vr: str, row: str, reason: str) -> Operation:
        pair = time_beside(tag) if self.pairs and vr == "DA" else None
        return Operation(
            OperationCode.VALUE, (label, "JITTER"), make=makers.shift_maker(vr), source=row, reason=reason, surrogate="date",
            pair=pair, memo=pair is None,
        )  # fmt: skip

    def _clean(self, label: str, vr: str, row: str, reason: str, kind: str | None) -> Operation:
        if vr not in makers.TEXT_VRS:
            # "Clean" of numbers or bytes cannot be done by looking at words, so it is removal here.
            return Operation(OperationCode.DROP, (label, "REMOVE"), source=row, reason=reason)
        make = _filled(makers.clean_maker(vr), vr, kind)
        return Operation(OperationCode.VALUE, (label, "CLEAN"), make=make, source=row, reason=reason)

    def private(self, tag: int, vr: str, creator: str) -> Operation:
        """Compile the rule for a private element: the list of safe ones decides (PS3.15 E.3.10)."""
        label = attribute_label(tag, creator)
        safe = standard.safe_private(creator, tag >> 16, tag & 0xFFFF)
        if not self.profile.retain_safe_private or safe is None:
            return Operation(
                OperationCode.DROP,
                (f"({tag >> 16:04x},xxxx)", "REMOVE"),
                source="profile",
                reason="not on the list of safe private attributes",
            )
        if vr in ("UN", "OB"):
            vr = safe.vr
        row = "profile rtnSafePrivOpt"
        if vr in makers.TEXT_VRS and safe.vr not in makers.TEXT_VRS:
            return Operation(
                OperationCode.DROP, (label, "REMOVE"), source=row, reason="a text where the list has a number"
            )
        if vr in FORMED_VRS - _DATE_VRS:
            return self._formed(label, vr, row, safe.meaning)
        if vr == "SQ":
            return Operation(OperationCode.SEQUENCE, (label, "KEEP"), source=row, reason=safe.meaning)
        if vr in makers.TEXT_VRS:
            return Operation(
                OperationCode.CHECK, (label, "KEEP"), make=makers.check_maker(vr), source=row, reason=safe.meaning
            )
        if vr in _DATE_VRS:
            return self._shift(tag, label, vr, row, safe.meaning)
        return Operation(OperationCode.COPY, (label, "KEEP"), source=row, reason=safe.meaning)


def _filled(make: Maker, vr: str, kind: str | None) -> Maker:
    """Let a maker leave no empty value where the IOD asks for one."""
    return makers.never_empty(make, vr) if kind in ("1", "1C") else make


def _subject_id(context: ObjectContext, raw: bytes) -> bytes:
    del raw
    return context.reply.subject_id.encode("ascii")


def _issuer(context: ObjectContext, raw: bytes) -> bytes:
    del raw
    return context.reply.issuer.encode("ascii")
