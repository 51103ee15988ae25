"""What an object is named by, and when its bytes need no second hash."""

from __future__ import annotations

import hashlib

import pytest

from tarnhelm.gateway.part10 import file_head
from tarnhelm.gateway.stream.content import Content

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAX = "1.2.840.10008.1.2.1"
DATA_SET = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192" + b"\x08\x00\x60\x00CS\x02\x00CT" + bytes(range(256)) * 1000
USUAL = file_head(CT, "1.2.3", SYNTAX)
ANOTHER = USUAL[:128].replace(b"\0", b"x") + USUAL[128:]
"""A sender's own preamble before the same file meta."""
MIB = 1 << 20


def taken(folder, *pieces, memory=MIB):
    """Digest, bytes and known sha256 of what comes in these pieces."""
    content = Content(folder, memory)
    try:
        for piece in pieces:
            content.write(piece)
        return content.finish(), b"".join([*content.in_scratch(), content.in_memory]), content.known_sha256
    finally:
        content.close()


def cut(data, size):
    return [memoryview(data)[at : at + size] for at in range(0, len(data), size)]


def test_the_head_is_a_part_of_what_an_object_is_named_by_and_never_changes():
    """Another implementation version in it would make every object that is sent again a new one."""
    digest = hashlib.sha256(file_head(CT, "1.2.3", SYNTAX)).hexdigest()
    assert digest == "9e2d8c80f541b7e4f7108dbe153c8ba32f38ed6ec6fe7c032e9550dacc3046aa"


def test_what_came_by_the_dicom_door_is_named_by_all_its_bytes(tmp_path):
    digest, whole, known = taken(tmp_path, USUAL, DATA_SET)
    assert whole == USUAL + DATA_SET
    assert digest == known == hashlib.sha256(whole).digest()


def test_the_same_object_with_another_head_is_the_same_and_its_bytes_are_hashed_again(tmp_path):
    digest, whole, known = taken(tmp_path, ANOTHER + DATA_SET)
    assert whole == ANOTHER + DATA_SET
    assert digest == taken(tmp_path, USUAL, DATA_SET)[0]
    assert known == b""


def test_another_instance_class_or_syntax_is_another_object(tmp_path):
    heads = [
        USUAL,
        file_head(CT, "1.2.4", SYNTAX),
        file_head(CT + ".1", "1.2.3", SYNTAX),
        file_head(CT, "1.2.3", "1.2"),
    ]
    assert len({taken(tmp_path, head, DATA_SET)[0] for head in heads}) == 4


def test_what_is_no_dicom_file_is_named_by_all_its_bytes(tmp_path):
    digest, whole, known = taken(tmp_path, b"NIfTI or anything")
    assert digest == known == hashlib.sha256(whole).digest()


@pytest.mark.parametrize("head", [USUAL, ANOTHER])
@pytest.mark.parametrize("size", [1, 7, 499, 65_536])
def test_pieces_of_any_length_make_the_same(tmp_path, head, size):
    data = head + DATA_SET[:70_000]
    assert taken(tmp_path, *cut(data, size)) == taken(tmp_path, data)


def test_what_lay_in_the_scratch_is_hashed_again(tmp_path):
    digest, whole, known = taken(tmp_path, USUAL, DATA_SET, memory=100_000)
    assert whole == USUAL + DATA_SET
    assert digest == taken(tmp_path, USUAL, DATA_SET)[0]
    assert known == b""


def test_what_is_held_is_counted_however_it_is_cut(tmp_path):
    content = Content(tmp_path, 1000)
    for _ in range(1000):
        content.write(b"x")
    assert content.held == 1000
    content.write(b"x")
    assert content.held == 0
    content.close()
