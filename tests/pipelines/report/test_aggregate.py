"""Aggregates of a ledger do not depend on how its rows come, and count each document once."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.ledger.batches import LedgerBatch
from pipelines.recipe import load_recipe
from pipelines.report.aggregate import Aggregates
from pipelines.report.chosen_samples import SAMPLES
from pipelines.run.folder import RunFolder
from shards.sink import open_arrow


def test_samples_do_not_depend_on_the_order_of_batches(run: Path) -> None:
    recipe = load_recipe(str(run / "recipe.toml"))
    folder = RunFolder(run)
    (key,) = folder.ledgers()
    batch = open_arrow(folder.path(folder.ledger(key))).read_all().combine_chunks().to_batches()[0]
    both = []
    for parts in ([batch], [batch.slice(20), batch.slice(0, 20)]):
        aggregates = Aggregates.of_recipe(recipe)
        for part in parts:
            assert isinstance(part, pa.RecordBatch)
            aggregates.add(LedgerBatch(part, (key,), np.array([len(part)])))
        ids = {reason: [sample.id for sample in chosen] for reason, chosen in aggregates.chosen.random.items()}
        nearest = {key: [sample.id for _, _, sample in found] for key, found in aggregates.chosen.nearest.items()}
        both.append((ids, nearest, aggregates.counts, aggregates.languages, tuple(aggregates.sweeps.rows())))
    assert both[0] == both[1]


def test_aggregates_are_those_of_a_plain_count(run: Path) -> None:
    folder = RunFolder(run)
    aggregates = Aggregates.of_run(folder, folder.recipe())
    rows = [r for key in folder.ledgers() for r in open_arrow(folder.path(folder.ledger(key))).read_all().to_pylist()]
    fates = [(row["drop_reasons"] or [""])[0] for row in rows]
    assert aggregates.fates == Counter(fates)
    assert aggregates.kept_words == sum(
        row["gopher_quality.word_count"] for row, fate in zip(rows, fates, strict=True) if fate == ""
    )
    for fate in set(fates):
        ids = sorted(row["id"] for row, other in zip(rows, fates, strict=True) if other == fate)
        assert [sample.id for sample in aggregates.chosen.random[fate]] == ids[:SAMPLES]
    failing = [row for row in rows if (row["gopher_quality.word_count"] or 99) < 50]
    assert aggregates.counts["gopher_quality.too_few_words"].failed == len(failing)
    assert sum(row.documents for row in aggregates.sources.values()) == len(rows)
