"""Edges of a stage: their tasks, and the alarm of a crowded bucket."""

import json
from pathlib import Path

import pytest
from dedup_cases import make_row

from dedup.lsh.bucket_pairs import MAX_LEADERS
from dedup.lsh.edges import edge_tasks
from dedup.minhash import MinHashConfig


def test_a_crowded_bucket_becomes_an_alarm_that_names_a_document(make_units, resolve, tmp_path: Path) -> None:
    rows = [make_row(k, f"this is what all share {k} {k} {k} {k} {k}") for k in range(2_000)]
    assert not resolve(MinHashConfig(name="near", bands=1, rows=1, ngram=5), make_units(rows))
    (alarm,) = json.loads((tmp_path / "out" / "alarms.json").read_text())
    assert alarm["alarm"] == "bucket with too many unlike documents"
    assert alarm["documents"] > MAX_LEADERS
    assert alarm["example"] in {row["id"] for row in rows}


@pytest.mark.parametrize("documents", [0, 1, 20_000, 10**7])
@pytest.mark.parametrize("memory", [10**7, 10**9])
def test_every_key_is_in_one_task_and_no_task_holds_more_than_its_memory(documents: int, memory: int) -> None:
    tasks = edge_tasks(450, documents, memory)
    for band in (0, 1, 17, 448, 449):
        of_band = [task for task in tasks if task.first_band <= band < task.end_band]
        assert [task.prefix for task in of_band] == list(range(of_band[0].num_prefixes))
    held = [(t.end_band - t.first_band) * documents // t.num_prefixes * 8 for t in tasks]
    assert max(held) < memory / 4


def test_small_inputs_are_few_tasks() -> None:
    assert len(edge_tasks(450, 20_000, 10**9)) == 2
