import json
from pathlib import Path
from typing import Any

import pytest
from foreign_tokenizers import KINDS, write

from pretrain.tokenizing.byte_level import CHARACTER_OF, is_byte_level, tiktoken_encoding, token_bytes, token_name


def test_each_byte_has_a_character_of_its_own() -> None:
    assert len(set(CHARACTER_OF)) == 256
    assert token_bytes(token_name(bytes(range(256)))) == bytes(range(256))
    assert (token_name(b" the"), token_name("й".encode())) == ("Ġthe", "Ð¹")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_byte_level_or_not(tmp_path: Path, kind: str) -> None:
    values = json.loads(write(kind, tmp_path).read_text())
    assert is_byte_level(values) == (kind in ("gpt2", "llama3", "qwen"))
    assert (tiktoken_encoding(values) is not None) == is_byte_level(values)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"dropout": 0.1}},
        {"model": {"end_of_word_suffix": "</w>"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}},
    ],
)
def test_what_tiktoken_does_not_do_is_left_to_tokenizers(tmp_path: Path, change: dict[str, Any]) -> None:
    values = json.loads(write("gpt2", tmp_path).read_text())
    assert tiktoken_encoding(values) is not None
    for name, value in change.items():
        values[name] = values[name] | value
    assert tiktoken_encoding(values) is None


def test_ids_out_of_the_order_of_merges_are_left_to_tokenizers(tmp_path: Path) -> None:
    values = json.loads(write("gpt2", tmp_path).read_text())
    vocab = values["model"]["vocab"]
    first, second = (token for token, id_ in vocab.items() if id_ in (270, 280))
    vocab[first], vocab[second] = vocab[second], vocab[first]
    assert tiktoken_encoding(values) is None
