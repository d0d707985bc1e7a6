"""Labels of the kernel against those of fastText, and against sums in float64 that round nothing."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaners.assets.fasttext_arrays import FastTextArrays
from cleaners.fasttext_labels import FastTextLabels

ALPHABET = "abАбё磨坊éＺ \t\v\f\r\x00</>_1"
WORDS = ("the", "мельница", "磨坊", "</s>", "__label__en", "__label__", "<the>", "der", "un", "<", ">", "é", "\x00")


@pytest.fixture(scope="module")
def lid(language_model: Path) -> tuple[Any, FastTextArrays, FastTextLabels]:
    import fasttext

    arrays = FastTextArrays.read(language_model)
    assert arrays is not None
    return fasttext.load_model(str(language_model)), arrays, FastTextLabels(arrays)


def exact(model: Any, arrays: FastTextArrays, line: str) -> dict[str, float]:
    """The probability of each label by fastText's own n-grams, in float64 and over the whole tree."""
    rows: list[int] = []
    for word in model.get_line(line)[0]:
        rows += [row for row in model.get_subwords(word)[1].tolist() if row >= 0]
    mean = arrays.rows_RD[rows].astype(np.float64).mean(0)
    left, right = arrays.tree()
    logs = {len(left) - 1: 0.0}
    for node in range(len(left) - 1, len(arrays.labels) - 1, -1):
        p = 1 / (1 + math.exp(-float(arrays.outputs_LD[node - len(arrays.labels)].astype(np.float64) @ mean)))
        logs[int(left[node])] = logs[node] + math.log(1 - p + 1e-5)
        logs[int(right[node])] = logs[node] + math.log(p + 1e-5)
    return {label: math.exp(logs[k]) for k, label in enumerate(arrays.labels)}


@settings(max_examples=200)
@given(
    lines=st.lists(
        st.one_of(st.text(ALPHABET, max_size=40), st.lists(st.sampled_from(WORDS)).map(" ".join)), min_size=1
    )
)
def test_labels_are_those_of_fasttext(lid: tuple[Any, FastTextArrays, FastTextLabels], lines: list[str]) -> None:
    model, arrays, kernel = lid
    labels, scores = kernel.labels([line.encode() for line in lines])
    theirs, their_scores = model.predict(lines)
    for k in range(len(lines)):
        assert scores[k] == pytest.approx(their_scores[k][0], abs=1e-6)
        if their_scores[k][0] - (model.predict([lines[k]], k=2)[1][0][1:] or [0])[0] > 1e-6:  # else two are as likely
            assert arrays.labels[labels[k]] == theirs[k][0]


def test_a_word_gives_the_same_sum_wherever_it_stands(lid: tuple[Any, FastTextArrays, FastTextLabels]) -> None:
    """Many more words than the cache has places, and words that share a place."""
    _, _, kernel = lid
    words = [f"mühle{i:x}" for i in range(40_000)]
    alone = [kernel.labels([word.encode()]) for word in words[:50]]
    labels, scores = kernel.labels([word.encode() for word in (*words, *words)])
    assert np.array_equal(labels[: len(words)], labels[len(words) :])
    assert np.array_equal(scores[: len(words)], scores[len(words) :])
    assert [(int(a[0]), float(b[0])) for a, b in alone] == list(
        zip(labels[:50].tolist(), scores[:50].tolist(), strict=True)
    )


@pytest.mark.real
def test_real_texts_have_fasttexts_labels_and_scores_nearer_to_the_exact_ones(
    real_data: Path, lid: tuple[Any, FastTextArrays, FastTextLabels]
) -> None:
    model, arrays, kernel = lid
    with gzip.open(real_data / "text" / "zh" / "chinesewebtext-sample.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line)["raw_content"].replace("\n", " ") for line in list(file)[:150]]
    for name in ("ru/Gogol_Viy.txt.gz", "en/tinyshakespeare.txt.gz"):
        with gzip.open(real_data / "text" / name, "rt", encoding="utf-8") as file:
            text = " ".join(file.read().split())
        lines += [text[i : i + 3000] for i in range(0, 90_000, 3000)] + [text[:100_000]]
    labels, scores = kernel.labels([line.encode() for line in lines])
    theirs, their_scores = model.predict(lines)
    assert [arrays.labels[label] for label in labels] == [label for (label,) in theirs]
    right = np.array(
        [exact(model, arrays, line)[arrays.labels[label]] for line, label in zip(lines, labels, strict=True)]
    )
    assert np.abs(scores - right).max() < 1e-6
    assert np.abs(np.array(their_scores)[:, 0] - right).max() < 2e-5, (
        "fastText adds 100,000 numbers one by one in float32"
    )
