import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from corpus import decode, make_texts, write_shard
from foreign_tokenizers import TEXTS, oracle

from pretrain.tokenizing.special_tokens import SPECIAL_TOKENS
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.tokenizing.tokenizer_training import MAX_TOKEN_BYTES, Kind, train_tokenizer
from shards.errors import UserError

KINDS: tuple[Kind, ...] = ("bpe", "unigram", "wordpiece")
PHRASE = "版权所有侵权必究未经许可不得转载"


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [*TEXTS, *make_texts("en", 50), *make_texts("ru", 50)]
    return write_shard(tmp_path_factory.mktemp("run") / "web" / "a.arrow", texts)


def test_no_token_is_longer_than_the_limit(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "zh" / "a.arrow", [PHRASE * 50])
    tokenizer = train_tokenizer([shard], tmp_path / "t.json", vocab_size=295, sample_bytes=10**6)
    assert tokenizer.num_bytes is not None
    longest = tokenizer.num_bytes[259:].max()
    assert 3 < longest <= MAX_TOKEN_BYTES


def test_a_token_is_whole_characters_or_the_first_bytes_of_one(tmp_path: Path, shard: Path) -> None:
    train_tokenizer([shard], tmp_path / "t.json", vocab_size=700, sample_bytes=10**6)
    plain = oracle(tmp_path / "t.json")
    learned = [plain.decode([id_], skip_special_tokens=False) for id_ in range(259, 700)]
    assert {text for text in learned if "\ufffd" in text} == {"\ufffd"}
    assert sum("\ufffd" not in text and len(text) > 1 for text in learned) > 200


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


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_the_entries_that_are_asked_for_and_tokenizers_reads_it(
    tmp_path: Path, shard: Path, kind: Kind
) -> None:
    tokenizer = train_tokenizer([shard], tmp_path / "t.json", vocab_size=360, sample_bytes=10**6, kind=kind)
    plain = oracle(tmp_path / "t.json")
    assert tokenizer.vocab_size == plain.get_vocab_size() == 360
    assert [plain.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2]
    texts = [*TEXTS, "".join(SPECIAL_TOKENS), "Ω never seen ☃", "", " \n\t x"]
    encoded = tokenizer.encode_batch(texts)
    assert [ids.tolist() for ids in encoded] == [plain.encode(text, add_special_tokens=False).ids for text in texts]
    assert not {0, 1, 2} & {int(id_) for ids in encoded for id_ in ids}
    if kind != "wordpiece":
        assert [decode(tokenizer, ids) for ids in encoded] == texts


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_writes_the_same_bytes(tmp_path: Path, shard: Path, kind: Kind) -> None:
    code = (
        "import sys; from pathlib import Path; from pretrain.tokenizing.tokenizer_training import train_tokenizer\n"
        "shard, out, kind = sys.argv[1:]\n"
        "train_tokenizer([Path(shard)], Path(out), vocab_size=360, sample_bytes=10**6, kind=kind)"
    )
    subprocess.run([sys.executable, "-c", code, str(shard), str(tmp_path / "a.json"), kind], check=True)
    train_tokenizer([shard], tmp_path / "b.json", vocab_size=360, sample_bytes=10**6, kind=kind)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_digits", [1, 3])
def test_no_token_has_more_digits_than_the_limit(tmp_path: Path, kind: Kind, max_digits: int) -> None:
    shard = write_shard(tmp_path / "web" / "a.arrow", [*TEXTS, "in 2024 and 2024, 12345 sacks of 777 " * 20])
    tokenizer = train_tokenizer(
        [shard], tmp_path / "t.json", vocab_size=330, sample_bytes=10**6, kind=kind, max_digits=max_digits
    )
    digits = [sum(c.isdigit() for c in token) for token, id_ in tokenizer.ids.items() if id_ > 3 and token.isascii()]
    assert max(digits) <= max_digits
    assert max(digits) == max_digits or kind == "unigram"
    assert tokenizer.encode_batch(["12345"])[0].size == (5 if max_digits == 1 else 2) or kind == "unigram"


def test_weights_say_how_much_of_each_source_is_learned_from(tmp_path: Path) -> None:
    for source in ("en", "ru"):
        write_shard(tmp_path / source / "a.arrow", make_texts(source, 300))
    kwargs: dict[str, Any] = {"vocab_size": 300, "sample_bytes": 20_000}
    shards = [tmp_path / "en", tmp_path / "ru"]
    cyrillic = {}
    for name, weights in (("none", {"en": 1, "ru": 0}), ("most", {"en": 0.1, "ru": 0.9})):
        tokenizer = train_tokenizer(shards, tmp_path / f"{name}.json", weights=weights, **kwargs)
        cyrillic[name] = sum(token[0] in "ÐÑ" and len(token) > 1 for token in tokenizer.ids)
    assert cyrillic["none"] == 0
    assert cyrillic["most"] > 20


def test_a_source_with_less_text_than_its_share_is_named(tmp_path: Path) -> None:
    for source, count in (("en", 300), ("ru", 5)):
        write_shard(tmp_path / source / "a.arrow", make_texts(source, count))
    lines: list[str] = []
    shards = [tmp_path / "en", tmp_path / "ru"]
    weights = {"en": 1.0, "ru": 1.0}
    train_tokenizer(
        shards, tmp_path / "t.json", vocab_size=300, sample_bytes=40_000, weights=weights, report=lines.append
    )
    assert lines[0].startswith("source ru: has ")
    assert lines[0].endswith(" bytes of text, and its weight asks for 20,000; all are taken")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"en": 1, "fr": 1}, "no source fr among the shards; they are of en, ru"),
        ({"en": 1}, "none for source ru; give it one, 0 to leave it out"),
        ({"en": 0, "ru": 0}, "all are 0"),
        ({"en": -1, "ru": 1}, "en: expected a number of at least 0, found -1"),
        ({"en": float("nan"), "ru": 1}, "en: expected a number of at least 0, found nan"),
    ],
)
def test_weights_that_say_nothing_are_refused(tmp_path: Path, weights: dict[str, float], message: str) -> None:
    for source in ("en", "ru"):
        write_shard(tmp_path / source / "a.arrow", ["text"])
    with pytest.raises(UserError, match=f"--weights: {message}") as error:
        train_tokenizer([tmp_path], tmp_path / "t.json", vocab_size=300, sample_bytes=99, weights=weights)
    assert "\n" not in str(error.value)


def test_more_entries_than_the_text_gives_are_refused_and_few_bytes_an_entry_are_told(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "en" / "a.arrow", make_texts("en", 50))
    lines: list[str] = []
    for kind in KINDS:
        with pytest.raises(UserError, match=r"vocab_size: [\d,]+ bytes of text give \d+ entries, not 5,000; give --vo"):
            train_tokenizer([shard], tmp_path / "t.json", vocab_size=5000, sample_bytes=10**6, kind=kind)
        assert not (tmp_path / "t.json").exists()
    train_tokenizer([shard], tmp_path / "t.json", vocab_size=280, sample_bytes=10**6, report=lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("vocab_size: 280 entries from ")


def test_a_sample_that_does_not_fit_into_memory_is_made_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts distinct pieces; it is looked at first when there are some."""
    monkeypatch.setattr("pretrain.tokenizing.pieces._FIRST_CHECK", 200)
    texts = [
        " ".join(f"{chr(0x430 + i % 30)}{chr(0x430 + j % 30)}я{'ё' * (i % 7)}" for j in range(30)) for i in range(90)
    ]
    shard = write_shard(tmp_path / "ru" / "a.arrow", texts)
    lines: list[str] = []
    kwargs: dict[str, Any] = {"vocab_size": 270, "sample_bytes": 10**6, "report": lines.append}
    tokenizer = train_tokenizer([shard], tmp_path / "t.json", max_memory=300_080_000, **kwargs)
    assert "--memory: it is enough for " in lines[0]
    assert tokenizer.vocab_size == 270
    with pytest.raises(UserError, match=r"--memory: too little to learn from [\d,]+ bytes; give more"):
        train_tokenizer([shard], tmp_path / "t.json", max_memory=300_000_000, **kwargs)


def test_the_cut_of_text_is_that_of_earlier_tokenizers(tmp_path: Path, shard: Path) -> None:
    """The pattern is the same, and so are the places of bytes and special tokens."""
    tokenizer = train_tokenizer([shard], tmp_path / "t.json", vocab_size=300, sample_bytes=10**6)
    old = Tokenizer(Path(__file__).parents[2] / "formats" / "84e7104" / "tokens" / "web" / "tokenizer.json")
    new_values, old_values = json.loads(tokenizer.json), json.loads(old.json)
    assert new_values["pre_tokenizer"] == old_values["pre_tokenizer"]
    assert [*tokenizer.ids][:259] == [*old.ids][:259]


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
