from __future__ import annotations

import timeit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarnhelm.common.dicom.unused_bits import clear_unused_bits
from tarnhelm.common.errors import BAD_PIXEL_HEADER, PIXEL_LENGTH, TarnhelmError


def stored(values: np.ndarray, bits: int, high: int, *, signed: bool) -> np.ndarray:
    """The pixel values a reader takes out of cells."""
    cells = values.astype("i8") >> (high + 1 - bits) & ((1 << bits) - 1)
    return np.where(cells >= 1 << (bits - 1), cells - (1 << bits), cells) if signed else cells


CELLS = [
    # allocated, stored, high bit
    (16, 12, 11),  # the usual CT
    (16, 12, 15),  # left-aligned
    (16, 10, 12),  # unused on both sides
    (8, 7, 6),
    (32, 24, 23),
]


@pytest.mark.parametrize(("allocated", "bits", "high"), CELLS)
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("big", [False, True])
@settings(deadline=None)
@given(data=st.data())
def test_stored_values_survive_and_unused_bits_do_not(allocated, bits, high, signed, big, data):
    count = data.draw(st.integers(1, 40))
    kind = np.dtype(f"{'>' if big else '<'}u{allocated // 8}")
    cells = np.array(data.draw(st.lists(st.integers(0, 2**allocated - 1), min_size=count, max_size=count)), kind)
    cleared = clear_unused_bits(cells.tobytes(), allocated, bits, high, signed, big_endian=big)
    after = cells if cleared is None else np.frombuffer(cleared, kind)
    before_values = stored(cells, bits, high, signed=bool(signed))
    assert np.array_equal(stored(after, bits, high, signed=bool(signed)), before_values)
    assert clear_unused_bits(after.tobytes(), allocated, bits, high, signed, big_endian=big) is None
    low = high + 1 - bits
    if low:
        assert not (after.astype("u8") & ((1 << low) - 1)).any()
    if not signed:
        assert not (after.astype("u8") >> (high + 1)).any()


def test_an_old_overlay_in_the_high_bits_is_cleared():
    pixels = np.array([5, 5 | 0x8000, 7 | 0x1000], "<u2")
    assert clear_unused_bits(pixels.tobytes(), 16, 12, 11, 0) == np.array([5, 5, 7], "<u2").tobytes()


def test_sign_extension_of_all_pixels_is_no_hidden_plane():
    pixels = np.array([-1, -2048, 2047, 0], "<i2").tobytes()
    assert clear_unused_bits(pixels, 16, 12, 11, 1) is None


def test_zeros_above_the_sign_of_all_pixels_are_no_hidden_plane():
    pixels = np.array([0x0FFF, 0x0800, 0x07FF], "<u2").tobytes()
    assert clear_unused_bits(pixels, 16, 12, 11, 1) is None


def test_a_plane_hidden_in_the_choice_of_sign_extension_is_cleared():
    pixels = np.array([0xFFFF, 0x0FFF, 0xFFFF], "<u2").tobytes()
    assert clear_unused_bits(pixels, 16, 12, 11, 1) == b"\xff" * 6


def test_padding_byte_stays():
    assert clear_unused_bits(b"\xff\x01\x02\x00", 8, 7, 6, 0) == b"\x7f\x01\x02\x00"


@pytest.mark.parametrize(
    ("allocated", "bits", "high"),
    [(16, 17, 16), (16, 12, 16), (16, 12, 10), (16, 0, 0), (12, 10, 9)],
)
def test_contradicting_bits_are_refused(allocated, bits, high):
    with pytest.raises(TarnhelmError) as caught:
        clear_unused_bits(b"\0" * 8, allocated, bits, high, 0)
    assert caught.value.kind is BAD_PIXEL_HEADER


def test_cut_cells_are_refused():
    with pytest.raises(TarnhelmError) as caught:
        clear_unused_bits(b"\0" * 7, 16, 12, 11, 0)
    assert caught.value.kind is PIXEL_LENGTH


@pytest.mark.parametrize("signed", [0, 1])
def test_the_check_costs_microseconds(signed):
    pixels = np.random.default_rng(1).integers(-1000 * signed, 2000, (512, 512)).astype("<i2").tobytes()
    best = min(timeit.repeat(lambda: clear_unused_bits(pixels, 16, 12, 11, signed), number=20, repeat=9)) / 20
    assert best < 200e-6  # 16 µs on an idle core; the bound leaves room for a busy machine
