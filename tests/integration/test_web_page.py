"""The page over a real socket, as browsers use and as attackers try it."""

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import replace

import httpx
import pytest
from tests.support.certificates import Authority
from tests.support.operating import CHEAP, PASSWORD, Browser, eventually, hospital, running_hospital, world
from tools.demo_gateway import Running, announce, plant

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.events import EventLog
from tarnhelm.gateway.admin.settings import Role
from tarnhelm.gateway.record import State
from tarnhelm.gateway.state import Decision
from tarnhelm.gateway.web.server import WebServer
from tarnhelm.gateway.web.settings import WebSettings

__all__ = ["hospital", "world"]

HELD = "a" * 32
PAGES = (
    "/",
    "/objects",
    "/quarantine",
    "/decisions",
    "/releases",
    "/settings",
    f"/objects/{HELD}",
    f"/objects/{HELD}/header",
)


def held(hospital, code: str = "PIX-001", object_id: str = HELD) -> None:
    hospital.world.cleaned(hospital.world.add(object_id, State.QUARANTINED, code=code))


# --- accounts -----------------------------------------------------------------------------------------------


def test_the_first_admin_comes_by_a_link_that_is_told_once(world) -> None:
    with running_hospital(world) as hospital:
        hospital.open()
        (told,) = hospital.links
        path = told.partition(str(hospital.web.port))[2]
        browser = hospital.browser()
        assert browser.get("/login").status_code == 200
        assert "Make the first account" in browser.get(path).text
        fields = {"token": path.partition("=")[2], "name": "m.tremblay", "person": "M. Tremblay", "password": PASSWORD}
        weak = browser.post("/welcome", {**fields, "password": "short", "again": "short"}, path)
        assert "WEB-014" in weak.text
        assert "WEB-030" in browser.post("/welcome", {**fields, "again": "other words entirely"}, path).text
        assert browser.post("/welcome", {**fields, "again": PASSWORD}, path).status_code == 303
        assert browser.get(path).status_code == 410, "it works once"
        assert browser.sign_in("m.tremblay").headers["location"] == "/"
        assert "M. Tremblay" in browser.get("/").text
        assert [one.role for one in hospital.web.accounts.everyone()] == [Role.ADMIN]


def test_no_page_without_a_session(hospital) -> None:
    held(hospital)
    browser = hospital.browser()
    for page in PAGES:
        answer = browser.get(page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), page
    assert browser.get("/live").status_code == 303
    assert browser.post(f"/objects/{HELD}/decide", {"verb": "reject", "reason": "because"}).status_code == 303
    assert hospital.world.state.get(HELD).state is State.QUARANTINED
    assert browser.get("/healthz").text == "ok\n"


def test_a_wrong_password_and_an_unknown_name_look_alike(hospital) -> None:
    browser = hospital.browser()
    wrong, unknown = browser.sign_in("v.viewer", "not the password"), browser.sign_in("n.obody", "not the password")
    form = re.compile(r'value="[^"]*"')
    assert wrong.status_code == unknown.status_code == 401
    assert form.sub("", wrong.text) == form.sub("", unknown.text)


def test_tries_are_bounded(hospital) -> None:
    browser = hospital.browser()
    for _ in range(5):
        assert browser.sign_in("v.viewer", "not the password").status_code == 401
    assert browser.sign_in("v.viewer").status_code == 401, "not even the right one is heard for a while"
    assert hospital.browser().sign_in("r.reviewer").status_code == 303, "others are"
    eventually(lambda: browser.sign_in("v.viewer").status_code == 303)


def test_a_session_ends(hospital) -> None:
    browser = hospital.browser("v.viewer")
    cookie = browser.client.cookies["tarnhelm"]
    assert browser.get("/").status_code == 200
    assert browser.post("/logout", {}, "/").status_code == 303
    browser.client.cookies.set("tarnhelm", cookie, domain="127.0.0.1")
    assert browser.get("/").status_code == 303, "the cookie is worth nothing after signing out"
    again = hospital.browser("v.viewer")
    hospital.web.accounts.remove("v.viewer")
    assert again.get("/").status_code == 303, "nor after the account has gone"


def test_signing_in_gives_another_session(hospital) -> None:
    browser = hospital.browser()
    browser.client.cookies.set("tarnhelm", "f" * 64, domain="127.0.0.1")
    answer = browser.sign_in("v.viewer")
    assert "tarnhelm=" + "f" * 64 not in answer.headers["set-cookie"]
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=lax" in flags


def test_a_role_that_is_taken_away_is_gone_at_once(hospital) -> None:
    browser = hospital.browser("a.admin")
    assert browser.get("/settings").status_code == 200
    hospital.person("b.admin", Role.ADMIN)
    hospital.web.accounts.set_role("a.admin", Role.VIEWER)
    assert browser.get("/settings").status_code == 403


# --- forms --------------------------------------------------------------------------------------------------


def test_a_form_of_another_site_decides_nothing(hospital) -> None:
    held(hospital)
    browser = hospital.browser("r.reviewer")
    fields = {"verb": "reject", "reason": "because"}
    path = f"/objects/{HELD}/decide"
    good = browser.form("/quarantine")
    tries = [
        browser.post(path, fields),
        browser.post(path, {**fields, "form": "x" * 48}),
        browser.post(path, {**fields, "form": hospital.browser("s.second").form("/quarantine")}),
        browser.post(path, {**fields, "form": good}, headers={"Origin": "https://evil.example"}),
        browser.post(path, {**fields, "form": good}, headers={"Sec-Fetch-Site": "cross-site"}),
        browser.post(path, {**fields, "form": good}, headers={"Content-Type": "text/plain"}),
    ]
    assert [answer.status_code for answer in tries] == [403] * 6
    assert browser.get(f"{path}?form={good}&verb=reject&reason=because").status_code == 404
    assert hospital.world.state.get(HELD).state is State.QUARANTINED
    assert browser.post("/login", {"name": "v.viewer", "password": PASSWORD}).status_code == 401, "nor signs in"
    assert browser.post(path, {**fields, "form": good}).status_code == 303
    assert hospital.world.state.get(HELD).state is State.REJECTED


def test_a_form_is_bounded(hospital) -> None:
    browser = hospital.browser("r.reviewer")
    form = browser.form("/quarantine")
    assert browser.post("/quarantine/decide", {"form": form, "reason": "x" * 300_000}).status_code == 403
    many = {"form": form, **{f"f{number}": "1" for number in range(2500)}}
    assert browser.post("/quarantine/decide", many).status_code == 403


# --- decisions ----------------------------------------------------------------------------------------------


def test_two_people_accept(hospital) -> None:
    held(hospital)
    first, second, viewer = (hospital.browser(name) for name in ("r.reviewer", "s.second", "v.viewer"))
    page, path = f"/objects/{HELD}", f"/objects/{HELD}/decide"
    assert "Propose to accept" not in viewer.get(page).text
    assert viewer.post(path, {"verb": "propose", "reason": "a phantom"}, "/").status_code == 403
    assert first.post(path, {"verb": "propose", "reason": "a phantom"}, page).status_code == 303
    assert "a second person confirms" in first.get(page).text
    assert first.post(path, {"verb": "confirm", "reason": "a phantom"}, page).status_code == 403
    assert hospital.world.state.get(HELD).state is State.QUARANTINED
    assert "Confirm acceptance" in second.get(page).text
    assert second.post(path, {"verb": "confirm", "reason": "I saw it too"}, page).status_code == 303
    assert hospital.world.state.get(HELD).state is State.ADMITTED
    log = viewer.get("/decisions").text
    assert "I saw it too" in log
    assert "Second" in log


def test_bulk_asks_for_the_number_first(hospital) -> None:
    for number in range(7):
        hospital.world.add(f"{number:032x}", State.QUARANTINED, code="LIM-006")
    held(hospital)
    browser = hospital.browser("r.reviewer")
    fields = {"verb": "retry", "reason": "more time now", "code": "LIM-006"}
    asked = browser.post("/quarantine/count", fields, "/quarantine")
    assert "Try again: 7 objects?" in asked.text
    hospital.world.add("f" * 32, State.QUARANTINED, code="LIM-006")
    late = browser.post("/quarantine/decide-all", {**fields, "expected": "7"}, "/quarantine")
    assert (late.status_code, "WEB-005" in late.text) == (409, True)
    done = browser.post("/quarantine/decide-all", {**fields, "expected": "8"}, "/quarantine")
    assert "Done for 8 objects" in done.text
    ticked = browser.client.post(
        "/quarantine/decide",
        content=f"form={browser.form('/quarantine')}&verb=reject&reason=not+ours&id={HELD}&id={'0' * 32}",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.origin},
    )
    assert "Done for 1 object" in ticked.text
    assert "WEB-008" in ticked.text


def test_lists_and_filters(hospital) -> None:
    for number in range(120):
        hospital.world.add(f"{number:032x}", State.RELEASED, door="ct" if number % 2 else "mr")
    browser = hospital.browser("v.viewer")
    first = browser.get("/objects?door=ct&state=released")
    assert first.text.count('class="mono" href="/objects/') == 50
    more = re.search(r'href="([^"]+)" rel="next"', first.text)[1].replace("&amp;", "&")
    assert browser.get(more).text.count('class="mono" href="/objects/') == 10
    assert "No object matches" in browser.get("/objects?code=PIX-001").text


# --- what is never there ------------------------------------------------------------------------------------

SCRIPT = '"><script>alert(1)</script>'


def test_nothing_that_somebody_wrote_becomes_markup(hospital) -> None:
    """Codes, doors and stages come from the gateway; names and reasons from people; all are treated alike."""
    hospital.world.add(HELD, State.QUARANTINED, code=SCRIPT, door=SCRIPT, stage=SCRIPT, project=SCRIPT, trace=SCRIPT)
    hospital.world.state.decide(Decision(HELD, SCRIPT, f"web:local:1 {SCRIPT}", SCRIPT, SCRIPT, 1.0))
    hospital.world.state.put_verdict(HELD, {(SCRIPT, SCRIPT): 1}, SCRIPT)
    hospital.web.accounts.add("x.ss", SCRIPT, Role.ADMIN, PASSWORD)
    browser = hospital.browser("x.ss")
    eventually(lambda: "&lt;script&gt;" in browser.get("/").text)
    pages = [*PAGES, f"/objects?state={SCRIPT}&code={SCRIPT}&door={SCRIPT}&id={SCRIPT}", f"/quarantine?code={SCRIPT}",
             f"/objects/{HELD}?done={SCRIPT}", f"/welcome?token={SCRIPT}", f"/{SCRIPT}", f"/decisions?after={SCRIPT}"]  # fmt: skip
    for page in pages:
        text = browser.get(page).text
        assert "<script>alert" not in text, page
        assert re.findall(r"<script[^>]*>", text) in ([], ['<script src="/static/live.js" defer>'])
        assert not re.search(r"<[^>]*\s(style|on\w+)=", text), page


def test_every_answer_has_its_headers(hospital) -> None:
    held(hospital)
    browser = hospital.browser("a.admin")
    for page in (*PAGES, "/login", "/welcome?token=x", "/nowhere", "/static/style.css", "/static/live.js", "/healthz"):
        headers = browser.get(page).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert headers["cache-control"] == ("private, max-age=300" if "static" in page else "no-store"), page


def test_another_name_is_not_answered(hospital) -> None:
    """A name that an attacker has bound to this address must not become our origin."""
    browser = hospital.browser("a.admin")
    assert browser.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert browser.get("/", headers={"Host": f"localhost:{hospital.web.port}"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/objects/../../x"]
)
def test_no_way_out_of_the_static_folder(hospital, path) -> None:
    with socket.create_connection(("127.0.0.1", hospital.web.port), timeout=30) as there:
        host = f"127.0.0.1:{hospital.web.port}"
        there.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: there.recv(65536), b""))
    assert b"404" in answer.split(b"\r\n")[0]
    assert b"uvicorn" not in answer


CANARY = "ZZCANARY"


def test_no_identifier_on_any_page_in_any_answer_or_log(hospital, capfd) -> None:
    """The state's private columns and the raw blobs hold identifiers; nothing that people see does."""
    from tarnhelm.common.stage import StageOutcome, Status
    from tarnhelm.gateway.blobs.base import put
    from tarnhelm.gateway.stream import road

    codes = plant(hospital.world)
    record = hospital.world.add(
        HELD, State.QUARANTINED, code="DCM-003", source=CANARY.encode(), locator=CANARY.encode(), uid_digest=CANARY.encode(),
        group=CANARY,
    )  # fmt: skip
    put(hospital.world.blobs, road.raw_blob(HELD), [CANARY.encode() * 100])
    outcome = StageOutcome(
        Status.QUARANTINE, code="DCM-003", message=f"{CANARY}^JANE", findings={("odd-value", CANARY): 1},
        actions={(CANARY, "REMOVE"): 1},
    )  # fmt: skip
    hospital.world.state.put_outcome(HELD, "metadata", road.outcome_key(record), outcome)
    browser = hospital.browser("a.admin")
    eventually(lambda: "1,240" in browser.get("/").text)
    for page in [
        *PAGES,
        *(f"/objects/{one}{end}" for one in codes.values() for end in ("", "/header")),
        "/objects?state=released",
    ]:
        answer = browser.get(page)
        assert answer.status_code in (200, 404), page
        browser.seen.append(str(answer.headers))
    browser.get(f"/objects/{CANARY}")
    browser.get(f"/objects?id={CANARY}")
    browser.post(f"/objects/{HELD}/decide", {"verb": "retry", "reason": f"{CANARY} asked"}, "/")
    everything = "".join(browser.seen).replace(f'value="{CANARY}"', "")  # the search field repeats what was typed
    assert CANARY not in everything.replace(f"{CANARY} asked", "")
    assert CANARY not in hospital.world.events.getvalue()
    assert CANARY not in "".join(capfd.readouterr())
    for line in hospital.world.events.getvalue().splitlines():
        json.loads(line)


# --- what is live -------------------------------------------------------------------------------------------


def test_the_overview_is_live(hospital) -> None:
    browser = hospital.browser("v.viewer")
    with browser.client.stream("GET", "/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: overview"
        hospital.world.add(HELD, State.QUARANTINED, code="LIM-006")
        announce(hospital.world)
        seen = ""
        while "LIM-006" not in seen or "ct-room-1" not in seen:
            seen = next(lines)
            seen = seen if seen.startswith("data") else ""
            seen += "".join(iter(lambda: next(lines), ""))
        hospital.web.accounts.remove("v.viewer")
        assert any(line == "event: end" for line in lines), "a session that has ended gets nothing more"


def test_a_gateway_that_is_away_is_said_to_be(world) -> None:
    web = WebServer(world.web_settings(1), world.log, announce=lambda _line: None, cost=CHEAP)
    web.accounts.add("v.viewer", "Viewer", Role.VIEWER, PASSWORD)
    with Running(web) as port:
        alone = Browser(port)
        alone.client.cookies.set("tarnhelm", web.accounts.open_session(_someone(web)), domain="127.0.0.1")
        answer = alone.get("/")
        alone.close()
    assert (answer.status_code, "WEB-023" in answer.text) == (503, True)
    assert answer.headers["retry-after"]


def _someone(web):
    from tarnhelm.gateway.admin.people import Person

    account = web.accounts.everyone()[0]
    return Person(account.subject, account.person, account.role)


# --- TLS and settings ---------------------------------------------------------------------------------------


def test_over_tls_cookies_are_bound_to_it(world, tmp_path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("page", "page.local")
    with running_hospital(world, tls_certificate_file=pair.certificate, tls_key_file=pair.key) as hospital:
        hospital.person("v.viewer", Role.VIEWER)
        hospital.open()
        browser = hospital.browser()
        browser.client.close()
        browser.origin = f"https://127.0.0.1:{hospital.web.port}"
        verify = ssl.create_default_context(cafile=str(authority.ca_file))
        browser.client = httpx.Client(base_url=browser.origin, verify=verify, trust_env=False, timeout=30)
        answer = browser.sign_in("v.viewer")
        assert answer.headers["set-cookie"].startswith("__Host-tarnhelm=")
        assert "Secure" in answer.headers["set-cookie"]
        page = browser.get("/")
        assert page.status_code == 200
        assert page.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "changed",
    [
        {"listen": "0.0.0.0:8080"},
        {"listen": "127.0.0.1"},
        {"public_url": "ftp://tarnhelm"},
        {"public_url": "http://tarnhelm.example"},
        {"public_url": "https://tarnhelm.example/page"},
        {"behind_proxy": True},
        {"local_accounts": False},
        {"session_idle_seconds": 0.0},
        {"session_idle_seconds": 99.0, "session_seconds": 1.0},
    ],
)
def test_settings_that_do_not_fit_together(tmp_path, changed) -> None:
    settings = replace(WebSettings(tmp_path / "accounts.sqlite"), **changed)
    with pytest.raises(TarnhelmError) as caught:
        WebServer(settings, EventLog(None, lambda: 0.0))
    assert caught.value.code == "WEB-024"


def test_behind_a_proxy_those_who_try_are_told_apart(world) -> None:
    with running_hospital(world, behind_proxy=True, public_url="https://tarnhelm.example") as hospital:
        hospital.person("v.viewer", Role.VIEWER)
        hospital.open()
        accounts = hospital.web.accounts

        def tried(peer: str, name: str) -> int:
            browser = hospital.browser()
            browser.origin = "https://tarnhelm.example"
            given = {"Host": "tarnhelm.example", "X-Forwarded-For": peer, "X-Forwarded-Proto": "https"}
            browser.client.headers.update(given)
            cookie = browser.get("/login").headers["set-cookie"].split(";")[0]
            assert cookie.startswith("__Host-tarnhelm-form=")
            given = {"Cookie": cookie}
            fields = {"form": cookie.partition("=")[2], "name": name, "password": PASSWORD}
            return browser.post("/login", fields, headers=given).status_code

        for number in range(31):
            assert tried("203.0.113.7", f"n{number}") == 401
        assert tried("203.0.113.7", "v.viewer") == 401
        assert tried("203.0.113.8", "v.viewer") == 303
        assert len(accounts.everyone()) == 1
