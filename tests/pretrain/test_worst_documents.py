"""Losses of a step by document, and the file of those that raised it most."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from pretrain.config import load_config
from pretrain.order.batch import NO_LABEL
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.order.trace import traced_segments
from pretrain.worst_documents import DocumentLoss, document_losses, write_worst
from shards.sink import ArrowSink
from shards.tokens import Provenance


def test_each_token_of_a_step_counts_for_its_document_in_any_world(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(), {}))
    found = {}
    for world in (1, 2):
        for rank in range(world):
            batch = Loader(plan, rank, world).batch(3)
            losses = batch.labels_BT.astype(float)  # a loss that names its token
            of_rank = document_losses(plan, batch, losses, step=3, rank=rank, world=world)
            assert sum(d.num_labels for d in of_rank) == batch.num_labels
            assert np.isclose(sum(d.num_labels * d.loss for d in of_rank), losses[batch.labels_BT != NO_LABEL].sum())
            found.setdefault(world, []).extend(of_rank)
    one, two = ([(d.batch_row, d.start, d.origin, d.loss) for d in found[world]] for world in (1, 2))
    assert sorted(one, key=str) == sorted(two, key=str)
    traced = traced_segments(plan, 3)
    assert [(d.batch_row, d.source, d.epoch, d.origin, d.start, d.end) for d in found[1]] == [
        (s.batch_row, s.source, s.epoch, s.origin, s.start, s.end) for s in traced
    ]


def document(url: str, num_labels: int, loss: float) -> DocumentLoss:
    origin = Provenance("id-" + url, url, "web", "", "web-00000-000", 1, "a.warc.gz", 7)
    return DocumentLoss(0, "web", 0, origin, 1, 1 + num_labels, num_labels, loss)


def test_the_worst_are_those_that_raise_the_loss_most(tmp_path: Path) -> None:
    documents = [document(f"plain-{i}", 100, 3.0) for i in range(20)]
    documents += [document("noise", 200, 9.0), document("short", 2, 12.0), document("broken", 1, math.nan)]
    schema = pa.schema([("id", pa.string()), ("score", pa.float64()), ("drop_reasons", pa.list_(pa.string()))])
    (tmp_path / "run" / "ledger").mkdir(parents=True)
    with ArrowSink(tmp_path / "run" / "ledger" / "web-00000-000.arrow", schema) as sink:
        rows = [
            {"id": "x", "score": 0.1, "drop_reasons": ["a.b"]},
            {"id": "id-noise", "score": 0.5, "drop_reasons": []},
        ]
        sink.write(pa.RecordBatch.from_pylist(rows, schema))
    path, worst = write_worst(tmp_path, 503, documents, [str(tmp_path / "nowhere"), str(tmp_path / "run")])
    assert worst == "broken"
    assert path == tmp_path / "spikes" / "step-00000503.jsonl"
    lines = [json.loads(line, parse_constant=lambda text: 1 / 0) for line in path.read_text().splitlines()]
    assert [line["url"] for line in lines[:3]] == ["broken", "noise", "short"]
    assert len(lines) == 10
    assert lines[1]["ledger"] == {"id": "id-noise", "score": 0.5, "drop_reasons": []}
    assert (lines[1]["source"], lines[1]["ledger_row"], lines[1]["warc_offset"]) == ("web", 1, 7)
    assert lines[0]["ledger"] is lines[0]["loss"] is None
    assert write_worst(tmp_path, 503, documents)[0].name == "step-00000503-2.jsonl"
