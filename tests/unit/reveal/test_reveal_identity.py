"""Checking ID tokens, and the two ways to get one, against a provider that also lies."""

from __future__ import annotations

import base64
import json
import re
import stat
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.fake_provider import FakeProvider
from tests.support.vault_sessions import error_of

from tarnhelm.linkage.core.private_files import private_directory
from tarnhelm.reveal.core.keyring import new_keys
from tarnhelm.reveal.identity.flows import Asked, by_browser, by_device
from tarnhelm.reveal.identity.login import Login, nonce_of, read_login, statement, statement_time, write_login
from tarnhelm.reveal.identity.token import TokenReader
from tarnhelm.reveal.identity.web import Web, discover

ASKED = Asked("tool", "n" * 64)


@pytest.fixture(scope="module")
def provider():
    found = FakeProvider()
    yield found
    found.close()


@pytest.fixture
def web():
    found = Web()
    yield found
    found.close()


class Ticks:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def reader(provider, web, **given):
    given = {"clock": lambda: int(time.time()), "ticks": Ticks(), **given}
    return TokenReader(web, provider.issuer, "tool", **given)


def test_a_genuine_token_names_issuer_and_subject(provider, web):
    claims = reader(provider, web).read(provider.token(nonce="abc"))
    assert claims.subject == f"{provider.issuer}#u-1"
    assert claims.nonce == "abc"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aud": "other"}, "RVL-041"),
        ({"aud": None}, "RVL-041"),
        ({"aud": ["tool", "other"]}, "RVL-041"),
        ({"aud": ["tool", "other"], "azp": "other"}, "RVL-041"),
        ({"azp": "other"}, "RVL-041"),
        ({"iss": "https://id.example"}, "RVL-041"),
        ({"iss": None}, "RVL-041"),
        ({"sub": None}, "RVL-041"),
        ({"sub": ""}, "RVL-041"),
        ({"sub": "a\nb"}, "RVL-041"),
        ({"sub": "x" * 300}, "RVL-041"),
        ({"exp": None}, "RVL-041"),
        ({"iat": None}, "RVL-041"),
        ({"exp": "soon"}, "RVL-041"),
        ({"nonce": 7}, "RVL-041"),
        ({"iat": int(time.time()) + 3600}, "RVL-041"),
        ({"nbf": int(time.time()) + 3600}, "RVL-041"),
        ({"exp": int(time.time()) - 120}, "RVL-040"),
        ({"iat": int(time.time()) - 13 * 3600, "exp": int(time.time()) + 3600}, "RVL-040"),
    ],
    # Names without the time: two workers collect in different seconds.
    ids=lambda value: value if isinstance(value, str) else re.sub(r"\d{9,}", "time", json.dumps(value))[:40],
)
def test_a_token_of_another_place_or_time_is_refused(provider, web, changed, code):
    assert error_of(reader(provider, web).read, provider.token(**changed)).code == code


def test_two_audiences_are_taken_where_this_one_asked(provider, web):
    assert reader(provider, web).read(provider.token(aud=["tool", "other"], azp="tool")).subject


def test_no_token_is_taken_that_anybody_could_sign(provider, web):
    public = provider.keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "one"}).encode()).rstrip(b"=").decode()
    good = provider.token()
    with_secret = _hs256(provider, public)
    strange = FakeProvider()
    try:
        tried = [
            f"{head}.{good.split('.')[1]}.",
            with_secret,
            strange.token(iss=provider.issuer),
            provider.token(headers={"crit": ["x"], "x": 1}),
            good[:-4] + "AAAA",
            good + ".x",
            "",
            "a.b.c",
        ]
        for token in tried:
            assert error_of(reader(provider, web).read, token).code == "RVL-041", token[:30]
    finally:
        strange.close()


def _hs256(provider, public):
    """Signed with the public key as if it were a secret (RFC 8725, 2.1)."""
    import hashlib
    import hmac

    def word(content):
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    signed = ".".join(
        [word(json.dumps({"alg": "HS256", "kid": "one"}).encode()), word(json.dumps(provider.claims()).encode())]
    )
    return f"{signed}.{word(hmac.new(public, signed.encode(), hashlib.sha256).digest())}"


def test_new_keys_are_found_and_unknown_ones_do_not_drive_requests(web):
    provider = FakeProvider()
    try:
        ticks = Ticks()
        found = reader(provider, web, ticks=ticks)
        found.read(provider.token())
        assert provider.count("/keys") == 1
        provider.add_key("two", "EC")
        fresh = provider.token("two", "ES256")
        for _ in range(20):
            assert error_of(found.read, fresh).code == "RVL-041"
        assert provider.count("/keys") == 1
        ticks.now = 31.0
        assert found.read(fresh).subject
        assert provider.count("/keys") == 2
        old = provider.token()
        del provider.keys["one"]
        ticks.now = 31.0 + 3601
        assert error_of(found.read, old).code == "RVL-041"
    finally:
        provider.close()


def test_a_provider_that_is_away_or_another_lets_nobody_in(web):
    provider = FakeProvider()
    token = provider.token()
    provider.extra = {"issuer": "https://id.example"}
    assert error_of(reader(provider, web).read, token).code == "RVL-043"
    provider.extra = {"jwks_uri": "http://id.example/keys"}
    assert error_of(reader(provider, web).read, token).code == "RVL-043"
    provider.close()
    error = error_of(reader(provider, web).read, token)
    assert error.code == "RVL-043"
    assert error.__context__ is None
    assert error_of(discover, web, "http://id.example").code == "RVL-031"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{2,40}\.[A-Za-z0-9_-]{0,40}"))
def test_no_text_is_a_token(provider, text):
    web = Web()
    assert error_of(reader(provider, web).read, text).code == "RVL-041"
    web.close()


# --- the browser -----------------------------------------------------------------------------------------------------


def come_back(**changed):
    """A browser that comes back, with something changed; and what the address asked."""
    seen = {}

    def show(address, code):
        assert code == ""
        seen.update({name: values[0] for name, values in parse_qs(urlsplit(address).query).items()})
        answer = {"code": "c-1", "state": seen["state"], **changed}
        with requests.Session() as http:
            http.trust_env = False
            http.get(seen["redirect_uri"], params={"code": "evil", "state": "guessed"}, timeout=5)
            seen["status"] = http.get(seen["redirect_uri"], params=answer, timeout=5).status_code

    return show, seen


def test_the_browser_brings_a_code_that_only_this_login_can_use(provider, web):
    provider.answers[:] = [{"id_token": "t"}]
    provider.asked.clear()
    show, seen = come_back()
    found = by_browser(web, discover(web, provider.issuer), ASKED, show, random=lambda n: b"r" * n)
    assert found == "t"
    form = provider.asked[-1][1]
    assert form["code"] == "c-1"
    assert seen["nonce"] == ASKED.nonce
    assert seen["code_challenge_method"] == "S256"
    assert form["code_verifier"] not in json.dumps(seen)
    assert seen["redirect_uri"].startswith("http://127.0.0.1:")


def test_a_browser_that_was_refused_or_never_came_ends_the_login(provider, web):
    found = discover(web, provider.issuer)
    provider.answers[:] = []
    show, _ = come_back(code="")
    assert error_of(lambda: by_browser(web, found, ASKED, show, random=bytes)).code == "RVL-044"
    quiet = error_of(lambda: by_browser(web, found, ASKED, lambda *_: None, random=bytes, wait_seconds=0.1))
    assert quiet.code == "RVL-044"
    show, _ = come_back()
    provider.answers[:] = [{"error": "invalid_grant"}]
    assert error_of(lambda: by_browser(web, found, ASKED, show, random=bytes)).code == "RVL-044"


# --- the device ------------------------------------------------------------------------------------------------------


def waited(provider, web, answers, **changed):
    provider.answers[:] = answers
    provider.asked.clear()
    shown, slept, now = [], [], [0.0]

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    token = by_device(
        web,
        discover(web, provider.issuer),
        ASKED,
        lambda *words: shown.append(words),
        sleep=sleep,
        clock=lambda: now[0],
    )
    return token, shown, slept


def test_the_device_waits_until_the_code_was_typed(provider, web):
    pending, slow = {"error": "authorization_pending"}, {"error": "slow_down"}
    found, shown, slept = waited(provider, web, [pending, slow, pending, {"id_token": "t"}])
    assert found == "t"
    assert shown == [("https://id.example/device", "ABCD-EFGH")]
    assert slept == [1.0, 1.0, 6.0, 6.0]


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_client"])
def test_the_device_stops_where_it_is_refused(provider, web, error):
    assert error_of(waited, provider, web, [{"error": error}]).code == "RVL-044"


def test_the_device_stops_when_the_code_is_over(provider, web):
    pending = [{"error": "authorization_pending"}] * 1000
    assert error_of(waited, provider, web, pending).code == "RVL-044"


@pytest.mark.parametrize("name", ["device_code", "user_code", "verification_uri", "expires_in"])
def test_half_a_device_answer_is_none(provider, web, name):
    kept = provider.device
    provider.device = {key: value for key, value in kept.items() if key != name}
    try:
        assert error_of(waited, provider, web, []).code == "RVL-044"
    finally:
        provider.device = kept


# --- the statement and the kept login --------------------------------------------------------------------------------


def test_a_statement_is_of_one_key_for_one_place():
    keys, others = new_keys(), new_keys()
    signed = statement(keys, "https://id.example", "tool", 100, bytes)
    found, begun = statement_time(signed.to_bytes(), keys.signing_public, "https://id.example", "tool")
    assert (nonce_of(found), begun) == (nonce_of(signed), 100)
    for public, issuer, audience in (
        (others.signing_public, "https://id.example", "tool"),
        (keys.signing_public, "https://other.example", "tool"),
        (keys.signing_public, "https://id.example", "other"),
    ):
        assert error_of(statement_time, signed.to_bytes(), public, issuer, audience).code == "RVL-041"


def test_a_login_is_kept_privately_and_ends(tmp_path):
    path = private_directory(tmp_path / "home") / "login.json"
    login = Login("secret-token", b"{}", 1000)
    assert "secret-token" not in repr(login)
    write_login(path, login)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_login(path, 900) == login
    assert error_of(read_login, path, 980).code == "RVL-040"
    path.chmod(0o644)
    assert error_of(read_login, path, 900).code == "LNK-011"
    path.unlink()
    assert error_of(read_login, path, 900).code == "RVL-040"
    path.touch(mode=0o600)
    path.write_text("{")
    assert error_of(read_login, path, 900).code == "RVL-040"


def test_nothing_of_the_environment_changes_whom_the_reader_asks(provider, monkeypatch, tmp_path):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    web = Web()
    try:
        assert discover(web, provider.issuer).jwks
    finally:
        web.close()
