import json
from pathlib import Path
from typing import Any

import pytest
from command import gristmill
from corpus import write_shard
from foreign_tokenizers import TEXTS, oracle, write

from pretrain.tokenizing.merges import NEVER
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.tokenizing.tokenizer_extension import extend_tokenizer, missing_bytes
from shards.errors import UserError

BASES = ("gpt2", "llama3", "qwen", "sentencepiece_bpe")
NEW_TEXTS = [
    *(f"磨坊主慢慢地磨麦子，面粉很白。水车在河边转动{i}。" * 3 for i in range(30)),
    *(f"ветряная мельница {i} скрипит, ветряная мельница поёт " * 3 for i in range(30)),
]


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shard(tmp_path_factory.mktemp("run") / "zh" / "a.arrow", NEW_TEXTS)


def extend(kind: str, shard: Path, folder: Path, num_new: int = 50) -> tuple[Path, Path, Tokenizer]:
    base, out = write(kind, folder), folder / f"{kind}-extended.json"
    return base, out, extend_tokenizer(base, [shard], out, num_new=num_new, sample_bytes=10**6)


@pytest.mark.parametrize("kind", BASES)
def test_old_ids_stay_and_new_ones_follow_them(tmp_path: Path, shard: Path, kind: str) -> None:
    base, out, extended = extend(kind, shard, tmp_path)
    old, plain = Tokenizer(base), oracle(out)
    assert extended.ids.items() >= old.ids.items()
    assert sorted(extended.ids.values())[-50:] == [*range(old.vocab_size, old.vocab_size + 50)]
    assert {token: plain.token_to_id(token) for token in extended.ids} == extended.ids, "tokenizers has the same ids"
    assert (extended.bos, extended.eos) == (old.bos, old.eos)
    assert (extended._encoding is None) == (old._encoding is None), "tiktoken encodes what it encoded"


@pytest.mark.parametrize("kind", BASES)
def test_text_keeps_its_ids_wherever_no_new_entry_applies(tmp_path: Path, shard: Path, kind: str) -> None:
    """Each new token stands where the base has its parts; so without the new ones the ids are the base's."""
    base, out, extended = extend(kind, shard, tmp_path)
    old = Tokenizer(base)
    model, old_model = oracle(out), oracle(base)
    merges = json.loads(out.read_text())["model"]["merges"][len(json.loads(base.read_text())["model"]["merges"]) :]
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    parts: dict[int, list[int]] = {extended.ids[a + b]: [extended.ids[a], extended.ids[b]] for a, b in pairs}
    for token, id_ in extended.ids.items():
        if id_ >= old.vocab_size and id_ not in parts:  # a character, which was bytes
            parts[id_] = [old.ids[f"<0x{byte:02X}>"] for byte in token.encode()]

    def in_old_ids(id_: int) -> list[int]:
        return [part for inner in parts[id_] for part in in_old_ids(inner)] if id_ in parts else [id_]

    num_unchanged = num_new = 0
    for text in [*TEXTS[:8], *NEW_TEXTS, "The mill grinds slowly.", "def f(x):\n\treturn x", "1999"]:
        old_ids, (new_ids,) = old.encode_batch([text])[0].tolist(), extended.encode_batch([text])
        assert [part for id_ in new_ids.tolist() for part in in_old_ids(id_)] == old_ids
        assert model.encode(text, add_special_tokens=False).ids == new_ids.tolist()
        assert model.decode(new_ids.tolist()) == old_model.decode(old_ids)
        num_unchanged += new_ids.tolist() == old_ids
        num_new += int((new_ids >= old.vocab_size).sum())
    assert num_unchanged >= 3
    assert num_new > 300


@pytest.mark.parametrize("kind", BASES)
def test_an_extension_makes_new_text_shorter_and_is_the_same_each_time(tmp_path: Path, shard: Path, kind: str) -> None:
    base, out, extended = extend(kind, shard, tmp_path)
    before, after = (sum(map(len, made.encode_batch(NEW_TEXTS))) for made in (Tokenizer(base), extended))
    assert after < 0.5 * before
    first = out.read_bytes()
    extend(kind, shard, tmp_path)
    assert out.read_bytes() == first


def test_our_own_tokenizer_is_extended(tmp_path: Path, shard: Path, tokenizer_path: Path) -> None:
    out = tmp_path / "t.json"
    extended = extend_tokenizer(tokenizer_path, [shard], out, num_new=100, sample_bytes=10**6)
    assert extended.vocab_size == 420
    decoded = [oracle(out).decode(ids.tolist()) for ids in extended.encode_batch(NEW_TEXTS)]
    assert decoded == NEW_TEXTS
    assert max(len(token) for token in extended.ids) <= 24


@pytest.mark.parametrize(
    ("kind", "changes", "num_new", "message"),
    [
        ("wordpiece", {}, 9, r"wordpiece\.json: model\.type: is WordPiece, and only BPE"),
        ("unigram", {}, 9, r"unigram\.json: model\.type: is Unigram, and only BPE"),
        ("gpt2", {"pre_tokenizer": None}, 9, r"gpt2\.json: pre_tokenizer: is not that of byte-level BPE"),
        ("gpt2", {}, 0, "--add: expected at least 1 entry, found 0"),
        ("gpt2", {}, 50_000, r"--add: [\d,]+ bytes of text give \d+ new entries, not 50,000; give --add \d+ or less"),
    ],
)
def test_what_cannot_be_extended_is_refused(
    tmp_path: Path, shard: Path, kind: str, changes: dict[str, Any], num_new: int, message: str
) -> None:
    base = write(kind, tmp_path, **changes)
    with pytest.raises(UserError, match=message) as error:
        extend_tokenizer(base, [shard], tmp_path / "t.json", num_new=num_new, sample_bytes=10**6)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "t.json").exists()


def test_the_bytes_that_a_token_lacks() -> None:
    ideograph, emoji = "磨".encode(), "🌾".encode()
    assert [missing_bytes(token) for token in (b"", b"mill", ideograph, emoji, b" " + ideograph)] == [0] * 5
    assert [missing_bytes(token) for token in (ideograph[:1], ideograph[:2], b" " + emoji[:1])] == [2, 1, 3]
    assert [missing_bytes(token) for token in (ideograph[1:], ideograph[2:], emoji[1:])] == [-2, -1, -3]
    assert {missing_bytes(token) for token in (ideograph[1:] + b"a", b"\xff", ideograph[:1] * 2)} == {NEVER}


def test_the_roles_of_a_base_whose_names_nobody_knows_are_given(tmp_path: Path, shard: Path) -> None:
    base, out = write("gpt2", tmp_path), tmp_path / "more.json"
    base.write_text(base.read_text().replace("<|endoftext|>", "<stop>"))
    refused = gristmill("tokenizer", "extend", base, shard, "--add", "9", "--out", out)
    assert refused.returncode == 2
    assert "known to begin or end a text; name them by --bos and --eos" in refused.stderr
    assert gristmill("tokenizer", "report", base, shard).returncode == 2
    done = gristmill("tokenizer", "extend", base, shard, "--add", "9", "--out", out, "--eos", "<stop>")
    assert done.returncode == 0, done.stderr
    extended = Tokenizer(out)
    assert extended.eos == extended.bos == extended.ids["<stop>"]
    assert gristmill("tokenizer", "report", base, shard, "--bos", "<stop>").returncode == 0
