from __future__ import annotations

import io
import warnings
import zlib
from collections import Counter
from struct import pack

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import decompress

from tarnhelm.common.dicom.codecs import Family, clean_codestream, clean_encapsulated, family_of
from tarnhelm.common.dicom.frames import ExtendedOffsets, index_fragments
from tarnhelm.common.errors import (
    BAD_CODESTREAM,
    BAD_FRAGMENTS,
    KIND_NOT_COVERED,
    TOO_MANY_FRAMES,
    UNKNOWN_SYNTAX,
    TarnhelmError,
)
from tarnhelm.common.limits import DEFAULT_LIMITS

ROOT = "1.2.840.10008.1.2."
BASELINE, LOSSLESS, LS, J2K, RLE = ROOT + "4.50", ROOT + "4.70", ROOT + "4.80", ROOT + "4.90", ROOT + "5"
SECRET = b"SMITH^JOHN"
DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"

PACKAGED = [
    # file, frames that decode to the same after cleaning
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",  # Adobe's segment decides the colours
    "SC_jpeg_no_color_transform.dcm",
    "SC_jpeg_no_color_transform_2.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",  # 30 frames
    "MR_small_jp2klossless.dcm",  # a comment in the main header
    "693_J2KI.dcm",
    "examples_jpeg2k.dcm",  # bytes behind the end
    "SC_rgb_gdcm_KY.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jls_lossy_sample.dcm",  # SPIFF header
    "SC_rgb_jls_lossy_line.dcm",
    "MR_small_RLE.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "rtdose_rle.dcm",
]


def pixels_of(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copy = pydicom.dcmread(io.BytesIO(written(dataset)))
        decompress(copy, as_rgb=False)
    return bytes(copy.PixelData)


def written(dataset):
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def cleaned_value(dataset):
    value = bytes(dataset.PixelData)
    value = value if value.endswith(DELIMITER) else value + DELIMITER
    frames = int(dataset.get("NumberOfFrames") or 1)
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    return clean_encapsulated(value, 0, syntax, frames, plane_bytes=dataset.Rows * dataset.Columns), value


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_images_decode_to_the_same_samples_after_cleaning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these files are odd on purpose
        dataset = pydicom.dcmread(get_testdata_file(name))
    before = pixels_of(dataset)
    result, value = cleaned_value(dataset)
    joined = b"".join(result.parts)
    assert result.end == len(value)
    assert result.changed == (joined != value) == bool(result.removed)
    dataset.PixelData = joined[: -len(DELIMITER)]
    assert pixels_of(dataset) == before
    again = clean_encapsulated(
        joined, 0, str(dataset.file_meta.TransferSyntaxUID), int(dataset.get("NumberOfFrames") or 1)
    )
    assert not again.changed
    assert not again.removed


NOT_DECODABLE = [
    # Pillow decodes neither before nor after: what stays must be the bytes of the code stream
    ("JPEG2000-embedded-sequence-delimiter.dcm", {"com": 1}),  # a delimiter inside a fragment is data
    ("GDCMJ2K_TextGBR.dcm", {"box": 7}),  # JP2 boxes with an ICC profile
]


@pytest.mark.parametrize(("name", "counts"), NOT_DECODABLE)
def test_packets_stay_as_they_are(name, counts):
    result, value = cleaned_value(pydicom.dcmread(get_testdata_file(name)))
    packets = value[value.index(b"\xff\x93") : value.index(b"\xff\xd9")]
    assert packets in b"".join(result.parts)
    assert result.removed == counts


def jpeg_of(mode="RGB", **options):
    array = np.random.default_rng(3).integers(0, 255, (24, 40, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(array).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_an_adobe_segment_too_short_for_a_decoder_goes():
    dataset = pydicom.dcmread(get_testdata_file("SC_rgb_jpeg.dcm"))
    original = next(generate_frames(bytes(dataset.PixelData), number_of_frames=1))
    result, removed = clean_codestream(original, BASELINE)
    assert removed == {"app": 1}
    assert decoded(result) == decoded(original)


def segment(marker, body):
    return bytes([0xFF, marker]) + pack(">H", len(body) + 2) + body


def decoded(stream):
    image = Image.open(io.BytesIO(stream))
    return image.mode, image.tobytes()


EXIF = segment(0xE1, b"Exif\0\0" + SECRET)
PLANTED = [
    # what is put behind SOI, what is put at the end, what is counted
    (segment(0xFE, SECRET), b"", {"com": 1}),
    (EXIF, b"", {"app": 1}),
    (segment(0xED, b"Photoshop 3.0\0" + SECRET) + EXIF, b"", {"app": 2}),  # IPTC and EXIF
    (segment(0xE2, b"MPF\0" + SECRET), jpeg_of(), {"app": 1, "trailing": 1}),  # a second image behind the first
    (b"", SECRET, {"trailing": 1}),
    (b"", b"\0\0\0", {"trailing": 1}),  # more padding than one byte
    (b"", b"\x01", {"trailing": 1}),  # padding that is not zero
    (segment(0xE0, b"JFXX\0\x13" + SECRET), b"", {"app": 1}),  # a thumbnail
    (segment(0xEE, b"Adobe\0\x64" + SECRET), b"", {"app": 1}),  # Adobe's segment with more behind it
    (segment(0xEF, b""), b"", {"app": 1}),
]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"comment": SECRET}])
@pytest.mark.parametrize(("head", "tail", "counts"), PLANTED)
def test_jpeg_loses_segments_and_tail_but_no_sample(mode, options, head, tail, counts):
    original = jpeg_of(mode, **options)
    stream = original[:2] + head + original[2:] + tail
    result, removed = clean_codestream(stream, BASELINE)
    assert SECRET not in result
    expected = Counter(counts) + Counter({"com": 1} if "comment" in options else {})
    # A CMYK stream of Pillow has no JFIF, an RGB one has it in the form that stays.
    assert removed == expected
    if b"Adobe" not in head:
        assert decoded(result) == decoded(original)
    again, nothing = clean_codestream(result, BASELINE)
    assert again is result
    assert not nothing


def test_adobe_segment_keeps_the_transform_and_nothing_else():
    stream = jpeg_of("CMYK")
    at = stream.index(b"Adobe")
    dirty = stream[: at + 5] + b"\x01\x02\x03\x04\x05\x06" + stream[at + 11 :]
    assert clean_codestream(dirty, BASELINE)[0] == clean_codestream(stream, BASELINE)[0]
    assert decoded(clean_codestream(dirty, BASELINE)[0]) == decoded(stream)


def test_jfif_stays_because_it_decides_the_colours():
    stream = jpeg_of()
    assert clean_codestream(stream, BASELINE) == (stream, Counter())
    assert b"JFIF" in stream
    dirty = stream.replace(b"JFIF\0\x01\x01\x00\x00\x01\x00\x01", b"JFIF\0\x01\x02\x01\x53\x4d\x49\x54")
    assert clean_codestream(dirty, BASELINE)[0] == stream


def test_a_memory_view_is_cleaned_too():
    stream = jpeg_of(comment=SECRET)
    assert clean_codestream(memoryview(stream), BASELINE)[0] == clean_codestream(stream, BASELINE)[0]


BROKEN_JPEG = [
    b"",
    b"\xff\xd8",
    b"\xff\xd8\xff\xd9",  # no scan
    jpeg_of()[:-2],  # no end
    jpeg_of()[:100],  # cut in a table
    b"\0" + jpeg_of(),  # something before the start
    jpeg_of()[:2] + b"SM" + jpeg_of()[2:],  # bytes between segments
    jpeg_of()[:2] + segment(0xF3, SECRET) + jpeg_of()[2:],  # an extension nobody reads
    jpeg_of()[:2] + segment(0x07, SECRET) + jpeg_of()[2:],  # a reserved marker
    jpeg_of()[:2] + segment(0xDB, b"\0" * 65 + SECRET) + jpeg_of()[2:],  # a table with more behind it
    jpeg_of()[:2] + segment(0xDD, b"\0\0" + SECRET) + jpeg_of()[2:],
    jpeg_of()[:2] + b"\xff\xfe\x00\x01" + jpeg_of()[2:],  # a length that does not count itself
]


@pytest.mark.parametrize("stream", BROKEN_JPEG)
def test_streams_that_are_not_whole_are_refused(stream):
    with pytest.raises(TarnhelmError) as caught:
        clean_codestream(stream, BASELINE)
    assert caught.value.kind is BAD_CODESTREAM


def j2k_of(**options):
    array = np.random.default_rng(3).integers(0, 255, (40, 40, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG2000", irreversible=False, **options)
    return stream.getvalue()


def raw_j2k(**options):
    return j2k_of(no_jp2=True, **options)


COMMENT = b"\xff\x64" + pack(">HH", 4 + len(SECRET), 1) + SECRET


def with_tile_comments(stream, *, open_end=False):
    """Put a comment into every tile-part header; with ``open_end`` the last one has no length."""
    out, at = b"", stream.index(b"\xff\x90")
    out, rest = stream[:at], stream[at:]
    while rest.startswith(b"\xff\x90"):
        size = int.from_bytes(rest[6:10], "big")
        part, rest = rest[:size], rest[size:]
        last = open_end and not rest.startswith(b"\xff\x90")
        claimed = 0 if last else size + len(COMMENT)
        out += part[:6] + pack(">I", claimed) + part[10:12] + COMMENT + part[12:]
    return out + rest


@pytest.mark.parametrize("options", [{}, {"tile_size": (16, 16)}, {"plt": True}])
@pytest.mark.parametrize("open_end", [False, True])
def test_j2k_comments_go_from_main_and_tile_headers(options, open_end):
    original = raw_j2k(comment=SECRET.decode(), **options)
    tiles = original.count(b"\xff\x90\x00\x0a")
    result, removed = clean_codestream(with_tile_comments(original, open_end=open_end) + SECRET, J2K)
    assert SECRET not in result
    assert removed["com"] == 1 + tiles
    assert removed["trailing"] == 1
    assert decoded(result) == decoded(original)
    assert clean_codestream(result, J2K)[0] is result


def test_j2k_index_of_tile_lengths_goes_when_lengths_change():
    plain = clean_codestream(raw_j2k(), J2K)[0]
    at = plain.index(b"\xff\x90")
    indexed = plain[:at] + b"\xff\x55" + pack(">HBBI", 8, 0, 0x40, len(plain) - at - 2) + plain[at:]
    assert clean_codestream(indexed, J2K)[0] is indexed
    result, removed = clean_codestream(with_tile_comments(indexed), J2K)
    assert result == plain
    assert removed == {"com": 1, "tlm": 1}


def test_jp2_boxes_with_text_go_and_samples_stay():
    original = j2k_of()
    xml = pack(">I4s", 8 + len(SECRET), b"xml ") + SECRET
    uuid = pack(">I4s", 24 + len(SECRET), b"uuid") + b"\1" * 16 + SECRET
    at = original.index(b"jp2h") - 4
    result, removed = clean_codestream(original[:at] + xml + uuid + original[at:] + xml, J2K)
    assert SECRET not in result
    assert removed["box"] == 3
    assert decoded(result) == decoded(original)
    assert clean_codestream(result, J2K)[0] is result


BROKEN_J2K = [
    b"",
    raw_j2k()[:-2],  # no end
    raw_j2k()[:60],
    raw_j2k().replace(b"\xff\x52", b"\xff\x30", 1),  # an unknown marker
    raw_j2k().replace(b"\xff\x90\x00\x0a\x00\x00\x00", b"\xff\x90\x00\x0a\x00\x00\x7f", 1),  # a tile beyond the end
    j2k_of()[:60],
]


@pytest.mark.parametrize("stream", BROKEN_J2K)
def test_j2k_streams_that_are_not_whole_are_refused(stream):
    with pytest.raises(TarnhelmError) as caught:
        clean_codestream(stream, J2K)
    assert caught.value.kind is BAD_CODESTREAM


def test_jpeg_ls_keeps_the_colour_transform_and_loses_comments():
    dataset = pydicom.dcmread(get_testdata_file("MR_small_jpeg_ls_lossless.dcm"))
    original = next(generate_frames(bytes(dataset.PixelData), number_of_frames=1))
    transform = segment(0xE8, b"mrfx\x01")
    dirty = original[:2] + transform + segment(0xFE, SECRET) + segment(0xE8, b"SPIFF\0" + SECRET) + original[2:]
    result, removed = clean_codestream(dirty, LS)
    assert removed == {"com": 1, "app": 1}
    assert result == original[:2] + transform + original[2:]


def rle_frame(segments, *, slack=b"", spare=b""):
    offsets, at = [], 64
    for one in segments:
        offsets.append(at)
        at += len(one)
    header = pack(f"<{1 + len(offsets)}I", len(offsets), *offsets)
    return (header + spare).ljust(64, b"\0") + b"".join(segments) + slack


PLANE = b"\xfe\x07\x02abc"  # three sevens, then a b c: a plane of six bytes


def test_rle_slack_and_spare_header_fields_are_zeroed():
    frame = rle_frame([PLANE, PLANE + SECRET], slack=SECRET, spare=SECRET)
    result, removed = clean_codestream(frame, RLE, plane_bytes=6)
    assert result == rle_frame([PLANE, PLANE + bytes(10)], slack=bytes(10))
    assert removed == {"rle-header": 1, "rle-slack": 1}
    assert clean_codestream(result, RLE, plane_bytes=6)[0] is result


def test_rle_literals_beyond_the_plane_are_zeroed():
    frame = rle_frame([b"\x07abcdSMIT"])
    assert clean_codestream(frame, RLE, plane_bytes=4)[0] == rle_frame([b"\x07abcd\0\0\0\0"])


BROKEN_RLE = [
    b"\0" * 63,
    b"\0" * 70,  # no segment
    pack("<2I", 16, 64).ljust(80, b"\0"),  # too many
    pack("<2I", 1, 60).ljust(80, b"\0"),  # a segment inside the header
    pack("<2I", 1, 64).ljust(64, b"\0"),  # a segment behind the end
    pack("<3I", 2, 64, 64).ljust(80, b"\0"),  # offsets that do not grow
    rle_frame([b"\x01a"]),  # a run that is cut
]


@pytest.mark.parametrize("frame", BROKEN_RLE)
def test_rle_frames_that_do_not_fill_a_plane_are_refused(frame):
    with pytest.raises(TarnhelmError) as caught:
        clean_codestream(frame, RLE, plane_bytes=4)
    assert caught.value.kind is BAD_CODESTREAM


def test_deflated_frame_loses_what_follows_it():
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    good = compressor.compress(b"pixels" * 40) + compressor.flush()
    result, removed = clean_codestream(good + SECRET, ROOT + "8.1")
    assert (result, removed) == (good, {"trailing": 1})
    with pytest.raises(TarnhelmError):
        clean_codestream(good[:-3], ROOT + "8.1")


FAMILIES = [
    (BASELINE, Family.JPEG),
    (LOSSLESS, Family.JPEG),
    (LS, Family.JPEG_LS),
    (J2K, Family.JPEG_2000),
    (ROOT + "4.201", Family.JPEG_2000),  # HTJ2K
    (RLE, Family.RLE),
    (ROOT + "1.98", Family.NATIVE),
    (ROOT + "4.100", Family.OPAQUE),  # MPEG-2
    (ROOT + "4.102.1", Family.OPAQUE),  # fragmentable MPEG-4
    (ROOT + "4.108", Family.OPAQUE),  # HEVC
    (ROOT + "4.110", Family.OPAQUE),  # JPEG XL
]


@pytest.mark.parametrize(("syntax", "family"), FAMILIES)
def test_families(syntax, family):
    assert family_of(syntax) is family


@pytest.mark.parametrize(
    ("syntax", "kind"), [(ROOT + "4.102", KIND_NOT_COVERED), (ROOT + "4.999", UNKNOWN_SYNTAX), ("", UNKNOWN_SYNTAX)]
)
def test_what_cannot_be_cleaned_has_a_code(syntax, kind):
    with pytest.raises(TarnhelmError) as caught:
        clean_encapsulated(DELIMITER, 0, syntax, 1)
    assert caught.value.kind is kind


def test_unchanged_pixel_data_are_one_slice_of_the_original():
    clean = jpeg_of()
    value = b"before" + encapsulate([clean, clean]) + DELIMITER + b"after"
    result = clean_encapsulated(value, 6, BASELINE, 2)
    assert not result.changed
    assert [bytes(part) for part in result.parts] == [value[6:-5]]
    assert all(isinstance(part, memoryview) for part in result.parts)
    assert value[result.end :] == b"after"


def test_offset_table_is_rewritten_when_lengths_change():
    frames = [jpeg_of(comment=SECRET * 3), jpeg_of(), jpeg_of(comment=SECRET)]
    value = encapsulate(frames, fragments_per_frame=2) + DELIMITER
    result = clean_encapsulated(value, 0, BASELINE, 3)
    joined = b"".join(result.parts)
    assert SECRET not in joined
    assert result.removed == {"com": 2}
    index = index_fragments(joined, 0, len(joined), DEFAULT_LIMITS)
    assert len(index.table) == 3
    assert [decoded(frame) for frame in generate_frames(joined, number_of_frames=3)] == [decoded(f) for f in frames]


def test_extended_offsets_are_rewritten():
    frames = [jpeg_of(comment=SECRET), jpeg_of()]
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    value = encapsulate(frames, has_bot=False) + DELIMITER
    extended = ExtendedOffsets((0, 8 + len(padded[0])), (len(frames[0]), len(frames[1])))
    result = clean_encapsulated(value, 0, BASELINE, 2, extended_offsets=extended)
    joined = b"".join(result.parts)
    assert result.extended_offsets is not None
    for offset, length, frame in zip(*_pair(result.extended_offsets), frames, strict=True):
        start = 8 + offset + 8
        assert decoded(joined[start : start + length]) == decoded(frame)


def _pair(extended):
    return extended.offsets, extended.lengths


@settings(deadline=None)
@given(st.sampled_from([BASELINE, LS, J2K, RLE]), st.binary(max_size=300))
def test_arbitrary_bytes_are_cleaned_or_refused(syntax, data):
    try:
        result, removed = clean_codestream(data, syntax, plane_bytes=16)
    except TarnhelmError as error:
        assert error.kind is BAD_CODESTREAM  # noqa: PT017 - either outcome is right
    else:
        assert bool(removed) == (result is not data)


SEEDS = [
    (BASELINE, jpeg_of(comment=SECRET)),
    (J2K, raw_j2k(comment=SECRET.decode())),
    (J2K, j2k_of()),
    (RLE, rle_frame([PLANE])),
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_flipped_and_cut_streams_are_cleaned_or_refused(seed, data):
    syntax, stream = seed
    broken = bytearray(stream[: data.draw(st.integers(0, len(stream)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    value = encapsulate([bytes(broken)]) + DELIMITER if broken else DELIMITER
    try:
        result = clean_encapsulated(value, 0, syntax, 1, plane_bytes=6)
    except TarnhelmError as error:
        assert error.kind in (BAD_CODESTREAM, BAD_FRAGMENTS, TOO_MANY_FRAMES)  # noqa: PT017 - either outcome is right
    else:
        assert result.end == len(value)
