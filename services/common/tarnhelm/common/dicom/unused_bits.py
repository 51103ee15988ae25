"""Clears the bits of a pixel cell that hold no pixel: a hidden plane may stand there (DICOM PS3.5 8.1.1).

Old overlays lived in the unused high bits, and anything else can. The usual image has nothing there, so the
check costs one or two passes at memory speed and touches no byte.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tarnhelm.common.errors import BAD_PIXEL_HEADER, PIXEL_LENGTH, TarnhelmError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tarnhelm.common.dicom.frames import Buffer

__all__ = ["clear_unused_bits"]

_WIDTHS: Final = (8, 16, 32, 64)
_NATIVE_IS_BIG: Final = sys.byteorder == "big"


def clear_unused_bits(
    pixels: Buffer,
    bits_allocated: int,
    bits_stored: int,
    high_bit: int,
    pixel_representation: int,
    samples: int = 1,
    *,
    big_endian: bool = False,
) -> bytes | None:
    """Give native pixel data with all unused bits cleared, or None if there is nothing to clear.

    In signed data the bits above the sign may repeat it. Where *all* pixels do, or where all have zeros
    there, nothing is hidden and nothing is changed; a mixture of both, or anything else, is rewritten as
    repeated sign bits. Stored values never change.

    Parameters
    ----------
    pixels
        The value of native Pixel Data, perhaps with one byte of padding.
    bits_allocated, bits_stored, high_bit, pixel_representation, samples
        (0028,0100), (0028,0101), (0028,0102), (0028,0103), (0028,0002).
    big_endian
        The transfer syntax is Explicit VR Big Endian.

    Raises
    ------
    TarnhelmError
        ``BAD_PIXEL_HEADER`` where the bits contradict each other; ``PIXEL_LENGTH`` where cells are cut.
    """
    consistent = 1 <= bits_stored <= high_bit + 1 <= bits_allocated and samples >= 1
    if not consistent:
        raise TarnhelmError(BAD_PIXEL_HEADER)
    if bits_stored == bits_allocated:
        return None
    if bits_allocated not in _WIDTHS:
        raise TarnhelmError(BAD_PIXEL_HEADER)
    size = bits_allocated // 8
    count, rest = divmod(len(pixels), size)
    if rest > 1 or (rest and size > 1):
        raise TarnhelmError(PIXEL_LENGTH, seen=len(pixels), wanted=count * size)
    if not count:
        return None
    swapped = size > 1 and big_endian != _NATIVE_IS_BIG
    cells: NDArray[Any] = np.frombuffer(pixels, f"u{size}", count)
    low = high_bit + 1 - bits_stored
    used = ((1 << bits_stored) - 1) << low
    if not pixel_representation:
        return _clear_unsigned(cells, used, pixels, swapped=swapped)
    values = cells.byteswap() if swapped else cells
    cleared = _clear_signed(values, bits_allocated, bits_stored, low)
    if cleared is None:
        return None
    return (cleared.byteswap() if swapped else cleared).tobytes() + bytes(pixels[count * size :])


def _clear_unsigned(cells: NDArray[Any], used: int, pixels: Buffer, *, swapped: bool) -> bytes | None:
    size = cells.itemsize
    mask = int.from_bytes(used.to_bytes(size, "big"), "little") if swapped else used
    # An OR over all cells shows whether any has a bit outside the mask; eight bytes at a time where they fit.
    wide = 8 // size
    whole = len(cells) - len(cells) % wide
    seen = 0
    if whole:
        union = int(np.bitwise_or.reduce(cells[:whole].view("u8")))
        for _ in range(wide):
            seen |= union & ((1 << 8 * size) - 1)
            union >>= 8 * size
    for cell in cells[whole:]:
        seen |= int(cell)
    if not seen & ~mask:
        return None
    cleared: NDArray[Any] = cells & cells.dtype.type(mask)
    return cleared.tobytes() + bytes(pixels[len(cells) * size :])


def _clear_signed(cells: NDArray[Any], allocated: int, stored: int, low: int) -> NDArray[Any] | None:
    size = allocated // 8
    signed = cells.view(f"i{size}")
    bound = 1 << (stored - 1)
    if low == 0:
        largest = int(signed.max())
        smallest = int(signed.min())
        sign_extended = -bound <= smallest and largest < bound
        zero_extended = smallest >= 0 and largest < 2 * bound
        if sign_extended or zero_extended:
            return None
    above = allocated - stored - low
    extended: NDArray[Any] = ((signed << above) >> (above + low)) << low
    if low and above == 0 and np.array_equal(extended, signed):
        return None
    if low and above:
        zeroed = cells & cells.dtype.type(((1 << stored) - 1) << low)
        if np.array_equal(extended, signed) or np.array_equal(zeroed, cells):
            return None
    return extended
