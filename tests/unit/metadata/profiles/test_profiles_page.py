"""The reference page shows the numbers of the committed tables and names every profile."""

import subprocess
import sys
from pathlib import Path

from tarnhelm.metadata.core.profiles import PROFILE_NAMES

REPOSITORY = Path(__file__).resolve().parents[4]
PAGE = REPOSITORY / "docs/reference/profiles.md"


def test_the_generated_part_of_the_page_is_up_to_date():
    command = [sys.executable, str(REPOSITORY / "tools/build_standard.py"), "--docs", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_every_profile_and_error():
    text = PAGE.read_text(encoding="utf-8")
    for name in (*PROFILE_NAMES, "PRF-001", "PRF-002", "PRF-003"):
        assert f"`{name}`" in text or f"({name})" in text
