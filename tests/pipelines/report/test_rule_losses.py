"""What single rules drop of a language."""

import pyarrow as pa

from pipelines.recipe import parse_recipe
from pipelines.report.rule_losses import RuleLosses

RECIPE = {
    "source": {"web": {"kind": "jsonl", "paths": ["x"]}},
    "stage": [
        {"kind": "language", "languages": ["zh", "ru"]},
        {"kind": "gopher_quality"},
        {"kind": "exact"},
        {"kind": "fineweb"},
    ],
}
LISTS = pa.list_(pa.string())
WORDS, STOP_WORDS = "gopher_quality.too_few_words", "gopher_quality.too_few_stop_words"


def test_each_rule_on_text_counts_the_documents_that_reached_its_stage() -> None:
    losses = RuleLosses.of(parse_recipe(RECIPE, "r"))
    reasons = [[], [WORDS, STOP_WORDS], [STOP_WORDS], ["dedup.exact"], ["language.low_score"], []]
    losses.add(pa.array(["zh"] * 6), pa.array(reasons, LISTS))
    reasons = [["of another batch"], ["fineweb.too_many_newlines"], ["language.unwanted"], ["removed.request"]]
    losses.add(pa.array(["ru", "de", None]), pa.array(reasons, LISTS)[1:])
    found = [(loss.rule.reason, loss.stage, loss.language, loss.documents, loss.dropped) for loss in losses.rows()]
    assert found == [
        (WORDS, "gopher_quality", "zh", 5, 1),
        (STOP_WORDS, "gopher_quality", "zh", 5, 2),
        ("fineweb.too_many_newlines", "fineweb", "ru", 1, 1),
    ]
