"""A document of weight w is drawn w times an epoch, spread over it."""

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
from shards.sink import read_table
from shards.tokens import HELD_OUT, MAX_WEIGHT, TRAIN, TokenDocuments


def tokenize(run: Path, tokenizer: Path, **settings: str | None) -> list[str]:
    lines: list[str] = []
    tokenize_shards([run], tokenizer, run / "tokens", held_out_fraction=0.1, report=lines.append, **settings)
    return lines


@pytest.fixture
def weighted(tmp_path: Path, tokenizer_path: Path) -> Path:
    """A run of 120 documents of weights 0 … 4 and null; its tokens lie in tokens/."""
    run = tmp_path / "weighted"
    weights = [i % 6 if i % 6 < 5 else None for i in range(120)]
    write_shard(
        run / "shards" / "web" / "a.arrow", make_texts("en", 120), **{"rehydrate.weight": pa.array(weights, pa.int64())}
    )
    lines = tokenize(run, tokenizer_path, weight_column="rehydrate.weight")
    documents = TokenDocuments(run / "tokens" / "web", TRAIN)
    assert f"{documents.num_tokens @ documents.weights:,} an epoch" in lines[0]
    return run


def test_over_one_epoch_each_document_is_seen_as_often_as_its_weight_says(
    weighted: Path, train_file: Callable[..., Path]
) -> None:
    source = {"web": {"tokens": str(weighted / "tokens" / "web")}}
    plan = make_plan(load_config(train_file(source=source, batch_size=1, steps=1), {}))
    num_rows = plan.sources[0].num_rows
    plan = make_plan(load_config(train_file(source=source, batch_size=1, steps=2 * num_rows), {}))
    documents = plan.sources[0].documents
    weight_of = {documents.provenance(i).id: int(documents.weights[i]) for i in range(len(documents))}
    assert set(weight_of.values()) == {0, 1, 2, 3, 4}
    size_of = {documents.provenance(i).id: int(documents.num_tokens[i]) - 1 for i in range(len(documents))}
    for epoch in range(2):
        predicted: Counter[str] = Counter()
        for step in range(epoch * num_rows, (epoch + 1) * num_rows):
            segments = traced_segments(plan, step)
            assert {segment.epoch for segment in segments} == {epoch}
            assert len({segment.id for segment in segments}) == len(segments), "copies stand side by side"
            predicted.update({segment.id: segment.end - segment.start for segment in segments})
        assert predicted == {i: weight_of[i] * size_of[i] for i in weight_of if weight_of[i]}
        assert sum(predicted.values()) == plan.sources[0].num_epoch_tokens


def test_held_out_documents_are_measured_once_whatever_their_weight(weighted: Path) -> None:
    documents = TokenDocuments(weighted / "tokens" / "web", HELD_OUT)
    assert max(documents.weights) > 1
    ids = [documents.provenance(i).id for i in range(len(documents))]
    assert len(set(ids)) == len(ids)


def test_another_weight_column_makes_the_tokens_anew(weighted: Path, tokenizer_path: Path) -> None:
    tokenize(weighted, tokenizer_path)
    assert set(TokenDocuments(weighted / "tokens" / "web", TRAIN).weights) == {1}
    tokenize(weighted, tokenizer_path, weight_column="rehydrate.weight")
    assert set(TokenDocuments(weighted / "tokens" / "web", TRAIN).weights) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, r"no column w, which --repeat-by names; a stage of kind rehydrate adds rehydrate\.weight"),
        (pa.array([1.0, 2.0]), "column w: expected whole numbers, found double"),
        (pa.array([1, -1]), r"column w: expected weights of 0 … 1000, document \w{32} has -1"),
        (pa.array([1, 1001]), r"column w: expected weights of 0 … 1000, document \w{32} has 1001"),
    ],
)
def test_a_column_that_is_no_weight_is_refused(
    tmp_path: Path, tokenizer_path: Path, weights: pa.Array | None, message: str
) -> None:
    write_shard(tmp_path / "web" / "a.arrow", ["one", "two"], **({} if weights is None else {"w": weights}))
    with pytest.raises(UserError, match=rf"a\.arrow: {message}") as error:
        tokenize(tmp_path, tokenizer_path, weight_column="w")
    assert "\n" not in str(error.value)


def test_by_copies_an_epoch_has_a_document_as_often_as_it_stood_in_the_crawl(
    tmp_path: Path, tokenizer_path: Path
) -> None:
    copies = [0, 1, None, 3, 999, 12_345] * 20
    write_shard(tmp_path / "run" / "shards" / "web" / "a.arrow", make_texts("en", 120), copies=pa.array(copies))
    tokenize(tmp_path / "run", tokenizer_path, weight_column="copies")
    documents = TokenDocuments(tmp_path / "run" / "tokens" / "web", TRAIN)
    by_id = dict(
        zip(read_table(tmp_path / "run" / "shards" / "web" / "a.arrow")["id"].to_pylist(), copies, strict=True)
    )
    stood = [min(1 + (by_id[id_] or 0), MAX_WEIGHT) for id_ in documents.column("id").to_pylist()]
    assert documents.weights.tolist() == stood
    assert set(stood) == {1, 2, 4, 1000}
