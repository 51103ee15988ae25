"""Names, contexts and batches of the Transit vault, without a server."""

from __future__ import annotations

import base64
import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.linkage.vaults.transit_names import (
    cipher_version,
    destroyed_mark,
    is_root_key,
    root_key,
    seal_context,
    seal_key,
)
from tarnhelm.linkage.vaults.transit_wire import LARGEST_BATCH, LARGEST_BODY, batches

IDS = st.text("0123456789abcdef", min_size=1, max_size=64)


def test_the_names_are_those_of_the_policies():
    assert root_key("ab12", 3) == "tarnhelm-root-ab12-3"
    assert seal_key("ab12") == "tarnhelm-seal-ab12"
    assert destroyed_mark("ab12") == "tarnhelm-root-ab12-destroyed"


def test_a_context_is_the_digest_of_the_place_and_the_project():
    wanted = hashlib.sha256(b"subject\x00A-1").digest() + b"ab12"
    assert base64.b64decode(seal_context("ab12", b"subject\x00A-1")) == wanted


@given(IDS, IDS, st.integers(1, 999))
def test_a_root_key_belongs_to_one_project(one, other, epoch):
    assert is_root_key(root_key(one, epoch), one)
    assert is_root_key(root_key(one, epoch), other) is (one == other)
    assert not is_root_key(destroyed_mark(one), one)
    assert not is_root_key(seal_key(one), one)


@pytest.mark.parametrize("name", ["", "a-b", "a/b", "..", "é", "x" * 65, "a\n", "a%2f"])
def test_a_name_that_could_point_elsewhere_is_refused(name):
    for make in (
        seal_key,
        destroyed_mark,
        lambda project: root_key(project, 1),
        lambda project: seal_context(project, b""),
    ):
        with pytest.raises(TarnhelmError) as caught:
            make(name)
        assert caught.value.code == "LNK-005"


@pytest.mark.parametrize(
    ("sealed", "version"),
    [
        (b"vault:v1:YWJj", 1),
        (b"vault:v12:YWI=", 12),
        (b"vault:v0:YWJj", 0),
        (b"vault:v1:", 0),
        (b"vault:v1:YWJj\n", 0),
        (b"vault:v1:YW Jj", 0),
        (b"TSR1" + bytes(90), 0),
        (b"", 0),
    ],
)
def test_a_ciphertext_tells_its_version(sealed, version):
    assert cipher_version(sealed) == version


@given(st.lists(st.integers(0, LARGEST_BODY * 2) | st.integers(0, 500), max_size=700))
def test_batches_are_the_list_in_pieces_that_the_server_takes(sizes):
    pieces = [list(piece) for piece in batches(list(enumerate(sizes)), sizes)]
    assert [entry for piece in pieces for entry in piece] == list(enumerate(sizes))
    for piece in pieces:
        assert 1 <= len(piece) <= LARGEST_BATCH
        assert len(piece) == 1 or sum(size for _, size in piece) <= LARGEST_BODY
    # None is cut without need.
    for piece, following in itertools.pairwise(pieces):
        total = sum(size for _, size in piece) + following[0][1]
        assert len(piece) == LARGEST_BATCH or total > LARGEST_BODY
