"""Runs the command with small stand-ins for metadata and witness: ``python run_fake.py clean IN OUT``."""

# ruff: noqa: ARG002
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gateway"))

import fakecores

from tarnhelm.cli.main import run
from tarnhelm.cli.services import Prepared, Recipe, WitnessParts
from tarnhelm.common.ids import canonical_digest
from tarnhelm.common.limits import Limits

KEY = b"k" * 32


class FakeServices:
    metadata_factory = "fakecores:make_metadata"
    witness_factory = "fakecores:make_judge"

    def prepare(self, recipe: Recipe, limits: Limits) -> Prepared:
        digest = canonical_digest([recipe.text, list(recipe.profiles)])
        return Prepared(
            config={},
            digest=digest,
            policy={"digest": digest},
            policy_digest=digest,
            recipe_digest=digest,
            profiles=recipe.profiles or ("basicProfile",),
            methods=(("113100", "Basic Application Confidentiality Profile"),),
            conflicts=(),
            edition="2026d",
        )

    def witness(self, prepared: Prepared, limits: Limits) -> WitnessParts:
        return WitnessParts({"key": KEY, "policy": prepared.policy_digest}, _verify(), KEY.hex())

    def explain(self, path: Path, recipe: Recipe, limits: Limits) -> list[tuple[str, str, str, str, str, str]]:
        return [("(0010,0010)", "PatientName", "PN", "REMOVE", "basicProfile", "Table E.1-1")]

    def default_recipe(self) -> str:
        return "FORMAT dicom\n%header\n"

    def site(self, text: str) -> str:
        return text.strip()

    def verifier(self, public_key: str) -> Callable[[Any], bool]:
        return fakecores.verify_with(bytes.fromhex(public_key))


def _verify() -> Callable[[Any], bool]:
    return fakecores.verify_with(KEY)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], FakeServices()))
