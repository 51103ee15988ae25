from __future__ import annotations

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_charset_files

from tarnhelm.common.dicom.charsets import TEXT_VRS, decoder, was_replaced
from tarnhelm.common.errors import BAD_CHARSET, TarnhelmError

WRITTEN = [
    # (0008,0005), bytes, text: the examples of PS3.5 Annexes H, I, J, K
    (("ISO_IR 100",), b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    (("ISO_IR 101",), b"W\xb3odzimierz", "Włodzimierz"),
    (("ISO_IR 109",), b"\xa1al", "Ħal"),
    (("ISO_IR 110",), b"\xa2", "ĸ"),
    (("ISO_IR 144",), b"\xbb\xee\xda\x63\x65\xdc\xd1\xe3\xe0\xd3", "Люкceмбург"),
    (("ISO_IR 127",), b"\xe2\xc8\xc7\xe6\xea", "قباني"),
    (("ISO_IR 126",), b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    (("ISO_IR 138",), b"\xf9\xf8\xe5\xef", "שרון"),
    (("ISO_IR 148",), b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
    (("ISO_IR 203",), b"\xbdil \xa4", "œil €"),
    (("ISO_IR 166",), b"\xca\xc1\xaa\xd2\xc2", "สมชาย"),
    (("ISO_IR 13",), b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
    (("ISO_IR 192",), "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    (("GB18030",), "Wang=王^小东".encode("gb18030"), "Wang=王^小东"),
    (("GBK",), "王^小东".encode("gbk"), "王^小东"),
    (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    (("", "ISO 2022 IR 149"), b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong=洪^吉洞"),
    (("", "ISO 2022 IR 58"), b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1", "Zhang=张^小"),
    (("ISO 2022 IR 100", "ISO 2022 IR 144"), b"J\xe9r^\x1b-L\xbb\xee", "Jér^Лю"),
    (("", "ISO 2022 IR 159"), b"\x1b$(D\x30\x21\x1b(B", "丂"),
]


@pytest.mark.parametrize(("terms", "raw", "text"), WRITTEN)
def test_every_repertoire_is_read_and_written(terms, raw, text):
    charset = decoder(terms)
    assert charset.decode(raw, "PN") == text
    assert charset.encode(text, "PN") == raw


@pytest.mark.parametrize(
    "path",
    [path for path in get_charset_files("*.dcm") if "SQEncoding" not in path],
    ids=lambda path: path.rsplit("/", 1)[1],
)
def test_packaged_files_decode_as_pydicom_decodes_them(path):
    dataset = pydicom.dcmread(path)
    terms = dataset.get("SpecificCharacterSet") or ""
    raw = dataset.get_item("PatientName")
    assert isinstance(raw.value, bytes)
    text = decoder((terms,) if isinstance(terms, str) else tuple(terms)).decode(raw.value, "PN")
    assert text.rstrip(" =") == str(dataset.PatientName).rstrip()


def test_state_goes_back_at_delimiters():
    # After the caret the first repertoire holds again, so the bytes are Latin, not Cyrillic.
    assert decoder(("ISO 2022 IR 100", "ISO 2022 IR 144")).decode(b"\x1b-L\xd0^\xe9", "PN") == "а^é"
    # In LO a caret delimits nothing, a backslash does.
    assert decoder(("ISO 2022 IR 100", "ISO 2022 IR 144")).decode(b"\x1b-L\xd0^\xd0\\\xe9", "LO") == "а^а\\é"


def test_second_bytes_that_look_like_delimiters_do_not_delimit():
    # The second byte of the first kanji is 0x5C.
    charset = decoder(("", "ISO 2022 IR 87"))
    assert charset.decode(b"\x1b$B\x30\x5c\x3b\x33\x1b(B", "LO") == b"\xb0\xdc\xbb\xb3".decode("euc_jp")
    assert not charset.ascii_compatible
    assert not decoder(("GBK",)).ascii_compatible
    assert decoder(("ISO_IR 192",)).ascii_compatible
    assert decoder(("ISO_IR 100",)).ascii_compatible


SPELLINGS = [
    "ISO_IR 100",
    "ISO IR 100",
    "ISO-IR 100",
    "ISO_IR_100",
    "iso_ir 100 ",
    "ISO 2022 IR 100",
    "ISO_2022_IR_100",
]


@pytest.mark.parametrize("term", SPELLINGS)
def test_careless_spellings_are_understood(term):
    assert decoder((term,)).decode(b"\xe9", "LO") == "é"


@pytest.mark.parametrize("term", ["ISO_IR 999", "SMITH^JOHN", "latin-1", "ISO_IR"])
def test_unknown_repertoires_have_a_code_and_quote_nothing(term):
    with pytest.raises(TarnhelmError) as caught:
        decoder((term,))
    assert caught.value.kind is BAD_CHARSET
    assert term not in str(caught.value)


@settings(deadline=None)
@given(
    st.sampled_from([terms for terms, _, _ in WRITTEN]),
    st.binary(max_size=60),
    st.sampled_from(["PN", "LO", "LT", "DA"]),
)
def test_no_bytes_raise(terms, raw, vr):
    text = decoder(terms).decode(raw, vr)
    assert isinstance(text, str)
    if raw.isascii() and b"\x1b" not in raw:
        assert text == raw.decode()


def test_bytes_outside_the_repertoire_are_flagged():
    assert was_replaced(decoder(()).decode(b"Jos\xe9", "LO"))
    assert was_replaced(decoder(("ISO_IR 192",)).decode(b"Jos\xe9", "LO"))
    assert was_replaced(decoder(("ISO_IR 100",)).decode(b"2024\xe9", "DA"))
    assert not was_replaced(decoder(("ISO_IR 100",)).decode(b"Jos\xe9", "LO"))


def test_text_outside_the_repertoire_is_not_written():
    assert decoder(("ISO_IR 100",)).encode("山田", "LO") is None
    assert decoder(("ISO_IR 13",)).encode("山田", "LO") is None
    assert decoder(("ISO_IR 192",)).encode("é", "DA") is None


@settings(deadline=None)
@given(
    st.sampled_from([terms for terms, _, _ in WRITTEN if terms != ("ISO_IR 13",)]),
    st.sampled_from(sorted(TEXT_VRS)),
    st.data(),
)
def test_what_is_written_is_read_back(terms, vr, data):
    letters = "".join(sorted({letter for known, _, text in WRITTEN if known == terms for letter in text})) + " ^=\\\nab"
    text = data.draw(st.text(letters, max_size=20))
    raw = decoder(terms).encode(text, vr)
    assert raw is not None
    assert decoder(terms).decode(raw, vr) == text
