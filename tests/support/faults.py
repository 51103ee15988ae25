"""A gateway whose parts talk to each other through Toxiproxy, and what is to be true of it after any fault."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace

import psycopg
import requests
from tests.integration.test_clean import chest_series
from tests.kill.senders import Errand, Senders
from tests.support.answering import Answering, Reply
from tests.support.gateway import GatewayUnderTest, free_port
from tests.support.kafka import PROPERTIES, KafkaServer

from tarnhelm.cli.up.keys import make_keys, public_of
from tarnhelm.cli.up.supervisor import Child, Supervisor

DOORS = ("dicom", "stow", "folder", "ingest")
SERVICES = ("assign", "metadata", "witness")
NEAR = (*SERVICES, "archive", "dicom", "stow")
"""Links of every plant; one on servers has also those to its servers."""
FAR = ("kafka", "s3", "postgres")


@dataclass
class GatewayOnPostgres(GatewayUnderTest):
    """One whose state stands in PostgreSQL; asked directly, whatever lies between it and the gateway."""

    database: str = ""

    def _ask(self, query):
        if not self.database:
            return super()._ask(query)
        with contextlib.closing(psycopg.connect(self.database, connect_timeout=10)) as connection:
            connection.execute("SET search_path = gateway")
            return connection.execute(query).fetchall()


class ServiceGroup:
    """Servers beside a gateway, started again when they die, until closed."""

    def __init__(self, children, gateway):
        self.supervisor = Supervisor(children, gateway.folder / "services", gateway.environment)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def start(self):
        self.supervisor.start()
        self._thread.start()

    def close(self):
        self._stop.set()
        if self._thread.ident:
            self._thread.join()
        self.supervisor.stop()

    def _look(self):
        while not self._stop.wait(0.05):
            self.supervisor.look()


class Archive:
    """A STOW-RS server that keeps each object that it got whole."""

    def __init__(self):
        self.stored = []
        self.server = Answering(self._answer)
        self.server._server.handle_error = lambda *_: None  # connections that are cut are what this is for

    def _answer(self, asked):
        boundary = asked.headers["Content-Type"].rpartition("boundary=")[2].encode()
        tail = b"\r\n--" + boundary + b"--\r\n"
        if not asked.body.endswith(tail):  # the connection ended in the middle
            return Reply(400)
        self.stored.append(hashlib.sha256(asked.body.partition(b"\r\n\r\n")[2][: -len(tail)]).hexdigest())
        return Reply(200, {"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["2.25.1"]}}]}})


class Plant:
    """The gateway, its services, its destination and, with ``servers``, Kafka, S3 and PostgreSQL, linked by proxies.

    Parameters
    ----------
    toxiproxy
        None: everybody is reached directly, and ``links`` is empty.
    servers
        (S3 server, PostgreSQL); a Kafka of its own is started. None: embedded broker, folders, SQLite.
    changes
        Sections of the configuration.
    assigner
        Options of the assigner that say where keys and ledger are; none: on this machine.
    """

    def __init__(self, folder, toxiproxy=None, servers=None, *, changes=None, assigner=()):
        self.toxiproxy, self.servers = toxiproxy, servers
        self._assigner = assigner
        self.kafka = None
        self.gateway = GatewayOnPostgres(folder / "gateway", dict(changes or {}))
        self.metrics_port = _free_ports(5)
        self.archive = Archive()
        self.links = {}
        self._folder = folder
        self._expected = {}
        self._seeds = 0
        self._link_all()

    # --- putting it together ---------------------------------------------------------------------------

    def _link_all(self):
        gateway, link = self.gateway, self._link
        keys = make_keys(gateway.state / "keys")
        ports = {name: free_port() for name in SERVICES}
        for name, port in ports.items():
            link(name, port)
        link("archive", int(self.archive.server.address.rpartition(":")[2]))
        link("dicom", gateway.dicom_port)
        link("stow", gateway.stow_port)
        self.services = ServiceGroup(list(self._children(ports, keys)), gateway)
        quick = {"first_seconds": 0.2, "most_seconds": 2.0}
        gateway.changes |= {
            "services": {name: {"target": self.links[name].address} for name in ("metadata", "witness")},
            "destinations": {
                "out": {"folder": {"folder": str(gateway.out)}},
                "archive": {
                    "stow": {
                        "url": f"http://{self.links['archive'].address}/studies",
                        "notices": str(gateway.folder / "notices"),
                    },
                    "rules": {"retry": quick, "workers": 2},
                },
            },
            "metrics_listen": f"127.0.0.1:{self.metrics_port}",
        }
        if self.servers is not None:
            self._link_servers(*self.servers)
        # What a sender reaches; the folder has no network between.
        self.front = SimpleNamespace(
            dicom_port=self.links["dicom"].port, stow_port=self.links["stow"].port, inbox=gateway.inbox
        )

    def _link(self, name, port):
        address = f"127.0.0.1:{port}"
        if self.toxiproxy is None:
            self.links[name] = SimpleNamespace(port=port, address=address)
        else:
            self.links[name] = self.toxiproxy.link(f"{name}-{port}", address)

    def _link_servers(self, s3, postgres):
        gateway = self.gateway
        port = _free_ports(2)
        self._link("kafka", port)
        folder = self._folder / "kafka"
        folder.mkdir()
        told = f"advertised.listeners=PLAINTEXT://{self.links['kafka'].address}\n"
        self.kafka = KafkaServer(f"127.0.0.1:{port}", "apache", folder, PROPERTIES + told)
        place = s3.place()
        self._link("s3", int(s3.endpoint.rpartition(":")[2]))
        self._link("postgres", postgres.port)
        database = postgres.database()
        gateway.database = postgres.address(database=database)
        address = gateway.folder / "postgres.address"
        address.touch(mode=0o600)
        address.write_text(postgres.address(self.links["postgres"].port, database))
        gateway.changes |= {
            "broker": {"kafka": {"addresses": [self.links["kafka"].address]}, "partitions": 3},
            "state": {"postgres_file": str(address)},
            "blobs": {
                "s3": {
                    "endpoint": f"http://{self.links['s3'].address}",
                    "bucket": place.bucket,
                    "prefix": place.prefix,
                    "access_key_file": str(place.access_key_file),
                    "secret_key_file": str(place.secret_key_file),
                }
            },
        }

    def _children(self, ports, keys):
        python = (sys.executable, "-m")
        scratch = self.gateway.folder / "scratch"
        scratch.mkdir()

        def child(name, module, *arguments):
            listen = ("--listen", f"127.0.0.1:{ports[name]}")
            return Child(f"{name}-service", (*python, f"tarnhelm.{module}.server", *listen, *map(str, arguments)))

        place = self._assigner or ("--state", self.gateway.linkage_state)
        yield child("assign", "linkage", *place, "--ticket-key-file", public_of(keys.ticket))
        yield child("metadata", "metadata", "--assign", self.links["assign"].address, "--workers", "1",
                    "--scratch", scratch)  # fmt: skip
        yield child("witness", "witness", "--workers", "1", "--scratch", scratch,
                    "--signing-key-file", keys.witness)  # fmt: skip

    def start(self):
        """Start everything, and clean what will be sent without any fault between."""
        if not self._assigner:
            assert self.gateway.command("project", "create", "trial").returncode == 0
        if self.kafka is not None:
            self.kafka.start()
        self.services.start()
        self.gateway.start()
        self.broker = self._open_broker()
        return self

    def close(self):
        """End all of it."""
        with contextlib.ExitStack() as last:
            last.callback(self.archive.server.close)
            if self.kafka is not None:
                last.callback(self.kafka.kill)
            last.callback(self.services.close)
            if self.gateway.process is not None:
                last.callback(self.gateway.stop)
            if hasattr(self, "broker"):
                last.callback(self.broker.close)

    def _open_broker(self):
        from tarnhelm.gateway.broker import TOPICS

        if self.kafka is None:
            from tarnhelm.gateway.broker.sqlite import SqliteBroker

            return SqliteBroker(self.gateway.state / "broker", TOPICS)
        from tarnhelm.gateway.broker.kafka import KafkaBroker, KafkaSettings

        return KafkaBroker(KafkaSettings((self.kafka.address,)), TOPICS)

    # --- sending ---------------------------------------------------------------------------------------

    def sources(self, count):
        """Make so many new objects; returns their folder."""
        self._seeds += 1
        return chest_series(self._folder / f"source-{self._seeds}", count, seed=self._seeds)

    def objects(self, count):
        """Make so many new objects, and what a faultless run makes of them."""
        source = self.sources(count)
        clean = self._folder / f"clean-{self._seeds}"
        done = self.gateway.command("clean", source, clean, "--project", "trial")
        assert done.returncode == 0, done.stderr[-800:]
        paths = sorted(source.iterdir())
        made = {hashlib.sha256(path.read_bytes()).hexdigest() for path in clean.rglob("*.dcm")}
        assert len(made) == count
        return paths, made

    def sending(self, paths, *, doors=DOORS, pause=0.0):
        """Send all, by turns through the doors, in threads; returns the one to join."""
        errands = [Errand(path, doors[number % len(doors)]) for number, path in enumerate(paths)]
        senders = Senders(self.front, self.broker, pause)
        thread = SendingThread(senders, errands)
        thread.start()
        return thread

    def check(self, made):
        """Nothing lost, nothing twice, nothing held, and the bytes are those of a run without faults."""
        self._expected |= dict.fromkeys(made)
        wanted = set(self._expected)
        states = self.gateway.await_end(len(wanted), 200)
        assert states == {"released": len(wanted)}, (states, self.gateway.codes(), self.gateway.said())
        digests = [hashlib.sha256(content).hexdigest() for content in self.gateway.released().values()]
        assert Counter(digests) == Counter(wanted)
        assert set(self.archive.stored) == wanted  # at least once, and never other bytes
        self.check_roads()
        documents = [line["document"]["sha256"] for line in self._manifest(len(wanted))]
        assert Counter(documents) == Counter(wanted)

    def check_roads(self):
        """Each object went each step once, in order; in between stands at most that a service lost it or is away."""
        roads = {}
        for object_id, step, code in self.gateway._ask(
            "SELECT object_id, step, code FROM steps ORDER BY object_id, at"
        ):
            roads.setdefault(object_id, []).append((step, code))
        for road in roads.values():
            again = [number for number, step in enumerate(road) if step == ("again", "")]
            assert all(road[number - 1][1] == "STG-006" for number in again), road  # a lost one is taken up, no other
            done = [step for number, (step, code) in enumerate(road) if not code and number not in again]
            assert done == ["admitted", "metadata", "witness", "released"], road
            assert {code for _, code in road if code} <= {"STG-005", "STG-006"}, road

    def _manifest(self, count):
        deadline = time.monotonic() + 60
        while len(self.gateway.manifest()) < count and time.monotonic() < deadline:
            time.sleep(0.2)  # the files follow the state
        return self.gateway.manifest()

    def outages(self):
        """Server → what stops it and what starts it on its data again."""
        s3, postgres = self.servers
        return {
            "kafka": (self.kafka.kill, self.kafka.start),
            "s3": (s3.kill, s3.start),
            "postgres": (postgres.stop, postgres.start),
        }

    # --- looking ---------------------------------------------------------------------------------------

    def metric(self, text):
        """Value of one metric line, of whichever process tells it; None where nobody does."""
        for number in range(5):
            with contextlib.suppress(requests.RequestException):
                answer = requests.get(f"http://127.0.0.1:{self.metrics_port + number}/metrics", timeout=5)
                for line in answer.text.splitlines():
                    if line.startswith(f"{text} "):
                        return float(line.rpartition(" ")[2])
        return None

    def await_metric(self, text, value, seconds=60.0):
        """Wait until a metric has a value; returns the seconds."""
        return await_true(lambda: self.metric(text) == value, seconds, lambda: f"{text}\n{self.gateway.said()}")

    def conditions(self, kind, name):
        """What the processes that run a part say of it on the board."""
        if not self.gateway.database:
            from tarnhelm.gateway.board.sqlite import SqliteBoard

            board = SqliteBoard(self.gateway.state / "board.sqlite")
        else:
            from tarnhelm.gateway.board.postgres import PostgresBoard

            board = PostgresBoard(self.gateway.database)
        with contextlib.closing(board):
            return {note.condition.value for note in board.notes() if (note.kind, note.name) == (kind, name)}

    def suspects(self):
        """How often a service lost an object that it had taken on."""
        logs = (self.gateway.state / "log").glob("*.log")
        return sum(path.read_text(errors="replace").count('"object-suspect"') for path in logs)


class SendingThread(threading.Thread):
    """Runs senders; ``join`` raises what they met."""

    def __init__(self, senders, errands):
        super().__init__()
        self.senders, self._errands = senders, errands
        self._failure = None

    def run(self):
        try:
            self.senders.run(self._errands, threads_each=1)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever joins
            self._failure = error

    def join(self, timeout=None):
        super().join(timeout)
        if self._failure is not None:
            raise self._failure


def await_true(condition, seconds, told=lambda: ""):
    """Wait until a condition holds; returns how long that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, told()
        time.sleep(0.05)
    return time.monotonic() - begun


def _free_ports(count):
    """The first of so many neighbouring free ports."""
    for _ in range(200):
        first = free_port()
        with contextlib.ExitStack() as held:
            try:
                for number in range(count):
                    one = held.enter_context(socket.socket())
                    one.bind(("127.0.0.1", first + number))
            except (OSError, OverflowError):
                continue
            return first
    raise AssertionError("no neighbouring free ports")
