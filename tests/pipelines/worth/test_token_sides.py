"""Sides as tokens: one tokenizer, and sets that no side trains on; everything else is one line."""

import gzip
import json
from pathlib import Path

import pytest
from corpus import make_texts, write_shard

from pipelines.worth.sides import Split, three_sides
from pipelines.worth.token_sides import evaluation_texts, of_documents, of_token_folders
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from shards.errors import UserError


def silent(line: str) -> None: ...


def tokenized(folder: Path, texts: list[str], tokenizer: Path, held_out: float = 0.1) -> Path:
    write_shard(folder / "shards" / "web" / "web-00000-000.arrow", texts)
    tokenize_shards([folder], tokenizer, folder / "tokens", held_out_fraction=held_out, report=silent)
    return folder / "tokens" / "web"


def test_the_sides_of_a_run_are_tokenized_alike_and_share_no_held_out_page(
    run: Path, tokenizer: Path, tmp_path: Path
) -> None:
    split = Split.of(three_sides(run), [run], 0.3)
    sides = of_documents(split, tmp_path, tokenizer, silent)
    sides.check()
    assert [one.name for one in sides.sets] == ["extracted held out", "languages held out", "clean held out"]
    assert all(one.of_side for one in sides.sets)
    assert sides.num_tokens("extracted") > sides.num_tokens("clean") > 0
    again = of_documents(split, tmp_path, tokenizer, silent)
    assert again.digests() == sides.digests()


def test_sides_that_hold_out_other_texts_are_refused(tokenizer: Path, tmp_path: Path) -> None:
    texts = make_texts("en", 300)
    folders = {"a": tokenized(tmp_path / "a", texts, tokenizer), "b": tokenized(tmp_path / "b", texts, tokenizer, 0.3)}
    with pytest.raises(UserError, match=r"b held out: \d+ texts of it would be trained on by side a"):
        of_token_folders(folders).check()


def test_sides_of_other_tokenizers_are_refused(tokens: Path, tmp_path: Path) -> None:
    write_shard(tmp_path / "shards" / "en" / "en-00000-000.arrow", make_texts("en", 300))
    train_tokenizer([tmp_path], tmp_path / "tokenizer.json", vocab_size=310, sample_bytes=100_000)
    other = tokenized(tmp_path / "b", make_texts("en", 300), tmp_path / "tokenizer.json")
    with pytest.raises(UserError, match=r"side b: its tokenizer .* is not that of side a"):
        of_token_folders({"a": tokens / "en", "b": other}).check()


def test_sides_that_hold_nothing_out_are_refused(tokenizer: Path, tmp_path: Path) -> None:
    folder = tokenized(tmp_path, make_texts("en", 100), tokenizer, 0)
    with pytest.raises(UserError, match="web held out: no text of it is held out"):
        of_token_folders({"web": folder}).check()


def test_evaluation_texts_that_a_side_trains_on_are_refused(tokens: Path, tokenizer: Path, tmp_path: Path) -> None:
    texts = ["A text of its own.", *make_texts("en", 2)]
    file = tmp_path / "gold.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    one = evaluation_texts(file, "text", tmp_path / "out", tokenizer)
    assert (one.name, one.of_side, len(one.documents)) == ("evaluation: gold", False, 3)
    sides = of_token_folders({"a": tokens / "en", "b": tokens / "ru"})
    with pytest.raises(UserError, match=r"evaluation: gold: .* would be trained on by side a"):
        type(sides)(sides.train, [*sides.sets, one]).check()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "has no lines"),
        ('{"text": "one"}\n{"other": 1}\n', r"gold.jsonl:2: expected a JSON object with the text 'text'"),
        ("no json\n", r"gold.jsonl:1: expected a JSON object"),
    ],
)
def test_an_evaluation_file_without_texts_is_one_line(
    content: str, found: str, tokenizer: Path, tmp_path: Path
) -> None:
    (tmp_path / "gold.jsonl").write_text(content)
    with pytest.raises(UserError, match=found):
        evaluation_texts(tmp_path / "gold.jsonl", "text", tmp_path / "out", tokenizer)


def test_evaluation_texts_may_be_compressed_and_under_another_key(tokenizer: Path, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "gold.jsonl.gz", "wt") as file:
        file.write(json.dumps({"main": "Flour for bread."}) + "\n")
    one = evaluation_texts(tmp_path / "gold.jsonl.gz", "main", tmp_path / "out", tokenizer)
    assert one.documents.num_bytes.tolist() == [16]
