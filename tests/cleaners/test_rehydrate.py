"""Weights by cluster size, from a recipe into the shards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.rehydrate import RehydrateConfig
from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from pipelines.verbs.verify import verify_run
from shards.errors import UserError
from shards.sink import read_table

RECIPE = """
[source.web]
kind = "jsonl"
paths = ["{folder}/in"]
[[stage]]
kind = "exact"
[[stage]]
kind = "rehydrate"
"""


def weights_of(config: RehydrateConfig, copies: list[int]) -> list[int]:
    return config.build()(pa.record_batch({"copies": pa.array(copies, pa.int64())}))["rehydrate.weight"].to_pylist()


def config_of(**settings: Any) -> RehydrateConfig:
    return RehydrateConfig.parse({"name": "rehydrate"} | settings, "r.toml: stage[1] rehydrate")


def test_the_default_is_the_table_of_fineweb2() -> None:
    copies = [size - 1 for size in (1, 2, 3, 4, 5, 99, 100, 999, 1000, 10**9)]
    assert weights_of(config_of(), copies) == [1, 2, 3, 3, 5, 5, 8, 8, 1, 1]


@given(
    st.dictionaries(st.integers(2, 40), st.integers(0, 9)), st.integers(0, 9), st.lists(st.integers(0, 50), max_size=20)
)
def test_a_cluster_has_the_weight_of_the_largest_size_that_it_reaches(
    table: dict[int, int], first: int, copies: list[int]
) -> None:
    table |= {1: first}
    expected = [table[max(size for size in table if size <= number + 1)] for number in copies]
    config = config_of(weights={str(size): weight for size, weight in table.items()})
    assert weights_of(config, copies) == expected
    assert RehydrateConfig.parse(config.model_dump(mode="json"), "again") == config


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"2": 2}, "no weight for cluster size 1"),
        ({"1": 1, "few": 2}, "expected cluster sizes of at least 1, not 'few'"),
        ({"1": 1, "-2": 2}, "expected cluster sizes of at least 1, not '-2'"),
        ({"1": 1, "0": 2}, "expected cluster sizes of at least 1, not '0'"),
        ({"1": 1, "2": -1}, "expected weights of 0 … 1000 for cluster sizes, not 2 = -1"),
        ({"1": 1, "2": 1.5}, "not 2 = 1.5"),
        ({"1": 1, "2": True}, "not 2 = True"),
        ({"1": 1, "2": 1001}, "not 2 = 1001"),
        ({"1": 1, "2": 2, "02": 3}, "cluster size 2 has two weights"),
        ([1, 2], "expected a table"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(weights: Any, message: str) -> None:
    with pytest.raises(UserError, match=rf"r\.toml: stage\[1\] rehydrate\.weights: .*{message}") as error:
        config_of(weights=weights)
    assert "\n" not in str(error.value)


def run(tmp_path: Path, recipe: str, *settings: str) -> Path:
    """Of texts of 1, 2, 3 and 6 copies each."""
    (tmp_path / "in").mkdir(exist_ok=True)
    rows = [{"url": f"https://x.example/{n}/{i}", "text": f"text {n}"} for n in (1, 2, 3, 6) for i in range(n)]
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.toml").write_text(recipe.format(folder=tmp_path))
    folder = tmp_path / f"run{len(settings)}"
    execute(open_run(load_recipe(str(tmp_path / "recipe.toml"), settings), folder), InProcess(), lambda _: None)
    assert verify_run(folder)[1] == []
    return folder


def test_weights_go_into_shards_and_ledger(tmp_path: Path) -> None:
    folder = run(tmp_path, RECIPE)
    rows = read_table(next(folder.glob("shards/web/*.arrow"))).to_pylist()
    assert {row["text"]: row["rehydrate.weight"] for row in rows} == {
        "text 1": 1,
        "text 2": 2,
        "text 3": 3,
        "text 6": 5,
    }
    ledger = read_table(next(folder.glob("ledger/*.arrow"))).to_pylist()
    assert sorted(row["rehydrate.weight"] or 0 for row in ledger if not row["drop_reasons"]) == [1, 2, 3, 5]


def test_a_document_of_weight_0_is_dropped_unless_the_recipe_keeps_it(tmp_path: Path) -> None:
    recipe = RECIPE + "weights = {{ 1 = 0, 2 = 1, 5 = 0 }}\n"
    folder = run(tmp_path, recipe)
    assert json.loads((folder / "report.json").read_text())["dropped"]["rehydrate.unwanted_group_size"] == 2
    kept = run(tmp_path, recipe, "rehydrate.min_weight=0")
    assert len(read_table(next(kept.glob("shards/web/*.arrow")))) == 4


def test_without_a_stage_that_counts_copies_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[source.web]\nkind = "jsonl"\n[[stage]]\nkind = "rehydrate"\n')
    with pytest.raises(UserError, match=r"r\.toml: rehydrate: no stage before it counts copies; put it after exact"):
        load_recipe(str(tmp_path / "r.toml"))
