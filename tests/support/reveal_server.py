"""A reveal server for tests, on the real OpenBao (links and logins) and the real PostgreSQL (ledger, cases, people)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import requests
from tests.support.certificates import Authority

from tarnhelm.common import serve
from tarnhelm.common.assign import AssignRequest
from tarnhelm.linkage.core.assign import LocalAssigner
from tarnhelm.linkage.core.ledger_postgres import PostgresLedger
from tarnhelm.linkage.core.ledger_postgres_schema import grant_reading
from tarnhelm.linkage.core.projects_postgres import PostgresProjects
from tarnhelm.reveal.client.login import Means, Way, log_in
from tarnhelm.reveal.client.office import LOGIN_NAME, RemoteOffice
from tarnhelm.reveal.client.settings import RemoteSettings, write_remote
from tarnhelm.reveal.core import cases
from tarnhelm.reveal.core.cases import CaseKind, Step
from tarnhelm.reveal.core.database import grant_serving, make_tables
from tarnhelm.reveal.core.keyring import new_keys, write_keys
from tarnhelm.reveal.core.people import Role, make_card
from tarnhelm.reveal.identity.login import write_login
from tarnhelm.reveal.local import LocalReveal
from tarnhelm.reveal.server.main import opened_service
from tarnhelm.reveal.server.settings import parse_server_settings

CANARIES = {
    "patient_id": "CANARYMRN",
    "patient_name": "CANARY^NAME^ZOË",
    "accession_number": "CANARYACC",
    "study_uid": "1.2.826.0.1.3680043.8.498.424242",
}
PEOPLE = {"alice": {Role.ADMIN, Role.APPROVER}, "bob": {Role.REQUESTER}, "carol": {Role.APPROVER},
          "dave": {Role.REQUESTER}, "erin": {Role.AUDITOR}}  # fmt: skip
PASSPHRASE = b"correct horse"
_COUNT = itertools.count(1)


class BaoProvider:
    """OpenBao's own OpenID provider; its users are entities with a token each, as after some login."""

    def __init__(self, bao: Any) -> None:
        self.bao = bao
        self.name = f"reveal-{next(_COUNT)}-{secrets.token_hex(3)}"
        bao.admin("POST", f"auth/token/roles/{self.name}", {"allowed_entity_aliases": "*", "orphan": True})
        bao.admin("POST", f"identity/oidc/key/{self.name}", {"algorithm": "RS256", "allowed_client_ids": ["*"]})
        bao.admin("POST", f"identity/oidc/assignment/{self.name}", {"entity_ids": ["*"], "group_ids": ["*"]})
        client = {
            "redirect_uris": ["http://127.0.0.1/callback"],
            "assignments": ["allow_all"],
            "key": self.name,
            "id_token_ttl": "30m",
            "access_token_ttl": "30m",
            "client_type": "public",
        }
        bao.admin("POST", f"identity/oidc/client/{self.name}", client)
        self.client = bao.admin("GET", f"identity/oidc/client/{self.name}")["data"]["client_id"]
        bao.admin("POST", f"identity/oidc/provider/{self.name}", {"allowed_client_ids": [self.client]})
        found = bao.call("GET", f"identity/oidc/provider/{self.name}/.well-known/openid-configuration", token="")[1]
        self.issuer = found["issuer"]

    def user(self, name: str) -> str:
        """Make a user; gives the subject that tokens will name."""
        setattr(self, f"_{name}", self._token(name, self._policy()))
        return f"{self.issuer}#{getattr(self, f'_{name}')['entity_id']}"

    def token_for(self, name: str, policy: str) -> str:
        """Another token of the same human, for something else than logging in."""
        return str(self._token(name, policy)["client_token"])

    def token(self, name: str) -> str:
        return str(getattr(self, f"_{name}")["client_token"])

    def entity(self, name: str) -> str:
        return str(getattr(self, f"_{name}")["entity_id"])

    def browser(self, name: str) -> Any:
        """What a person's browser does with the address that is shown."""

        def show(address: str, code: str) -> None:
            assert not code
            query = dict(parse_qsl(urlsplit(address).query))
            status, document = self.bao.call(
                "POST", f"identity/oidc/provider/{self.name}/authorize", query, token=self.token(name)
            )
            assert status == 200, document
            with requests.Session() as http:
                http.trust_env = False
                back = {"code": document["code"], "state": document["state"]}
                assert http.get(query["redirect_uri"], params=back, timeout=10).status_code == 200

        return show

    def _token(self, name: str, policy: str) -> dict[str, Any]:
        wanted = {"entity_alias": f"{self.name}-{name}", "policies": [policy], "ttl": "1h", "no_default_policy": True}
        return dict(self.bao.admin("POST", f"auth/token/create/{self.name}", wanted)["auth"])

    def _policy(self) -> str:
        policy = f'path "identity/oidc/provider/{self.name}/authorize" {{ capabilities = ["read", "update"] }}'
        self.bao.admin("PUT", f"sys/policies/acl/{self.name}", {"policy": policy})
        return self.name


@dataclass
class Replica:
    """One running server, in a thread of its own."""

    here: LocalReveal
    port: int
    stop: Any
    thread: threading.Thread

    def close(self) -> None:
        if self.thread.is_alive():
            self.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@dataclass
class Hospital:
    """People, a project with one subject of canaries, and the means to start servers and clients."""

    folder: Path
    bao: Any
    provider: BaoProvider
    ledger_address: str
    cases_address: str
    clock: Any = field(default=lambda: int(time.time()))
    role: str = ""
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def prepare(self) -> None:
        self.authority = Authority(self.folder / "tls")
        self.pair = self.authority.issue("reveal", "localhost")
        self.person_pair = self.authority.issue("person", "people.example")
        self._links()
        self._people()

    def _links(self) -> None:
        projects = PostgresProjects(self.ledger_address)
        keeper = self.bao.keeper()
        self.project = projects.create(
            f"trial-{secrets.token_hex(4)}", before=lambda made: keeper.create(made.id, made.epoch, None)
        )
        ledger = PostgresLedger(self.ledger_address, self.project.id)
        assigner = LocalAssigner(self.project, self.bao.vault(), ledger)
        self.series = "1.2.826.0.1.3680043.8.498.424242.1"
        self.reply = assigner.assign(
            AssignRequest(
                patient_id=CANARIES["patient_id"],
                issuer="HOSPITAL",
                study_uid=CANARIES["study_uid"],
                sex="F",
                uids=(CANARIES["study_uid"], self.series),
                values=(),
                way_back=(
                    ("patient_name", CANARIES["patient_name"]),
                    ("accession_number", CANARIES["accession_number"]),
                ),
            )
        )
        assigner.close()
        projects.close()
        self.study = self.reply.uids[CANARIES["study_uid"]]

    def _people(self) -> None:
        self.keys = {name: new_keys() for name in PEOPLE}
        self.subjects = {name: self.provider.user(name) for name in PEOPLE}
        here = self.place("one")
        card = {name: make_card(keys, name, name.title(), self.subjects[name]) for name, keys in self.keys.items()}
        share = self.folder / "share"
        share.mkdir()
        settings = here.found(card["alice"], PEOPLE["alice"], self.keys["alice"], anchors=[str(share)])
        self.root = settings.root
        people = here.people()
        with here.audit() as audit:
            for name in ("bob", "carol", "dave", "erin"):
                people.change(
                    audit,
                    lambda register, name=name: register.enrol(
                        card[name], PEOPLE[name], self.keys["alice"], self.clock()
                    ),
                    person=name, by="alice", what="enrol",
                )  # fmt: skip

    # --- servers -----------------------------------------------------------------------------------------------

    def place(self, name: str) -> LocalReveal:
        return LocalReveal(self.folder / f"server-{name}", clock=self.clock)

    def config(self, *, port: int = 0, role: str = "reveal", extra: str = "", cases: bool = True) -> str:
        login = self.bao.login("reveal", **({} if role == "reveal" else {"token_policies": [f"tarnhelm-{role}"]}))
        addresses = {"ledger": self.ledger_address, "cases": self.cases_address}
        for name, address in addresses.items():
            path = self.folder / f"{name}.address"
            path.touch(mode=0o600)
            path.write_text(as_role(address, self.role) + "\n")
        ca = f'ca_file = "{self.bao.ca_file}"' if self.bao.ca_file else ""
        return f"""
format = 1
[server]
listen = "127.0.0.1:{port}"
tls_certificate_file = "{self.pair.certificate}"
tls_key_file = "{self.pair.key}"
client_ca_file = "{self.authority.ca_file}"
callers = ["people.example"]
[identity]
issuer = "{self.provider.issuer}"
audience = "{self.provider.client}"
{ca}
[vault]
address = "{self.bao.address}"
{ca}
role_id = "{login.role_id}"
secret_id_file = "{login.secret_id_file}"
{extra}
[ledger]
database_file = "{self.folder / "ledger.address"}"
{f'[cases]{chr(10)}database_file = "{self.folder / "cases.address"}"' if cases else ""}
"""

    def start(self, name: str = "one", **settings: Any) -> Replica:
        """Start a replica in a thread; closed with the hospital."""
        here = self.place(name)
        parsed = parse_server_settings(self.config(**settings).encode())
        ready = threading.Event()
        found: dict[str, Any] = {}

        async def run() -> None:
            running = await serve.start(parsed.server, found["service"])
            running.settings = parsed.server
            found["port"], found["end"], found["loop"] = running.port, asyncio.Event(), asyncio.get_running_loop()
            ready.set()
            await found["end"].wait()
            await running.server.stop(1)
            if running.watch is not None:
                running.watch.cancel()

        def work() -> None:
            try:
                with opened_service(here, parsed) as service:
                    found["service"] = service
                    asyncio.run(run())
            except BaseException as error:  # noqa: BLE001 - told to the test, in its own thread
                found["error"] = error
                ready.set()

        thread = threading.Thread(target=work, name=f"replica-{name}")
        thread.start()
        assert ready.wait(30)
        if "error" in found:
            thread.join()
            raise found["error"]
        replica = Replica(here, found["port"], lambda: found["loop"].call_soon_threadsafe(found["end"].set), thread)
        self.closing.callback(replica.close)
        return replica

    # --- people ------------------------------------------------------------------------------------------------

    def remote(self, port: int, **settings: Any) -> RemoteSettings:
        return RemoteSettings(
            f"127.0.0.1:{port}", self.root, self.provider.issuer, self.provider.client,
            ca_file=self.authority.ca_file, certificate_file=self.person_pair.certificate,
            key_file=self.person_pair.key, identity_ca_file=self.bao.ca_file,
            vault_address=self.bao.address, vault_ca_file=self.bao.ca_file, **settings,
        )  # fmt: skip

    def home(self, name: str, port: int) -> Path:
        """A person's private directory, connected to a server and with the key file beside it."""
        folder = self.folder / f"home-{name}"
        write_remote(folder / "reveal", self.remote(port), replace=True)
        if not (folder / f"{name}.pem").exists():
            write_keys(folder / f"{name}.pem", self.keys[name], PASSPHRASE)
            (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
        return folder

    def log_in(self, name: str, port: int, *, account: str = "", clock: Any = None) -> Path:
        """Log a person in (with the account of ``account``), as the tool does."""
        home = self.home(name, port)
        show = self.provider.browser(account or name)
        means = Means(clock or self.clock, time.monotonic, time.sleep, os.urandom, show)
        login, _ = log_in(self.remote(port), self.keys[name], Way.BROWSER, means)
        write_login(home / "reveal" / LOGIN_NAME, login)
        return home

    def office(self, name: str, port: int, *, waits: Any = lambda _: None, login: bool = True) -> RemoteOffice:
        home = self.log_in(name, port) if login else self.home(name, port)
        office = RemoteOffice(home / "reveal", self.remote(port), clock=self.clock, random=os.urandom, waits=waits)
        self.closing.callback(office.close)
        return office

    def case(self, office: RemoteOffice, who: str = "bob", kind: CaseKind = CaseKind.ANSWER, *names: str) -> Any:
        """Open a case."""
        wanted = names if names or kind is CaseKind.MAPPING else (self.study,)
        return office.open(self.signed_case(who, kind, *wanted))

    def signed_case(self, who: str, kind: CaseKind, *names: str) -> Any:
        register = self.place("one").people().load()
        return cases.open_case(
            self.keys[who], register.get(who), case_id=secrets.token_hex(16), project=self.project.id, kind=kind,
            surrogates=names, purpose="Incidental finding, tell the physician", legal_basis="Consent form v3, s. 8",
            opened=self.clock(), expires=self.clock() + 86_400,
        )  # fmt: skip

    def decision(self, who: str, view: Any, step: Step = Step.APPROVE) -> Any:
        person = self.place("one").people().load().get(who)
        return cases.decide(self.keys[who], person, view.digest, step, self.clock())

    def wish(self, view: Any, who: str = "bob") -> Any:
        person = self.place("one").people().load().get(who)
        return cases.collect(self.keys[who], person, view.digest, self.clock())

    def close(self) -> None:
        self.closing.close()


def databases(postgres: Any) -> tuple[str, str, str]:
    """Addresses of a ledger and of a database of cases, and a role that may read the one and add to the other."""
    role = f"reveal_{secrets.token_hex(4)}"
    owner_ledger, owner_cases = postgres.database(), postgres.database()
    PostgresProjects(owner_ledger).close()
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
    with psycopg.connect(owner_cases, autocommit=True) as connection:
        make_tables(connection)
        grant_serving(connection, role)
    with psycopg.connect(owner_ledger, autocommit=True) as connection:
        grant_reading(connection, role)
    return owner_ledger, owner_cases, role


def as_role(address: str, role: str) -> str:
    return psycopg.conninfo.make_conninfo(address, user=role)


def new_hospital(folder: Path, bao: Any, postgres: Any, **given: Any) -> Hospital:
    """A hospital whose people and links are there; no server runs yet."""
    ledger, cases_, role = databases(postgres)
    found = Hospital(folder, bao, BaoProvider(bao), ledger, cases_, role=role, **given)
    found.prepare()
    return found
