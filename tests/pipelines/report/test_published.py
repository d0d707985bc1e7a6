"""Gaps to the published shares: an exact split, and a reason for each large one."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import write_report
from pipelines.report.published import gap_parts
from pipelines.run.opening import open_run


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6))
def test_parts_of_a_gap_add_up_to_it(here: list[float], there: list[float]) -> None:
    there = there[: len(here)]
    left, published = 100 * math.prod(here), 100 * math.prod(there)
    parts = gap_parts(left, published, [(str(i), a / b) for i, (a, b) in enumerate(zip(here, there, strict=True))])
    assert sum(parts.values()) == pytest.approx(left - published, rel=1e-6, abs=1e-6)


def test_a_gap_above_five_points_has_its_reasons(found: dict[str, Any], html: str) -> None:
    steps = {row["step"]: row for row in found["published"]["steps"]}
    assert list(steps) == ["URL filter", "extraction", "MinHash", "substring and URL dedup"]
    for row in steps.values():
        assert bool(row["reasons"]) == (abs(row["gap"]) > 5)
        assert sum(row["parts"].values()) == pytest.approx(row["gap"], abs=0.05)
    last = steps["substring and URL dedup"]
    assert last["gap"] > 5
    assert "Exact substring deduplication is not part of this recipe" in " ".join(last["reasons"])
    assert last["reasons"][0] in html


def test_another_recipe_is_not_compared(run: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(run / "recipe.toml"))
    (tmp_path / "other.toml").write_text(recipe.to_toml().replace('name = "refinedweb"', 'name = "mine"'))
    opened = open_run(load_recipe(str(tmp_path / "other.toml")), tmp_path / "run")
    execute(opened, InProcess(), lambda _: None)
    assert json.loads((tmp_path / "run" / "report.json").read_bytes())["published"] is None
    assert "Beside the published shares" not in write_report(tmp_path / "run").read_text()
