"""Signing in with an identity provider: the whole flow, and each answer that must not be believed."""

from __future__ import annotations

import base64
import hashlib
import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from tests.support.fake_provider import FakeProvider
from tests.support.operating import running_hospital, world

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.web.provider import Provider
from tarnhelm.gateway.web.settings import OidcSettings

__all__ = ["world"]

ROLES = {"dicom-reviewers": Role.REVIEWER, "dicom-admins": Role.ADMIN}


@pytest.fixture
def provider():
    made = FakeProvider()
    yield made
    made.close()


@pytest.fixture
def hospital(world, provider, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("client secret\n")
    settings = OidcSettings(provider.issuer, "tool", secret, "groups", ROLES)
    with running_hospital(world, oidc=settings) as made:
        made.person("a.admin", Role.ADMIN)
        made.open()
        yield made


def away(browser):
    """Go to the provider; what it was sent."""
    answer = browser.get("/oidc/start")
    assert answer.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def back(browser, provider, asked, query=None, **claims):
    """Come back with a token of these claims."""
    claims = {"nonce": asked["nonce"], "groups": ["dicom-reviewers"], "name": "Dr. Chen", **claims}
    key, algorithm = claims.pop("key", "one"), claims.pop("algorithm", "RS256")
    token = claims.pop("token", None) or jwt.encode(
        provider.claims(**claims), provider.keys[key], algorithm, headers={"kid": key}
    )
    provider.answers.append({"id_token": token})
    return browser.get("/oidc/callback", params={"state": asked["state"], "code": "c-1", **(query or {})})


def test_the_whole_way(hospital, provider) -> None:
    browser = hospital.browser()
    assert "With the hospital" in browser.get("/login").text
    asked = away(browser)
    assert asked["redirect_uri"] == f"{browser.origin}/oidc/callback"
    assert (asked["response_type"], asked["scope"], asked["code_challenge_method"]) == (
        "code",
        "openid profile",
        "S256",
    )
    assert back(browser, provider, asked).headers["location"] == "/"
    assert "Dr. Chen" in browser.get("/").text
    assert browser.get("/settings").status_code == 403
    form = next(form for path, form in provider.asked if path == "/token")
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    events = hospital.world.events.getvalue()
    assert '"by":"oidc"' in events
    assert "Chen" not in events
    assert "u-1" not in events, "not even the provider's own name of the person"


WRONG_CLAIMS = [
    {"nonce": "another"},
    {"nonce": None},
    {"aud": "another client"},
    {"aud": ["tool", "another"]},
    {"aud": ["tool", "another"], "azp": "another"},
    {"aud": "tool", "azp": "another"},
    {"iss": "https://elsewhere.example"},
    {"exp": int(time.time()) - 3600},
    {"exp": None},
    {"iat": int(time.time()) + 3600},
    {"iat": None},
    {"nbf": int(time.time()) + 3600},
    {"sub": None},
    {"sub": 7},
    {"token": "no.token.atall"},
]


def test_a_token_that_does_not_hold(hospital, provider) -> None:
    for claims in WRONG_CLAIMS:
        browser = hospital.browser()
        answer = back(browser, provider, away(browser), **claims)
        assert (answer.status_code, "WEB-021" in answer.text) == (401, True), claims
        assert browser.get("/").status_code == 303, claims


def test_a_token_that_somebody_else_signed(hospital, provider) -> None:
    browser = hospital.browser()
    asked = away(browser)
    claims = provider.claims(nonce=asked["nonce"], groups=["dicom-admins"])
    other = FakeProvider()
    try:
        forged = [
            jwt.encode(claims, other.keys["one"], "RS256", headers={"kid": "one"}),
            jwt.encode(claims, "", "none"),
            jwt.encode(claims, "k" * 40, "HS256", headers={"kid": "one"}),
        ]
    finally:
        other.close()
    for token in forged:
        assert "WEB-021" in back(browser, provider, away(browser), token=token).text


def test_rotated_keys_are_fetched_once_more(hospital, provider) -> None:
    browser = hospital.browser()
    assert back(browser, provider, away(browser)).status_code == 303
    provider.add_key("two", "EC")
    again = hospital.browser()
    assert back(again, provider, away(again), key="two", algorithm="ES256").status_code == 303


def test_an_answer_that_was_not_asked_for(hospital, provider) -> None:
    for query in [{"state": "another"}, {"state": ""}, {"code": ""}, {"iss": "https://elsewhere.example"}]:
        browser = hospital.browser()
        assert "WEB-021" in back(browser, provider, away(browser), query).text
        assert not [path for path, _ in provider.asked if path == "/token"], "the code is not even looked at"


def test_a_flow_belongs_to_its_browser_and_is_used_once(hospital, provider) -> None:
    """Otherwise somebody could be signed in as another, or an answer be used twice."""
    browser, other = hospital.browser(), hospital.browser()
    asked = away(browser)
    assert "WEB-021" in back(other, provider, asked).text
    assert back(browser, provider, asked).status_code == 303
    assert "WEB-021" in back(browser, provider, asked).text


def test_the_highest_role_counts(hospital, provider) -> None:
    for groups, role in [(["dicom-reviewers", "dicom-admins"], "admin"), ("dicom-reviewers", "reviewer")]:
        browser = hospital.browser()
        back(browser, provider, away(browser), groups=groups)
        assert f"({role})" in browser.get("/").text


def test_who_has_no_role_is_not_let_in(hospital, provider) -> None:
    for groups in [[], ["others"], None, 7, {"dicom-admins": True}]:
        browser = hospital.browser()
        assert "WEB-022" in back(browser, provider, away(browser), groups=groups).text
        assert browser.get("/").status_code == 303


def test_one_person_of_the_provider_is_one_subject(hospital, provider) -> None:
    """The second-person rule goes by it, whatever name the provider gives today."""
    subjects = set()
    for name, sub in (("Chen", "u-1"), ("Chen-Roy", "u-1"), ("Chen", "u-2")):
        browser = hospital.browser()
        back(browser, provider, away(browser), name=name, sub=sub)
        subjects.add(hospital.web.accounts.session(browser.client.cookies["tarnhelm"]).person.subject)
    assert len(subjects) == 2


@pytest.mark.parametrize(
    "extra",
    [
        {"issuer": "https://elsewhere.example"},
        {"token_endpoint": "http://elsewhere.example/"},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
def test_a_provider_that_points_elsewhere(hospital, provider, extra) -> None:
    provider.extra = extra
    answer = hospital.browser().get("/oidc/start")
    assert (answer.status_code, "WEB-021" in answer.text) == (401, True)


def test_a_provider_that_is_away(hospital, provider) -> None:
    provider.close()
    answer = hospital.browser().get("/oidc/start")
    provider.close = lambda: None
    assert "WEB-020" in answer.text
    assert hospital.browser("a.admin").get("/").status_code == 200, "local accounts still work"


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://127.0.0.1", ""])
def test_an_issuer_that_anybody_could_play(issuer) -> None:
    with pytest.raises(TarnhelmError) as caught:
        Provider(OidcSettings(issuer, "tool", roles=ROLES), "https://here/oidc/callback")
    assert caught.value.code == "WEB-024"
