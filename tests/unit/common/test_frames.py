from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.common.dicom.frames import ExtendedOffsets, FrameSpan, group_frames, index_fragments
from tarnhelm.common.errors import BAD_FRAGMENTS, TOO_MANY_FRAMES, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits

DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + pack("<I", len(content)) + content


def encapsulate(fragments: list[bytes], table: list[int] | None = None) -> bytes:
    return item(pack(f"<{len(table or [])}I", *(table or []))) + b"".join(map(item, fragments)) + DELIMITER


even_bytes = st.binary(max_size=40).map(lambda b: b + b"\0" * (len(b) % 2))


@settings(deadline=None)
@given(st.lists(even_bytes, max_size=12), st.binary(max_size=9), st.binary(max_size=9))
def test_index_finds_every_fragment_wherever_the_element_stands(fragments, before, after):
    buffer = before + encapsulate(fragments) + after
    index = index_fragments(buffer, len(before), len(buffer), DEFAULT_LIMITS)
    assert [buffer[at : at + size] for at, size in index.fragments] == fragments
    assert buffer[index.end :] == after
    assert index.first == len(before) + 8


@settings(deadline=None)
@given(st.lists(even_bytes, min_size=1, max_size=6), st.data())
def test_a_cut_is_never_taken_for_whole(fragments, data):
    buffer = encapsulate(fragments)
    cut = data.draw(st.integers(0, len(buffer) - 1))
    with pytest.raises(TarnhelmError) as caught:
        index_fragments(buffer[:cut], 0, cut, DEFAULT_LIMITS)
    assert caught.value.kind is BAD_FRAGMENTS


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_an_index_or_a_code(data):
    try:
        index = index_fragments(data, 0, len(data), Limits(max_frames=4))
    except TarnhelmError as error:
        assert error.kind in (BAD_FRAGMENTS, TOO_MANY_FRAMES)  # noqa: PT017 - either outcome is right
    else:
        assert index.end <= len(data)


BAD_ITEMS = [
    b"",  # nothing at all
    DELIMITER,  # no offset table
    item(b"\0\0") + DELIMITER,  # an offset table of half an entry
    item(b"") + item(b"abc") + DELIMITER,  # a fragment of odd length
    item(b"") + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + DELIMITER,  # a fragment of undefined length
    item(b"") + b"\xfe\xff\x00\xe0\x08\x00\x00\x00ab" + DELIMITER,  # a fragment that reaches beyond the buffer
    item(b"") + b"\x08\x00\x05\x00\0\0\0\0" + DELIMITER,  # another element among the fragments
    item(b"") + b"\xfe\xff\xdd\xe0\x02\0\0\0ab",  # a delimiter with a length
]


@pytest.mark.parametrize("data", BAD_ITEMS)
def test_broken_items_are_refused(data):
    with pytest.raises(TarnhelmError) as caught:
        index_fragments(data, 0, len(data), DEFAULT_LIMITS)
    assert caught.value.kind is BAD_FRAGMENTS


def test_end_limit_bounds_the_walk():
    buffer = encapsulate([b"abcd"])
    with pytest.raises(TarnhelmError):
        index_fragments(buffer, 0, len(buffer) - 8, DEFAULT_LIMITS)


@pytest.mark.parametrize("data", [encapsulate([b""] * 6), encapsulate([b""], [0] * 6)])
def test_fragments_and_table_entries_are_bounded(data):
    with pytest.raises(TarnhelmError) as caught:
        index_fragments(data, 0, len(data), Limits(max_frames=5))
    assert caught.value.kind is TOO_MANY_FRAMES


JPEG = b"\xff\xd8\xff\xe0"
GROUPS = [
    # fragments, table, frames, expected
    ([b"aa"], None, 1, [(0, 1)]),  # the usual single frame
    ([b"aa", b"bb", b"cc"], None, 1, [(0, 3)]),  # one frame in three fragments
    ([b"aa", b"bb"], None, 2, [(0, 1), (1, 2)]),  # a fragment a frame
    ([b"aa", b"bb", b"cc"], [0, 20], 2, [(0, 2), (2, 3)]),  # the table tells
    ([JPEG, b"bb", JPEG, b"dd"], None, 2, [(0, 2), (2, 4)]),  # no table: streams begin where they begin
]


@pytest.mark.parametrize(("fragments", "table", "frames", "expected"), GROUPS)
def test_fragments_are_grouped_into_frames(fragments, table, frames, expected):
    buffer = encapsulate(fragments, table)
    index = index_fragments(buffer, 0, len(buffer), DEFAULT_LIMITS)
    assert group_frames(buffer, index, frames) == [FrameSpan(*span) for span in expected]


UNGROUPABLE = [
    ([b"aa"], None, 2),  # fewer fragments than frames
    ([b"aa"], None, 0),  # no frame at all
    ([b"aa", b"bb", b"cc"], None, 2),  # nothing tells where the second begins
    ([b"aa", b"bb"], [0, 8], 2),  # the table points inside a fragment
    ([b"aa", b"bb"], [10, 0], 2),  # the table runs backward
    ([b"aa", b"bb"], [0], 2),  # the table is too short
]


@pytest.mark.parametrize(("fragments", "table", "frames"), UNGROUPABLE)
def test_frames_that_cannot_be_told_apart_are_refused(fragments, table, frames):
    buffer = encapsulate(fragments, table)
    index = index_fragments(buffer, 0, len(buffer), DEFAULT_LIMITS)
    with pytest.raises(TarnhelmError) as caught:
        group_frames(buffer, index, frames)
    assert caught.value.kind is BAD_FRAGMENTS


def test_extended_offset_table_is_checked_against_the_items():
    buffer = encapsulate([b"aabb", b"cc"])
    index = index_fragments(buffer, 0, len(buffer), DEFAULT_LIMITS)
    good = ExtendedOffsets((0, 12), (3, 2))
    assert group_frames(buffer, index, 2, good) == [FrameSpan(0, 1), FrameSpan(1, 2)]
    for wrong in (ExtendedOffsets((0, 11), (3, 2)), ExtendedOffsets((0, 12), (9, 2)), ExtendedOffsets((0,), (3,))):
        with pytest.raises(TarnhelmError):
            group_frames(buffer, index, 2, wrong)
