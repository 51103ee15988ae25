"""No secret and no identifier in any byte that the assign server writes or shows."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.support.assign_server import LocalPlace, ServerPlace
from tests.support.canaries import CANARIES, canary_requests
from tests.support.vault_sessions import private

from tarnhelm.common.errors import TarnhelmError


def forms(text):
    data = text.encode()
    return {data, base64.b64encode(data), data.hex().encode(), text.encode("utf-16-le")}


def everything_written(server, place, project):
    """Log, stderr, metrics, what /proc shows, and the ledger's bytes."""
    inside = Path(f"/proc/{server.process.pid}")
    found = {"environ": (inside / "environ").read_bytes(), "cmdline": (inside / "cmdline").read_bytes()}
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        found["metrics"] = answer.read()
    server.stop()
    found["stderr"] = "".join(server.lines).encode()
    if isinstance(place, LocalPlace):
        for path in sorted((place.state / "ledger").rglob("*")) + sorted((place.state / "projects").rglob("*")):
            if path.is_file():
                found[path.name] = path.read_bytes()
    else:
        with psycopg.connect(place.address) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'linkage'").fetchall()
            for (table,) in tables:
                rows = connection.execute(
                    sql.SQL("SELECT * FROM {}").format(sql.Identifier("linkage", table))
                ).fetchall()
                cells = [cell for row in rows for cell in row]
                found[table] = b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells)
        if place.bao.process is not None:
            found["audit"] = place.bao.audit_file.read_bytes()
    return found


def provoke(server, gateway, project):
    """Every kind of answer: good ones, and each refusal that a question can meet."""
    requests = canary_requests(20)
    answers = [server.ask(gateway.ticket(project.id), request) for request in requests]
    spent = gateway.ticket(project.id)
    server.ask(spent, requests[0])
    for ticket, request in ((spent, requests[1]), (b"", requests[1]), (gateway.ticket("0" * 32), requests[1])):
        with pytest.raises(TarnhelmError) as caught:
            server.ask(ticket, request)
        assert not any(canary in str(caught.value) for canary in CANARIES)
        assert caught.value.__cause__ is None
    return answers


def test_canaries_and_secrets_stand_nowhere(assign_place, launch, gateway):
    project = assign_place.create("lung")
    server = launch(assign_place)
    answers = provoke(server, gateway, project)
    written = everything_written(server, assign_place, project)
    assert b"assign-alarm" in written["stderr"]
    secrets = {form for canary in (*CANARIES, "CANARYNAME^SUBJECT3", "MRN000003") for form in forms(canary)}
    if isinstance(assign_place, LocalPlace):
        folder = assign_place.state / "keys" / project.id
        secrets |= {folder.joinpath("root-1.key").read_bytes()}
    else:
        secret_id = assign_place.secret_id_file.read_text().strip()
        secrets |= forms(secret_id)
        written["environ and cmdline"] = written["environ"] + written["cmdline"]
        assert assign_place.address.encode() not in written["environ and cmdline"]
    for answer in answers:
        secrets |= {answer.subject_key, answer.subject_key.hex().encode()}
    for name, content in written.items():
        for secret in secrets:
            assert secret not in content, name
    # And the scan finds what does stand there.
    assert any(answers[3].subject_id.encode() in content for content in written.values())


def started(*arguments):
    command = [sys.executable, "-m", "tarnhelm.linkage.server", "--listen", "127.0.0.1:0", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env=dict(os.environ, PYTHONWARNINGS="")
    )


@pytest.mark.parametrize(
    ("option", "wanted"),
    [("--database-file", "LNK-048"), ("--vault-secret-id-file", "LNK-031")],
)
def test_a_secret_that_everybody_can_read_is_refused(tmp_path, bao, postgres, gateway, option, wanted):
    place = ServerPlace(tmp_path, bao, postgres.database())
    shown = private(tmp_path / "shown", Path(place.arguments[place.arguments.index(option) + 1]).read_text())
    shown.chmod(0o604)
    arguments = list(place.arguments)
    arguments[arguments.index(option) + 1] = shown
    done = started(*arguments, "--ticket-key-file", gateway.key_file)
    assert done.returncode == 2
    assert wanted in done.stderr
    assert shown.read_text().strip() not in done.stderr + done.stdout
    place.close()


def test_settings_that_cannot_be_used_end_with_2_and_quote_nothing(tmp_path, gateway):
    place = LocalPlace(tmp_path)
    secret = private(tmp_path / "secret", "CANARY secret")
    for wrong in (
        [*place.arguments, "--ticket-key-file", secret],
        [*place.arguments, "--ticket-key-file", tmp_path / "none"],
        ["--ticket-key-file", gateway.key_file],
        ["--ticket-key-file", gateway.key_file, "--vault-address", "https://127.0.0.1:1"],
        ["--ticket-key-file", gateway.key_file, *place.arguments, "--vault-address", "https://127.0.0.1:1"],
        ["--ticket-key-file", gateway.key_file, "--vault-address", "https://127.0.0.1:1", "--vault-token-file", secret,
         "--database-file", tmp_path / "none"],
    ):  # fmt: skip
        done = started(*wrong)
        assert done.returncode == 2, done.stderr
        assert "CANARY" not in done.stderr
        assert "Traceback" not in done.stderr


def test_a_state_directory_that_others_can_enter_is_refused(tmp_path, gateway):
    place = LocalPlace(tmp_path)
    place.state.chmod(0o755)
    done = started(*place.arguments, "--ticket-key-file", gateway.key_file)
    assert done.returncode == 2
    assert "LNK-011" in done.stderr
