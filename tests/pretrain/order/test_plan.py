from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from corpus import make_texts, write_shard

from pretrain.config import load_config
from pretrain.order.plan import differing_keys, make_plan
from pretrain.order.trace import traced_segments
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from shards.errors import UserError
from shards.sink import read_table
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments


def test_held_out_documents_are_never_trained_on(train_file: Callable[..., Path]) -> None:
    plan = make_plan(load_config(train_file(batch_size=8), {}))
    trained = {segment.id for step in range(12) for segment in traced_segments(plan, step)}
    for source in plan.sources:
        held_out = TokenDocuments(source.folder, HELD_OUT)
        assert len(held_out)
        assert not trained & {held_out.provenance(i).id for i in range(len(held_out))}


def test_sources_of_different_tokenizers_are_refused(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path, run_folder: Path
) -> None:
    train_tokenizer([run_folder], tmp_path / "other.json", vocab_size=300, sample_bytes=10_000)
    tokenize_shards(
        [run_folder], tmp_path / "other.json", tmp_path / "other", held_out_fraction=0.1, report=lambda line: None
    )
    sources = {"en": {"tokens": str(tokens / "en")}, "ru": {"tokens": str(tmp_path / "other" / "ru")}}
    with pytest.raises(UserError, match=r"source ru: its tokenizer .* is not that of source en"):
        make_plan(load_config(train_file(source=sources), {}))


def test_sources_that_hold_out_different_fractions_are_refused(
    train_file: Callable[..., Path], tmp_path: Path, tokens: Path, run_folder: Path
) -> None:
    tokenizer = tokens / "en" / "tokenizer.json"
    tokenize_shards([run_folder], tokenizer, tmp_path / "more", held_out_fraction=0.3, report=lambda line: None)
    sources = {"en": {"tokens": str(tokens / "en")}, "ru": {"tokens": str(tmp_path / "more" / "ru")}}
    with pytest.raises(UserError, match=r"more/ru: holds out 0\.3 of its documents and .*en 0\.\d+, .* --held-out$"):
        make_plan(load_config(train_file(source=sources), {}))


def test_a_text_of_two_crawls_is_held_out_of_both_or_of_none(tmp_path: Path, tokenizer_path: Path) -> None:
    """Its records differ, and so do its ids."""
    texts = make_texts("en", 400)
    hashes = []
    for crawl, order in (("one", texts), ("two", texts[::-1])):
        ids = pa.array([f"{crawl}-{i}" for i in range(len(texts))])
        shard = write_shard(tmp_path / crawl / "web.arrow", order, id=ids)
        tokenize_shards([shard], tokenizer_path, tmp_path / "t", held_out_fraction=0.2, report=lambda line: None)
        hashes.append({split: text_hashes_of(tmp_path / "t" / crawl, split) for split in (TRAIN, HELD_OUT)})
    one, two = hashes
    assert 50 < len(one[HELD_OUT]) < 120
    assert one == two
    assert not one[HELD_OUT] & two[TRAIN]


def text_hashes_of(folder: Path, split: str) -> set[int]:
    return {hash_ for path in (folder / split).glob("*.arrow") for hash_ in read_table(path)["text_hash"].to_pylist()}


def test_a_source_that_does_not_fill_a_row_is_refused(train_file: Callable[..., Path]) -> None:
    with pytest.raises(
        UserError, match=r"source en: its [\d,]+ tokens do not fill one row of 1,000,000; remove it, or"
    ):
        make_plan(load_config(train_file(sequence_length=1_000_000), {}))


def test_only_settings_that_change_the_curve_are_part_of_the_identity(train_file: Callable[..., Path]) -> None:
    def identity(**overrides: str) -> dict[str, object]:
        return make_plan(
            load_config(train_file(), {key.replace("__", "."): v for key, v in overrides.items()})
        ).identity

    free = {"device.micro_batch_size": "2", "evaluate.every": "3", "checkpoint.keep_last": "1", "out": "elsewhere"}
    assert identity(**free) == identity()
    assert differing_keys(identity(seed="1", optimizer__lr="0.1"), identity()) == ["optimizer.lr", "seed"]
