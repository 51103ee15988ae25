"""Names in every Specific Character Set are found, decoded and as raw bytes of other encodings."""

from __future__ import annotations

import unicodedata

import pytest
from pairs import Pair
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tarnhelm.witness.core.charsets import decode
from tarnhelm.witness.core.text import fold

NAMES = [
    # declared set, name, what is planted in the result (spelled otherwise)
    ("ISO_IR 100", "Müller^Jürgen", "mueller"),
    ("ISO_IR 100", "Müller^Jürgen", "MULLER^JURGEN"),
    ("ISO_IR 100", "Lefèbvre-Côté^Anaïs", "Anais Lefebvre"),
    ("ISO_IR 101", "Wiśniewska^Łucja", "Łucja Wiśniewska"),
    ("ISO_IR 109", "Ĉapek^Ĝusta", "ĉapek"),
    ("ISO_IR 110", "Bērziņš^Jānis", "BĒRZIŅŠ"),
    ("ISO_IR 144", "Люкceмбypг^Полина", "ПОЛИНА ЛЮКCEМБYPГ"),
    ("ISO_IR 127", "قباني^لنزار", "لنزار قباني"),
    ("ISO_IR 126", "Διονυσιος^Αλεξης", "ΔΙΟΝΥΣΙΟΣ"),
    ("ISO_IR 138", "שרון^דבורה", "דבורה שרון"),
    ("ISO_IR 148", "Çavuşoğlu^Işıl", "CAVUSOGLU"),
    ("ISO_IR 166", "สมชาย^วงศ์สวัสดิ์", "สมชาย"),
    ("ISO_IR 192", "Nguyễn^Thị Hạnh", "Nguyễn"),
    ("ISO_IR 192", "王^小东", "王小东"),
    ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
    ("GB18030", "Wang^XiaoDong=王^小东", "王小东"),
    ("GBK", "Wang^XiaoDong=王^小东", "王^小东"),
    ("ISO 2022 IR 6\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田 太郎"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "山田"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", "길동 홍"),
    ("ISO_IR 192", "Ǧwa̱ʼit̓łala^Ƛ̓iʼsta", "Ǧwa̱ʼit̓łala"),
]


def _source(declared: str, name: str):
    def change(ds) -> None:
        ds.SpecificCharacterSet = declared.split("\\") if "\\" in declared else declared
        ds.PatientName = name

    return change


@pytest.mark.parametrize(("declared", "name", "planted"), NAMES)
def test_name_is_found_in_decoded_text(judge, declared, name, planted):
    def plant(ds) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SeriesDescription = f"T1 {planted}"

    verdict = judge(*Pair(before=_source(declared, name), after=plant).build())
    assert any(f.position == "0008103E" and f.identifier_class == "name" for f in verdict.findings), verdict.findings


@pytest.mark.parametrize(("declared", "name", "planted"), NAMES)
def test_the_source_itself_is_read_and_its_clean_result_passes(judge, declared, name, planted):
    verdict = judge(*Pair(before=_source(declared, name)).build())
    assert verdict.clean, verdict.findings


RAW = [
    (name, codec)
    for name, codecs in (
        ("Müller^Jürgen", ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso8859-15")),
        ("Люксембург^Полина", ("utf-8", "iso8859-5", "cp1251", "utf-16-le")),
        ("山田^太郎", ("utf-8", "shift_jis", "euc_jp", "gb18030", "utf-16-be", "iso2022_jp")),
        ("洪吉洞^홍길동", ("utf-8", "utf-16-le")),
        ("Διονυσιος^Αλεξης", ("utf-8", "iso8859-7")),
    )
    for codec in codecs
]


@pytest.mark.parametrize(("name", "codec"), RAW)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_name_is_found_as_raw_bytes_in_an_opaque_value(judge, name, codec, case):
    raw = b"\x01\x02" + case(name).encode(codec) + b"\x00\x03\x04\x05"

    def plant(ds) -> None:
        ds.private_block(0x0019, "SIEMENS MED", create=True).add_new(0x0A, "OB", raw + b"\0" * (len(raw) % 2))

    verdict = judge(*Pair(before=_source("ISO_IR 192", name), after=plant).build())
    assert any(f.position == "0019100A" and f.identifier_class == "name" for f in verdict.findings), verdict.findings


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_both_normal_forms_are_one_name(judge, form):
    planted = unicodedata.normalize(form, "Lefèbvre")

    def plant(ds) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds[0x00204000] = DataElement(0x00204000, "LT", f"vu par {planted}")

    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "Lefèbvre^Zoé")
    verdict = judge(*Pair(before=_source("ISO_IR 192", other), after=plant).build())
    assert [f.identifier_class for f in verdict.findings] == ["name"]


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_item_may_have_a_character_set_of_its_own(judge, side):
    """PS3.5 6.1.2.2: what an item declares holds for it and for the items inside it, and nowhere else."""

    def cyrillic(text: str, keyword: str) -> Dataset:
        inner, item = Dataset(), Dataset()
        item.SpecificCharacterSet = "ISO_IR 144"
        inner.add_new(int(keyword, 16), "PN" if keyword == "00081070" else "LT", text)
        item.ContentSequence = Sequence([inner])
        return item

    def change(ds) -> None:
        ds.SpecificCharacterSet = "ISO_IR 100"
        if side == "before":
            ds.RequestAttributesSequence = Sequence([cyrillic("Любченко^Полина", "00081070")])

    def plant(ds) -> None:
        if side == "before":
            del ds.RequestAttributesSequence
            ds.SpecificCharacterSet = "ISO_IR 192"
            ds.SeriesDescription = "полина любченко"
        else:
            ds.RequestAttributesSequence = Sequence([cyrillic("снимок: Любченко", "00204000")])

    pair = Pair(before=change, after=plant)
    if side == "after":
        pair.before = _source("ISO_IR 144", "Любченко^Полина")
    verdict = judge(*pair.build())
    wanted = "0008103E" if side == "before" else "00400275.0040A730.00204000"
    assert [(f.position, f.identifier_class) for f in verdict.findings] == [(wanted, "name")]


@pytest.mark.parametrize(
    "text",
    ["LEFEBVRE", "lefebvre zoe", "Zoë Lefèbvre", "Lefèbvre,Zoé", "LEFEBVRE^ZOE^^", "zoé  lefèbvre", "Zoe.Lefebvre"],
)
def test_accents_and_separators_do_not_hide_a_name(judge, text):
    def plant(ds) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds[0x00204000] = DataElement(0x00204000, "LT", f"vu: {text}")

    verdict = judge(*Pair(before=_source("ISO_IR 100", "Lefèbvre^Zoé"), after=plant).build())
    assert [(f.position, f.identifier_class) for f in verdict.findings] == [("00204000", "name")]


def test_unknown_charset_with_text_is_undecided(judge):
    def plant(ds) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SeriesDescription = "Schädel"

    source, result = Pair(after=plant).build()
    verdict = judge(source, result.replace(b"ISO_IR 192", b"ISO_IR 999"))
    assert verdict.code == "WIT-004"


@pytest.mark.parametrize(
    ("raw", "declared", "text"),
    [
        (b"Buc^J\xe9r\xf4me", b"ISO_IR 100", "Buc^Jérôme"),  # PS3.5 annex of examples
        (b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"),  # H.3.1
        (b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", b"ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),  # H.3.2
        (b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", b"\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞"),  # I.2
        (
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
            b"\\ISO 2022 IR 58",
            "Zhang^XiaoDong=张^小东",
        ),  # K.2
        (b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", b"GB18030", "Wang^XiaoDong=王^小东"),  # J.3
    ],
)
def test_examples_of_the_standard(raw, declared, text):
    assert decode(raw, declared) == text


def test_folding_is_stable():
    for text in ("Müller", "ŁUCJA", "Ñandú", "ﾔﾏﾀﾞ", "Straße", "İstanbul", "Ƛ̓iʼsta"):
        assert fold(fold(text)) == fold(text)
        assert fold(text.upper()) == fold(text.lower()) or not text.isascii()
