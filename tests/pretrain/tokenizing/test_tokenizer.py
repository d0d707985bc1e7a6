import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from corpus import decode
from hypothesis import given
from hypothesis import strategies as st

from pretrain.tokenizing.tokenizer import SPECIAL_TOKENS, Tokenizer
from shards.errors import UserError

HARD_TEXTS = [
    "",
    " ",
    "The mill's grain isn't ground; it'll be.\r\n\r\n\tDone  now   !",
    "Москва́ — столица; ёлка и ёлка, Ёж 1234567.",
    "格里斯磨坊2024年用Python程序训练模型。カタカナとひらがな",
    "👩‍👩‍👧‍👦🇩🇪 \U0001f9ff zero\u200dwidth",
    "\x00\x01\x7f\x80\ufffd\uffff\U0010ffff\u202eRTL עברית",
    "<|bos|> said <|eos|><|pad|>",
    " " * 300_000 + "x" + "\n" * 300_000,
    "a" * 300_000 + "中" * 300_000,
]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_path: Path) -> Tokenizer:
    return Tokenizer(tokenizer_path)


def test_every_text_comes_back_byte_for_byte(tokenizer: Tokenizer) -> None:
    assert [decode(tokenizer, ids) for ids in tokenizer.encode_batch(HARD_TEXTS)] == HARD_TEXTS


def test_threads_change_no_token(tokenizer: Tokenizer) -> None:
    one, many = (tokenizer.encode_batch(HARD_TEXTS, num_threads) for num_threads in (1, 3))
    assert [ids.tolist() for ids in one] == [ids.tolist() for ids in many]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_random_texts_come_back(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert [decode(tokenizer, ids) for ids in tokenizer.encode_batch(texts)] == texts


@given(st.text(st.sampled_from("the mil's \n\r\t.,12éяЁ\u0301中あ\u3000\u200d😀<|eos|>"), max_size=60))
def test_tiktoken_gives_what_tokenizers_gives(tokenizer: Tokenizer, text: str) -> None:
    oracle = tokenizers.Tokenizer.from_str(tokenizer.json.decode())
    oracle.encode_special_tokens = True
    assert tokenizer.encode_batch([text])[0].tolist() == oracle.encode(text, add_special_tokens=False).ids


def test_special_tokens_are_never_made_from_text(tokenizer: Tokenizer) -> None:
    special = range(len(SPECIAL_TOKENS))
    assert decode(tokenizer, special) == "".join(SPECIAL_TOKENS)
    assert not set(special) & set(tokenizer.encode_batch(["".join(SPECIAL_TOKENS)])[0].tolist())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"normalizer": {"type": "NFC"}}, "normalizer"),  # Qwen's
        ({"post_processor": {"type": "ByteLevel", "add_prefix_space": True}}, "post_processor"),
        ({"model": {"ignore_merges": True}}, r"model\.ignore_merges"),  # Llama 3's
        ({"model": {"type": "Unigram"}}, r"model\.type"),
        ({"model": {"type": "WordPiece"}}, r"model\.type"),
        ({"model": {"byte_fallback": True}}, r"model\.byte_fallback"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}}, "pre_tokenizer"),  # GPT-2's
        ({"pre_tokenizer": None}, "pre_tokenizer"),
        ({"added_tokens": []}, r"added_tokens: has no <\|bos\|> and no <\|eos\|>"),
    ],
)
def test_a_foreign_tokenizer_is_refused_by_the_key_that_makes_it_foreign(
    tokenizer: Tokenizer, tmp_path: Path, change: dict[str, Any], key: str
) -> None:
    changed = json.loads(tokenizer.json)
    for name, value in change.items():
        changed[name] = changed[name] | value if name == "model" else value
    (tmp_path / "t.json").write_text(json.dumps(changed))
    with pytest.raises(UserError, match=rf"t\.json: not a tokenizer .* made: {key}"):
        Tokenizer(tmp_path / "t.json")


def test_ids_that_are_not_in_the_order_of_merges_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    changed = json.loads(tokenizer.json)
    first, second = (token for token, id_ in changed["model"]["vocab"].items() if id_ in (270, 280))
    vocab = changed["model"]["vocab"]
    vocab[first], vocab[second] = vocab[second], vocab[first]
    (tmp_path / "t.json").write_text(json.dumps(changed))
    with pytest.raises(UserError, match=r"model\.merges: the ids are not in their order"):
        Tokenizer(tmp_path / "t.json")


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    for content in ("", "{}", '{"model": {"type": "BPE"}}'):
        (tmp_path / "t.json").write_text(content)
        with pytest.raises(UserError, match="not a tokenizer"):
            Tokenizer(tmp_path / "t.json")


def test_tokenizing_and_planning_do_not_import_torch() -> None:
    modules = "sys, pretrain.tokenizing.tokenize, pretrain.order.loader, pretrain.order.trace"
    code = f"import {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
