"""A PostgreSQL of a test's own on a TCP port, to put a proxy before it and to stop and start it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.support import postgres
from tests.support.gateway import free_port


class OwnPostgres:
    """Debian's server on a folder and a port of its own."""

    def __init__(self, binaries, folder, user):
        self.folder, self.port = folder, free_port()
        self._binaries, self._user = binaries, user
        self._process = None
        trust = ["-U", "tarnhelm", "--auth=trust", "-E", "UTF8", "--no-sync"]
        postgres._run([binaries / "initdb", "-D", folder / "data", *trust], folder, user)

    def address(self, port=0, database="postgres"):
        """What a client is given."""
        return make_conninfo(host="127.0.0.1", port=port or self.port, user="tarnhelm", dbname=database)

    def start(self):
        """Start it and wait until it answers."""
        settings = ("listen_addresses=127.0.0.1", f"port={self.port}", "fsync=off", "max_connections=120")
        given = [part for setting in settings for part in ("-c", setting)]
        command = [self._binaries / "postgres", "-D", self.folder / "data", "-k", self.folder, *given]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, user=self._user)
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.address(), connect_timeout=2).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                return

    def database(self):
        """Make an empty database and return its name."""
        name = f"t{uuid.uuid4().hex}"
        with contextlib.closing(psycopg.connect(self.address(), autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def stop(self):
        """Have it break off all connections and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None


@pytest.fixture(scope="module")
def own_postgres():
    """A server for one module, which may stop it; skips where there is none."""
    binaries = postgres._binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install Debian's package postgresql")
    user = postgres._unprivileged()
    with tempfile.TemporaryDirectory(prefix="tarnhelm-pg-") as name:
        folder = Path(name)
        if user is not None:
            postgres.shutil.chown(folder, user)
        server = OwnPostgres(binaries, folder, user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
