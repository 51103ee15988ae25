"""The cast: invented patients with names in ten character sets, and the staff around them.

Some names cannot be searched in bytes: ``LI``, ``NG``, or names that are words. They are there because
they are the hard ones, and are judged by place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

    from tests.leak.corpus.names import Coiner

__all__ = ["Subject", "cast", "name_parts", "phn"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One patient; ``names`` are the spellings that his files use in turn."""

    key: str
    charset: str
    names: tuple[str, ...]
    patient_id: str
    sex: str
    birth: date
    first_study: date
    other_id: str
    health_number: str
    phone: str
    email: str
    street: str
    town: str
    institution: str
    staff: dict[str, str] = field(default_factory=dict)
    accession: str = ""
    serial_number: str = ""
    station: str = ""

    @property
    def hard_name(self) -> bool:
        """The name is too short or too common to be searched in bytes."""
        return self.key in {"short", "word", "eponym"}


# key, character set, spellings. All invented; the scripts are what matters.
NAMES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("plain", "", ("{0}^{1}", "{0}^{1}^^Mrs", "{0U}^{1U}", "{0} ^{1}")),
    ("same-1", "", ("Brunnadelle^Osric",)),
    ("same-2", "", ("Brunnadelle^Osric",)),
    ("short", "", ("LI^NG", "Li^Ng")),
    ("word", "", ("Hand^May", "HAND^MAY^^Mrs")),
    ("eponym", "ISO_IR 100", ("Baker^Hodgkin", "BAKER^HODGKIN")),
    ("latin1", "ISO_IR 100", ("Desrochellières^Maëlys", "DESROCHELLIÈRES^MAËLYS", "Desrochellieres^Maelys")),
    ("particle", "ISO_IR 100", ("van der Quillmoor-Treskow^Jan Pietersoon^^Dr.", "Quillmoor Treskow^Jan Pietersoon")),
    ("utf8", "ISO_IR 192", ("Xʷnək̓wala^Šlétkiyem", "XʷNƏK̓WALA^ŠLÉTKIYEM")),
    ("cyrillic", "ISO_IR 144", ("Звантуров^Пелагейник",)),
    ("greek", "ISO_IR 126", ("Καλδρούνης^Θρασυμήδης",)),
    ("japanese", "\\ISO 2022 IR 87", ("Kuzemorishi^Asahinagi=葛守坂^朝比奈木=くぜもりし^あさひなぎ",)),
    ("korean", "\\ISO 2022 IR 149", ("Dolgangsan^Mireunae=突江山^美流川=돌강산^미르내",)),
    ("gb18030", "GB18030", ("Qiaoluowei^Zhenbokai=谯洛围^震博恺",)),
    ("arabic", "ISO_IR 127", ("قبطرونية^زهروانيش",)),
    ("thai", "ISO_IR 166", ("วรรณพฤกษ์ไพร^ทินกรวัฒน์",)),
)


def phn(rng: random.Random) -> str:
    """A British Columbia health number: ten digits, first 9, last a check digit modulo 11."""
    weights = (2, 4, 8, 5, 10, 9, 7, 3)
    while True:
        digits = [rng.randrange(10) for _ in range(8)]
        check = 11 - sum(d * w for d, w in zip(digits, weights, strict=True)) % 11
        if check < 10:
            return "9" + "".join(map(str, digits)) + str(check)


def cast(rng: random.Random, coin: Coiner) -> list[Subject]:
    """All subjects of a corpus."""
    return [_subject(row, rng, coin) for row in NAMES]


def _subject(row: tuple[str, str, tuple[str, ...]], rng: random.Random, coin: Coiner) -> Subject:
    key, charset, patterns = row
    first, second = coin.word(), coin.word()
    names = tuple(
        text.replace("{0U}", first.upper()).replace("{1U}", second.upper()).replace("{0}", first).replace("{1}", second)
        for text in patterns
    )
    roles = ("referring", "performing", "reading", "operator", "requesting", "record", "admitting", "consulting")
    return Subject(
        key=key,
        charset=charset,
        names=names,
        patient_id={"short": "12", "word": "A7"}.get(key, coin.digits(8)),
        sex=rng.choice("MF"),
        birth=date(1941, 1, 1) + timedelta(days=rng.randrange(6000)),
        first_study=date(2024, 1, 15) + timedelta(days=rng.randrange(400)),
        other_id=coin.code("HX", 8),
        health_number=phn(rng),
        phone=f"250-{coin.digits(3)}-{coin.digits(4)}",
        email=f"{coin.word().lower()}@{coin.word().lower()}.example",
        street=f"{coin.digits(4)} {coin.word()} Crescent",
        town=coin.word(),
        institution=f"{coin.word()} Regional Hospital",
        staff={role: f"{coin.word()}^{coin.word()}" for role in roles},
        accession=coin.code("ACC", 7),
        serial_number=coin.code("SN", 8),
        station=coin.word()[:12].upper(),
    )


def name_parts(name: str) -> list[str]:
    """The words of a person name that are long enough to be searched in bytes."""
    parts: list[str] = []
    for group in name.split("="):
        for component in group.split("^")[:2]:
            for word in [component.strip(), *component.replace("-", " ").split()]:
                long_enough = len(word) >= (5 if word.isascii() else 3)
                if long_enough and word not in parts:
                    parts.append(word)
    return parts
