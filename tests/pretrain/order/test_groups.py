"""Losses of segments go to the source and the bucket that trace names for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from corpus import make_texts, write_shard

from pretrain.config import load_config
from pretrain.order import groups
from pretrain.order.groups import Groups
from pretrain.order.loader import Loader
from pretrain.order.plan import Plan, make_plan
from pretrain.order.trace import traced_segments
from pretrain.tokenizing.tokenize import tokenize_shards


@pytest.fixture
def plan(tmp_path: Path, tokenizer_path: Path, tokens: Path, train_file: Callable[..., Path]) -> Plan:
    """Of a source without buckets and one with three."""
    buckets = pa.array([["low", "high", None][i % 3] for i in range(120)])
    shard = write_shard(tmp_path / "web" / "a.arrow", make_texts("en", 120), quality=buckets)
    out = tmp_path / "t"
    tokenize_shards(
        [shard], tokenizer_path, out, held_out_fraction=0.1, bucket_column="quality", report=lambda line: None
    )
    source = {"ru": {"tokens": str(tokens / "ru")}, "web": {"tokens": str(out / "web")}}
    return make_plan(load_config(train_file(source=source, batch_size=8, steps=4), {}))


def test_each_segment_has_the_group_of_its_document(plan: Plan) -> None:
    made = Groups.of(plan.sources)
    assert made.names == (("ru", ""), ("web", ""), ("web", "high"), ("web", "low"))
    loader, seen = Loader(plan, groups=made), set()
    for step in range(4):
        batch = loader.batch(step)
        expected = []
        segments = traced_segments(plan, step)
        for row, count in enumerate(batch.num_segments_B):
            own = [(s.source, s.origin.bucket) for s in segments if s.batch_row == row]
            assert count - len(own) in (0, 1)
            own_source = plan.sources[batch.source_B[row]].name
            expected += [*own, *[(own_source, "")] * (count - len(own))]  # an unfilled end has no labels
        found = [made.names[group] for group in batch.groups]
        is_segment = np.diff(batch.starts) > 0
        assert [f for f, b in zip(found, is_segment, strict=True) if b] == expected
        seen |= set(found)
        assert (batch.buffer[-len(batch.groups) :] == batch.groups).all()
    assert seen == set(made.names)


def test_more_buckets_than_a_line_can_show_are_one(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_BUCKETS", 2)
    assert Groups.of(plan.sources).names == (("ru", ""), ("web", ""))
