from pathlib import Path

import numpy as np
import pytest
from corpus import make_texts, write_shard

from pretrain.tokenize import tokenize_shards
from pretrain.tokenizer import Tokenizer, train_tokenizer
from shards.errors import RunError, UserError
from shards.sink import read_batches
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments


def tokenize(run: Path, tokenizer: Path, out: Path, held_out: float = 0.1) -> list[str]:
    lines: list[str] = []
    tokenize_shards([run], tokenizer, out, held_out_fraction=held_out, report=lines.append)
    return lines


def texts_of(run: Path, source: str) -> dict[str, str]:
    files = sorted((run / "shards" / source).glob("*.arrow"))
    rows = [row for file in files for batch in read_batches(file) for row in batch.to_pylist()]
    return {row["id"]: row["text"] for row in rows}


def test_each_document_stands_once_with_its_bytes_and_its_text(
    run_folder: Path, tokens: Path, tokenizer_path: Path
) -> None:
    tokenizer = Tokenizer(tokenizer_path)
    found: dict[str, str] = {}
    for split in (TRAIN, HELD_OUT):
        documents = TokenDocuments(tokens / "ru", split)
        assert len(documents)
        for i in range(len(documents)):
            ids = documents.tokens(i, 0, int(documents.num_tokens[i]))
            assert (ids[0], ids[-1]) == (tokenizer.bos, tokenizer.eos)
            origin = documents.provenance(i)
            assert origin.id not in found
            assert (origin.source, origin.url) == ("ru", f"https://mill.example/{origin.id}")
            found[origin.id] = tokenizer.decode_batch([ids[1:-1]])[0]
            assert documents.num_bytes[i] == len(found[origin.id].encode())
    assert found == texts_of(run_folder, "ru")


def test_tokens_are_views_of_the_mapped_file(tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", TRAIN)
    first, second = documents.tokens(0, 0, 3), documents.tokens(0, 0, 3)
    assert first.dtype == np.uint16
    assert np.shares_memory(first, second)
    assert not first.flags.owndata


def test_a_document_stays_held_out_whatever_else_is_tokenized(tmp_path: Path, tokenizer_path: Path) -> None:
    texts = make_texts("en", 150)
    write_shard(tmp_path / "a" / "en" / "x.arrow", texts)
    write_shard(tmp_path / "b" / "en" / "y.arrow", texts[::-1][:100])
    held_out = []
    for run in ("a", "b"):
        tokenize(tmp_path / run, tokenizer_path, tmp_path / "tokens" / run)
        documents = TokenDocuments(tmp_path / "tokens" / run / "en", HELD_OUT)
        held_out.append({documents.provenance(i).id for i in range(len(documents))})
    assert held_out[1] < held_out[0]
    assert 5 <= len(held_out[0]) <= 30


def test_finished_shards_are_not_made_again_and_changed_ones_are(tmp_path: Path, tokenizer_path: Path) -> None:
    for name in "ab":
        write_shard(tmp_path / "run" / "en" / f"{name}.arrow", make_texts("en", 20))
    out = tmp_path / "tokens"
    tokenize(tmp_path / "run", tokenizer_path, out)
    made = {name: (out / "en" / TRAIN / f"{name}.arrow").stat().st_mtime_ns for name in "ab"}
    write_shard(tmp_path / "run" / "en" / "b.arrow", make_texts("ru", 20))
    tokenize(tmp_path / "run", tokenizer_path, out)
    again = {name: (out / "en" / TRAIN / f"{name}.arrow").stat().st_mtime_ns for name in "ab"}
    assert again["a"] == made["a"]
    assert again["b"] > made["b"]


def test_another_tokenizers_folder_is_refused(tmp_path: Path, run_folder: Path, tokenizer_path: Path) -> None:
    tokenize(run_folder, tokenizer_path, tmp_path / "tokens")
    train_tokenizer([run_folder], tmp_path / "other.json", vocab_size=280, sample_bytes=10_000)
    with pytest.raises(UserError, match="another tokenizer"):
        tokenize(run_folder, tmp_path / "other.json", tmp_path / "tokens")


def test_an_unfinished_or_damaged_folder_is_not_trained_on(
    tmp_path: Path, run_folder: Path, tokenizer_path: Path
) -> None:
    out = tmp_path / "tokens"
    tokenize(run_folder, tokenizer_path, out)
    with pytest.raises(UserError, match=r"several sources; name one of .*en, .*ru"):
        TokenDocuments(out, TRAIN)
    shard = next((out / "en" / TRAIN).glob("*.arrow"))
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(RunError, match=r"expected .* bytes"):
        TokenDocuments(out / "en", TRAIN)
    (out / "en" / "manifest.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        TokenDocuments(out / "en", TRAIN)


def test_two_shards_of_one_name_are_refused(tmp_path: Path, tokenizer_path: Path) -> None:
    paths = [write_shard(tmp_path / run / "en" / "a.arrow", ["text"]) for run in ("one", "two")]
    with pytest.raises(UserError, match="same source and name"):
        tokenize_shards(paths, tokenizer_path, tmp_path / "out", held_out_fraction=0, report=lambda line: None)


def test_an_empty_shard_and_an_empty_text_are_no_problem(tmp_path: Path, tokenizer_path: Path) -> None:
    write_shard(tmp_path / "run" / "en" / "a.arrow", [])
    write_shard(tmp_path / "run" / "en" / "b.arrow", ["", "text"])
    tokenize(tmp_path / "run", tokenizer_path, tmp_path / "tokens", held_out=0)
    documents = TokenDocuments(tmp_path / "tokens" / "en", TRAIN)
    assert documents.num_bytes.tolist() == [0, 4]
    assert documents.num_tokens[0] == 2
