"""Which site file counts for which project, and that none changes under a study's feet."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import fakecores
import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    fakecores.write_fake(tmp_path / "in" / "0.dcm", "Doe^Jane", 1)
    return tmp_path / "in"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_project_keeps_the_site_it_was_made_with(tarnhelm: Any, source: Path, tmp_path: Path) -> None:
    one, two = write(tmp_path, "one.yaml", "one"), write(tmp_path, "two.yaml", "two")
    tarnhelm("project", "create", "trial", "--site", one)
    assert "words of its own" in tarnhelm("project", "show", "trial").stdout
    tarnhelm("clean", source, tmp_path / "a", "--project", "trial")
    tarnhelm("clean", source, tmp_path / "b", "--project", "trial", "--site", one)
    done = tarnhelm("clean", source, tmp_path / "c", "--project", "trial", "--site", two, code=2)
    assert "RUN-018" in done.stderr
    assert not (tmp_path / "c").exists()


def test_the_file_of_the_state_directory_counts_for_projects_made_later(
    tarnhelm: Any, source: Path, tmp_path: Path
) -> None:
    tarnhelm("project", "create", "early")
    assert "Nothing is set" in tarnhelm("site", "show").stdout
    tarnhelm("site", "set", write(tmp_path, "site.yaml", '{"words": ["one"]}'))
    assert '"one"' in tarnhelm("site", "show").stdout
    kept = tmp_path / "state" / "site.yaml"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    tarnhelm("project", "create", "late")
    assert "nothing added" in tarnhelm("project", "show", "early").stdout
    assert "words of its own" in tarnhelm("project", "show", "late").stdout
    tarnhelm("clean", source, tmp_path / "out")
    made = tarnhelm("project", "list").stdout.split("run-")[1].split()[0]
    assert "words of its own" in tarnhelm("project", "show", f"run-{made}").stdout


def test_a_site_file_that_is_not_there_is_told(tarnhelm: Any, source: Path, tmp_path: Path) -> None:
    assert "RUN-017" in tarnhelm("clean", source, tmp_path / "a", "--site", tmp_path / "no", code=2).stderr
    assert "RUN-017" in tarnhelm("project", "create", "x", "--site", tmp_path / "no", code=2).stderr
    assert "RUN-017" in tarnhelm("site", "check", tmp_path / "no", code=2).stderr
    assert not (tmp_path / "a").exists()
    assert "x" not in tarnhelm("project", "list").stdout.split("way back")[1]
