"""Repeated windows are those of plain Python and of a suffix array."""

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from dedup_cases import InProcess, Repeated, make_row, repeated_windows
from dedup_oracles import SPACED_TEXTS, spaced_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydivsufsort import divsufsort, kasai

from dedup.repeats.engine import find_repeats
from dedup.repeats.windows import Windows
from shards.exchange import Block
from shards.sink import open_arrow

Make = Callable[..., list[Block]]


def expected(documents: dict[str, str], length: int) -> Repeated:
    """The repeated windows by a dictionary of all windows; documents in the order of ids."""
    places: dict[tuple[bytes, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, text in sorted(documents.items()):
        spans, data = spaced_words(text), text.encode()
        for k in range(len(spans) - length + 1):
            window = spans[k : k + length]
            places[tuple(data[a:b] for a, b in window)].append((name, window[0][0]))
    return {
        place: (place == same[0], *(same[0] if place != same[0] else same[1]))
        for same in places.values()
        for place in same
        if len(same) > 1
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(SPACED_TEXTS, st.integers(1, 5), st.integers(1, 4))
def test_repeated_windows_are_those_of_plain_python(
    make_units: Make, tmp_path_factory: pytest.TempPathFactory, texts: list[str], length: int, unit_rows: int
) -> None:
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    folder = tmp_path_factory.mktemp("windows")
    units = make_units(rows, unit_rows, folder.name)
    assert repeated_windows(units, folder, length) == expected({row["id"]: row["text"] for row in rows}, length)


def suffix_array_marks(words: np.ndarray, length: int) -> np.ndarray:
    """bool[words]: in a repeated passage of `length` or more; documents are separated by unique words."""
    suffixes = divsufsort(words)
    common = kasai(words, suffixes)  # of each suffix and the next
    repeated = np.zeros(len(words), np.bool_)
    long = np.flatnonzero(common[:-1] >= length)
    repeated[suffixes[long]] = repeated[suffixes[long + 1]] = True
    marked = np.zeros(len(words), np.bool_)
    for k in range(length):
        marked[k:] |= repeated[: len(words) - k]
    return marked


def our_marks(texts: Sequence[str], units: Sequence[Block], folder: Path, length: int) -> list[np.ndarray]:
    places = [{start: k for k, (start, _) in enumerate(spaced_words(text))} for text in texts]
    marks = [np.zeros(len(place), np.bool_) for place in places]
    first = np.cumsum([0, *(open_arrow(unit.texts[0]).count_rows() for unit in units)])
    repeats = find_repeats(units, folder, InProcess(), Windows(length))
    for number in range(len(repeats.units)):
        for rows, _, part in repeats.batches(number, ["id"]):
            for row, start in zip(first[number] + rows[part.rows], part.starts, strict=True):
                marks[row][places[row][int(start)] : places[row][int(start)] + length] = True
    return marks


def check_against_suffix_array(texts: list[str], make_units: Make, folder: Path, length: int) -> int:
    numbers: dict[bytes, int] = {}
    stream: list[int] = []
    for n, text in enumerate(texts):
        data = text.encode()
        stream += [numbers.setdefault(data[a:b], len(numbers)) for a, b in spaced_words(text)]
        stream.append(-1 - n)
    words = np.array(stream, np.int64)
    words = np.where(words < 0, len(numbers) - 1 - words, words).astype(np.uint32)
    wanted = suffix_array_marks(words, length)
    marks = our_marks(texts, make_units([make_row(k, t) for k, t in enumerate(texts)], 40), folder, length)
    given = np.concatenate([np.append(m, False) for m in marks])
    assert (given == wanted).all()
    return int(wanted.sum())


def test_random_text_is_marked_as_by_a_suffix_array(make_units: Make, tmp_path: Path) -> None:
    rng = random.Random(7)
    passages = [" ".join(f"w{rng.randrange(3000)}" for _ in range(rng.randrange(5, 60))) for _ in range(300)]
    texts = [" ".join(rng.choices(passages, k=rng.randrange(12))) for _ in range(200)]
    assert check_against_suffix_array(texts, make_units, tmp_path / "out", 50) > 10_000


@pytest.mark.real
def test_real_text_is_marked_as_by_a_suffix_array(make_units: Make, tmp_path: Path, real_data: Path) -> None:
    with gzip.open(real_data / "truth" / "pages.jsonl.gz", "rt") as lines:
        pages = [json.loads(line) for line in lines]
    texts = [page.get("main_content") or "" for page in pages[:300]]
    rng = random.Random(8)
    texts += [
        "".join(t[a : a + 2_000] for t in rng.choices(texts, k=3) for a in [rng.randrange(500)]) for _ in range(60)
    ]
    assert check_against_suffix_array(texts, make_units, tmp_path / "out", 50) > 10_000
