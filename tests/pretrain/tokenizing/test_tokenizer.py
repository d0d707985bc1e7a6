import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from corpus import make_texts, write_shard
from hypothesis import given
from hypothesis import strategies as st

from pretrain.tokenizing.tokenizer import MAX_TOKEN_BYTES, SPECIAL_TOKENS, Tokenizer, train_tokenizer
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
    assert tokenizer.decode_batch(tokenizer.encode_batch(HARD_TEXTS)) == HARD_TEXTS


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_random_texts_come_back(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert tokenizer.decode_batch(tokenizer.encode_batch(texts)) == texts


@given(st.text(st.sampled_from("the mil's \n\r\t.,12éяЁ\u0301中あ\u3000\u200d😀<|eos|>"), max_size=60))
def test_tiktoken_gives_what_tokenizers_gives(tokenizer: Tokenizer, text: str) -> None:
    oracle = tokenizers.Tokenizer.from_str(tokenizer.json.decode())
    oracle.encode_special_tokens = True
    assert tokenizer.encode_batch([text])[0].tolist() == oracle.encode(text, add_special_tokens=False).ids


def test_special_tokens_are_never_made_from_text(tokenizer: Tokenizer) -> None:
    special = range(len(SPECIAL_TOKENS))
    assert tokenizer.decode_batch([special]) == ["".join(SPECIAL_TOKENS)]
    assert not set(special) & set(tokenizer.encode_batch(["".join(SPECIAL_TOKENS)])[0].tolist())


def test_no_token_is_longer_than_the_limit(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "zh" / "a.arrow", ["版权所有侵权必究未经许可不得转载" * 50])
    tokenizer = train_tokenizer([shard], tmp_path / "t.json", vocab_size=320, sample_bytes=10**6)
    longest = max(
        len(text.encode()) for text in tokenizer.decode_batch([[i] for i in range(259, tokenizer.vocab_size)])
    )
    assert 3 < longest <= MAX_TOKEN_BYTES


def test_the_sample_does_not_depend_on_how_the_text_is_cut_into_files(tmp_path: Path) -> None:
    texts = make_texts("en", 100)
    one = write_shard(tmp_path / "one" / "a.arrow", texts)
    two = [write_shard(tmp_path / "two" / f"{i}.arrow", texts[::-1][i::2]) for i in range(2)]
    kwargs = {"vocab_size": 300, "sample_bytes": 5_000}
    assert (
        train_tokenizer([one], tmp_path / "1.json", **kwargs).json
        == train_tokenizer(two, tmp_path / "2.json", **kwargs).json
        != train_tokenizer([one], tmp_path / "3.json", vocab_size=300, sample_bytes=10**6).json
    )


@pytest.mark.parametrize(
    ("texts", "vocab_size", "message"),
    [(["", ""], 300, "no text"), (["text"], 258, "at least 259"), (None, 300, r"no \*\.arrow shards")],
)
def test_bad_input_is_refused_in_one_line(
    tmp_path: Path, texts: list[str] | None, vocab_size: int, message: str
) -> None:
    if texts:
        write_shard(tmp_path / "in" / "a.arrow", texts)
    with pytest.raises(UserError, match=message) as error:
        train_tokenizer([tmp_path / "in"], tmp_path / "t.json", vocab_size=vocab_size, sample_bytes=1000)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "t.json").exists()


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    for content in ("", "{}", '{"model": {"type": "BPE"}}'):
        (tmp_path / "t.json").write_text(content)
        with pytest.raises(UserError, match="not a tokenizer"):
            Tokenizer(tmp_path / "t.json")


def test_tokenizing_and_planning_do_not_import_torch() -> None:
    code = "import pretrain.tokenizing.tokenize, pretrain.order.loader, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
