from pathlib import Path

import pytest
from corpus import make_texts, write_shard

from pretrain.tokenizing.tokenizer_training import MAX_TOKEN_BYTES, train_tokenizer
from shards.errors import UserError


def test_no_token_is_longer_than_the_limit(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "zh" / "a.arrow", ["版权所有侵权必究未经许可不得转载" * 50])
    tokenizer = train_tokenizer([shard], tmp_path / "t.json", vocab_size=320, sample_bytes=10**6)
    longest = tokenizer.num_bytes[259:].max()
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
