"""The pipeline's wheel holds nothing that decrypts a link; the reveal wheel stands beside it and shares no file."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling builds the wheels; it is in the extra dev")

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = next(path for path in sys.path if path.endswith("site-packages"))


def built(project: Path, target: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pipeline, reveal = (tmp_path_factory.mktemp(name) for name in ("pipeline", "reveal"))
    return built(ROOT, pipeline), built(ROOT / "services" / "reveal", reveal)


def modules(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}


def names_in(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        found |= {getattr(node, name) for name in ("attr", "id", "name") if isinstance(getattr(node, name, None), str)}
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(alias.name for alias in node.names)}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_the_pipelines_wheel_holds_no_code_that_decrypts_a_link(wheels: tuple[Path, Path]) -> None:
    found = modules(wheels[0])
    assert "tarnhelm/linkage/vaults/envelope.py" in found  # what seals is there ...
    assert not [name for name in found if name.startswith("tarnhelm/reveal") or "unseal" in Path(name).name]
    openers = {"open_records", "LocalOpener", "SealReader", "decrypt_data"}  # ... what opens is not
    for name, source in found.items():
        names = names_in(source)
        assert not names & openers, name
        assert not [module for module in names if module.startswith("tarnhelm.reveal")], name
        if name.startswith("tarnhelm/linkage/"):
            assert not names & {"decrypt", "decrypt_into"}, name
        if {"decrypt", "decrypt_into"} & names:
            # The gateway decrypts what it encrypted itself, with a key of its own. It reads no sealed record.
            assert not names & {"hpke_key_and_nonce", "tarnhelm.linkage.vaults.envelope", "SealedRecord"}, name


def test_the_two_wheels_share_no_file_and_no_namespace_init(wheels: tuple[Path, Path]) -> None:
    listed = [set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels]
    assert not listed[0] & listed[1]
    assert not [name for names in listed for name in names if name == "tarnhelm/__init__.py"]
    assert "tarnhelm/reveal/core/templates/case.html.j2" in listed[1]
    assert all(name.startswith(("tarnhelm/reveal/", "tarnhelm_reveal-")) for name in listed[1])


def test_the_reveal_wheel_installs_beside_the_pipelines_and_works(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--target", str(site), *map(str, wheels)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (site / "bin" / "tarnhelm-reveal").exists()
    assert (site / "tarnhelm" / "cli" / "main.py").exists()
    assert (site / "tarnhelm" / "reveal" / "tool" / "main.py").exists()
    (entry,) = site.glob("tarnhelm_reveal-*.dist-info/entry_points.txt")
    assert "tarnhelm-reveal = tarnhelm.reveal.tool.main:main" in entry.read_text()
    program = (
        f"import sys; sys.path[:0] = [{str(site)!r}]; sys.path.append({LIBRARIES!r})\n"
        "import tarnhelm.reveal.tool.main as tool, tarnhelm.linkage.local as pipeline\n"
        f"assert all(module.__file__.startswith({str(site)!r}) for module in (tool, pipeline))\n"
        "assert 'grpc' not in sys.modules\n"
        "sys.exit(tool.run(['--help']))\n"
    )
    # -S: neither this environment's editable installs nor their paths; the libraries alone are lent.
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "tarnhelm-reveal case approve" in done.stdout


def test_without_the_reveal_wheel_the_pipeline_has_no_way_back(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    zipfile.ZipFile(wheels[0]).extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path / 'site')!r}]; sys.path.append({LIBRARIES!r})\n"
        "import tarnhelm.cli.main, importlib.util\n"
        "assert importlib.util.find_spec('tarnhelm.reveal') is None\n"
    )
    subprocess.run([sys.executable, "-S", "-c", program], check=True, cwd=tmp_path)
