"""The assign server as a user starts it: a process of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.vault_sessions import private, until

from tarnhelm.common.assign_client import AssignChannel, channel_to
from tarnhelm.common.tickets import TicketIssuer
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.core.identities import Identities
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.linkage.core.projects_postgres import PostgresProjects
from tarnhelm.linkage.local import LocalLinkage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.support.openbao import Bao

    from tarnhelm.common.assign import AssignReply, AssignRequest
    from tarnhelm.linkage.core.ledger import Ledger
    from tarnhelm.linkage.core.project import Project

NAME = "tarnhelm.v1.AssignService"
METHOD = f"/{NAME}/Assign"
_LISTENING = re.compile(r"listening on port (\d+)(?:, metrics on port (\d+))?")


class Gateway:
    """Whoever signs tickets; ``key_file`` is its public half."""

    def __init__(self, folder: Path, name: str = "gateway") -> None:
        self.key = Ed25519PrivateKey.generate()
        self.key_file = folder / f"{name}.pem"
        self.key_file.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self._count = 0

    def ticket(self, project: str, *, object_id: str = "", **issuing: Any) -> bytes:
        self._count += 1
        questions = issuing.pop("questions", 1)
        return TicketIssuer(self.key, **issuing).issue(
            project, object_id or f"object-{self._count}", questions=questions
        )


@dataclass
class AssignServer:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    metrics_port: int
    lines: list[str] = field(default_factory=list)
    tls: tuple[Path, Path | None, Path | None] | None = None
    opened: list[AssignChannel] = field(default_factory=list)

    @classmethod
    def started(cls, command: Sequence[str], tls: Any = None) -> AssignServer:
        """Start a command, and wait until it says that it listens."""
        environment = dict(os.environ, PYTHONWARNINGS="")
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
        )
        assert process.stderr is not None
        for line in iter(process.stderr.readline, ""):
            if found := _LISTENING.search(line):
                return cls(process, int(found[1]), int(found[2] or 0), [line], tls)
        raise AssertionError(f"the server ended with {process.wait(30)}")

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def channel(self, *, timeout_seconds: float = 20.0) -> AssignChannel:
        ca, certificate, key = self.tls or (None, None, None)
        made = channel_to(self.target, ca_file=ca, certificate_file=certificate, key_file=key)
        self.opened.append(AssignChannel(made, timeout_seconds=timeout_seconds))
        return self.opened[-1]

    def ask(self, ticket: bytes, request: AssignRequest) -> AssignReply:
        with_channel = self.opened[0] if self.opened else self.channel()
        return with_channel.ask(ticket, request)

    def health(self, service: str = NAME) -> str:
        ca, certificate, key = self.tls or (None, None, None)
        with channel_to(self.target, ca_file=ca, certificate_file=certificate, key_file=key) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=5
            )
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def events(self, name: str) -> list[str]:
        return [line for line in self.lines if f'"name":"{name}"' in line]

    def stop(self, *, kill: bool = False) -> int:
        for channel in self.opened:
            channel.close()
        self.opened.clear()
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        status = self.process.wait(60)
        until(lambda: not self._reader.is_alive(), "the output of the server does not end")
        return status

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            self.lines.extend(iter(stream.readline, ""))


def start_server(*arguments: object, tls: Any = None, prefix: Sequence[str] = ()) -> AssignServer:
    """Start a server and wait until it listens."""
    command = [*prefix, sys.executable, "-m", "tarnhelm.linkage.server", "--listen", "127.0.0.1:0", "--drain-seconds", "0",
               "--metrics-listen", "0", *map(str, arguments)]  # fmt: skip
    return AssignServer.started(command, tls)


class LocalPlace:
    """Keys, ledger and projects in a state directory."""

    name = "local"

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.linkage = LocalLinkage(self.state)
        self.arguments: list[object] = ["--state", self.state]

    def create(self, label: str) -> Project:
        return self.linkage.create(label)

    def assigner(self, project: Project) -> LocalAssigner:
        return self.linkage.assigner(project.id)

    def ledger(self, project: Project) -> Ledger:
        return self.linkage.ledger(project.id)

    def identities(self, project: Project) -> Identities:
        return self.linkage.identities(project.id)

    def destroy(self, project: Project) -> None:
        self.linkage.destroy(project.id)


class ServerPlace:
    """Keys in OpenBao, ledger and projects in PostgreSQL."""

    name = "server"

    def __init__(self, folder: Path, bao: Bao, address: str) -> None:
        self.bao = bao
        self.address = address
        self.projects = PostgresProjects(address)
        login = bao.login("assign")
        self.secret_id_file = login.secret_id_file
        self.database_file = private(folder / "database", address + "\n")
        self.arguments: list[object] = [
            "--vault-address", bao.address, "--vault-role-id", login.role_id,
            "--vault-secret-id-file", login.secret_id_file, "--database-file", self.database_file,
            *(["--vault-ca-file", bao.ca_file] if bao.ca_file else []),
        ]  # fmt: skip

    def create(self, label: str) -> Project:
        keeper = self.bao.keeper()
        return self.projects.create(label, before=lambda made: keeper.create(made.id, made.epoch, None))

    def assigner(self, project: Project) -> LocalAssigner:
        return LocalAssigner(self.projects.get(project.id), self.bao.vault(), self.ledger(project))

    def ledger(self, project: Project) -> Ledger:
        return PostgresLedger(self.address, project.id)

    def identities(self, project: Project) -> Identities:
        return Identities.of(self.bao.vault(), project)

    def destroy(self, project: Project) -> None:
        """As the steward does it: keys, ledger, then the project's document."""
        self.bao.keeper().destroy(project.id)
        ledger = self.ledger(project)
        ledger.destroy()
        ledger.close()
        self.projects.mark_destroyed(project.id)

    def close(self) -> None:
        self.projects.close()


Place = LocalPlace | ServerPlace


def counts_of(place: Place, project: Project) -> tuple[int, int, int]:
    """Subjects, studies and records that a project's ledger holds."""
    ledger = place.ledger(project)
    found = ledger.counts()
    ledger.close()
    return found.subjects, found.studies, found.records


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


@pytest.fixture(params=["local", "server"])
def assign_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where keys and ledger are, of each kind in turn."""
    if request.param == "local":
        yield LocalPlace(tmp_path)
        return
    place = ServerPlace(tmp_path, request.getfixturevalue("bao"), request.getfixturevalue("postgres").database())
    yield place
    place.close()


@pytest.fixture
def launch(gateway: Gateway) -> Iterator[Callable[..., AssignServer]]:
    """Start servers that end with the test."""
    running: list[AssignServer] = []

    def start(place: Place, *arguments: object, **settings: Any) -> AssignServer:
        running.append(start_server(*place.arguments, "--ticket-key-file", gateway.key_file, *arguments, **settings))
        return running[-1]

    yield start
    for server in running:
        if server.process.poll() is None:
            server.stop(kill=True)
