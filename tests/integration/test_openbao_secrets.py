"""Tokens and plaintexts stay in the memory of the process and on the encrypted wire."""

from __future__ import annotations

import base64
import logging
import pickle
import secrets
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path

import pytest
from tests.support.answering import Answering, Reply
from tests.support.vault_sessions import error_of, private

from tarnhelm.linkage.vaults.base import SealItem
from tarnhelm.linkage.vaults.login import TokenFile
from tarnhelm.linkage.vaults.session import VaultServer
from tarnhelm.linkage.vaults.transit import TransitVault

PLAINTEXT = b"CANARY^PLAINTEXT^OF^A^PATIENT"


def forms(secret):
    text = secret.decode() if isinstance(secret, bytes) else secret
    return text, base64.b64encode(text.encode()).decode()


def test_no_secret_in_a_representation_an_error_or_a_log(bao, project, enter, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    token = bao.token_of("assign")
    session = enter(bao.server, TokenFile(private(tmp_path / "token", token)))
    vault = TransitVault(session)
    sealed = vault.seal_batch(project, [SealItem(PLAINTEXT, PLAINTEXT)])
    shown = [repr(session), repr(vault), repr(session._grant)]
    missing = secrets.token_hex(16)
    gone = enter(VaultServer("https://127.0.0.1:1", bao.ca_file), TokenFile(private(tmp_path / "token2", token)))
    for call in (
        lambda: vault.seal_batch(missing, [SealItem(PLAINTEXT, PLAINTEXT)]),
        lambda: vault.hmac(missing, 1, PLAINTEXT),
        lambda: TransitVault(gone).seal(project, PLAINTEXT, PLAINTEXT),
        lambda: enter(bao.server, TokenFile(private(tmp_path / "token3", token + "x"))).check(),
    ):
        error = error_of(call)
        assert error.__context__ is None
        assert error.__cause__ is None
        shown += [
            repr(error),
            str(error),
            "".join(traceback.format_exception(error)),
            repr(pickle.loads(pickle.dumps(error))),  # noqa: S301 (own data)
        ]
    shown.append(caplog.text)
    assert "transit/encrypt" in caplog.text
    for secret in (token, PLAINTEXT):
        for form in forms(secret):
            assert not [entry for entry in shown if form in entry]
    assert PLAINTEXT not in b"".join(sealed)
    with pytest.raises(TypeError):
        pickle.dumps(session)


def test_no_secret_in_the_environment_or_the_command_line_of_a_process(bao, project, tmp_path):
    token = bao.token_of("assign")
    plain = private(tmp_path / "plain", PLAINTEXT.decode())
    script = tmp_path / "service.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import logging, sys
            from pathlib import Path
            logging.basicConfig(level=logging.DEBUG)
            from tarnhelm.linkage.vaults.login import TokenFile
            from tarnhelm.linkage.vaults.session import VaultServer, VaultSession
            from tarnhelm.linkage.vaults.transit import TransitVault
            ca = {str(bao.ca_file) if bao.ca_file else None!r}
            server = VaultServer({bao.address!r}, Path(ca) if ca else None)
            with VaultSession(server, TokenFile(Path({str(tmp_path / "token")!r}))) as session:
                vault = TransitVault(session)
                plain = Path({str(plain)!r}).read_bytes()
                vault.seal({project!r}, plain, plain)
                print("sealed", flush=True)
                sys.stdin.readline()
                vault.seal("f" * 32, plain, plain)
            """
        )
    )
    private(tmp_path / "token", token)
    process = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"sealed\n"
    inside = Path(f"/proc/{process.pid}")
    seen = (inside / "environ").read_bytes() + (inside / "cmdline").read_bytes()
    out, err = process.communicate(b"\n", timeout=60)
    # It ends by an error that nobody catches, so that Python prints all it has.
    assert process.returncode == 1
    assert b"LNK-0" in err or b"no key of the project" in err
    for secret in (token, PLAINTEXT):
        for form in forms(secret):
            assert form.encode() not in seen + out + err


def test_nothing_is_taken_from_the_environment(bao, enter, tmp_path, monkeypatch):
    stray = bao.token_of("steward")
    with Answering(lambda _: Reply(200, {"data": {}})) as proxy:
        for name, value in {
            "VAULT_TOKEN": stray,
            "VAULT_ADDR": proxy.address,
            "HTTPS_PROXY": proxy.address,
            "https_proxy": proxy.address,
            "VAULT_NAMESPACE": "stray",
            "HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        (tmp_path / ".vault-token").write_text(stray)
        private(tmp_path / ".netrc", "machine 127.0.0.1 login a password b\n")
        session = enter(bao.server, bao.login("assign"))
        policies = session.request("get", "auth/token/lookup-self").data["policies"]
        assert policies == ["tarnhelm-assign"]
        assert proxy.asked == []
