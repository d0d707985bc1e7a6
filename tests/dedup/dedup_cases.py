"""Rows that a global stage reads, and the fates and files that it writes."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import xxhash
from dedup_oracles import plain_words

from dedup.minhash import MinHashConfig
from dedup.repeats.engine import find_repeats
from dedup.repeats.windows import Windows
from shards.exchange import Block
from shards.sink import open_arrow

Row = dict[str, Any]
Repeated = dict[tuple[str, int], tuple[bool, str, int]]  # (id, start): (is the first, id and start of the twin)
Fates = dict[str, tuple[str, float]]  # id of a removed row: (id of its twin, similarity)

SURE = MinHashConfig(name="near", bands=60, rows=4)  # misses a pair of .75 once in 10^10


class InProcess:
    def __init__(self, task_memory: int = 1 << 30) -> None:
        self.memory = self.task_memory = task_memory
        self.workers = 1

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        return map(fn, tasks)


def make_id(name: object) -> str:
    return xxhash.xxh3_128_hexdigest(str(name).encode())


def make_row(name: object, text: str | None = "", **values: Any) -> Row:
    defaults = {"url": "", "date": "", "source": "web", "warc_file": "a.warc.gz", "warc_offset": 0, "warc_length": -1}
    return defaults | {"id": make_id(name), "text": text} | values


def read_fates(units: Sequence[Block], folder: Path) -> Fates:
    fates = {}
    for unit in units:
        if (folder / f"{unit.key}.arrow").exists():
            ids = [id_ for path in unit.texts for id_ in open_arrow(path).read_all()["id"].to_pylist()]
            verdicts = open_arrow(folder / f"{unit.key}.arrow").read_all().to_pylist()
            assert verdicts, "a unit that loses no row has no file"
            assert [v["row"] for v in verdicts] == sorted({v["row"] for v in verdicts})
            fates |= {ids[v["row"]]: (v["twin"], v["similarity"]) for v in verdicts}
    return fates


def random_words(rng: random.Random, count: int) -> list[str]:
    return [f"w{rng.randrange(10_000)}" for _ in range(count)]


def edited(rng: random.Random, words: list[str], changes: int) -> list[str]:
    words = list(words)
    for k in rng.sample(range(len(words)), changes):
        words[k] = f"x{rng.randrange(1_000_000)}"
    return words


@cache
def shingled(text: str, n: int = 5) -> set[tuple[str, ...]]:
    words = plain_words(text)
    n = min(n, len(words))
    return {tuple(words[k : k + n]) for k in range(len(words) - n + 1)}


def similarity(a: str, b: str) -> float:
    x, y = shingled(a), shingled(b)
    return len(x & y) / len(x | y)


def crawl(seed: int = 0, clusters: int = 60) -> list[dict]:
    """Pages, and for each up to four copies with up to a tenth of their words changed, in any order."""
    rng = random.Random(seed)
    texts = []
    for _ in range(clusters):
        words = random_words(rng, rng.randint(30, 200))
        copies = (edited(rng, words, rng.choice((0, 1, 2, 3, len(words) // 10))) for _ in range(rng.randrange(5)))
        texts += [" ".join(w) for w in (words, *copies)]
    rng.shuffle(texts)
    dates = itertools.cycle(["2024-01-05T00:00:00Z", "", "2023-12-31T23:59:59Z"])
    return [make_row(k, text, date=next(dates)) for k, text in enumerate(texts)]


def edges_of(folder: Path) -> dict[tuple[str, str], float]:
    rows = open_arrow(folder / "edges.arrow").read_all().to_pylist()
    return {(row["id_a"], row["id_b"]): row["similarity"] for row in rows}


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def repeated_windows(units: Sequence[Block], folder: Path, length: int, memory: int = 1 << 30) -> Repeated:
    repeats = find_repeats(units, folder, InProcess(memory), Windows(length))
    result = {}
    for number in range(len(repeats.units)):
        for _, batch, part in repeats.batches(number, ["id"]):
            assert [*zip(part.rows, part.starts, strict=True)] == sorted(zip(part.rows, part.starts, strict=True))
            for row, start, first, twin, twin_start in zip(*part, strict=True):
                name = f"{int(twin[0]):016x}{int(twin[1]):016x}"
                result[batch["id"][int(row)].as_py(), int(start)] = (bool(first), name, int(twin_start))
    return result
