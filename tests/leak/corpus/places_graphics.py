"""Hiding places in graphics and pixels: overlays, curves, icons, unused bits, segments of compressed frames."""

from __future__ import annotations

import struct

import numpy as np
from tests.leak.corpus.draft import Draft, element, item
from tests.leak.corpus.places_file import place
from tests.leak.corpus.wire import El, Fragments

__all__ = ["WITH_SLACK"]

WITH_SLACK = frozenset({"jpeg", "jpeg-extended", "jpeg-lossless"})
"""Syntaxes whose frames carry bytes behind their end: those of one fragment, which does not cut the string in two."""


@place("overlay")
def overlay(draft: Draft) -> None:
    """Planes of group 60xx: data, label, description, comments (PS3.3 §C.9.2), in the first and a high group."""
    for group in (0x6000, 0x601C):
        base = group << 16
        draft.put(base | 0x0010, (16,), "US")
        draft.put(base | 0x0011, (64,), "US")
        draft.put(base | 0x0022, f"plane of {draft.secret('overlay', 'name')}", "LO")
        draft.put(base | 0x0040, "G", "CS")
        draft.put(base | 0x0050, (1, 1), "SS")
        draft.put(base | 0x0100, (1,), "US")
        draft.put(base | 0x0102, (0,), "US")
        draft.put(base | 0x1500, draft.secret("overlay", "name"), "LO")
        draft.put(
            base | 0x3000,
            draft.secret("overlay", "secret").encode().ljust(128, b"\0"),
            "OW" if group == 0x6000 else "OB",
        )
        draft.put(base | 0x4000, f"text {draft.secret('overlay', 'name')}", "LT")


@place("curve")
def curve(draft: Draft) -> None:
    """Curves of group 50xx, retired, still in archives (PS3.3-2004 §C.10.2)."""
    for group in (0x5000, 0x5002):
        base = group << 16
        draft.put(base | 0x0005, (1,), "US")
        draft.put(base | 0x0010, (4,), "US")
        draft.put(base | 0x0020, "ECG", "CS")
        draft.put(base | 0x0022, f"curve of {draft.secret('curve', 'name')}", "LO")
        draft.put(base | 0x0103, (0,), "US")
        draft.put(base | 0x2500, draft.secret("curve", "name"), "LO")
        draft.put(base | 0x3000, draft.secret("curve", "secret").encode(), "OW")


@place("icon")
def icon(draft: Draft) -> None:
    """An icon is a picture of the picture, with its burned-in text (PS3.3 §C.7.6.1.1.6)."""
    if draft.encapsulated:
        return
    picture = draft.secret("icon", "secret").encode().ljust(64, b"\x55")
    draft.put(
        "IconImageSequence",
        [
            [
                *item(
                    SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", Rows=8, Columns=8, BitsAllocated=8, BitsStored=8,
                    HighBit=7, PixelRepresentation=0,
                ),
                El(0x7FE00010, "OB", picture),
            ]
        ],
    )  # fmt: skip


@place("icon-encapsulated")
def icon_encapsulated(draft: Draft) -> None:
    """An icon with fragments of its own inside a sequence item."""
    if not draft.encapsulated:
        return
    stream = (
        b"\xff\xd8\xff\xfe"
        + struct.pack(">H", 40)
        + draft.secret("icon-encapsulated", "secret").encode().ljust(38)
        + b"\xff\xd9"
    )
    draft.put(
        "IconImageSequence",
        [[element("Rows", 8), element("Columns", 8), El(0x7FE00010, "OB", Fragments((stream,)), undefined=True)]],
    )


@place("unused-bits")
def unused_bits(draft: Draft) -> None:
    """An overlay plane in the high bits that the pixels do not use (retired Overlay Bit Position above 0)."""
    native = (
        not draft.encapsulated
        and draft.elements[0x00280100].value == (16,)
        and draft.elements[0x00280101].value == (12,)
    )
    if not native:
        return
    draft.put(0x60020010, (64,), "US")
    draft.put(0x60020011, (64,), "US")
    draft.put(0x60020040, "G", "CS")
    draft.put(0x60020050, (1, 1), "SS")
    draft.put(0x60020100, (16,), "US")
    draft.put(0x60020102, (12,), "US")
    made = []
    for frame in draft.frames:
        pixels = np.frombuffer(frame, dtype="<u2").copy()
        pixels[5:400:3] |= 0x1000
        pixels[7:300:5] |= 0x8000
        made.append(pixels.tobytes())
    draft.frames = made
    draft.entry.unused_bits = True


def insert_segment(stream: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG segment right after SOI."""
    return stream[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + stream[2:]


@place("jpeg-segments")
def jpeg_segments(draft: Draft) -> None:
    """Comment and application segments of compressed frames: EXIF, XMP, a writer's remark."""
    if draft.entry.syntax not in {"jpeg", "jpeg-extended", "jpeg-lossless", "jpeg-ls", "jpeg-ls-near"}:
        return
    made = []
    for frame in draft.frames:
        comment = f"Patient {draft.secret('jpeg-segments', 'name')}".encode()
        exif = b"Exif\0\0II*\0\x08\0\0\0\0\0" + draft.secret("jpeg-segments", "name").encode()
        vendor = b"ACME\0" + draft.secret("jpeg-segments", "secret").encode()
        stream = insert_segment(frame, 0xFE, comment)
        stream = insert_segment(stream, 0xE1, exif)
        made.append(insert_segment(stream, 0xED, vendor))
    draft.frames = made


@place("j2k-comment")
def j2k_comment(draft: Draft) -> None:
    """The comment segment of a JPEG 2000 main header (ITU-T T.800 §A.9.2)."""
    if draft.entry.syntax not in {"j2k", "j2k-lossless", "htj2k", "htj2k-lossless"}:
        return
    made = []
    for frame in draft.frames:
        text = f"made for {draft.secret('j2k-comment', 'name')}".encode()
        segment = b"\xff\x64" + struct.pack(">HH", len(text) + 4, 1) + text
        at = frame.index(b"\xff\x52")
        made.append(frame[:at] + segment + frame[at:])
    draft.frames = made


@place("after-code-stream")
def after_code_stream(draft: Draft) -> None:
    """Bytes behind the end of a compressed frame, inside its last fragment."""
    if draft.entry.syntax in WITH_SLACK:
        draft.frames = [frame + b"\0\0" + draft.secret("after-code-stream", "name").encode() for frame in draft.frames]
