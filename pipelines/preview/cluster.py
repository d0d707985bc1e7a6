"""The cluster, the crawl and the prices of `gristmill plan --scale`, as they are given on the command line."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from pipelines.executors import ProcessPool
from shards.errors import UserError

SNAPSHOT = "snapshot"
# A main crawl of Common Crawl: that of May 2024 has 90,000 WARC files of some 1 GB with 2.7 billion pages and 377 TiB
# of content (commoncrawl.org/blog/may-2024-crawl-archive-now-available, and its warc.paths.gz).
_SNAPSHOT_FILES, _SNAPSHOT_FILE_BYTES = 90_000, 1_000_000_000

# Dollars for 1,000 PUTs, for 1,000 GETs, and for a GB a month: Amazon S3 Standard in us-east-1, as listed in March 2026
# (aws.amazon.com/s3/pricing). Traffic within the region is free.
STORE_PRICES = "0.005,0.0004,0.023"

_PRICE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*", re.ASCII)
_UNITS = {"B": 1, "Bit": 0.125, "bit": 0.125}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP])(i?)(B|Bit|bit)?\s*", re.ASCII)


@dataclass(frozen=True)
class Crawl:
    """What is to be cleaned."""

    files: int
    num_bytes: int  # as stored
    assumption: str

    @classmethod
    def parse(cls, text: str, given: Sequence[int], kinds: Collection[str] = ("warc",)) -> Self:
        """The crawl that `text` names, of files like those whose sizes are `given`: "snapshot", a number of files, or a
        size. `kinds` are those of the sources. UserError."""
        mean = max(1, sum(given) // max(1, len(given)))
        if text == SNAPSHOT:
            if others := sorted({*kinds} - {"warc"}):
                raise UserError(
                    f"--scale {SNAPSHOT}: is of WARC files, and a source is of kind {others[0]}; give a number of "
                    "files, or a size as 90TB"
                )
            return cls(
                _SNAPSHOT_FILES,
                _SNAPSHOT_FILES * _SNAPSHOT_FILE_BYTES,
                "a main crawl of Common Crawl (May 2024): 90,000 WARC files of 1 GB, records like those given",
            )
        if re.fullmatch(r"[\d_,]*\d", text, re.ASCII) and (files := int(re.sub("[_,]", "", text))):
            return cls(files, files * mean, f"so many files like those given, of {mean / 1e6:,.1f} MB")
        num_bytes = parse_size("--scale", text, "snapshot, a number of files, or a size as 90TB")
        files = max(1, round(num_bytes / mean))
        return cls(files, num_bytes, f"files like those given, of {mean / 1e6:,.1f} MB")


@dataclass(frozen=True)
class Cluster:
    """Nodes that are equal."""

    nodes: int
    cores: int  # of a node
    node_memory: int  # bytes
    network: float  # bytes a second of a node, in each direction
    core_speed: float  # of a core there, as a multiple of one here
    in_store: bool  # whether the run's folder lies in an object store; else on a disk that all nodes share
    memory: int  # bytes of a node that deduplication may take, as `--memory`

    @property
    def task_memory(self) -> int:
        """Bytes that a task of a global stage may take."""
        return ProcessPool(self.cores, self.memory).task_memory

    @property
    def elsewhere(self) -> float:
        """The share of what a node reads that another node has written."""
        return 1 - 1 / self.nodes


@dataclass(frozen=True)
class Prices:
    """Dollars."""

    node_hour: float | None  # None: not given
    put: float  # a request that writes or lists
    get: float
    gb_month: float
    days: float  # so long the finished run stays in the store

    @classmethod
    def parse(cls, node_hour: float | None, store: str, days: float) -> Self:
        """`store` as `STORE_PRICES`. UserError."""
        words = store.split(",")
        if len(words) != 3 or not all(map(_PRICE.fullmatch, words)):
            raise UserError(
                f"--store-prices {store}: expected dollars for 1,000 PUTs, for 1,000 GETs and for a GB a month, as "
                f"{STORE_PRICES}"
            )
        puts, gets, gb_month = map(float, words)
        return cls(node_hour, puts / 1000, gets / 1000, gb_month, days)


def parse_size(option: str, text: str, expected: str) -> int:
    """Bytes of "128GB", "1.5 TiB" or "10Gbit"; units are powers of ten without the i. UserError."""
    match = _SIZE.fullmatch(text)
    if match is None or not float(match[1]):
        raise UserError(f"{option} {text}: expected {expected}")
    factor = (1024 if match[3] else 1000) ** (" KMGTP".index(match[2]))
    return int(float(match[1]) * factor * _UNITS[match[4] or "B"])
