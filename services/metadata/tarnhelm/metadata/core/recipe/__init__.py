r"""Recipes: deid's grammar with PSEUDO, read into rules that decide for each attribute.

>>> recipe = parse_recipe("FORMAT dicom\n%header\nPSEUDO PatientName FULL_NAME")
>>> recipe.decide(ElementKey((PathStep(0x00100010),), "PN")).action
<ActionName.PSEUDO: 'PSEUDO'>
"""

from tarnhelm.metadata.core.recipe.conflicts import RuleConflict, conflicts
from tarnhelm.metadata.core.recipe.filters import Filter, FilterLabel, FilterMatch, HeaderView, Region
from tarnhelm.metadata.core.recipe.functions import FunctionContext, evaluate, holds, new_value, registry
from tarnhelm.metadata.core.recipe.groups import FieldGroup, ValueGroup
from tarnhelm.metadata.core.recipe.parser import parse_recipe
from tarnhelm.metadata.core.recipe.problems import RecipeError, RecipeProblem, render_problems
from tarnhelm.metadata.core.recipe.recipe import Recipe, evaluate_filters, may_keep_private
from tarnhelm.metadata.core.recipe.rules import (
    Condition,
    Decision,
    FunctionCall,
    Label,
    Literal,
    PseudoCall,
    Rule,
    ValueExpr,
    Variable,
)
from tarnhelm.metadata.core.recipe.selectors import ElementKey, TagSelector
from tarnhelm.metadata.core.recipe.tags import PathStep, TagPattern
from tarnhelm.metadata.core.recipe.vocabulary import CLASS_ALIASES, PSEUDO_CLASSES, ActionName, ClassCatalogue

__all__ = [
    "CLASS_ALIASES",
    "PSEUDO_CLASSES",
    "ActionName",
    "ClassCatalogue",
    "Condition",
    "Decision",
    "ElementKey",
    "FieldGroup",
    "Filter",
    "FilterLabel",
    "FilterMatch",
    "FunctionCall",
    "FunctionContext",
    "HeaderView",
    "Label",
    "Literal",
    "PathStep",
    "PseudoCall",
    "Recipe",
    "RecipeError",
    "RecipeProblem",
    "Region",
    "Rule",
    "RuleConflict",
    "TagPattern",
    "TagSelector",
    "ValueExpr",
    "ValueGroup",
    "Variable",
    "conflicts",
    "evaluate",
    "evaluate_filters",
    "holds",
    "may_keep_private",
    "new_value",
    "parse_recipe",
    "registry",
    "render_problems",
]
