"""Fuzz target of the recipe parser, for atheris: ``python tests/hostile/fuzz_recipe.py [libFuzzer options]``.

Whatever the bytes, a recipe comes out or a ``RecipeError`` with places inside the text; nothing else. A recipe
that comes out is then asked for decisions, filters and its digest.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys

ATHERIS = importlib.import_module("atheris") if importlib.util.find_spec("atheris") else None

# Only the parser is instrumented: with all of pydicom instrumented it runs six times slower.
with ATHERIS.instrument_imports(include=["tarnhelm.metadata.core.recipe"]) if ATHERIS else contextlib.nullcontext():
    from tarnhelm.metadata.core.recipe import (
        ElementKey,
        PathStep,
        RecipeError,
        evaluate_filters,
        parse_recipe,
        render_problems,
    )

KEYS = (
    ElementKey((PathStep(0x0010_0010),), "PN"),
    ElementKey((PathStep(0x0040_A730), PathStep(0x0029_1010, "ACME")), "UN"),
    ElementKey((PathStep(0x6002_3000),), "OW"),
)
HEADER = {"Modality": ["CT"], "Rows": ["512"], "ImageType": ["DERIVED", "SECONDARY"]}


def fuzz_one(data: bytes) -> None:
    """Read one text and use what comes out."""
    text = data.decode("utf-8", "replace")
    try:
        recipe = parse_recipe(text)
    except RecipeError as error:
        render_problems(text, error.problems)
        if not all(problem.line >= 1 and problem.column >= 1 for problem in error.problems):
            raise AssertionError("a problem without a place") from error
        return
    for key in KEYS:
        recipe.decide(key)
    evaluate_filters(recipe, HEADER.get)
    recipe.collect_values(lambda _: ("a^b",))
    if len(recipe.digest) != 64:
        raise AssertionError("a digest of another length")


def main() -> int:
    """Run the fuzzer; without atheris say so and end well."""
    if ATHERIS is None:
        sys.stderr.write("skipped: atheris is not installed\n")
        return 0
    ATHERIS.Setup(sys.argv, fuzz_one)
    ATHERIS.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
