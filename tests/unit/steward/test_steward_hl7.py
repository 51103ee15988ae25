"""HL7 A40 messages and lists of merges: what is read, and that faults name places and no value."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steward_ward import code_of

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.reveal.steward.hl7 import read_a40
from tarnhelm.reveal.steward.pairs import Pair, Patient, read_csv

HEAD = "MSH|^~\\&|HIS|HOSP|TARNHELM|LINK|20261124||ADT^A40^ADT_A39|1|P|2.5.1"
EVENT = "EVN|A40|20261124"


def message(pid, mrg, *, head=HEAD, end="\r"):
    return end.join([head, EVENT, f"PID|1||{pid}||ROE^JANE", f"MRG|{mrg}", ""]).encode()


def test_the_patient_of_mrg_is_merged_into_the_one_of_pid():
    found = read_a40(message("M2^^^HOSP^MR", "M1^^^HOSP^MR"))
    assert found == (Pair(Patient("M1", "HOSP"), Patient("M2", "HOSP")),)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_any_end_of_a_segment_and_mllp_framing_are_read(end):
    framed = b"\x0b" + message("M2", "M1", end=end) + b"\x1c\r"
    assert read_a40(framed * 3) == (Pair(Patient("M1"), Patient("M2")),) * 3


def test_of_several_identifiers_those_of_one_issuer_make_a_pair():
    found = read_a40(message("M2^^^HOSP&1.2&ISO^MR~P9^^^PROV", "P8^^^PROV~M1^^^HOSP&1.2&ISO^MR~X^^^OTHER"))
    assert found == (
        Pair(Patient("P8", "PROV"), Patient("P9", "PROV")),
        Pair(Patient("M1", "HOSP"), Patient("M2", "HOSP")),
    )


def test_a_message_may_hold_several_merges():
    text = f"{HEAD}\r{EVENT}\rPID|1||B\rMRG|A\rPID|2||D\rMRG|C".encode()
    assert [(one.prior.patient_id, one.surviving.patient_id) for one in read_a40(text)] == [("A", "B"), ("C", "D")]


def test_other_separators_and_escapes_are_read():
    head = "MSH$%!?*$HIS$$$$20261124$$ADT%A40$1$P$2.5.1"
    text = f"{head}\rPID$1$$M?F?2%%%HO?T?SP*1.2\rMRG$M1%%%HO?T?SP".encode()
    assert read_a40(text) == (Pair(Patient("M1", "HO*SP"), Patient("M$2", "HO*SP")),)


@pytest.mark.parametrize(
    ("declared", "charset"),
    [("", "utf-8"), ("8859/1", "latin-1"), ("8859/15", "iso8859-15"), ("UNICODE UTF-8~", "utf-8")],
)
def test_identifiers_are_read_in_the_character_set_of_the_message(declared, charset):
    text = message("MÉ2^^^HÔP", "MÉ1^^^HÔP", head=f"{HEAD}||||||{declared}").decode()
    assert read_a40(text.encode(charset)) == (Pair(Patient("MÉ1", "HÔP"), Patient("MÉ2", "HÔP")),)


def test_names_in_another_character_set_than_the_message_says_do_not_matter():
    content = message("M2", "M1").replace(b"ROE^JANE", "DESROCHELLIÈRES^MAËLYS".encode("latin-1"))
    assert read_a40(content) == (Pair(Patient("M1"), Patient("M2")),)
    assert read_a40(b"\xef\xbb\xbf" + content) == (Pair(Patient("M1"), Patient("M2")),)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PID|1||M2\rMRG|M1",
        message("M2", "M1", head=HEAD.replace("A40", "A08")),
        message("M2", "M1", head=HEAD + "||||||UNICODE UTF-16"),
        message("M2", "M1é", head=HEAD).decode().encode("latin-1"),
        message("M2", "M1¥", head=HEAD + "||||||8859/3").decode().encode("latin-1"),
        f"MSH§^~\\&{HEAD[8:].replace('|', '§')}\rPID§1§§M2\rMRG§M1".encode("latin-1"),
        message("", "M1"),
        message("M2", ""),
        message("M2", '""'),
        message("M2^^^ONE~M3^^^TWO", "M1^^^THREE~M4^^^FOUR"),
        message("M2", "M\\X41\\1"),
        message("M2", "M" * 65),
        message("M2", "A\x01B"),
        f"{HEAD}\rMRG|M1".encode(),
        f"{HEAD}\rPID|1||M2".encode(),
        f"{HEAD}\rPID|1||M2\rMRG|M1\rPID|1||M3".encode(),
        b"MSH|\r",
        b"MSH|^~\\^|" + message("M2", "M1")[8:],
        b"MSH|^~\\&" + b"\xff",
    ],
)
def test_what_is_no_whole_a40_is_refused_whole_and_no_value_is_told(content):
    with pytest.raises(TarnhelmError) as caught:
        read_a40(content)
    assert caught.value.code == "STW-003"
    assert "M1" not in str(caught.value)


@contextmanager
def suppress_fault():
    codes = []
    try:
        yield codes
    except TarnhelmError as error:
        codes.append(error.code)


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: HEAD.encode() + b"\r" + text.encode()))
def test_no_bytes_raise_anything_else(content):
    with suppress_fault() as seen:
        read_a40(content)
    assert set(seen) <= {"STW-003"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_list_of_merges_is_read(separator):
    rows = [["prior", "surviving", "prior_issuer"], ["M1", "M2", "HOSP"], ["", "", ""], ["M3", "M4", ""]]
    content = [separator.join(row).encode() + b"\n" for row in rows]
    assert read_csv(content) == (Pair(Patient("M1", "HOSP"), Patient("M2")), Pair(Patient("M3"), Patient("M4")))


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([b"prior,other\n", b"a,b\n"], 1),
        ([b"prior\n", b"a\n"], 1),
        ([], 1),
        ([b"prior,surviving\n", b"a,b\n", b"a\n"], 3),
        ([b"prior,surviving\n", b"a,\n"], 2),
        ([b"prior,surviving\n", b"a,b\\c\n"], 2),
        ([b"prior,surviving\n", b"a," + b"x" * 65 + b"\n"], 2),
        ([b"prior,surviving\n", b"a,\xff\n"], 2),
        ([b"prior,surviving\n", b"a," + b"x" * 5000 + b"\n"], 2),
        ([b"prior,surviving\n", b'"a,b\n'], 2),
    ],
)
def test_a_fault_of_a_list_names_its_line(rows, line):
    with pytest.raises(TarnhelmError) as caught:
        read_csv(rows)
    assert caught.value.code == "STW-003"
    assert caught.value.facts == {"line": line}


def test_an_endless_list_is_refused():
    rows = (b"prior,surviving\n" if number == 0 else b"a,b\n" for number in range(200_000))
    assert code_of(lambda: read_csv(rows)) == "STW-003"
