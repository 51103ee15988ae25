"""The door of the server, the tool's login and its settings, with a provider that gives devices no nonce."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.support.fake_provider import FakeProvider
from tests.support.vault_sessions import error_of

from tarnhelm.linkage.core.private_files import private_directory
from tarnhelm.reveal.client.login import Means, Way, log_in
from tarnhelm.reveal.client.settings import RemoteSettings, read_remote, write_remote
from tarnhelm.reveal.core.keyring import new_keys
from tarnhelm.reveal.core.people import Register, make_card
from tarnhelm.reveal.identity.login import Login, statement
from tarnhelm.reveal.identity.token import TokenReader
from tarnhelm.reveal.identity.web import Web
from tarnhelm.reveal.server.door import Door
from tarnhelm.reveal.server.settings import IdentitySettings


class Lines:
    """An audit that keeps what it is told."""

    def __init__(self):
        self.told = []

    def append(self, event, **fields):
        self.told.append((event, fields))


@pytest.fixture
def provider():
    found = FakeProvider()
    yield found
    found.close()


@pytest.fixture
def keys():
    return new_keys()


class Entrance:
    """A door, and the register behind it."""

    def __init__(self, provider, keys, **settings):
        self.register = Register()
        card = make_card(keys, "alice", "Alice", f"{provider.issuer}#u-1")
        self.register.enrol(card, ["admin", "approver"], keys, 1)
        self.keys = keys
        self.audit = Lines()
        self.web = Web()
        self.now = int(time.time())
        reader = TokenReader(self.web, provider.issuer, "tool", clock=lambda: self.now, ticks=time.monotonic)
        given = IdentitySettings(provider.issuer, "tool", **settings)
        self.door = Door(reader, lambda: self.register, self.audit, given, clock=lambda: self.now)


@pytest.fixture
def entrance(provider, keys):
    made = []

    def open_one(**settings):
        made.append(Entrance(provider, keys, **settings))
        return made[-1]

    yield open_one
    for one in made:
        one.web.close()


def settings_of(provider):
    return RemoteSettings("127.0.0.1:1", "0" * 64, provider.issuer, "tool")


def by_device(provider, keys, **claims):
    provider.answers[:] = [{"error": "authorization_pending"}, {"id_token": provider.token(**claims)}]
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    means = Means(lambda: int(time.time()), lambda: now[0], sleep, os.urandom, lambda *_: None)
    return log_in(settings_of(provider), keys, Way.DEVICE, means)[0]


def test_a_device_without_a_nonce_is_let_in_only_where_the_settings_say_so(provider, keys, entrance):
    login = by_device(provider, keys)
    assert error_of(entrance().door.enter, login.token, login.statement).code == "RVL-041"
    assert entrance(nonce_required=False).door.enter(login.token, login.statement).id == "alice"


def test_a_nonce_that_is_there_must_fit_all_the_same(provider, keys, entrance):
    assert error_of(lambda: by_device(provider, keys, nonce="f" * 64)).code == "RVL-044"
    signed = statement(keys, provider.issuer, "tool", int(time.time()), os.urandom)
    with_other = provider.token(nonce="f" * 64)
    lenient = entrance(nonce_required=False)
    assert error_of(lenient.door.enter, with_other, signed.to_bytes()).code == "RVL-041"
    assert lenient.audit.told == [("alarm", {"code": "RVL-041", "step": "login", "person": "alice"})]


def test_a_statement_does_not_vouch_for_a_token_of_another_day(provider, keys, entrance):
    now = int(time.time())
    old = statement(keys, provider.issuer, "tool", now - 3600, os.urandom)
    door = entrance(nonce_required=False).door
    assert error_of(door.enter, provider.token(), old.to_bytes()).code == "RVL-041"
    early = statement(keys, provider.issuer, "tool", now + 3600, os.urandom)
    assert error_of(door.enter, provider.token(), early.to_bytes()).code == "RVL-041"


def test_who_is_not_enrolled_or_was_revoked_is_told_to_the_audit(provider, keys, entrance):
    place = entrance(nonce_required=False)
    login = by_device(provider, keys, sub="stranger")
    assert error_of(place.door.enter, login.token, login.statement).code == "RVL-001"
    other = new_keys()
    card = make_card(other, "carol", "Carol", f"{provider.issuer}#u-2")
    place.register.enrol(card, ["approver"], keys, 2)
    place.register.revoke("carol", keys, 3)
    login = by_device(provider, other, sub="u-2")
    assert error_of(place.door.enter, login.token, login.statement).code == "RVL-004"
    assert [(event, fields["code"]) for event, fields in place.audit.told] == [
        ("refused", "RVL-001"),
        ("refused", "RVL-004"),
    ]
    assert error_of(place.door.enter, "", b"").code == "RVL-040"
    assert len(place.audit.told) == 2


def test_a_flood_is_counted(provider, keys, entrance):
    place = entrance()
    place.now -= place.now % 60
    for _ in range(100):
        assert error_of(place.door.enter, "x", b"").code == "RVL-041"
    assert len(place.audit.told) == 10
    place.now += 60
    assert error_of(place.door.enter, "x", b"").code == "RVL-041"
    assert place.audit.told[-1] == ("alarm", {"code": "RVL-041", "step": "login", "count": 90})


# --- the tool's settings ---------------------------------------------------------------------------------------------


def test_a_server_is_named_once_and_never_beside_a_register(tmp_path):
    folder = tmp_path / "state" / "reveal"
    whole = RemoteSettings(
        "reveal.example:50052", "a" * 64, "https://id.example", "tool", ca_file=Path("/etc/ca.pem"),
        certificate_file=Path("/etc/me.pem"), key_file=Path("/etc/me.key"), redirect_port=8400,
        vault_address="https://vault.example:8200", vault_namespace='a"b\\c',
    )  # fmt: skip
    assert read_remote(private_directory(tmp_path / "none")) is None
    write_remote(folder, whole, replace=False)
    assert read_remote(folder) == whole
    assert error_of(lambda: write_remote(folder, whole, replace=False)).code == "RVL-028"
    write_remote(folder, settings_with(issuer="https://other.example"), replace=True)
    (folder / "reveal.toml").touch(mode=0o600)
    assert error_of(lambda: write_remote(folder, whole, replace=True)).code == "RVL-028"


def settings_with(**changed):
    named = {"server": "h:1", "root": "a" * 64, "issuer": "https://id.example", "client": "tool", **changed}
    return RemoteSettings(**named)


@pytest.mark.parametrize(
    "changed",
    [
        {"root": "a"},
        {"issuer": "http://id.example"},
        {"issuer": "https://user:word@id.example"},
        {"server": ""},
        {"client": "a b"},
        {"certificate_file": Path("/x")},
        {"redirect_port": 70_000},
    ],
    ids=str,
)
def test_settings_that_cannot_be_right_are_refused(changed):
    assert error_of(lambda: settings_with(**changed)).code == "RVL-031"


def test_a_file_with_anything_else_in_it_is_refused(tmp_path):
    folder = tmp_path / "state" / "reveal"
    write_remote(folder, settings_with(), replace=False)
    path = folder / "remote.toml"
    good = path.read_text()
    for text in (
        good + 'x = "1"\n',
        good.replace("format = 1", "format = 2"),
        good.replace("server", "servers"),
        "[",
        "\xff",
    ):
        path.write_text(text)
        assert error_of(read_remote, folder).code == "RVL-031"


def test_a_login_shows_nothing_of_itself():
    assert repr(Login("secret", b"secret", 5)) == "Login(expires=5)"
