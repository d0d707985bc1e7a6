from pathlib import Path

import pyarrow as pa
import pytest
from corpus import write_shard

from pretrain.tokenizing.buckets import check_bucket_column, document_buckets
from pretrain.tokenizing.tokenize import tokenize_shards
from shards.errors import UserError
from shards.sink import read_table
from shards.tokens import TRAIN


def buckets(values: pa.Array) -> list[str]:
    batch = pa.record_batch({"id": pa.array([str(i) for i in range(len(values))]), "b": values})
    found: list[str] = document_buckets(batch, Path("x.arrow"), "b").to_pylist()
    return found


def test_strings_and_whole_numbers_are_buckets_as_they_are_and_scores_by_tenths() -> None:
    assert buckets(pa.array(["high", None, "low"])) == ["high", "", "low"]
    assert buckets(pa.array([3, None, -1])) == ["3", "", "-1"]
    assert buckets(pa.array([0.0, 0.05, 0.1, 0.95, 1.0, None], pa.float32())) == ["0", "0", "1", "9", "9", ""]


def test_copies_are_buckets_by_the_number_of_documents_that_one_stands_for() -> None:
    copies = pa.array([0, 1, 2, 3, 4, 98, 99, 998, 999, 10**6, None])
    found = document_buckets(pa.record_batch({"id": [""] * 11, "copies": copies}), Path("x.arrow"), "copies")
    assert found.to_pylist() == [
        *("1", "2", "3-4", "3-4", "5-99", "5-99", "100-999", "100-999", "1000-", "1000-", ""),
    ]


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_outside_of_0_to_1_is_refused_by_document(score: float) -> None:
    with pytest.raises(UserError, match=r"x\.arrow: column b: expected scores from 0 to 1, document 1 has"):
        buckets(pa.array([0.5, score]))


def test_the_bucket_of_each_document_is_in_its_token_shard(tmp_path: Path, tokenizer_path: Path) -> None:
    shard = write_shard(tmp_path / "web" / "a.arrow", ["one", "two"], score=pa.array([0.2, 0.9]))
    with pytest.raises(UserError, match=r"a\.arrow: no column quality, which --bucket names"):
        check_bucket_column(shard, "quality")
    with pytest.raises(UserError, match=r"b\.arrow: column x: expected strings or numbers, found bool"):
        check_bucket_column(write_shard(tmp_path / "web" / "b.arrow", ["b"], x=pa.array([True])), "x")

    def made(column: str | None) -> list[str]:
        tokenize_shards(
            [shard],
            tokenizer_path,
            tmp_path / "t",
            held_out_fraction=0,
            bucket_column=column,
            report=lambda line: None,
        )
        found: list[str] = read_table(tmp_path / "t" / "web" / TRAIN / "a.arrow")["bucket"].to_pylist()
        return found

    assert [made(None), made("score"), made(None)] == [["", ""], ["2", "9"], ["", ""]]
