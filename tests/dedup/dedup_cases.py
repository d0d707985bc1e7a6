"""Rows that a global stage reads, and the fates that it leaves."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import xxhash

from shards.exchange import ExchangeUnit
from shards.sink import open_arrow

Row = dict[str, Any]
Fates = dict[str, tuple[str, float]]  # id of a removed row: (id of its twin, similarity)


class InProcess:
    def __init__(self, task_memory: int = 1 << 30) -> None:
        self.memory = self.task_memory = task_memory

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        return map(fn, tasks)


def make_id(name: object) -> str:
    return xxhash.xxh3_128_hexdigest(str(name).encode())


def make_row(name: object, text: str | None = "", **values: Any) -> Row:
    defaults = {"url": "", "date": "", "source": "web", "warc_file": "a.warc.gz", "warc_offset": 0, "warc_length": -1}
    return defaults | {"id": make_id(name), "text": text} | values


def read_fates(units: Sequence[ExchangeUnit], folder: Path) -> Fates:
    fates = {}
    for unit in units:
        if (folder / f"{unit.key}.arrow").exists():
            ids = open_arrow(unit.text).read_all()["id"].to_pylist()
            verdicts = open_arrow(folder / f"{unit.key}.arrow").read_all().to_pylist()
            assert verdicts, "a file says that its unit loses rows"
            assert [v["row"] for v in verdicts] == sorted({v["row"] for v in verdicts})
            fates |= {ids[v["row"]]: (v["twin"], v["similarity"]) for v in verdicts}
    return fates


def random_words(rng: random.Random, count: int) -> list[str]:
    return [f"w{rng.randrange(10_000)}" for _ in range(count)]


def edited(rng: random.Random, words: list[str], changes: int) -> list[str]:
    words = list(words)
    for place in rng.sample(range(len(words)), changes):
        words[place] = f"x{rng.randrange(1_000_000)}"
    return words
