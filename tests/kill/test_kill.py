"""Nothing lost, nothing twice, nothing unclean: objects through every door while processes are killed.

The real gateway with all of its processes; only the metadata service knows some poison (:mod:`tests.kill.poisoned`).
The long form is ``make kill-test``.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import json
import os
import random
import signal
import sys
import threading
import time

import pytest
from pydicom import dcmread
from tests.hostile import files as hostile
from tests.integration.test_clean import chest_series
from tests.kill import poisoned
from tests.kill.senders import Senders, errands_of
from tests.support.gateway import GatewayUnderTest, free_port
from tests.support.kafka import NO_PROCESS, KafkaServer, launcher

from tarnhelm.cli.up.keys import make_keys, public_of
from tarnhelm.cli.up.supervisor import Child, Supervisor

# pynetdicom's client leaves the socket of a connection that was cut off to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class Services:
    """The assigner and a metadata service that knows poison, kept running beside the gateway."""

    def __init__(self, gateway, sockets):
        keys = make_keys(gateway.state / "keys")
        self.target = f"unix:{sockets}/m.sock"
        assign = f"unix:{sockets}/a.sock"
        scratch = gateway.folder / "scratch"
        scratch.mkdir()
        python = (sys.executable, "-m")
        self.supervisor = Supervisor(
            [
                Child(
                    "assign",
                    (*python, "tarnhelm.linkage.server", "--listen", assign, "--state", str(gateway.linkage_state),
                     "--ticket-key-file", str(public_of(keys.ticket))),
                ),
                Child(
                    "metadata-service",
                    (*python, "tests.kill.poisoned", "--listen", self.target, "--assign", assign, "--workers", "1",
                     "--scratch", str(scratch)),
                ),
            ],
            gateway.folder / "services",
            gateway.environment,
        )  # fmt: skip
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def start(self):
        self.supervisor.start()
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        self.supervisor.stop()

    def pids(self):
        return {one.child.name: one.pid for one in self.supervisor.watched if one.pid}

    def _look(self):
        while not self._stop.wait(0.05):
            self.supervisor.look()


class Killer:
    """Kills a process of chance, again and again, until told to stop."""

    def __init__(self, gateway, services, every_seconds, seed, servers=()):
        self.kills = collections.Counter()
        self._gateway = gateway
        self._services = services
        self._servers = dict(servers)
        self._every = every_seconds
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self):
        while not self._stop.wait(self._every):
            victims = {**self._gateway.children(), **self._services.pids()}
            names = sorted([*victims, *self._servers])
            if not names:
                continue
            name = self._rng.choice(names)
            if name in self._servers:
                self._servers[name]()
            else:
                try:
                    os.kill(victims[name], signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.kills[name] += 1


def poison(folder, template):
    """Write objects that nobody can clean: path → codes that they may end with."""
    made = {}

    def write(name, mark):
        dataset = dcmread(template)
        dataset.SOPInstanceUID = f"2.25.{int.from_bytes(hashlib.sha256(name.encode()).digest()[:12], 'big')}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.add_new(0x00091001, "LO", "POISON")
        dataset.add_new(0x00091002, "OB", mark + b" " * (len(mark) % 2))
        path = folder / f"{name}.dcm"
        dataset.save_as(path)
        return path

    # Where its service was killed three times with it in hand, that is what is known of it.
    made[write("kills", poisoned.KILLS)] = {"LIM-007", "GTW-032"}
    made[write("hangs", poisoned.HANGS)] = {"LIM-006", "GTW-032"}
    bomb = folder / "bomb.dcm"
    bomb.write_bytes(hostile.deflate_bomb())
    made[bomb] = {"LIM-005"}
    return made


def expected_of(gateway, source, folder):
    """What a run without faults releases: sha256 of each output, by the same project on the same machine."""
    done = gateway.command("clean", source, folder, "--project", "trial")
    assert done.returncode == 0, done.stderr[-800:]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm")}


def check_history(gateway, expected, poisons):
    """Every promise, looked up in what is left: states, roads, manifest, folder."""
    states = gateway.states()
    assert states == {"released": len(expected), "quarantined": len(poisons)}, (states, gateway.codes())
    codes = [code for (state, code), number in gateway.codes().items() if state == "quarantined" for _ in range(number)]
    assert any(
        all(code in allowed for code, allowed in zip(order, poisons.values(), strict=True))
        for order in itertools.permutations(codes)
    ), codes
    files = gateway.released()
    digests = [hashlib.sha256(content).hexdigest() for content in files.values()]
    assert len(digests) == len(set(digests))  # no output has two versions
    assert set(digests) == expected  # and each is that of a run without faults
    deadline = time.monotonic() + 60
    while len(gateway.manifest()) < len(expected) and time.monotonic() < deadline:
        time.sleep(0.2)  # the files follow the state
    documents = [line["document"] for line in gateway.manifest()]
    assert collections.Counter(one["sha256"] for one in documents) == collections.Counter(expected)
    assert {one["path"] for one in documents} == set(files)
    key = public_of(gateway.state / "keys" / "manifest.pem")
    verified = gateway.command("manifest", "verify", gateway.state / "manifest", "--key", key)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def run_under_fire(
    tmp_path, tmp_path_factory, *, count, every_seconds, least_kills, changes=None, servers=(), broker=None
):
    """Send, kill, wait for the end, check."""
    gateway = GatewayUnderTest(tmp_path / "gateway", dict(changes or {}))
    source = chest_series(tmp_path / "source", count)
    objects = sorted(source.iterdir())
    folder = tmp_path / "poison"
    folder.mkdir()
    poisons = poison(folder, objects[0])
    assert gateway.command("project", "create", "trial").returncode == 0
    expected = expected_of(gateway, source, tmp_path / "expected")
    assert len(expected) == count
    services = Services(gateway, tmp_path_factory.mktemp("s"))
    gateway.changes["services"] = {"metadata": {"target": services.target}}
    services.start()
    killer = Killer(gateway, services, every_seconds, seed=11, servers=servers)
    try:
        gateway.start()
        opened = broker() if broker is not None else open_embedded(gateway)
        bomb = folder / "bomb.dcm"
        errands = errands_of([*objects, *poisons], seed=5, only={bomb: ("folder", "ingest", "stow")})
        killer.start()
        Senders(gateway, opened).run(errands)
        wanted = count + len(poisons)
        deadline = time.monotonic() + 900
        while sum(killer.kills.values()) < least_kills:
            assert time.monotonic() < deadline, f"{gateway.states()} {killer.kills}\n{gateway.said()}"
            time.sleep(0.2)
        killer.stop()  # a group that is killed faster than it starts does nothing at all
        gateway.await_end(wanted, 300)
        opened.close()
        assert sum(killer.kills.values()) >= least_kills
        check_history(gateway, expected, poisons)
        sys.stderr.write(json.dumps({"objects": wanted, "errands": len(errands), "kills": killer.kills}) + "\n")
    finally:
        killer.stop()
        if gateway.process is not None:
            gateway.stop()
        services.close()


def open_embedded(gateway):
    from tarnhelm.gateway.broker import TOPICS
    from tarnhelm.gateway.broker.sqlite import SqliteBroker

    return SqliteBroker(gateway.state / "broker", TOPICS)


def test_processes_are_killed_and_nothing_is_lost(tmp_path, tmp_path_factory):
    run_under_fire(tmp_path, tmp_path_factory, count=40, every_seconds=1.0, least_kills=6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_objects_on_the_embedded_broker(tmp_path, tmp_path_factory):
    run_under_fire(tmp_path, tmp_path_factory, count=1000, every_seconds=2.0, least_kills=30)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(launcher() is None, reason=NO_PROCESS)
def test_a_thousand_objects_on_apache_kafka_and_s3(tmp_path, tmp_path_factory, own_s3_server):
    """Broker and S3 server are among the victims; what is killed of them is started again on its data."""
    from tarnhelm.gateway.broker import TOPICS
    from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings

    kafka = KafkaServer(f"127.0.0.1:{free_port()}", "apache", tmp_path_factory.mktemp("kafka"))
    kafka.start()
    place = own_s3_server.place()

    def kill_kafka():
        kafka.kill()
        kafka.start()

    def kill_s3():
        own_s3_server.kill()
        own_s3_server.start()

    changes = {
        "broker": {"kafka": {"addresses": [kafka.address]}},
        "blobs": {
            "s3": {
                "endpoint": place.endpoint,
                "bucket": place.bucket,
                "prefix": place.prefix,
                "access_key_file": str(place.access_key_file),
                "secret_key_file": str(place.secret_key_file),
            }
        },
    }
    try:
        run_under_fire(
            tmp_path,
            tmp_path_factory,
            count=1000,
            every_seconds=10.0,
            least_kills=30,
            changes=changes,
            servers={"kafka": kill_kafka, "s3": kill_s3},
            broker=lambda: KafkaBroker(KafkaSettings((kafka.address,)), TOPICS),
        )
    finally:
        kafka.kill()
