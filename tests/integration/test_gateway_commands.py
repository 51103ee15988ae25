"""``tarnhelm quarantine --gateway``, ``watch`` and ``user`` against a running administration."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest
from tests.support.certificates import Authority
from tests.support.operating import PASSWORD, eventually, world
from tools.demo_gateway import Running, announce

from tarnhelm.cli.main import run
from tarnhelm.cli.services import TarnhelmServices
from tarnhelm.common.serve import ServerSettings
from tarnhelm.gateway.admin.server import AdminServer
from tarnhelm.gateway.admin.settings import AdminCaller, AdminSettings, Role
from tarnhelm.gateway.record import State
from tarnhelm.gateway.web.accounts import Accounts

__all__ = ["world"]

HELD = "abcd" * 8


@pytest.fixture
def token(tmp_path):
    def make(name: str):
        path = tmp_path / f"{name}.token"
        path.write_text(os.urandom(24).hex() + "\n")
        path.chmod(0o600)
        return path

    return make


@pytest.fixture
def tarnhelm(tmp_path, monkeypatch, capfd):
    """The command; returns what it printed after checking how it ended."""
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments: object, code: int = 0) -> str:
        ended = run([str(argument) for argument in arguments], TarnhelmServices())
        out, err = capfd.readouterr()
        assert ended == code, out + err
        return str(out + err)

    return call


@pytest.fixture
def gateway(world, token):
    """Options by which two reviewers and a viewer reach a gateway that holds one object."""
    callers = [
        AdminCaller(name, role, token_file=token(name))
        for name, role in (("marie", Role.REVIEWER), ("sam", Role.REVIEWER), ("vera", Role.VIEWER))
    ]
    world.cleaned(world.add(HELD, State.QUARANTINED, code="PIX-001"))
    announce(world)
    with Running(AdminServer(world.admin_settings(*callers), world.parts())) as port:
        yield {one.name: ("--gateway", f"127.0.0.1:{port}", "--token-file", one.token_file) for one in callers}


def test_two_people_accept_on_the_command_line(tarnhelm: Any, gateway: Any, world) -> None:
    marie, sam, vera = (gateway[name] for name in ("marie", "sam", "vera"))
    assert HELD[:12] in tarnhelm("quarantine", "list", *vera)
    assert "can be accepted  yes" in tarnhelm("quarantine", "show", HELD[:6], *vera)
    assert "WEB-002" in tarnhelm("quarantine", "accept", HELD[:6], "--reason", "a phantom", *vera, code=2)
    assert "proposed; a second person" in tarnhelm("quarantine", "accept", HELD[:6], "--reason", "a phantom", *marie)
    assert "WEB-003" in tarnhelm("quarantine", "accept", HELD[:6], "--reason", "a phantom", *marie, code=1)
    assert world.state.get(HELD).state is State.QUARANTINED
    assert "marie" in tarnhelm("quarantine", "list", *sam)
    assert "the witness again" in tarnhelm("quarantine", "accept", HELD[:6], "--reason", "I agree", *sam)
    assert world.state.get(HELD).accepted
    shown = tarnhelm("quarantine", "show", HELD[:6], *vera)
    assert "accept of PIX-001 by sam: I agree" in shown


def test_bulk_on_the_command_line(tarnhelm: Any, gateway: Any, world) -> None:
    marie = gateway["marie"]
    for number in range(6):
        world.add(f"{number:032x}", State.QUARANTINED, code="LIM-006", door="ct" if number % 2 else "mr")
    asked = ("quarantine", "retry", "--all", "--code", "LIM-006", "--door", "ct", "--reason", "more time", *marie)
    assert "WEB-005" in tarnhelm(*asked, "--expect", "2", code=2)
    assert "retry: 3 done" in tarnhelm(*asked, "--expect", "3")
    assert "0 match" in tarnhelm(*asked, "--expect", "3")
    assert "WEB-009" in tarnhelm("quarantine", "reject", HELD, *marie, code=2)
    told = tarnhelm(
        "quarantine", "reject", HELD, "0000000000000000000000000000000" + "1", "--reason", "not ours", *marie, code=1
    )
    assert "rejected" in told
    assert "WEB-008" in told
    assert "4 in quarantine" not in told
    assert "3 in quarantine" in tarnhelm("quarantine", "list", *marie)


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", HELD, "--all"),
        ("retry", HELD, "--code", "PIX-001"),
        ("retry", HELD, "--by", "Somebody else"),
        ("accept", "--all", "--code", "PIX-001"),
        ("list", "--project", "trial-7"),
    ],
)
def test_what_makes_no_sense_on_a_gateway(tarnhelm: Any, gateway: Any, world, arguments: Any) -> None:
    tarnhelm("quarantine", *arguments, *gateway["marie"], code=2)
    assert world.state.get(HELD).revision == 1


def test_options_of_a_gateway_without_one(tarnhelm: Any, tmp_path) -> None:
    assert "WEB-024" in tarnhelm("quarantine", "list", "--token-file", tmp_path / "x", code=2)
    assert "WEB-024" in tarnhelm("quarantine", "retry", "--all", "--by", "x", code=2)
    assert "WEB-024" in tarnhelm("quarantine", "list", "--gateway", "gateway.example:50060", code=2), (
        "plain only to this machine"
    )
    assert "WEB-023" in tarnhelm("quarantine", "list", "--gateway", "127.0.0.1:1", code=4)


def test_a_certificate_is_who_you_are(tarnhelm: Any, world, tmp_path) -> None:
    authority = Authority(tmp_path / "ca")
    server, marie, stranger = (authority.issue(name, name) for name in ("admin.local", "marie.local", "eve.local"))
    world.add(HELD, State.QUARANTINED, code="LIM-006")
    settings = AdminSettings(
        ServerSettings("127.0.0.1:0", server.certificate, server.key, authority.ca_file, drain_seconds=0.0, grace_seconds=1.0),
        (AdminCaller("marie", Role.REVIEWER, ("marie.local",)),), scratch=tmp_path,
    )  # fmt: skip
    with Running(AdminServer(settings, world.parts())) as port:
        where = ("--gateway", f"127.0.0.1:{port}", "--ca-file", authority.ca_file)
        mine = (*where, "--certificate-file", marie.certificate, "--key-file", marie.key)
        other = (*where, "--certificate-file", stranger.certificate, "--key-file", stranger.key)
        assert "WEB-001" in tarnhelm("quarantine", "list", *other, code=2)
        tarnhelm("quarantine", "list", *where, code=4)
        assert "goes through all stages again" in tarnhelm(
            "quarantine", "retry", HELD[:8], "--reason", "more time", *mine
        )
    assert world.state.get(HELD).state is State.ADMITTED
    (decision,) = world.reading.decisions_of([HELD])
    assert decision.by == "caller:marie marie"


def test_watching(tarnhelm: Any, gateway: Any) -> None:
    def told() -> str:
        return str(tarnhelm("watch", "--once", *gateway["vera"]))

    eventually(lambda: "metadata" in told())
    shown = told()
    assert "PIX-001" in shown
    assert "alarm: breaker stage ocr" in shown
    assert "in-flight" in shown


def test_accounts_on_the_command_line(tarnhelm: Any, tmp_path) -> None:
    path = tmp_path / "accounts.sqlite"
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    where = ("--accounts", path)
    tarnhelm("user", "add", "a.admin", "--person", "A. Admin", "--role", "admin", "--password-file", password, *where)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    link = tarnhelm(
        "user", "add", "s.okafor", "--person", "S. Okafor", "--link", "--url", "https://t.example", *where
    ).split()[0]
    assert link.startswith("https://t.example/welcome?token=")
    assert "has no password" in tarnhelm("user", "list", *where)
    kept = Accounts(path)
    kept.use_link(link.partition("=")[2], "", "", PASSWORD)
    assert kept.sign_in("s.okafor", PASSWORD, "").role is Role.VIEWER
    tarnhelm("user", "role", "s.okafor", "reviewer", *where)
    assert kept.sign_in("s.okafor", PASSWORD, "").role is Role.REVIEWER
    tarnhelm("user", "reset", "s.okafor", *where)
    assert not kept.get("s.okafor").has_password
    kept.close()
    assert "WEB-026" in tarnhelm("user", "remove", "a.admin", *where, code=2)
    assert "removed" in tarnhelm("user", "remove", "s.okafor", *where)
    assert "WEB-016" in tarnhelm("user", "reset", "s.okafor", *where, code=2)
    assert "WEB-015" in tarnhelm("user", "add", "a.admin", "--person", "A", "--password-file", password, *where, code=2)
    tarnhelm("user", "add", "x.y", "--person", "X", "--role", "owner", *where, code=2)
