"""Settings of stages in which recipes differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.recipe import Recipe


@dataclass(frozen=True)
class Setting:
    name: str  # "gopher_quality.min_words"
    values: tuple[Any, ...]  # of each recipe; None where it has no such setting


def differing_settings(recipes: Sequence[Recipe]) -> list[Setting]:
    """Those that are not the same in all recipes, in the order in which they are first met."""
    flat = [
        {
            f"{stage.name}.{key}": value
            for _, stage in recipe.stages
            for key, value in stage.model_dump(mode="json").items()
        }
        for recipe in recipes
    ]
    names = dict.fromkeys(name for values in flat for name in values)
    rows = (Setting(name, tuple(values.get(name) for values in flat)) for name in names)
    return [row for row in rows if any(value != row.values[0] for value in row.values)]
