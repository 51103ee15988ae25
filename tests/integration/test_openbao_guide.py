"""Every command of docs/guides/vault.md, run on the real OpenBao as the page has it."""

from __future__ import annotations

import re
import secrets
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.openbao import POLICIES, ROLES, binary
from tests.support.vault_sessions import code_or_none, new_project, private, until

from tarnhelm.linkage.vaults.login import AppRole
from tarnhelm.linkage.vaults.session import VaultSession
from tarnhelm.linkage.vaults.transit import TransitVault
from tarnhelm.linkage.vaults.transit_keeper import TransitKeeper

ROOT = POLICIES.parents[2]
PAGE = ROOT / "docs" / "guides" / "vault.md"


def blocks():
    """The page's ``sh`` blocks in their order."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(bare_bao, tmp_path):
    """Run a block as the administrator, who has logged in as the page says."""
    private(tmp_path / ".vault-token", bare_bao.token)
    Authority(tmp_path / "cluster").ca_file.rename(tmp_path / "kubernetes-ca.pem")

    def bash(text):
        text = text.replace("/etc/tarnhelm", str(tmp_path)).replace("/etc/openbao", str(tmp_path))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=ROOT,
            env={
                "PATH": f"{binary().parent}:/usr/bin:/bin",
                "HOME": str(tmp_path),
                "BAO_ADDR": bare_bao.address,
                "BAO_CACERT": str(bare_bao.ca_file),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (text, done.stderr)
        return done.stdout

    return bash


@pytest.mark.slow
def test_the_page_sets_up_what_the_services_need(bare_bao, run, tmp_path):
    said = [run(block) for block in blocks()]
    assert len(said) == 7
    capabilities = next(text for block, text in zip(blocks(), said, strict=True) if "sys/capabilities" in block)
    seen = dict(re.findall(r"^(transit/\S+|sys/\S+)\s+\[(.*)\]$", capabilities, re.MULTILINE))
    assert len(seen) == 4
    assert {path for path, what in seen.items() if what != "deny"} == {"transit/encrypt/tarnhelm-seal-x"}
    project = secrets.token_hex(16)
    with session(bare_bao, run, tmp_path, "steward") as steward, session(bare_bao, run, tmp_path, "assign") as assign:
        TransitKeeper(steward).create(project, 1, None)
        vault = TransitVault(assign)
        vault.health()
        assert len(vault.hmac(project, 1, b"x")) == 32
        assert vault.seal(project, b"x", b"").startswith(b"vault:v1:")
    for method in ("approle", "kubernetes"):
        for role in ROLES:
            found = bare_bao.admin("GET", f"auth/{method}/role/tarnhelm-{role}")["data"]
            assert found["token_policies"] == [f"tarnhelm-{role}"]
            assert found["token_no_default_policy"] is True
    assert "control_group" in bare_bao.admin("GET", "sys/policies/acl/tarnhelm-reveal")["data"]["policy"]
    assert list(bare_bao.admin("GET", "sys/audit")["data"]) == ["file/"]


def session(bao, run, folder, role):
    commands = next(block for block in blocks() if "secret-id >" in block).replace("assign", role)
    role_id = run(commands).strip()
    return VaultSession(bao.server, AppRole(role_id, Path(folder) / f"{role}.secret-id"))


def test_the_page_names_every_shipped_policy():
    text = PAGE.read_text()
    shipped = {path.name for path in POLICIES.glob("*.hcl")}
    assert {name for name in shipped if name not in text} == set()
    assert "log_raw" not in re.sub(r"#.*", "", (POLICIES / "openbao.hcl").read_text())


def test_the_audit_file_can_be_rotated_and_without_it_nobody_is_answered(own_bao):
    project = new_project(own_bao)
    vault = own_bao.vault()
    before = vault.hmac(project, 1, b"x")
    own_bao.audit_file.rename(own_bao.folder / "audit.log.1")
    own_bao.process.send_signal(signal.SIGHUP)
    until(lambda: bool(vault.hmac(project, 1, b"x")) and own_bao.audit_file.exists(), "no new audit file")
    # The disk is gone, as far as the device is concerned.
    own_bao.audit_file.unlink()
    own_bao.audit_file.mkdir()
    own_bao.process.send_signal(signal.SIGHUP)
    until(lambda: code_or_none(vault.hmac, project, 1, b"x") == "LNK-007", "the server answers unaudited")
    own_bao.audit_file.rmdir()
    own_bao.process.send_signal(signal.SIGHUP)
    until(lambda: code_or_none(vault.hmac, project, 1, b"x") is None, "the server does not come back")
    assert vault.hmac(project, 1, b"x") == before
