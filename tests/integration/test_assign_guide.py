"""The blocks of docs/guides/assign-server.md, run as the page has them; its output is what came out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "assign-server.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def unlike(text):
    """Without what differs each time: keys, times, ports."""
    text = re.sub(r"LUNG-[0-9A-Z]{16}", "LUNG-…", text)
    text = re.sub(r"2\.25\.\.\.\.", "…", text)
    return re.sub(r'"time":[0-9.]+|"project":"[0-9a-f]+"', "…", text)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page makes a key with openssl")
def test_the_page_gets_an_answer(tmp_path):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    common = {"cwd": tmp_path, "text": True, "env": dict(os.environ, PATH=path, PYTHONWARNINGS="")}
    make, start = blocks("sh")
    subprocess.run(["bash", "-euo", "pipefail", "-c", make], check=True, capture_output=True, **common)
    start = start.replace(":50052", ":0").replace("--metrics-listen 9091", "--drain-seconds 0")
    with subprocess.Popen(["bash", "-c", f"exec {start}"], stderr=subprocess.PIPE, **common) as server:
        lines = [server.stderr.readline()]
        port = re.search(r"port (\d+)", lines[0])[1]
        asked = blocks("python")[0].replace("127.0.0.1:50052", f"127.0.0.1:{port}")
        done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, timeout=60, **common)
        server.send_signal(signal.SIGTERM)
        lines += server.stderr.readlines()
        assert server.wait(30) == 0
    shown, log = blocks("text")
    assert unlike(done.stdout) == unlike(shown)
    assert unlike("".join(lines[1:])) == unlike(log)
