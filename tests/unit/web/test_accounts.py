"""Accounts, links, sessions and passwords: what the file holds, and what it refuses."""

from __future__ import annotations

import stat
import time

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.admin.people import Person
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.web import passwords
from tarnhelm.gateway.web.accounts import Accounts
from tarnhelm.gateway.web.passwords import Cost

PASSWORD = "four random words here"  # noqa: S105 - of a test's account


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def accounts(tmp_path, clock):
    made = Accounts(
        tmp_path / "a" / "accounts.sqlite", idle_seconds=100.0, whole_seconds=1000.0, cost=Cost(4), clock=clock
    )
    yield made
    made.close()


def refused(work, *arguments) -> str:
    with pytest.raises(TarnhelmError) as caught:
        work(*arguments)
    return caught.value.code


def test_the_file_is_private_and_holds_no_secret(accounts, tmp_path) -> None:
    accounts.add("m.tremblay", "M. Tremblay", Role.ADMIN, PASSWORD)
    link, session = accounts.link("m.tremblay"), accounts.open_session(Person("local:1", "M", Role.VIEWER))
    folder = tmp_path / "a"
    assert stat.S_IMODE((folder / "accounts.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    stored = b"".join(path.read_bytes() for path in folder.iterdir())
    for secret in (PASSWORD, link, session):
        assert secret.encode() not in stored


def test_a_file_that_others_read_is_refused(tmp_path) -> None:
    path = tmp_path / "accounts.sqlite"
    path.touch(mode=0o644)
    path.chmod(0o644)
    assert refused(Accounts, path) == "WEB-017"
    link = tmp_path / "link.sqlite"
    link.symlink_to(tmp_path / "elsewhere")
    assert refused(Accounts, link) == "WEB-017"


@pytest.mark.parametrize("password", ["short", "x" * 257, "m.tremblay is my name", "aaaaaaaaaaaaaaaa", "abababababab"])
def test_weak_passwords(accounts, password) -> None:
    assert refused(accounts.add, "m.tremblay", "M", Role.ADMIN, password) == "WEB-014"


@pytest.mark.parametrize("name", ["", "a", "A.B", "Doe^Jane", "a" * 33, "../x", "a b", "-ab"])
def test_names_are_plain(accounts, name) -> None:
    assert refused(accounts.add, name, "M", Role.ADMIN, PASSWORD) == "WEB-027"


def test_a_name_is_taken_once(accounts) -> None:
    accounts.add("one", "One", Role.VIEWER, PASSWORD)
    assert refused(accounts.add, "one", "Other", Role.ADMIN, PASSWORD) == "WEB-015"
    assert refused(accounts.get, "two") == "WEB-016"


def test_the_last_admin_stays(accounts) -> None:
    accounts.add("one", "One", Role.ADMIN, PASSWORD)
    assert refused(accounts.remove, "one") == "WEB-026"
    assert refused(accounts.set_role, "one", Role.VIEWER) == "WEB-026"
    accounts.add("two", "Two", Role.ADMIN, PASSWORD)
    accounts.remove("one")
    assert [one.name for one in accounts.everyone()] == ["two"]


def test_a_name_that_comes_back_is_another_person(accounts) -> None:
    """Otherwise somebody who is removed and made again could confirm what he proposed before."""
    accounts.add("boss", "B", Role.ADMIN, PASSWORD)
    first = accounts.add("one", "One", Role.REVIEWER, PASSWORD).subject
    accounts.remove("one")
    assert accounts.add("one", "One", Role.REVIEWER, PASSWORD).subject != first


def test_links_work_once_and_for_a_day(accounts, clock) -> None:
    first = accounts.first_link()
    second = accounts.first_link()
    assert accounts.owner_of_link(first) is None, "the one before is void"
    assert refused(accounts.use_link, "x" * 64, "one", "One", PASSWORD) == "WEB-018"
    made = accounts.use_link(second, "one", "One", PASSWORD)
    assert made.role is Role.ADMIN
    assert refused(accounts.use_link, second, "two", "Two", PASSWORD) == "WEB-018"
    assert accounts.first_link() == ""
    token = accounts.link("one")
    assert refused(accounts.sign_in, "one", PASSWORD, "peer") == "WEB-013", "the old password is gone"
    clock.now += 25 * 3600
    assert refused(accounts.use_link, token, "one", "One", "other words than before") == "WEB-018"
    accounts.use_link(accounts.link("one"), "ignored", "", "other words than before")
    assert accounts.sign_in("one", "other words than before", "peer").role is Role.ADMIN


def test_a_first_link_is_void_once_there_is_an_account(accounts) -> None:
    token = accounts.first_link()
    accounts.add("one", "One", Role.VIEWER, PASSWORD)
    assert refused(accounts.use_link, token, "two", "Two", PASSWORD) == "WEB-018"


def test_failures_double_the_wait(accounts, clock) -> None:
    accounts.add("one", "One", Role.VIEWER, PASSWORD)
    for _ in range(5):
        assert refused(accounts.sign_in, "one", "wrong", "peer") == "WEB-013"
    waits = []
    for _ in range(4):
        begun = clock.now
        while True:
            clock.now += 0.5
            rows = accounts._rows("SELECT until FROM tries ORDER BY until DESC")
            if rows[0][0] <= clock.now:
                break
        waits.append(clock.now - begun)
        assert refused(accounts.sign_in, "one", "wrong", "peer") == "WEB-013"
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert refused(accounts.sign_in, "one", PASSWORD, "another peer") == "WEB-013", "the account waits, whoever asks"
    clock.now += 16.0
    assert accounts.sign_in("one", PASSWORD, "peer").subject
    assert refused(accounts.sign_in, "one", "wrong", "peer") == "WEB-013"
    assert accounts.sign_in("one", PASSWORD, "peer").subject, "success clears the count"


def test_a_peer_that_tries_many_names_waits(accounts, clock) -> None:
    accounts.add("one", "One", Role.VIEWER, PASSWORD)
    for number in range(40):
        refused(accounts.sign_in, f"name{number}", "wrong", "peer")
    assert refused(accounts.sign_in, "one", PASSWORD, "peer") == "WEB-013"
    assert accounts.sign_in("one", PASSWORD, "elsewhere").subject
    clock.now += 1000
    assert accounts.sign_in("one", PASSWORD, "peer").subject


def test_sessions_end_by_idleness_and_by_age(accounts, clock) -> None:
    person = Person("oidc:1", "One", Role.VIEWER)
    token = accounts.open_session(person)
    assert accounts.session("x" * 64) is None
    for _ in range(12):
        clock.now += 80
        assert accounts.session(token).person == person
    clock.now += 80
    assert accounts.session(token) is None, "however busy it was"
    token = accounts.open_session(person)
    clock.now += 101
    assert accounts.session(token) is None


def test_a_page_that_is_only_open_does_not_keep_a_session(accounts, clock) -> None:
    token = accounts.open_session(Person("oidc:1", "One", Role.VIEWER))
    for _ in range(5):
        clock.now += 19
        assert accounts.session(token, used_now=False)
    clock.now += 19
    assert accounts.session(token, used_now=False) is None


def test_two_processes_share_the_file(accounts, tmp_path, clock) -> None:
    other = Accounts(tmp_path / "a" / "accounts.sqlite", cost=Cost(4), clock=clock)
    accounts.add("one", "One", Role.ADMIN, PASSWORD)
    token = accounts.open_session(accounts.sign_in("one", PASSWORD, ""))
    other.set_password("one", "other words than before")
    other.close()
    assert accounts.session(token) is None
    assert refused(accounts.sign_in, "one", PASSWORD, "") == "WEB-013"


@pytest.mark.parametrize(
    "stored",
    ["", "scrypt", "scrypt$x$8$1$AA==$AA==", "md5$4$8$1$AA==$AA==", "scrypt$4$8$1$!$?", "scrypt$99$8$1$AA==$AA=="],
)
def test_what_is_no_hash_fits_no_password(stored) -> None:
    assert not passwords.check_password("", stored)


def test_hashes_are_salted_and_cost_something() -> None:
    import os

    one, two = (passwords.hash_password(PASSWORD, os.urandom, Cost()) for _ in range(2))
    assert one != two
    begun = time.perf_counter()
    assert passwords.check_password(PASSWORD, one)
    assert time.perf_counter() - begun > 0.02
    assert not passwords.check_password(PASSWORD + "x", one)
