"""Every bound in one place: bytes, ratio, depth, elements, frames, seconds.

Measured on hostile files: 261 KB of deflate reach 560 MiB, 2 KB of RLE reach 4.1 GiB, 8 KB of nested
sequences exhaust a recursive parser. A bound that is met quarantines the object; it never trims it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for one object and for the worker that reads it."""

    max_object_bytes: int = 4 * GIB
    max_header_bytes: int = 64 * MIB
    """All elements but pixel data and other bulk values that stream through."""
    max_value_bytes: int = 16 * MIB
    """One value that has to be decoded or rewritten."""
    max_inflated_bytes: int = 512 * MIB
    max_inflate_ratio: int = 200
    max_depth: int = 32
    max_elements: int = 200_000
    max_frames: int = 200_000
    """Frames or fragments of one object."""
    seconds_per_object: float = 60.0
    seconds_per_mebibyte: float = 0.5
    """Added to the deadline for each MiB of the object."""
    worker_memory_bytes: int = 1 * GIB
    """Address space that a worker may add to what it has after start."""
    max_archive_entries: int = 1_000_000
    max_archive_ratio: int = 200

    def deadline_seconds(self, size_bytes: int) -> float:
        """Wall-clock seconds that a worker may spend on an object of ``size_bytes``."""
        return self.seconds_per_object + self.seconds_per_mebibyte * size_bytes / MIB


DEFAULT_LIMITS = Limits()
