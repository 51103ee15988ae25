"""A gateway that people look at: real stores, the admin service and the page on this machine, and a browser of sorts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import httpx
import pytest
from tarnhelm.v1 import admin_pb2_grpc
from tools.demo_gateway import Running, World

from tarnhelm.gateway.admin.client import metadata_for
from tarnhelm.gateway.admin.people import Person
from tarnhelm.gateway.admin.server import AdminServer
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.web.passwords import Cost
from tarnhelm.gateway.web.server import WebServer

__all__ = ["Browser", "Desk", "Hospital", "eventually", "hospital", "world"]

PASSWORD = "four random words here"  # noqa: S105 - of a test's account
CHEAP = Cost(log_n=4)


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    """Empty stores."""
    made = World(tmp_path / "world")
    yield made
    made.close()


class Desk:
    """The admin service's stub, called for one person."""

    def __init__(self, port: int, token: str, person: Person | None = None) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = admin_pb2_grpc.AdminServiceStub(self._channel)
        self.metadata = metadata_for(token, person)

    def __call__(self, method: str, request: Any) -> Any:
        return getattr(self._stub, method)(request, timeout=30, metadata=self.metadata, wait_for_ready=True)

    def code(self, method: str, request: Any) -> str:
        """Code that a call is refused with."""
        with pytest.raises(grpc.RpcError) as caught:
            self(method, request)
        return dict(caught.value.trailing_metadata()).get("tarnhelm-code", "")

    def close(self) -> None:
        self._channel.close()


class Browser:
    """Cookies, forms and links of one person's browser."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.origin, timeout=30, trust_env=False)
        self.seen: list[str] = []

    def get(self, path: str, **more: Any) -> httpx.Response:
        answer = self.client.get(path, **more)
        self.seen.append(answer.text)
        return answer

    def post(self, path: str, fields: Any, page: str | None = None, **more: Any) -> httpx.Response:
        """Send a form with the token of a page that was opened before."""
        headers = {
            "Origin": self.origin,
            "Content-Type": "application/x-www-form-urlencoded",
            **more.pop("headers", {}),
        }
        if page is not None:
            fields = {"form": self.form(page), **fields}
        answer = self.client.post(path, data=fields, headers=headers, **more)
        self.seen.append(answer.text)
        return answer

    def form(self, page: str) -> str:
        """Token in the forms of a page."""
        found = re.search(r'name="form" value="([^"]+)"', self.get(page).text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/login", {"name": name, "password": password}, "/login")

    def close(self) -> None:
        self.client.close()


class Hospital:
    """Everything, running."""

    def __init__(self, world: World, stack: ExitStack, **web: Any) -> None:
        self.world = world
        self._stack = stack
        self.admin_port = stack.enter_context(Running(AdminServer(world.admin_settings(), world.parts())))
        self.links: list[str] = []
        self.web = WebServer(
            world.web_settings(self.admin_port, **web), world.log, announce=self.links.append, cost=CHEAP
        )

    def open(self) -> int:
        """Start the page."""
        return self._stack.enter_context(Running(self.web))

    def person(self, name: str, role: Role) -> None:
        self.web.accounts.add(name, name.rpartition(".")[2].capitalize(), role, PASSWORD)

    def browser(self, name: str = "") -> Browser:
        """A browser; signed in where a name is given."""
        made = Browser(self.web.port)
        self._stack.callback(made.close)
        if name:
            assert made.sign_in(name).status_code == 303
        return made

    def desk(self, subject: str, role: Role, name: str = "Somebody") -> Desk:
        token = self.world.token_file.read_text()
        made = Desk(self.admin_port, token, Person(subject, name, role))
        self._stack.callback(made.close)
        return made


@contextmanager
def running_hospital(world: World, **web: Any) -> Iterator[Hospital]:
    """Start an admin service, and make a page that is not open yet."""
    with ExitStack() as stack:
        yield Hospital(world, stack, **web)


@pytest.fixture
def hospital(world) -> Iterator[Hospital]:
    """Admin service and page with one account of each role: v.viewer, r.reviewer, s.second, a.admin."""
    with running_hospital(world) as made:
        for name, role in (("v.viewer", Role.VIEWER), ("r.reviewer", Role.REVIEWER), ("s.second", Role.REVIEWER),
                           ("a.admin", Role.ADMIN)):  # fmt: skip
            made.person(name, role)
        made.open()
        yield made


def eventually(question: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Ask until the answer is true."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
    return answer
