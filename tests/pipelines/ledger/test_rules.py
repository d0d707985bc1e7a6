"""The order in which a run applies the stages and rules of a recipe."""

from pathlib import Path

from crawl import RECIPE

from pipelines.ledger.rules import RunStage, joined, rules_of, stages_of
from pipelines.recipe import Recipe, load_recipe
from shards.stage import Rule


def recipe(folder: Path, text: str = RECIPE) -> Recipe:
    (folder / "r.toml").write_text(text)
    return load_recipe(str(folder / "r.toml"))


def test_records_given_twice_are_removed_after_the_local_stages_of_the_first_pass(tmp_path: Path) -> None:
    assert stages_of(recipe(tmp_path)) == [
        RunStage("page", "page", None),
        RunStage("extract", "extract", None),
        RunStage("gopher_quality", "gopher_quality", None),
        RunStage("same_record", "same_record", "dedup.same_record"),
        RunStage("exact", "exact", "dedup.exact"),
        RunStage("near", "minhash", "dedup.near"),
    ]


def test_rules_are_in_the_order_of_stages_with_one_row_for_a_reason_and_metric(tmp_path: Path) -> None:
    rules = rules_of(recipe(tmp_path))
    assert list(dict.fromkeys(stage for stage, _ in rules)) == ["page", "extract", "gopher_quality"]
    keys = [(rule.reason, rule.metric) for _, rule in rules]
    assert len(set(keys)) == len(keys)


def test_a_joined_rule_has_both_thresholds_and_both_settings() -> None:
    low, high = Rule("r", "m", "min_m", min_kept=1), Rule("r", "m", "max_m", max_kept=9)
    assert joined(low, high) == Rule("r", "m", "min_m, max_m", min_kept=1, max_kept=9)
    assert joined(low, low) == low
