"""Every block of docs/reference/recipes.md is what it claims to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tarnhelm.metadata.core.plan import MetadataConfig, pseudo_classes
from tarnhelm.metadata.core.recipe import (
    CLASS_ALIASES,
    PSEUDO_CLASSES,
    ActionName,
    Decision,
    FunctionCall,
    Literal,
    PseudoCall,
    Recipe,
    RecipeError,
    Variable,
    conflicts,
    evaluate_filters,
    parse_recipe,
    registry,
    render_problems,
)
from tarnhelm.metadata.core.recipe.vocabulary import COORDINATE_WORDS, EXPANDERS, SECTIONS, Criterion
from tarnhelm.metadata.core.review.checks import review

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "recipes.md"
BLOCKS = re.findall(
    r"^```(recipe|recipe-error)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
CLAIM = re.compile(r"^#> (.*)$", re.MULTILINE)


def _ids(blocks):
    return [f"{number}-{kind}" for number, (kind, _) in enumerate(blocks)]


def _shown(decision: Decision | None) -> str:
    if decision is None:
        return "nothing"
    value = decision.value
    text = str(decision.action)
    if isinstance(value, Literal):
        text += f" {value.text!r}"
    elif isinstance(value, Variable):
        text += f" var:{value.name}"
    elif isinstance(value, FunctionCall):
        text += " ".join(["", f"func:{value.name}", *(f"{name}={arg}" for name, arg in value.args.items())])
    elif isinstance(value, PseudoCall):
        text += " ".join(["", value.cls, *(f"{name}={arg}" for name, arg in value.parameters.items())])
    condition = decision.condition
    if condition is None:
        return text
    asked = [f"values:{condition.group}"] if condition.group else []
    asked += [condition.function.name] if condition.function else []
    return f"{text} if {' and '.join(asked)}, else {_shown(decision.otherwise)}"


def _view(text: str):
    pairs = dict(pair.split("=", 1) for pair in text.split())
    return lambda name: [pairs[name]] if name in pairs else None


def _matches(recipe: Recipe, header: str) -> str:
    found = []
    for match in evaluate_filters(recipe, _view(header)):
        boxes = [",".join(map(str, box)) for region in match.regions for box in region.boxes]
        found.append(" ".join([f"{match.filter}/{match.label}", *boxes]))
    return "; ".join(found)


def _check(recipe: Recipe, claim: str, key) -> None:
    kind, _, rest = claim.partition(" ")
    if kind == "adds":
        assert rest in {rule.selector.tag.attribute.keyword for rule in recipe.additions}
    elif kind == "warning":
        place, _, message = rest.partition(" ")
        assert any(f"{w.line}:{w.column}" == place and message in w.message for w in recipe.warnings), recipe.warnings
    elif kind == "conflict":
        first, second, why = rest.split(" ", 2)
        found = [(c.rule_a.line, c.rule_b.line, c.why) for c in conflicts(recipe)]
        assert any((a, b) == (int(first), int(second)) and why in text for a, b, text in found), found
    elif kind == "filter":
        header, _, expected = rest.partition(":")
        assert _matches(recipe, header) == expected.strip()
    elif kind == "values":
        name, _, rest = rest.partition(" ")
        header, _, expected = rest.partition(": ")
        view = _view(header)
        assert recipe.collect_values(lambda field: view(field) or ())[name] == set(expected.split())
    else:
        attribute, _, expected = claim.rpartition(": ") if claim.count(": ") == 1 else _split_claim(claim)
        assert _shown(recipe.decide(key(attribute))) == expected


def _split_claim(claim: str) -> tuple[str, str, str]:
    """A creator may hold a colon: the last one that stands behind a parenthesis or a keyword counts."""
    found = re.fullmatch(r"((?:\([^)]*\)|\w+)(?:/\w+)*): (.*)", claim)
    assert found, claim
    return found[1], ":", found[2]


@pytest.mark.parametrize(("kind", "text"), BLOCKS, ids=_ids(BLOCKS))
def test_a_block_of_the_reference_page_does_what_it_claims(kind, text, key):
    claims = CLAIM.findall(text)
    if kind == "recipe":
        recipe = parse_recipe(text, classes=pseudo_classes())
        for claim in claims:
            if claim.startswith("finding "):
                line, _, sentence = claim.removeprefix("finding ").partition(" ")
                said = [str(one) for one in review(MetadataConfig(text)).findings]
                named, _, words = sentence.partition(": ")
                assert any(one.startswith(f"line {line}: {named}: ") and words in one for one in said), said
                continue
            _check(recipe, claim, key)
        return
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, classes=pseudo_classes())
    assert claims
    problems = caught.value.problems
    told = render_problems(text, problems)
    assert len(problems) == len(claims), told
    for problem, claim in zip(problems, claims, strict=True):
        expected, _, suggestion = claim.removeprefix("error ").partition(" -> ")
        place, _, message = expected.partition(" ")
        assert f"{problem.line}:{problem.column}" == place, told
        assert message in problem.message, told
        assert problem.suggestion == suggestion or not suggestion, told


def test_the_page_shows_every_word_of_the_grammar():
    page = PAGE.read_text(encoding="utf-8")
    words = [*ActionName, *PSEUDO_CLASSES, *CLASS_ALIASES, *Criterion, *EXPANDERS, *COORDINATE_WORDS]
    words += [f"%{section}" for section in SECTIONS]
    words += [f"`{name}`" for name in registry()]
    words += [f"`{name}" for function in registry().values() for name in function.parameters or ()]
    assert [word for word in words if word not in page] == []


def test_most_blocks_make_a_claim():
    silent = [text for kind, text in BLOCKS if not CLAIM.search(text)]
    assert len(BLOCKS) > 25
    assert len(silent) <= 1
