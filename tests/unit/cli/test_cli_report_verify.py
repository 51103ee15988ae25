"""``tarnhelm report verify``: whatever was changed after the run is noticed, and told with exit code 3."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakecores
import pytest


@pytest.fixture
def out(tarnhelm: Any, tmp_path: Path) -> Path:
    for number in range(4):
        fakecores.write_fake(tmp_path / "in" / f"{number}.dcm", "Doe^Jane", number + 1)
    tarnhelm("clean", tmp_path / "in", tmp_path / "out")
    return tmp_path / "out"


def edit(out: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = out / "report" / "objects.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def first_file(out: Path) -> Path:
    return min(out.rglob("*.dcm"))


def test_what_a_run_wrote_agrees_and_more_runs_into_the_same_out_do_too(
    tarnhelm: Any, out: Path, tmp_path: Path
) -> None:
    assert (
        "4 released objects in the report; of 4 bytes and signature agree" in tarnhelm("report", "verify", out).stdout
    )
    fakecores.write_fake(tmp_path / "in" / "more.dcm", "Roe^Richard", 9)
    tarnhelm("clean", tmp_path / "in", out, "--resume")
    done = tarnhelm("report", "verify", out)
    assert "of 5 bytes" in done.stdout
    assert "this machine's records" in done.stderr
    head = json.loads((out / "report" / "objects.jsonl").read_text().splitlines()[0])
    assert len(head["runs"]) == 2


def test_elsewhere_the_keys_of_the_report_are_shown(
    tarnhelm: Any, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(out, tmp_path / "copy")
    done = tarnhelm("report", "verify", tmp_path / "copy")
    assert "knows nothing of OUT" in done.stderr
    assert json.loads((out / "report" / "objects.jsonl").read_text().splitlines()[0])["witness_key"] in done.stderr
    shutil.move(tmp_path / "copy" / "report", tmp_path / "elsewhere")
    tarnhelm("report", "verify", tmp_path / "copy", "--report", tmp_path / "elsewhere")
    monkeypatch.setenv("TARNHELM_STATE", str(tmp_path / "nowhere"))
    tarnhelm("report", "verify", tmp_path / "copy", "--report", tmp_path / "elsewhere")
    assert not (tmp_path / "nowhere").exists()


def changed(out: Path) -> None:
    first_file(out).write_text("FAKE\nother bytes\n")


def missing(out: Path) -> None:
    first_file(out).unlink()


def linked(out: Path) -> None:
    path = first_file(out)
    path.rename(out.parent / "moved")
    path.symlink_to(out.parent / "moved")


def linked_folder(out: Path) -> None:
    folder = first_file(out).parent
    folder.rename(out.parent / "moved")
    folder.symlink_to(out.parent / "moved")


def extra(out: Path) -> None:
    (first_file(out).parent / "Doe^Jane.dcm").write_text("an original that somebody put here")


def renamed(out: Path) -> None:
    first_file(out).rename(first_file(out).with_name("0099.dcm"))


def other_digest(out: Path) -> None:
    """Bytes and digest changed together: only the signature can tell."""
    import hashlib

    path = first_file(out)
    path.write_text("FAKE\nother bytes\n")
    name = path.relative_to(out).as_posix()

    def change(lines: list[dict[str, Any]]) -> None:
        line = next(line for line in lines[1:] if line["path"] == name)
        line["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    edit(out, change)


def swapped(out: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[1]["verdict"], lines[2]["verdict"] = lines[2]["verdict"], lines[1]["verdict"]

    edit(out, change)


def another_key(out: Path) -> None:
    """Somebody signed it all with a key of his own and put that into the report."""
    from tarnhelm.gateway.verdict import SignedVerdict

    def change(lines: list[dict[str, Any]]) -> None:
        for run in lines[0]["runs"].values():
            run["witness_key"] = "00" * 32
            for line in lines[1:]:
                made = SignedVerdict(line["object"], run["policy_digest"], line["sha256"], clean=True)
                line["verdict"] = fakecores.sign(bytes(32), made)

    edit(out, change)


def no_key(out: Path) -> None:
    edit(out, lambda lines: lines[0]["runs"].clear())


def twice(out: Path) -> None:
    edit(out, lambda lines: lines.append(lines[1]))


def outside(out: Path) -> None:
    edit(out, lambda lines: lines[1].update(path="../in/0.dcm"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (changed, "the file is not the one that was released"),
        (missing, "in the report, and not in OUT"),
        (linked, "in the report, and not in OUT"),
        (linked_folder, "in the report, and not in OUT"),
        (extra, "in OUT, and not in the report"),
        (renamed, "in the report, and not in OUT"),
        (other_digest, "signature does not cover"),
        (swapped, "signature does not cover"),
        (another_key, "this machine knows another"),
        (no_key, "does not name the witness's key"),
        (twice, "names it twice"),
        (outside, "in the report, and not in OUT"),
    ],
    ids=lambda one: one.__name__ if callable(one) else "",
)
def test_what_was_changed_after_the_run_is_noticed(tarnhelm: Any, out: Path, harm: Any, said: str) -> None:
    harm(out)
    done = tarnhelm("report", "verify", out, code=3)
    assert said in done.stdout
    assert "RUN-020" in done.stderr
    assert "Doe" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text", ["", "{}\n", "[]\n", '{"report": "tarnhelm", "format": 2, "runs": {}}\n', "\xff", "{\n"]
)
def test_a_report_that_is_none_is_told(tarnhelm: Any, out: Path, text: str) -> None:
    (out / "report" / "objects.jsonl").write_text(text, "latin-1")
    assert "RUN-019" in tarnhelm("report", "verify", out, code=2).stderr


def test_a_folder_without_a_report_is_told(tarnhelm: Any, tmp_path: Path) -> None:
    assert "RUN-019" in tarnhelm("report", "verify", tmp_path, code=2).stderr
