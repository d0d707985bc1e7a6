from pathlib import Path

import pyarrow as pa
import pytest
from corpus import make_texts, write_shard
from foreign_tokenizers import oracle, write

from pipelines.verbs.tokenizer_report import lines
from pretrain.tokenizing.tokenizer_report import TextCost, report_tokenizer
from shards.errors import UserError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for source in ("books", "web"):
        texts = [*make_texts("en", 60), *make_texts("ru", 60)]
        texts = [f"{source} {text}" for text in texts]
        languages = pa.array(["en"] * 60 + ["ru"] * 59 + [None])
        write_shard(tmp_path / "run" / source / "a.arrow", texts, language=languages)
    write_shard(tmp_path / "run" / "old" / "a.arrow", ["the mill"])
    return tmp_path / "run"


def test_costs_are_those_of_each_source_and_language(tmp_path: Path, run: Path) -> None:
    path = write("gpt2", tmp_path)
    measured = report_tokenizer(path, [run], sample_bytes=10**9)
    assert [(cost.source, cost.language, cost.num_documents) for cost in measured.costs] == [
        ("books", None, 1),
        ("books", "en", 60),
        ("books", "ru", 59),
        ("old", None, 1),
        ("web", None, 1),
        ("web", "en", 60),
        ("web", "ru", 59),
    ]
    plain = oracle(path)
    tokens = len(plain.encode("the mill").ids)
    assert measured.costs[3] == TextCost("old", None, 1, 8, tokens, None)
    texts = [f"web {text}" for text in make_texts("en", 60)]
    assert measured.costs[5].num_tokens == sum(len(plain.encode(text).ids) for text in texts)
    assert measured.costs[5].num_bytes == sum(len(text.encode()) for text in texts)


def test_unused_entries_are_those_that_no_text_uses(tmp_path: Path, run: Path) -> None:
    path = write("gpt2", tmp_path)
    measured, plain = report_tokenizer(path, [run], sample_bytes=10**9), oracle(path)
    texts = [
        f"{source} {text}" for source in ("books", "web") for lang in ("en", "ru") for text in make_texts(lang, 60)
    ]
    used = {token for text in [*texts, "the mill"] for token in plain.encode(text).tokens}
    assert set(measured.unused) == {t for t in plain.get_vocab() if len(t) > 1} - used - {"<|endoftext|>"}
    assert len(measured.unused) > 100


def test_the_gain_of_an_extension_is_measured_on_documents_that_it_has_not_seen(tmp_path: Path, run: Path) -> None:
    measured = report_tokenizer(write("gpt2", tmp_path), [run], sample_bytes=10**9, num_new=20)
    documents = sum(cost.num_documents for cost in measured.costs)
    assert 90 < documents < 150
    russian = [cost for cost in measured.costs if cost.language == "ru"]
    assert all(cost.num_extended_tokens is not None for cost in measured.costs)
    assert all((cost.num_extended_tokens or 0) < 0.8 * cost.num_tokens for cost in russian)
    assert measured.num_new == 20
    assert 10 < measured.num_new_used <= 20


def test_the_report_in_words(tmp_path: Path, run: Path) -> None:
    table, unused, extension = lines(report_tokenizer(write("gpt2", tmp_path), [run], sample_bytes=10**9, num_new=20))
    assert not isinstance(table, str)
    assert [row[:2] for row in table.rows][-3:] == [("all", "en"), ("all", "ru"), ("all", "all")]
    assert "entries (" in str(unused)
    assert str(extension).startswith("the extension has 20 new tokens learned from half of the sample; ")
    plain, *_ = lines(report_tokenizer(write("gpt2", tmp_path), [run], sample_bytes=10**9))
    assert "extended" not in plain.headings  # type: ignore[union-attr]


def test_a_tokenizer_that_cannot_be_extended_is_measured_without(tmp_path: Path, run: Path) -> None:
    path = write("wordpiece", tmp_path)
    assert report_tokenizer(path, [run], sample_bytes=10**9).costs
    with pytest.raises(UserError, match="only BPE is extended by merges"):
        report_tokenizer(path, [run], sample_bytes=10**9, num_new=5)
