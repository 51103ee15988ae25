"""The guides do what they say: their marked commands and programs are run on the demonstration's files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.guide import Block, blocks, compare, steps

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted(page for page in (ROOT / "docs/guides").glob("*.md") if any(one.mark == "run" for one in blocks(page)))

SHORT = frozenset({"clean-a-folder", "site"})


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that the guides clean."""
    folder = tmp_path_factory.mktemp("corpus") / "scans"
    subprocess.run([sys.executable, ROOT / "tools/demo_corpus.py", folder], check=True, capture_output=True)
    return folder


class Reader:
    """Somebody who follows a guide in an empty folder."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        self.folder = folder
        shutil.copytree(corpus, folder / "scans")
        self.environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TARNHELM_STATE": str(folder / ".state"),
            "NO_COLOR": "1",
        }
        self.python = ""

    def bash(self, command: str) -> subprocess.CompletedProcess[str]:
        # Both streams into one, as a terminal shows them.
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def follow(self, block: Block) -> None:
        if block.mark == "file":
            (self.folder / block.how).write_text(block.text, "utf-8")
        elif block.mark == "setup":
            self.bash(f"tarnhelm {block.how} scans/ cleaned/")
        elif block.kind == "python":
            self.program(block)
        else:
            self.commands(block)

    def program(self, block: Block) -> None:
        """Run the block behind those before it, as a notebook does; only its own output counts."""
        mark = "print('-- next block --')\n"
        self.python += mark + block.text
        # The whole program begins anew: what its earlier, shorter forms made is in its way.
        shutil.rmtree(self.folder / "notebook-state", ignore_errors=True)
        for made in self.folder.glob("*.dcm"):
            made.unlink()
        done = subprocess.run(
            [sys.executable, "-c", self.python], cwd=self.folder, env=self.environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said = done.stdout.split("-- next block --\n")[-1]
        assert not compare(tuple(block.shown.splitlines()), said), f"shown: {block.shown}\nsaid: {said}"

    def commands(self, block: Block) -> None:
        held = re.search(r"id ([A-Z]{3}-\d{3})", block.how)
        if held:
            listed = self.bash(f"tarnhelm quarantine list --code {held[1]}").stdout.splitlines()
            self.environment["ID"] = listed[1][:6]
        wanted = re.search(r"exit (\d+)", block.how)
        code = 0
        for step in steps(block):
            done = self.bash(step.command)
            code = done.returncode
            missing = compare(step.shown, done.stdout)
            assert not missing, f"$ {step.command}\ndoes not say: {missing}\nbut:\n{done.stdout}"
        assert code == (int(wanted[1]) if wanted else 0), block.text


def _page(page: Path) -> object:
    """Each command of a guide is a process of its own, so all but the first pages that a reader meets wait for the long form."""
    return pytest.param(page, id=page.stem, marks=() if page.stem in SHORT else pytest.mark.slow)


@pytest.mark.parametrize("page", [_page(page) for page in GUIDES])
def test_a_guide_does_what_it_says(page: Path, corpus: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path, corpus)
    for block in blocks(page):
        reader.follow(block)


def test_what_a_guide_shows_and_the_command_does_not_say_is_noticed() -> None:
    assert compare(("60  released", "…", "1 in quarantine"), "60 released\n\n1 in quarantine\n") == ""
    assert compare(("61  released",), "60 released\n") == "61  released"
    assert compare(("b", "a"), "a\nb\n") == "a"
    assert compare(("Project run-20261124-80a60940c1c3",), "Project run-20270101-000000000000") == ""


def test_most_guides_are_run() -> None:
    assert len(GUIDES) >= 5
