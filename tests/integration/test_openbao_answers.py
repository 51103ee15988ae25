"""What a session does when the answer is no, or none, or not one of a vault."""

from __future__ import annotations

import json
import threading
import time
import traceback

import pytest
from tests.support.answering import Answering, Reply
from tests.support.certificates import Authority
from tests.support.vault_sessions import code_or_none, error_of, new_project, private

from tarnhelm.common.errors import Disposition
from tarnhelm.linkage.vaults.login import AppRole, TokenFile
from tarnhelm.linkage.vaults.session import VaultServer, VaultSession
from tarnhelm.linkage.vaults.transit import TransitVault


def test_a_server_of_another_authority_is_not_spoken_to(bao, enter, tmp_path):
    other = Authority(tmp_path / "other")
    token = private(tmp_path / "token", bao.token_of("assign"))
    session = enter(VaultServer(bao.address, other.ca_file), TokenFile(token))
    assert error_of(session.check).code == "LNK-007"
    system = enter(VaultServer(bao.address), TokenFile(token))
    if bao.process:
        assert error_of(system.check).code == "LNK-007"


@pytest.mark.parametrize(
    "address",
    ["http://vault.example:8200", "https://", "vault:8200", "https://a@vault", "https://vault/x?y", "https://v:x", ""],
)
def test_an_address_that_would_show_the_token_is_refused(address, tmp_path):
    assert error_of(VaultSession, VaultServer(address), TokenFile(tmp_path)).code == "LNK-031"


def test_a_missing_authority_is_found_before_anything_is_sent(tmp_path):
    server = VaultServer("https://127.0.0.1:1", tmp_path / "none.pem")
    assert error_of(VaultSession, server, TokenFile(tmp_path)).code == "LNK-031"


def test_a_rate_limit_is_waited_for(own_bao):
    project = new_project(own_bao)
    vault = own_bao.vault()
    vault.hmac(project, 1, b"x")
    own_bao.admin("POST", "sys/quotas/rate-limit/t", {"path": "transit/", "rate": 1, "interval": "60s"})
    codes = {code_or_none(vault.hmac, project, 1, b"x") for _ in range(4)}
    assert "LNK-007" in codes
    assert codes <= {"LNK-007", None}
    own_bao.admin("DELETE", "sys/quotas/rate-limit/t")
    assert len(vault.hmac(project, 1, b"x")) == 32


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status, {"errors": ["CANARY"]}) for status in (412, 429, 472, 473, 500, 501, 502, 503, 504)),
        Reply(200, raw=b"<html>CANARY: a proxy's page</html>"),
        Reply(200, []),
        Reply(200, raw=b""),
        Reply(200, {"data": {"hmac": "CANARY"}}),
        Reply(200, {"data": {"hmac": "vault:v2:" + "A" * 43 + "="}}),
        Reply(200, {"data": None}),
        Reply(302, None, headers={"Location": "/elsewhere"}),
        Reply(307, None, headers={"Location": "http://127.0.0.1:9/"}),
    ],
    ids=lambda reply: f"{reply.status}-{reply.raw or json.dumps(reply.document)}"[:40],
)
def test_what_no_working_vault_answers_is_waited_for(enter, tmp_path, reply):
    def answer(asked):
        lookup = asked.path.endswith("lookup-self")
        return Reply(200, {"data": {"ttl": 600, "renewable": True}}) if lookup else reply

    with Answering(answer) as server:
        vault = TransitVault(enter(VaultServer(server.address), TokenFile(private(tmp_path / "token", "t0ken"))))
        error = error_of(vault.hmac, "a", 1, b"x")
        assert (error.code, error.disposition) == ("LNK-007", Disposition.RETRY)
        assert "CANARY" not in "".join(traceback.format_exception(error))
        assert error_of(vault.seal, "a", b"x", b"").code == "LNK-007"
        # A redirect is not followed: the token would be handed to whoever is there.
        assert {asked.path for asked in server.asked} <= {
            "/v1/auth/token/lookup-self",
            "/v1/transit/hmac/tarnhelm-root-a-1",
            "/v1/transit/encrypt/tarnhelm-seal-a",
        }


@pytest.mark.parametrize(
    "results", [None, [], [{"error": "x"}], [{"ciphertext": ""}], [{"ciphertext": 7}], [{"ciphertext": "vault:v1:é"}]]
)
def test_a_list_that_is_not_whole_is_no_answer(enter, tmp_path, results):
    data = {"ttl": 600, "renewable": True, "batch_results": results}
    with Answering(lambda _: Reply(200, {"data": data})) as server:
        vault = TransitVault(enter(VaultServer(server.address), TokenFile(private(tmp_path / "token", "t0ken"))))
        assert error_of(vault.seal, "a", b"x", b"").code == "LNK-007"


def test_a_vault_that_hangs_is_given_up(enter, tmp_path):
    release = threading.Event()

    def answer(_):
        release.wait(10)
        return Reply(200, {})

    with Answering(answer) as server:
        place = VaultServer(server.address, timeout_seconds=0.3)
        session = enter(place, TokenFile(private(tmp_path / "token", "t0ken")))
        started = time.monotonic()
        assert error_of(session.check).code == "LNK-007"
        assert time.monotonic() - started < 3
        release.set()


def test_a_hundred_waiting_calls_are_not_a_hundred_logins(enter, tmp_path):
    now = [0.0]
    with Answering(lambda _: Reply(503, {"errors": []})) as server:
        login = AppRole("role", private(tmp_path / "secret", "s3cret"))
        session = enter(VaultServer(server.address), login, clock=lambda: now[0])
        for _ in range(100):
            assert error_of(session.check).code == "LNK-007"
        assert len(server.asked) == 1
        now[0] += 1
        assert error_of(session.check).code == "LNK-007"
        assert len(server.asked) == 2


@pytest.mark.parametrize(("chance", "earliest", "latest"), [(0.0, 300, 300), (0.999, 419, 420)])
def test_replicas_do_not_renew_together(enter, tmp_path, chance, earliest, latest):
    with Answering(lambda _: Reply(200, {"data": {"ttl": 600, "renewable": True}})) as server:
        login = TokenFile(private(tmp_path / "token", "t0ken"))
        session = enter(VaultServer(server.address), login, clock=lambda: 1000.0, fraction=lambda: chance)
        session.check()
        assert earliest <= session._renew_at - 1000 <= latest


@pytest.mark.parametrize(("lease", "logins"), [(600, 1), (299, 2)])
def test_a_token_that_can_only_be_renewed_for_ever_shorter_times_is_replaced(enter, tmp_path, lease, logins):
    def answer(asked):
        first = asked.path.endswith("approle/login")
        auth = {"client_token": "t0ken", "lease_duration": 600 if first else lease, "renewable": True}
        return Reply(200, {"auth": auth})

    with Answering(answer) as server:
        session = enter(VaultServer(server.address), AppRole("role", private(tmp_path / "secret", "s3cret")))
        session.request("get", "x")
        session._renew()
        asked = [entry.path.rsplit("/", 1)[1] for entry in server.asked]
        assert asked.count("renew-self") == 1
        assert asked.count("login") == logins


def test_what_cannot_be_renewed_now_is_tried_again_soon(enter, tmp_path):
    state = {"status": 200}

    def answer(_):
        return Reply(state["status"], {"data": {"ttl": 600, "renewable": True}})

    with Answering(answer) as server:
        login = TokenFile(private(tmp_path / "token", "t0ken"))
        session = enter(VaultServer(server.address), login, clock=lambda: 1000.0, fraction=lambda: 0.5)
        session.check()
        assert session._renew_at - 1000 == pytest.approx(360)
        state["status"] = 503
        session._renew()
        assert session._renew_at - 1000 == pytest.approx(5)
