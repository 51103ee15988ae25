"""A plan: recipe, profiles and versions compiled and pinned, and what the witness is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from tarnhelm.common.ids import canonical_digest
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.metadata.core import pseudo, standard
from tarnhelm.metadata.core.profiles import Profile, combine
from tarnhelm.metadata.core.recipe import ClassCatalogue, Recipe, conflicts, parse_recipe
from tarnhelm.metadata.core.review.identity import against_profile
from tarnhelm.metadata.core.review.reach import reach
from tarnhelm.metadata.core.rules.compiler import RuleCompiler
from tarnhelm.metadata.core.rules.policy import policy_of

__all__ = [
    "DEFAULT_PROFILES",
    "MetadataConfig",
    "Plan",
    "compile_plan",
    "compile_rules",
    "default_recipe",
    "pseudo_classes",
]

#: Without a recipe and without profiles: PS3.15 codes 113100 and 113107.
DEFAULT_PROFILES: Final = ("basicProfile", "rtnLongModifDatesOpt")
#: Raised when the rewriter's own decisions change for the same recipe and profiles.
REWRITER_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class MetadataConfig:
    """What a run of the metadata stage is configured with; plain values, so that it travels to workers.

    Attributes
    ----------
    recipe_text
        The recipe, or ``None``. Neither recipe nor profiles: the default recipe.
    recipe_name
        For messages.
    profiles
        Names of PS3.15 profiles; basicProfile is implied whatever is named.
    variables
        Values for the recipe's ``var:`` names.
    site_mrn_patterns
        Regular expressions of the site's record numbers, to be taken out of texts. From users they come through
        :func:`~tarnhelm.metadata.core.site.parse_site`, which bounds their time.
    extra_words
        Words that may stay in cleaned texts besides the lexicon's.
    """

    recipe_text: str | None = None
    recipe_name: str = "default"
    profiles: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    site_mrn_patterns: tuple[str, ...] = ()
    extra_words: tuple[str, ...] = ()
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled configuration.

    Attributes
    ----------
    digest
        sha256 (hex) over everything that decides what is written: recipe, profiles, tables, versions, policy.
    policy
        JSON document for the witness.
    method_codes
        (code, meaning) of CID 7050.
    conflicts
        Sentences: rows on which two profiles differ, rules that contradict each other or never apply.
    """

    digest: str
    policy: Mapping[str, Any]
    recipe_digest: str
    recipe_name: str
    profile_names: tuple[str, ...]
    profile_digest: str
    method_codes: tuple[tuple[str, str], ...]
    dates: str
    edition: str
    conflicts: tuple[str, ...]
    variables: frozenset[str]


@cache
def default_recipe() -> str:
    """Text of the recipe that runs without ``-r`` and ``-d``."""
    return resources.files("tarnhelm.metadata.core").joinpath("default.recipe").read_text("utf-8")


@cache
def pseudo_classes() -> ClassCatalogue:
    """PSEUDO classes with their parameters, as the parser of recipes wants them."""
    return MappingProxyType({one.name: one.parameters for one in pseudo.describe()})


def compile_rules(config: MetadataConfig) -> tuple[RuleCompiler, Profile, Recipe | None]:
    """Parse and combine; raises RecipeError and ProfileError, which say what to do."""
    text = config.recipe_text
    profiles = config.profiles
    if text is None and not profiles:
        text, profiles = default_recipe(), DEFAULT_PROFILES
    recipe = parse_recipe(text, config.recipe_name, classes=pseudo_classes()) if text is not None else None
    profile = combine(profiles or ("basicProfile",))
    return RuleCompiler(profile, recipe), profile, recipe


def compile_plan(config: MetadataConfig) -> Plan:
    """Compile a configuration once, for the project's pins, the witness and the report."""
    compiler, profile, recipe = compile_rules(config)
    policy = policy_of(compiler, profile, recipe)
    recipe_digest = recipe.digest if recipe is not None else ""
    digest = canonical_digest(
        {
            "rewriter": REWRITER_VERSION,
            "surrogates": pseudo.ALGORITHM_VERSION,
            "recipe": recipe_digest,
            "profile": profile.digest,
            "standard": standard.digest(),
            "policy": policy["digest"],
            "variables": dict(sorted(config.variables.items())),
            "mrn": list(config.site_mrn_patterns),
            "words": sorted(config.extra_words),
        }
    )
    found = [
        f"{conflict.name}: {', '.join(f'{name} says {code}' for name, code in conflict.actions)}; {conflict.winner} decides"
        for conflict in profile.conflicts
    ]
    if recipe is not None:
        found.extend(f"{one} ({recipe.name})" for one in against_profile(compiler, reach(recipe)))
        found.extend(str(conflict) for conflict in conflicts(recipe))
        found.extend(problem.message for problem in recipe.warnings)
    return Plan(
        digest=digest,
        policy=policy,
        recipe_digest=recipe_digest,
        recipe_name=config.recipe_name if recipe is not None else "",
        profile_names=profile.names,
        profile_digest=profile.digest,
        method_codes=tuple((code.value, code.meaning) for code in profile.method_codes),
        dates=profile.dates,
        edition=standard.edition(),
        conflicts=tuple(found),
        variables=recipe.variables if recipe is not None else frozenset(),
    )
