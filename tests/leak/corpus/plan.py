"""Which files a corpus holds: every place, every kind of object, every syntax, every character set."""

from __future__ import annotations

import random
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import dcmread, dcmwrite
from tests.leak.corpus import places_graphics, places_private, places_sequences, places_text  # noqa: F401  (they register places)
from tests.leak.corpus.draft import Draft
from tests.leak.corpus.images import IMAGES, build_image, pixel_element
from tests.leak.corpus.manifest import Expected, FileEntry, Manifest, Plant
from tests.leak.corpus.names import Coiner
from tests.leak.corpus.nonimages import NON_IMAGES, build_non_image
from tests.leak.corpus.people import Subject, cast
from tests.leak.corpus.places_file import PLACES
from tests.leak.corpus.places_sequences import refer_to
from tests.leak.corpus.wire import SYNTAXES, El, Form, file_bytes

__all__ = ["INTERVAL_DAYS", "build_corpus", "write_draft"]

INTERVAL_DAYS: Final = 45
NATIVE: Final = ("explicit", "implicit", "big", "deflated")
ENCAPSULATED: Final = (
    "rle", "jpeg", "jpeg-extended", "jpeg-lossless", "jpeg-ls", "jpeg-ls-near", "j2k", "j2k-lossless", "htj2k", "htj2k-lossless",
)  # fmt: skip
FIRST_SERIAL: Final = 1001
ALONE: Final = frozenset({"after-the-end"})
"""Places for which a cleaner may refuse the whole file: not mixed with others, which they would hide."""


@dataclass(slots=True)
class Builder:
    """Numbers files, keeps the references between them."""

    folder: Path
    manifest: Manifest
    rng: random.Random
    coin: Coiner
    next_serial: int = FIRST_SERIAL
    last: dict[str, tuple[str, str, str]] | None = None

    def draft(self, subject: Subject, iod: str, syntax: str, visit: int) -> Draft:
        """An empty draft with UIDs made of the patient's number and the day, as some archives do."""
        serial, self.next_serial = self.next_serial, self.next_serial + 1
        day = subject.first_study + timedelta(days=INTERVAL_DAYS * visit)
        number = subject.patient_id if subject.patient_id.isdigit() else "77"
        stem = f"1.2.826.0.1.3680043.9.7433.{number}.{day:%Y%m%d}"
        series = sorted(IMAGES).index(iod) + 1 if iod in IMAGES else 50 + sorted(NON_IMAGES).index(iod)
        uids = {
            "study": f"{stem}.{_key(subject)}",
            "series": f"{stem}.{_key(subject)}.{series}",
            "sop": f"{stem}.{_key(subject)}.{series}.{serial}",
            "frame": f"{stem}.{_key(subject)}.0",
        }
        entry = FileEntry(
            "", serial, iod, Expected.GATED, subject.key, syntax=syntax, charset=subject.charset, uids=uids
        )
        return Draft(subject, entry, self.rng, self.coin, day)

    def finish(self, draft: Draft, *, writer: str = "wire") -> None:
        """Refer to the previous image of the patient, write the file, enter it into the manifest."""
        last = self.last if self.last is not None else {}
        self.last = last
        before = last.get(draft.subject.key)
        if before and draft.released:
            refer_to(draft, *before)
        if draft.released:
            last[draft.subject.key] = (draft.entry.sop_class, draft.entry.uids["sop"], draft.entry.uids["study"])
        surname = draft.subject.names[0].split("=")[0].split("^")[0].strip().replace(" ", "_")
        where = (
            Path(f"{surname}_{draft.subject.patient_id}")
            / f"{draft.day:%Y%m%d} {draft.entry.iod}"
            / f"{draft.entry.syntax}_{draft.entry.serial}.dcm"
        )
        draft.entry.path = where.as_posix()
        draft.entry.writer = writer
        write_draft(draft, self.folder / where)
        self.manifest.files.append(draft.entry)


def _key(subject: Subject) -> int:
    return sum(ord(letter) * (index + 1) for index, letter in enumerate(subject.key))


def write_draft(draft: Draft, path: Path) -> None:
    """Write a draft with the byte writer; ``entry.writer == "pydicom"`` sends it once through the library."""
    syntax = SYNTAXES[draft.entry.syntax]
    form = Form.of(syntax, draft.entry.charset, group_lengths=draft.group_lengths)
    if draft.frames:
        pixel = pixel_element(draft)
        draft.elements[pixel.tag] = pixel
    for tag, vr, value in (
        (0x00020001, "OB", b"\0\1"), (0x00020002, "UI", draft.entry.sop_class), (0x00020003, "UI", draft.entry.uids["sop"]),
        (0x00020010, "UI", syntax), (0x00020012, "UI", "1.2.826.0.1.3680043.9.7433.1"), (0x00020013, "SH", "PLANTED 1"),
    ):  # fmt: skip
        draft.meta.setdefault(tag, El(tag, vr, value))
    data = file_bytes(
        draft.meta.values(),
        draft.elements.values(),
        form,
        preamble=draft.preamble,
        with_meta=draft.with_meta,
        tail=draft.tail,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if draft.entry.writer == "pydicom":
        ds = dcmread(BytesIO(data), force=True)
        dcmwrite(path, ds, enforce_file_format=True)
    else:
        path.write_bytes(data)


def plant(draft: Draft, names: list[str]) -> None:
    """Use hiding places on a draft, and note which took effect."""
    for name in sorted(names, key=list(PLACES).index):
        before = list(draft.entry.plants)
        PLACES[name](draft)
        if draft.entry.plants != before or (name == "unused-bits" and draft.entry.unused_bits):
            draft.entry.places.append(name)


def build_corpus(folder: Path, seed: int = 1, scale: int = 1) -> Manifest:
    """Write a corpus under ``folder``; the same seed and scale give the same bytes.

    The manifest is returned, not written: it must not lie inside the corpus that is cleaned.
    """
    rng = random.Random(seed)
    coin = Coiner(rng)
    make = Builder(folder, Manifest(seed, scale), rng, coin)
    subjects = cast(rng, coin)
    everything = [name for name in PLACES if name not in ALONE]
    for round_number in range(scale):
        _visits(make, subjects, everything, round_number)
        _syntaxes(make, subjects, everything)
        _kinds(make, subjects, everything)
        _alone(make, subjects[0])
        _odd_forms(make, subjects)
    _litter(make)
    return make.manifest


def _visits(make: Builder, subjects: list[Subject], everything: list[str], round_number: int) -> None:
    """Three visits of each patient, 45 days apart, each a chest CT with all places, in all spellings."""
    for number, subject in enumerate(subjects):
        for visit in range(3):
            syntax = NATIVE[(number + visit + round_number) % len(NATIVE)]
            draft = make.draft(subject, "CT", syntax, visit)
            build_image(draft, IMAGES["CT"], syntax, visit)
            plant(draft, everything if visit == 0 else make.rng.sample(everything, k=len(everything) // 2))
            draft.group_lengths = visit == 2
            make.finish(draft)


def _syntaxes(make: Builder, subjects: list[Subject], everything: list[str]) -> None:
    """A chest CT in each transfer syntax, all places."""
    for number, syntax in enumerate((*NATIVE, *ENCAPSULATED)):
        draft = make.draft(subjects[number % len(subjects)], "CT", syntax, 0)
        build_image(draft, IMAGES["CT"], syntax, number)
        plant(draft, everything)
        draft.pieces = 1 if syntax in places_graphics.WITH_SLACK else 1 + number % 3
        draft.with_table = number % 2 == 0
        make.finish(draft)


def _kinds(make: Builder, subjects: list[Subject], everything: list[str]) -> None:
    """Each kind of object, in a syntax of its own world, half of the places each."""
    for number, (name, kind) in enumerate(IMAGES.items()):
        for turn in range(2):
            syntax = ("mpeg2", "mpeg4")[turn] if name == "Video" else (*NATIVE, "rle", "jpeg")[(number + turn * 3) % 6]
            if syntax == "jpeg" and (kind.deep or (kind.frames > 1 and not kind.colour)):
                syntax = "j2k-lossless" if kind.frames == 1 else "rle"
            draft = make.draft(subjects[(number + turn) % len(subjects)], name, syntax, turn)
            build_image(draft, kind, syntax, turn)
            plant(draft, make.rng.sample(everything, k=len(everything) * 2 // 3))
            make.finish(draft)
    for number, name in enumerate(NON_IMAGES):
        draft = make.draft(subjects[number % len(subjects)], name, NATIVE[number % 2], 1)
        build_non_image(draft, name, number)
        make.finish(draft)


def _alone(make: Builder, subject: Subject) -> None:
    """Each place in a file of its own, so that one odd place cannot hide another's failure."""
    for name in PLACES:
        syntax = {
            "jpeg-segments": "jpeg",
            "icon-encapsulated": "jpeg",
            "j2k-comment": "j2k",
            "after-code-stream": "jpeg",
        }.get(name, "explicit")
        draft = make.draft(subject, "CT", syntax, 1)
        build_image(draft, IMAGES["CT"], syntax, 0)
        plant(draft, [name])
        make.finish(draft)


def _odd_forms(make: Builder, subjects: list[Subject]) -> None:
    """Files without preamble or meta information, with group lengths, written by pydicom."""
    for form in ("no-meta", "no-preamble", "no-meta-implicit", "group-lengths", "pydicom", "pydicom-implicit"):
        syntax = "implicit" if form.endswith("implicit") else "explicit"
        draft = make.draft(subjects[6], "CT", syntax, 2)
        build_image(draft, IMAGES["CT"], syntax, 0)
        plant(draft, ["descriptions", "request-attributes", "private-safe", "eponyms"])
        draft.with_meta = not form.startswith("no-meta")
        draft.group_lengths = form == "group-lengths"
        if form == "no-preamble":
            draft.preamble = None
        make.finish(draft, writer="pydicom" if form.startswith("pydicom") else "wire")


def _litter(make: Builder) -> None:
    """What lies beside the images on a medium."""
    word = make.coin.word()
    things: dict[str, bytes] = {
        "AUTORUN.INF": f"[autorun]\nlabel=Images of {word}\n".encode(),
        "README.TXT": f"CD for {word}\n".encode(),
        "VIEWER/viewer.exe": b"MZ" + bytes(200) + word.encode(),
        ".DS_Store": b"\0\0\0\1Bud1" + bytes(64),
        "empty.dcm": b"",
        "report.docx": _zip_of(word),
    }
    for name, data in things.items():
        target = make.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        entry = FileEntry(name, 0, "litter", Expected.SKIPPED)
        make.manifest.files.append(entry)
        if word.encode() in data:
            entry.plants.append(Plant("name", "litter", word))
    _dicomdir(make, word)


def _zip_of(word: str) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("word/document.xml", date_time=(2024, 1, 1, 0, 0, 0)), f"<w>{word}</w>")
    return stream.getvalue()


def _dicomdir(make: Builder, word: str) -> None:
    media = "1.2.840.10008.1.3.10"
    meta = [
        El(0x00020001, "OB", b"\0\1"), El(0x00020002, "UI", media), El(0x00020003, "UI", "1.2.826.0.1.3680043.9.7433.2"),
        El(0x00020010, "UI", SYNTAXES["explicit"]), El(0x00020012, "UI", "1.2.826.0.1.3680043.9.7433.1"),
    ]  # fmt: skip
    record = [
        El(0x00041400, "UL", (0,)),
        El(0x00041410, "US", (0xFFFF,)),
        El(0x00041420, "UL", (0,)),
        El(0x00041430, "CS", "PATIENT"),
        El(0x00100010, "PN", f"{word}^Index"),
    ]
    body = [
        El(0x00041130, "CS", "MEDIUM"),
        El(0x00041200, "UL", (0,)),
        El(0x00041202, "UL", (0,)),
        El(0x00041212, "US", (0,)),
        El(0x00041220, "SQ", [record]),
    ]
    (make.folder / "DICOMDIR").write_bytes(file_bytes(meta, body, Form()))
    make.manifest.files.append(
        FileEntry("DICOMDIR", 0, "DICOMDIR", Expected.SKIPPED, plants=[Plant("name", "litter", word)])
    )
