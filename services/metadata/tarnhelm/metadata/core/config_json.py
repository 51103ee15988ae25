"""A configuration of the metadata stage as a JSON document, for workers in another process.

It holds what decides how objects are cleaned, and the digest of the plan that it was compiled to where it was made. A
worker whose tables or rules differ compiles another plan, and refuses: no object is cleaned by other rules than the
ones it was admitted under. Bounds are not in it: they are the affair of whoever runs the workers.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tarnhelm.common.errors import STAGE_CONFIG, TarnhelmError
from tarnhelm.common.limits import DEFAULT_LIMITS, Limits
from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan
from tarnhelm.metadata.core.site import Site, site_of

__all__ = ["config_json", "config_of"]

_VERSION: Final = 1
_KEYS: Final = frozenset({"version", "plan", "recipe", "name", "profiles", "variables", "site"})
_LONGEST: Final = 4 << 20


def config_json(config: MetadataConfig) -> str:
    """Write a configuration with the digest of its plan; equal configurations give equal text.

    Raises
    ------
    TarnhelmError
        The mistakes of its recipe and profiles.
    """
    document = {
        "version": _VERSION,
        "plan": compile_plan(config).digest,
        "recipe": config.recipe_text,
        "name": config.recipe_name,
        "profiles": list(config.profiles),
        "variables": dict(config.variables),
        "site": Site(config.site_mrn_patterns, config.extra_words).document,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def config_of(document: str, limits: Limits = DEFAULT_LIMITS) -> MetadataConfig:
    """Read a configuration and check that it compiles here to the plan it names.

    Raises
    ------
    TarnhelmError
        ``STG-010`` where it is none, has mistakes, or means something else to this version.
    """
    try:
        found: Any = json.loads(document) if len(document) <= _LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not _is_whole(found):
        raise TarnhelmError(STAGE_CONFIG)
    try:
        site = site_of(found["site"])
        config = MetadataConfig(
            recipe_text=found["recipe"],
            recipe_name=found["name"],
            profiles=tuple(found["profiles"]),
            variables=dict(found["variables"]),
            site_mrn_patterns=site.record_numbers,
            extra_words=site.words,
            limits=limits,
        )
        digest = compile_plan(config).digest
    except TarnhelmError:
        raise TarnhelmError(STAGE_CONFIG) from None
    if digest != found["plan"]:
        raise TarnhelmError(STAGE_CONFIG)
    return config


def _is_whole(found: Any) -> bool:
    if not isinstance(found, dict) or found.keys() != _KEYS or found["version"] != _VERSION:
        return False
    texts = [found["plan"], found["name"], found["site"]]
    if found["recipe"] is not None:
        texts.append(found["recipe"])
    if not isinstance(found["profiles"], list) or not isinstance(found["variables"], dict):
        return False
    texts += [*found["profiles"], *found["variables"], *found["variables"].values()]
    return all(isinstance(text, str) for text in texts)
