"""What is done with the objects of a project: a plan, fixed by its digest and kept in the state.

A plan is compiled where recipes are understood (the command) and read by pumps, which know nothing of recipes. An
object keeps the digest of the plan that it was admitted under, whatever the project's plan is later.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tarnhelm.common import errors
from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.ids import canonical_digest

__all__ = ["ProjectPlan", "plan_of"]


@dataclass(frozen=True, slots=True)
class ProjectPlan:
    """The plan of one project.

    Attributes
    ----------
    project
        Opaque id.
    core_digest
        sha256 (hex) of recipe, tables and versions, as the metadata core gives it.
    config
        JSON for the metadata service: recipe, profiles, variables, site.
    policy
        JSON for the witness.
    policy_digest
        The digest inside the policy; a verdict under another one releases nothing.
    recipe_digest
        sha256 (hex), for the manifest.
    stages
        Names in order; the first is ``metadata``.
    accept_unchecked_pixels
        An express decision of the site; it stands in each manifest line.
    """

    project: str
    core_digest: str
    config: str
    policy: str
    policy_digest: str
    recipe_digest: str = ""
    stages: tuple[str, ...] = ("metadata",)
    accept_unchecked_pixels: bool = False

    @property
    def digest(self) -> str:
        """sha256 (hex) of everything that decides what is written; outcomes are recorded under it."""
        return canonical_digest(
            {
                "core": self.core_digest,
                "policy": self.policy_digest,
                "stages": list(self.stages),
                "accepted": self.accept_unchecked_pixels,
            }
        )

    def document(self) -> bytes:
        """Return it as canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8")


def plan_of(document: bytes) -> ProjectPlan:
    """Read a plan back; raises GTW-006 where it is none."""
    try:
        found: dict[str, Any] = json.loads(document)
        return ProjectPlan(**{**found, "stages": tuple(found["stages"])})
    except (ValueError, TypeError, KeyError):
        raise TarnhelmError(errors.STATE_BROKEN) from None
