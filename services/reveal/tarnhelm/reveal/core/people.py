"""People: who may ask, decide, audit and enrol. A register to which signed lines are added and none is changed.

A person makes keys and a *card* (id, name, identity-provider subject, public keys, signed by the person's own key:
proof that it is held). An admin signs the card with the roles into the register. Each line carries the digest of
the line before, so that a revocation cannot be taken out of the middle; that none was cut off the end is seen in
the audit, which holds the digest of the last line.

The first line is signed by the founder's own key. Its digest is the *root*, kept in the settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from tarnhelm.common.errors import (
    BAD_PERSON_CARD,
    PERSON_NOT_ALLOWED,
    PERSON_REVOKED,
    PERSON_TAKEN,
    PERSON_UNKNOWN,
    REGISTRY_DAMAGED,
    TarnhelmError,
)
from tarnhelm.linkage.custodian import check_public_key
from tarnhelm.reveal.core.documents import CARD, ENTRY, Signed, sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tarnhelm.reveal.core.keyring import PersonKeys

__all__ = ["Person", "Register", "Role", "make_card", "read_card"]

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}", re.ASCII)
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,120}")
_FORMAT: Final = 1


class Role(StrEnum):
    """What a person may do."""

    ADMIN = "admin"
    """Enrol and revoke."""
    REQUESTER = "requester"
    """Open a case and collect its answer."""
    APPROVER = "approver"
    """Approve or deny a case of somebody else."""
    STEWARD = "steward"
    """Open a case about the life of a link: merge, withdraw, destroy."""
    AUDITOR = "auditor"
    """Read the audit."""


@dataclass(frozen=True, slots=True)
class Person:
    """One human, as enrolled.

    Attributes
    ----------
    id
        Short, lower case; stands in the audit.
    name
        Shown in cases; a member of staff, never a patient.
    subject
        Of the identity provider: ``issuer#sub``; empty on a machine without one.
    signing_key, answer_key
        Ed25519 and X25519 public keys, 32 bytes each.
    enrolled_by
        Id of the admin who signed.
    since
        Seconds since 1970.
    active
        False once revoked.
    """

    id: str
    name: str
    subject: str
    signing_key: bytes
    answer_key: bytes
    roles: frozenset[Role]
    enrolled_by: str
    since: int
    active: bool = True

    def is_same_human(self, other: Person) -> bool:
        """Whether anything says that two entries are one human: id, either key, or the subject."""
        return (
            self.id == other.id
            or bool({self.signing_key, self.answer_key} & {other.signing_key, other.answer_key})
            or (bool(self.subject) and self.subject == other.subject)
        )


def make_card(keys: PersonKeys, person_id: str, name: str, subject: str = "") -> Signed:
    """Make the card of a person, signed by the person's own key; RVL-006 where id or name is not valid."""
    document = {
        "format": _FORMAT,
        "id": person_id,
        "name": name,
        "subject": subject,
        "signing_key": keys.signing_public.hex(),
        "answer_key": keys.answer_public.hex(),
    }
    return _checked_card(sign(CARD, document, keys.signing))


def read_card(content: bytes) -> Signed:
    """Read a card and check its own signature; RVL-006."""
    try:
        return _checked_card(Signed.from_bytes(content.strip(), CARD))
    except TarnhelmError:
        raise TarnhelmError(BAD_PERSON_CARD) from None


class Register:
    """All lines so far, each of them checked.

    A register is a value: adding gives a new one, and the line to write.

    Parameters
    ----------
    lines
        As written by :meth:`lines`.
    root
        Digest of the first line; empty where the register itself is being founded.

    Raises
    ------
    TarnhelmError
        RVL-005 with the number of the first line that does not hold.
    """

    def __init__(self, lines: Iterable[bytes] = (), *, root: str = "") -> None:
        self._lines: list[bytes] = []
        self._people: dict[str, Person] = {}
        self._past: list[Person] = []
        self._writers: dict[str, bytes] = {}
        self._digests: list[str] = []
        for number, line in enumerate(lines, 1):
            try:
                self._take(Signed.from_bytes(line, ENTRY))
            except (TarnhelmError, KeyError, ValueError, TypeError, AttributeError):
                raise TarnhelmError(REGISTRY_DAMAGED, line=number) from None
            if number == 1 and root and self.digest != root:
                raise TarnhelmError(REGISTRY_DAMAGED, line=1)
        if root and not self._lines:
            raise TarnhelmError(REGISTRY_DAMAGED, line=1)

    # --- reading ---------------------------------------------------------------------------------------------

    @property
    def digest(self) -> str:
        """Of the last line; the audit holds it."""
        return self._digests[-1] if self._digests else ""

    def had(self, digest: str) -> bool:
        """Whether a line of this digest is in the register."""
        return digest in self._digests

    @property
    def size(self) -> int:
        """How many lines."""
        return len(self._lines)

    def lines(self) -> tuple[bytes, ...]:
        """All lines, without line ends."""
        return tuple(self._lines)

    def people(self) -> tuple[Person, ...]:
        """All people by id, revoked ones too."""
        return tuple(self._people[person_id] for person_id in sorted(self._people))

    def writers(self) -> Mapping[str, bytes]:
        """Writers of audits and their Ed25519 public keys."""
        return dict(self._writers)

    def get(self, person_id: str) -> Person:
        """Give an entry; RVL-001."""
        found = self._people.get(person_id)
        if found is None:
            raise TarnhelmError(PERSON_UNKNOWN)
        return found

    def active(self, person_id: str, *roles: Role) -> Person:
        """Give a person who is enrolled and has one of the roles (any, if none is named); RVL-001, -003, -004."""
        found = self.get(person_id)
        if not found.active:
            raise TarnhelmError(PERSON_REVOKED)
        if roles and not found.roles & set(roles):
            raise TarnhelmError(PERSON_NOT_ALLOWED)
        return found

    def by_signing_key(self, public: bytes) -> Person:
        """Give the person of a key; RVL-001."""
        for person in self._people.values():
            if person.signing_key == public:
                return person
        raise TarnhelmError(PERSON_UNKNOWN)

    def by_subject(self, subject: str) -> Person:
        """Give the person whom the identity provider calls ``subject``; RVL-001."""
        for person in self._people.values():
            if subject and person.subject == subject:
                return person
        raise TarnhelmError(PERSON_UNKNOWN)

    def ever(self, person_id: str) -> tuple[Person, ...]:
        """Every entry that an id ever had, the latest last: old signatures are checked with the keys of their time."""
        return tuple(person for person in self._past if person.id == person_id)

    def same_human(self, first: str, second: str) -> bool:
        """Whether two ids were ever held by one human, as far as any line tells."""
        return first == second or any(
            one.is_same_human(other) for one in self.ever(first) for other in self.ever(second)
        )

    # --- adding ----------------------------------------------------------------------------------------------

    def enrol(self, card: Signed, roles: Iterable[Role], by: PersonKeys, now: int) -> bytes:
        """Add a person; gives the line to write. The founder's line is the first one, signed by the founder.

        Raises
        ------
        TarnhelmError
            RVL-002 where the id, a key or the subject is another's; RVL-003 where ``by`` is no admin.
        """
        by_id = card.document["id"] if not self._lines else self._admin(by).id
        return self._add(
            {
                "kind": "enrol",
                "card": dict(card.document),
                "card_signature": card.signature.hex(),
                "roles": sorted(Role(role) for role in roles),
                "by": by_id,
                "time": now,
            },
            by,
        )

    def revoke(self, person_id: str, by: PersonKeys, now: int) -> bytes:
        """Take all roles from a person; the last admin stays (RVL-003). Gives the line to write."""
        self.active(person_id)
        return self._add({"kind": "revoke", "person": person_id, "by": self._admin(by).id, "time": now}, by)

    def enrol_writer(self, name: str, key: bytes, by: PersonKeys, now: int) -> bytes:
        """Add a writer of audits with its public key; a name keeps its key for ever. Gives the line to write."""
        return self._add({"kind": "writer", "name": name, "key": key.hex(), "by": self._admin(by).id, "time": now}, by)

    def take(self, line: bytes) -> bytes:
        """Add a line that an admin made elsewhere, and give it as it is to be written.

        Raises
        ------
        TarnhelmError
            RVL-005 where it does not follow the last line, or is none; RVL-002, -003, -006, -012.
        """
        try:
            self._take(Signed.from_bytes(line, ENTRY))
        except (KeyError, ValueError, TypeError, AttributeError):
            raise TarnhelmError(REGISTRY_DAMAGED, line=self.size + 1) from None
        return self._lines[-1]

    def _admin(self, keys: PersonKeys) -> Person:
        return self.active(self.by_signing_key(keys.signing_public).id, Role.ADMIN)

    def _add(self, document: dict[str, Any], by: PersonKeys) -> bytes:
        signed = sign(ENTRY, {"number": self.size + 1, "before": self.digest, **document}, by.signing)
        self._take(signed)
        return self._lines[-1]

    # --- the rules, the same for a line that is read and one that is added -----------------------------------

    def _take(self, signed: Signed) -> None:
        entry = signed.document
        if entry["number"] != self.size + 1 or entry["before"] != self.digest or type(entry["time"]) is not int:
            raise TarnhelmError(REGISTRY_DAMAGED, line=self.size + 1)
        person = _person_of(entry) if entry["kind"] == "enrol" else None
        signer = person if person is not None and not self._lines else self.active(entry["by"], Role.ADMIN)
        if entry["by"] != signer.id or not signed.holds(signer.signing_key) or Role.ADMIN not in signer.roles:
            raise TarnhelmError(PERSON_NOT_ALLOWED)
        if person is not None:
            self._take_person(person, signer)
        elif entry["kind"] == "revoke":
            self._take_revocation(entry["person"])
        elif entry["kind"] == "writer":
            self._take_writer(entry["name"], bytes.fromhex(entry["key"]))
        else:
            raise TarnhelmError(REGISTRY_DAMAGED, line=self.size + 1)
        self._lines.append(signed.to_bytes())
        self._digests.append(signed.digest)

    def _take_person(self, person: Person, signer: Person) -> None:
        others = [past for past in self._past if past.id != person.id]
        if any(person.is_same_human(other) for other in others):
            raise TarnhelmError(PERSON_TAKEN)
        known = self._people.get(person.id)
        if known is not None and (known.active or known.subject != person.subject):
            raise TarnhelmError(PERSON_TAKEN)
        if self._lines and signer.id == person.id:
            raise TarnhelmError(PERSON_NOT_ALLOWED)
        self._people[person.id] = person
        self._past.append(person)

    def _take_revocation(self, person_id: str) -> None:
        revoked = self.active(person_id)
        admins = [one for one in self._people.values() if one.active and Role.ADMIN in one.roles]
        if admins == [revoked]:
            raise TarnhelmError(PERSON_NOT_ALLOWED)
        self._people[person_id] = replace(revoked, active=False)

    def _take_writer(self, name: str, key: bytes) -> None:
        if not _ID.fullmatch(name) or len(key) != 32 or self._writers.get(name, key) != key:
            raise TarnhelmError(PERSON_TAKEN)
        self._writers[name] = key


def _checked_card(card: Signed) -> Signed:
    try:
        person = _person_of(
            {"card": card.document, "card_signature": card.signature.hex(), "roles": ["requester"], "by": "", "time": 0}
        )
        check_public_key(person.answer_key)
    except (TarnhelmError, KeyError, ValueError, TypeError):
        raise TarnhelmError(BAD_PERSON_CARD) from None
    return card


def _person_of(entry: Mapping[str, Any]) -> Person:
    card = entry["card"]
    person = Person(
        id=str(card["id"]),
        name=str(card["name"]),
        subject=str(card["subject"]),
        signing_key=bytes.fromhex(card["signing_key"]),
        answer_key=bytes.fromhex(card["answer_key"]),
        roles=frozenset(Role(role) for role in entry["roles"]),
        enrolled_by=str(entry["by"]),
        since=entry["time"],
    )
    own = Signed(CARD, card, bytes.fromhex(entry["card_signature"]))
    valid = (
        card["format"] == _FORMAT
        and _ID.fullmatch(person.id)
        and _NAME.fullmatch(person.name)
        and len(person.subject) <= 400
        and len(person.answer_key) == 32
        and person.roles
    )
    if not valid or not own.holds(person.signing_key):
        raise TarnhelmError(BAD_PERSON_CARD)
    return person
