"""What a project pins of a compiled recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tarnhelm.linkage.core.projects import RunPins

if TYPE_CHECKING:
    from tarnhelm.cli.services import Prepared

__all__ = ["pins_of"]

_SURROGATE_VERSION: Final = 1


def pins_of(prepared: Prepared) -> RunPins:
    """Give the pins of a run that works with it; the weights of models are pinned where the models are."""
    return RunPins(
        recipe_digest=prepared.recipe_digest,
        profiles=prepared.profiles,
        standard_edition=prepared.edition,
        surrogate_version=_SURROGATE_VERSION,
        site_digest=prepared.site_digest,
    )
