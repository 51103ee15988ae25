"""What the blob stores cost beside a plain copy of the same files: ``make bench-blobs``.

One process, one blob at a time, fsync as in production. A row is the best of three rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.blobs import fresh_name
from tests.support.s3 import TOOLS, S3Server, _free_port

from tarnhelm.gateway.blobs import FolderBlobs, KeyRing, put
from tarnhelm.gateway.blobs.keyring import add_key
from tarnhelm.gateway.blobs.s3 import S3Blobs

MIB = 1024 * 1024
SIZES = {"513 KB": (513_000, 200), "16 MiB": (16 * MIB, 12), "256 MiB": (256 * MIB, 1)}
ROUNDS = 3
PIECE = 256 * 1024
THREADS = 16


def copied(folder, source, number, *, durable):
    target = folder / f"copy-{number}"
    shutil.copyfile(source, target)
    if durable:
        for path, flags in ((target, os.O_RDONLY), (folder, os.O_RDONLY | os.O_DIRECTORY)):
            fd = os.open(path, flags)
            os.fsync(fd)
            os.close(fd)


def pieces(source):
    with source.open("rb", buffering=0) as stream:
        while piece := stream.read(PIECE):
            yield piece


def drained(reader):
    with reader:
        for _ in reader:
            pass


def measure(label, size, count, work, threads=1):
    """Print MB/s, operations a second and CPU milliseconds each, of the quickest round."""
    best, used = float("inf"), float("inf")
    for number in range(ROUNDS):
        begin, cpu = time.perf_counter(), time.process_time()
        numbers = range(number * count, number * count + count)
        if threads == 1:
            for one in numbers:
                work(one)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, numbers))
        took = time.perf_counter() - begin
        if took < best:
            best, used = took, time.process_time() - cpu
    rate, cost = count / best, used / count * 1e3
    sys.stdout.write(f"{label:<42} {rate * size / 1e6:>9.0f} {rate:>10.1f} {cost:>12.2f}\n")


def measure_store(name, store, source, size, count):
    names = [fresh_name() for _ in range(count * ROUNDS)]
    measure(f"{name}: put", size, count, lambda one: put(store, names[one], pieces(source)))
    measure(f"{name}: read", size, count, lambda one: drained(store.open(names[one])))
    if size < MIB:
        more = [fresh_name() for _ in range(count * ROUNDS)]
        label = f"{name}: put, {THREADS} threads"
        measure(label, size, count, lambda one: put(store, more[one], pieces(source)), threads=THREADS)


def measure_size(folder, ring, size, count):
    source, copies = folder / "source", folder / "copies"
    source.write_bytes(os.urandom(size))
    copies.mkdir()
    measure("file copy", size, count, lambda one: copied(copies, source, one, durable=False))
    measure("file copy, fsync", size, count, lambda one: copied(copies, source, one, durable=True))
    store = FolderBlobs(folder / "blobs", ring)
    store.check()
    measure_store("folder", store, source, size, count)
    with s3(folder, ring) as remote:
        if remote is not None:
            measure_store("S3", remote, source, size, count)
    for used in ("copies", "blobs", "s3"):
        shutil.rmtree(folder / used, ignore_errors=True)


@contextlib.contextmanager
def s3(folder, ring):
    """A store on the S3 server of the shared tools; nothing without it."""
    script = TOOLS / "s3" / "start.sh"
    if not script.exists():
        yield None
        return
    port = _free_port()
    for kind, key in {"access": "test", "secret": "testtest"}.items():
        (folder / kind).write_text(key)
        (folder / kind).chmod(0o600)
    command = [str(script), str(folder / "s3"), str(port)]
    server = S3Server(f"http://127.0.0.1:{port}", folder / "access", folder / "secret", command)
    server.start()
    try:
        yield S3Blobs(server.place(), ring)
    finally:
        server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=None, help="where to write; the temporary directory without it")
    given = parser.parse_args()
    sys.stdout.write(f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory(prefix="tarnhelm-bench-", dir=given.folder) as made:
        folder = Path(made)
        add_key(folder / "ring")
        ring = KeyRing(folder / "ring")
        for label, (size, count) in SIZES.items():
            sys.stdout.write(f"\n{label + ' each':<42} {'MB/s':>9} {'blobs/s':>10} {'own CPU-ms':>12}\n")
            measure_size(folder, ring, size, count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
