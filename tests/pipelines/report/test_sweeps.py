"""Tables of thresholds: their edges, and which rules have one. `test_moved` holds their numbers against `whatif`."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.recipe import parse_recipe
from pipelines.report.movable import movable_rules
from pipelines.report.sweeps import Sweeps, grid
from shards.stage import Rule

RECIPE = {
    "source": {"web": {"kind": "jsonl", "paths": ["x"]}},
    "stage": [{"kind": "language", "languages": ["en"]}, {"kind": "gopher_quality", "min_words": 50}],
}
WORDS = "gopher_quality.too_few_words"


def test_rules_with_a_number_that_whatif_moves_have_a_table() -> None:
    found = {one.rule.reason: (one.min_setting, one.max_setting) for one in movable_rules(parse_recipe(RECIPE, "r"))}
    assert found[WORDS] == ("gopher_quality.min_words", None)
    assert found["gopher_quality.too_many_words"] == (None, "gopher_quality.max_words")
    assert found["language.low_score"] == ("language.min_score", None)
    assert "language.unwanted" not in found  # a list of languages


def test_edges_read_well_and_hold_the_threshold() -> None:
    fractions = grid(Rule("r", "m", "max_m", max_kept=0.287), integers=False).tolist()
    assert {0.0, 0.01, 0.28, 0.287, 0.29, 1.0, 120.0} <= set(fractions)
    counts = grid(Rule("r", "m", "min_m", min_kept=53), integers=True).tolist()
    assert counts[:4] == [0, 1, 2, 3]
    assert 53 in counts
    assert all(edge == int(edge) for edge in counts)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60), st.integers(1, 5))
def test_every_document_is_in_one_cell_however_batches_are_cut(words: list[int], num_batches: int) -> None:
    sweeps = []
    for parts in (1, num_batches):
        found = Sweeps.of(parse_recipe(RECIPE, "r"))
        order = found.order
        for some in np.array_split(np.array(words), parts):
            columns = {name: pa.nulls(len(some), pa.float64()) for name in METRICS}
            columns |= {"gopher_quality.word_count": pa.array(some), "language": pa.array(["en"] * len(some))}
            fails = np.zeros((len(METRICS), len(some)), np.bool_)
            fails[RULES.index(WORDS)] = some < 50
            first = np.where(some < 50, order.reasons.index(WORDS), order.kept)
            found.add(columns.__getitem__, columns["language"], fails, first, some)
        sweeps.append(list(found.rows()))
    assert sweeps[0] == sweeps[1]
    (sweep,) = [sweep for sweep in sweeps[0] if sweep.reason == WORDS]
    assert sum(sweep.cells[2::4]) == len(words)
    assert sum(sweep.cells[3::4]) == sum(words)
    assert 50 in sweep.edges


def _rules() -> tuple[list[str], list[str]]:
    from pipelines.ledger.rules import rules_of

    rules = [rule for _, rule in rules_of(parse_recipe(RECIPE, "r"))]
    return [rule.reason for rule in rules], [rule.metric for rule in rules]


RULES, METRICS = _rules()
