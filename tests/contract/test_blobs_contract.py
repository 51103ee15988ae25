"""What every blob store promises; one suite over a folder and over an S3 server."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.blobs import Shelf, fresh_name

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.blobs import BlobName, put, rewrap_all
from tarnhelm.gateway.blobs.envelope import HEAD_BYTES, SEGMENT_BYTES
from tarnhelm.gateway.blobs.keyring import add_key

MIB = 1024 * 1024
SEALED = SEGMENT_BYTES + 16
SIZES = [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 9 * MIB + 5, 17 * MIB]
SPAWN = multiprocessing.get_context("spawn")


def whole(store, name, start=0, length=None):
    with store.open(name, start, length) as reader:
        return b"".join(reader)


def unsummed(store, name):
    with store.open(name) as reader:
        return b"".join(reader.unsummed())


def code_of(call, *arguments):
    with pytest.raises(TarnhelmError) as caught:
        call(*arguments)
    return caught.value.kind


def cut(data, size=200_000):
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_comes_back_and_the_store_says_so(shelf, size):
    store, name, data = shelf.open(), fresh_name("ocr-0a"), os.urandom(size)
    begin = time.time()
    done = put(store, name, cut(data), sha256=hashlib.sha256(data).hexdigest())
    assert done.created
    assert (done.info.size, done.info.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert begin - 1 <= done.info.created <= time.time()
    assert store.stat(name) == done.info
    assert whole(store, name) == unsummed(store, name) == data
    (listed,) = store.listing("raw", name.object_id[:7])
    assert (listed.name, listed.size) == (name, size)
    assert begin - 5 <= listed.modified <= time.time() + 5
    assert not list(store.listing("work"))


def test_the_first_put_wins_and_the_second_is_told_so(shelf):
    store, name = shelf.open(), fresh_name()
    first = put(store, name, [b"first"])
    second = put(store, name, [b"second"] * 3)
    assert not second.created
    assert second.info == first.info
    assert whole(store, name) == b"first"
    assert shelf.unfinished() == 0


def test_a_writer_tells_the_digest_of_what_it_got_so_far(shelf):
    with shelf.open().begin(fresh_name()) as writer:
        assert writer.sha256 == hashlib.sha256().hexdigest()
        writer.write(b"one")
        writer.write(b"two")
        assert writer.sha256 == hashlib.sha256(b"onetwo").hexdigest()


def test_pieces_of_any_length_make_the_same_blob(shelf):
    store, data = shelf.open(), os.urandom(2 * SEGMENT_BYTES + 77)
    for size in (65_521, SEGMENT_BYTES, 5 * SEGMENT_BYTES):
        name = fresh_name()
        put(store, name, cut(data, size))
        assert whole(store, name) == data


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 9 * MIB + 5])
@pytest.mark.parametrize("before", [0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 5])
def test_the_last_bytes_may_come_with_the_commit(shelf, before, size):
    store, name, data = shelf.open(), fresh_name(), os.urandom(before + size)
    with store.begin(name) as writer:
        writer.write(data[:before])
        done = writer.commit(memoryview(data)[before:], sha256=hashlib.sha256(data).hexdigest())
    assert (done.info.size, done.info.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert whole(store, name) == data


def test_last_bytes_that_are_others_than_announced_are_not_stored(shelf):
    store, name = shelf.open(), fresh_name()
    with store.begin(name) as writer:
        writer.write(b"as ")
        with pytest.raises(TarnhelmError) as caught:
            writer.commit(b"arrived", sha256=hashlib.sha256(b"as announced").hexdigest())
    assert caught.value.kind is errors.BLOB_UNLIKE
    assert store.stat(name) is None
    assert shelf.unfinished() == 0


@pytest.fixture
def ranged(shelf):
    store, name, data = shelf.open(), fresh_name(), os.urandom(3 * SEGMENT_BYTES + 100)
    put(store, name, [data])
    return store, name, data


EDGES = [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, 2 * SEGMENT_BYTES, 3 * SEGMENT_BYTES, 3 * SEGMENT_BYTES + 100]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(EDGES), st.integers(-3, 3), st.one_of(st.none(), st.integers(0, 4 * SEGMENT_BYTES)))
def test_a_range_is_that_part_of_the_whole(ranged, edge, beside, length):
    store, name, data = ranged
    start = max(0, edge + beside)
    assert whole(store, name, start, length) == data[start : None if length is None else start + length]


def test_a_blob_that_is_not_there_is_missing(shelf):
    store, name = shelf.open(), fresh_name()
    assert store.stat(name) is None
    assert code_of(store.open, name) is errors.BLOB_MISSING
    assert code_of(store.open, name, 5, 3) is errors.BLOB_MISSING
    assert not store.delete(name)
    assert not store.rewrap(name)


def test_a_purged_blob_is_gone_and_its_name_is_free(shelf):
    store, name = shelf.open(), fresh_name()
    put(store, name, [b"once"])
    assert store.delete(name)
    assert store.stat(name) is None
    assert not list(store.listing("raw", name.object_id))
    assert put(store, name, [b"again"]).created
    assert whole(store, name) == b"again"


def test_without_its_head_nobody_reads_the_rest_of_a_blob(shelf):
    store, name = shelf.open(), fresh_name()
    put(store, name, [os.urandom(1000)])
    shelf.write(name, bytes(HEAD_BYTES) + shelf.read(name)[HEAD_BYTES:])
    assert code_of(store.open, name) is errors.BLOB_MISSING


def test_other_bytes_than_announced_are_not_stored(shelf):
    store, name = shelf.open(), fresh_name()
    wrong = hashlib.sha256(b"announced").hexdigest()
    with pytest.raises(TarnhelmError) as caught:
        put(store, name, [b"arrived" * MIB * 2], sha256=wrong)
    assert caught.value.kind is errors.BLOB_UNLIKE
    assert store.stat(name) is None
    assert shelf.unfinished() == 0


def test_a_digest_that_is_known_is_taken_and_is_not_believed_by_a_reader(shelf):
    store, data = shelf.open(), os.urandom(SEGMENT_BYTES + 100)
    known = hashlib.sha256(data).digest()
    name, other, wrong = fresh_name(), fresh_name(), fresh_name()
    assert put(store, name, [data], known_sha256=known).info.sha256 == known.hex()
    assert whole(store, name) == data
    with pytest.raises(TarnhelmError) as caught:
        put(store, other, [data], sha256=hashlib.sha256(b"announced").hexdigest(), known_sha256=known)
    assert caught.value.kind is errors.BLOB_UNLIKE
    put(store, wrong, [data + b"more"], known_sha256=known)
    assert code_of(whole, store, wrong) is errors.BLOB_DAMAGED


def test_an_error_of_the_sender_leaves_nothing(shelf):
    def failing():
        yield os.urandom(18 * MIB)
        raise ConnectionResetError

    store, name = shelf.open(), fresh_name()
    with pytest.raises(ConnectionResetError):
        put(store, name, failing())
    assert store.stat(name) is None
    assert shelf.unfinished() == 0


BAD_NAMES = ["../../etc/passwd", "raw/../x", "raw/ABCDEF0123456789", "raw/0123456789abcde", "raw/0123456789abcdef.",
             "raw/0123456789abcdef.a/b", "raw/0123456789abcdef.-", "raw/0123456789abcdef.a.b", "RAW/0123456789abcdef",
             "raw/0123456789abcdef\n", "raw//0123456789abcdef", "/raw/0123456789abcdef", "raw", ""]  # fmt: skip


@pytest.mark.parametrize("text", BAD_NAMES)
def test_only_ids_and_digests_make_a_name(text):
    assert code_of(BlobName.parse, text) is errors.BLOB_BAD_NAME


@given(st.text(max_size=40))
def test_no_text_becomes_a_path_outside_its_area(text):
    try:
        name = BlobName("work", "0123456789abcdef", text)
    except TarnhelmError:
        return
    assert BlobName.parse(str(name)) == name
    assert "/" not in name.leaf
    assert ".." not in name.leaf


def test_a_listing_takes_no_pattern(shelf):
    assert code_of(lambda: list(shelf.open().listing("raw", "../"))) is errors.BLOB_BAD_NAME


def test_a_listing_is_complete_and_in_order(shelf):
    store = shelf.open()
    names = sorted(
        BlobName("work", f"{number % 7:02x}{number:030x}", part) for number in range(20) for part in ("", "a")
    )
    for name in reversed(names):
        put(store, name, [b"x"])
    assert [one.name for one in store.listing("work")] == names
    assert [one.name for one in store.listing("work", "03")] == [n for n in names if n.object_id.startswith("03")]


# --- tampering --------------------------------------------------------------------------------------------


def refused(store, name, data):
    """Reading fails, whole and in every range that holds a changed byte; no piece of other bytes comes out."""
    for read in (whole, unsummed):
        with pytest.raises(TarnhelmError) as caught:
            read(store, name)
        assert caught.value.kind in (errors.BLOB_DAMAGED, errors.BLOB_MISSING, errors.BLOB_KEY_MISSING)
    for start in range(0, len(data), SEGMENT_BYTES):
        try:
            found = whole(store, name, start, 1000)
        except TarnhelmError:
            continue
        assert found == data[start : start + 1000]


@pytest.mark.parametrize(
    "at", [0, 9, 31, 32, 35, 40, 60, 100, 166, 200, 256, 300, 500, HEAD_BYTES, HEAD_BYTES + SEALED, -1, -17]
)
def test_a_flipped_bit_is_noticed(shelf, at):
    store, name, data = shelf.open(), fresh_name(), os.urandom(2 * SEGMENT_BYTES + 500)
    put(store, name, [data])
    stored = bytearray(shelf.read(name))
    stored[at] ^= 0x10
    shelf.write(name, bytes(stored))
    refused(store, name, data)


def segments(stored):
    body = stored[HEAD_BYTES:]
    return stored[:HEAD_BYTES], [body[at : at + SEALED] for at in range(0, len(body), SEALED)]


@pytest.mark.parametrize(
    "way", ["swap", "drop the last", "drop the first", "cut", "extend", "repeat", "empty", "shorter head"]
)
def test_segments_cannot_be_moved_cut_or_added(shelf, way):
    store, name, data = shelf.open(), fresh_name(), os.urandom(3 * SEGMENT_BYTES)
    put(store, name, [data])
    stored = shelf.read(name)
    head, parts = segments(stored)
    changed = {
        "swap": [head, parts[1], parts[0], parts[2]],
        "drop the last": [head, *parts[:-1]],
        "drop the first": [head, *parts[1:]],
        "cut": [stored[:-1]],
        "extend": [stored, b"\x00"],
        "repeat": [stored, parts[-1]],
        "empty": [],
        "shorter head": [stored[:100]],
    }
    shelf.write(name, b"".join(changed[way]))
    refused(store, name, data)


@pytest.mark.parametrize("what", ["blob", "head", "body", "segment"])
def test_blobs_cannot_be_exchanged(shelf, what):
    store, mine, other = shelf.open(), fresh_name(), fresh_name()
    data = os.urandom(2 * SEGMENT_BYTES)
    put(store, mine, [data])
    put(store, other, [os.urandom(2 * SEGMENT_BYTES)])
    (head, parts), (head2, parts2) = segments(shelf.read(mine)), segments(shelf.read(other))
    changed = {
        "blob": [head2, *parts2],
        "head": [head2, *parts],
        "body": [head, *parts2],
        "segment": [head, parts2[0], parts[1]],
    }
    shelf.write(mine, b"".join(changed[what]))
    refused(store, mine, data)


def test_no_byte_of_a_plaintext_is_stored(shelf):
    store, canary = shelf.open(), b"TREMBLAY^GENEVIEVE"
    for size in (1, 40_000, 600_000):
        put(store, fresh_name(), [canary * size])
    stored = shelf.everything()
    assert len(stored) > 600_000 * len(canary)
    for width in (6, 9):
        assert not any(canary[at : at + width] in stored for at in range(len(canary) - width + 1))
    assert hashlib.sha256(canary).digest() not in stored
    assert hashlib.sha256(canary).hexdigest().encode() not in stored


# --- keys -------------------------------------------------------------------------------------------------


def test_a_key_rotates_in_mid_run_and_the_old_one_can_go(shelf):
    store, other = shelf.open(), shelf.open()
    names = [fresh_name() for _ in range(4)]
    data = {name: os.urandom(size) for name, size in zip(names, (10, SEGMENT_BYTES, 3 * MIB, 7 * MIB), strict=True)}
    for name in names[:3]:
        put(store, name, [data[name]])
    with store.begin(names[3]) as writer:
        writer.write(data[names[3]])
        assert add_key(shelf.ring) == 2
        assert writer.commit().info.key_id == 2
    assert all(whole(other, name) == data[name] for name in names)
    assert {store.stat(name).key_id for name in names[:3]} == {1}
    with other.open(names[2]) as reader:
        walk = iter(reader)
        begun = next(walk)
        counts = rewrap_all(store, ["raw", "work"])
        assert (counts.seen, counts.rewrapped) == (4, 3)
        if shelf.kind == "folder":  # S3 readers have asked for all of it at once
            assert begun + b"".join(walk) == data[names[2]]
    assert rewrap_all(store, ["raw"]).rewrapped == 0
    before = {name: store.stat(name) for name in names}
    (shelf.ring / "1.key").unlink()
    fresh = shelf.open()
    assert {info.key_id for info in before.values()} == {2}
    assert all(fresh.stat(name) == before[name] for name in names)
    assert all(whole(fresh, name) == data[name] for name in names)


def test_a_large_head_is_rewrapped_without_sending_the_body_again(shelf, request):
    store, name, data = shelf.open(), fresh_name(), os.urandom(21 * MIB)
    put(store, name, [data])
    add_key(shelf.ring)
    if shelf.kind == "s3" and not request.getfixturevalue("s3_server").durable:
        assert code_of(store.rewrap, name) is errors.BLOB_UNCONDITIONAL  # moto completes uploads without the condition
        return
    body = shelf.read(name)[HEAD_BYTES:]
    assert store.rewrap(name)
    assert shelf.read(name)[HEAD_BYTES:] == body
    assert not store.rewrap(name)
    assert whole(store, name) == data
    assert shelf.unfinished() == 0


def test_a_key_that_is_not_in_the_ring_is_a_reason_to_wait(shelf):
    store, name = shelf.open(), fresh_name()
    put(store, name, [b"x"])
    add_key(shelf.ring)
    key = (shelf.ring / "1.key").read_bytes()
    (shelf.ring / "1.key").unlink()
    assert code_of(store.open, name) is errors.BLOB_KEY_MISSING
    assert errors.BLOB_KEY_MISSING.disposition is errors.Disposition.RETRY
    (shelf.ring / "1.key").write_bytes(key)
    (shelf.ring / "1.key").chmod(0o600)
    assert whole(store, name) == b"x"


# --- processes --------------------------------------------------------------------------------------------


def race(shelf: Shelf, name: BlobName, letter: bytes, gate, told) -> None:
    store = shelf.open()
    gate.wait()
    done = put(store, name, [letter * MIB] * 9)
    told.put((letter, done.created, done.info.sha256))


def only_a_real_server(shelf, request, why):
    if shelf.kind == "s3" and not request.getfixturevalue("s3_server").durable:
        pytest.skip(f"moto {why}: needs the S3 server of the shared tools")


def test_of_processes_that_put_the_same_name_one_wins(shelf, request):
    only_a_real_server(shelf, request, "looks and then stores, in two steps")
    for _ in range(2):
        name, told, gate = fresh_name(), SPAWN.Queue(), SPAWN.Barrier(3)
        running = [SPAWN.Process(target=race, args=(shelf, name, letter, gate, told)) for letter in (b"a", b"b", b"c")]
        for process in running:
            process.start()
        answers = [told.get(timeout=60) for _ in running]
        for process in running:
            process.join(30)
        winners = [letter for letter, created, _ in answers if created]
        assert len(winners) == 1
        assert whole(shelf.open(), name) == winners[0] * 9 * MIB
        assert len({sha256 for _, _, sha256 in answers}) == 1


def fill_slowly(shelf: Shelf, name: BlobName, told) -> None:
    writer = shelf.open().begin(name)
    for number in itertools.count():
        writer.write(os.urandom(MIB))
        if number == 20:
            told.put("written")


def test_a_put_that_is_killed_leaves_nothing_visible_and_is_swept(shelf, request):
    only_a_real_server(shelf, request, "knows no time at which an upload began")
    name, told = fresh_name(), SPAWN.Queue()
    process = SPAWN.Process(target=fill_slowly, args=(shelf, name, told))
    process.start()
    assert told.get(timeout=60) == "written"
    store = shelf.open()
    assert store.stat(name) is None
    assert not list(store.listing("raw", name.object_id))
    if shelf.kind == "folder":
        assert store.sweep(0) == 0, "the writer lives"
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert store.stat(name) is None
    assert not list(store.listing("raw", name.object_id))
    assert store.sweep(3600) == 0
    assert store.sweep(-5) == shelf.unfinished() + 1 == 1
    assert put(store, name, [b"again"]).created


def test_what_a_killed_server_had_acknowledged_is_there_again(own_s3_server, tmp_path):
    add_key(tmp_path / "ring")
    shelf = Shelf("s3", own_s3_server.place(), tmp_path / "ring")
    store, names = shelf.open(), [fresh_name() for _ in range(10)]
    data = {name: os.urandom(200_000 * number) for number, name in enumerate(names, 1)}
    put(store, names[0], [data[names[0]]])
    for name in names[1:]:
        put(store, name, [data[name]])
    own_s3_server.kill()
    assert code_of(store.stat, names[0]) is errors.BLOB_STORE_AWAY
    own_s3_server.start()
    assert all(whole(store, name) == data[name] for name in names)


MEMORY = """
import os, resource, sys, pickle
from tarnhelm.gateway.blobs import put
shelf, name, mebibytes = pickle.loads(bytes.fromhex(sys.argv[1]))
store = shelf.open()
from tests.support.blobs import fresh_name
warm = fresh_name()
put(store, warm, [b"w" * 70_000])
with store.open(warm) as reader:
    sum(map(len, reader))
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
piece = os.urandom(1 << 18)
put(store, name, (piece for _ in range(mebibytes * 4)))
with store.open(name) as reader:
    assert sum(map(len, reader)) == mebibytes << 20
print(peak() - before)
"""


@pytest.mark.parametrize("mebibytes", [50, pytest.param(1024, marks=pytest.mark.slow)])
def test_a_stream_of_any_length_takes_bounded_memory(shelf, mebibytes):
    import pickle

    job = pickle.dumps((shelf, fresh_name(), mebibytes)).hex()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, job], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 64 * 1024, "KiB above what the process had before"
