"""What one slice proves of the next: the memory of the witness makes it faster, and changes no verdict."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import Person, policy
from pydicom.data import get_testdata_file
from slices import Rows, person, run_length_coded, sequence, slice_pair

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.witness.core import Mask, Policy, Witness
from tarnhelm.witness.core.parsed import Fault
from tarnhelm.witness.core.pattern import Pattern, Patterns, _hint
from tarnhelm.witness.core.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable

P = Person()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
STEM = f"{P.root}.30000024998877"


def _witness(limits: Limits = DEFAULT_LIMITS, **changes: object) -> Witness:
    return Witness(Policy.from_json(policy(**changes)), KEY, limits)


def _warm(count: int = 30, **changes: object) -> Witness:
    witness = _witness(**changes)
    for number in range(2001, 2001 + count):
        assert witness.judge(*slice_pair(number), "x").clean
    assert witness._series.look(*slice_pair(2001 + count)).clean
    return witness


def _set(tag: int, value: bytes) -> Callable[[Rows], None]:
    def spoil(rows: Rows) -> None:
        rows[tag] = (rows[tag][0], value)

    return spoil


def _add(tag: int, vr: str, value: bytes) -> Callable[[Rows], None]:
    def spoil(rows: Rows) -> None:
        rows[tag] = (vr, value)

    return spoil


def test_slices_after_the_first_few_are_recognised():
    witness = _witness()
    seen = [witness._series.look(*slice_pair(number)).clean or not witness.judge(*slice_pair(number), "x").clean
            for number in range(1, 400)]  # fmt: skip
    assert not any(seen[:2])
    assert sum(seen) > 370


# --- planted in the thousandth slice -----------------------------------------------------------------------------

NAME = P.name.encode()
PLANTS = {
    "name in a text that differs": (_set(0x00204000, b"image 3000 of the series, Kowalczyk"), "name"),
    "name reversed": (_set(0x00204000, b"jadwiga_kowalczyk 3000"), "name"),
    "name with commas": (_set(0x00204000, b"Kowalczyk, Jadwiga"), "name"),
    "name in a text that is shared": (_set(0x0008103E, b"AXIAL 5.0 Kowalczyk"), "name"),
    "name in a text of equal length": (_set(0x0008103E, b"AXIAL Kowalczyk  "), "name"),
    "name in 16 bits": (_set(0x0019100A, NAME.decode().encode("utf-16-le")), "name"),
    "name in base64": (_set(0x00204000, base64.b64encode(b"name: Kowalczyk, Jadwiga")), "name"),
    "number": (_set(0x00204000, b"image 3000 of MRN-4471093"), "id"),
    "number without its prefix": (_set(0x0019100A, b"4471093"), "id"),
    "number as a number": (_set(0x00200013, b"4471093"), "id"),
    "number in a UID": (_set(0x00080018, f"{P.root}.4471093.5".encode()), "id"),
    "accession": (_set(0x00204000, b"see ACC8812734"), "id"),
    "birth date": (_set(0x00204000, b"born 17 Apr 1953"), "birth"),
    "day of the study": (_set(0x0008002A, P.study_date.encode() + b"101100"), "date"),
    "day of the study in its place": (_set(0x00080020, P.study_date.encode()), "date"),
    "UID in its place": (_set(0x00080018, f"{STEM}.1.3000".encode()), "uid"),
    "UID of another attribute": (_set(0x0020000E, f"{STEM}.2".encode()), "uid"),
    "UID in a text": (_set(0x00204000, f"was {STEM}.1.3000".encode()), "uid"),
    "UID in a reference": (
        _set(0x00081140, sequence({0x00081155: ("UI", f"{STEM}.1.2999".encode())}, undefined=True)), "uid"),
    "number in its place": (_set(0x00100020, P.number.encode()), "id"),
    "study number in its place": (_set(0x00200010, P.study_id.encode()), "id"),
    "institution": (_set(0x00204000, b"lions bay memorial hospital"), "organisation"),
    "a new attribute": (_add(0x00081070, "PN", P.operator.encode()), "name"),
    "a new private attribute": (_add(0x0019100B, "LO", b"SLICE"), "private"),
    "beyond ASCII": (_set(0x00204000, b"seen: K\xf6walczyk"), "name"),
    "pixels": (_set(0x7FE00010, b"\1" * 32), "differ"),
    "a plane in the unused bits": (_set(0x7FE00010, bytes(31) + b"\x10"), "unused-bits"),
    "description": (_set(0x00280101, b"\x0b\0"), "description"),
    "no marker": (_set(0x00120062, b"MAYBE"), "marker"),
    "no patient": (_set(0x00100020, b""), None),
    "padding": (_add(0xFFFCFFFC, "OB", b"4471093 "), "id"),
}  # fmt: skip


@pytest.fixture(scope="module")
def thousand() -> Witness:
    return _warm(999)


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_in_the_thousandth_slice_is_found(thousand, plant):
    spoil, kind = PLANTS[plant]
    pair = slice_pair(3000, spoil=spoil)
    verdict = thousand.judge(*pair, "x")
    assert verdict == _witness().judge(*pair, "x")
    if kind is not None:
        assert not verdict.clean
        assert kind in {finding.identifier_class for finding in verdict.findings}, verdict.findings


def test_meta_of_the_thousandth_slice(thousand):
    source, result = slice_pair(3000)
    assert thousand._series.look(source, result).clean
    at = result.index(b"\2\0\3\0UI")
    for spoiled in (
        result[:at] + result[at:].replace(b"00004001", b"00004007", 1),  # another instance than the data set says
        result[:140] + bytes([result[140] + 2]) + result[141:],  # a group length that does not fit
        b"MRN-4471093" + result[11:],
    ):
        verdict = thousand.judge(source, spoiled, "x")
        assert not verdict.clean
        assert verdict == _witness().judge(source, spoiled, "x")


def test_the_thousandth_source_may_be_somebody_elses(thousand):
    """The same result, but its words are now those of the source: what is innocent depends on the source."""
    other = replace(P, name="Series^Image", operator="Lung^Axial")
    for change in (
        {"who": replace(P, name="Gagnon^Luc")},
        {"spoil_source": _set(0x0008002A, b"20200229101100"), "spoil": _set(0x00204000, b"of 29 Feb 2020")},
        {"who": replace(P, number="TRN-K3J9QX7WZ0PM2VDA")},
        {"who": other},
        {"spoil_source": _set(0x00080080, b"image of the series 5")},
        {"spoil_source": _add(0x00102154, "SH", b"604 555 0142")},
        {"spoil_source": _set(0x00181000, b"1011")},
    ):
        pair = slice_pair(3000, **change)
        assert thousand.judge(*pair, "x") == _witness().judge(*pair, "x")


@pytest.mark.parametrize(
    ("source", "result"),
    [("2019000010%d", "2018000010%d"), ("20190000102020", "2018000010%d"), ("2019000010%d", "20180000102020")],
)
def test_a_value_that_no_search_knows_is_found_in_its_own_place(source, result):
    """A day that is none has no needle: only that it was not replaced tells."""

    def day(value: str, number: int) -> Callable[[Rows], None]:
        return _set(0x0008002A, (value % number if "%" in value else value).encode())

    witness = _witness()
    for number in range(2001, 2020):
        pair = slice_pair(number, spoil=day(result, number), spoil_source=day(source, number))
        assert witness._series.look(*pair).clean == (number > 2003)
        assert witness.judge(*pair, "x").clean
    same = result if "%" not in result else source
    pair = slice_pair(2020, spoil=day(same, 2020), spoil_source=day(same, 2020))
    verdict = witness.judge(*pair, "x")
    assert [(finding.position, finding.identifier_class) for finding in verdict.findings] == [("0008002A", "date")]
    assert verdict == _witness().judge(*pair, "x")


@pytest.mark.parametrize("side", ["source", "result"])
def test_a_sequence_in_an_opaque_value_that_differs_is_seen(side):
    witness = _witness()
    hidden = sequence({0x00100010: ("PN", b"")}, undefined=False)[:8] + b"\x10\0\x10\0\x10\0\0\0Zebrowski^Thekla"
    hidden = hidden[:4] + (24).to_bytes(4, "little") + hidden[8:]

    def opaque(value: bytes) -> Callable[[Rows], None]:
        return _add(0x0019100A, "UN", value)

    for number in range(2001, 2020):
        kind = {"spoil_source" if side == "source" else "spoil": opaque(b"%8d" % number)}
        assert witness.judge(*slice_pair(number, **kind), "x").clean
    assert witness._series.look(*slice_pair(2020, **kind)).clean
    if side == "source":
        pair = slice_pair(2020, spoil_source=opaque(hidden), spoil=_set(0x00204000, b"Zebrowski"))
    else:
        pair = slice_pair(2020, spoil=opaque(hidden))
    verdict = witness.judge(*pair, "x")
    assert verdict == _witness().judge(*pair, "x")
    assert verdict.clean == (side == "result")  # nobody of that name is known
    assert not witness._series.look(*pair).clean


@pytest.mark.parametrize(
    ("tag", "vr", "usual", "other", "last", "kind"),
    [
        (0x00280103, "US", b"\0\0", b"\1\0", b"\0\0", "description"),
        (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.5.1.4.1.1.4", b"1.2.840.10008.5.1.4.1.1.4", "meta-differs"),
        (0x00120062, "CS", b"YES", b"NO", b"Y", "marker"),
        (0x00080005, "CS", b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 109", None),
    ],
)  # fmt: skip
def test_values_that_decide_are_read_in_every_slice(tag, vr, usual, other, last, kind):
    witness = _witness()
    for number in range(2001, 2020):
        value = _add(tag, vr, usual if number % 2 else other)
        pair = slice_pair(number, spoil=value, spoil_source=value if tag != 0x00120062 else None)
        witness.judge(*pair, "x")
    before = _add(tag, vr, other) if tag != 0x00120062 else None
    pair = slice_pair(2020, spoil=_add(tag, vr, last), spoil_source=before)
    verdict = witness.judge(*pair, "x")
    assert verdict == _witness().judge(*pair, "x")
    assert [finding.identifier_class for finding in verdict.findings] == ([kind] if kind else [])
    assert not (kind and witness._series.look(*pair).clean)


def test_what_a_source_excuses_is_excused_by_that_source_alone():
    """An exposure time that was there before is no Patient ID; that one source held it proves nothing of the next."""
    who = replace(P, number="1234")
    witness = _witness()

    def times(source: bytes, result: bytes, *, marked: bool) -> dict[str, Callable[[Rows], None]]:
        def change(rows: Rows) -> None:
            rows[0x00181151] = "IS", result
            if marked:
                rows[0x00181030] = "LO", b"Thorax"

        return {"spoil": change, "spoil_source": _set(0x00181151, source)}

    for number in range(2001, 2020):
        early = number < 2010
        value = b"%d" % (number * 3) if early else b"1234"
        assert witness.judge(*slice_pair(number, who, **times(value, value, marked=not early)), "x").clean
    pair = slice_pair(2020, who, **times(b"1235", b"1234", marked=True))
    verdict = witness.judge(*pair, "x")
    assert [(finding.position, finding.identifier_class) for finding in verdict.findings] == [("00181151", "id")]
    assert verdict == _witness().judge(*pair, "x")


def test_series_with_kept_identifiers_are_recognised():
    rules = {"keep": {"00081010": ["id"], "00080080": ["organisation"]}}
    witness = _witness(**rules)

    def kept(rows: Rows) -> None:
        rows[0x00081010], rows[0x00080080] = ("SH", P.station.encode()), ("LO", P.institution.encode())

    for number in range(2001, 2020):
        pair = slice_pair(number, spoil=kept)
        assert witness._series.look(*pair).clean == (number > 2003)
        assert witness.judge(*pair, "x").clean


def test_compressed_slices_are_recognised_and_their_frames_compared():
    witness = _witness()

    def coded(frame: bytes, tail: bytes = b"") -> Callable[[Rows], None]:
        def change(rows: Rows) -> None:
            rows.update(run_length_coded(frame))
            if tail:
                items = rows[0x7FE00010][1]
                rows[0x7FE00010] = (
                    "OB",
                    items[:12] + (100 + len(tail)).to_bytes(4, "little") + items[16:-8] + tail + items[-8:],
                )

        return change

    for number in range(2001, 2020):
        frame = bytes((number + n) % 16 for n in range(32))
        pair = slice_pair(number, spoil=coded(frame), spoil_source=coded(frame))
        assert witness._series.look(*pair).clean == (number > 2003)
        assert witness.judge(*pair, "x").clean
    for spoiled, kind in (
        (coded(frame[:31] + b"\x0f"), "differ"),
        (coded(frame, b"4471093 "), "after-codestream"),
        (coded(frame, bytes(8)), None),
    ):
        pair = slice_pair(2020, spoil=spoiled, spoil_source=coded(frame))
        verdict = witness.judge(*pair, "x")
        assert verdict == _witness().judge(*pair, "x")
        assert (kind is None) == verdict.clean
        assert kind is None or kind in {finding.identifier_class for finding in verdict.findings}
    masked = witness.judge(*pair, "x", (Mask(-1, 0, 0, 1, 1),))
    assert [finding.identifier_class for finding in masked.findings] == ["masked-codestream"]


def test_masks_are_not_remembered(thousand):
    pair = slice_pair(3000, spoil=_set(0x7FE00010, bytes(32)))
    assert thousand.judge(*pair, "x", (Mask(-1, 0, 0, 4, 4),)).clean
    assert not thousand.judge(*pair, "x").clean


def test_limits_hold_for_slices_that_are_recognised():
    pair = slice_pair(40)
    size = len(pair[1])
    for limits in (Limits(max_object_bytes=size - 1), Limits(max_header_bytes=size - 33)):
        witness = _witness(limits)
        for number in range(30, 40):
            witness.judge(*slice_pair(number), "x")
        assert not witness.judge(*pair, "x").clean


# --- memoised and fresh witnesses agree --------------------------------------------------------------------------

HIDDEN = [
    P.name.encode(), b"KOWALCZYK", b"kowalczyk^jadwiga", b"Jadwiga Kowalczyk", b"JKowalczyk", P.number.encode(), b"4471093",
    P.birth.encode(), b"1953-04-17", b"17 avr 1953", P.study_date.encode(), P.accession.encode(), P.study_id.encode(),
    b"Okonjo", P.institution.encode(), P.station.encode(), P.serial.encode(), f"{STEM}.2".encode(), f"{STEM}.1.2033".encode(),
    f"{STEM}.1.2032".encode(), "Kowalczyk".encode("utf-16-le"),
    "Kowalczyk".encode("utf-16-be"), base64.b64encode(b"Kowalczyk Jadwiga"), b"K\xc3\xb3walczyk", b"\x1b(Jx", b"",
    b"Tremblay^Odile", b"SLICE", b"2.25.7", b"\xfe\xff\x00\xe0", b"12345678", b"2011", b"YES",
]  # fmt: skip
TAGS = sorted(
    {0x00080008, 0x00080018, 0x00080020, 0x0008002A, 0x00080030, 0x00080033, 0x00080050, 0x00080060, 0x00080070,
     0x00080090, 0x0008103E, 0x00081140, 0x00082112, 0x00100010, 0x00100020, 0x00100030, 0x00120062, 0x00120063,
     0x00180050, 0x00181151, 0x0019100A, 0x00190010, 0x0020000D, 0x0020000E, 0x00200010, 0x00200013, 0x00200032,
     0x00204000, 0x00280010, 0x00280101, 0x00280103, 0x00280107, 0x7FE00010, 0x00080005, 0x00081070, 0x00280106,
     0xFFFCFFFC, 0x00190011, 0x0019110A, 0x60003000, 0x00420011, 0x00091001}
)  # fmt: skip


@st.composite
def changes(draw: st.DrawFn) -> Callable[[Rows], None]:
    """A few elements set, lengthened, emptied, dropped or added."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(TAGS), st.sampled_from(HIDDEN), st.sampled_from(["set", "before", "after", "drop", "inside"]),
                st.sampled_from(["LO", "UI", "OB", "UN", "DA", "LT", "IS", "SQ"]),
            ),
            max_size=3,
        )
    )  # fmt: skip

    def spoil(rows: Rows) -> None:
        for tag, value, how, vr in steps:
            vr_now, now = rows.get(tag, (vr, b""))
            if how == "drop":
                rows.pop(tag, None)
            elif vr_now == "SQ":
                rows[tag] = (
                    vr_now,
                    sequence({0x00081155: ("UI", value), 0x00204000: ("LT", value)}, undefined=len(value) % 4 < 2),
                )
            else:
                half = len(now) // 2
                rows[tag] = vr_now, {
                    "set": value, "before": value + now, "after": now + value, "inside": now[:half] + value + now[half:],
                }[how]  # fmt: skip
        if 0x00080018 not in rows:
            rows[0x00080018] = "UI", b""

    return spoil


WARM = {
    "usual": (_warm(), {}),
    "kept": (
        _warm(dates="kept", keep={"00081010": ["*"], "00204000": ["*"], "0020000E": ["uid"]}),
        {"dates": "kept", "keep": {"00081010": ["*"], "00204000": ["*"], "0020000E": ["uid"]}},
    ),
    "uids": (_warm(uids="kept"), {"uids": "kept"}),
}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(WARM)), st.integers(2020, 2060), changes(), changes(), st.booleans())
def test_a_witness_with_a_memory_says_what_a_fresh_one_says(name, number, spoil, spoil_source, both):
    warm, rules = WARM[name]
    pair = slice_pair(number, spoil=spoil, spoil_source=spoil_source if both else None)
    assert warm.judge(*pair, "x") == _witness(**rules).judge(*pair, "x")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(WARM)), st.integers(2020, 2060), st.booleans(), st.data(),
    st.sampled_from([b"", b"\0", b"\x01", b"\xff", b" ", *HIDDEN]),
)  # fmt: skip
def test_bytes_put_anywhere_are_judged_as_by_a_fresh_witness(name, number, in_source, data, value):
    warm, rules = WARM[name]
    pair = list(slice_pair(number))
    side = int(not in_source)
    at = data.draw(st.integers(0, len(pair[side]) - 1))
    pair[side] = pair[side][:at] + value + pair[side][at + len(value) :]
    assert warm.judge(*pair, "x") == _witness(**rules).judge(*pair, "x")


@settings(max_examples=200, deadline=None)
@given(st.integers(2020, 2060), st.integers(2000, 2060), st.sampled_from(TAGS))
def test_a_value_of_the_source_left_in_place(number, other, tag):
    """Each value of this or of another slice's source, put into the result at its own place."""
    rows: dict[str, Rows] = {}
    slice_pair(other, spoil_source=lambda found: rows.setdefault("source", dict(found)) and None)
    if tag not in rows["source"]:
        return
    pair = slice_pair(number, spoil=_add(tag, *rows["source"][tag]))
    warm, rules = WARM["usual"]
    assert warm.judge(*pair, "x") == _witness(**rules).judge(*pair, "x")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=5_000, deadline=None)
@given(st.sampled_from(sorted(WARM)), st.integers(2020, 2060), changes(), changes(), st.booleans())
def test_a_witness_with_a_memory_says_what_a_fresh_one_says_in_the_long_form(name, number, spoil, spoil_source, both):
    warm, rules = WARM[name]
    pair = slice_pair(number, spoil=spoil, spoil_source=spoil_source if both else None)
    assert warm.judge(*pair, "x") == _witness(**rules).judge(*pair, "x")


# --- patterns -----------------------------------------------------------------------------------------------------

FILES = ["CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "SC_rgb_rle.dcm",
         "rtplan.dcm", "UN_sequence.dcm", "nested_priv_SQ.dcm", "liver_1frame.dcm", "reportsi.dcm", "priv_SQ.dcm",
         "MR_small_bigendian.dcm", "image_dfl.dcm", "emri_small_RLE.dcm"]  # fmt: skip


def _known(buf: bytes, *, strict: bool) -> tuple[Patterns, list[bytes]] | None:
    """Patterns of a file and of variants of it: values changed, none of them longer."""
    patterns = Patterns(DEFAULT_LIMITS, strict=strict)
    try:
        parsed = walk(buf, DEFAULT_LIMITS, strict=strict)
    except (Fault, TarnhelmError):
        return None
    if parsed.deflated or patterns.learn(parsed) is None:
        return None
    rng = random.Random(len(buf))
    variants = [buf]
    rows = [
        row for row in parsed.elements if row[1] in {b"UI", b"IS", b"DS", b"TM", b"LO", b"OB", b"UN"} and row[3] > 1
    ]
    for _ in range(6):
        changed = bytearray(buf)
        for row in rng.sample(rows, min(4, len(rows))):
            at = row[2] + rng.randrange(row[3])
            changed[at] = changed[at] ^ 1
        try:
            patterns.learn(walk(bytes(changed), DEFAULT_LIMITS, strict=strict))
        except Fault:
            continue
        variants.append(bytes(changed))
    return patterns, variants


KNOWN = [
    (name, strict, known)
    for name in FILES
    for strict in (False, True)
    for path in [get_testdata_file(name, download=False)]
    if path and (known := _known(Path(str(path)).read_bytes(), strict=strict))
]
KNOWN += [
    (f"slice {side}", strict, known)
    for side, strict in ((0, False), (1, True))
    if (known := _known(slice_pair(5)[side], strict=strict))
]


def test_patterns_are_learned_of_most_files():
    assert len({name for name, _, _ in KNOWN}) >= 10


def _agrees(patterns: Patterns, buf: bytes, *, strict: bool) -> bool:
    """Tell whether a file fits a pattern; if so it must walk to what the pattern says."""
    match = patterns.find(buf)
    if match is None:
        return False
    parsed = walk(buf, DEFAULT_LIMITS, strict=strict)
    pattern = match.pattern
    assert [(row[0], row[1], row[4]) for row in parsed.elements] == [(row[0], row[1], row[4]) for row in pattern.rows]
    assert parsed.containers == pattern.containers
    assert [(row[2], row[3]) for row in pattern.holes_in(parsed)] == match.spans
    assert (parsed.pixel, parsed.fragments, parsed.syntax) == (
        match.parsed.pixel, match.parsed.fragments, match.parsed.syntax)  # fmt: skip
    assert (parsed.data_start, parsed.little) == (match.parsed.data_start, True)
    holes = pattern.numbers
    for number, row in enumerate(parsed.elements):
        if number not in holes and row[2] + row[3] <= (parsed.pixel or (0, len(buf)))[1]:
            overlaps = any(row[2] <= start < row[2] + row[3] for start, _ in match.spans)
            assert overlaps or pattern.reference(number) == buf[row[2] : row[2] + row[3]]
    assert {row[2:4] for row in parsed.named} >= {match.spans[n] for n in pattern.named}
    assert {row[2:4] for row in parsed.texts} >= {match.spans[n] for n in pattern.texts}
    return True


@settings(max_examples=700, deadline=None)
@given(st.sampled_from(KNOWN), st.data())
def test_a_file_that_fits_a_pattern_walks_to_the_patterns_elements(known, data):
    _, strict, (patterns, variants) = known
    spoiled = bytearray(data.draw(st.sampled_from(variants)))
    limit = min(len(spoiled), 12_000)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, limit - 1))
        spoiled[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"\0", b"\1", b"\2", b"\4", b"A", b"\xfe\xff\x00\xe0", b"1234"])
        )
    _agrees(patterns, bytes(spoiled), strict=strict)


@pytest.mark.parametrize(("side", "strict"), [(0, False), (1, True)])
def test_values_of_any_length_in_the_holes(side, strict):
    patterns = Patterns(DEFAULT_LIMITS, strict=strict)
    for number in range(2001, 2020):
        pattern = patterns.learn(walk(slice_pair(number)[side], DEFAULT_LIMITS, strict=strict))
    buf = slice_pair(2020)[side]
    match = patterns.find(buf)
    assert match is not None
    assert match.pattern is pattern
    fitting = 0
    for hole, (start, length) in zip(pattern.holes, match.spans, strict=True):
        for size in (0, 1, 2, 3, 10, 11, 64, 65, 255, 256, 257, 65534, 65535):
            width = hole.width
            lengths = size.to_bytes(width, "little") if width else buf[start:start]
            changed = buf[: start - width] + lengths + b"1" * size + buf[start + length :]
            assert not _agrees(patterns, changed[: start + size // 2], strict=strict)
            fitting += _agrees(patterns, changed, strict=strict)
    elastic = sum(hole.width > 0 for hole in pattern.holes)
    assert fitting == (5 if strict else 12) * elastic


def test_eighteen_series_that_come_in_by_turns_are_all_known_and_each_is_tried_first(monkeypatch):
    witness = _witness()
    people = [(person(number), _set(0x0020000E, b"2.25.5500%02d" % number)) for number in range(18)]
    for number in range(2001, 2007):
        for who, series in people:
            assert witness.judge(*slice_pair(number, who, series), "x").clean
    tried, match = [], Pattern.match
    monkeypatch.setattr(Pattern, "match", lambda *given, **named: tried.append(1) or match(*given, **named))
    for who, series in people:
        assert witness._series.look(*slice_pair(2007, who, series)).clean
    assert len(tried) == 2 * len(people)


@pytest.mark.parametrize(("side", "strict"), [(0, False), (1, True)])
def test_what_names_another_series_is_fitted_to_its_own_pattern(side, strict):
    patterns = Patterns(DEFAULT_LIMITS, strict=strict)
    mine, others = [slice_pair(number)[side] for number in range(3)], [slice_pair(3, person(7))[side]]
    for buf in (*mine, *others):
        patterns.learn(walk(buf, DEFAULT_LIMITS, strict=strict))
    (other,) = patterns._last[:1]
    hint = _hint(slice_pair(5)[side])
    patterns._of_series[hint] = other
    found = patterns.find(slice_pair(5)[side])
    assert found is not None
    assert found.pattern is not other[1]
    assert patterns._of_series[hint][1] is found.pattern
    patterns.learn(walk(slice_pair(4, person(9))[side], DEFAULT_LIMITS, strict=strict))
    assert not patterns._of_series, "it keeps no pattern that is gone"
    for buf in (b"", bytes(200), b"\x20\x00\x0e\x00", b"\x20\x00\x0e\x00UI\x40\x001.2"):
        assert patterns.find(buf) is None


def test_patterns_are_bounded_in_number_and_in_bytes():
    patterns = Patterns(DEFAULT_LIMITS, strict=True, size=5, max_bytes=40_000)
    for number in range(60):
        _, result = slice_pair(3, spoil=_set(0x00100020, b"ID%05d" % number))
        patterns.learn(walk(result, DEFAULT_LIMITS, strict=True))
        assert len(patterns._known) <= 5
        assert patterns._held == sum(one.bytes for one in patterns._known.values())
    large = slice_pair(3, spoil=_add(0x00204000, "UT", b"x" * 30_000))[1]
    patterns.learn(walk(large, DEFAULT_LIMITS, strict=True))
    assert len(patterns._known) == 1
    huge = slice_pair(3, spoil=_add(0x00204000, "UT", b"x" * 300_000))[1]
    assert patterns.learn(walk(huge, DEFAULT_LIMITS, strict=True)) is None


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def _memory_is_flat(files: int, slices: int) -> None:
    witness, early = _witness(), 0
    for number in range(files):
        pair = slice_pair(number % slices, person(number // slices))
        assert witness.judge(*pair, "x").clean
        if number == files // 4:
            early = _resident()
    assert _resident() - early < 6 << 20


def test_memory_stays_flat_over_many_patients():
    _memory_is_flat(1200, 8)


@pytest.mark.slow
def test_memory_stays_flat_over_ten_thousand_files():
    _memory_is_flat(10_000, 20)
    _memory_is_flat(10_000, 3)
