"""The cards of rules: sorted by what they drop, with those that drop nothing apart."""

from pathlib import Path

from pipelines.recipe import load_recipe
from pipelines.report.aggregate import Aggregates
from pipelines.report.model import read_report_file
from pipelines.report.page.rule_cards import rule_cards
from pipelines.run.folder import RunFolder


def test_every_rule_has_a_card_and_those_that_drop_most_come_first(run: Path) -> None:
    folder = RunFolder(run)
    report = read_report_file(folder)
    cards = rule_cards(report, Aggregates.of_run(folder, load_recipe(str(run / "recipe.toml"))))
    assert sorted(card.row.reason for card in (*cards.active, *cards.idle)) == sorted(r.reason for r in report.rules)
    dropped = [card.row.dropped for card in cards.active]
    assert dropped == sorted(dropped, reverse=True)
    assert cards.most_dropped == dropped[0] == max(report.dropped.values())
    assert not any(card.row.dropped for card in cards.idle)
    words = next(card for card in cards.active if card.row.reason == "gopher_quality.too_few_words")
    assert words.masses.endswith("not")
    assert "below 50" in words.masses
    assert words.curve.count("<svg") == 1
    assert sum(sum(counts) for _, *counts in words.bins) == words.metric.measured if words.metric else False
