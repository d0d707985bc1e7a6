"""A document is removed when its n-grams occur in documents kept before it, and its twin has the most of them."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dedup_cases import Fates, Row, make_id, make_row, random_words, read_fates
from dedup_oracles import plain_ngrams, plain_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dedup.ngram_overlap import OverlapConfig
from pipelines.executors import InProcess, ProcessPool
from shards.exchange import Block
from shards.schema import COPIES

Make = Callable[..., list[Block]]
Words = list[str]


class TinyMemory(InProcess):
    """A task memory of `num_bytes`, less than that of any real executor."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__()
        self.task_memory = num_bytes


def plain_overlap(rows: Sequence[Row], n: int, max_overlap: float) -> Fates:
    """The verdicts by a dictionary, in keep order, the longest first."""
    owner: dict[tuple[str, ...], str] = {}
    rank: dict[str, int] = {}
    fates = {}
    for row in sorted(rows, key=lambda row: (-len(row["text"]), row["id"])):
        grams = plain_ngrams(row["text"], n)
        seen = Counter(owner[gram] for gram in grams if gram in owner)
        if grams and seen.total() / len(grams) > max_overlap:
            fates[row["id"]] = (min(seen, key=lambda id: (-seen[id], rank[id])), seen.total() / len(grams))
        else:
            rank[row["id"]] = len(rank)
            owner = dict.fromkeys(grams, row["id"]) | owner
    return fates


TEXTS = st.lists(st.lists(st.sampled_from(["a", "B", "c", "D!", "的", "ё"]), max_size=12).map(" ".join), max_size=10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.8]), st.data())
def test_verdicts_are_those_of_plain_python(
    make_units: Make,
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    n: int,
    most: float,
    data: st.DataObject,
) -> None:
    rows = [make_row(k, text) for k, text in enumerate(texts)]
    folder = tmp_path_factory.mktemp("overlap")
    units = make_units(data.draw(st.permutations(rows)), data.draw(st.integers(1, 4)), folder.name)
    config = OverlapConfig(name="o", ngram=n, max_overlap=most)
    config.resolve(units, folder, TinyMemory(data.draw(st.sampled_from([1, 500, 1 << 20]))))
    fates = read_fates(units, folder)
    assert fates == plain_overlap(rows, n, most)
    copies = Counter(twin for twin, _ in fates.values())
    for unit in units:
        left = replace(unit, verdicts=(folder / f"{unit.key}.arrow",), added=(COPIES,))
        for _, batch in left.batches(["id", "copies"]):
            assert batch["copies"].to_pylist() == [copies[id] for id in batch["id"].to_pylist()]


@pytest.mark.parametrize(("shared", "leaves"), [(80, False), (81, True)])
def test_an_overlap_of_max_overlap_is_kept_and_more_is_removed(
    make_units: Make, resolve: Callable[..., Fates], shared: int, leaves: bool
) -> None:
    """100 n-grams of one word each."""
    words = [f"w{k}" for k in range(200)]
    longer, shorter = words[:shared] + words[100:180], words[:100]
    units = make_units([make_row(1, " ".join(shorter)), make_row(2, " ".join(longer) + " long" * 50)])
    fates = resolve(OverlapConfig(name="o", ngram=1), units)
    assert fates == ({make_id(1): (make_id(2), 0.81)} if leaves else {})


def test_the_ngrams_of_two_documents_count_together_and_the_one_with_more_is_the_twin(
    make_units: Make, resolve: Callable[..., Fates]
) -> None:
    words = [f"w{k}" for k in range(40)]
    rest = " ".join(f"x{k}" for k in range(300))
    rows = [make_row("a", " ".join(words[:15]) + " " + rest), make_row("b", " ".join(words[15:]) + " !" + rest[::-1])]
    units = make_units([*rows, make_row("c", " ".join(words))])
    assert resolve(OverlapConfig(name="o", ngram=1), units) == {make_id("c"): (make_id("b"), 1.0)}


def test_ngrams_of_a_removed_document_do_not_count(make_units: Make, resolve: Callable[..., Fates]) -> None:
    """b resembles a, c resembles b only, and b is removed: so c is kept."""
    words = [f"w{k:03d}" for k in range(200)]
    rows = [make_row(k, " ".join(words[first : first + 100])) for k, first in (("a", 0), ("b", 15), ("c", 30))]
    order = sorted(rows, key=lambda row: row["id"])
    texts = [" ".join(words[first : first + 100]) for first in (0, 15, 30)]
    units = make_units([row | {"text": text} for row, text in zip(order, texts, strict=True)])
    assert resolve(OverlapConfig(name="o", ngram=1), units) == {order[1]["id"]: (order[0]["id"], 0.85)}


def test_short_documents_are_compared_by_all_their_words_and_empty_ones_are_kept(
    make_units: Make, resolve: Callable[..., Fates]
) -> None:
    texts = ["Page not found.", "page NOT found", "page not found here", "", "", "🙂", "🙂", None]
    units = make_units([make_row(k, text) for k, text in enumerate(texts)])
    assert resolve(OverlapConfig(name="o"), units) == {make_id(1): (make_id(0), 1.0)}


def random_pages(seed: int, count: int) -> list[Row]:
    """Pages that share passages: some of them nearly whole."""
    rng = random.Random(seed)
    passages = [random_words(rng, 40) for _ in range(count // 4)]
    texts = [
        " ".join(sum(rng.choices(passages, k=4), random_words(rng, rng.choice([0, 5, 100])))) for _ in range(count)
    ]
    return [make_row(k, text) for k, text in enumerate(texts)]


def test_memory_units_order_and_workers_do_not_matter(make_units: Make, resolve: Callable[..., Fates]) -> None:
    rows = random_pages(5, 400)
    wanted = plain_overlap(rows, 13, 0.8)
    assert len(wanted) > 20
    config = OverlapConfig(name="o")
    assert resolve(config, make_units(rows, name="one"), "one") == wanted
    for number, (unit_rows, num_bytes) in enumerate([(70, 100_000), (150, 400_000), (400, 1 << 30)]):
        shuffled = random.Random(number).sample(rows, len(rows))
        units = make_units(shuffled, unit_rows, f"some-{number}")
        assert resolve(config, units[::-1], f"some-{number}", TinyMemory(num_bytes)) == wanted
    with ProcessPool(2) as pool:
        assert resolve(config, make_units(rows, 150, "pool"), "pool", pool) == wanted


def test_little_memory_cuts_the_work_into_many_parts(make_units: Make, tmp_path: Path) -> None:
    units = make_units(random_pages(6, 200), 50)
    OverlapConfig(name="o").resolve(units, tmp_path / "out", TinyMemory(20_000))
    assert len(list((tmp_path / "out" / "shared").glob("*.npy"))) > 20
    assert not (tmp_path / "out" / "owners").exists()


def test_a_killed_attempt_is_resumed(make_units: Make, tmp_path: Path) -> None:
    units = make_units(random_pages(7, 100), 40)

    class Killed(InProcess):
        def __init__(self, after: int) -> None:
            super().__init__()
            self._left = after

        def map(self, fn: Any, tasks: Any, then: Any = lambda _: ()) -> Any:
            for result in super().map(fn, tasks, then):
                self._left -= 1
                if self._left < 0:
                    raise KeyboardInterrupt
                yield result

    config = OverlapConfig(name="o")
    config.resolve(units, tmp_path / "whole", InProcess())
    for after in range(6):
        with suppress(KeyboardInterrupt):
            config.resolve(units, tmp_path / "killed", Killed(after))
    config.resolve(units, tmp_path / "killed", InProcess())
    assert read_fates(units, tmp_path / "killed") == read_fates(units, tmp_path / "whole") != {}


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_of_very_many_equal_documents_one_is_kept(make_units: Make, resolve: Callable[..., Fates], count: int) -> None:
    text = " ".join(random_words(random.Random(8), 40))
    first = min(map(make_id, range(count)))
    fates = resolve(OverlapConfig(name="o"), make_units([make_row(k, text) for k in range(count)], 30_000))
    assert len(fates) == count - 1
    assert set(fates.values()) == {(first, 1.0)}


def test_chinese_is_compared_by_characters_or_by_the_words_of_a_segmenter(
    make_units: Make, resolve: Callable[..., Fates]
) -> None:
    """Eight of ten characters are in a longer text, but five of six words."""
    assert plain_words("我们喜欢编译器", segmented=True) == ["我们", "喜欢", "编译器"]
    long, short = "我们喜欢编译器。" * 3 + "今天天气很好", "我们喜欢编译器的"
    units = make_units([make_row(1, long), make_row(2, short)])
    config = OverlapConfig(name="o", ngram=1, max_overlap=0.8)
    assert resolve(config, units, "characters") == {make_id(2): (make_id(1), 7 / 8)}
    assert resolve(config.model_copy(update={"segmented": True}), units, "words") == {}


@pytest.mark.parametrize("values", [{"max_overlap": 1.0}, {"ngram": 0}, {"max_overlap": -0.1}])
def test_settings_that_remove_nothing_or_everything_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OverlapConfig(name="o", **values)
