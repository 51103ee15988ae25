"""Who a process is to the real OpenBao, and for how long."""

from __future__ import annotations

import threading
import time

import pytest
from tests.support.vault_sessions import error_of, new_project, private, token_of, until

from tarnhelm.common.errors import Disposition
from tarnhelm.linkage.vaults.login import TokenFile
from tarnhelm.linkage.vaults.session import VaultSession
from tarnhelm.linkage.vaults.transit import TransitVault


def test_a_token_file_is_read_again_when_its_token_is_replaced(bao, project, enter, tmp_path):
    path = private(tmp_path / "token", bao.token_of("assign") + "\n")
    vault = TransitVault(enter(bao.server, TokenFile(path)))
    before = vault.hmac(project, 1, b"x")
    old = path.read_text().strip()
    path.write_text(bao.token_of("assign"))
    bao.admin("POST", "auth/token/revoke", {"token": old})
    assert vault.hmac(project, 1, b"x") == before


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_a_secret_that_everybody_can_read_is_not_used(bao, enter, tmp_path, mode):
    path = private(tmp_path / "token", bao.token_of("assign"))
    path.chmod(mode)
    assert error_of(enter(bao.server, TokenFile(path)).check).code == "LNK-031"


@pytest.mark.parametrize("content", ["", "\n", "two words", "s.\x00", "é", "x" * 20_000])
def test_a_file_that_holds_no_token_is_waited_for(bao, enter, tmp_path, content):
    error = error_of(enter(bao.server, TokenFile(private(tmp_path / "token", content))).check)
    assert (error.code, error.disposition) == ("LNK-030", Disposition.RETRY)
    assert error_of(enter(bao.server, TokenFile(tmp_path / "none")).check).code == "LNK-030"


def test_an_approle_logs_in_anew_when_its_token_was_revoked(bao, project, enter):
    vault = TransitVault(session := enter(bao.server, bao.login("assign")))
    before = vault.hmac(project, 1, b"x")
    for _ in range(2):
        bao.admin("POST", "auth/token/revoke", {"token": token_of(session)})
        assert vault.hmac(project, 1, b"x") == before


def test_a_wrong_secret_id_is_told_apart_from_a_vault_that_is_away(bao, enter):
    login = bao.login("assign")
    login.secret_id_file.write_text("00000000-0000-0000-0000-000000000000")
    session = enter(bao.server, login)
    error = error_of(session.check)
    assert (error.code, error.disposition) == ("LNK-030", Disposition.RETRY)
    # Not asked again at once, and then it is.
    assert error_of(session.check).code == "LNK-030"


def test_a_role_without_its_policy_is_told_so(bao, project, enter):
    session = enter(bao.server, bao.login("assign", token_policies=["tarnhelm-nothing"]))
    assert error_of(TransitVault(session).hmac, project, 1, b"x").code == "LNK-030"


def life(first, longest, kind="service"):
    """Settings of an auth role: how long its tokens live, how long they can be made to, and what they are."""
    return {"token_ttl": first, "token_max_ttl": longest, "token_type": kind}


# --- how long ------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_before_it_ends(bao, project, enter):
    session = enter(bao.server, bao.login("assign", **life("2s", "1h")))
    vault = TransitVault(session)
    vault.hmac(project, 1, b"x")
    first = token_of(session)
    time.sleep(4)
    assert token_of(session) == first
    assert session._send(session._grant.adapter, "get", "auth/token/lookup-self").done


def test_a_token_at_the_end_of_its_longest_life_is_followed_by_another(bao, project, enter):
    session = enter(bao.server, bao.login("assign", **life("2s", "3s")))
    vault = TransitVault(session)
    vault.hmac(project, 1, b"x")
    first = token_of(session)
    until(lambda: token_of(session) != first, "no other token came")
    assert session._send(session._grant.adapter, "get", "auth/token/lookup-self").done


def test_a_batch_token_is_replaced_as_it_cannot_be_renewed(bao, project, enter):
    session = enter(bao.server, bao.login("assign", **life("2s", "2s", "batch")))
    vault = TransitVault(session)
    vault.hmac(project, 1, b"x")
    first = token_of(session)
    until(lambda: token_of(session) != first, "no other token came")
    vault.hmac(project, 1, b"x")


def test_renewal_outlives_a_vault_that_was_away_longer_than_the_token(own_bao):
    project = new_project(own_bao)
    session = own_bao.session("assign", **life("2s", "1h"))
    vault = TransitVault(session)
    before = vault.hmac(project, 1, b"x")
    own_bao.stop()
    time.sleep(3)
    assert error_of(vault.hmac, project, 1, b"x").code == "LNK-007"
    own_bao.start()
    assert error_of(vault.hmac, project, 1, b"x").code == "LNK-007"
    own_bao.unseal()
    until(lambda: session._is_valid(session._grant), "the thread did not enter again by itself")
    assert vault.hmac(project, 1, b"x") == before


def test_many_threads_log_in_once(bao, project, enter):
    login = bao.login("assign", token_num_uses=0)
    session = enter(bao.server, login)
    vault, found = TransitVault(session), []
    start = threading.Barrier(12)

    def work():
        start.wait()
        found.append(vault.hmac(project, 1, b"x"))

    workers = [threading.Thread(target=work) for _ in range(12)]
    count = logins(bao)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 12
    assert len(set(found)) == 1
    if bao.process:
        assert logins(bao) - count == 1


def logins(bao):
    return bao.audit_file.read_text().count('"path":"auth/approle/login"') // 2 if bao.process else 0


def test_a_closed_session_stays_closed(bao):
    session = VaultSession(bao.server, bao.login("assign"))
    session.close()
    assert error_of(session.check).code == "LNK-007"
    session = VaultSession(bao.server, bao.login("assign"))
    session.check()
    session.close()
    assert not [thread for thread in threading.enumerate() if thread is session._thread]
