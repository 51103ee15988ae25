"""What the guide to cases shows is what the software takes: its settings, and the databases that it makes ready."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import tomllib
from pathlib import Path

import psycopg
import pytest
from tests.integration.test_reveal_server import hospital
from tests.support import postgres as debian
from tests.support.openbao import NO_PROCESS, binary
from tests.support.postgres import postgres

from tarnhelm.linkage.core.projects_postgres import PostgresProjects
from tarnhelm.reveal.server.settings import parse_server_settings
from tarnhelm.reveal.tool.main import build, run

__all__ = ["hospital", "postgres"]

GUIDE = Path(__file__).parents[2] / "docs/guides/open-a-case.md"


def test_the_settings_of_the_guide_are_settings(hospital):
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    wanted = parse_server_settings(hospital.config().encode())
    places = {
        "/etc/tarnhelm-reveal/server.pem": hospital.pair.certificate,
        "/etc/tarnhelm-reveal/server.key": hospital.pair.key,
        "/etc/tarnhelm-reveal/people-ca.pem": hospital.authority.ca_file,
        "/etc/tarnhelm-reveal/vault-ca.pem": hospital.authority.ca_file,
    }
    for shown, here in places.items():
        assert shown in text
        text = text.replace(shown, str(here))
    found = parse_server_settings(text.encode())
    assert found.identity.nonce_required
    assert not found.links.two_person
    assert type(found.links.login) is type(wanted.links.login)
    for line in re.findall(r"^# \w+ = \w+.*$", text, re.MULTILINE):
        setting = " ".join(line.split()[1:4])
        assert parse_server_settings(text.replace(line, setting).encode()) != found, line
    assert tomllib.loads(text)["format"] == 1


@pytest.mark.parametrize("kind", ["cases", "ledger", "anchor"])
def test_the_owners_command_lets_a_role_read_and_add(kind, postgres, tmp_path, capfd):
    address, role = postgres.database(), f"role_{secrets.token_hex(4)}"
    if kind == "ledger":
        PostgresProjects(address).close()
    owner = tmp_path / "owner"
    owner.touch(mode=0o600)
    owner.write_text(address)
    assert run(["database", kind, str(owner), "--role", role]) == 2  # there is no such role yet
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
    for _ in range(2):
        assert run(["database", kind, str(owner), "--role", role]) == 0, capfd.readouterr().err
    table = {"cases": "reveal.event", "ledger": "linkage.record", "anchor": "anchor.head"}[kind]
    with psycopg.connect(psycopg.conninfo.make_conninfo(address, user=role), autocommit=True) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608 (a fixed list)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
    owner.chmod(0o644)
    assert run(["database", kind, str(owner), "--role", role]) == 2


def test_every_command_of_the_guide_is_one():
    from typer.main import get_command

    shown = re.findall(r"^\$ tarnhelm-reveal (\w[\w-]*)(?: (\w[\w-]*))?", GUIDE.read_text(), re.MULTILINE)
    commands = get_command(build()).commands
    assert len(shown) > 15
    for name, second in shown:
        assert name in commands, name
        assert second in commands[name].commands if hasattr(commands[name], "commands") else True, (name, second)


@pytest.mark.slow
@pytest.mark.skipif(binary() is None, reason=NO_PROCESS)
def test_the_demonstration_tells_its_story(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo_linkage", str(tmp_path / "demo")],
        cwd=GUIDE.parents[2], capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = ("RVL-015", "Brelvanoor^Ottiwell", "RVL-017", "lines hold", "was taken out", "found in 0")
    ended = ("The order for the gateway names TRIAL7-", "LNK-017", "no longer coded", "0 answer", "LNK-009")
    for words in (*told, *(ended if debian._binaries() is not None else ())):
        assert words in done.stdout
