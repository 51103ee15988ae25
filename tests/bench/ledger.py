"""What a new and a known subject cost, on the SQLite and the PostgreSQL ledger: ``make bench-ledger``.

One process, one subject at a time, fsync as in production. The vault is left out: records are sealed beforehand.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tarnhelm.linkage.core.ledger import TaggedRecord, TicketBinding
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.linkage.core.ledger_sqlite import SqliteLedger

PROJECT = "b" * 32
SEALED = os.urandom(340)


def tag(*parts):
    return hashlib.sha256(repr(parts).encode()).digest()


def new_subject(ledger, number):
    """All that one new subject with one study asks of the ledger."""
    subject, study = tag("subject", number), tag("study", number)
    ledger.resolve(subject, study)
    ledger.first_sex(subject, b"12345678")
    tags = [tag(kind, number)[:16] for kind in ("subject", "study")]
    ledger.known(tags)
    ledger.put_records(
        [
            TaggedRecord(tags[0], "subject", f"LUNG-{number:016}", SEALED, subject, b""),
            TaggedRecord(tags[1], "study", f"2.25.{number}", SEALED, subject, study),
        ]
    )


def timed(work, numbers):
    """Mean and 99th percentile of the time that passes, and mean of this process's CPU time, in microseconds."""
    found = []
    used = time.process_time()
    for number in numbers:
        begin = time.perf_counter()
        work(number)
        found.append((time.perf_counter() - begin) * 1e6)
    used = (time.process_time() - used) * 1e6
    found.sort()
    return statistics.mean(found), found[int(len(found) * 0.99)], used / len(found)


def batch(ledger, number):
    """A hundred new subjects, written together as assigning does it."""
    numbers = range(number * 100, number * 100 + 100)
    ledger.resolve_many([(tag("subject", one), tag("study", one), b"") for one in numbers])
    ledger.first_sexes({tag("subject", one): b"12345678" for one in numbers})
    records = [
        TaggedRecord(tag(kind, one)[:16], kind, f"{kind}{one}", SEALED, tag("subject", one), tag("study", one))
        for one in numbers
        for kind in ("subject", "study")
    ]
    ledger.known([record.tag for record in records])
    ledger.put_records(records)


def measure(name, ledger, count):
    far = int(time.time()) + 3600
    batches = 1_000_000
    steps = {
        "new subject: resolve, first_sex, known, put_records": (lambda n: new_subject(ledger, n), range(count)),
        "known subject: resolve": (lambda n: ledger.resolve(tag("subject", n), tag("study", n)), range(count)),
        "one ticket bound": (
            lambda n: ledger.bind_tickets([TicketBinding(tag("t", n), tag("d", n), far)]),
            range(count),
        ),
        "changes": (lambda _: ledger.changes(), range(count)),
        "100 new subjects together": (lambda n: batch(ledger, n), range(batches, batches + max(5, count // 100))),
    }
    for label, (work, numbers) in steps.items():
        mean, high, used = timed(work, numbers)
        sys.stdout.write(f"{name:<11} {label:<52} {mean:>9.0f} {high:>9.0f} {used:>9.0f}\n")
    ledger.close()


@contextlib.contextmanager
def server(folder):
    """A PostgreSQL of its own, with its durability on; nothing where it is not installed."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        yield None
        return
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        Path(folder).chmod(0o711)
    with tempfile.TemporaryDirectory(dir=folder) as data:
        if user:
            shutil.chown(data, user)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "user": user, "cwd": data}
        subprocess.run([binaries[-1] / "initdb", "-D", f"{data}/d", "-U", "bench", "--auth=trust"], check=True, **quiet)
        options = ["-k", data, "-c", "listen_addresses="]
        running = subprocess.Popen([binaries[-1] / "postgres", "-D", f"{data}/d", *options], **quiet)
        try:
            ready = [binaries[-1] / "pg_isready", "-h", data, "-q"]
            while running.poll() is None and subprocess.run(ready, check=False).returncode:
                time.sleep(0.05)
            yield f"host={data} user=bench dbname=postgres"
        finally:
            running.terminate()
            running.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--postgres", default="", help="an address; without it a server of its own is started")
    given = parser.parse_args()
    sys.stdout.write(f"{platform.machine()}, Python {platform.python_version()}; microseconds\n")
    sys.stdout.write(f"{'ledger':<11} {'step':<52} {'mean':>9} {'p99':>9} {'own CPU':>9}\n")
    with tempfile.TemporaryDirectory(prefix="tarnhelm-bench-") as folder:
        (Path(folder) / "ledger").mkdir(mode=0o700)
        measure("SQLite", SqliteLedger(Path(folder) / "ledger" / "x.sqlite", PROJECT), given.count)
        with server(folder) if not given.postgres else contextlib.nullcontext(given.postgres) as address:
            if address is None:
                sys.stdout.write("PostgreSQL is not installed: skipped\n")
                return 0
            measure("PostgreSQL", PostgresLedger(address, PROJECT), given.count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
