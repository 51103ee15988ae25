"""The parts the command puts together: the one place that knows all services by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tarnhelm.common.limits import Limits
    from tarnhelm.gateway.verdict import SignedVerdict

__all__ = ["Prepared", "Recipe", "Services", "TarnhelmServices", "WitnessParts"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the user asked for: a recipe, profiles, or neither (then the default recipe).

    Attributes
    ----------
    site
        What the site adds to the cleaning of texts, as :meth:`Services.site` writes it.
    """

    text: str | None = None
    name: str = "default"
    profiles: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    site: str = ""


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
    site_digest: str = ""


@dataclass(frozen=True, slots=True)
class WitnessParts:
    """Configuration of the witness's workers (with the signing key, which is nowhere else) and the check.

    Attributes
    ----------
    public_key
        Hex; kept with the run, so that its verdicts can be checked ever after.
    """

    config: Any
    verify: Callable[[SignedVerdict], bool]
    public_key: str


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

    def config_text(self, prepared: Prepared) -> str:
        """Write what the metadata service is configured with as JSON."""
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

    def site(self, text: str) -> str:
        """Read a site file; returns the document that a project keeps. Raises TarnhelmError with all mistakes."""
        ...

    def verifier(self, public_key: str) -> Callable[[SignedVerdict], bool]:
        """Give the check of verdicts under a public key (hex)."""
        ...


class TarnhelmServices:
    """The real services. Imports are inside: ``tarnhelm --help`` shall not load tables."""

    metadata_factory = "tarnhelm.cli.workers:make_metadata"
    witness_factory = "tarnhelm.cli.workers:make_witness"

    def prepare(self, recipe: Recipe, limits: Limits) -> Prepared:
        """Compile recipe and profiles."""
        from tarnhelm.metadata.core.plan import compile_plan  # noqa: PLC0415
        from tarnhelm.metadata.core.site import site_of  # noqa: PLC0415

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
            site_digest=site_of(recipe.site).digest,
        )

    def witness(self, prepared: Prepared, limits: Limits) -> WitnessParts:
        """Make the run's signing key; its private half goes to the witness's workers only."""
        key = Ed25519PrivateKey.generate()
        raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        return WitnessParts((json.dumps(dict(prepared.policy)), raw, limits), self.verifier(public), public)

    def config_text(self, prepared: Prepared) -> str:
        """Write the metadata core's configuration as JSON."""
        from tarnhelm.metadata.core.config_json import config_json  # noqa: PLC0415

        return config_json(prepared.config)

    def verifier(self, public_key: str) -> Callable[[SignedVerdict], bool]:
        """Give the check of verdicts; a key that is none fits no verdict."""
        from tarnhelm.witness.core import SealCheck, signed_bytes  # noqa: PLC0415

        try:
            sealed = SealCheck(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)))
        except ValueError:
            return lambda _verdict: False

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

        return verify

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

    def site(self, text: str) -> str:
        """Read a site file."""
        from tarnhelm.metadata.core.site import parse_site  # noqa: PLC0415

        return parse_site(text).document


def _config(recipe: Recipe, limits: Limits) -> Any:
    from tarnhelm.metadata.core.plan import MetadataConfig  # noqa: PLC0415
    from tarnhelm.metadata.core.site import site_of  # noqa: PLC0415

    site = site_of(recipe.site)
    return MetadataConfig(
        recipe_text=recipe.text,
        recipe_name=recipe.name,
        profiles=recipe.profiles,
        variables=dict(recipe.variables),
        site_mrn_patterns=site.record_numbers,
        extra_words=site.words,
        limits=limits,
    )
