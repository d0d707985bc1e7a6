"""Counts, places, next words and passages by suffix arrays: those of a naive scan over all texts."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from corpus import make_texts, write_shard

from pretrain.search.corpus import Corpus, open_corpus
from pretrain.search.suffixes import suffixes_of
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from shards.errors import UserError

TEXTS = [
    ["The mill grinds. The mill stands.", "The millstone is a mill", "", "磨坊磨面，磨坊很慢。"],
    ["Every mill grinds slowly\nthe (mill grinds) grain", "mill", *make_texts("en", 40), *make_texts("ru", 20)],
]
PIECE = re.compile(r"[^\W\u4e00-\u9fff]+|\S")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for number, texts in enumerate(TEXTS):
        # Empty texts have equal ids.
        write_shard(folder / "shards" / "web" / f"web-0000{number}-000.arrow", texts)
    return folder


@pytest.fixture(scope="module")
def corpus(run: Path) -> Corpus:
    return open_corpus(run, None)


def all_texts() -> list[str]:
    return [text for texts in TEXTS for text in texts]


def scan(query: str, texts: list[str]) -> list[tuple[int, int]]:
    """(text, character) of each place where the pieces of the query stand."""
    found = []
    for number, text in enumerate(texts):
        spans = [(m.start(), m.end()) for m in PIECE.finditer(text)]
        begins, ends = {a for a, _ in spans}, {b for _, b in spans}
        at = text.find(query)
        while at >= 0:
            if at in begins and at + len(query) in ends:
                found.append((number, at))
            at = text.find(query, at + 1)
    return found


def queries() -> list[str]:
    draw = random.Random(5)
    found = ["The mill", "mill", "磨坊", "磨", "(mill grinds)", "нет такого", "mill grinds slowly\nthe", "."]
    for text in draw.choices([text for text in all_texts() if text], k=60):
        spans = [(m.start(), m.end()) for m in PIECE.finditer(text)]
        a, b = sorted(draw.choices(range(len(spans)), k=2))
        found.append(text[spans[a][0] : spans[min(b, a + 4)][1]])
    return found


@pytest.mark.parametrize("query", queries())
def test_counts_and_next_words_are_those_of_a_scan(query: str, corpus: Corpus) -> None:
    places = scan(query, all_texts())
    assert corpus.count(query) == len(places)
    following: Counter[str] = Counter()
    for number, at in places:
        match = PIECE.search(all_texts()[number], at + len(query))
        following[match[0] if match else ""] += 1
    assert corpus.next_words(query) == following


def test_places_name_the_document(corpus: Corpus) -> None:
    count, places = corpus.places("mill grinds", limit=2)
    assert (count, len(places)) == (len(scan("mill grinds", all_texts())), 2)
    first = places[0]
    assert (first.source, first.shard, first.document) == ("web", "web-00000-000", 0)
    assert first.url.startswith("https://mill.example/")
    assert (first.before, first.there, first.after) == ("The ", "mill grinds", ". The mill stands.")


def test_passages_are_the_longest_ones_of_a_scan(corpus: Corpus) -> None:
    ru, en = make_texts("ru", 20)[3], make_texts("en", 40)[7]
    text = f"Before {en[:40]} unheard-of The mill grinds. The millx 磨坊磨面 {ru} end"
    pieces = [(m.start(), m.end()) for m in PIECE.finditer(text)]
    expected, covered = [], -1
    for k, (start, _) in enumerate(pieces):
        last = k - 1
        while last + 1 < len(pieces) and scan(text[start : pieces[last + 1][1]], all_texts()):
            last += 1
        if last > covered and last - k + 1 >= 3:
            expected.append((start, pieces[last][1]))
        covered = max(covered, last)
    spans = corpus.spans(text, min_words=3)
    assert [(span.start, span.end) for span in spans] == expected
    assert len(expected) >= 4
    for span in spans:
        assert span.text == text[span.start : span.end]
        assert span.count == len(scan(span.text, all_texts()))
        assert span.places[0].there == span.text


def test_token_shards_hold_the_same_words(run: Path, corpus: Corpus, tmp_path: Path) -> None:
    train_tokenizer([run], tmp_path / "tokenizer.json", vocab_size=300, sample_bytes=100_000)
    tokenize_shards([run], tmp_path / "tokenizer.json", tmp_path / "t", held_out_fraction=0, report=lambda line: None)
    tokens = open_corpus(tmp_path / "t" / "web", tmp_path / "index")
    for query in ("The mill", "磨坊", "wheat", "мельница"):
        assert tokens.count(query) == corpus.count(query) > 0
    assert tokens.places("The mill", 1)[1][0].url == corpus.places("The mill", 1)[1][0].url


def test_an_index_is_made_once_and_anew_for_another_shard(tmp_path: Path) -> None:
    path = tmp_path / "shards" / "web" / "web-00000-000.arrow"
    write_shard(path, ["one mill"])
    corpus = open_corpus(tmp_path, None)
    assert corpus.count("mill") == 1
    file = suffixes_of(corpus.shards[0], corpus.index).folder / "suffixes.npy"
    time = file.stat().st_mtime_ns
    assert corpus.count("one") == 1
    assert file.stat().st_mtime_ns == time
    write_shard(path, ["two mills and a mill", "mill"])
    assert open_corpus(tmp_path, None).count("mill") == 2


def test_what_cannot_be_searched_is_one_line(tmp_path: Path, corpus: Corpus) -> None:
    with pytest.raises(UserError, match="nothing to search for"):
        corpus.count(" ")
    with pytest.raises(UserError, match="no such folder; name a run, a token folder or a training"):
        open_corpus(tmp_path / "none", None)
