"""The configuration of the metadata stage as JSON: it comes back as it was, or it is refused."""

from __future__ import annotations

import json

import pytest

from tarnhelm.common.errors import TarnhelmError
from tarnhelm.common.limits import Limits
from tarnhelm.metadata.core.config_json import config_json, config_of
from tarnhelm.metadata.core.plan import MetadataConfig, compile_plan, default_recipe

CONFIGS = (
    MetadataConfig(),
    MetadataConfig(
        profiles=("basicProfile", "cleanDescOpt"), site_mrn_patterns=(r"VGH-?\d{7}",), extra_words=("quickspin",)
    ),
    MetadataConfig(recipe_text=default_recipe(), recipe_name="Qu\u00e9bec", variables={"entity_id": "x"}),
)


@pytest.mark.parametrize("config", CONFIGS)
def test_it_comes_back_as_it_was(config):
    text = config_json(config)
    assert config_of(text) == config
    assert config_json(config_of(text)) == text
    assert config_of(text, Limits(max_depth=3)).limits.max_depth == 3
    assert compile_plan(config_of(text)).digest == compile_plan(config).digest


def changed(**changes: object) -> str:
    return json.dumps(json.loads(config_json(MetadataConfig())) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "nul", "[" * 100_000, changed(version=2), changed(plan="0" * 64), changed(plan=None), changed(recipe=3),
        changed(recipe="FORMAT nonsense"), changed(profiles=["no such profile"]), changed(profiles="basicProfile"),
        changed(variables={"a": 1}), changed(variables=[]), changed(site="record_numbers: ['(a+)+b']"), changed(site=[]),
        changed(more=""), changed(name=None),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_one_code(text):
    with pytest.raises(TarnhelmError) as caught:
        config_of(text)
    assert caught.value.code == "STG-010"
