"""Recipes: the built-in ones load, and what is resolved reads back as the same."""

from pathlib import Path

import pytest
from crawl import RECIPE

from pipelines.recipe import KINDS, builtin_names, load_recipe


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_every_builtin_recipe_loads_resolves_and_survives_a_round_trip(tmp_path: Path) -> None:
    assert "refinedweb" in builtin_names()
    for name in builtin_names():
        recipe = load_recipe(name)
        path = tmp_path / f"{name}.toml"
        path.write_text(recipe.to_toml())
        assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_recipe(recipe_file: Path, end: str) -> None:
    recipe = load_recipe(str(recipe_file))
    recipe_file.write_bytes(b"\xef\xbb\xbf" + RECIPE.replace("\n", end).encode())
    assert load_recipe(str(recipe_file)) == recipe


def test_every_kind_has_a_configuration_with_its_own_name() -> None:
    reasons = [getattr(kind, "reason", None) for kind in KINDS.values()]
    assert len({r for r in reasons if r}) == len([r for r in reasons if r])


def test_a_switched_off_rule_stays_off_in_the_resolved_recipe(recipe_file: Path) -> None:
    recipe = load_recipe(str(recipe_file), ["gopher_quality.min_words=false"])
    path = recipe_file.with_name("resolved.toml")
    path.write_text(recipe.to_toml())
    again = load_recipe(str(path))
    assert again == recipe
    assert not any("too_few_words" in rule.reason for _, s in again.stages if hasattr(s, "rules") for rule in s.rules())
