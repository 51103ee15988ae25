"""Tarnhelm as a contestant: ``python tarnhelm_driver.py MODE IN OUT STATE``.

Modes: ``rewriter`` (no hashing), ``hashes`` (sha256 of source and output), ``witness`` (and the witness), ``command``
(the whole command in this process), ``verdicts`` (the witness over somebody else's OUT). ``MODE --probe`` only tells
by its exit code whether the parts are there.
"""

# ruff: noqa: T201  (answers on stdout)
from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

BATCH = 16
PROFILES = ("basicProfile", "rtnLongModifDatesOpt", "cleanDescOpt", "rtnPatCharsOpt")


def configuration() -> Any:
    """The default recipe's place is taken by the profiles that keep what a researcher needs."""
    from tarnhelm.metadata.core.stage import MetadataConfig

    return MetadataConfig(profiles=PROFILES)


def witness_of() -> Any:
    """A witness under the policy of the same plan, with a key of its own."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tarnhelm.metadata.core.stage import compile_plan
    from tarnhelm.witness.core.policy import Policy
    from tarnhelm.witness.core.verdict import Witness

    policy = Policy.from_json(json.dumps(dict(compile_plan(configuration()).policy)))
    return Witness(policy, Ed25519PrivateKey.generate())


def clean(source: Path, target: Path, state: Path, *, hashes: bool, witness: bool) -> int:
    """Core and witness in one process, file after file."""
    from tarnhelm.common.errors import TarnhelmError
    from tarnhelm.common.stage import StageJob
    from tarnhelm.linkage.local import LocalLinkage
    from tarnhelm.metadata.core.stage import MetadataCore

    linkage = LocalLinkage(state)
    if not any(project.label == "bench" for project in linkage.projects.list()):
        linkage.create("bench")
    assigner = linkage.assigner("bench")
    # With the witness, its own hash of the released bytes is the second one, and signatures cover batches: as the command does.
    core = MetadataCore(configuration(), hash_source=hashes, hash_output=hashes and not witness)
    judge = witness_of() if witness else None
    failed: Counter[str] = Counter()
    unsigned: list[Any] = []
    for number, path in enumerate(sorted(source.iterdir())):
        out = target / path.name
        try:
            core(StageJob(f"{number:032x}", path, out), assigner)
        except TarnhelmError as error:
            failed[error.code] += 1
            continue
        if judge is not None:
            verdict = judge.examine(path, out, f"{number:032x}")
            unsigned.append(verdict)
            if len(unsigned) == BATCH:
                judge.sign_all(unsigned)
                unsigned.clear()
            if not verdict.clean:
                failed[verdict.code] += 1
                out.unlink()
    if judge is not None and unsigned:
        judge.sign_all(unsigned)
    if failed:
        sys.stderr.write(f"FAILED {dict(failed)}\n")
    return 0


def command(source: Path, target: Path, state: Path) -> int:
    """``tarnhelm clean``: its workers are children, and count."""
    os.environ["TARNHELM_STATE"] = str(state)
    program = str(Path(sys.executable).with_name("tarnhelm"))
    arguments = [part for name in PROFILES for part in ("-d", name)]
    return os.spawnv(os.P_WAIT, program, [program, "clean", str(source), str(target / "out"), "-p", "1", *arguments])  # noqa: S606


def verdicts(source: Path, target: Path) -> int:
    """JSON on stdout: how many objects of OUT the witness would stop, and for which findings."""
    judge = witness_of()
    stopped, judged = 0, 0
    codes: Counter[str] = Counter()
    for path in sorted(target.rglob("*")):
        original = source / path.name
        if path.is_file() and original.exists():
            judged += 1
            verdict = judge.judge(original, path, f"{judged:032x}")
            stopped += not verdict.clean
            codes.update({finding.code for finding in verdict.findings})
    print(json.dumps({"judged": judged, "stopped": stopped, "codes": codes}))
    return 0


def probe(mode: str) -> int:
    """0 if the parts of a mode can be imported."""
    import importlib.util

    wanted = {
        "command": ["tarnhelm.cli.main"],
        "verdicts": ["tarnhelm.witness.core.verdict"],
        "witness": ["tarnhelm.witness.core.verdict"],
    }
    try:
        if mode != "command":
            configuration()
        return int(not all(importlib.util.find_spec(name) for name in wanted.get(mode, [])))
    except ImportError:
        return 1


def main() -> int:
    """Dispatch."""
    mode = sys.argv[1]
    if sys.argv[2] == "--probe":
        return probe(mode)
    source, target = Path(sys.argv[2]), Path(sys.argv[3])
    if mode == "verdicts":
        return verdicts(source, target)
    state = Path(sys.argv[4])
    if mode == "command":
        return command(source, target, state)
    return clean(source, target, state, hashes=mode != "rewriter", witness=mode == "witness")


if __name__ == "__main__":
    raise SystemExit(main())
