"""A PostgreSQL server for the tests: Debian's, on a temporary directory and a unix socket; or one that is named.

``TARNHELM_TEST_POSTGRES`` takes an address (as libpq does) whose role may create databases.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; ``binaries`` is where its tools are, nothing for a server that was named."""

    address: str
    binaries: Path | None = None

    def database(self) -> str:
        """Make an empty database and give its address."""
        name = f"t{uuid.uuid4().hex}"
        with closing(psycopg.connect(self.address, autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return make_conninfo(self.address, dbname=name)


@pytest.fixture(scope="session")
def postgres():
    """One server for the whole run; skips where there is none."""
    named = os.environ.get("TARNHELM_TEST_POSTGRES", "")
    if named:
        yield PostgresServer(named)
        return
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install Debian's package postgresql, or set TARNHELM_TEST_POSTGRES")
    user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="tarnhelm-pg-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        yield from _running(binaries, Path(folder), user)


def _running(binaries, folder, user):
    data = folder / "data"
    # No fsync: what dies in these tests is the client; a power cut cannot be tested here anyway.
    quick = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=60", "-c", "shared_buffers=16MB"]
    _run([binaries / "initdb", "-D", data, "-U", "tarnhelm", "--auth=trust", "-E", "UTF8", "--no-sync"], folder, user)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", *quick],
            stdout=log,
            stderr=log,
            cwd=folder,
            user=user,
        )
    try:
        ready = [binaries / "pg_isready", "-h", folder, "-q", "-t", "1"]
        for _ in range(200):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            if server.poll() is not None:
                pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield PostgresServer(make_conninfo(host=str(folder), user="tarnhelm", dbname="postgres"), binaries)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)


def _binaries():
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wanted = ("initdb", "postgres", "pg_isready", "pg_dump")
    return next((folder for folder in folders if all((folder / tool).exists() for tool in wanted)), None)


def _unprivileged():
    """Whom to run as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return pytest.skip("PostgreSQL refuses root, and there is no other user")


def _run(command, folder, user):
    done = subprocess.run(command, cwd=folder, user=user, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"initdb failed: {done.stderr[-2000:]}")
