"""The element walker reads what the standard allows and refuses, with a code, what it does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.common.dicom.header import Element, Encoding, KeyTable, NeedMore, Walker, read_start
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits

LITTLE = Encoding.EXPLICIT_LITTLE
SYNTAXES = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"})


def short(tag, vr, value, order="little"):
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    return head + vr.encode() + len(value).to_bytes(2, order) + value


def long(tag, vr, value, length=None, order="little"):
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    return head + vr.encode() + b"\0\0" + (len(value) if length is None else length).to_bytes(4, order) + value


def implicit(tag, value, length=None):
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return head + (len(value) if length is None else length).to_bytes(4, "little") + value


def item(content, *, undefined=False):
    if undefined:
        return b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0\0\0\0\0"
    return b"\xfe\xff\x00\xe0" + len(content).to_bytes(4, "little") + content


END = b"\xfe\xff\xdd\xe0\0\0\0\0"
UNDEFINED = 0xFFFFFFFF


class Dictionary(KeyTable):
    """A table that knows one sequence, for implicit VR."""

    def vr_of(self, tag):
        return "SQ" if tag == 0x00081140 else "LO"

    def nested(self, _tag, encoding):
        return self if encoding is self.encoding else Dictionary(encoding)


def walk(data, encoding=LITTLE, limits=None, total=None):
    walker = Walker(data, total, limits or Limits())
    return walker.walk(0, len(data) if total is None else total, Dictionary(encoding))


def shape(elements: list[Element]):
    return [
        (e.entry.tag, e.value_end - e.value) if e.items is None else (e.entry.tag, [shape(i.elements) for i in e.items])
        for e in elements
    ]


NAME = short(0x00100010, "PN", b"A^B ")

GOOD = [
    # (what, bytes, encoding, shape)
    ("two short elements", NAME + short(0x00100020, "LO", b"12"), LITTLE, [(0x00100010, 4), (0x00100020, 2)]),
    ("an empty value", short(0x00100010, "PN", b""), LITTLE, [(0x00100010, 0)]),
    ("a long VR", long(0x00081190, "UR", b"x:y "), LITTLE, [(0x00081190, 4)]),
    ("a sequence of defined length", long(0x00081140, "SQ", item(NAME)), LITTLE, [(0x00081140, [[(0x00100010, 4)]])]),
    ("a sequence of undefined length", long(0x00081140, "SQ", item(NAME, undefined=True) + END, UNDEFINED), LITTLE, [(0x00081140, [[(0x00100010, 4)]])]),
    ("an empty sequence", long(0x00081140, "SQ", b""), LITTLE, [(0x00081140, [])]),
    ("an empty item", long(0x00081140, "SQ", item(b"")), LITTLE, [(0x00081140, [[]])]),
    ("UN of undefined length is implicit inside (CP-246)", long(0x00091001, "UN", item(implicit(0x00100010, b"A^")) + END, UNDEFINED), LITTLE, [(0x00091001, [[(0x00100010, 2)]])]),
    ("UN of defined length is opaque", long(0x00091001, "UN", b"1234"), LITTLE, [(0x00091001, 4)]),
    ("implicit VR", implicit(0x00100010, b"A^B "), Encoding.IMPLICIT_LITTLE, [(0x00100010, 4)]),
    ("an implicit sequence by the dictionary", implicit(0x00081140, item(implicit(0x00100010, b"A^"))), Encoding.IMPLICIT_LITTLE, [(0x00081140, [[(0x00100010, 2)]])]),
    ("an implicit sequence by its undefined length", implicit(0x00091001, item(implicit(0x00100010, b"A^")) + END, UNDEFINED), Encoding.IMPLICIT_LITTLE, [(0x00091001, [[(0x00100010, 2)]])]),
    ("big endian", short(0x00100010, "PN", b"A^B ", "big"), Encoding.EXPLICIT_BIG, [(0x00100010, 4)]),
    ("fragments", long(0x7FE00010, "OB", item(b"") + item(b"\xff\xd8\xff\xd9") + END, UNDEFINED), LITTLE, [(0x7FE00010, 20)]),
    ("elements after the pixels", long(0x7FE00010, "OW", b"1234") + long(0xFFFCFFFC, "OB", b"00"), LITTLE, [(0x7FE00010, 4), (0xFFFCFFFC, 2)]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "encoding", "expected"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_what_the_standard_allows_is_read(data, encoding, expected):
    assert shape(walk(data, encoding)) == expected


BAD = [
    # (what, bytes, encoding, code)
    ("a value longer than the file", NAME[:-2], LITTLE, "DCM-003"),
    ("a cut header", NAME + b"\x10\0", LITTLE, "DCM-003"),
    ("a cut long header", long(0x00081190, "UR", b"")[:-2], LITTLE, "DCM-003"),
    ("tags out of order", short(0x00100020, "LO", b"12") + NAME, LITTLE, "DCM-006"),
    ("a tag twice", NAME + NAME, LITTLE, "DCM-006"),
    ("no VR", b"\x10\0\x10\0zz\x02\0AB", LITTLE, "DCM-005"),
    ("blanks for a VR", b"\x10\0\x10\0  \x02\0AB", LITTLE, "DCM-005"),
    ("an item longer than its sequence", long(0x00081140, "SQ", b"\xfe\xff\x00\xe0\x40\0\0\0" + NAME), LITTLE, "DCM-004"),
    ("an element longer than its item", long(0x00081140, "SQ", item(NAME[:6] + b"\x40\0AB")), LITTLE, "DCM-004"),
    ("no items in a sequence", long(0x00081140, "SQ", NAME), LITTLE, "DCM-007"),
    ("a sequence without its delimiter", long(0x00081140, "SQ", item(NAME), UNDEFINED), LITTLE, "DCM-003"),
    ("an item without its delimiter", long(0x00081140, "SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + NAME, UNDEFINED), LITTLE, "DCM-003"),
    ("a delimiter with content", long(0x00081140, "SQ", item(NAME) + END[:-4] + b"\x02\0\0\0AB", UNDEFINED), LITTLE, "DCM-007"),
    ("undefined length where none may be", long(0x00081190, "UR", b"x:y ", UNDEFINED), LITTLE, "DCM-004"),
    ("fragments that are no items", long(0x7FE00010, "OB", b"12345678" + END, UNDEFINED), LITTLE, "DCM-010"),
    ("fragments without their delimiter", long(0x7FE00010, "OB", item(b"12"), UNDEFINED), LITTLE, "DCM-003"),
    ("encapsulated pixels in big endian", long(0x7FE00010, "OB", item(b"12") + END, UNDEFINED, "big"), Encoding.EXPLICIT_BIG, "DCM-010"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "encoding", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_it_forbids_has_a_code(data, encoding, code):
    with pytest.raises(TarnhelmError) as caught:
        walk(data, encoding)
    assert caught.value.code == code


def nested(depth):
    data = b""
    for _ in range(depth):
        data = long(0x00081140, "SQ", item(data))
    return data


def test_nesting_is_bounded():
    assert walk(nested(8), limits=Limits(max_depth=8))
    with pytest.raises(TarnhelmError) as caught:
        walk(nested(9), limits=Limits(max_depth=8))
    assert caught.value.code == "LIM-002"


def test_eight_kilobytes_of_nesting_do_not_exhaust_the_stack():
    with pytest.raises(TarnhelmError) as caught:
        walk(
            long(0x00081140, "SQ", b"", UNDEFINED) + item(long(0x00081140, "SQ", b"", UNDEFINED), undefined=True) * 400
        )
    assert caught.value.code in {"DCM-003", "DCM-007", "LIM-002"}


@pytest.mark.parametrize("encoding", list(Encoding))
def test_the_number_of_elements_is_bounded_over_all_levels(encoding):
    order = "big" if encoding is Encoding.EXPLICIT_BIG else "little"
    many = b"".join(
        implicit(0x00100010 + n, b"")
        if encoding is Encoding.IMPLICIT_LITTLE
        else short(0x00100010 + n, "LO", b"", order)
        for n in range(20)
    )
    assert len(walk(many, encoding, Limits(max_elements=20))) == 20
    with pytest.raises(TarnhelmError) as caught:
        walk(many, encoding, Limits(max_elements=19))
    assert caught.value.code == "LIM-003"


def test_items_count_as_elements():
    many = long(0x00081140, "SQ", item(b"") * 50)
    with pytest.raises(TarnhelmError) as caught:
        walk(many, limits=Limits(max_elements=20))
    assert caught.value.code == "LIM-003"


def test_fragments_are_bounded():
    many = long(0x7FE00010, "OB", item(b"") * 30 + END, UNDEFINED)
    with pytest.raises(TarnhelmError) as caught:
        walk(many, limits=Limits(max_frames=20))
    assert caught.value.code == "LIM-009"


def test_native_pixels_may_reach_beyond_the_head_and_nothing_else_may():
    head = NAME + long(0x7FE00010, "OW", b"", 1000)
    (_, pixels) = walk(head, total=len(head) + 1000)
    assert pixels.end == len(head) + 1000
    with pytest.raises(NeedMore):
        walk(NAME[:-2], total=100)
    with pytest.raises(NeedMore):
        walk(head + b"\0" * 10, total=len(head) + 1100)


def test_a_known_sequence_in_un_is_opened_and_other_bytes_are_not():
    data = long(0x00081140, "UN", item(implicit(0x00100010, b"A^")))
    table = Dictionary(LITTLE)
    walker = Walker(data)
    (element,) = walker.walk(0, len(data), table)
    (found,) = walker.unknown_items(element, table, 0)
    assert shape(found.elements) == [(0x00100010, 2)]
    other = long(0x00081140, "UN", b"JUST TEXT ")
    walker = Walker(other)
    (element,) = walker.walk(0, len(other), table)
    assert walker.unknown_items(element, table, 0) is None


def test_a_table_stops_growing():
    table = KeyTable(LITTLE)
    object.__setattr__(table, "most_keys", 5)
    for number in range(20):
        data = short(0x00100010 + number, "LO", b"")
        Walker(data).walk(0, len(data), table)
    assert len(table) == 5


@given(st.binary(max_size=400), st.sampled_from(list(Encoding)))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused(data, encoding):
    try:
        elements = walk(data, encoding)
    except TarnhelmError:
        return
    at = 0
    for element in elements:
        assert element.start == at
        assert element.start < element.value <= element.value_end <= element.end
        at = element.end
    assert at == len(data)


# --- the start of a file ------------------------------------------------------------------------------------


def meta(syntax="1.2.840.10008.1.2.1", sop_class="1.2.840.10008.5.1.4.1.1.2"):
    return short(0x00020002, "UI", sop_class.encode()) + short(0x00020010, "UI", syntax.encode())


def test_preamble_and_meta_are_found():
    start = read_start(b"\0" * 128 + b"DICM" + meta() + NAME, SYNTAXES)
    assert (start.syntax, start.encoding, start.preamble) == ("1.2.840.10008.1.2.1", LITTLE, True)
    assert start.dataset == 132 + len(meta())


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (short(0x00080005, "CS", b"ISO_IR 100") + NAME, LITTLE),  # neither preamble nor meta
        (implicit(0x00080005, b"ISO_IR 100") + implicit(0x00100010, b"A^"), Encoding.IMPLICIT_LITTLE),
        (short(0x00080005, "CS", b"ISO_IR 100", "big") + NAME, Encoding.EXPLICIT_BIG),
        (meta() + NAME, LITTLE),  # meta without preamble
        (b"\0" * 128 + b"DICM" + NAME, LITTLE),  # preamble without meta
        (b"DICM" + meta() + NAME, LITTLE),  # the prefix alone
    ],
)
def test_files_without_preamble_or_meta_are_understood_by_their_first_element(data, encoding):
    assert read_start(data, SYNTAXES).encoding is encoding


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "DCM-001"),
        (b"hello, this is a text file", "DCM-001"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 200, "DCM-001"),
        (b"PK\x03\x04" + b"\0" * 200, "DCM-001"),
        (b"\0" * 128 + b"DICM" + meta(syntax="1.2.3"), "DCM-008"),
        (b"\0" * 128 + b"DICM" + meta(sop_class="1.2.840.10008.1.3.10"), "DCM-002"),  # DICOMDIR
        (b"\0" * 128 + b"DICM" + meta()[:-3], "DCM-009"),
        (b"\0" * 128 + b"DICM" + b"\x02\0\x10\0\0\0\0\0", "DCM-009"),
        (b"\0" * 128 + b"DICM", "DCM-009"),
    ],
)
def test_other_files_have_a_code(data, code):
    with pytest.raises(TarnhelmError) as caught:
        read_start(data, SYNTAXES)
    assert caught.value.code == code


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_start_of_a_file_raises_anything_else(tail):
    for data in (tail, b"\0" * 128 + b"DICM" + tail, b"\0" * 128 + b"DICM" + meta() + tail):
        try:
            read_start(data, SYNTAXES)
        except TarnhelmError:
            continue
