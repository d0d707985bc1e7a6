import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from corpus import decode
from foreign_tokenizers import KINDS, TEXTS, oracle, write
from hypothesis import given
from hypothesis import strategies as st

from pretrain.tokenizing.special_tokens import SPECIAL_TOKENS
from pretrain.tokenizing.tokenizer import Tokenizer
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_tokenizer_has_the_ids_of_tokenizers(tmp_path: Path, kind: str) -> None:
    path = write(kind, tmp_path)
    tokenizer, plain = Tokenizer(path), oracle(path)
    texts = [
        *(text[:2000] for text in HARD_TEXTS),
        *TEXTS,
        *naughty_strings(),
        "<think> a <tool_call>\u0338 b",
        "x" + "\u1eb9\u0301" * 3,
    ]
    expected = [plain.encode(text, add_special_tokens=False).ids for text in texts]
    for num_threads in (1, 3):
        assert [ids.tolist() for ids in tokenizer.encode_batch(texts, num_threads)] == expected
    assert sum(map(len, expected)) > 500


def test_a_page_of_a_million_spaces_is_encoded(tmp_path: Path) -> None:
    """tiktoken's regular expressions run out of stack there."""
    path = write("gpt2", tmp_path)
    text = "mill" + " " * 1_000_000 + "stone"
    assert Tokenizer(path).encode_batch([text])[0].tolist() == oracle(path).encode(text).ids


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_real_texts_have_the_ids_of_tokenizers(tmp_path: Path, kind: str, real_texts: list[str]) -> None:
    path = write(kind, tmp_path)
    tokenizer, plain = Tokenizer(path), oracle(path)
    expected = [one.ids for one in plain.encode_batch_fast(real_texts, add_special_tokens=False)]
    assert [ids.tolist() for ids in tokenizer.encode_batch(real_texts)] == expected


@pytest.fixture(scope="module")
def real_texts(real_data: Path) -> list[str]:
    """100,000 characters each of English, Russian and Chinese."""
    folder = real_data / "text"
    files = ("en/wikitext2-test.txt.gz", "ru/Chekhov_Dama.txt.gz", "zh/chinesewebtext-sample.jsonl.gz")
    texts = (gzip.decompress((folder / file).read_bytes()).decode(errors="replace")[:100_000] for file in files)
    texts = (text.replace("<unk>", "unk") for text in texts)  # a special token, of which we make none from text
    return [text[start : start + 5000] for text in texts for start in range(0, len(text), 5000)]


def naughty_strings() -> list[str]:
    """The Big List of Naughty Strings where real data lies, and nothing elsewhere."""
    folder = os.environ.get("GRISTMILL_REAL_DATA")
    if folder is None:
        return []
    return list(json.loads(gzip.decompress((Path(folder) / "malformed" / "blns.json.gz").read_bytes())))


@pytest.mark.parametrize("kind", ["gpt2", "llama3", "qwen"])
def test_byte_level_bpe_is_encoded_by_tiktoken(tmp_path: Path, kind: str) -> None:
    assert Tokenizer(write(kind, tmp_path))._encoding is not None


def test_tiktoken_is_not_asked_where_its_rule_gives_other_ids(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """An entry that merges do not make: tiktoken takes it, `tokenizers` does not unless `ignore_merges` says so."""
    path = tmp_path / "t.json"
    for changes in ({}, {"ignore_merges": True}):
        changed = json.loads(tokenizer.json)
        changed["model"] |= changes
        changed["model"]["vocab"]["milling"] = 320
        path.write_text(json.dumps(changed))
        loaded, plain = Tokenizer(path), oracle(path)
        texts = ["milling", " milling", "the milling"]
        assert loaded._encoding is None
        assert [ids.tolist() for ids in loaded.encode_batch(texts)] == [
            plain.encode(text, add_special_tokens=False).ids for text in texts
        ]


@pytest.mark.parametrize(
    ("kind", "bos", "eos"),
    [
        ("gpt2", "<|endoftext|>", "<|endoftext|>"),
        ("llama3", "<|begin_of_text|>", "<|end_of_text|>"),
        ("qwen", "<|endoftext|>", "<|endoftext|>"),
        ("wordpiece", "[CLS]", "[SEP]"),
        ("unigram", "</s>", "</s>"),
        ("sentencepiece_bpe", "<s>", "</s>"),
    ],
)
def test_the_tokens_that_begin_and_end_a_text_are_found(tmp_path: Path, kind: str, bos: str, eos: str) -> None:
    path = write(kind, tmp_path)
    tokenizer, plain = Tokenizer(path), oracle(path)
    assert (tokenizer.bos, tokenizer.eos) == (plain.token_to_id(bos), plain.token_to_id(eos))


def test_roles_that_the_user_names_stand_in_the_file(tmp_path: Path) -> None:
    path = write("llama3", tmp_path)
    named = Tokenizer(path, bos="<|end_of_text|>", eos="<|reserved_special_token_0|>")
    (tmp_path / "copy.json").write_bytes(named.json)
    copy = Tokenizer(tmp_path / "copy.json")
    assert (copy.bos, copy.eos) == (named.bos, named.eos) == (601, 602)
    assert copy.sha256 == named.sha256 != Tokenizer(path).sha256
    framed = tokenizers.Tokenizer.from_file(str(tmp_path / "copy.json")).encode("mill").ids
    assert (framed[0], framed[-1]) == (601, 602), "transformers would frame a text in the same way"


def test_special_tokens_of_a_foreign_tokenizer_are_never_made_from_text(tmp_path: Path) -> None:
    for kind in KINDS:
        path = write(kind, tmp_path)
        special = {t["id"]: t["content"] for t in json.loads(path.read_text())["added_tokens"] if t["special"]}
        special = {id_: content for id_, content in special.items() if "unk" not in content.lower()}
        (ids,) = Tokenizer(path).encode_batch([" ".join(special.values())])
        assert len(ids)
        assert not set(special) & set(ids.tolist()), kind


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("gpt2", {"truncation": {"max_length": 8}}, r"truncation: is \{\"max_length\": 8\}"),
        ("gpt2", {"padding": {"pad_id": 0}}, r"padding: is "),
        ("gpt2", {"model": {"dropout": 0.1}}, r"model\.dropout: is 0\.1"),
        ("gpt2", {"model": {"type": "Morfessor"}}, r"model\.type: is Morfessor, and BPE, .* are supported"),
        ("gpt2", {"model": {"vocab": {"a": 0}}}, r"model\.vocab: has no token for 255 of 256 bytes"),
        (
            "sentencepiece_bpe",
            {"model": {"unk_token": None, "byte_fallback": False}},
            r"model\.vocab: has no token for",
        ),
        ("gpt2", {"added_tokens": []}, r"added_tokens: none of 0 special tokens is known to begin or end a text"),
        ("gpt2", {"pre_tokenizer": {"type": "Jieba"}}, r"not a tokenizer\.json that tokenizers .* reads: "),
    ],
)
def test_a_tokenizer_that_loses_text_is_refused_by_its_key(
    tmp_path: Path, kind: str, change: dict[str, Any], message: str
) -> None:
    path = write(kind, tmp_path)
    changed = json.loads(path.read_text())
    for name, value in change.items():
        changed[name] = changed[name] | value if name == "model" else value
    path.write_text(json.dumps(changed))
    with pytest.raises(UserError, match=rf"{kind}\.json: {message}") as error:
        Tokenizer(path)
    assert "\n" not in str(error.value)


def test_a_role_of_no_special_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no special token mill, which --eos names"):
        Tokenizer(write("gpt2", tmp_path), eos="mill")


def test_a_character_without_a_token_is_an_error_with_the_files_name(tmp_path: Path) -> None:
    path = write("unigram", tmp_path)
    changed = json.loads(path.read_text())
    changed["model"]["unk_id"] = None
    path.write_text(json.dumps(changed))
    with pytest.raises(UserError, match=r"unigram\.json: cannot encode a text .*unk_id") as error:
        Tokenizer(path).encode_batch(["mill \u4e2d\u1234"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_of_a_token_are_those_of_its_characters(tmp_path: Path, kind: str) -> None:
    tokenizer = Tokenizer(write(kind, tmp_path))
    for text in (text.rstrip() for text in TEXTS[:8]):
        (ids,) = tokenizer.encode_batch([text])
        starts, ends = tokenizer.byte_spans(text, ids)
        assert (np.diff(starts) >= 0).all()
        assert (np.diff(ends) >= 0).all()
        assert ends[-1] == len(text.encode())
        covered = {byte for start, end in zip(starts, ends, strict=True) for byte in range(start, end)}
        uncovered = bytes(byte for i, byte in enumerate(text.encode()) if i not in covered).decode()
        assert not uncovered.strip().strip("\u200d"), "only spaces and joiners belong to no token"


def test_an_added_token_that_takes_the_spaces_around_it_has_their_bytes(tmp_path: Path) -> None:
    path = write("gpt2", tmp_path)
    changed = json.loads(path.read_text())
    changed["added_tokens"].append(changed["added_tokens"][0] | {"id": 600, "content": "<mask>", "special": False})
    changed["added_tokens"][-1] |= {"lstrip": True, "rstrip": True}
    path.write_text(json.dumps(changed))
    tokenizer, text = Tokenizer(path), "a  <mask> mill"
    (ids,) = tokenizer.encode_batch([text])
    spans = dict(zip(ids.tolist(), zip(*tokenizer.byte_spans(text, ids), strict=True), strict=True))
    assert spans[600] == (1, 10)


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    for content in ("", "{}", '{"model": {"type": "BPE"}}', "[1]"):
        (tmp_path / "t.json").write_text(content)
        with pytest.raises(UserError, match="not a tokenizer") as error:
            Tokenizer(tmp_path / "t.json")
        assert "\n" not in str(error.value)


def test_tokenizing_and_planning_do_not_import_torch() -> None:
    modules = "sys, pretrain.tokenizing.tokenize, pretrain.order.loader, pretrain.order.trace"
    code = f"import {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
