from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from corpus import make_texts, write_shard

from pretrain.config import load_config
from pretrain.order.plan import make_plan
from pretrain.order.trace import traced_segments
from pretrain.tokenizing.tokenize import tokenize_shards
from shards.errors import UserError


@pytest.fixture
def bucketed(tmp_path: Path, tokenizer_path: Path) -> Path:
    """Token folder of 300 documents of weight 2 in the buckets 0, 1 and 2."""
    texts = make_texts("en", 300)
    quality, weight = pa.array([i % 3 for i in range(300)]), pa.array([2] * 300)
    shard = write_shard(tmp_path / "run" / "web" / "a.arrow", texts, quality=quality, weight=weight)
    tokenize_shards(
        [shard],
        tokenizer_path,
        tmp_path / "tokens",
        held_out_fraction=0.1,
        bucket_column="quality",
        weight_column="weight",
        report=lambda line: None,
    )
    return tmp_path / "tokens" / "web"


def test_an_epoch_has_a_document_as_often_as_weight_and_bucket_say(
    bucketed: Path, train_file: Callable[..., Path]
) -> None:
    source = {"web": {"tokens": str(bucketed), "repeat": {"2": 2.0, "0": 0.25}}}
    plan = make_plan(load_config(train_file(source=source, batch_size=1, steps=1), {}))
    num_rows = plan.sources[0].num_rows
    plan = make_plan(load_config(train_file(source=source, batch_size=1, steps=num_rows), {}))
    documents = plan.sources[0].documents
    bucket = dict(zip(documents.column("id").to_pylist(), documents.column("bucket").to_pylist(), strict=True))
    starts = Counter(
        segment.id for step in range(num_rows) for segment in traced_segments(plan, step) if segment.start == 1
    )
    times = {name: Counter(starts[i] for i in bucket if bucket[i] == name) for name in ("0", "1", "2")}
    assert times["2"].keys() == {4}
    assert times["1"].keys() == {2}
    assert times["0"].keys() == {0, 1}  # half a time: some once
    assert 0.3 < times["0"][1] / times["0"].total() < 0.7


def test_a_bucket_that_no_document_has_is_refused(bucketed: Path, train_file: Callable[..., Path]) -> None:
    path = train_file(source={"web": {"tokens": str(bucketed), "repeat": {"9": 2.0}}})
    with pytest.raises(
        UserError, match=r"source web: repeat names the bucket '9', which no document has; known are '0', '1', '2'; "
    ):
        make_plan(load_config(path, {}))
