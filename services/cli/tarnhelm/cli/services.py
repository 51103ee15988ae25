"""The parts the command puts together: the one place that knows all services by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tarnhelm.common.limits import Limits
    from tarnhelm.gateway.verdict import SignedVerdict

__all__ = ["Prepared", "Recipe", "Services", "TarnhelmServices", "WitnessParts"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the user asked for: a recipe, profiles, or neither (then the default recipe)."""

    text: str | None = None
    name: str = "default"
    profiles: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recipe compiled, and what pool, witness, project and report need of it.

    Attributes
    ----------
    config
        For the metadata workers; may be pickled.
    policy
        JSON for the witness.
    """

    config: Any
    digest: str
    policy: Mapping[str, Any]
    policy_digest: str
    recipe_digest: str
    profiles: tuple[str, ...]
    methods: tuple[tuple[str, str], ...]
    conflicts: tuple[str, ...]
    edition: str = ""
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WitnessParts:
    """Configuration of the witness's workers (with the signing key, which is nowhere else) and the check."""

    config: Any
    verify: Callable[[SignedVerdict], bool]


class Services(Protocol):
    """What the command needs of the services; tests hand in others."""

    metadata_factory: str
    witness_factory: str

    def prepare(self, recipe: Recipe, limits: Limits) -> Prepared:
        """Compile; raises TarnhelmError with all mistakes of the recipe."""
        ...

    def witness(self, prepared: Prepared, limits: Limits) -> WitnessParts:
        """Make a key pair for one run."""
        ...

    def explain(self, path: Path, recipe: Recipe, limits: Limits) -> Sequence[tuple[str, ...]]:
        """Rows for one file: path, name, VR, action, source, reason, and the rules that were overruled."""
        ...

    def review(self, recipe: Recipe, limits: Limits) -> tuple[list[str], list[str]]:
        """Findings on a recipe, and notes."""
        ...

    def default_recipe(self) -> str:
        """Text of the recipe that runs without ``-r`` and ``-d``."""
        ...


class TarnhelmServices:
    """The real services. Imports are inside: ``tarnhelm --help`` shall not load tables."""

    metadata_factory = "tarnhelm.cli.workers:make_metadata"
    witness_factory = "tarnhelm.cli.workers:make_witness"

    def prepare(self, recipe: Recipe, limits: Limits) -> Prepared:
        """Compile recipe and profiles."""
        from tarnhelm.metadata.core.plan import compile_plan  # noqa: PLC0415

        config = _config(recipe, limits)
        plan = compile_plan(config)
        return Prepared(
            config=config,
            digest=plan.digest,
            policy=plan.policy,
            policy_digest=str(plan.policy["digest"]),
            recipe_digest=plan.recipe_digest or plan.profile_digest,
            profiles=plan.profile_names,
            methods=plan.method_codes,
            conflicts=plan.conflicts,
            edition=plan.edition,
            variables=plan.variables,
        )

    def witness(self, prepared: Prepared, limits: Limits) -> WitnessParts:
        """Make the run's signing key; its private half goes to the witness's workers only."""
        from tarnhelm.witness.core import SealCheck, signed_bytes  # noqa: PLC0415

        key = Ed25519PrivateKey.generate()
        sealed = SealCheck(key.public_key())
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

        def verify(verdict: SignedVerdict) -> bool:
            message = signed_bytes(verdict.object_id, verdict.policy_digest, verdict.output_sha256, verdict.clean)
            try:
                signature = bytes.fromhex(verdict.signature)
            except ValueError:
                return False
            return (
                sealed(message, signature)
                and verdict.clean == (not verdict.code)
                and verdict.clean == (not verdict.findings)
            )

        return WitnessParts((json.dumps(dict(prepared.policy)), raw, limits), verify)

    def explain(self, path: Path, recipe: Recipe, limits: Limits) -> Sequence[tuple[str, ...]]:
        """Explain one file."""
        from tarnhelm.metadata.core.explain import explain_file  # noqa: PLC0415

        rows = explain_file(path, _config(recipe, limits))
        return [(row.path, row.name, row.vr, row.action, row.source, row.reason, *row.overruled) for row in rows]

    def review(self, recipe: Recipe, limits: Limits) -> tuple[list[str], list[str]]:
        """Review a recipe."""
        from tarnhelm.metadata.core.review.checks import review  # noqa: PLC0415

        made = review(_config(recipe, limits))
        return [str(finding) for finding in made.findings], list(made.notes)

    def default_recipe(self) -> str:
        """Text of the default recipe."""
        from tarnhelm.metadata.core.plan import default_recipe  # noqa: PLC0415

        return default_recipe()


def _config(recipe: Recipe, limits: Limits) -> Any:
    from tarnhelm.metadata.core.plan import MetadataConfig  # noqa: PLC0415

    return MetadataConfig(
        recipe_text=recipe.text,
        recipe_name=recipe.name,
        profiles=recipe.profiles,
        variables=dict(recipe.variables),
        limits=limits,
    )
