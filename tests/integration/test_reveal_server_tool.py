"""The commands against a served ``tarnhelm-reveal serve``, and a scan of every byte that the server wrote."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.integration.test_reveal_server import hospital
from tests.support.postgres import postgres
from tests.support.reveal_server import CANARIES, PASSPHRASE
from tests.support.vault_sessions import error_of

from tarnhelm.reveal.core.audit.verify import read_chain
from tarnhelm.reveal.identity.login import read_login
from tarnhelm.reveal.server.settings import parse_server_settings
from tarnhelm.reveal.tool.main import run

__all__ = ["hospital", "postgres"]

TOOL = Path(sys.executable).parent / "tarnhelm-reveal"
REASONS = ("--purpose", "Incidental finding, tell the physician", "--legal-basis", "Consent form v3, s. 8")


class Done(NamedTuple):
    stdout: str
    stderr: str


class Served:
    """``tarnhelm-reveal serve`` in a process of its own, and people with homes of their own."""

    def __init__(self, hospital, monkeypatch, capfd):
        self.hospital = hospital
        self.monkeypatch, self.capfd = monkeypatch, capfd
        config = hospital.folder / "server.toml"
        config.write_text(hospital.config())
        self.log = hospital.folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [TOOL, "serve", "--config", config],
                env=self._environment(hospital.folder / "server-one"),
                stdout=log,
                stderr=log,
            )
        for _ in range(400):
            found = re.search(rb"listening on port (\d+)", self.log.read_bytes())
            if found or self.process.poll() is not None:
                break
            try:
                self.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        assert found, self.log.read_text()
        self.port = int(found.group(1))

    def home(self, name):
        return self.hospital.folder / f"home-{name}"

    def connect(self, name):
        home = self.hospital.home(name, self.port)
        (home / "reveal" / "remote.toml").unlink()
        remote = self.hospital.remote(self.port)
        identity = [] if remote.identity_ca_file is None else ["--identity-ca", remote.identity_ca_file]
        self(
            name, "connect", remote.server, "--root", remote.root, "--issuer", remote.issuer, "--client", remote.client,
            "--ca", remote.ca_file, "--certificate", remote.certificate_file, "--key", remote.key_file, *identity,
        )  # fmt: skip

    def login(self, name):
        command = [TOOL, "login", "--no-browser", *self.by(name)]
        with subprocess.Popen(
            list(map(str, command)), env=self._environment(self.home(name)), stderr=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            lines = iter(process.stderr.readline, "")
            address = next(line.strip() for line in lines if line.strip().startswith("https://"))
            self.hospital.provider.browser(name)(address, "")
            out, rest = process.communicate(timeout=30)
        assert process.returncode == 0, rest
        assert "Logged in until" in rest
        return out

    def by(self, name):
        return ["--as", self.home(name) / f"{name}.pem", "--passphrase-file", self.home(name) / "passphrase"]

    def __call__(self, name, *arguments, code=0):
        for variable, value in self._environment(self.home(name)).items():
            self.monkeypatch.setenv(variable, value)
        self.capfd.readouterr()
        ended = run([str(argument) for argument in arguments])
        done = Done(*self.capfd.readouterr())
        assert ended == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def close(self):
        self.process.terminate()
        assert self.process.wait(40) == 0, self.log.read_text()

    def _environment(self, state):
        return {
            "TARNHELM_STATE": str(state),
            "PATH": os.environ["PATH"],
            "COLUMNS": "250",
            "NO_COLOR": "1",
            "HOME": str(state),
        }


@pytest.fixture
def served(hospital, monkeypatch, capfd):
    found = Served(hospital, monkeypatch, capfd)
    yield found
    found.process.kill()
    found.process.wait()


def spellings(word):
    plain = word.encode()
    return {plain, word.encode("utf-16-le"), plain.hex().encode(), base64.b64encode(plain).rstrip(b"=")[:-1]}


def test_the_commands_at_a_server_and_nothing_of_a_patient_or_a_secret_in_what_it_wrote(
    served, hospital, postgres, bao, tmp_path
):
    for name in ("alice", "bob", "erin"):
        served.connect(name)
    assert "RVL-040" in served("bob", "case", "list", code=2).stderr
    for name in ("alice", "bob", "erin"):
        assert hospital.subjects[name] in served.login(name)
    label = hospital.project.label
    case = served("bob", "case", "open", *served.by("bob"), "--project", label, hospital.study, *REASONS).stdout.strip()
    target = tmp_path / "out.answer"
    assert "RVL-015" in served("bob", "case", "answer", case, target, *served.by("bob"), code=1).stderr
    assert not target.exists()
    shown = served("alice", "case", "approve", case[:8], *served.by("alice"), "--yes").stdout
    assert label in shown
    assert "Incidental finding" in shown
    assert (
        "LNK-032"
        in served("bob", "case", "answer", case, target, *served.by("bob"), "--custodian-key", target, code=2).stderr
    )
    served("bob", "case", "answer", case, target, *served.by("bob"))
    table = served("bob", "case", "read", target, *served.by("bob")).stdout
    assert all(value in table for value in CANARIES.values())
    assert "RVL-017" in served("bob", "case", "answer", case, tmp_path / "again", *served.by("bob"), code=1).stderr
    form = tmp_path / "case.md"
    served("erin", "case", "show", case, "--record", form)
    assert case in form.read_text()
    assert '"head"' in served("erin", "audit", "head").stdout
    assert "used" in served("bob", "case", "list").stdout
    assert "erin" in served("alice", "person", "list").stdout
    served("alice", "person", "revoke", "dave", *served.by("alice"))
    assert "revoked" in served("alice", "person", "list").stdout
    served("bob", "logout")
    assert "RVL-040" in served("bob", "case", "list", code=2).stderr
    process = Path("/proc") / str(served.process.pid)
    place = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    tokens = [
        read_login(served.home(name) / "reveal" / "login.json", hospital.clock()).token for name in ("alice", "erin")
    ]
    served.close()
    written = {"place": place, "log": served.log.read_bytes(), "form": form.read_bytes()}
    written |= {str(path): path.read_bytes() for path in (hospital.folder / "server-one").rglob("*") if path.is_file()}
    written |= {str(path): path.read_bytes() for path in (hospital.folder / "share").rglob("*") if path.is_file()}
    written["vault"] = bao.audit_file.read_bytes()
    for address in (hospital.ledger_address, hospital.cases_address):
        written[address] = subprocess.run(
            [postgres.binaries / "pg_dump", address], capture_output=True, check=True
        ).stdout
    assert len(written) > 8
    secrets = [*tokens, PASSPHRASE.decode(), *(path.read_text().strip() for path in bao.folder.glob("secret-id-*"))]
    for where, content in written.items():
        for value in CANARIES.values():
            assert not [spelling for spelling in spellings(value) if spelling in content], where
        assert not [secret for secret in secrets if secret.encode() in content], where
    chain = read_chain((hospital.folder / "server-one" / "reveal" / "audit" / "local.jsonl").read_bytes(), "local")
    assert chain.problem is None
    assert [line.event for line in chain.lines].count("used") == 1


def test_the_settings_are_read_strictly(hospital, tmp_path, monkeypatch, capfd):
    good = hospital.config()
    assert parse_server_settings(good.encode()).links.mount == "transit"
    wrong = {
        "unknown": good + "\n[other]\nx = 1\n",
        "typed": good.replace('listen = "127.0.0.1:0"', "listen = 1"),
        "plain": good.replace("client_ca_file", "# client_ca_file"),
        "loopback": good.replace("https://", "http://id.example", 1),
        "format": good.replace("format = 1", "format = 2"),
        "two-logins": good.replace("role_id", 'kubernetes_role = "x"\nrole_id'),
        "no-ledger": good.replace("database_file", "# database_file"),
        "relative": good.replace(f'"{hospital.pair.key}"', '"reveal.key"'),
    }
    for name, text in wrong.items():
        assert text != good, name
        assert error_of(parse_server_settings, text.encode()).code == "RVL-031", name
    (tmp_path / "server.toml").write_text(wrong["unknown"])
    monkeypatch.setenv("TARNHELM_STATE", str(hospital.folder / "server-one"))
    assert run(["serve", "--config", str(tmp_path / "server.toml")]) == 2
    assert "RVL-031" in capfd.readouterr().err
