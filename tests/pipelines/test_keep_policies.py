"""What a keep policy names has to be there: a column that goes along with the text, a source of the recipe."""

from typing import Any

import pytest

from pipelines.recipe import parse_recipe
from shards.errors import UserError


def parse(*stages: dict[str, Any]) -> None:
    sources = {name: {"kind": "jsonl", "paths": ["x"]} for name in ("web", "books")}
    parse_recipe({"source": sources, "stage": list(stages)}, "recipe.toml")


def near(**values: Any) -> dict[str, Any]:
    return {"kind": "minhash", "name": "near", "bands": 14, "rows": 8} | values


CLASSIFIER = {"kind": "classifier", "model": "x.bin", "label": "hq"}


def test_a_score_that_no_stage_carries_is_refused() -> None:
    with pytest.raises(UserError, match=r"near\.score: no stage before it carries 'classifier\.score' .* are none$"):
        parse(near(keep="best", score="classifier.score"))


def test_a_score_that_a_stage_carries_is_taken() -> None:
    parse(CLASSIFIER, near(keep="best", score="classifier.score"))


def test_a_source_that_the_recipe_has_not_is_refused() -> None:
    parse(near(keep="source", source_priority=["books"]))
    with pytest.raises(UserError, match=r"near\.source_priority: book is none of the recipe's sources: web, books"):
        parse(near(keep="source", source_priority=["book"]))
