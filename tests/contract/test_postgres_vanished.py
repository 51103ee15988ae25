"""A PostgreSQL that vanishes without a word, as with a machine that loses its power: packets are dropped, nobody says so.

In a network of the test's own, where the kernel can be told to drop packets; needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"')


def in_a_network_of_its_own():
    """Whether this user may make one."""
    tools = all(map(shutil.which, ("unshare", "ip", "iptables")))
    return tools and not subprocess.run([*NETWORK, "iptables", "-S"], capture_output=True, check=False).returncode


@pytest.mark.slow
def test_a_database_that_vanished_is_noticed_long_before_the_kernel_gives_up():
    if not in_a_network_of_its_own():
        pytest.skip("a network of one's own needs root, unshare, ip and iptables")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run(
        [*NETWORK, sys.executable, "-m", "tests.contract.test_postgres_vanished"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if done.returncode == 5:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    noticed, recovered = map(float, done.stdout.split())
    assert 5 < noticed < 100, noticed  # said to be away; a unit of work is tried once more before
    assert recovered < 15, recovered


def main():
    """Ask, drop its packets, ask, let them through, ask; tell how long the last two took."""
    from tests.support import postgres
    from tests.support.postgres_own import OwnPostgres

    from tarnhelm.common import errors
    from tarnhelm.common.errors import TarnhelmError
    from tarnhelm.common.postgres import Database

    binaries = postgres._binaries()
    if binaries is None:
        sys.stdout.write("no PostgreSQL: install Debian's package postgresql")
        return 5
    user = postgres._unprivileged()
    with tempfile.TemporaryDirectory() as name:
        if user is not None:
            shutil.chown(name, user)
        server = OwnPostgres(binaries, Path(name), user)
        server.start()
        nothing = {"configure": lambda _: None, "prepare": lambda _: None}
        database = Database(server.address(), away=errors.STATE_AWAY, broken=errors.STATE_BROKEN, **nothing)

        def ask():
            begun = time.monotonic()
            try:
                database.use(lambda connection: connection.execute("SELECT 1").fetchone())
            except TarnhelmError as error:
                return time.monotonic() - begun, error.kind
            return time.monotonic() - begun, None

        rule = ("INPUT", "-p", "tcp", "--dport", str(server.port), "-j", "DROP")
        assert ask()[1] is None
        subprocess.run(["iptables", "-I", *rule], check=True)
        noticed, kind = ask()
        assert kind is errors.STATE_AWAY, kind
        subprocess.run(["iptables", "-D", *rule], check=True)
        back = time.monotonic()
        while ask()[1] is not None:
            assert time.monotonic() - back < 60
        sys.stdout.write(f"{noticed} {time.monotonic() - back}")
        database.close()
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
