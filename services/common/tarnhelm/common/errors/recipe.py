"""RCP: what is wrong with a recipe."""

from __future__ import annotations

from tarnhelm.common.errors.catalogue import USAGE, error_code

BAD_RECIPE = error_code(
    "RCP-001",
    USAGE,
    "Mistakes in the recipe: {seen}.",
    "Read the list of lines and suggestions that comes with this message.",
)
RECIPE_VARIABLE = error_code(
    "RCP-002",
    USAGE,
    "The recipe uses a variable that has no value.",
    "Give the run a value for every variable of the recipe.",
)
